/** What the page shows when something cannot be done: what it is about, why, and what to do. */
import { EbpfError, type EbpfErrorCode } from "../../../ebpf/ebpf-error.js";

export type ErrorSubject = "object" | "capture" | "request" | "server";

export interface PageProblem {
  readonly about: ErrorSubject;
  readonly message: string;
  /** What to do next; empty: the message says it. */
  readonly advice: string;
}

export class PageError extends Error implements PageProblem {
  override readonly name = "PageError";
  readonly about: ErrorSubject;
  readonly advice: string;

  constructor(about: ErrorSubject, message: string, advice: string) {
    super(message);
    this.about = about;
    this.advice = advice;
  }
}

const ADVICE: Partial<Record<EbpfErrorCode, string>> = {
  ENOEXEC: "Build it with debug information: clang -O2 -g -target bpf -c prog.c -o prog.o",
  EACCES: "The verifier refuses the program: mend the line that is named and build it again.",
  ENOTSUP: "The manual, docs/ebpf.md, lists the helpers and maps that there are.",
  ENOMEM: "Give its maps fewer entries: millrace xdp serve --max-entries MAP=NUMBER",
};

/** What any error means to who looks at the page. */
export function problemOf(error: unknown, about: ErrorSubject = "object"): PageProblem {
  if (error instanceof PageError) {
    return { about: error.about, message: error.message, advice: error.advice };
  }
  if (error instanceof EbpfError) {
    return { about, message: error.message, advice: ADVICE[error.code] ?? "" };
  }
  const message = error instanceof Error ? error.message : String(error);
  // What no code foresaw; the object is what is odd, as everything else is checked.
  return { about, message, advice: "Try another file; the server goes on." };
}
