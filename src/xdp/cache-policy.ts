/**
 * What a trace cache asks of its policy: which entries to take in and which to give up. Entries are numbers
 * (the `Trace.id` of the first path), the same for the same path each time that it is traced. A policy knows nothing of time
 * but the order of calls, and never decides what a packet's result is: any policy gives the same results.
 */
export interface CachePolicy {
  readonly name: string;
  /** Hot path. A packet took a trace that is in the cache. */
  hit(id: number): void;
  /** A packet took a trace that is not in the cache: whether it comes in. `isFull`: another has to leave for it. */
  admits(id: number, isFull: boolean): boolean;
  /** A trace came in. */
  inserted(id: number): void;
  /** Which of those that are in leaves next; called only when there is one. It is followed by `removed`. */
  victim(): number;
  /** A trace left, for whatever reason. */
  removed(id: number): void;
}

/** How much a cache holds; what is not given is not limited. */
export interface CacheCapacity {
  readonly entries?: number;
  /** Of a ternary table, see `TcamSize`. */
  readonly tcamBits?: number;
}

/** What takes an entry: a path of its own, or all paths that come to the same action. */
export type CacheUnit = "path" | "merged";
