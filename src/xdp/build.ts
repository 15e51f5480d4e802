/**
 * Makes expressions, simplified: numbers are folded, constants of sums and addresses collected, bytes that are
 * put together become one load, byte swaps on both sides of a comparison cancel. What remains is canonical
 * enough that equal values are nearly always equal nodes, on which conditions and store forwarding rely;
 * where they are not, a condition is longer than it had to be, and still right.
 */
import { divide, remainder, signed, swap } from "./arithmetic.js";
import { ALL_BITS, Ex, type Expressions, isComparison, NONE } from "./expr.js";

const WORD = 0xffff_ffffn;

/** An address taken apart: packet? + rest? + offset. */
export interface Sum {
  readonly isPacket: boolean;
  /** NONE: nothing but the constant. */
  readonly rest: number;
  /** Signed. */
  readonly offset: bigint;
}

/** A part of a number that lies in memory: LOAD << shift. */
interface Piece {
  readonly base: number;
  /** NONE: of the packet. */
  readonly map: number;
  readonly at: number;
  readonly size: number;
  readonly shift: number;
  /** null: one byte, both orders. */
  readonly isSwapped: boolean | null;
}

/** 2^n - 1 for n > 0 */
const isLowMask = (m: bigint): boolean => m !== 0n && (m & (m + 1n)) === 0n;

const maskOf = (bits: number): bigint => ALL_BITS >> BigInt(64 - bits);

const SEXT_BITS: ReadonlyMap<number, number> = new Map([
  [Ex.SEXT8, 8],
  [Ex.SEXT16, 16],
  [Ex.SEXT32, 32],
]);
const SWAP_BITS: ReadonlyMap<number, number> = new Map([
  [Ex.SWAP16, 16],
  [Ex.SWAP32, 32],
  [Ex.SWAP64, 64],
]);
const SWAP_OPS: ReadonlyMap<number, number> = new Map([
  [2, Ex.SWAP16],
  [4, Ex.SWAP32],
  [8, Ex.SWAP64],
]);

export class Builder {
  readonly e: Expressions;
  readonly zero: number;
  readonly one: number;
  readonly packet: number;
  readonly length: number;
  readonly headroom: number;
  readonly tailroom: number;

  /** Whether loads of maps are put together, too: not while their values are needed (see the tracer). */
  joinsMapLoads = false;

  constructor(e: Expressions) {
    this.e = e;
    this.zero = e.constant(0n);
    this.one = e.constant(1n);
    this.packet = e.node(Ex.PACKET, NONE, NONE, 0, 0);
    this.length = e.node(Ex.LENGTH, NONE, NONE, 0, 0);
    this.headroom = e.node(Ex.HEADROOM, NONE, NONE, 0, 0);
    this.tailroom = e.node(Ex.TAILROOM, NONE, NONE, 0, 0);
  }

  number(value: bigint | number): number {
    // Measured: most numbers are small, and BigInts are half of a tracer's garbage.
    if (typeof value === "number" && (value | 0) === value) return this.small(value);
    return this.e.constant(BigInt.asUintN(64, BigInt(value)));
  }

  /** A number of 32 bits, extended by its sign. */
  private small(value: number): number {
    return this.e.node(Ex.CONST, NONE, NONE, value, value >> 31);
  }

  private isSmall(node: number): boolean {
    const { e } = this;
    return e.op[node] === Ex.CONST && e.high[node] === e.low[node]! >> 31;
  }

  load(base: number, offset: number, size: number): number {
    return this.e.node(Ex.LOAD, base, NONE, offset, size);
  }

  mapLoad(map: number, base: number, offset: number, size: number): number {
    return this.e.node(Ex.MAP_LOAD, base, map, offset, size);
  }

  private fold(node: number): bigint | null {
    return this.e.isConstant(node) ? this.e.valueOf(node) : null;
  }

  private binary(op: number, a: number, b: number): number {
    return this.e.node(op, a, b, 0, 0);
  }

