/**
 * The traces that a NIC holds: so many entries, and so many bits of ternary memory (TCAM) for their
 * conditions, whichever is less. A policy decides what goes when a trace comes.
 *
 *     const cache = new TraceCache({ entries: 16, policy: new LruPolicy(16) });
 *     const fate = cache.use(trace, bits); // for each packet, the trace that its path is
 *
 * Traces are numbers from 0, as their owner counts them; a table of as many words finds their places.
 */
import type { CachePolicy } from "./cache-policy.js";

export const Fate = {
  /** The NIC had the trace. */
  HIT: 0,
  /** It had not, and has now. */
  INSTALLED: 1,
  /** The policy did not want it. */
  REFUSED: 2,
  /** It is larger than the whole cache. */
  TOO_LARGE: 3,
} as const;

export interface TraceCacheOptions {
  readonly entries: number;
  /** Without it bits do not count. */
  readonly tcamBits?: number;
  readonly policy: CachePolicy;
}

export class TraceCache {
  readonly entries: number;
  readonly tcamBits: number;
  readonly policy: CachePolicy;
  hits = 0;
  installed = 0;
  refused = 0;
  evicted = 0;
  /** Taken out because they were not valid any more. */
  invalidated = 0;
  /** Of the traces that are there. */
  usedBits = 0;
  /** Traces that are there. */
  count = 0;
  /** By trace: its place, -1 when it is not there. */
  private placeOf = new Int32Array(64).fill(-1);
  private readonly traceAt: Int32Array;
  private readonly bitsAt: Float64Array;
  /** Places without a trace, the first `entries - count`. */
  private readonly free: Int32Array;

  constructor({ entries, tcamBits = Number.POSITIVE_INFINITY, policy }: TraceCacheOptions) {
    if (!Number.isInteger(entries) || entries < 1) {
      throw new RangeError(`expected at least one entry, got ${entries}`);
    }
    this.entries = entries;
    this.tcamBits = tcamBits;
    this.policy = policy;
    this.traceAt = new Int32Array(entries).fill(-1);
    this.bitsAt = new Float64Array(entries);
    this.free = Int32Array.from({ length: entries }, (_, n) => entries - 1 - n);
  }

  /** Packets that matched nothing. */
  get misses(): number {
    return this.installed + this.refused;
  }

  has(trace: number): boolean {
    return trace < this.placeOf.length && this.placeOf[trace]! >= 0;
  }

  /** The traces that are there, in no order. */
  traces(): number[] {
    return [...this.traceAt].filter((trace) => trace >= 0);
  }

  /**
   * Hot path. True, and counted, when the NIC has the trace. When not: {@link install}.
   */
  hit(trace: number): boolean {
    if (trace >= this.placeOf.length) return false;
    const place = this.placeOf[trace]!;
    if (place < 0) return false;
    this.hits++;
    this.policy.hit(place);
    return true;
  }

  /** A packet missed, the host traced it: `Fate` of the trace, whose condition takes `bits`. */
  install(trace: number, bits = 0): number {
    const { policy } = this;
    policy.miss(trace);
    if (bits > this.tcamBits) {
      this.refused++;
      return Fate.TOO_LARGE;
    }
    if (!this.fits(bits) && !policy.admits(trace)) {
      this.refused++;
      return Fate.REFUSED;
    }
    while (!this.fits(bits)) {
      this.take(policy.victim());
      this.evicted++;
    }
    this.put(trace, bits);
    this.installed++;
    return Fate.INSTALLED;
  }

  /** Hot path. One packet whose path is `trace`: hit, or install. */
  use(trace: number, bits = 0): number {
    return this.hit(trace) ? Fate.HIT : this.install(trace, bits);
  }

  /** Takes a trace out, because it is not valid any more; false when it is not there. */
  invalidate(trace: number): boolean {
    if (!this.has(trace)) return false;
    this.take(this.placeOf[trace]!);
    this.invalidated++;
    return true;
  }

  private fits(bits: number): boolean {
    return this.count < this.entries && this.usedBits + bits <= this.tcamBits;
  }

  private put(trace: number, bits: number): void {
    if (trace >= this.placeOf.length) {
      const longer = new Int32Array(2 * Math.max(trace + 1, this.placeOf.length)).fill(-1);
      longer.set(this.placeOf);
      this.placeOf = longer;
    }
    const place = this.free[this.entries - ++this.count]!;
    this.placeOf[trace] = place;
    this.traceAt[place] = trace;
    this.bitsAt[place] = bits;
    this.usedBits += bits;
    this.policy.add(place, trace);
  }

  private take(place: number): void {
    this.policy.remove(place);
    this.placeOf[this.traceAt[place]!] = -1;
    this.traceAt[place] = -1;
    this.usedBits -= this.bitsAt[place]!;
    this.free[this.entries - this.count--] = place;
  }
}
