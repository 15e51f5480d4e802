/** Which registers are read again before they are written: what the verifier need not compare at others. */
import { isBranch, isExit, isGoto, jumpTarget } from "./flow-graph.js";
import type { PlacedInstruction } from "./instructions.js";
import { Alu, Atomic, CallKind, Class, Jmp, LDDW, Mode, SOURCE_REGISTER } from "./isa.js";

const CALL_DESTROYS = 0b11_1111;
/** What a call may read: r1 to r5. */
const ARGUMENTS = 0b11_1110;

/** By instruction, a bit for each register that is live before it. */
export function liveRegisters(
  instructions: readonly PlacedInstruction[],
  places: ReadonlyMap<number, number>,
): Int32Array {
  const live = new Int32Array(instructions.length + 1);
  for (let changed = true; changed; ) {
    changed = false;
    for (let at = instructions.length - 1; at >= 0; at--) {
      const i = instructions[at]!;
      let after = isGoto(i) || isExit(i) ? 0 : live[at + 1]!;
      if (isGoto(i) || isBranch(i)) after |= live[places.get(jumpTarget(i)) ?? at]!;
      const [reads, writes] = uses(i);
      const before = reads | (after & ~writes);
      if (before !== live[at]) {
        live[at] = before;
        changed = true;
      }
    }
  }
  return live;
}

function uses(i: PlacedInstruction): readonly [reads: number, writes: number] {
  const dst = 1 << i.dst;
  const src = 1 << i.src;
  const code = i.opcode & 0xf0;
  const right = (i.opcode & SOURCE_REGISTER) !== 0 ? src : 0;
  switch (i.opcode & 7) {
    case Class.ALU:
    case Class.ALU64:
      if (code === Alu.MOV) return [right, dst];
      return [dst | (code === Alu.END || code === Alu.NEG ? 0 : right), dst];
    case Class.JMP:
    case Class.JMP32:
      if (isExit(i)) return [1, 0];
      if (isGoto(i)) return [0, 0];
      if (code === Jmp.CALL) return [ARGUMENTS, i.src === CallKind.BTF ? 0 : CALL_DESTROYS];
      return [dst | right, 0];
    case Class.LDX:
      return [src, dst];
    case Class.ST:
      return [dst, 0];
    case Class.STX:
      if ((i.opcode & 0xe0) !== Mode.ATOMIC) return [dst | src, 0];
      return [dst | src | (i.imm === Atomic.CMPXCHG ? 1 : 0), 0];
    default:
      return i.opcode === LDDW ? [0, dst] : [0, 1];
  }
}
