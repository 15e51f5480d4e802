/**
 * Which traces may be taken: a limit, and a policy that decides who stays within it. An entry is an action
 * (action-key.ts) with the conditions of all paths that come to it, or a path with its own.
 */

import { actionKey } from "./action-key.js";
import { LruPolicy } from "./cache-lru.js";
import type { CacheCapacity, CachePolicy, CacheUnit } from "./cache-policy.js";
import type { Expressions } from "./expr.js";
import { tcamSize } from "./tcam.js";
import { MAX_TRACES, type Trace } from "./trace.js";
import type { TraceStore } from "./trace-store.js";

export interface TraceCacheOptions {
  /** Not limited by default. */
  readonly capacity?: CacheCapacity;
  /** LRU by default. */
  readonly policy?: CachePolicy;
  /** What an entry is: "merged" by default. */
  readonly unit?: CacheUnit;
}

/** Paths that come to the same action. */
interface Action {
  /** The first one's number, which policies know it by. */
  readonly number: number;
  /** With their bits of TCAM: all that are in, or were when it left. */
  readonly paths: Map<number, number>;
}

export class TraceCache {
  readonly policy: CachePolicy;
  /** Hot path. By trace, the entry that it belongs to. */
  readonly entryOf = new Int32Array(MAX_TRACES);
  private readonly e: Expressions;
  private readonly store: TraceStore;
  private readonly capacity: CacheCapacity;
  private readonly isMerged: boolean;
  private readonly actions = new Map<string, Action>();
  /** By trace. */
  private readonly known: (Action | undefined)[] = [];
  /** Entries, by number. */
  private readonly held = new Map<number, Action>();
  private bits = 0;
  /** Entries that had to leave for others; forgetting them all is none. */
  evictions = 0;

  constructor(e: Expressions, store: TraceStore, options: TraceCacheOptions) {
    this.e = e;
    this.store = store;
    this.capacity = options.capacity ?? {};
    this.policy = options.policy ?? new LruPolicy();
    // Without a limit nobody counts entries.
    this.isMerged = this.isLimited && options.unit !== "path";
  }

  get isLimited(): boolean {
    return this.capacity.entries !== undefined || this.capacity.tcamBits !== undefined;
  }

  /** Entries that are in. */
  get size(): number {
    return this.held.size;
  }

  /** Whether a trace is in. */
  has(id: number): boolean {
    return this.held.get(this.entryOf[id]!)?.paths.has(id) ?? false;
  }

  /** Offers a trace that a packet has just taken on the host; whether it came in. */
  offer(trace: Trace): boolean {
    if (trace.hostOnly !== null || this.has(trace.id)) return false;
    const action = this.actionOf(trace);
    const isIn = this.held.has(action.number);
    const most = this.capacity.tcamBits ?? Number.POSITIVE_INFINITY;
    const bits = most === Number.POSITIVE_INFINITY ? 0 : tcamSize(this.e, trace.condition).bits;
    if (this.capacity.entries === 0 || bits > most) return false;
    if (bits + bitsOf(action) > most) {
      if (isIn) return false;
      action.paths.clear(); // What does not come back together comes one by one.
    }
    if (isIn) this.policy.hit(action.number);
    else if (!this.policy.admits(action.number, this.isFull(1, bits + bitsOf(action))))
      return false;
    action.paths.set(trace.id, bits);
    this.makeRoom(action, isIn ? bits : bitsOf(action));
    this.put(action);
    return true;
  }

  /** Takes the entry out that a trace belongs to. */
  evict(id: number): void {
    const action = this.held.get(this.entryOf[id]!);
    if (action === undefined || !action.paths.has(id)) {
      throw new RangeError(`${this.policy.name}: trace ${id} is not in the cache`);
    }
    this.evictions++;
    this.remove(action);
  }

  /** Forgets everything, as traces are: their numbers begin again. */
  clear(): void {
    for (const action of [...this.held.values()]) this.remove(action);
    this.actions.clear();
    this.known.length = 0;
  }

  private isFull(moreEntries: number, moreBits: number): boolean {
    const { entries, tcamBits } = this.capacity;
    return (
      this.held.size + moreEntries > (entries ?? Number.POSITIVE_INFINITY) ||
      this.bits + moreBits > (tcamBits ?? Number.POSITIVE_INFINITY)
    );
  }

  private actionOf(trace: Trace): Action {
    const known = this.known[trace.id];
    if (known !== undefined) return known;
    const key = this.isMerged ? actionKey(this.e, trace) : `${trace.id}`;
    let action = this.actions.get(key);
    if (action === undefined) {
      action = { number: trace.id, paths: new Map() };
      this.actions.set(key, action);
    }
    this.known[trace.id] = action;
    this.entryOf[trace.id] = action.number;
    return action;
  }

  /** For so many bits of an action, which may have to go itself and come in again. */
  private makeRoom(action: Action, bits: number): void {
    let more = bits;
    while (this.isFull(this.held.has(action.number) ? 0 : 1, more)) {
      const victim = this.held.get(this.policy.victim())!;
      if (victim === action) {
        this.bits += more; // of the path that it has got and that is not in yet
        more = bitsOf(action);
      }
      this.evictions++;
      this.remove(victim);
    }
    this.bits += more;
  }

  private put(action: Action): void {
    for (const id of action.paths.keys()) this.store.setEnabled(id, true);
    if (this.held.has(action.number)) return;
    this.held.set(action.number, action);
    this.policy.inserted(action.number);
  }

  private remove(action: Action): void {
    this.held.delete(action.number);
    this.bits -= bitsOf(action);
    for (const id of action.paths.keys()) this.store.setEnabled(id, false);
    this.policy.removed(action.number);
  }
}

function bitsOf({ paths }: Action): number {
  let sum = 0;
  for (const bits of paths.values()) sum += bits;
  return sum;
}
