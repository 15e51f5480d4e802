/** Verifies a program of an object. */
import { EbpfError } from "./ebpf-error.js";
import type { BpfObject, ObjectProgram } from "./object.js";
import { type VerifyResult, verify } from "./verify.js";

/**
 * `which`: a program of the object, or its name. Throws `VerifyError`, or `EbpfError`: ENOTSUP for a program that
 * cannot be used at all, EINVAL when there is none of that name.
 */
export function verifyProgram(object: BpfObject, which: ObjectProgram | string): VerifyResult {
  const program = typeof which === "string" ? programOf(object, which) : which;
  if (program.problem !== null) throw program.problem;
  const { name, section } = program;
  return verify({ name, section, program, maps: object.maps, license: object.license });
}

function programOf({ programs }: BpfObject, name: string): ObjectProgram {
  const found = programs.find((program) => program.name === name);
  if (found !== undefined) return found;
  const names = programs.map((program) => program.name).join(", ") || "none";
  throw new EbpfError("EINVAL", `there is no program ${name}; the object has: ${names}`);
}
