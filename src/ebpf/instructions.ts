/** A program's instructions with the words where they are, as disassembler and verifier count. */
import { describeInstruction } from "./disasm.js";
import { EbpfError } from "./ebpf-error.js";
import { INSTRUCTION_BYTES, type Instruction, isWide, readInstruction } from "./isa.js";

export interface PlacedInstruction extends Instruction {
  readonly word: number;
}

/** Throws `EbpfError` EINVAL for what is no instruction of RFC 9669. */
export function placeInstructions(name: string, code: Uint8Array): PlacedInstruction[] {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const found: PlacedInstruction[] = [];
  for (let at = 0; at < code.length; ) {
    const word = at / INSTRUCTION_BYTES;
    let i: Instruction;
    try {
      i = readInstruction(view, at);
    } catch (error) {
      throw refuse(name, word, (error as Error).message);
    }
    if (describeInstruction(i) === null) {
      const bytes = Buffer.from(code.subarray(at, at + INSTRUCTION_BYTES)).toString("hex");
      throw refuse(name, word, `${bytes} is no instruction of RFC 9669`);
    }
    found.push({ ...i, word });
    at += isWide(i) ? 2 * INSTRUCTION_BYTES : INSTRUCTION_BYTES;
  }
  return found;
}

/** What is wrong with an instruction. */
export function refuse(name: string, word: number, message: string): EbpfError {
  return new EbpfError("EINVAL", `${name}: instruction ${word}: ${message}`);
}
