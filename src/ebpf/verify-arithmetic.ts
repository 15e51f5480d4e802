/** What the verifier knows of the result of an instruction's arithmetic, from what it knows of its operands. */
import { Alu } from "./isa.js";
import { LIMIT, number, shiftedValue, U32, unknown, type Value } from "./verify-value.js";

const hasBounds = (v: Value): boolean => Number.isFinite(v.min) && Number.isFinite(v.max);
const fits32 = (v: Value): boolean => v.min >= 0 && v.max <= U32;

/** A result that may have gone beyond what doubles hold says nothing. */
function bounded(min: number, max: number, a: Value, b: Value): Value {
  const isKnown = Math.abs(min) <= LIMIT && Math.abs(max) <= LIMIT;
  return isKnown ? number(min, max, a, b) : unknown(a, b);
}

/** 2^n - 1 that covers a number of at least 0. */
function allOnes(n: number): number {
  return n === 0 ? 0 : 2 ** (Math.floor(Math.log2(n)) + 1) - 1;
}

/** Arithmetic of 64 bits on two numbers. */
export function compute64(code: number, isSigned: boolean, a: Value, b: Value): Value {
  if (a.isConstant && b.isConstant) return exact(code, isSigned, a, b, 64);
  if (code === Alu.LSH && b.isConstant && b.min === 32) {
    return shiftedValue(shiftLeft(a, b), a);
  }
  const isRight = code === Alu.RSH || code === Alu.ARSH;
  if (isRight && a.shifted !== null && b.isConstant && b.min === 32) {
    const before = a.shifted;
    const least = code === Alu.RSH ? 0 : -(2 ** 31);
    const most = code === Alu.RSH ? U32 : 2 ** 31 - 1;
    const isWithin = before.min >= least && before.max <= most;
    return isWithin ? number(before.min, before.max, before, a) : number(least, most, a);
  }
  return interval(code, isSigned, a, b);
}

function interval(code: number, isSigned: boolean, a: Value, b: Value): Value {
  switch (code) {
    case Alu.ADD:
      return bounded(a.min + b.min, a.max + b.max, a, b);
    case Alu.SUB:
      return bounded(a.min - b.max, a.max - b.min, a, b);
    case Alu.MUL:
      return a.min >= 0 && b.min >= 0 ? bounded(a.min * b.min, a.max * b.max, a, b) : unknown(a, b);
    case Alu.AND:
      return and(a, b);
    case Alu.OR:
      if (a.min < 0 || b.min < 0 || !hasBounds(a) || !hasBounds(b)) return unknown(a, b);
      return number(Math.max(a.min, b.min), allOnes(Math.max(a.max, b.max)), a, b);
    case Alu.XOR:
      if (a.min < 0 || b.min < 0 || !hasBounds(a) || !hasBounds(b)) return unknown(a, b);
      return number(0, allOnes(Math.max(a.max, b.max)), a, b);
    case Alu.LSH:
      return shiftLeft(a, b);
    case Alu.RSH:
    case Alu.ARSH:
      return shiftRight(code === Alu.ARSH, a, b);
    case Alu.DIV:
      return isSigned ? unknown(a, b) : divide(a, b);
    case Alu.MOD:
      return isSigned ? unknown(a, b) : remainder(a, b);
    default:
      return unknown(a, b);
  }
}

/** A number of at least 0 masks all above it. */
function and(a: Value, b: Value): Value {
  if (a.min >= 0 && b.min >= 0) return number(0, Math.min(a.max, b.max), a, b);
  if (a.min >= 0) return number(0, a.max, a, b);
  return b.min >= 0 ? number(0, b.max, a, b) : unknown(a, b);
}

function shiftLeft(a: Value, b: Value): Value {
  if (!b.isConstant || b.min < 0 || b.min > 63 || a.min < 0) return unknown(a, b);
  return bounded(a.min * 2 ** b.min, a.max * 2 ** b.min, a, b);
}

function shiftRight(isSigned: boolean, a: Value, b: Value): Value {
  if (!b.isConstant || b.min < 0 || b.min > 63) return unknown(a, b);
  const by = 2 ** b.min;
  if (a.min >= 0 || (isSigned && hasBounds(a))) {
    return number(Math.floor(a.min / by), Math.floor(a.max / by), a, b);
  }
  if (isSigned) return number(-(2 ** 63) / by, 2 ** 63 / by - 1, a, b);
  return b.min === 0 ? unknown(a, b) : number(0, 2 ** 64 / by - 1, a, b);
}

