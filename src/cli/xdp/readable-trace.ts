/** A trace in words, with the source lines that they come from: for the command line and the page. */
import { placeText } from "../../ebpf/source-place.js";
import { tcamSize } from "../../xdp/tcam.js";
import type { Trace } from "../../xdp/trace.js";
import type { TracedProgram } from "../../xdp/traced-program.js";
import { Words } from "../../xdp/words.js";

/** A condition or effect, and the line of the program that it comes from. */
export interface Sourced {
  readonly text: string;
  /** Of a long one: its outline, with `…` for what is inside. */
  readonly short?: string;
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

/** Longer ones have an outline. */
const LONG = 120;
const OUTLINE_DEPTHS = [6, 4, 3, 2, 1];

/** What is said of an instruction; with an outline, as people are shown it who can ask for the whole. */
export function outlined(
  traced: TracedProgram,
  word: number | undefined,
  say: (words: Words) => string,
): Sourced {
  const { e } = traced.tracer;
  const { maps } = traced.instance.runtime;
  const text = say(new Words(e, maps));
  const source = placeOf(traced, word);
  if (text.length <= LONG) return { text, source };
  let short = text;
  for (const depth of OUTLINE_DEPTHS) {
    short = say(new Words(e, maps, depth));
    if (short.length <= LONG) break;
  }
  return { text, short, source };
}

/** A trace that so many packets took, with outlines. */
export function outlinedTrace(traced: TracedProgram, trace: Trace, packets: number): ReadableTrace {
  return {
    ...readable(traced, trace, packets),
    condition: trace.condition.atoms.map((atom) =>
      outlined(traced, atom.words.at(-1), (words) => words.atom(atom)),
    ),
    effects: trace.effects.flatMap((op) => {
      const one = outlined(traced, op.word, (words) => words.effect(op) ?? "");
      return one.text === "" ? [] : [one];
    }),
  };
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
