/**
 * What a replacement policy of the trace cache decides: which trace leaves the NIC when another comes, and
 * whether that one comes at all. A policy knows places, 0 up to the cache's number of entries, and traces,
 * which are numbers; the cache (trace-cache.ts) owns what is where.
 *
 * A policy is told of every hit and every miss, in the order of the packets.
 */
export interface CachePolicy {
  /** As tables and `--policy` name it. */
  readonly name: string;

  /** Hot path. A packet matched the trace at a place. Allocates nothing. */
  hit(place: number): void;

  /** A packet matched nothing; the host traced it. Called once a miss, before anything else. */
  miss(trace: number): void;

  /** Whether a trace that missed is worth what must go for it. Called only when the cache is full. */
  admits(trace: number): boolean;

  /** The place to give up next. At least one is taken. */
  victim(): number;

  /** A trace was put into a free place. */
  add(place: number, trace: number): void;

  /** The trace at a place was taken out: given up, or not valid any more. */
  remove(place: number): void;
}
