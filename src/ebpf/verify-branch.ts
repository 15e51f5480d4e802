/**
 * What a comparison says of the two numbers compared, in each of its outcomes. An outcome that leaves
 * nothing of an interval cannot be.
 */
import { Jmp } from "./isa.js";
import { low32 } from "./verify-arithmetic.js";
import { number, type Value } from "./verify-value.js";

/** The code of a jump that is taken when `code` is not. */
const OPPOSITE: number[] = [];
for (const [code, other] of [
  [Jmp.JEQ, Jmp.JNE],
  [Jmp.JGT, Jmp.JLE],
  [Jmp.JGE, Jmp.JLT],
  [Jmp.JSGT, Jmp.JSLE],
  [Jmp.JSGE, Jmp.JSLT],
] as const) {
  OPPOSITE[code] = other;
  OPPOSITE[other] = code;
}

/** One outcome at a time; reused, as branches are what a verifier sees most. */
export class Refinement {
  private aMin = 0;
  private aMax = 0;
  private bMin = 0;
  private bMax = 0;
  /** What was learnt of the halves that are compared holds for the whole. */
  private keepsA = true;
  private keepsB = true;

  /** Whether the comparison can come out as `isTaken`; `left` and `right` say what they are then. */
  compare(code: number, is32: boolean, left: Value, right: Value, isTaken: boolean): boolean {
    this.viewA(left, is32, isSigned(code));
    this.viewB(right, is32, isSigned(code));
    if (code === Jmp.JSET) return compareBits(is32, left, right, isTaken);
    this.apply(isTaken ? code : OPPOSITE[code]!);
    return this.aMin <= this.aMax && this.bMin <= this.bMax;
  }

  left(left: Value, right: Value): Value {
    if (!this.keepsA || (this.aMin === left.min && this.aMax === left.max)) return left;
    return number(this.aMin, this.aMax, left, right, left.id);
  }

  right(left: Value, right: Value): Value {
    if (!this.keepsB || (this.bMin === right.min && this.bMax === right.max)) return right;
    return number(this.bMin, this.bMax, right, left, right.id);
  }

  private viewA(v: Value, is32: boolean, isSigned: boolean): void {
    const low = is32 ? low32(v) : v;
    const turns = is32 && isSigned && low.max >= 2 ** 31;
    this.keepsA = low === v && !turns;
    this.aMin = turns ? turnedMin(low) : low.min;
    this.aMax = turns ? turnedMax(low) : low.max;
  }

  private viewB(v: Value, is32: boolean, isSigned: boolean): void {
    const low = is32 ? low32(v) : v;
    const turns = is32 && isSigned && low.max >= 2 ** 31;
    this.keepsB = low === v && !turns;
    this.bMin = turns ? turnedMin(low) : low.min;
    this.bMax = turns ? turnedMax(low) : low.max;
  }

  private apply(code: number): void {
    switch (code) {
      case Jmp.JEQ:
        this.aMin = this.bMin = Math.max(this.aMin, this.bMin);
        this.aMax = this.bMax = Math.min(this.aMax, this.bMax);
        break;
      case Jmp.JNE:
        this.without();
        break;
      case Jmp.JLT:
        this.below(1);
        break;
      case Jmp.JLE:
        this.below(0);
        break;
      case Jmp.JGT:
        this.above(1);
        break;
      case Jmp.JGE:
        this.above(0);
        break;
      case Jmp.JSLT:
        this.belowSigned(1);
        break;
      case Jmp.JSLE:
        this.belowSigned(0);
        break;
      case Jmp.JSGT:
        this.aboveSigned(1);
        break;
      default:
        this.aboveSigned(0);
        break;
    }
  }

  /** Each without a number at its end that the other is known to be. */
  private without(): void {
    const { aMin, aMax, bMin, bMax } = this;
    if (bMin === bMax) {
      if (aMin === bMin) this.aMin++;
      else if (aMax === bMin) this.aMax--;
    }
    if (aMin === aMax) {
      if (bMin === aMin) this.bMin++;
      else if (bMax === aMin) this.bMax--;
    }
  }

  /** a < b without sign: what is below a number of at least 0 is one too. */
  private below(step: number): void {
    if (this.bMin < 0) return;
    this.aMin = Math.max(this.aMin, 0);
    this.aMax = Math.min(this.aMax, this.bMax - step);
    this.bMin = Math.max(this.bMin, this.aMin + step);
  }

  private above(step: number): void {
    if (this.aMin < 0) return;
    this.bMin = Math.max(this.bMin, 0);
    this.bMax = Math.min(this.bMax, this.aMax - step);
    this.aMin = Math.max(this.aMin, this.bMin + step);
  }

  private belowSigned(step: number): void {
    this.aMax = Math.min(this.aMax, this.bMax - step);
    this.bMin = Math.max(this.bMin, this.aMin + step);
  }

  private aboveSigned(step: number): void {
    this.bMax = Math.min(this.bMax, this.aMax - step);
    this.aMin = Math.max(this.aMin, this.bMin + step);
  }
}

/** `left & right`: known only of constants. */
function compareBits(is32: boolean, left: Value, right: Value, isTaken: boolean): boolean {
  if (!left.isConstant || !right.isConstant) return true;
  const both = BigInt(left.min) & BigInt(right.min);
  return (BigInt.asUintN(is32 ? 32 : 64, both) !== 0n) === isTaken;
}

const isSigned = (code: number): boolean =>
  code === Jmp.JSGT || code === Jmp.JSGE || code === Jmp.JSLT || code === Jmp.JSLE;

/** A number without sign of 32 bits, seen with its sign. */
const turnedMin = (low: Value): number => (low.min >= 2 ** 31 ? low.min - 2 ** 32 : -(2 ** 31));
const turnedMax = (low: Value): number => (low.min >= 2 ** 31 ? low.max - 2 ** 32 : 2 ** 31 - 1);
