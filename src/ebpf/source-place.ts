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
  return line === null ? "" : ` (${placeText(line)})`;
}

/** `filter.c:12: if (eth + 1 > end)`, or without text when the object has none. */
export function placeText({ file, line, text }: SourceLine): string {
  return `${file.split("/").at(-1)}:${line}${text === "" ? "" : `: ${text}`}`;
}
