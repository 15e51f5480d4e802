/**
 * Which traces a simulated NIC holds: so many entries, and so many bits of ternary memory (TCAM) for their
 * conditions, whichever is less. A policy decides what goes when a trace comes. Only numbers: what the traces
 * are, the owner knows.
 *
 *     const cache = new CacheSimulator({ entries: 16 }, new LruPolicy());
 *     const fate = cache.use(trace, bits); // for each packet, the trace that its path is
 */
import type { CacheCapacity, CachePolicy } from "./cache-policy.js";

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

const NOT_IN = -1;

export class CacheSimulator {
  readonly entries: number;
  readonly tcamBits: number;
  readonly policy: CachePolicy;
  hits = 0;
  installed = 0;
  refused = 0;
  evicted = 0;
  /** Taken out because they were not valid any more. */
  invalidated = 0;
  /** Of the traces that are in. */
  usedBits = 0;
  /** Traces that are in. */
  count = 0;
  /** By trace: its bits; NOT_IN. */
  private bitsOf = new Float64Array(64).fill(NOT_IN);

  constructor(capacity: CacheCapacity, policy: CachePolicy) {
    const { entries = Number.POSITIVE_INFINITY, tcamBits = Number.POSITIVE_INFINITY } = capacity;
    if (!(entries >= 1)) throw new RangeError(`expected at least one entry, got ${entries}`);
    this.entries = entries;
    this.tcamBits = tcamBits;
    this.policy = policy;
  }

  /** Packets that matched nothing. */
  get misses(): number {
    return this.installed + this.refused;
  }

  /** Hot path. */
  has(trace: number): boolean {
    return trace < this.bitsOf.length && this.bitsOf[trace] !== NOT_IN;
  }

  /** The traces that are in, in order of their numbers. */
  traces(): number[] {
    return [...this.bitsOf.keys()].filter((trace) => this.has(trace));
  }

  /** Hot path. True, and counted, when the NIC has the trace. When not: {@link install}. */
  hit(trace: number): boolean {
    if (!this.has(trace)) return false;
    this.hits++;
    this.policy.hit(trace);
    return true;
  }

  /** A packet missed, the host traced it: `Fate` of the trace, whose condition takes `bits`. */
  install(trace: number, bits = 0): number {
    const { policy } = this;
    const isTooLarge = bits > this.tcamBits;
    const isAdmitted = policy.admits(trace, this.count > 0 && !this.fits(bits));
    if (isTooLarge || !isAdmitted) {
      this.refused++;
      return isTooLarge ? Fate.TOO_LARGE : Fate.REFUSED;
    }
    this.makeRoom(bits);
    this.put(trace, bits);
    this.installed++;
    return Fate.INSTALLED;
  }

  /** Hot path. One packet whose path is `trace`: hit, or install. */
  use(trace: number, bits = 0): number {
    return this.hit(trace) ? Fate.HIT : this.install(trace, bits);
  }

  /**
   * A trace that is in takes so many bits more, as a path comes to it; others leave for them, or the trace itself
   * does and comes in anew. False: they are more than the whole cache has, and nothing has changed.
   */
  grow(trace: number, bits: number): boolean {
    const all = this.bitsOf[trace]! + bits;
    if (all > this.tcamBits) return false;
    while (this.has(trace) && this.usedBits + bits > this.tcamBits) this.evict();
    if (this.has(trace)) {
      this.bitsOf[trace] = all;
      this.usedBits += bits;
      return true;
    }
    this.makeRoom(all);
    this.put(trace, all);
    return true;
  }

  /** Takes a trace out, because it is not valid any more; false when it is not in. */
  invalidate(trace: number): boolean {
    if (!this.has(trace)) return false;
    this.take(trace);
    this.invalidated++;
    return true;
  }

  private makeRoom(bits: number): void {
    while (!this.fits(bits)) this.evict();
  }

  private evict(): void {
    this.take(this.policy.victim());
    this.evicted++;
  }

  private fits(bits: number): boolean {
    return this.count < this.entries && this.usedBits + bits <= this.tcamBits;
  }

  private put(trace: number, bits: number): void {
    if (trace >= this.bitsOf.length) {
      const longer = new Float64Array(2 * Math.max(trace + 1, this.bitsOf.length)).fill(NOT_IN);
      longer.set(this.bitsOf);
      this.bitsOf = longer;
    }
    this.bitsOf[trace] = bits;
    this.usedBits += bits;
    this.count++;
    this.policy.inserted(trace);
  }

  private take(trace: number): void {
    this.usedBits -= this.bitsOf[trace]!;
    this.bitsOf[trace] = NOT_IN;
    this.count--;
    this.policy.removed(trace);
  }
}
