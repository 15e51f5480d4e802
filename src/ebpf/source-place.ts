/** The source line that an instruction comes from. */
import type { SourceLine } from "./btf-ext.js";
import { INSTRUCTION_BYTES } from "./isa.js";
import type { LinkedProgram } from "./link.js";

/** The line of the instruction at a word; null when the object does not say. */
export function sourceLine(program: Pick<LinkedProgram, "lines">, word: number): SourceLine | null {
  const at = word * INSTRUCTION_BYTES;
  let found: SourceLine | null = null;
  for (const line of program.lines) {
    if (line.at > at) break;
    found = line;
  }
  return found;
}

/** ` (filter.c:12: if (eth + 1 > end))`, or nothing. */
export function sourcePlace(program: Pick<LinkedProgram, "lines">, word: number): string {
  const line = sourceLine(program, word);
  if (line === null) return "";
  const text = line.text === "" ? "" : `: ${line.text}`;
  return ` (${line.file.split("/").at(-1)}:${line.line}${text})`;
}
