/**
 * The machine's monotonic clock, in milliseconds with a fraction, in a place instead of a result: a
 * number with a fraction that a function returns to one that does not inline it is boxed.
 */
import { clockUs, readClock as readUs } from "../../nic/clock.js";

export const clock: Float64Array = new Float64Array(1);

/** Hot path. The time is in `clock[0]` then. */
export function readClock(): void {
  readUs();
  clock[0] = clockUs[0]! / 1e3;
}