  /** Both operands in an order that does not depend on which was first. */
  private commuted(op: number, a: number, b: number): number {
    return a < b ? this.binary(op, a, b) : this.binary(op, b, a);
  }

  /** x and c when a node is op(x, c). */
  private withConstant(node: number, op: number): readonly [x: number, c: bigint] | null {
    const { e } = this;
    if (e.op[node] !== op || !e.isConstant(e.b[node]!)) return null;
    return [e.a[node]!, e.valueOf(e.b[node]!)];
  }

  /** Takes an address apart. */
  split(node: number): Sum {
    const { e } = this;
    const constant = this.fold(node);
    if (constant !== null) return { isPacket: false, rest: NONE, offset: signed(constant) };
    const sum = this.withConstant(node, Ex.ADD);
    const [x, c] = sum ?? [node, 0n];
    const offset = signed(c);
    if (x === this.packet) return { isPacket: true, rest: NONE, offset };
    const isPacket = e.op[x] === Ex.ADD && e.a[x] === this.packet;
    return { isPacket, rest: isPacket ? e.b[x]! : x, offset };
  }

  private hasPacket(node: number): boolean {
    return this.split(node).isPacket;
  }

  /** What {@link split} took apart, without the packet. */
  offsetOf(sum: Sum): number {
    const c = this.number(sum.offset);
    return sum.rest === NONE ? c : this.add(sum.rest, c);
  }

  add(a: number, b: number): number {
    const { e } = this;
    if (this.isSmall(b)) {
      if (e.low[b] === 0) return a;
      const inner = e.op[a] === Ex.ADD ? e.b[a]! : a;
      if (!e.isConstant(inner)) return this.binary(Ex.ADD, a, b);
      if (this.isSmall(inner)) {
        const sum = this.number(e.low[inner]! + e.low[b]!);
        return inner === a ? sum : this.add(e.a[a]!, sum);
      }
    }
    const [x, y] = [this.fold(a), this.fold(b)];
    if (x !== null && y !== null) return this.number(x + y);
    if (x !== null) return this.add(b, a);
    if (y !== null) {
      if (y === 0n) return a;
      const inner = this.withConstant(a, Ex.ADD);
      if (inner !== null) return this.add(inner[0], this.number(inner[1] + y));
      return this.binary(Ex.ADD, a, b);
    }
    const left = this.withConstant(a, Ex.ADD);
    if (left !== null) return this.add(this.add(left[0], b), this.number(left[1]));
    const right = this.withConstant(b, Ex.ADD);
    if (right !== null) return this.add(this.add(a, right[0]), this.number(right[1]));
    if (e.op[a] === Ex.SUB && e.b[a] === b) return e.a[a]!;
    if (e.op[b] === Ex.SUB && e.b[b] === a) return e.a[b]!;
    if (this.hasPacket(b)) return this.hasPacket(a) ? this.commuted(Ex.ADD, a, b) : this.add(b, a);
    if (a === this.packet) return this.binary(Ex.ADD, a, b);
    if (this.hasPacket(a)) return this.binary(Ex.ADD, this.packet, this.add(e.b[a]!, b));
    return this.commuted(Ex.ADD, a, b);
  }

  sub(a: number, b: number): number {
    const { e } = this;
    const y = this.fold(b);
    if (y !== null) return this.add(a, this.number(-y));
    if (a === b) return this.zero;
    const left = this.withConstant(a, Ex.ADD);
    if (left !== null) return this.add(this.sub(left[0], b), this.number(left[1]));
    const right = this.withConstant(b, Ex.ADD);
    if (right !== null) return this.add(this.sub(a, right[0]), this.number(-right[1]));
    const [one, other] = [this.split(a), this.split(b)];
    if (one.isPacket && other.isPacket) return this.sub(this.offsetOf(one), this.offsetOf(other));
    if (e.op[a] === Ex.ADD && e.b[a] === b) return e.a[a]!;
    if (e.op[a] === Ex.ADD && e.a[a] === b) return e.b[a]!;
    return this.binary(Ex.SUB, a, b);
  }

