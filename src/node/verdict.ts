/**
 * Who carries a socket, and why: decisions are counted by their reason, kept for those who ask, and
 * printed with MILLRACE_DEBUG=1.
 */
import { printLine } from "./natives.js";

export const Carrier = {
  KERNEL: "kernel",
  MILLRACE: "millrace",
  /** A socket of several addresses, some of the kernel's and some of Millrace's. */
  BOTH: "both",
} as const;
export type Carrier = (typeof Carrier)[keyof typeof Carrier];

export interface Verdict {
  readonly by: Carrier;
  /** Why the kernel carries it, or how it comes that Millrace does. */
  readonly reason: string;
}

export const kernel = (reason: string): Verdict => ({ by: Carrier.KERNEL, reason });
export const millrace = (reason: string): Verdict => ({ by: Carrier.MILLRACE, reason });
export const both = (reason: string): Verdict => ({ by: Carrier.BOTH, reason });

/** How often each decision was taken. */
export interface Decision extends Verdict {
  /** `tcp connect`, `tcp listen`, `udp bind`. */
  readonly call: string;
  readonly times: number;
}

const verdicts = new WeakMap<object, Verdict>();
const counts = new Map<string, { decision: Omit<Decision, "times">; times: number }>();
/** Reasons that name addresses could be without end. */
const KINDS_MAX = 1_000;
let isPrinting = false;

export function printVerdicts(on: boolean): void {
  isPrinting = on;
}

/** Remembers who carries the socket of a handle. */
export function note(handle: object, call: string, what: string, verdict: Verdict): void {
  verdicts.set(handle, verdict);
  const key = `${call} ${verdict.by} ${verdict.reason}`;
  const known = counts.get(key);
  if (known !== undefined) known.times++;
  else if (counts.size < KINDS_MAX) {
    counts.set(key, { decision: { call, ...verdict }, times: 1 });
  }
  if (!isPrinting) return;
  const said =
    verdict.by === Carrier.KERNEL
      ? `${call} ${what} stays with the kernel: ${verdict.reason}`
      : `enabled bypass on ${call} ${what}: ${verdict.reason}`;
  printLine(`millrace: ${said}`);
}

/** A handle has taken another one's place. */
export function follow(before: object, after: object): void {
  const verdict = verdicts.get(before);
  if (verdict !== undefined) verdicts.set(after, verdict);
}

export function verdictOf(handle: object): Verdict | null {
  return verdicts.get(handle) ?? null;
}

/** Every decision of this thread so far, with how often it was taken. */
export function decisions(): Decision[] {
  return [...counts.values()].map(({ decision, times }) => ({ ...decision, times }));
}
