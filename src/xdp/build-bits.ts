/** Bits of nodes, simplified: masks, shifts, extensions, byte order, and loads that are put together. See `build.ts`. */
import { signed, swap } from "./arithmetic.js";
import { isLowMask, maskOf, SEXT_BITS, SWAP_BITS } from "./bit-widths.js";
import type { Builder } from "./build.js";
import { ALL_BITS, Ex, NONE } from "./expr.js";

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

const SWAP_OPS: ReadonlyMap<number, number> = new Map([
  [2, Ex.SWAP16],
  [4, Ex.SWAP32],
  [8, Ex.SWAP64],
]);

export class Bits {
  private readonly build: Builder;

  constructor(build: Builder) {
    this.build = build;
  }

  and(a: number, b: number): number {
    const [x, y] = [this.build.fold(a), this.build.fold(b)];
    if (x !== null && y !== null) return this.build.number(x & y);
    if (x !== null) return this.build.and(b, a);
    if (a === b) return a;
    return y === null ? this.build.commuted(Ex.AND, a, b) : this.masked(a, y);
  }

  /** a & m */
  masked(a: number, m: bigint): number {
    const { e } = this.build;
    const may = e.may[a]!;
    if ((may & ~m) === 0n) return a;
    if ((may & m) === 0n) return this.build.zero;
    const inner = this.build.withConstant(a, Ex.AND);
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
    return this.build.binary(Ex.AND, a, this.build.number(m));
  }

  /** a & m for a mask of low bits, where that is something simpler; NONE otherwise. */
  private narrowed(a: number, m: bigint): number {
    const { e } = this.build;
    const op = e.op[a]!;
    const bits = m.toString(2).length;
    if (op === Ex.ADD || op === Ex.SUB || op === Ex.MUL) {
      const [x, y] = [this.unmasked(e.a[a]!, m), this.unmasked(e.b[a]!, m)];
      if (x === e.a[a] && y === e.b[a]) return NONE;
      const plain =
        op === Ex.ADD
          ? this.build.add(x, y)
          : op === Ex.SUB
            ? this.build.sub(x, y)
            : this.build.mul(x, y);
      return this.masked(plain, m);
    }
    if (op === Ex.LOAD && (bits === 8 || bits === 16 || bits === 32)) {
      return this.build.load(e.a[a]!, e.low[a]!, bits / 8);
    }
    const part = op === Ex.SHR ? this.loadPart(a, bits) : NONE;
    if (part !== NONE) return part;
    if ((SEXT_BITS.get(op) ?? 0) >= bits) return this.masked(e.a[a]!, m);
    if (op === Ex.SWAP32 && bits === 16)
      return this.build.swap(16, this.build.shr(e.a[a]!, this.build.number(16)));
    if (op === Ex.SWAP64 && bits === 32)
      return this.build.swap(32, this.build.shr(e.a[a]!, this.build.number(32)));
    if (op === Ex.SWAP64 && bits === 16)
      return this.build.swap(16, this.build.shr(e.a[a]!, this.build.number(48)));
    return NONE;
  }

  /** The low bits of LOAD >> k where those are bytes; NONE otherwise. */
  private loadPart(shifted: number, bits: number): number {
    const { e } = this.build;
    const [load, by] = [e.a[shifted]!, e.b[shifted]!];
    if (e.op[load] !== Ex.LOAD || !e.isConstant(by)) return NONE;
    const k = Number(e.valueOf(by));
    const isBytes = k % 8 === 0 && (bits === 8 || bits === 16 || bits === 32);
    if (!isBytes || k + bits > 8 * e.high[load]!) return NONE;
    return this.build.load(e.a[load]!, e.low[load]! + k / 8, bits / 8);
  }

