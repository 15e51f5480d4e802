/**
 * What a comparison says of the two numbers compared, in each of its outcomes. An outcome that leaves
 * nothing of an interval cannot be.
 */
import { Jmp } from "./isa.js";
import { low32 } from "./verify-arithmetic.js";
import { number, type Value } from "./verify-value.js";

export interface Refined {
  readonly left: Value;
  readonly right: Value;
  readonly isPossible: boolean;
}

/** The code of a jump that is taken when `code` is not. */
const OPPOSITE: ReadonlyMap<number, number> = new Map([
  [Jmp.JEQ, Jmp.JNE],
  [Jmp.JNE, Jmp.JEQ],
  [Jmp.JGT, Jmp.JLE],
  [Jmp.JLE, Jmp.JGT],
  [Jmp.JGE, Jmp.JLT],
  [Jmp.JLT, Jmp.JGE],
  [Jmp.JSGT, Jmp.JSLE],
  [Jmp.JSLE, Jmp.JSGT],
  [Jmp.JSGE, Jmp.JSLT],
  [Jmp.JSLT, Jmp.JSGE],
]);

type Interval = readonly [min: number, max: number];

/** The two numbers when the comparison comes out as `isTaken`. */
export function refine(
  code: number,
  is32: boolean,
  left: Value,
  right: Value,
  isTaken: boolean,
): Refined {
  if (code === Jmp.JSET) return refineBits(left, right, isTaken);
  const meant = isTaken ? code : OPPOSITE.get(code)!;
  const isSigned =
    meant === Jmp.JSGT || meant === Jmp.JSGE || meant === Jmp.JSLT || meant === Jmp.JSLE;
  const [a, keepsA] = is32 ? view32(left, isSigned) : whole(left);
  const [b, keepsB] = is32 ? view32(right, isSigned) : whole(right);
  const [x, y] = compare(meant, a, b);
  return {
    left: keepsA ? narrowed(left, x, right) : left,
    right: keepsB ? narrowed(right, y, left) : right,
    isPossible: x[0] <= x[1] && y[0] <= y[1],
  };
}

function narrowed(value: Value, [min, max]: Interval, other: Value): Value {
  if (min === value.min && max === value.max) return value;
  return number(min, max, value, other, value.id);
}

const whole = (v: Value): readonly [Interval, boolean] => [[v.min, v.max], true];

/** The lower half as it is compared, and whether what is learnt of it holds for the whole. */
function view32(v: Value, isSigned: boolean): readonly [Interval, boolean] {
  const low = low32(v);
  const keeps = low === v;
  if (!isSigned) return [[low.min, low.max], keeps];
  if (low.max < 2 ** 31) return [[low.min, low.max], keeps];
  if (low.min >= 2 ** 31) return [[low.min - 2 ** 32, low.max - 2 ** 32], false];
  return [[-(2 ** 31), 2 ** 31 - 1], false];
}

function compare(code: number, a: Interval, b: Interval): readonly [Interval, Interval] {
  switch (code) {
    case Jmp.JEQ: {
      const both: Interval = [Math.max(a[0], b[0]), Math.min(a[1], b[1])];
      return [both, both];
    }
    case Jmp.JNE:
      return [without(a, b), without(b, a)];
    case Jmp.JLT:
      return below(a, b, 1);
    case Jmp.JLE:
      return below(a, b, 0);
    case Jmp.JGT:
      return swap(below(b, a, 1));
    case Jmp.JGE:
      return swap(below(b, a, 0));
    case Jmp.JSLT:
      return belowSigned(a, b, 1);
    case Jmp.JSLE:
      return belowSigned(a, b, 0);
    case Jmp.JSGT:
      return swap(belowSigned(b, a, 1));
    default:
      return swap(belowSigned(b, a, 0));
  }
}

const swap = ([a, b]: readonly [Interval, Interval]): readonly [Interval, Interval] => [b, a];

/** `a` without a number at its end that `b` is known to be. */
function without(a: Interval, b: Interval): Interval {
  if (b[0] !== b[1]) return a;
  if (a[0] === b[0]) return [a[0] + 1, a[1]];
  return a[1] === b[0] ? [a[0], a[1] - 1] : a;
}

/** Without sign: what is below a number of at least 0 is one too. */
function below(a: Interval, b: Interval, step: number): readonly [Interval, Interval] {
  if (b[0] < 0) return [a, b];
  const left: Interval = [Math.max(a[0], 0), Math.min(a[1], b[1] - step)];
  return [left, [Math.max(b[0], left[0] + step), b[1]]];
}

function belowSigned(a: Interval, b: Interval, step: number): readonly [Interval, Interval] {
  return [
    [a[0], Math.min(a[1], b[1] - step)],
    [Math.max(b[0], a[0] + step), b[1]],
  ];
}

/** `left & right`: known only of constants. */
function refineBits(left: Value, right: Value, isTaken: boolean): Refined {
  if (!left.isConstant || !right.isConstant) return { left, right, isPossible: true };
  const isSet = (BigInt(left.min) & BigInt(right.min)) !== 0n;
  return { left, right, isPossible: isSet === isTaken };
}