  mul(a: number, b: number): number {
    const [x, y] = [this.fold(a), this.fold(b)];
    if (x !== null && y !== null) return this.number(x * y);
    if (x !== null) return this.mul(b, a);
    if (y === null) return this.commuted(Ex.MUL, a, b);
    if (y === 0n) return this.zero;
    if (y === 1n) return a;
    if ((y & (y - 1n)) === 0n) return this.shl(a, this.number(y.toString(2).length - 1));
    return this.binary(Ex.MUL, a, b);
  }

  divide(op: number, a: number, b: number): number {
    const [x, y] = [this.fold(a), this.fold(b)];
    const isDivision = op === Ex.DIV || op === Ex.SDIV;
    const isSigned = op === Ex.SDIV || op === Ex.SMOD;
    if (x !== null && y !== null) {
      return this.number(isDivision ? divide(x, y, isSigned) : remainder(x, y, isSigned));
    }
    if (y === null) return this.binary(op, a, b);
    if (y === 0n) return isDivision ? this.zero : a;
    if (isSigned) return this.binary(op, a, b);
    if (!isDivision && this.e.may[a]! < y) return a;
    if ((y & (y - 1n)) !== 0n) return this.binary(op, a, b);
    if (!isDivision) return this.and(a, this.number(y - 1n));
    return this.shr(a, this.number(y.toString(2).length - 1));
  }

  and(a: number, b: number): number {
    const [x, y] = [this.fold(a), this.fold(b)];
    if (x !== null && y !== null) return this.number(x & y);
    if (x !== null) return this.and(b, a);
    if (a === b) return a;
    return y === null ? this.commuted(Ex.AND, a, b) : this.masked(a, y);
  }

  /** a & m */
  private masked(a: number, m: bigint): number {
    const { e } = this;
    const may = e.may[a]!;
    if ((may & ~m) === 0n) return a;
    if ((may & m) === 0n) return this.zero;
    const inner = this.withConstant(a, Ex.AND);
    if (inner !== null) return this.masked(inner[0], inner[1] & m);
    const op = e.op[a]!;
    if (op === Ex.OR) {
      if ((e.may[e.a[a]!]! & m) === 0n) return this.masked(e.b[a]!, m);
      if ((e.may[e.b[a]!]! & m) === 0n) return this.masked(e.a[a]!, m);
    }
    if (isLowMask(m)) {
      const narrow = this.narrowed(a, m);
      if (narrow !== NONE) return narrow;
    }
    return this.binary(Ex.AND, a, this.number(m));
  }

  /** a & m for a mask of low bits, where that is something simpler; NONE otherwise. */
  private narrowed(a: number, m: bigint): number {
    const { e } = this;
    const op = e.op[a]!;
    const bits = m.toString(2).length;
    if (op === Ex.ADD || op === Ex.SUB || op === Ex.MUL) {
      const [x, y] = [this.unmasked(e.a[a]!, m), this.unmasked(e.b[a]!, m)];
      if (x === e.a[a] && y === e.b[a]) return NONE;
      const plain =
        op === Ex.ADD ? this.add(x, y) : op === Ex.SUB ? this.sub(x, y) : this.mul(x, y);
      return this.masked(plain, m);
    }
    if (op === Ex.LOAD && (bits === 8 || bits === 16 || bits === 32)) {
      return this.load(e.a[a]!, e.low[a]!, bits / 8);
    }
    const part = op === Ex.SHR ? this.loadPart(a, bits) : NONE;
    if (part !== NONE) return part;
    if ((SEXT_BITS.get(op) ?? 0) >= bits) return this.masked(e.a[a]!, m);
    if (op === Ex.SWAP32 && bits === 16) return this.swap(16, this.shr(e.a[a]!, this.number(16)));
    if (op === Ex.SWAP64 && bits === 32) return this.swap(32, this.shr(e.a[a]!, this.number(32)));
    if (op === Ex.SWAP64 && bits === 16) return this.swap(16, this.shr(e.a[a]!, this.number(48)));
    return NONE;
  }

