/** The clock of hosts: what `sys` reads, for those who may not import it. */
import type { Clock } from "../base/time.js";
import { clockUs, readClock } from "../sys/clock.js";

export { clockUs, readClock };

/** Hot path. The machine's monotonic clock in whole microseconds. */
export const monotonicUs: Clock = () => {
  readClock();
  return Math.floor(clockUs[0]!);
};