  /** What has the same bits under a mask of low ones. */
  private unmasked(node: number, m: bigint): number {
    const constant = this.build.fold(node);
    if (constant !== null) {
      // Small negative numbers stay what they are written as.
      const low = constant & m;
      const isHigh = low >> BigInt(m.toString(2).length - 1) === 1n;
      return this.build.number(isHigh ? low - (m + 1n) : low);
    }
    const inner = this.build.withConstant(node, Ex.AND);
    return inner !== null && (inner[1] & m) === m ? this.unmasked(inner[0], m) : node;
  }

  or(a: number, b: number): number {
    const { e } = this.build;
    const [x, y] = [this.build.fold(a), this.build.fold(b)];
    if (x !== null && y !== null) return this.build.number(x | y);
    if (x !== null) return this.build.or(b, a);
    if (a === b || y === 0n) return a;
    const fused = this.fuse(a, b);
    if (fused !== NONE) return fused;
    for (const [whole, part] of [
      [a, b],
      [b, a],
    ] as const) {
      if (e.op[whole] !== Ex.OR) continue;
      const right = this.fuse(e.b[whole]!, part);
      if (right !== NONE) return this.build.or(e.a[whole]!, right);
      const left = this.fuse(e.a[whole]!, part);
      if (left !== NONE) return this.build.or(e.b[whole]!, left);
    }
    return y === null ? this.build.commuted(Ex.OR, a, b) : this.build.binary(Ex.OR, a, b);
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
        ? this.build.load(base, at, 2 * size)
        : this.build.mapLoad(lower.map, base, at, 2 * size);
    if (base !== upper.base || size !== upper.size || upper.shift !== shift + 8 * size) return NONE;
    if (size > 4) return NONE;
    const isPlain = lower.isSwapped !== true && upper.isSwapped !== true;
    if (isPlain && upper.at === lower.at + size) {
      return this.build.shl(load(lower.at), this.build.number(shift));
    }
    const isSwapped = lower.isSwapped !== false && upper.isSwapped !== false;
    if (!isSwapped || lower.at !== upper.at + size) return NONE;
    const whole = load(upper.at);
    return this.build.shl(this.build.swap(16 * size, whole), this.build.number(shift));
  }

  private piece(node: number): Piece | null {
    const { e } = this.build;
    const shifted = this.build.withConstant(node, Ex.SHL);
    const [inner, shift] = shifted === null ? [node, 0] : [shifted[0], Number(shifted[1])];
    const swapBits = SWAP_BITS.get(e.op[inner]!) ?? 0;
    const load = swapBits === 0 ? inner : e.a[inner]!;
    const isMap = this.build.joinsMapLoads && e.op[load] === Ex.MAP_LOAD;
    if (e.op[load] !== Ex.LOAD && !isMap) return null;
    const size = e.high[load]!;
    if (swapBits !== 0 && swapBits !== 8 * size) return null;
    const isSwapped = size === 1 ? null : swapBits !== 0;
    const map = isMap ? e.b[load]! : NONE;
    return { base: e.a[load]!, map, at: e.low[load]!, size, shift, isSwapped };
  }

  xor(a: number, b: number): number {
    const [x, y] = [this.build.fold(a), this.build.fold(b)];
    if (x !== null && y !== null) return this.build.number(x ^ y);
    if (x !== null) return this.xor(b, a);
    if (a === b) return this.build.zero;
    if (y === null) return this.build.commuted(Ex.XOR, a, b);
    if (y === 0n) return a;
    const inner = this.build.withConstant(a, Ex.XOR);
    if (inner !== null) return this.xor(inner[0], this.build.number(inner[1] ^ y));
    return this.build.binary(Ex.XOR, a, b);
  }

  shl(a: number, b: number): number {
    const [x, y] = [this.build.fold(a), this.build.fold(b)];
    if (y === null) return this.build.binary(Ex.SHL, a, b);
    const k = y & 63n;
    if (x !== null) return this.build.number(x << k);
    if (k === 0n) return a;
    const again = this.build.withConstant(a, Ex.SHL);
    if (again !== null) {
      const sum = again[1] + k;
      return sum > 63n ? this.build.zero : this.build.shl(again[0], this.build.number(sum));
    }
    const back = this.build.withConstant(a, Ex.SHR);
    if (back !== null && back[1] === k) return this.masked(back[0], (ALL_BITS << k) & ALL_BITS);
    return this.build.binary(Ex.SHL, a, this.build.number(k));
  }