  /** The low bits of LOAD >> k where those are bytes; NONE otherwise. */
  private loadPart(shifted: number, bits: number): number {
    const { e } = this;
    const [load, by] = [e.a[shifted]!, e.b[shifted]!];
    if (e.op[load] !== Ex.LOAD || !e.isConstant(by)) return NONE;
    const k = Number(e.valueOf(by));
    const isBytes = k % 8 === 0 && (bits === 8 || bits === 16 || bits === 32);
    if (!isBytes || k + bits > 8 * e.high[load]!) return NONE;
    return this.load(e.a[load]!, e.low[load]! + k / 8, bits / 8);
  }

  /** What has the same bits under a mask of low ones. */
  private unmasked(node: number, m: bigint): number {
    const constant = this.fold(node);
    if (constant !== null) {
      // Small negative numbers stay what they are written as.
      const low = constant & m;
      const isHigh = low >> BigInt(m.toString(2).length - 1) === 1n;
      return this.number(isHigh ? low - (m + 1n) : low);
    }
    const inner = this.withConstant(node, Ex.AND);
    return inner !== null && (inner[1] & m) === m ? this.unmasked(inner[0], m) : node;
  }

  or(a: number, b: number): number {
    const { e } = this;
    const [x, y] = [this.fold(a), this.fold(b)];
    if (x !== null && y !== null) return this.number(x | y);
    if (x !== null) return this.or(b, a);
    if (a === b || y === 0n) return a;
    const fused = this.fuse(a, b);
    if (fused !== NONE) return fused;
    for (const [whole, part] of [
      [a, b],
      [b, a],
    ] as const) {
      if (e.op[whole] !== Ex.OR) continue;
      const right = this.fuse(e.b[whole]!, part);
      if (right !== NONE) return this.or(e.a[whole]!, right);
      const left = this.fuse(e.a[whole]!, part);
      if (left !== NONE) return this.or(e.b[whole]!, left);
    }
    return y === null ? this.commuted(Ex.OR, a, b) : this.binary(Ex.OR, a, b);
  }

  /** Two neighbouring parts of a number as one load; NONE: they are not. */
  private fuse(a: number, b: number): number {
    const [one, other] = [this.piece(a), this.piece(b)];
    if (one === null || other === null) return NONE;
    const [lower, upper] = one.shift < other.shift ? [one, other] : [other, one];
    const { base, size, shift } = lower;
    if (lower.map !== upper.map) return NONE;
    const load = (at: number): number =>
      lower.map === NONE
        ? this.load(base, at, 2 * size)
        : this.mapLoad(lower.map, base, at, 2 * size);
    if (base !== upper.base || size !== upper.size || upper.shift !== shift + 8 * size) return NONE;
    if (size > 4) return NONE;
    const isPlain = lower.isSwapped !== true && upper.isSwapped !== true;
    if (isPlain && upper.at === lower.at + size) {
      return this.shl(load(lower.at), this.number(shift));
    }
    const isSwapped = lower.isSwapped !== false && upper.isSwapped !== false;
    if (!isSwapped || lower.at !== upper.at + size) return NONE;
    const whole = load(upper.at);
    return this.shl(this.swap(16 * size, whole), this.number(shift));
  }

