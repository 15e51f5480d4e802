/** `millrace xdp check`: the verifier's judgement of every program of an object. */
import { EbpfError } from "../../ebpf/ebpf-error.js";
import type { BpfObject, ObjectProgram } from "../../ebpf/object.js";
import { sourceLine } from "../../ebpf/source-place.js";
import { VerifyError } from "../../ebpf/verify.js";
import { verifyProgram } from "../../ebpf/verify-program.js";
import { untracedCalls } from "../../xdp/untraced-calls.js";
import { DONE, FAILED, type World } from "../world.js";
import { chooseProgram, type ObjectOptions, readObject, reporting } from "./object-file.js";

interface HostOnlyCall {
  readonly instruction: number;
  readonly reason: string;
  readonly file?: string;
  readonly line?: number;
}

interface Judgement {
  /** The file. */
  readonly object: string;
  readonly program: string;
  readonly section: string;
  readonly accepted: boolean;
  readonly instructions: number;
  /** Instructions that the verifier walked. */
  readonly steps?: number;
  readonly stackBytes?: readonly number[];
  /** Calls that keep every path through them out of traces. */
  readonly hostOnly?: readonly HostOnlyCall[];
  readonly reason?: string;
  readonly instruction?: number;
  readonly file?: string;
  readonly line?: number;
}

/** Returns the exit status: 1 when a program is refused. */
export async function checkPrograms(
  files: readonly string[],
  options: ObjectOptions,
  world: World,
): Promise<number> {
  const judgements: Judgement[] = [];
  let unread = 0;
  for (const file of files) {
    const judge = async (): Promise<number> => {
      judgements.push(...judgementsOf(file, options));
      return DONE;
    };
    if ((await reporting("check", world, judge)) !== DONE) unread++;
  }
  if (judgements.length === 0 && files.length === unread && options.json !== true) return FAILED;
  const text =
    options.json === true
      ? `${JSON.stringify(judgements, null, 2)}\n`
      : judgements.map((one) => describe(one, files.length > 1)).join("");
  await world.out.write(text);
  return unread === 0 && judgements.every(({ accepted }) => accepted) ? DONE : FAILED;
}

function judgementsOf(file: string, options: ObjectOptions): Judgement[] {
  const object = readObject(file, options);
  const programs =
    options.program === undefined
      ? object.programs.filter((program) => program.section.startsWith("xdp"))
      : [chooseProgram(object, options.program)];
  if (programs.length === 0) {
    throw new EbpfError("EINVAL", `${file} has no XDP program: name its section with SEC("xdp")`);
  }
  return programs.map((program) => judge(file, object, program));
}

function judge(file: string, object: BpfObject, program: ObjectProgram): Judgement {
  const { name, section, code } = program;
  const about = { object: file, program: name, section, instructions: code.length / 8 };
  try {
    const found = verifyProgram(object, program);
    return { ...about, accepted: true, ...found, hostOnly: hostOnlyCalls(program) };
  } catch (error) {
    if (!(error instanceof EbpfError)) throw error;
    if (!(error instanceof VerifyError))
      return { ...about, accepted: false, reason: error.message };
    const { reason, word, line } = error;
    const place = error.file === null || line === null ? {} : { file: error.file, line };
    return { ...about, accepted: false, reason, instruction: word, ...place };
  }
}

function describe(j: Judgement, isOneOfSeveral: boolean): string {
  const name = `${isOneOfSeveral ? `${j.object}: ` : ""}${j.program} (${j.section})`;
  if (j.accepted) {
    const deepest = Math.max(0, ...j.stackBytes!);
    const ok = `ok    ${name}: ${j.instructions} instructions, ${j.steps} steps, ${deepest} bytes of stack\n`;
    return ok + (j.hostOnly ?? []).map(describeCall).join("");
  }
  const where = j.instruction === undefined ? "" : ` instruction ${j.instruction}`;
  const source = j.file === undefined ? "" : `, ${j.file}:${j.line}`;
  return `fail  ${name}:${where}${source}\n      ${j.reason}\n`;
}

function hostOnlyCalls(program: ObjectProgram): HostOnlyCall[] {
  return untracedCalls(program).map(({ word, reason }) => {
    const source = sourceLine(program, word);
    const place = source === null ? {} : { file: source.file, line: source.line };
    return { instruction: word, reason, ...place };
  });
}

function describeCall({ instruction, reason, file, line }: HostOnlyCall): string {
  const source = file === undefined ? "" : `, ${file}:${line}`;
  return `      no trace through instruction ${instruction}${source}: ${reason}\n`;
}
