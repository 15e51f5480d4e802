/** When packets arrive: at a rate, evenly or by chance (Poisson), from a seed. */
import type { Random } from "../base/random.js";

/** Times of `count` packets in nanoseconds, `packetsPerS` on average. */
export function arrivalTimes(count: number, packetsPerS: number, random?: Random): Float64Array {
  if (!(packetsPerS > 0)) throw new RangeError(`expected a rate above 0, got ${packetsPerS}`);
  const gapNs = 1e9 / packetsPerS;
  const times = new Float64Array(count);
  let now = 0;
  for (let n = 0; n < count; n++) {
    times[n] = now;
    const chance = random === undefined ? 0 : ((random.int32() >>> 0) + 1) / 2 ** 32;
    now += random === undefined ? gapNs : -Math.log(chance) * gapNs;
  }
  return times;
}
