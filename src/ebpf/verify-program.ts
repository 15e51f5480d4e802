/** Verifies a program of an object. */
import type { BpfObject, ObjectProgram } from "./object.js";
import { type VerifyResult, verify } from "./verify.js";

/** Throws `VerifyError`, or `EbpfError` ENOTSUP for a program that cannot be used at all. */
export function verifyProgram(object: BpfObject, program: ObjectProgram): VerifyResult {
  if (program.problem !== null) throw program.problem;
  const { name, section } = program;
  return verify({ name, section, program, maps: object.maps, license: object.license });
}
