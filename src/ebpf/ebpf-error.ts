/**
 * What can be wrong with a program, an object file or a map, with a stable `code`:
 *
 * | code | what |
 * |---|---|
 * | ENOEXEC | the file is no object file of eBPF, or a broken one |
 * | ENOTSUP | it asks for something that this engine does not have, named in the message |
 * | EACCES | the verifier refuses the program |
 * | ENOMEM | the memory given is too small |
 * | EFAULT | a running program touched what it may not |
 * | ELOOP | a running program took too many instructions, or called itself too deep |
 * | EINVAL | anything else that cannot be |
 */
export type EbpfErrorCode =
  | "ENOEXEC"
  | "ENOTSUP"
  | "EACCES"
  | "ENOMEM"
  | "EFAULT"
  | "ELOOP"
  | "EINVAL";

export class EbpfError extends Error {
  override readonly name: string = "EbpfError";
  readonly code: EbpfErrorCode;

  constructor(code: EbpfErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** A broken object file: what is wrong, where. */
export function badObject(message: string): EbpfError {
  return new EbpfError("ENOEXEC", message);
}
