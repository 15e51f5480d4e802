/** The engine's clock: the machine's, in whole microseconds. */
import { clockUs, readClock } from "../sys/clock.js";

/** Hot path. */
export function nowUs(): number {
  readClock();
  return Math.floor(clockUs[0]!);
}
