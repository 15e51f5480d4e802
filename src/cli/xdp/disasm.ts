/** `millrace xdp disasm`: a program's instructions, with functions, maps and source lines. */
import { type Describe, describeInstruction, disassemble } from "../../ebpf/disasm.js";
import { INSTRUCTION_BYTES } from "../../ebpf/isa.js";
import { describeMnemonic } from "../../ebpf/mnemonics.js";
import type { ObjectProgram } from "../../ebpf/object.js";
import { DONE, type World } from "../world.js";
import { chooseProgram, type ObjectOptions, readObject } from "./object-file.js";

export interface DisasmOptions extends ObjectOptions {
  readonly source?: boolean;
  /** `add r1, 2` instead of `r1 += 2`. */
  readonly names?: boolean;
}

/** Returns the exit status. */
export async function disassembleObject(
  file: string,
  options: DisasmOptions,
  world: World,
): Promise<number> {
  const object = readObject(file, options);
  const programs =
    options.program === undefined ? object.programs : [chooseProgram(object, options.program)];
  const withSource = options.source !== false;
  const describe = options.names === true ? describeMnemonic : describeInstruction;
  if (options.json === true) {
    const list = programs.map((program) => instructionList(program, withSource, describe));
    await world.out.write(`${JSON.stringify(list, null, 2)}\n`);
    return DONE;
  }
  const text = programs.map((program) => disassembleProgram(program, withSource, describe));
  await world.out.write(text.join("\n"));
  return DONE;
}

/** A program as one object: its functions' names, maps and source lines stand at their instructions. */
function instructionList(program: ObjectProgram, withSource: boolean, describe: Describe): object {
  const { name, section, problem } = program;
  if (problem !== null) return { program: name, section, problem: problem.message };
  const functions = new Map(program.functions.map((one) => [one.at, one.name]));
  const maps = new Map(program.maps.map(({ at, map }) => [at, map]));
  const lines = new Map(program.lines.map((line) => [line.at, line]));
  const instructions = disassemble(program.code, describe).map((text) => {
    const [, pc = "", instruction = ""] = /^\s*(\d+): (.*)$/.exec(text) ?? [];
    const at = Number(pc) * INSTRUCTION_BYTES;
    const line = withSource ? lines.get(at) : undefined;
    return {
      pc: Number(pc),
      instruction,
      function: functions.get(at),
      map: maps.get(at),
      file: line?.file,
      line: line?.line,
      source: line?.text,
    };
  });
  return { program: name, section, instructions };
}

export function disassembleProgram(
  program: ObjectProgram,
  withSource: boolean,
  describe: Describe = describeInstruction,
): string {
  if (program.problem !== null) return `${program.name}: ${program.problem.message}\n`;
  const functions = new Map(program.functions.map(({ at, name }) => [at, name]));
  const maps = new Map(program.maps.map(({ at, map }) => [at, map]));
  const lines = new Map(program.lines.map((line) => [line.at, line]));
  const out: string[] = [];
  let before = "";
  for (const text of disassemble(program.code, describe)) {
    const at = Number.parseInt(text, 10) * INSTRUCTION_BYTES;
    const name = functions.get(at);
    if (name !== undefined) {
      const section = name === program.name ? ` (${program.section})` : "";
      out.push(`${out.length === 0 ? "" : "\n"}${name}${section}:`);
    }
    const line = lines.get(at);
    const source =
      line === undefined ? "" : `; ${line.file.split("/").at(-1)}:${line.line}  ${line.text}`;
    if (withSource && source !== "" && source !== before) out.push(source);
    if (source !== "") before = source;
    const map = maps.get(at);
    out.push(
      `${text.padStart(text.length + 6 - text.indexOf(":"))}${map === undefined ? "" : `  # ${map}`}`,
    );
  }
  return `${out.join("\n")}\n`;
}
