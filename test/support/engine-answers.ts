/** Engines of a test's own: whether they are there, and what they have. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { ETIMEDOUT } from "../../src/base/errno.js";
import { NetError } from "../../src/base/errors.js";
import { askEngine } from "../../src/cli/stat-client.js";
import { pathsBeside } from "../../src/engine/socket-path.js";
import type { StatLine } from "../../src/engine/stat-message.js";
import { PATIENCE_MS, untilAsync } from "./until.js";

/** What an engine says at its socket for that, or null when there is none. One that stands still, because others use the machine, is asked again. */
export async function askPatiently(path: string): Promise<readonly StatLine[] | null> {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await askEngine(path, {});
    } catch (error) {
      const isSilent = error instanceof NetError && error.errno === -ETIMEDOUT;
      if (!isSilent || performance.now() > endMs) throw error;
    }
  }
}

/**
 * Until an engine that has just been started answers; fails when it ends before. That its control socket is there is
 * not enough: nobody listens there yet for a moment, and a program that comes then goes on without Millrace.
 */
export async function engineAnswers(engine: ChildProcess, socket: string): Promise<void> {
  const { stat } = pathsBeside(socket);
  await untilAsync(
    async () => (await askPatiently(stat)) !== null,
    () => `no engine at ${socket}`,
    () => engine.exitCode !== null || engine.signalCode !== null,
  );
  assert.equal(engine.exitCode, null);
}
