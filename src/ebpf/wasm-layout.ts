/** Parameters and locals of a compiled program's functions. */
import { BURST_PARAMETERS, type BurstLocals } from "./burst.js";
import { I32, I64 } from "./wasm-writer.js";

/** What a module is for: running on a packet, or many, or being called with a frame that the caller says. */
export type ModuleKind = "entry" | "burst" | "callee";

/** Where a function has its registers and what else it needs. */
export interface Layout {
  readonly registers: readonly number[];
  readonly frame: number | null;
  readonly value: number;
  readonly address: number;
  readonly state: number;
  /** Of a burst: what its loop needs. */
  readonly burst?: BurstLocals;
}

/** Parameters r1 to r5 and the frame, then the others. */
const PARAMETERS = [I64, I64, I64, I64, I64, I32];
const CALLEE: Layout = {
  registers: [6, 0, 1, 2, 3, 4, 7, 8, 9, 10],
  frame: 5,
  value: 11,
  address: 12,
  state: 13,
};
const CALLEE_LOCALS = [I64, I64, I64, I64, I64, I64, I32, I32];
const ENTRY: Layout = {
  registers: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  frame: null,
  value: 10,
  address: 11,
  state: 12,
};
const ENTRY_LOCALS = [I64, I64, I64, I64, I64, I64, I64, I64, I64, I64, I64, I32, I32];
/** As the entry, behind the parameters, and two more. */
const BURST: Layout = {
  registers: ENTRY.registers.map((n) => n + BURST_PARAMETERS.length),
  frame: null,
  value: ENTRY.value + BURST_PARAMETERS.length,
  address: ENTRY.address + BURST_PARAMETERS.length,
  state: ENTRY.state + BURST_PARAMETERS.length,
  burst: {
    left: ENTRY.state + BURST_PARAMETERS.length + 1,
    verdict: ENTRY.state + BURST_PARAMETERS.length + 2,
  },
};

/** Of a module's first function, by what the module is for; others are callees. */
export const FRAMES = {
  entry: { parameters: [], result: I32, locals: ENTRY_LOCALS, layout: ENTRY },
  burst: {
    parameters: BURST_PARAMETERS,
    result: I32,
    locals: [...ENTRY_LOCALS, I32, I32],
    layout: BURST,
  },
  callee: { parameters: PARAMETERS, result: I64, locals: CALLEE_LOCALS, layout: CALLEE },
};
