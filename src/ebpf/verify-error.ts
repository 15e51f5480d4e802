/** Why the verifier refused a program: the instruction, the source line, and a reason in words. */
import { EbpfError } from "./ebpf-error.js";
import type { LinkedProgram } from "./link.js";
import { sourceLine, sourcePlace } from "./source-place.js";

export class VerifyError extends EbpfError {
  override readonly name = "VerifyError";
  /** The instruction's word. */
  readonly word: number;
  readonly file: string | null;
  readonly line: number | null;
  readonly reason: string;

  constructor(program: string, code: LinkedProgram, word: number, reason: string) {
    super("EACCES", `${program}: instruction ${word}${sourcePlace(code, word)}: ${reason}`);
    const place = sourceLine(code, word);
    this.word = word;
    this.file = place?.file ?? null;
    this.line = place?.line ?? null;
    this.reason = reason;
  }
}
