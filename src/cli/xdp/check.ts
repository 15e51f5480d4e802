/** `millrace xdp check`: the verifier's judgement of every program of an object. */
import { EbpfError } from "../../ebpf/ebpf-error.js";
import type { BpfObject, ObjectProgram } from "../../ebpf/object.js";
import { VerifyError } from "../../ebpf/verify.js";
import { verifyProgram } from "../../ebpf/verify-program.js";
import { DONE, FAILED, type World } from "../world.js";
import { chooseProgram, type ObjectOptions, readObject } from "./object-file.js";

interface Judgement {
  readonly program: string;
  readonly section: string;
  readonly accepted: boolean;
  readonly instructions: number;
  /** Instructions that the verifier walked. */
  readonly steps?: number;
  readonly stackBytes?: readonly number[];
  readonly reason?: string;
  readonly instruction?: number;
  readonly file?: string;
  readonly line?: number;
}

/** Returns the exit status: 1 when a program is refused. */
export async function checkPrograms(
  file: string,
  options: ObjectOptions,
  world: World,
): Promise<number> {
  const object = readObject(file, options);
  const programs =
    options.program === undefined
      ? object.programs.filter((program) => program.section.startsWith("xdp"))
      : [chooseProgram(object, options.program)];
  if (programs.length === 0) {
    throw new EbpfError("EINVAL", `${file} has no XDP program: name its section with SEC("xdp")`);
  }
  const judgements = programs.map((program) => judge(object, program));
  const text =
    options.json === true
      ? `${JSON.stringify(judgements, null, 2)}\n`
      : judgements.map(describe).join("");
  await world.out.write(text);
  return judgements.every(({ accepted }) => accepted) ? DONE : FAILED;
}

function judge(object: BpfObject, program: ObjectProgram): Judgement {
  const { name, section, code } = program;
  const about = { program: name, section, instructions: code.length / 8 };
  try {
    return { ...about, accepted: true, ...verifyProgram(object, program) };
  } catch (error) {
    if (!(error instanceof EbpfError)) throw error;
    if (!(error instanceof VerifyError))
      return { ...about, accepted: false, reason: error.message };
    const { reason, word, file, line } = error;
    const place = file === null || line === null ? {} : { file, line };
    return { ...about, accepted: false, reason, instruction: word, ...place };
  }
}

function describe(j: Judgement): string {
  const name = `${j.program} (${j.section})`;
  if (j.accepted) {
    const deepest = Math.max(0, ...j.stackBytes!);
    return `ok    ${name}: ${j.instructions} instructions, ${j.steps} steps, ${deepest} bytes of stack\n`;
  }
  const where = j.instruction === undefined ? "" : ` instruction ${j.instruction}`;
  const source = j.file === undefined ? "" : `, ${j.file}:${j.line}`;
  return `fail  ${name}:${where}${source}\n      ${j.reason}\n`;
}
