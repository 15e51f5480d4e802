/** A trace in words, with the source lines that they come from: for the command line and the page. */
import { placeText } from "../../ebpf/source-place.js";
import { tcamSize } from "../../xdp/tcam.js";
import type { Trace } from "../../xdp/trace.js";
import type { TracedProgram } from "../../xdp/traced-program.js";
import { Words } from "../../xdp/words.js";

/** A condition or effect, and the line of the program that it comes from. */
export interface Sourced {
  readonly text: string;
  readonly source: string | null;
}

/** A trace in words. */
export interface ReadableTrace {
  readonly id: number;
  readonly packets: number;
  readonly verdict: string;
  readonly condition: readonly Sourced[];
  readonly effects: readonly Sourced[];
  readonly instructions: number;
  readonly hostOnly: Sourced | null;
  readonly tcamBits: number;
  readonly isTernary: boolean;
  /** Traces that do the same: one entry of a NIC's table of actions. */
  readonly sameAs: readonly number[];
}

/** `filter.c:12: if (eth + 1 > end)`; null when the object does not say. */
export function placeOf(traced: TracedProgram, word: number | undefined): string | null {
  const line = word === undefined ? null : traced.tracer.sourceOf(word);
  return line === null ? null : placeText(line);
}

/** A trace that so many packets took. */
export function readable(traced: TracedProgram, trace: Trace, packets: number): ReadableTrace {
  const words = new Words(traced.tracer.e, traced.instance.runtime.maps);
  const place = (word: number | undefined): string | null => placeOf(traced, word);
  const { hostOnly, condition } = trace;
  const size = tcamSize(traced.tracer.e, condition);
  return {
    id: trace.id,
    packets,
    verdict: hostOnly === null ? words.verdict(trace) : "",
    condition: condition.atoms.map((atom) => ({
      text: words.atom(atom),
      source: place(atom.words.at(-1)),
    })),
    effects: trace.effects.flatMap((op) => {
      const text = words.effect(op);
      return text === null ? [] : [{ text, source: place(op.word) }];
    }),
    instructions: trace.executed,
    hostOnly: hostOnly === null ? null : { text: hostOnly.reason, source: place(hostOnly.word) },
    tcamBits: size.bits,
    isTernary: size.isTernary,
    sameAs: traced.traces
      .filter((one) => one !== undefined && one !== trace && one.effectKey === trace.effectKey)
      .map(({ id }) => id),
  };
}
