/**
 * A histogram of times with buckets of 0.2 % width (log-linear, as HdrHistogram's): every power of
 * two is cut into 512 equal parts. Recording allocates nothing and costs the same for every value.
 *
 * Values are whole nanoseconds from 0 to 2^46 (19 hours); larger ones count as that. Minimum, maximum,
 * mean and deviation are exact.
 */

const SUB_BITS = 9;
const SUB_BUCKETS = 1 << SUB_BITS;
/** Values from here on are recorded in units of 2^16. */
const LARGE = 2 ** 30;
const LARGE_SHIFT = 16;
const LARGEST = 2 ** 46;
const BUCKETS = (30 - SUB_BITS + LARGE_SHIFT + 2) * SUB_BUCKETS;

/** Places of the exact figures. */
const MIN = 0;
const MAX = 1;
const SUM = 2;
const SUM_OF_SQUARES = 3;
const TOTALS = 4;

/** A bucket that is not empty: from (inclusive), to (exclusive), how many. */
export interface Bucket {
  readonly fromNs: number;
  readonly toNs: number;
  readonly count: number;
}

export class Histogram {
  count = 0;
  private readonly counts = new Float64Array(BUCKETS);
  /**
   * Doubles from the start. As fields that begin with 0 they would be small integers first, and the
   * change to doubles, in the middle of the work, undoes what V8 has compiled, on Node.js 20 at times
   * for good (8 µs a message instead of 0.7).
   */
  private readonly totals = new Float64Array(TOTALS);

  constructor() {
    this.totals[MIN] = Number.POSITIVE_INFINITY;
  }

  /** Hot path. Below 0 counts as 0: a clock that was set is nobody's latency. */
  record(ns: number): void {
    const v = ns > 0 ? ns : 0;
    const { totals } = this;
    this.count++;
    totals[SUM]! += v;
    totals[SUM_OF_SQUARES]! += v * v;
    if (v < totals[MIN]!) totals[MIN] = v;
    if (v > totals[MAX]!) totals[MAX] = v;
    this.counts[indexOf(v)]! += 1;
  }

  // Zero while there are no observations.
  get minNs(): number {
    return this.count === 0 ? 0 : this.totals[MIN]!;
  }
  get maxNs(): number {
    return this.totals[MAX]!;
  }
  get meanNs(): number {
    return this.count === 0 ? 0 : this.totals[SUM]! / this.count;
  }
  get deviationNs(): number {
    if (this.count === 0) return 0;
    const meanOfSquares = this.totals[SUM_OF_SQUARES]! / this.count;
    return Math.sqrt(Math.max(0, meanOfSquares - this.meanNs ** 2));
  }

  /** The smallest value that `percent` of the observations do not exceed; 0 when there are none. */
  percentileNs(percent: number): number {
    // Without the slack 99.9 % of 1,000 would be the 1,000th: 0.999 * 1000 = 999.0000000000001.
    const rank = Math.max(1, Math.ceil((percent / 100) * this.count - 1e-6));
    if (rank >= this.count) return this.maxNs;
    let seen = 0;
    for (let i = 0; i < BUCKETS; i++) {
      seen += this.counts[i]!;
      if (seen >= rank) return this.clamp((lowest(i) + lowest(i + 1)) / 2);
    }
    return this.maxNs;
  }

  private clamp(ns: number): number {
    return Math.min(this.totals[MAX]!, Math.max(this.totals[MIN]!, ns));
  }

  /** What is not empty, from small to large. */
  buckets(): Bucket[] {
    const out: Bucket[] = [];
    for (let i = 0; i < BUCKETS; i++) {
      const count = this.counts[i]!;
      if (count > 0) out.push({ fromNs: lowest(i), toNs: lowest(i + 1), count });
    }
    return out;
  }
}

/** Hot path. The bucket of a value. */
function indexOf(ns: number): number {
  if (ns < LARGE) return smallIndex(ns | 0);
  const scaled = (Math.min(ns, LARGEST - 1) / 2 ** LARGE_SHIFT) | 0;
  return smallIndex(scaled) + LARGE_SHIFT * SUB_BUCKETS;
}

/** Values below 2 × 512 have a bucket each; above, the 10 leading bits choose it. */
function smallIndex(v: number): number {
  const shift = 31 - Math.clz32(v) - SUB_BITS;
  return shift <= 0 ? v : shift * SUB_BUCKETS + (v >>> shift);
}

/** The smallest value of a bucket. */
function lowest(i: number): number {
  const shift = Math.floor(i / SUB_BUCKETS) - 1;
  return shift <= 0 ? i : (i - shift * SUB_BUCKETS) * 2 ** shift;
}