  private piece(node: number): Piece | null {
    const { e } = this;
    const shifted = this.withConstant(node, Ex.SHL);
    const [inner, shift] = shifted === null ? [node, 0] : [shifted[0], Number(shifted[1])];
    const swapBits = SWAP_BITS.get(e.op[inner]!) ?? 0;
    const load = swapBits === 0 ? inner : e.a[inner]!;
    const isMap = this.joinsMapLoads && e.op[load] === Ex.MAP_LOAD;
    if (e.op[load] !== Ex.LOAD && !isMap) return null;
    const size = e.high[load]!;
    if (swapBits !== 0 && swapBits !== 8 * size) return null;
    const isSwapped = size === 1 ? null : swapBits !== 0;
    const map = isMap ? e.b[load]! : NONE;
    return { base: e.a[load]!, map, at: e.low[load]!, size, shift, isSwapped };
  }

  xor(a: number, b: number): number {
    const [x, y] = [this.fold(a), this.fold(b)];
    if (x !== null && y !== null) return this.number(x ^ y);
    if (x !== null) return this.xor(b, a);
    if (a === b) return this.zero;
    if (y === null) return this.commuted(Ex.XOR, a, b);
    if (y === 0n) return a;
    const inner = this.withConstant(a, Ex.XOR);
    if (inner !== null) return this.xor(inner[0], this.number(inner[1] ^ y));
    return this.binary(Ex.XOR, a, b);
  }

  shl(a: number, b: number): number {
    const [x, y] = [this.fold(a), this.fold(b)];
    if (y === null) return this.binary(Ex.SHL, a, b);
    const k = y & 63n;
    if (x !== null) return this.number(x << k);
    if (k === 0n) return a;
    const again = this.withConstant(a, Ex.SHL);
    if (again !== null) {
      const sum = again[1] + k;
      return sum > 63n ? this.zero : this.shl(again[0], this.number(sum));
    }
    const back = this.withConstant(a, Ex.SHR);
    if (back !== null && back[1] === k) return this.masked(back[0], (ALL_BITS << k) & ALL_BITS);
    return this.binary(Ex.SHL, a, this.number(k));
  }

  shr(a: number, b: number): number {
    const { e } = this;
    const [x, y] = [this.fold(a), this.fold(b)];
    if (y === null) return this.binary(Ex.SHR, a, b);
    const k = y & 63n;
    if (x !== null) return this.number(x >> k);
    if (k === 0n) return a;
    if (e.may[a]! >> k === 0n) return this.zero;
    const again = this.withConstant(a, Ex.SHR);
    if (again !== null) {
      const sum = again[1] + k;
      return sum > 63n ? this.zero : this.shr(again[0], this.number(sum));
    }
    const back = this.withConstant(a, Ex.SHL);
    if (back !== null) {
      const [inner, by] = back;
      const moved =
        k >= by ? this.shr(inner, this.number(k - by)) : this.shl(inner, this.number(by - k));
      return this.masked(moved, ALL_BITS >> k);
    }
    const inner = this.withConstant(a, Ex.AND);
    if (inner !== null) return this.masked(this.shr(inner[0], this.number(k)), inner[1] >> k);
    return this.shiftedLoad(a, Number(k));
  }

  private shiftedLoad(a: number, k: number): number {
    const { e } = this;
    const op = e.op[a]!;
    if (op === Ex.LOAD && k % 8 === 0) {
      const rest = e.high[a]! - k / 8;
      if (rest === 1 || rest === 2 || rest === 4)
        return this.load(e.a[a]!, e.low[a]! + k / 8, rest);
    }
    if (op === Ex.SWAP32 && k === 16) return this.swap(16, e.a[a]!);
    if (op === Ex.SWAP64 && k === 32) return this.swap(32, e.a[a]!);
    if (op === Ex.SWAP64 && k === 48) return this.swap(16, e.a[a]!);
    return this.binary(Ex.SHR, a, this.number(k));
  }

