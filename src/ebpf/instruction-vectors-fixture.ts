/** Instructions as LLVM writes and encodes them: `test/vectors/ebpf/instructions.txt`. */
import { readFileSync } from "node:fs";

export interface InstructionVector {
  readonly text: string;
  readonly code: Uint8Array;
}

const FILE = new URL("../../../test/vectors/ebpf/instructions.txt", import.meta.url);

export const INSTRUCTION_VECTORS: readonly InstructionVector[] = readFileSync(FILE, "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [hex, text] = line.split("  ") as [string, string];
    return { text, code: Uint8Array.from(Buffer.from(hex, "hex")) };
  });
