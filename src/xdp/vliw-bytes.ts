/**
 * Where the bytes of a value come from: values that are put together of neighbouring bytes of memory are one
 * load, whatever shifts and swaps the program used, as memories can load and store any one to eight bytes
 * (hXDP added loads and stores of six).
 */
import { Ex, type Expressions } from "./expr.js";

/** A byte of memory as the packet met it. */
export interface SourceByte {
  /** "packet" or "map N". */
  readonly space: string;
  readonly base: number;
  readonly at: number;
}

/** null: something else. */
export type ByteOf = SourceByte | "zero" | "constant" | null;

export interface GatheredLoad {
  readonly space: string;
  readonly base: number;
  readonly offset: number;
  readonly size: number;
  /** Most significant byte first. */
  readonly isSwapped: boolean;
}

const BYTES = 8;
const UNKNOWN: readonly ByteOf[] = new Array(BYTES).fill(null);

export class ByteSources {
  private readonly e: Expressions;
  private readonly known = new Map<number, readonly ByteOf[]>();

  constructor(e: Expressions) {
    this.e = e;
  }

  /** The eight bytes of a node's value, the least significant first. */
  of(node: number): readonly ByteOf[] {
    let bytes = this.known.get(node);
    if (bytes === undefined) {
      bytes = this.find(node);
      this.known.set(node, bytes);
    }
    return bytes;
  }

  /** The one load that gives a node's value; null when there is none. */
  gather(node: number): GatheredLoad | null {
    const bytes = this.of(node);
    const size = bytes.indexOf("zero") < 0 ? BYTES : bytes.indexOf("zero");
    if (size === 0 || bytes.slice(size).some((byte) => byte !== "zero")) return null;
    const found = bytes.slice(0, size);
    const up = run(found, 1);
    if (up !== null) return { ...up, isSwapped: false };
    const down = run([...found].reverse(), 1);
    return down === null ? null : { ...down, isSwapped: true };
  }

  /** The loads that a value's bytes come from, in order, constants left out; null: not all do. */
  pieces(node: number): GatheredLoad[] | null {
    const bytes = this.of(node);
    const found: GatheredLoad[] = [];
    for (let from = 0; from < BYTES; ) {
      const byte = bytes[from]!;
      if (byte === null) return null;
      let length = 1;
      if (typeof byte !== "string") {
        while (run(bytes.slice(from, from + length + 1), 1)?.size === length + 1) length++;
        found.push({ ...run(bytes.slice(from, from + length), 1)!, isSwapped: false });
      }
      from += length;
    }
    return found;
  }

  private find(node: number): readonly ByteOf[] {
    const { e } = this;
    const [op, a, b] = [e.op[node]!, e.a[node]!, e.b[node]!];
    switch (op) {
      case Ex.CONST: {
        const value = e.valueOf(node);
        const isZero = (n: number): boolean => ((value >> BigInt(8 * n)) & 0xffn) === 0n;
        return UNKNOWN.map((_, n) => (isZero(n) ? "zero" : "constant"));
      }
      case Ex.LOAD:
      case Ex.MAP_LOAD: {
        const space = op === Ex.LOAD ? "packet" : `map ${b}`;
        const [low, size] = [e.low[node]!, e.high[node]!];
        return UNKNOWN.map((_, n) => (n < size ? { space, base: a, at: low + n } : "zero"));
      }
      case Ex.AND:
        return e.isConstant(b) ? mask(this.of(a), e.valueOf(b)) : UNKNOWN;
      case Ex.OR:
      case Ex.XOR:
      case Ex.ADD:
        return join(this.of(a), this.of(b));
      case Ex.SHL:
      case Ex.SHR: {
        if (!e.isConstant(b) || (e.valueOf(b) & 7n) !== 0n) return UNKNOWN;
        const by = Number(e.valueOf(b) & 63n) / 8;
        return shift(this.of(a), op === Ex.SHL ? by : -by);
      }
      case Ex.SWAP16:
        return swap(this.of(a), 2);
      case Ex.SWAP32:
        return swap(this.of(a), 4);
      case Ex.SWAP64:
        return swap(this.of(a), 8);
      default:
        return UNKNOWN;
    }
  }
}

function mask(bytes: readonly ByteOf[], value: bigint): readonly ByteOf[] {
  return bytes.map((byte, n) => {
    const own = (value >> BigInt(8 * n)) & 0xffn;
    return own === 0xffn ? byte : own === 0n ? "zero" : typeof byte === "string" ? byte : null;
  });
}

/** Of values none of whose bytes meet; otherwise sums could carry. */
function join(left: readonly ByteOf[], right: readonly ByteOf[]): readonly ByteOf[] {
  if (left.some((byte, n) => byte !== "zero" && right[n] !== "zero")) return UNKNOWN;
  return left.map((byte, n) => (byte === "zero" ? right[n]! : byte));
}

function shift(bytes: readonly ByteOf[], by: number): readonly ByteOf[] {
  return bytes.map((_, n) => bytes[n - by] ?? (n - by >= 0 && n - by < BYTES ? null : "zero"));
}

function swap(bytes: readonly ByteOf[], size: number): readonly ByteOf[] {
  return bytes.map((_, n) => (n < size ? bytes[size - 1 - n]! : "zero"));
}

/** Bytes that follow one another in one memory. */
export function run(
  bytes: readonly ByteOf[],
  step: number,
): { space: string; base: number; offset: number; size: number } | null {
  const first = bytes[0];
  if (first === null || first === undefined || typeof first === "string") return null;
  const follows = bytes.every(
    (byte, n) =>
      byte !== null &&
      typeof byte !== "string" &&
      byte.space === first.space &&
      byte.base === first.base &&
      byte.at === first.at + step * n,
  );
  if (!follows) return null;
  return { space: first.space, base: first.base, offset: first.at, size: bytes.length };
}

/** The fewest loads that have all the bytes of some, from the first on. */
export function coverPieces(pieces: readonly GatheredLoad[]): GatheredLoad[] {
  const sorted = [...pieces].sort(
    (a, b) => a.space.localeCompare(b.space) || a.base - b.base || a.offset - b.offset,
  );
  const loads: GatheredLoad[] = [];
  for (const piece of sorted) {
    const last = loads.at(-1);
    const end = piece.offset + piece.size;
    const isNear =
      last !== undefined &&
      last.space === piece.space &&
      last.base === piece.base &&
      end <= last.offset + BYTES;
    if (!isNear) loads.push(piece);
    else {
      const size = Math.max(last.size, end - last.offset);
      loads[loads.length - 1] = { ...last, size };
    }
  }
  return loads;
}
