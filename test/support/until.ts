/** Waiting for what has no event: a condition is looked at again and again. */
import { setTimeout as sleep } from "node:timers/promises";

const PAUSE_MS = 5;
/** Between questions to other processes. */
const LOOK_MS = 20;

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

/** Looks until it is so; fails after a long time, or once it cannot become so any more. */
export async function untilAsync(
  isTrue: () => Promise<boolean>,
  complaint: () => string,
  isHopeless: () => boolean,
): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const wasHopeless = isHopeless();
    if (await isTrue()) return;
    if (wasHopeless || performance.now() > endMs) throw new Error(complaint());
    await sleep(LOOK_MS);
  }
}
