/**
 * The canonical condition of a list of guards: tests of one subject become one atom, and what another atom
 * implies is dropped.
 */
import { swap } from "./arithmetic.js";
import type { Builder } from "./build.js";
import type { Atom, AtomKind, Condition } from "./condition.js";
import { ALL_BITS, Ex, type Expressions, NONE } from "./expr.js";
import type { GuardOp } from "./trace.js";

/** What a test looks at. */
interface Field {
  readonly kind: AtomKind;
  readonly subject: number;
  readonly isBigEndian: boolean;
  readonly mask: bigint;
  /** Bits of the number. */
  readonly bits: number;
}

/** An atom while it is made. */
interface Draft extends Field {
  least: bigint;
  most: bigint;
  /** Values inside of the interval that are not allowed. */
  readonly except: { value: bigint; words: number[] }[];
  readonly words: number[];
}

const SWAP_BITS: ReadonlyMap<number, number> = new Map([
  [Ex.SWAP16, 16],
  [Ex.SWAP32, 32],
  [Ex.SWAP64, 64],
]);

const KINDS: ReadonlyMap<number, AtomKind> = new Map([
  [Ex.LENGTH, "length"],
  [Ex.CONTEXT, "context"],
  [Ex.LOOKUP, "lookup"],
  [Ex.MAP_LOAD, "map value"],
  [Ex.COUNT, "map value"],
  [Ex.INPUT, "input"],
  [Ex.RESULT, "input"],
  [Ex.FILLED, "input"],
]);

const ones = (bits: number): bigint => ALL_BITS >> BigInt(64 - bits);

export function conditionOf(build: Builder, guards: readonly GuardOp[]): Condition {
  const drafts = new Map<string, Draft>();
  for (const guard of guards) {
    const { field, least, most, isInside } = readTest(build.e, guard);
    const key = `${field.subject} ${field.mask} ${field.isBigEndian}`;
    let draft = drafts.get(key);
    if (draft === undefined) {
      draft = { ...field, least: 0n, most: field.mask, except: [], words: [] };
      drafts.set(key, draft);
    }
    narrow(draft, least, most, isInside, guard.word);
  }
  return { atoms: mergeMasks([...drafts.values()]).flatMap(atomsOf) };
}

interface Test {
  readonly field: Field;
  readonly least: bigint;
  readonly most: bigint;
  readonly isInside: boolean;
}

function readTest(e: Expressions, { test, holds }: GuardOp): Test {
  const op = e.op[test]!;
  const [a, b] = [e.a[test]!, e.b[test]!];
  const computed: Field = {
    kind: "computed",
    subject: test,
    isBigEndian: false,
    mask: 1n,
    bits: 1,
  };
  const asIs: Test = { field: computed, least: 1n, most: 1n, isInside: holds };
  if (op === Ex.EQ && e.isConstant(b)) {
    const field = fieldOf(e, a, true);
    if (field === null) return asIs;
    const value = e.valueOf(b);
    const isTurned = field.isBigEndian && !SWAP_BITS.has(e.op[a]!) && !isMaskedSwap(e, a);
    const number = isTurned ? swap(value, field.bits) : value;
    return { field, least: number, most: number, isInside: holds };
  }
  if (op === Ex.LTU && e.isConstant(b)) {
    const field = fieldOf(e, a, false);
    return field === null ? asIs : { field, least: 0n, most: e.valueOf(b) - 1n, isInside: holds };
  }
  if (op === Ex.LTU && e.isConstant(a)) {
    const field = fieldOf(e, b, false);
    if (field === null) return asIs;
    return { field, least: 0n, most: e.valueOf(a), isInside: !holds };
  }
  return asIs;
}

function isMaskedSwap(e: Expressions, node: number): boolean {
  return e.op[node] === Ex.AND && SWAP_BITS.has(e.op[e.a[node]!]!);
}

/**
 * The field that a node is; null: it is something computed. Tests of equality read the packet most
 * significant byte first, whatever the program does, so that equal conditions look equal.
 */
