/** Which traces may be taken: a limit, and a policy that decides who stays within it. */

import { LruPolicy } from "./cache-lru.js";
import type { CacheCapacity, CachePolicy } from "./cache-policy.js";
import type { Expressions } from "./expr.js";
import { tcamSize } from "./tcam.js";
import type { Trace } from "./trace.js";
import type { TraceStore } from "./trace-store.js";

export interface TraceCacheOptions {
  /** Not limited by default. */
  readonly capacity?: CacheCapacity;
  /** LRU by default. */
  readonly policy?: CachePolicy;
}

export class TraceCache {
  readonly policy: CachePolicy;
  private readonly e: Expressions;
  private readonly store: TraceStore;
  private readonly capacity: CacheCapacity;
  private readonly sizes = new Map<number, number>();
  private bits = 0;
  /** Traces that had to leave for others. */
  evictions = 0;

  constructor(e: Expressions, store: TraceStore, options: TraceCacheOptions) {
    this.e = e;
    this.store = store;
    this.capacity = options.capacity ?? {};
    this.policy = options.policy ?? new LruPolicy();
  }

  get isLimited(): boolean {
    return this.capacity.entries !== undefined || this.capacity.tcamBits !== undefined;
  }

  /** Traces that are in. */
  get size(): number {
    return this.sizes.size;
  }

  has(id: number): boolean {
    return this.sizes.has(id);
  }

  /** Offers a trace that a packet has just taken on the host; whether it came in. */
  offer(trace: Trace): boolean {
    if (trace.hostOnly !== null || this.sizes.has(trace.id)) return false;
    const { entries, tcamBits } = this.capacity;
    const bits = tcamBits === undefined ? 0 : tcamSize(this.e, trace.condition).bits;
    if (entries === 0 || bits > (tcamBits ?? Number.POSITIVE_INFINITY)) return false;
    const isFull = (): boolean =>
      this.size >= (entries ?? Number.POSITIVE_INFINITY) ||
      this.bits + bits > (tcamBits ?? Number.POSITIVE_INFINITY);
    if (!this.policy.admits(trace.id, isFull())) return false;
    while (isFull()) this.evict(this.policy.victim());
    this.sizes.set(trace.id, bits);
    this.bits += bits;
    this.store.setEnabled(trace.id, true);
    this.policy.inserted(trace.id);
    return true;
  }

  /** Takes a trace out. */
  evict(id: number): void {
    this.remove(id);
    this.evictions++;
  }

  /** Takes all out, which is no eviction: nothing had to make room. */
  clear(): void {
    for (const id of [...this.sizes.keys()]) this.remove(id);
  }

  private remove(id: number): void {
    const bits = this.sizes.get(id);
    if (bits === undefined)
      throw new RangeError(`${this.policy.name}: trace ${id} is not in the cache`);
    this.sizes.delete(id);
    this.bits -= bits;
    this.store.setEnabled(id, false);
    this.policy.removed(id);
  }
}
