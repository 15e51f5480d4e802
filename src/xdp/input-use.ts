/** Whether a program draws random numbers, so that what a trace drew that is not taken is drawn again. */
import type { DecodedProgram } from "../ebpf/decode.js";
import { TAIL_CALL } from "../ebpf/helpers.js";
import { CallKind, Class, Jmp } from "../ebpf/isa.js";

const RANDOM = 7;

/** Programs behind tail calls may. */
export function isRandom({ instructions }: DecodedProgram): boolean {
  return instructions.some(
    ({ opcode, src, imm }) =>
      opcode === (Class.JMP | Jmp.CALL) &&
      src === CallKind.HELPER &&
      (imm === RANDOM || imm === TAIL_CALL),
  );
}
