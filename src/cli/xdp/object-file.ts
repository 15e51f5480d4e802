/** The object that a command of `millrace xdp` is about, and the errors that are the user's to put right. */
import { readFileSync } from "node:fs";
import { NetError } from "../../base/errors.js";
import { PlacedError } from "../../base/placed-error.js";
import { assembleText } from "../../ebpf/asm-text.js";
import { Btf } from "../../ebpf/btf.js";
import { EbpfError } from "../../ebpf/ebpf-error.js";
import { type BpfObject, type ObjectProgram, parseObject } from "../../ebpf/object.js";
import { FAILED, isSystemError, systemText, type World } from "../world.js";

/** Options that every command has. */
export interface ObjectOptions {
  readonly program?: string;
  readonly btf?: string;
  readonly json?: boolean;
}

/** Reads an object, or a program as text (`FILE.s`); CO-RE relocations are for the types of `btf`, a file such as /sys/kernel/btf/vmlinux. */
export function readObject(file: string, options: ObjectOptions): BpfObject {
  if (file.endsWith(".s")) return assembleText(Buffer.from(readBytes(file)).toString("utf8"), file);
  const kernelTypes = options.btf === undefined ? {} : { kernelTypes: readBtf(options.btf) };
  return named(file, () => parseObject(readBytes(file), kernelTypes));
}

function readBtf(file: string): Btf {
  return named(`--btf ${file}`, () => Btf.parse(readBytes(file)));
}

/** Errors about what a file holds begin with its name. */
function named<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof EbpfError) throw new EbpfError(error.code, `${file}: ${error.message}`);
    throw error;
  }
}

/** A whole file. Throws the system's error, which names it, also when it is a folder. */
export function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    if (!isSystemError(error) || error.code !== "EISDIR") throw error;
    throw Object.assign(error, { path: file });
  }
}

/** The named program, or the only XDP program. Throws `EbpfError` EINVAL that lists what there is. */
export function chooseProgram(object: BpfObject, name: string | undefined): ObjectProgram {
  const all = object.programs.filter((program) => program.section.startsWith("xdp"));
  const chosen =
    name === undefined ? (all.length === 1 ? all[0] : undefined) : all.find((p) => p.name === name);
  if (chosen !== undefined) return chosen;
  if (all.length === 0) {
    const sections = object.programs.map(({ section }) => section).join(", ");
    const has = sections === "" ? "" : `, only programs in ${sections}`;
    throw new EbpfError(
      "EINVAL",
      `the object has no XDP program${has}: name its section with SEC("xdp")`,
    );
  }
  const names = all.map((program) => program.name).join(", ");
  const what =
    name === undefined
      ? "say which program: --program NAME"
      : `no program ${name === "" ? '""' : name}`;
  throw new EbpfError("EINVAL", `${what}; XDP programs of the object: ${names}`);
}

/** Runs a command; errors that the user can put right become one line and status 1. */
export async function reporting(
  command: string,
  world: World,
  run: () => Promise<number>,
): Promise<number> {
  try {
    return await run();
  } catch (error) {
    const isTheirs =
      error instanceof EbpfError ||
      error instanceof NetError ||
      isSystemError(error) ||
      error instanceof PlacedError ||
      error instanceof RangeError;
    if (!isTheirs) throw error;
    const text =
      isSystemError(error) && !(error instanceof NetError)
        ? systemText(error)
        : (error as Error).message;
    await world.err.write(`millrace xdp ${command}: ${text}\n`);
    return FAILED;
  }
}
