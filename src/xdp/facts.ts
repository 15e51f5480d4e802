/**
 * What the guards passed so far say of values: intervals, bits, differences. Guards that are implied need
 * not be tested, and values that are known are numbers from there on.
 */
import { ALL_BITS, Ex, type Expressions, NONE } from "./expr.js";

interface Interval {
  least: bigint;
  most: bigint;
}

interface Bits {
  /** Which bits are known, and what they are. */
  readonly mask: bigint;
  readonly value: bigint;
}

/** a < b + c, exactly: no sum is beyond 64 bits. */
interface Difference {
  readonly a: number;
  readonly b: number;
  readonly c: bigint;
}

const MAX_DEPTH = 6;

export class Facts {
  private readonly e: Expressions;
  private readonly intervals = new Map<number, Interval>();
  private readonly bits = new Map<number, Bits>();
  /** Of the packet's bytes, by offset. */
  private readonly bytes = new Map<number, Bits>();
  private readonly distinct = new Map<number, bigint[]>();
  private readonly decided = new Map<number, boolean>();
  private readonly exact = new Map<number, bigint>();
  /** a - b, signed, by `a b`. */
  private readonly differences = new Map<string, Interval>();

  constructor(e: Expressions) {
    this.e = e;
  }

  clear(): void {
    const { intervals, bits, bytes, distinct, decided, exact, differences } = this;
    for (const map of [intervals, bits, bytes, distinct, decided, exact, differences]) map.clear();
  }

  /** The number that a value is known to be; null: it is not. */
  exactOf(node: number): bigint | null {
    return this.exact.get(node) ?? null;
  }

  /** Says that a value is a number. */
  setExact(node: number, value: bigint): void {
    this.exact.set(node, value);
  }

  /** What a comparison gives, if that is known. */
  test(node: number): boolean | null {
    const known = this.decided.get(node);
    if (known !== undefined) return known;
    const { e } = this;
    const op = e.op[node]!;
    const [a, b] = [e.a[node]!, e.b[node]!];
    if (op === Ex.EQ) return this.testEqual(a, b);
    if (op !== Ex.LTU) return null;
    const [x, y] = [this.interval(a), this.interval(b)];
    if (x.most < y.least) return true;
    if (x.least >= y.most) return false;
    const difference = this.difference(a, b);
    if (difference === null) return null;
    const known2 = this.differences.get(`${difference.a} ${difference.b}`);
    if (known2 === undefined) return null;
    if (known2.most < difference.c) return true;
    return known2.least >= difference.c ? false : null;
  }

  private testEqual(a: number, b: number): boolean | null {
    const { e } = this;
    if (!e.isConstant(b)) return null;
    const c = e.valueOf(b);
    const { least, most } = this.interval(a);
    if (c < least || c > most) return false;
    if (least === most) return true;
    if (this.saysBits(a)) {
      const { mask, value } = this.bitsOf(a);
      if ((c & mask) !== value) return false;
    }
    return this.distinct.get(a)?.includes(c) ? false : null;
  }

  /** Notes what a guard that has been passed says. */
  assume(node: number, holds: boolean): void {
    const { e } = this;
    this.decided.set(node, holds);
    const op = e.op[node]!;
    const [a, b] = [e.a[node]!, e.b[node]!];
    if (op === Ex.EQ) {
      if (e.isConstant(b)) this.assumeEqual(a, e.valueOf(b), holds);
    } else if (op === Ex.LTU) {
      this.assumeLess(a, b, holds);
    }
  }

  private assumeEqual(node: number, c: bigint, holds: boolean): void {
    const { e } = this;
    if (holds) {
      this.intervals.set(node, { least: c, most: c });
      this.exact.set(node, c);
      const isMasked = e.op[node] === Ex.AND && e.isConstant(e.b[node]!);
      if (isMasked) this.learn(e.a[node]!, e.valueOf(e.b[node]!), c);
      else this.learn(node, ALL_BITS, c);
      return;
    }
    const known = this.distinct.get(node);
    if (known === undefined) this.distinct.set(node, [c]);
    else known.push(c);
    const { least, most } = this.interval(node);
    if (c === least) this.narrow(node, least + 1n, most);
    else if (c === most) this.narrow(node, least, most - 1n);
    if (c === 0n) this.learnSingleBit(node);
  }

  /** A value of one bit that is not 0. */
  private learnSingleBit(node: number): void {
    const { e } = this;
    const may = e.may[node]!;
    if (may === 0n || (may & (may - 1n)) !== 0n) return;
    this.exact.set(node, may);
    if (e.op[node] === Ex.AND && e.isConstant(e.b[node]!)) this.learn(e.a[node]!, may, may);
  }

  /** (node & mask) is value. */
  private learn(node: number, mask: bigint, value: bigint): void {
    const { e } = this;
    const known = this.bits.get(node) ?? { mask: 0n, value: 0n };
    this.bits.set(node, { mask: known.mask | mask, value: (known.value & ~mask) | value });
    if (e.op[node] !== Ex.LOAD || e.a[node] !== NONE) return;
    for (let n = 0; n < e.high[node]!; n++) {
      const at = e.low[node]! + n;
      const [m, v] = [(mask >> BigInt(8 * n)) & 0xffn, (value >> BigInt(8 * n)) & 0xffn];
      const byte = this.bytes.get(at) ?? { mask: 0n, value: 0n };
      this.bytes.set(at, { mask: byte.mask | m, value: (byte.value & ~m) | v });
    }
  }

