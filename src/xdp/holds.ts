/** Whether conditions and guards hold for a packet: by evaluation, as the reference for compiled ones. */

import { swap } from "./arithmetic.js";
import type { Atom, Condition } from "./condition.js";
import type { Evaluator } from "./evaluate.js";
import { Ex, type Expressions, isComparison } from "./expr.js";
import type { Trace } from "./trace.js";

export function atomHolds(e: Expressions, values: Evaluator, atom: Atom): boolean {
  const { subject, mask, least, most, isInside } = atom;
  let value = values.of(subject);
  if (atom.isBigEndian && e.op[subject] === Ex.LOAD) value = swap(value, 8 * e.high[subject]!);
  const masked = isComparison(e.op[subject]!) ? value : value & mask;
  return (masked >= least && masked <= most) === isInside;
}

/** All atoms, in any order. */
export function conditionHolds(e: Expressions, values: Evaluator, condition: Condition): boolean {
  return condition.atoms.every((atom) => atomHolds(e, values, atom));
}

/** All guards, in their order; false for traces with calls before them, which only a run can make. */
export function guardsHold(values: Evaluator, trace: Trace): boolean {
  return trace.before.every((op) =>
    op.kind === "guard" ? values.holds(op.test) === op.holds : op.kind === "lookup",
  );
}
