/** Where to stop: an instruction, a source line, or the start of a function. */
import type { DecodedProgram } from "../../../ebpf/decode.js";
import { INSTRUCTION_BYTES } from "../../../ebpf/isa.js";
import { lineOf, shortFile } from "./describe.js";
import type { Place } from "./stepper.js";

export interface Breakpoint {
  readonly id: number;
  /** As the user wrote it. */
  readonly text: string;
  hits(place: Place, before: Place | null): boolean;
}

/** Throws RangeError that says what was expected. */
export function parseBreakpoint(
  id: number,
  text: string,
  programs: readonly DecodedProgram[],
): Breakpoint {
  if (/^\d+$/.test(text)) return atWord(id, text, programs);
  const line = /^([^:]*):(\d+)$/.exec(text);
  if (line !== null) return atLine(id, text, line[1]!, Number(line[2]), programs);
  return atFunction(id, text, programs);
}

function atWord(id: number, text: string, programs: readonly DecodedProgram[]): Breakpoint {
  const word = Number(text);
  const isThere = programs.some((program) => program.instructions.some((i) => i.word === word));
  if (!isThere) throw new RangeError(`there is no instruction ${word}`);
  return { id, text, hits: (place) => place.word === word };
}

function atLine(
  id: number,
  text: string,
  file: string,
  line: number,
  programs: readonly DecodedProgram[],
): Breakpoint {
  const lines = programs.flatMap((program) => program.program.lines);
  const inFile = lines.filter((one) => file === "" || shortFile(one) === file);
  if (inFile.length === 0) {
    const files = [...new Set(lines.map(shortFile))].join(", ") || "none: build with -g";
    throw new RangeError(`no code is of ${file || "any file"}; there are: ${files}`);
  }
  if (!inFile.some((one) => one.line === line)) {
    const next = inFile.map((one) => one.line).filter((one) => one > line);
    const hint = next.length === 0 ? "" : `; the next one is ${Math.min(...next)}`;
    throw new RangeError(`line ${line} has no code${hint}`);
  }
  const isOn = (place: Place | null): boolean => {
    const found = place === null ? null : lineOf(place.program, place.word);
    return found?.line === line && (file === "" || shortFile(found) === file);
  };
  // Coming to the line, not going on in it; a call that comes back is in it still.
  const isNew = (place: Place, before: Place | null): boolean =>
    !isOn(before) || place.callers.length > (before?.callers.length ?? 0);
  return { id, text, hits: (place, before) => isOn(place) && isNew(place, before) };
}

function atFunction(id: number, text: string, programs: readonly DecodedProgram[]): Breakpoint {
  const all = programs.flatMap((program) => program.program.functions);
  const found = all.find(({ name }) => name === text);
  if (found === undefined) {
    const names = [...new Set(all.map(({ name }) => name))].join(", ");
    throw new RangeError(
      `expected an instruction's number, FILE:LINE, :LINE or a function (${names}), got ${text}`,
    );
  }
  const word = found.at / INSTRUCTION_BYTES;
  const isIts = (program: DecodedProgram): boolean =>
    program.program.functions.some(({ name, at }) => name === text && at === found.at);
  return { id, text, hits: (place) => place.word === word && isIts(place.program) };
}
