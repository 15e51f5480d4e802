/**
 * Stores of a trace, put together: bytes that lie side by side and come from side by side, or are constant,
 * are one store of up to eight. What is stored twice is stored once. A value to which something is added where
 * it lies is an addition in memory, which atomic instructions need anyway.
 */
import { Ex, type Expressions } from "./expr.js";
import type { CallOp, EffectOp, StoreOp } from "./trace.js";
import { type ByteOf, type ByteSources, type GatheredLoad, run } from "./vliw-bytes.js";

/** What a store writes: a load's bytes, a node's value, or constants. */
export type Stored =
  | { readonly kind: "copy"; readonly load: GatheredLoad }
  | { readonly kind: "node"; readonly node: number }
  | { readonly kind: "constant" }
  /** The memory's own value plus a node. */
  | { readonly kind: "add"; readonly node: number };

export interface FusedStore {
  readonly kind: "fused";
  readonly space: string;
  readonly map: number;
  readonly base: number;
  readonly offset: number;
  readonly size: number;
  readonly stored: Stored;
}

export type FusedEffect = FusedStore | Exclude<EffectOp, StoreOp>;

const LONGEST = 8;

/** A byte that will be stored. */
interface PendingByte {
  readonly source: ByteOf;
  readonly isConstant: boolean;
  readonly node: number;
  /** Which byte of the node's value. */
  readonly index: number;
  /** Bytes of the store that it was part of. */
  readonly size: number;
}

interface Group {
  readonly space: string;
  readonly map: number;
  readonly base: number;
  readonly bytes: Map<number, PendingByte>;
}

/** The effects of a trace with its stores put together; their order matters only where they may meet. */
export function fuseStores(
  effects: readonly EffectOp[],
  e: Expressions,
  sources: ByteSources,
): FusedEffect[] {
  return new StoreFuser(e, sources).run(effects);
}

class StoreFuser {
  private readonly e: Expressions;
  private readonly sources: ByteSources;
  private readonly out: FusedEffect[] = [];
  /** Open groups, by memory: stores relative to another base may meet them. */
  private readonly groups = new Map<string, Group>();

  constructor(e: Expressions, sources: ByteSources) {
    this.e = e;
    this.sources = sources;
  }

  run(effects: readonly EffectOp[]): FusedEffect[] {
    for (const op of effects) {
      if (op.kind === "store") {
        this.add(op);
        continue;
      }
      if (op.kind === "call" && !isPure(op)) this.flushAll();
      if (op.kind === "atomic") this.flush(`map ${op.map}`);
      this.out.push(op);
    }
    this.flushAll();
    return this.out;
  }

  private add(op: StoreOp): void {
    const space = op.space === "packet" ? "packet" : `map ${op.map}`;
    const { base, offset, size, map } = op;
    let group = this.groups.get(space);
    if (group !== undefined && group.base !== base) {
      this.flush(space);
      group = undefined;
    }
    const isFresh =
      group === undefined ||
      !Array.from({ length: size }).some((_, n) => group!.bytes.has(offset + n));
    const added = isFresh ? this.addend(op, space) : null;
    if (added !== null) {
      const stored: Stored = { kind: "add", node: added };
      this.out.push({ kind: "fused", space, map, base, offset, size, stored });
      return;
    }
    if (group === undefined) {
      group = { space, map, base, bytes: new Map() };
      this.groups.set(space, group);
    }
    const bytes = this.sources.of(op.value);
    const isConstant = this.e.isConstant(op.value);
    for (let n = 0; n < size; n++) {
      const byte = { source: bytes[n]!, isConstant, node: op.value, index: n, size };
      group.bytes.set(offset + n, byte);
    }
  }

  /** What a store adds to the value where it goes; null when it is no addition. Only in maps. */
  private addend({ value, base, offset, size }: StoreOp, space: string): number | null {
    const { e } = this;
    if (space === "packet") return null;
    let sum = value;
    const all = (1n << BigInt(8 * size)) - 1n;
    while (
      e.op[sum] === Ex.AND &&
      e.isConstant(e.b[sum]!) &&
      (e.valueOf(e.b[sum]!) & all) === all
    ) {
      sum = e.a[sum]!;
    }
    if (e.op[sum] !== Ex.ADD) return null;
    const isSame = (node: number): boolean =>
      e.op[node] === Ex.MAP_LOAD &&
      `map ${e.b[node]}` === space &&
      e.a[node] === base &&
      e.low[node] === offset &&
      e.high[node] === size;
    const [a, b] = [e.a[sum]!, e.b[sum]!];
    return isSame(a) ? b : isSame(b) ? a : null;
  }

  private flushAll(): void {
    for (const space of [...this.groups.keys()]) this.flush(space);
  }

  private flush(space: string): void {
    const group = this.groups.get(space);
    if (group === undefined) return;
    this.groups.delete(space);
    const offsets = [...group.bytes.keys()].sort((a, b) => a - b);
    for (let n = 0; n < offsets.length; ) n += this.emit(group, offsets, n);
  }

  /** Emits the longest store that begins at the `n`th offset: how many bytes it takes. */
  private emit(group: Group, offsets: readonly number[], n: number): number {
    const { space, map, base } = group;
    const from = offsets[n]!;
    let length = 1;
    while (length < LONGEST && offsets[n + length] === from + length) length++;
    const bytes = Array.from({ length }, (_, k) => group.bytes.get(from + k)!);
    const { count, stored } = longest(bytes);
    this.out.push({ kind: "fused", space, map, base, offset: from, size: count, stored });
    return count;
  }
}

/** How many of the bytes one store can write, from the first on. */
function longest(bytes: readonly PendingByte[]): { count: number; stored: Stored } {
  const first = bytes[0]!;
  const while_ = (holds: (byte: PendingByte, n: number) => boolean): number => {
    const end = bytes.findIndex((byte, n) => !holds(byte, n));
    return end < 0 ? bytes.length : end;
  };
  const constant = while_(({ isConstant }) => isConstant);
  if (constant > 0) return { count: constant, stored: { kind: "constant" } };
  const own = while_(({ node, index }, n) => node === first.node && index === first.index + n);
  for (let count = bytes.length; count > own; count--) {
    const found = run(
      bytes.slice(0, count).map(({ source }) => source),
      1,
    );
    if (found === null) continue;
    return { count, stored: { kind: "copy", load: { ...found, isSwapped: false } } };
  }
  return { count: own, stored: { kind: "node", node: first.node } };
}

/** It reads at most. */
const isPure = (call: CallOp): boolean => call.isBefore;
