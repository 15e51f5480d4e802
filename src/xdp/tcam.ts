/**
 * How large a condition is for a ternary table. A key has the bytes that the condition looks at, each once, and
 * one bit for each test that has to be computed before. Equality under a mask is one entry; an interval is as
 * many as prefixes cover it; an inequality is one more entry of higher priority, which says no.
 */
import type { Atom, Condition, TcamSize } from "./condition.js";
import { Ex, type Expressions } from "./expr.js";

const LENGTH_BITS = 16;
const WORD_BITS = 32;

export function tcamSize(e: Expressions, condition: Condition): TcamSize {
  const bytes = new Set<number>();
  let otherBits = 0;
  let entries = 1;
  let denied = 0;
  let isTernary = true;
  const others = new Set<number>();
  for (const atom of condition.atoms) {
    const bits = fieldBits(e, atom);
    if (atom.kind === "packet") {
      const from = e.low[atom.subject]!;
      for (let n = 0; n < e.high[atom.subject]!; n++) bytes.add(from + n);
    } else if (!others.has(atom.subject)) {
      others.add(atom.subject);
      otherBits += bits;
    }
    if (bits === 1) isTernary = false;
    else if (!atom.isInside) denied++;
    else if (atom.least !== atom.most) entries *= prefixes(atom.least, atom.most, bits);
  }
  const keyBits = 8 * bytes.size + otherBits;
  return { keyBits, entries: entries + denied, bits: keyBits * (entries + denied), isTernary };
}

/** Bits of a field in the key; 1: the outcome of a test that is computed. */
function fieldBits(e: Expressions, { kind, subject }: Atom): number {
  if (kind === "packet") return 8 * e.high[subject]!;
  if (kind === "length") return LENGTH_BITS;
  if (kind === "context") return WORD_BITS;
  return kind === "input" && e.op[subject] === Ex.INPUT ? WORD_BITS : 1;
}

/** The least number of masked values that are exactly the numbers of an interval. */
export function prefixes(least: bigint, most: bigint, bits: number): number {
  const limit = (1n << BigInt(bits)) - 1n;
  let from = least;
  const to = most < limit ? most : limit;
  let count = 0;
  while (from <= to) {
    let size = from === 0n ? limit + 1n : from & -from;
    while (from + size - 1n > to) size >>= 1n;
    from += size;
    count++;
  }
  return count;
}
