/** What of the outside a program asks for, so that what it does not need is not sampled. */
import type { DecodedProgram } from "../ebpf/decode.js";
import { TAIL_CALL } from "../ebpf/helpers.js";
import { CallKind, Class, Jmp } from "../ebpf/isa.js";
import type { Runtime } from "../ebpf/runtime.js";

export interface InputUse {
  /** Time or CPU, or anything that may be. */
  readonly hasInputs: boolean;
  readonly isRandom: boolean;
}

const RANDOM = 7;
/** Times, the CPU's number, and what moves the packet's ends within the frame. */
const INPUTS = [5, 8, 125, 160, 208, 44, 54, 65];

/** Programs behind tail calls may use everything. */
export function inputUse(program: DecodedProgram, runtime: Runtime): InputUse {
  const called = new Set<number>();
  for (const { opcode, src, imm } of program.instructions) {
    if (opcode === (Class.JMP | Jmp.CALL) && src === CallKind.HELPER) called.add(imm);
  }
  const isRandom = called.has(RANDOM) || called.has(TAIL_CALL);
  const isPerCpu = runtime.maps.some((map) => map.cpus > 1);
  const hasInputs =
    isPerCpu || called.has(TAIL_CALL) || INPUTS.some((number) => called.has(number));
  return { hasInputs, isRandom };
}