/** Without sign; division by zero gives zero. */
function divide(a: Value, b: Value): Value {
  if (a.min >= 0 && b.min > 0) {
    return number(Math.floor(a.min / b.max), Math.floor(a.max / b.min), a, b);
  }
  return b.min > 0 ? number(0, 2 ** 64 / b.min, a, b) : unknown(a, b);
}

function remainder(a: Value, b: Value): Value {
  if (b.min <= 0) return unknown(a, b);
  if (a.min >= 0 && a.max < b.min) return number(a.min, a.max, a, b);
  return number(0, a.min >= 0 ? Math.min(a.max, b.max - 1) : b.max - 1, a, b);
}

function exact(code: number, isSigned: boolean, a: Value, b: Value, bits: 32 | 64): Value {
  const small = bits === 64 ? smallResult(code, a.min, b.min) : Number.NaN;
  if (!Number.isNaN(small)) return number(small, small, a, b);
  const result = evaluate(code, isSigned, BigInt(a.min), BigInt(b.min), bits);
  const value = bits === 64 ? BigInt.asIntN(64, result) : BigInt.asUintN(32, result);
  const n = Number(value);
  return Math.abs(n) > LIMIT ? unknown(a, b) : number(n, n, a, b);
}

/** What most programs compute, without BigInt; NaN: it takes more. */
function smallResult(code: number, a: number, b: number): number {
  if (Math.abs(a) > SMALL || Math.abs(b) > SMALL) return Number.NaN;
  if (code === Alu.ADD) return a + b;
  if (code === Alu.SUB) return a - b;
  if (code === Alu.AND) return a & b;
  if (code === Alu.OR) return a | b;
  return code === Alu.XOR ? a ^ b : Number.NaN;
}

/** Of numbers up to here the lower half with its sign is the whole. */
const SMALL = 2 ** 31 - 1;

function evaluate(code: number, isSigned: boolean, x: bigint, y: bigint, bits: 32 | 64): bigint {
  const unsigned = (v: bigint): bigint => BigInt.asUintN(bits, v);
  const signed = (v: bigint): bigint => BigInt.asIntN(bits, v);
  const [a, b] = isSigned ? [signed(x), signed(y)] : [unsigned(x), unsigned(y)];
  const by = unsigned(y) & BigInt(bits - 1);
  switch (code) {
    case Alu.ADD:
      return a + b;
    case Alu.SUB:
      return a - b;
    case Alu.MUL:
      return a * b;
    case Alu.DIV:
      return b === 0n ? 0n : a / b;
    case Alu.MOD:
      return b === 0n ? a : a % b;
    case Alu.OR:
      return a | b;
    case Alu.AND:
      return a & b;
    case Alu.XOR:
      return a ^ b;
    case Alu.LSH:
      return a << by;
    case Alu.RSH:
      return unsigned(x) >> by;
    default:
      return signed(x) >> by; // ARSH
  }
}

/** A number's lower half, without sign. */
export function low32(v: Value): Value {
  if (fits32(v)) return v;
  if (v.isConstant) {
    const n = Number(BigInt.asUintN(32, BigInt(v.min)));
    return number(n, n, v);
  }
  return number(0, U32, v);
}

/** Arithmetic of 32 bits: results are never negative. */
export function compute32(code: number, isSigned: boolean, a: Value, b: Value): Value {
  const [x, y] = [low32(a), low32(b)];
  if (x.isConstant && y.isConstant) return exact(code, isSigned, x, y, 32);
  const isNegative = code === Alu.ARSH && x.max > 2 ** 31 - 1;
  const result = isNegative ? unknown(x, y) : interval(code, isSigned, x, y);
  return fits32(result) ? result : number(0, U32, x, y);
}

/** The low bits of a number, with their sign. */
export function extend(from: number, v: Value, bits: 32 | 64): Value {
  const limit = 2 ** (from - 1);
  if (v.min >= -limit && v.max < limit && bits === 64) return number(v.min, v.max, v);
  const result = number(-limit, limit - 1, v);
  return bits === 64 ? result : low32(result);
}
