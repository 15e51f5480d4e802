/** Comparisons of nodes, simplified: see `build.ts`. */
import { signed, swap } from "./arithmetic.js";
import { isLowMask, maskOf, SEXT_BITS, SWAP_BITS } from "./bit-widths.js";
import type { Builder } from "./build.js";
import { ALL_BITS, Ex, isComparison, NONE } from "./expr.js";

export class Tests {
  private readonly build: Builder;

  constructor(build: Builder) {
    this.build = build;
  }

  eq(a: number, b: number): number {
    const { e } = this.build;
    if (a === b) return this.build.one;
    const [x, y] = [this.build.fold(a), this.build.fold(b)];
    if (x !== null && y !== null) return x === y ? this.build.one : this.build.zero;
    if (x !== null) return this.build.eq(b, a);
    if (y !== null) return this.eqConstant(a, y);
    const [one, other] = [this.build.split(a), this.build.split(b)];
    if (one.isPacket && other.isPacket)
      return this.build.eq(this.build.offsetOf(one), this.build.offsetOf(other));
    if (one.offset !== 0n) {
      const c = this.build.number(one.offset);
      return this.build.eq(this.build.sub(a, c), this.build.sub(b, c));
    }
    const op = e.op[a]!;
    if (SWAP_BITS.has(op) && e.op[b] === op) return this.build.eq(e.a[a]!, e.a[b]!);
    return this.build.commuted(Ex.EQ, a, b);
  }

  private eqConstant(a: number, c: bigint): number {
    const { e } = this.build;
    if ((c & ~e.may[a]!) !== 0n) return this.build.zero;
    const op = e.op[a]!;
    if (isComparison(op) && c === 1n) return a;
    if (op === Ex.EQ && c === 0n && e.b[a] === this.build.zero && isComparison(e.op[e.a[a]!]!)) {
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
          ? this.build.eq(inner, right)
          : this.plainEq(a, c);
    if (op === Ex.SUB && c === 0n) return this.build.eq(inner, right);
    if (op === Ex.AND && k !== null && isLowMask(k)) return this.eqMasked(a, inner, k, c);
    if (op === Ex.SHR && k !== null)
      return this.build.eq(
        this.build.masked(inner, (ALL_BITS << k) & ALL_BITS),
        this.build.number(c << k),
      );
    if (op === Ex.SHL && k !== null && e.may[inner]! << k <= ALL_BITS)
      return this.eqTo(inner, c >> k);
    const swapBits = SWAP_BITS.get(op);
    if (swapBits !== undefined) return this.eqTo(inner, swap(c, swapBits));
    const sextBits = SEXT_BITS.get(op);
    if (sextBits !== undefined) {
      const m = maskOf(sextBits);
      if (BigInt.asUintN(64, BigInt.asIntN(sextBits, c)) !== c) return this.build.zero;
      return this.eqTo(this.build.masked(inner, m), c & m);
    }
    return this.plainEq(a, c);
  }

  private plainEq(a: number, c: bigint): number {
    return this.build.binary(Ex.EQ, a, this.build.number(c));
  }

  private eqTo(a: number, c: bigint): number {
    return this.build.eq(a, this.build.number(c));
  }

  /** (inner & m) == c, m being low bits. */
  private eqMasked(a: number, inner: number, m: bigint, c: bigint): number {
    const { e } = this.build;
    const sum = this.build.withConstant(inner, Ex.ADD);
    if (sum !== null) return this.eqTo(this.build.masked(sum[0], m), (c - sum[1]) & m);
    if (e.op[inner] === Ex.SUB && c === 0n) {
      return this.build.eq(this.build.masked(e.a[inner]!, m), this.build.masked(e.b[inner]!, m));
    }
    return this.plainEq(a, c);
  }

  /** a < b, unsigned. */
  ltu(a: number, b: number): number {
    const { e } = this.build;
    if (a === b) return this.build.zero;
    const [x, y] = [this.build.fold(a), this.build.fold(b)];
    if (x !== null && y !== null) return x < y ? this.build.one : this.build.zero;
    if (y !== null) {
      if (y === 0n) return this.build.zero;
      if (e.may[a]! < y) return this.build.one;
      if (y === 1n) return this.build.eq(a, this.build.zero);
      const sum = this.exactSum(a);
      if (sum !== null)
        return sum[1] < y ? this.build.ltu(sum[0], this.build.number(y - sum[1])) : this.build.zero;
    }
    if (x !== null) {
      if (e.may[b]! <= x) return this.build.zero;
      if (x === 0n) return this.build.not(this.build.eq(b, this.build.zero));
      const sum = this.exactSum(b);
      if (sum !== null)
        return sum[1] > x ? this.build.one : this.build.ltu(this.build.number(x - sum[1]), sum[0]);
    }
    const [one, other] = [this.build.split(a), this.build.split(b)];
    // Offsets of packets are small, so that addresses compare as offsets do.
    if (one.isPacket && other.isPacket)
      return this.build.lts(this.build.offsetOf(one), this.build.offsetOf(other));
    return this.build.binary(Ex.LTU, a, b);
  }

  /** x and c of x + c that is never beyond 64 bits. */
  private exactSum(node: number): readonly [x: number, c: bigint] | null {
    const sum = this.build.withConstant(node, Ex.ADD);
    if (sum === null || this.build.e.may[sum[0]]! + sum[1] > ALL_BITS) return null;
    return sum;
  }

  /** a < b, signed. */
  lts(a: number, b: number): number {
    const { e } = this.build;
    if (a === b) return this.build.zero;
    const [x, y] = [this.build.fold(a), this.build.fold(b)];
    if (x !== null && y !== null) return signed(x) < signed(y) ? this.build.one : this.build.zero;
    const [isLeft, isRight] = [e.may[a]! >> 63n === 0n, e.may[b]! >> 63n === 0n];
    if (isLeft && isRight) return this.build.ltu(a, b);
    // A number that is not negative against one that is.
    if (isLeft && y !== null && y >> 63n === 1n) return this.build.zero;
    if (isRight && x !== null && x >> 63n === 1n) return this.build.one;
    return this.build.binary(Ex.LTS, a, b);
  }
}
