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

export const LIMIT = 2 ** 53;
export const U32 = 2 ** 32 - 1;

/** Hot path of the verifier: made by position, so that all have one shape and no object is made to make one. */
export class Value {
  readonly kind: number;
  /** Of a number; of the unknown part of a pointer's offset. */
  readonly min: number;
  readonly max: number;
  /** Values of one id are the same number, packet pointers of one unknown offset, or NULL together. */
  readonly id: number;
  /** The known part of a pointer's offset; a function's number. */
  readonly offset: number;
  /** Bytes that are known to be in the packet, from the pointer without its known offset. */
  readonly range: number;
  readonly mayBeNull: boolean;
  readonly map: MapDefinition | null;
  /** Of a stack pointer: whose frame. Of a record: its length. */
  readonly extra: number;
  /** Why it is worthless. */
  readonly reason: string;
  /** What it was computed from. */
  readonly from: Value | null;
  readonly alsoFrom: Value | null;
  /** What this is, shifted left by 32 bits. */
  readonly shifted: Value | null;
  /** A number whose bounds have decided something. */
  isPrecise = false;

  constructor(
    kind: number,
    min: number,
    max: number,
    id: number,
    offset: number,
    range: number,
    mayBeNull: boolean,
    map: MapDefinition | null,
    extra: number,
    reason: string,
    from: Value | null,
    alsoFrom: Value | null,
    shifted: Value | null,
  ) {
    this.kind = kind;
    this.min = min;
    this.max = max;
    this.id = id;
    this.offset = offset;
    this.range = range;
    this.mayBeNull = mayBeNull;
    this.map = map;
    this.extra = extra;
    this.reason = reason;
    this.from = from;
    this.alsoFrom = alsoFrom;
    this.shifted = shifted;
  }

  get isConstant(): boolean {
    return this.min === this.max;
  }

  /** A pointer with another known offset. */
  at(offset: number): Value {
    return this.like(this.min, this.max, this.id, offset, this.range, this.mayBeNull, this.from);
  }

  /** A pointer behind which so many bytes are known. */
  withRange(range: number): Value {
    return this.like(this.min, this.max, this.id, this.offset, range, this.mayBeNull, this.from);
  }

  notNull(): Value {
    return this.like(this.min, this.max, this.id, this.offset, this.range, false, this.from);
  }

  /** A pointer with something unknown added; of the packet, nothing is known behind it then. */
  moved(min: number, max: number, id: number, amount: Value): Value {
    return this.like(this.min + min, this.max + max, id, this.offset, 0, this.mayBeNull, amount);
  }

  /** A number under a name. */
  named(id: number): Value {
    const { min, max, shifted, reason } = this;
    return new Value(Kind.NUMBER, min, max, id, 0, 0, false, null, 0, reason, this, null, shifted);
  }

  private like(
    min: number,
    max: number,
    id: number,
    offset: number,
    range: number,
    mayBeNull: boolean,
    from: Value | null,
  ): Value {
    const { kind, map, extra, reason } = this;
    return new Value(
      kind,
      min,
      max,
      id,
      offset,
      range,
      mayBeNull,
      map,
      extra,
      reason,
      from,
      null,
      null,
    );
  }
}

/** What has no more to it than its kind, and a number that belongs to it. */
export const plain = (kind: number, extra = 0): Value =>
  new Value(kind, 0, 0, 0, 0, 0, false, null, extra, "", null, null, null);

/** What cannot be read any more, or never could. */
export const worthless = (reason: string): Value =>
  new Value(Kind.NOTHING, 0, 0, 0, 0, 0, false, null, 0, reason, null, null, null);

/** A number that was a pointer, and for which nothing but a number is left to be said. */
export function worthlessNumber(reason: string): Value {
  const [min, max] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  return new Value(Kind.NUMBER, min, max, 0, 0, 0, false, null, 0, reason, null, null, null);
}

/** A map or a value of one. */
export const ofMap = (
  kind: number,
  map: MapDefinition,
  offset = 0,
  id = 0,
  mayBeNull = false,
): Value => new Value(kind, 0, 0, id, offset, 0, mayBeNull, map, 0, "", null, null, null);

/** A record of a ring, or NULL. */
export const recordOrNull = (id: number, lengthBytes: number): Value =>
  new Value(Kind.RECORD, 0, 0, id, 0, 0, true, null, lengthBytes, "", null, null, null);

export const NOTHING = worthless("was never written");

export function number(
  min: number,
  max: number,
  from: Value | null = null,
  alsoFrom: Value | null = null,
  id = 0,
): Value {
  const low = min < -LIMIT ? Number.NEGATIVE_INFINITY : min;
  const high = max > LIMIT ? Number.POSITIVE_INFINITY : max;
  return new Value(Kind.NUMBER, low, high, id, 0, 0, false, null, 0, "", from, alsoFrom, null);
}

export const unknown = (from: Value | null = null, alsoFrom: Value | null = null): Value =>
  number(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, from, alsoFrom);

/** A number shifted left by 32 bits, the bounds of which are known as `bounds` says. */
export function shiftedValue(bounds: Value, before: Value): Value {
  const { min, max } = bounds;
  return new Value(Kind.NUMBER, min, max, 0, 0, 0, false, null, 0, "", before, null, before);
}

/** A constant of two words. */
export function constant(low: number, high: number): Value {
  const value = high * 2 ** 32 + (low >>> 0);
  return Math.abs(value) > LIMIT ? unknown() : number(value, value);
}

const open: Value[] = [];

/** Notes that the bounds of a number have decided something. */
export function markPrecise(value: Value): void {
  if (value.isPrecise) return;
  open.push(value);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next.isPrecise) continue;
    next.isPrecise = true;
    if (next.from !== null && !next.from.isPrecise) open.push(next.from);
    if (next.alsoFrom !== null && !next.alsoFrom.isPrecise) open.push(next.alsoFrom);
  }
}