  private narrow(node: number, least: bigint, most: bigint): void {
    const known = this.interval(node);
    const interval = {
      least: least > known.least ? least : known.least,
      most: most < known.most ? most : known.most,
    };
    this.intervals.set(node, interval);
    if (interval.least === interval.most) this.exact.set(node, interval.least);
  }

  private assumeLess(a: number, b: number, holds: boolean): void {
    const [x, y] = [this.interval(a), this.interval(b)];
    if (holds) {
      if (y.most > 0n) this.narrow(a, 0n, y.most - 1n);
      this.narrow(b, x.least + 1n, ALL_BITS);
    } else {
      this.narrow(a, y.least, ALL_BITS);
      this.narrow(b, 0n, x.most);
    }
    const difference = this.difference(a, b);
    if (difference === null) return;
    const key = `${difference.a} ${difference.b}`;
    const known = this.differences.get(key) ?? { least: -(1n << 65n), most: 1n << 65n };
    const { c } = difference;
    if (holds) known.most = known.most < c - 1n ? known.most : c - 1n;
    else known.least = known.least > c ? known.least : c;
    this.differences.set(key, known);
  }

  /** a < b as a difference of what is not constant in them; null when one of them is constant. */
  private difference(a: number, b: number): Difference | null {
    const [x, c] = this.sum(a);
    const [y, d] = this.sum(b);
    if (this.e.isConstant(x) || this.e.isConstant(y)) return null;
    return { a: x, b: y, c: d - c };
  }

  private sum(node: number): readonly [x: number, c: bigint] {
    const { e } = this;
    if (e.op[node] !== Ex.ADD || !e.isConstant(e.b[node]!)) return [node, 0n];
    const c = e.valueOf(e.b[node]!);
    return e.may[e.a[node]!]! + c > ALL_BITS ? [node, 0n] : [e.a[node]!, c];
  }

  interval(node: number, depth = 0): Interval {
    const { e } = this;
    let least = 0n;
    let most = e.may[node]!;
    const known = this.intervals.get(node);
    if (known !== undefined) [least, most] = [known.least, known.most < most ? known.most : most];
    if (depth < MAX_DEPTH) {
      const structural = this.structural(node, depth + 1);
      if (structural !== null) {
        if (structural.least > least) least = structural.least;
        if (structural.most < most) most = structural.most;
      }
    }
    if (!this.saysBits(node)) return { least, most };
    const { mask, value } = this.bitsOf(node, depth + 1);
    if (value > least) least = value;
    const highest = value | (e.may[node]! & ~mask);
    return { least, most: highest < most ? highest : most };
  }

  private structural(node: number, depth: number): Interval | null {
    const { e } = this;
    const op = e.op[node]!;
    if (op === Ex.CONST) {
      const value = e.valueOf(node);
      return { least: value, most: value };
    }
    const b = e.b[node]!;
    if (op < Ex.ADD || b === NONE || !e.isConstant(b)) return null;
    const c = e.valueOf(b);
    if (op !== Ex.ADD && op !== Ex.SHL && op !== Ex.SHR && op !== Ex.MUL) return null;
    const { least, most } = this.interval(e.a[node]!, depth);
    if (op === Ex.SHR) return { least: least >> c, most: most >> c };
    const by = (x: bigint): bigint => (op === Ex.ADD ? x + c : op === Ex.SHL ? x << c : x * c);
    return by(most) > ALL_BITS ? null : { least: by(least), most: by(most) };
  }

  /** Whether single bits may be known, besides those that are always 0. */
  private saysBits(node: number): boolean {
    const { e, bytes } = this;
    if (this.bits.has(node)) return true;
    const op = e.op[node]!;
    if (op === Ex.AND) return true;
    if (op !== Ex.LOAD || e.a[node] !== NONE || bytes.size === 0) return false;
    for (let n = 0; n < e.high[node]!; n++) if (bytes.has(e.low[node]! + n)) return true;
    return false;
  }

  private bitsOf(node: number, depth = 0): Bits {
    const { e } = this;
    const known = this.bits.get(node);
    let mask = (known?.mask ?? 0n) | (~e.may[node]! & ALL_BITS);
    let value = known?.value ?? 0n;
    const merge = (m: bigint, v: bigint): void => {
      value |= v & m;
      mask |= m;
    };
    const op = e.op[node]!;
    if (op === Ex.LOAD && e.a[node] === NONE) {
      for (let n = 0; n < e.high[node]!; n++) {
        const byte = this.bytes.get(e.low[node]! + n);
        if (byte !== undefined) merge(byte.mask << BigInt(8 * n), byte.value << BigInt(8 * n));
      }
    } else if (op === Ex.AND && e.isConstant(e.b[node]!) && depth < MAX_DEPTH) {
      const c = e.valueOf(e.b[node]!);
      const inner = this.bitsOf(e.a[node]!, depth + 1);
      merge(inner.mask & c, inner.value & c);
    }
    return { mask, value: value & mask };
  }
}
