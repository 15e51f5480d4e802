/**
 * `millrace/xdp`: XDP programs as traces, what a programmable NIC would run. docs/traces.md has the manual.
 */

// The simulated NIC: docs/xdp-nic.md.
export { arrivalTimes } from "./arrivals.js";
export { BeladyPolicy } from "./cache-belady.js";
export { ClockPolicy } from "./cache-clock.js";
export { FifoPolicy } from "./cache-fifo.js";
export { LfuPolicy } from "./cache-lfu.js";
export { LruPolicy } from "./cache-lru.js";
export { makePolicy, POLICY_NAMES, type PolicyName } from "./cache-policies.js";
export type { CacheCapacity, CachePolicy, CacheUnit } from "./cache-policy.js";
export { SecondMissPolicy } from "./cache-second-miss.js";
export { CacheSimulator, Fate } from "./cache-simulator.js";
export { TinyLfuPolicy } from "./cache-tinylfu.js";
export { ChosenProgram } from "./chosen-program.js";
export type { Atom, AtomKind, Condition, TcamSize } from "./condition.js";
export {
  AccessKind,
  type Contract,
  HOST,
  type MapModel,
  type ModelPlace,
  NIC,
  type Side,
} from "./consistency.js";
export { MODEL_NAMES, type ModelName, modelsFor } from "./consistency-models.js";
export {
  type ConsistencyOptions,
  type ConsistencyReport,
  type ControlWork,
  type MapAccess,
  type ModelChoice,
  type PacketWork,
  runConsistency,
} from "./consistency-run.js";
export { type ProfileOptions, type ProgramProfile, profileProgram } from "./evaluation.js";
export { type CacheUse, cacheUse, hitRate, type PathTable, pathTable } from "./evaluation-cache.js";
export { type NicRunOptions, runAttack, runNic } from "./evaluation-nic.js";
export {
  type EvaluationOptions,
  evaluateProgram,
  type ProgramEvaluation,
} from "./evaluation-report.js";
export { type MapStateRow, stateTable } from "./evaluation-state.js";
export { cyclesPerPacket, type VliwTable, vliwTable } from "./evaluation-vliw.js";
export { Ex, Expressions, Input, NONE } from "./expr.js";
export { cyclicAttack, mutatePacket } from "./hostile.js";
export { findMapUse, isAddOnly, isReadOnly, type MapUse } from "./map-use.js";
export {
  DEFAULT_NIC,
  type NicMachine,
  type NicPacket,
  type NicReport,
  simulateNic,
} from "./nic-simulator.js";
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
export { mixTraffic } from "./traffic-mix.js";
export {
  formatRows,
  HXDP_MACHINE,
  schedule,
  type VliwKind,
  type VliwMachine,
  type VliwOperation,
  type VliwSchedule,
} from "./vliw.js";
export { formatProgram, scheduleProgram, type VliwProgram } from "./vliw-program.js";
export { scheduleTrace, type VliwTrace } from "./vliw-trace.js";
export { type TableEntry, weakestEntries } from "./weakest.js";
export { Words } from "./words.js";
