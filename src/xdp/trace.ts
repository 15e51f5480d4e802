/**
 * A trace: what a program did to one packet, as a straight line over the initial state. Whoever meets the
 * trace's guards does exactly its effects and has its verdict.
 *
 * Operations are in program order. Values are nodes of the program's {@link Expressions} (static single
 * assignment: a node never changes), and `word` is the instruction that made the operation, for source
 * lines. Loads and arithmetic are no operations: they are the nodes that operations refer to.
 *
 * Matching and executing are one atomic step on the side that owns the maps: guards first, in their order
 * (each is only safe to evaluate when those before it hold), then effects in theirs. `isBefore` marks calls
 * that belong to the first phase. Nothing before the last guard changes anything.
 */
import type { Condition } from "./condition.js";

/** In `word`, what is added to words of the second program that a trace goes through by tail calls, and so on. */
export const WORD_STRIDE = 2 ** 20;

/** A branch whose outcome the initial state decides. */
export interface GuardOp {
  readonly kind: "guard";
  readonly word: number;
  /** A comparison (EQ, LTU, LTS). */
  readonly test: number;
  /** What it must give. */
  readonly holds: boolean;
  /**
   * branch: of the program; alias: says whether two addresses are the same, where a later load depends on it;
   * value: pins a number that must be known (a length, a slot of a map of programs); room: that a call
   * succeeds; epoch: that a map is as it was.
   */
  readonly reason: "branch" | "alias" | "value" | "room" | "epoch";
}

/** A lookup whose result is a LOOKUP node. Those of arrays are arithmetic and not here. */
export interface LookupOp {
  readonly kind: "lookup";
  readonly word: number;
  /** Index of the map among the instance's. */
  readonly map: number;
  /** The LOOKUP. */
  readonly node: number;
  /** The program itself looks up, and the map notes which entries are used: it has to be made, needed or not. */
  readonly marksUse: boolean;
  /** Among the guards: false when the trace changed the map's keys before. */
  readonly isBefore: boolean;
}

/** Bytes in memory that a call reads: written there before it. */
export interface CallBytes {
  readonly at: number;
  /** 1, 2, 4 or 8. */
  readonly size: number;
  readonly node: number;
}

/** A call of a helper. */
export interface CallOp {
  readonly kind: "call";
  readonly word: number;
  readonly helper: number;
  /** Nodes of r1 to r5, as many as the helper takes; NONE: whatever. */
  readonly args: readonly number[];
  /** What of the stack it reads. */
  readonly reads: readonly CallBytes[];
  /** Stack [at, at + lengthBytes) is the call's afterwards: FILLED nodes. */
  readonly fills: readonly { readonly at: number; readonly lengthBytes: number }[];
  /** Among the trace's calls; RESULT and FILLED nodes name it. */
  readonly ordinal: number;
  /** RESULT. */
  readonly result: number;
  /** It changes nothing and belongs to the first phase. */
  readonly isBefore: boolean;
  /** Map that it works on, by index; NONE: none. */
  readonly map: number;
}

/** A store to the packet or a map's value. Stores to the stack are no operations: they are forwarded. */
export interface StoreOp {
  readonly kind: "store";
  readonly word: number;
  readonly space: "packet" | "map";
  /** Index of the map; NONE for the packet. */
  readonly map: number;
  /** Packet: node of the offset's symbolic part; map: node of the address; NONE: there is only the constant. */
  readonly base: number;
  /** Added to it; of the packet: relative to the first byte of the packet as it came. */
  readonly offset: number;
  readonly size: 1 | 2 | 4 | 8;
  readonly value: number;
}

/**
 * An atomic operation on a map's value. A compare-and-exchange is a guard and then a store, or nothing.
 */
export interface AtomicOp {
  readonly kind: "atomic";
  readonly word: number;
  readonly map: number;
  readonly base: number;
  readonly offset: number;
  readonly size: 4 | 8;
  /** The immediate of the instruction (`Atomic` of isa.ts); with FETCH the old value is a MAP_LOAD node. */
  readonly what: number;
  readonly value: number;
}

/** The packet's or its metadata's ends move: the context has to say so before the next call, and at the end. */
export interface MoveOp {
  readonly kind: "move";
  readonly word: number;
  /** Offsets from the first byte of the packet as it came. */
  readonly start: number;
  readonly end: number;
  readonly metadata: number;
}

export type TraceOp = GuardOp | LookupOp | CallOp | StoreOp | AtomicOp | MoveOp;
export type EffectOp = LookupOp | CallOp | StoreOp | AtomicOp | MoveOp;

export interface Trace {
  /** Unique in its program, in order of tracing. */
  readonly id: number;
  /** Everything, in program order. */
  readonly ops: readonly TraceOp[];
  /** The first phase: guards, lookups and calls that change nothing, in program order. */
  readonly before: readonly TraceOp[];
  /** The second phase, in program order. */
  readonly effects: readonly EffectOp[];
  /** r0 at the end; its low 32 bits count. */
  readonly verdict: number;
  /** Where the packet and its metadata are at the end, as offsets from the first byte of the packet as it came. */
  readonly start: number;
  readonly end: number;
  readonly metadata: number;
  /** Canonical; all atoms hold exactly when all guards do. */
  readonly condition: Condition;
  /** Equal for traces that do the same: effects, verdict, bounds. */
  readonly effectKey: string;
  /**
   * Why packets that meet the guards must be run by the host, effects and verdict then being empty; null: they
   * need not. The guards are those up to the place where the reason appeared.
   */
  readonly hostOnly: HostOnly | null;
  /** Instructions that the traced packet took, and their words in order. */
  readonly executed: number;
  readonly words: readonly number[];
}

export interface HostOnly {
  /** In words: "a branch depends on what bpf_map_update_elem returned". */
  readonly reason: string;
  readonly word: number;
}

/** More paths of a program than these are not kept: their packets are the host's. */
export const MAX_TRACES = 4096;

/** Marks how the packet was in the trace's first phase: what a matcher returns instead of a trace's id. */
export const NO_TRACE = -1;