  sar(a: number, b: number): number {
    const [x, y] = [this.fold(a), this.fold(b)];
    if (y === null) return this.binary(Ex.SAR, a, b);
    const k = y & 63n;
    if (x !== null) return this.number(signed(x) >> k);
    if (k === 0n) return a;
    if (this.e.may[a]! >> 63n === 0n) return this.shr(a, b);
    const back = this.withConstant(a, Ex.SHL);
    if (back !== null && back[1] === k) {
      const bits = 64n - k;
      if (bits === 8n || bits === 16n || bits === 32n) return this.extend(Number(bits), back[0]);
    }
    return this.binary(Ex.SAR, a, this.number(k));
  }

  /** Sign extension of the low 8, 16 or 32 bits. */
  extend(bits: number, a: number): number {
    const m = maskOf(bits);
    const inner = this.masked(a, m);
    const x = this.fold(inner);
    if (x !== null) return this.number(BigInt.asIntN(bits, x));
    if (this.e.may[inner]! >> BigInt(bits - 1) === 0n) return inner;
    const op = bits === 8 ? Ex.SEXT8 : bits === 16 ? Ex.SEXT16 : Ex.SEXT32;
    return this.e.node(op, this.unmasked(inner, m), NONE, 0, 0);
  }

  /** Byte swap of the low 16, 32 or 64 bits. */
  swap(bits: number, a: number): number {
    const { e } = this;
    const op = SWAP_OPS.get(bits / 8)!;
    const inner = this.masked(a, maskOf(bits));
    const x = this.fold(inner);
    if (x !== null) return this.number(swap(x, bits));
    if (e.op[inner] === op) return e.a[inner]!;
    return e.node(op, inner, NONE, 0, 0);
  }

  /** The opposite of a comparison. */
  not(test: number): number {
    return this.eq(test, this.zero);
  }

  eq(a: number, b: number): number {
    const { e } = this;
    if (a === b) return this.one;
    const [x, y] = [this.fold(a), this.fold(b)];
    if (x !== null && y !== null) return x === y ? this.one : this.zero;
    if (x !== null) return this.eq(b, a);
    if (y !== null) return this.eqConstant(a, y);
    const [one, other] = [this.split(a), this.split(b)];
    if (one.isPacket && other.isPacket) return this.eq(this.offsetOf(one), this.offsetOf(other));
    if (one.offset !== 0n) {
      const c = this.number(one.offset);
      return this.eq(this.sub(a, c), this.sub(b, c));
    }
    const op = e.op[a]!;
    if (SWAP_BITS.has(op) && e.op[b] === op) return this.eq(e.a[a]!, e.a[b]!);
    return this.commuted(Ex.EQ, a, b);
  }

  private eqConstant(a: number, c: bigint): number {
    const { e } = this;
    if ((c & ~e.may[a]!) !== 0n) return this.zero;
    const op = e.op[a]!;
    if (isComparison(op) && c === 1n) return a;
    if (op === Ex.EQ && c === 0n && e.b[a] === this.zero && isComparison(e.op[e.a[a]!]!)) {
      return e.a[a]!;
    }
    const right = e.b[a]!;
    const k = right !== NONE && e.isConstant(right) ? e.valueOf(right) : null;
    const inner = e.a[a]!;
    if (op === Ex.ADD && k !== null) return this.eqTo(inner, c - k);
    if (op === Ex.XOR)
      return k !== null
        ? this.eqTo(inner, c ^ k)
        : c === 0n
          ? this.eq(inner, right)
          : this.plainEq(a, c);
    if (op === Ex.SUB && c === 0n) return this.eq(inner, right);
    if (op === Ex.AND && k !== null && isLowMask(k)) return this.eqMasked(a, inner, k, c);
    if (op === Ex.SHR && k !== null)
      return this.eq(this.masked(inner, (ALL_BITS << k) & ALL_BITS), this.number(c << k));
    if (op === Ex.SHL && k !== null && e.may[inner]! << k <= ALL_BITS)
      return this.eqTo(inner, c >> k);
    const swapBits = SWAP_BITS.get(op);
    if (swapBits !== undefined) return this.eqTo(inner, swap(c, swapBits));
    const sextBits = SEXT_BITS.get(op);
    if (sextBits !== undefined) {
      const m = maskOf(sextBits);
      if (BigInt.asUintN(64, BigInt.asIntN(sextBits, c)) !== c) return this.zero;
      return this.eqTo(this.masked(inner, m), c & m);
    }
    return this.plainEq(a, c);
  }

