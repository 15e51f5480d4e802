/**
 * Which parts of the initial state a trace's effects overwrite before they are read: those have to be read
 * first.
 */
import { Ex, type Expressions, NONE } from "./expr.js";
import type { EffectOp, Trace } from "./trace.js";
import { effectNodes } from "./uses.js";

/** Leaves (LOAD, MAP_LOAD, LOOKUP, COUNT) to read before the first effect. */
export function clobberedLeaves(e: Expressions, trace: Trace): number[] {
  const seen = new Set<number>();
  const early: number[] = [];
  const { effects } = trace;
  const visit = (first: number, until: number): void => {
    const open = [first];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (seen.has(node)) continue;
      seen.add(node);
      open.push(...e.operands(node));
      if (isLeaf(e.op[node]!) && effects.slice(0, until).some((op) => clobbers(e, op, node))) {
        early.push(node);
      }
    }
  };
  // The last reader first: what it needs has to survive the most effects.
  visit(trace.verdict, effects.length);
  for (let n = effects.length - 1; n >= 0; n--) effectNodes(effects[n]!, (node) => visit(node, n));
  return early.reverse();
}

const isLeaf = (op: number): boolean =>
  op === Ex.LOAD || op === Ex.MAP_LOAD || op === Ex.LOOKUP || op === Ex.COUNT;

function clobbers(e: Expressions, op: EffectOp, leaf: number): boolean {
  const kind = e.op[leaf]!;
  if (op.kind === "call") {
    const map = kind === Ex.MAP_LOAD ? e.b[leaf]! : kind === Ex.LOAD ? NONE : e.low[leaf]!;
    return !op.isBefore && map !== NONE && op.map === map;
  }
  if (op.kind !== "store" && op.kind !== "atomic") return false;
  const isPacket = op.kind === "store" && op.space === "packet";
  if (isPacket ? kind !== Ex.LOAD : kind !== Ex.MAP_LOAD || e.b[leaf] !== op.map) return false;
  if (op.base !== e.a[leaf]) return true;
  const from = e.low[leaf]!;
  return op.offset < from + e.high[leaf]! && op.offset + op.size > from;
}
