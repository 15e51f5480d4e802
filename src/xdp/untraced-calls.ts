/** Calls that traces do not have, so that paths through them are the host's: which they are, and why. */

import type { Helper } from "../ebpf/helper.js";
import { calledHelper } from "../ebpf/helpers.js";
import { placeInstructions } from "../ebpf/instructions.js";
import { CallKind, Class, INSTRUCTION_BYTES, Jmp, LDDW } from "../ebpf/isa.js";
import type { ObjectProgram } from "../ebpf/object.js";

const FOR_EACH = 164;
const FIRST_ARGUMENT = 1;

/** In words; null: it can be in a trace. `map`: the name of the one that it is given. */
export function whyUntraced(helper: Helper, map: string | null): string | null {
  const name = `bpf_${helper.name}`;
  if (helper.isKernelFunction === true) {
    return `${name} is a function of the kernel: it asks the driver for what no trace can know`;
  }
  if (helper.result === "record or null") {
    return (
      `${name} gives memory in ${map ?? "a ring buffer"} to write to, where traces follow no stores ` +
      "(bpf_ringbuf_output of what is on the stack they do)"
    );
  }
  if (helper.number === FOR_EACH) {
    return `${name} walks through ${map ?? "a map"}: its path depends on every entry there`;
  }
  return null;
}

export interface UntracedCall {
  /** Of the instruction. */
  readonly word: number;
  readonly reason: string;
}

/** A program's calls that keep every path through them on the host, found without running it. */
export function untracedCalls({ name, code, maps }: ObjectProgram): UntracedCall[] {
  const mapAt = new Map(maps.map(({ at, map }) => [at / INSTRUCTION_BYTES, map]));
  const found: UntracedCall[] = [];
  /** What r1 was last made of, in the order of the text, which is how compilers write calls. */
  let map: string | null = null;
  for (const { opcode, dst, src, imm, word } of placeInstructions(name, code)) {
    if (opcode === LDDW && dst === FIRST_ARGUMENT) map = mapAt.get(word) ?? null;
    const isCall = opcode === (Class.JMP | Jmp.CALL) && src !== CallKind.LOCAL;
    if (!isCall) continue;
    const helper = calledHelper(imm, src === CallKind.BTF);
    const reason = helper === undefined ? null : whyUntraced(helper, map);
    if (reason !== null) found.push({ word, reason });
    map = null;
  }
  return found;
}
