/**
 * `millrace/xdp`: XDP programs as traces, what a programmable NIC would run. docs/traces.md has the manual.
 */

export { FifoPolicy } from "./cache-fifo.js";
export { LruPolicy } from "./cache-lru.js";
export type { CacheCapacity, CachePolicy } from "./cache-policy.js";
export type { Atom, AtomKind, Condition, TcamSize } from "./condition.js";
export { Ex, Expressions, Input, NONE } from "./expr.js";
export { tcamSize } from "./tcam.js";
export type {
  AtomicOp,
  CallOp,
  EffectOp,
  GuardOp,
  HostOnly,
  LookupOp,
  MoveOp,
  StoreOp,
  Trace,
  TraceOp,
} from "./trace.js";
export { TraceCache, type TraceCacheOptions } from "./trace-cache.js";
export { type TraceCounters, type TracedOptions, TracedProgram } from "./traced-program.js";
export { type TraceResult, Tracer } from "./tracer.js";
export { type TableEntry, weakestEntries } from "./weakest.js";
export { Words } from "./words.js";
