/**
 * Programs as text: a mistake has a place; what is read is the same program again after it was written, in
 * both syntaxes; and the verifier judges it, whatever it is.
 */
import { PlacedError } from "../../src/base/placed-error.js";
import { assembleText } from "../../src/ebpf/asm-text.js";
import { type Describe, describeInstruction, disassemble } from "../../src/ebpf/disasm.js";
import { EbpfError } from "../../src/ebpf/ebpf-error.js";
import { describeMnemonic } from "../../src/ebpf/mnemonics.js";
import type { BpfObject } from "../../src/ebpf/object.js";
import { verifyProgram } from "../../src/ebpf/verify-program.js";
import { mustBeInside, mustEqual, type Target } from "../target.js";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function again(code: Uint8Array, describe: Describe): string {
  return hex(assembleText(disassemble(code, describe).join("\n")).programs[0]!.code);
}

function verdictOf(object: BpfObject): string {
  try {
    return `${verifyProgram(object, object.programs[0]!).steps > 0}`;
  } catch (error) {
    if (!(error instanceof EbpfError)) throw error;
    return error.message.replaceAll(/\S*[^ a-z,:.]\S*/gi, "").slice(0, 80);
  }
}

function read(text: string): BpfObject | string {
  try {
    return assembleText(text, "f");
  } catch (error) {
    if (!(error instanceof PlacedError)) throw error;
    mustBeInside(text, error.problems);
    return error.problems[0]!.text.replace(/[;:(].*/s, "").replaceAll(/\S*\d\S*/g, "");
  }
}

export const target: Target = {
  name: "asm-text",
  summary: "programs as text: read, written, read again, verified",
  maxBytes: 1024,
  run(input) {
    const object = read(Buffer.from(input).toString("latin1"));
    if (typeof object === "string") return object;
    const { code, functions } = object.programs[0]!;
    for (const describe of [describeInstruction, describeMnemonic]) {
      mustEqual("the program as text is another", hex(code), again(code, describe));
    }
    const opcodes = new Set(code.filter((_, at) => at % 8 === 0));
    return `${[...opcodes].sort()} ${functions.length} ${object.maps.length} ${verdictOf(object)}`;
  },
};
