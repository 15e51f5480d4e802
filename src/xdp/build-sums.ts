/** Sums, differences, products and quotients of nodes, simplified: see `build.ts`. */
import { divide, remainder } from "./arithmetic.js";
import type { Builder } from "./build.js";
import { Ex } from "./expr.js";

export class Sums {
  private readonly build: Builder;

  constructor(build: Builder) {
    this.build = build;
  }

  add(a: number, b: number): number {
    const { e } = this.build;
    if (this.build.isSmall(b)) {
      if (e.low[b] === 0) return a;
      const inner = e.op[a] === Ex.ADD ? e.b[a]! : a;
      if (!e.isConstant(inner)) return this.build.binary(Ex.ADD, a, b);
      if (this.build.isSmall(inner)) {
        const sum = this.build.number(e.low[inner]! + e.low[b]!);
        return inner === a ? sum : this.build.add(e.a[a]!, sum);
      }
    }
    const [x, y] = [this.build.fold(a), this.build.fold(b)];
    if (x !== null && y !== null) return this.build.number(x + y);
    if (x !== null) return this.build.add(b, a);
    if (y !== null) {
      if (y === 0n) return a;
      const inner = this.build.withConstant(a, Ex.ADD);
      if (inner !== null) return this.build.add(inner[0], this.build.number(inner[1] + y));
      return this.build.binary(Ex.ADD, a, b);
    }
    const left = this.build.withConstant(a, Ex.ADD);
    if (left !== null)
      return this.build.add(this.build.add(left[0], b), this.build.number(left[1]));
    const right = this.build.withConstant(b, Ex.ADD);
    if (right !== null)
      return this.build.add(this.build.add(a, right[0]), this.build.number(right[1]));
    if (e.op[a] === Ex.SUB && e.b[a] === b) return e.a[a]!;
    if (e.op[b] === Ex.SUB && e.b[b] === a) return e.a[b]!;
    if (this.build.hasPacket(b))
      return this.build.hasPacket(a) ? this.build.commuted(Ex.ADD, a, b) : this.build.add(b, a);
    if (a === this.build.packet) return this.build.binary(Ex.ADD, a, b);
    if (this.build.hasPacket(a))
      return this.build.binary(Ex.ADD, this.build.packet, this.build.add(e.b[a]!, b));
    return this.build.commuted(Ex.ADD, a, b);
  }

  sub(a: number, b: number): number {
    const { e } = this.build;
    const y = this.build.fold(b);
    if (y !== null) return this.build.add(a, this.build.number(-y));
    if (a === b) return this.build.zero;
    const left = this.build.withConstant(a, Ex.ADD);
    if (left !== null)
      return this.build.add(this.build.sub(left[0], b), this.build.number(left[1]));
    const right = this.build.withConstant(b, Ex.ADD);
    if (right !== null)
      return this.build.add(this.build.sub(a, right[0]), this.build.number(-right[1]));
    const [one, other] = [this.build.split(a), this.build.split(b)];
    if (one.isPacket && other.isPacket)
      return this.build.sub(this.build.offsetOf(one), this.build.offsetOf(other));
    if (e.op[a] === Ex.ADD && e.b[a] === b) return e.a[a]!;
    if (e.op[a] === Ex.ADD && e.a[a] === b) return e.b[a]!;
    return this.build.binary(Ex.SUB, a, b);
  }

  mul(a: number, b: number): number {
    const [x, y] = [this.build.fold(a), this.build.fold(b)];
    if (x !== null && y !== null) return this.build.number(x * y);
    if (x !== null) return this.mul(b, a);
    if (y === null) return this.build.commuted(Ex.MUL, a, b);
    if (y === 0n) return this.build.zero;
    if (y === 1n) return a;
    if ((y & (y - 1n)) === 0n)
      return this.build.shl(a, this.build.number(y.toString(2).length - 1));
    return this.build.binary(Ex.MUL, a, b);
  }

  divide(op: number, a: number, b: number): number {
    const [x, y] = [this.build.fold(a), this.build.fold(b)];
    const isDivision = op === Ex.DIV || op === Ex.SDIV;
    const isSigned = op === Ex.SDIV || op === Ex.SMOD;
    if (x !== null && y !== null) {
      return this.build.number(isDivision ? divide(x, y, isSigned) : remainder(x, y, isSigned));
    }
    if (y === null) return this.build.binary(op, a, b);
    if (y === 0n) return isDivision ? this.build.zero : a;
    if (isSigned) return this.build.binary(op, a, b);
    if (!isDivision && this.build.e.may[a]! < y) return a;
    if ((y & (y - 1n)) !== 0n) return this.build.binary(op, a, b);
    if (!isDivision) return this.build.and(a, this.build.number(y - 1n));
    return this.build.shr(a, this.build.number(y.toString(2).length - 1));
  }
}