function fieldOf(e: Expressions, node: number, isEquality: boolean): Field | null {
  let inner = node;
  let mask: bigint | null = null;
  if (e.op[inner] === Ex.AND && e.isConstant(e.b[inner]!)) {
    mask = e.valueOf(e.b[inner]!);
    inner = e.a[inner]!;
  }
  const swapBits = SWAP_BITS.get(e.op[inner]!);
  const load = swapBits === undefined ? inner : e.a[inner]!;
  const op = e.op[load]!;
  if (op === Ex.LOAD && e.a[load] === NONE) {
    const bits = 8 * e.high[load]!;
    if (swapBits !== undefined && swapBits !== bits) return null;
    const whole = mask ?? ones(bits);
    const isSwapped = swapBits !== undefined;
    const isBigEndian = isEquality || isSwapped || bits === 8;
    const isTurned = isBigEndian && !isSwapped;
    return {
      kind: "packet",
      subject: load,
      isBigEndian,
      mask: isTurned ? swap(whole, bits) : whole,
      bits,
    };
  }
  const kind = KINDS.get(op);
  if (kind === undefined || swapBits !== undefined) return null;
  const whole = ones(e.may[load]!.toString(2).length);
  return { kind, subject: load, isBigEndian: false, mask: mask ?? whole, bits: 64 };
}

function narrow(draft: Draft, least: bigint, most: bigint, isInside: boolean, word: number): void {
  if (isInside) {
    if (least > draft.least) draft.least = least;
    if (most < draft.most) draft.most = most;
    draft.words.push(word);
  } else if (least === most) {
    draft.except.push({ value: least, words: [word] });
  } else {
    // Outside of [0, most].
    if (most + 1n > draft.least) draft.least = most + 1n;
    draft.words.push(word);
  }
  trim(draft);
}

/** Values at an end of the interval move it; those outside say nothing. */
function trim(draft: Draft): void {
  // Numbers under a mask with holes have no neighbours.
  if ((draft.mask & (draft.mask + 1n)) !== 0n) {
    const isInside = ({ value }: { value: bigint }): boolean =>
      value >= draft.least && value <= draft.most;
    draft.except.splice(0, draft.except.length, ...draft.except.filter(isInside));
    return;
  }
  for (let changed = true; changed; ) {
    changed = false;
    for (const [n, { value, words }] of draft.except.entries()) {
      const isOutside = value < draft.least || value > draft.most;
      const isEdge = value === draft.least || value === draft.most;
      if (!isOutside && !isEdge) continue;
      draft.except.splice(n, 1);
      if (value === draft.least) draft.least++;
      else if (value === draft.most) draft.most--;
      if (isEdge) draft.words.push(...words);
      changed = true;
      break;
    }
  }
}

const isEqual = (draft: Draft): boolean => draft.least === draft.most;
const isNothing = (draft: Draft): boolean =>
  draft.least === 0n && draft.most === draft.mask && draft.except.length === 0;

/** Equalities under several masks of one field are one; what they decide under other masks goes. */
function mergeMasks(drafts: readonly Draft[]): Draft[] {
  const merged: Draft[] = [];
  for (const draft of drafts) {
    const other = merged.find(
      (one) =>
        isEqual(one) &&
        isEqual(draft) &&
        one.kind === "packet" &&
        one.subject === draft.subject &&
        one.isBigEndian === draft.isBigEndian,
    );
    if (other === undefined) {
      merged.push(draft);
      continue;
    }
    const value = other.least | draft.least;
    const both = { ...other, mask: other.mask | draft.mask, least: value, most: value };
    merged[merged.indexOf(other)] = { ...both, words: [...other.words, ...draft.words] };
  }
  const exact = merged.filter(isEqual);
  return merged.filter((draft) => {
    const implies = exact.find(
      (one) =>
        one !== draft &&
        one.subject === draft.subject &&
        one.isBigEndian === draft.isBigEndian &&
        (draft.mask & ~one.mask) === 0n,
    );
    return implies === undefined;
  });
}

function atomsOf(draft: Draft): Atom[] {
  const { kind, subject, isBigEndian, mask, least, most, except } = draft;
  const common = { kind, subject, isBigEndian, mask };
  const atoms: Atom[] = [];
  if (least !== 0n || most !== mask) {
    atoms.push({ ...common, least, most, isInside: true, words: unique(draft.words) });
  }
  if (isNothing(draft)) return atoms;
  for (const { value, words } of except) {
    atoms.push({ ...common, least: value, most: value, isInside: false, words: unique(words) });
  }
  return atoms;
}

const unique = (words: readonly number[]): number[] => [...new Set(words)].sort((a, b) => a - b);
