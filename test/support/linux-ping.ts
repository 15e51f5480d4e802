/** Linux's ping. */
import assert from "node:assert/strict";
import { runAsync } from "./run-async.js";

/**
 * Fails unless three requests are answered within a minute. ping goes on until then: with a
 * count alone it would wait for the last answer only twice as long as the others took.
 */
export async function assertLinuxPings(address: string, bytes = 56): Promise<void> {
  const options = ["-n", "-c", "3", "-w", "60", "-i", "0.05", "-s", `${bytes}`];
  const out = await runAsync("ping", ...options, address);
  const received = Number(/ (\d+) received/.exec(out)?.[1]);
  assert.ok(received >= 3, out);
}