  shr(a: number, b: number): number {
    const { e } = this.build;
    const [x, y] = [this.build.fold(a), this.build.fold(b)];
    if (y === null) return this.build.binary(Ex.SHR, a, b);
    const k = y & 63n;
    if (x !== null) return this.build.number(x >> k);
    if (k === 0n) return a;
    if (e.may[a]! >> k === 0n) return this.build.zero;
    const again = this.build.withConstant(a, Ex.SHR);
    if (again !== null) {
      const sum = again[1] + k;
      return sum > 63n ? this.build.zero : this.build.shr(again[0], this.build.number(sum));
    }
    const back = this.build.withConstant(a, Ex.SHL);
    if (back !== null) {
      const [inner, by] = back;
      const moved =
        k >= by
          ? this.build.shr(inner, this.build.number(k - by))
          : this.build.shl(inner, this.build.number(by - k));
      return this.masked(moved, ALL_BITS >> k);
    }
    const inner = this.build.withConstant(a, Ex.AND);
    if (inner !== null)
      return this.masked(this.build.shr(inner[0], this.build.number(k)), inner[1] >> k);
    return this.shiftedLoad(a, Number(k));
  }

  private shiftedLoad(a: number, k: number): number {
    const { e } = this.build;
    const op = e.op[a]!;
    if (op === Ex.LOAD && k % 8 === 0) {
      const rest = e.high[a]! - k / 8;
      if (rest === 1 || rest === 2 || rest === 4)
        return this.build.load(e.a[a]!, e.low[a]! + k / 8, rest);
    }
    if (op === Ex.SWAP32 && k === 16) return this.build.swap(16, e.a[a]!);
    if (op === Ex.SWAP64 && k === 32) return this.build.swap(32, e.a[a]!);
    if (op === Ex.SWAP64 && k === 48) return this.build.swap(16, e.a[a]!);
    return this.build.binary(Ex.SHR, a, this.build.number(k));
  }

  sar(a: number, b: number): number {
    const [x, y] = [this.build.fold(a), this.build.fold(b)];
    if (y === null) return this.build.binary(Ex.SAR, a, b);
    const k = y & 63n;
    if (x !== null) return this.build.number(signed(x) >> k);
    if (k === 0n) return a;
    if (this.build.e.may[a]! >> 63n === 0n) return this.build.shr(a, b);
    const back = this.build.withConstant(a, Ex.SHL);
    if (back !== null && back[1] === k) {
      const bits = 64n - k;
      if (bits === 8n || bits === 16n || bits === 32n)
        return this.build.extend(Number(bits), back[0]);
    }
    return this.build.binary(Ex.SAR, a, this.build.number(k));
  }

  /** Sign extension of the low 8, 16 or 32 bits. */
  extend(bits: number, a: number): number {
    const m = maskOf(bits);
    const inner = this.masked(a, m);
    const x = this.build.fold(inner);
    if (x !== null) return this.build.number(BigInt.asIntN(bits, x));
    if (this.build.e.may[inner]! >> BigInt(bits - 1) === 0n) return inner;
    const op = bits === 8 ? Ex.SEXT8 : bits === 16 ? Ex.SEXT16 : Ex.SEXT32;
    return this.build.e.node(op, this.unmasked(inner, m), NONE, 0, 0);
  }

  /** Byte swap of the low 16, 32 or 64 bits. */
  swap(bits: number, a: number): number {
    const { e } = this.build;
    const op = SWAP_OPS.get(bits / 8)!;
    const inner = this.masked(a, maskOf(bits));
    const x = this.build.fold(inner);
    if (x !== null) return this.build.number(swap(x, bits));
    if (e.op[inner] === op) return e.a[inner]!;
    return e.node(op, inner, NONE, 0, 0);
  }
}
