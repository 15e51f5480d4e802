/** Waiting for what has no event: a condition is looked at again and again. */
import { setTimeout as sleep } from "node:timers/promises";

const PAUSE_MS = 5;

/**
 * How long a test waits for what must come. Only a failure takes so long: on a machine with other work
 * a process may stand still for many seconds.
 */
export const PATIENCE_MS = 60_000;

/** Resolves once `isTrue()`; rejects, naming what was waited for, when `timeoutMs` have passed. */
export async function until(
  isTrue: () => boolean,
  what: string,
  timeoutMs = PATIENCE_MS,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`${timeoutMs} ms passed without ${what}`);
    await sleep(PAUSE_MS);
  }
}
