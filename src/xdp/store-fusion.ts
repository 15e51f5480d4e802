/**
 * Stores beside each other as fewer, wider ones: programs write addresses byte by byte. What is stored over
 * before anybody can see it is not stored at all.
 */
import type { Builder } from "./build.js";
import { assemble, type ByteOf } from "./bytes.js";
import { Ex } from "./expr.js";
import type { EffectOp, StoreOp } from "./trace.js";

const WIDTHS = [8, 4, 2] as const;

/** A byte, and the store that it comes from. */
interface Stored extends ByteOf {
  readonly op: StoreOp;
}

export function fuseStores(build: Builder, effects: readonly EffectOp[]): EffectOp[] {
  const fused: EffectOp[] = [];
  let run: StoreOp[] = [];
  const flush = (): void => {
    if (run.length === 1) fused.push(run[0]!);
    else if (run.length > 1) fused.push(...fuseRun(build, run));
    run = [];
  };
  for (const op of effects) {
    const first = run[0];
    if (op.kind !== "store") {
      flush();
      fused.push(op);
      continue;
    }
    const isBeside =
      first !== undefined &&
      first.space === op.space &&
      first.map === op.map &&
      first.base === op.base;
    if (!isBeside) flush();
    run.push(op);
  }
  flush();
  return fused;
}

/** Stores relative to one base, in order. */
function fuseRun(build: Builder, run: readonly StoreOp[]): StoreOp[] {
  const bytes = new Map<number, Stored>();
  for (const op of run) {
    for (let n = 0; n < op.size; n++) {
      bytes.set(op.offset + n, { node: op.value, index: n, op });
    }
  }
  const offsets = [...bytes.keys()].sort((a, b) => a - b);
  const fused: StoreOp[] = [];
  build.joinsMapLoads = true;
  for (let n = 0; n < offsets.length; ) {
    const one = widest(build, bytes, offsets[n]!);
    fused.push(one);
    n += one.size;
  }
  build.joinsMapLoads = false;
  return fused;
}

/** The widest store from an offset on whose value is not put together first. */
function widest(build: Builder, bytes: ReadonlyMap<number, Stored>, offset: number): StoreOp {
  const first = bytes.get(offset)!;
  for (const size of WIDTHS) {
    const parts: ByteOf[] = [];
    for (let n = 0; n < size; n++) {
      const part = bytes.get(offset + n);
      if (part !== undefined) parts.push(part);
    }
    if (parts.length < size) continue;
    const value = assemble(build, parts);
    if (build.e.op[value] === Ex.OR && first.op.size < size) continue;
    return { ...first.op, offset, size, value };
  }
  const value = assemble(build, [first]);
  return { ...first.op, offset, size: 1, value };
}