  private plainEq(a: number, c: bigint): number {
    return this.binary(Ex.EQ, a, this.number(c));
  }

  private eqTo(a: number, c: bigint): number {
    return this.eq(a, this.number(c));
  }

  /** (inner & m) == c, m being low bits. */
  private eqMasked(a: number, inner: number, m: bigint, c: bigint): number {
    const { e } = this;
    const sum = this.withConstant(inner, Ex.ADD);
    if (sum !== null) return this.eqTo(this.masked(sum[0], m), (c - sum[1]) & m);
    if (e.op[inner] === Ex.SUB && c === 0n) {
      return this.eq(this.masked(e.a[inner]!, m), this.masked(e.b[inner]!, m));
    }
    return this.plainEq(a, c);
  }

  /** a < b, unsigned. */
  ltu(a: number, b: number): number {
    const { e } = this;
    if (a === b) return this.zero;
    const [x, y] = [this.fold(a), this.fold(b)];
    if (x !== null && y !== null) return x < y ? this.one : this.zero;
    if (y !== null) {
      if (y === 0n) return this.zero;
      if (e.may[a]! < y) return this.one;
      if (y === 1n) return this.eq(a, this.zero);
      const sum = this.exactSum(a);
      if (sum !== null) return sum[1] < y ? this.ltu(sum[0], this.number(y - sum[1])) : this.zero;
    }
    if (x !== null) {
      if (e.may[b]! <= x) return this.zero;
      if (x === 0n) return this.not(this.eq(b, this.zero));
      const sum = this.exactSum(b);
      if (sum !== null) return sum[1] > x ? this.one : this.ltu(this.number(x - sum[1]), sum[0]);
    }
    const [one, other] = [this.split(a), this.split(b)];
    // Offsets of packets are small, so that addresses compare as offsets do.
    if (one.isPacket && other.isPacket) return this.lts(this.offsetOf(one), this.offsetOf(other));
    return this.binary(Ex.LTU, a, b);
  }

  /** x and c of x + c that is never beyond 64 bits. */
  private exactSum(node: number): readonly [x: number, c: bigint] | null {
    const sum = this.withConstant(node, Ex.ADD);
    if (sum === null || this.e.may[sum[0]]! + sum[1] > ALL_BITS) return null;
    return sum;
  }

  /** a < b, signed. */
  lts(a: number, b: number): number {
    const { e } = this;
    if (a === b) return this.zero;
    const [x, y] = [this.fold(a), this.fold(b)];
    if (x !== null && y !== null) return signed(x) < signed(y) ? this.one : this.zero;
    const [isLeft, isRight] = [e.may[a]! >> 63n === 0n, e.may[b]! >> 63n === 0n];
    if (isLeft && isRight) return this.ltu(a, b);
    // A number that is not negative against one that is.
    if (isLeft && y !== null && y >> 63n === 1n) return this.zero;
    if (isRight && x !== null && x >> 63n === 1n) return this.one;
    return this.binary(Ex.LTS, a, b);
  }

  /** A test without its negations, and whether an odd number of them was taken off. */
  positive(test: number): readonly [test: number, isNegated: boolean] {
    const { e } = this;
    let node = test;
    let isNegated = false;
    while (e.op[node] === Ex.EQ && e.b[node] === this.zero && isComparison(e.op[e.a[node]!]!)) {
      node = e.a[node]!;
      isNegated = !isNegated;
    }
    return [node, isNegated];
  }

  /** The low 32 bits. */
  word(a: number): number {
    return this.masked32(a);
  }

  private masked32(a: number): number {
    return this.and(a, this.number(WORD));
  }
}
