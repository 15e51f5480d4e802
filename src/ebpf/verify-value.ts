/**
 * What the verifier knows of a register: a number in an interval, or a pointer and where it points.
 *
 * Intervals are of the number with its sign, in doubles: bounds beyond 2^53 are infinite, and arithmetic
 * that may go beyond gives up both bounds, so nothing here wraps unseen. Where the kernel has intervals
 * with and without sign and known bits, one interval is enough for what compilers make, and ten times
 * faster than BigInt.
 *
 * Values do not change. A number knows what it was computed from, so that when its bounds have mattered,
 * those of its origins are marked as mattering too: the kernel's precision, without its backtracking.
 */
import { Alu } from "./isa.js";
import type { MapDefinition } from "./map-definition.js";

export const Kind = {
  /** Never written, or worthless since; `reason` says why. */
  NOTHING: 0,
  NUMBER: 1,
  CONTEXT: 2,
  PACKET: 3,
  PACKET_END: 4,
  PACKET_META: 5,
  STACK: 6,
  MAP: 7,
  /** Into a value of a map. */
  VALUE: 8,
  /** A record of a ring. */
  RECORD: 9,
  FUNCTION: 10,
} as const;

const LIMIT = 2 ** 53;
const U32 = 2 ** 32 - 1;

export class Value {
  readonly kind: number;
  /** Of a number; of the unknown part of a pointer's offset. */
  readonly min: number;
  readonly max: number;
  /** Values of one id are the same number, packet pointers of one unknown offset, or NULL together. */
  id = 0;
  /** The known part of a pointer's offset; a function's number. */
  readonly offset: number;
  /** Bytes that are known to be in the packet, from the pointer without its known offset. */
  readonly range: number;
  readonly mayBeNull: boolean;
  readonly map: MapDefinition | null;
  /** Of a stack pointer: whose frame. Of a record: its length. */
  readonly extra: number;
  readonly reason: string;
  /** A number whose bounds have decided something. */
  isPrecise = false;
  origins: readonly Value[] = NO_ORIGINS;
  /** What this is, shifted left by 32 bits. */
  shifted: Value | null = null;

  constructor(kind: number, fields: Partial<Value> = NO_FIELDS) {
    this.kind = kind;
    this.min = fields.min ?? 0;
    this.max = fields.max ?? 0;
    this.id = fields.id ?? 0;
    this.offset = fields.offset ?? 0;
    this.range = fields.range ?? 0;
    this.mayBeNull = fields.mayBeNull ?? false;
    this.map = fields.map ?? null;
    this.extra = fields.extra ?? 0;
    this.reason = fields.reason ?? "";
  }

  with(fields: Partial<Value>): Value {
    return new Value(this.kind, { ...this, ...fields });
  }

  get isConstant(): boolean {
    return this.min === this.max;
  }
}

const NO_ORIGINS: readonly Value[] = [];
const NO_FIELDS: Partial<Value> = {};

export const NOTHING = new Value(Kind.NOTHING, { reason: "was never written" });

export function number(min: number, max: number, ...origins: Value[]): Value {
  const low = min < -LIMIT ? Number.NEGATIVE_INFINITY : min;
  const high = max > LIMIT ? Number.POSITIVE_INFINITY : max;
  const value = new Value(Kind.NUMBER, { min: low, max: high });
  if (origins.length > 0) value.origins = origins;
  return value;
}

export const unknown = (...origins: Value[]): Value =>
  number(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, ...origins);

/** A constant of two words. */
export function constant(low: number, high: number): Value {
  const value = high * 2 ** 32 + (low >>> 0);
  return Math.abs(value) > LIMIT ? unknown() : number(value, value);
}

/** Notes that the bounds of a number have decided something. */
export function markPrecise(value: Value): void {
  const open = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next.isPrecise) continue;
    next.isPrecise = true;
    open.push(...next.origins);
  }
}

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
    const value = shiftLeft(a, b);
    value.shifted = a;
    return value;
  }
  const isRight = code === Alu.RSH || code === Alu.ARSH;
  if (isRight && a.shifted !== null && b.isConstant && b.min === 32) {
    const before = a.shifted;
    const limit = code === Alu.RSH ? [0, U32] : [-(2 ** 31), 2 ** 31 - 1];
    const isWithin = before.min >= limit[0]! && before.max <= limit[1]!;
    return isWithin ? number(before.min, before.max, before) : number(limit[0]!, limit[1]!, a);
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
  const result = evaluate(code, isSigned, BigInt(a.min), BigInt(b.min), bits);
  const value = bits === 64 ? BigInt.asIntN(64, result) : BigInt.asUintN(32, result);
  const n = Number(value);
  return Math.abs(n) > LIMIT ? unknown(a, b) : number(n, n, a, b);
}

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
