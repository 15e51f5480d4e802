/** What a node of a trace is called in a printed row. */
import { Ex, type Expressions, NONE } from "./expr.js";

const NAMES = new Map<number, string>(
  Object.entries(Ex).map(([name, op]) => [op, name.toLowerCase()]),
);

export function nameOf(e: Expressions, node: number): string {
  const op = e.op[node]!;
  const name = NAMES.get(op) ?? "?";
  if (op === Ex.LOAD)
    return `u${8 * e.high[node]!} packet${e.a[node] === NONE ? "" : " *"}+${e.low[node]}`;
  if (op === Ex.MAP_LOAD) return `u${8 * e.high[node]!} map ${e.b[node]} +${e.low[node]}`;
  if (op === Ex.LOOKUP) return `lookup map ${e.low[node]}`;
  return name;
}
