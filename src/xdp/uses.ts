/** How often each node is needed by a tree of traces. */
import type { Slot } from "./decision-tree.js";
import { type Expressions, NONE } from "./expr.js";
import type { CallOp, EffectOp, Trace } from "./trace.js";

export function countUses(
  e: Expressions,
  root: Slot,
  isMatchOnly: boolean,
): ReadonlyMap<number, number> {
  const uses = new Map<number, number>();
  const open: Slot[] = [root];
  const visit = (node: number): void => countNode(e, uses, node);
  for (let slot = open.pop(); slot !== undefined; slot = open.pop()) {
    const { tree } = slot;
    if (tree === null) continue;
    for (const call of tree.calls) visitCall(call, visit);
    if (!isMatchOnly) for (const node of tree.uses) visit(node);
    if (tree.kind === "branch") {
      visit(tree.test);
      open.push(tree.yes, tree.no);
    } else if (!isMatchOnly) {
      visitEffects(tree.trace, visit);
    }
  }
  return uses;
}

/** Nodes are deep where a program sums up many words, so there is no recursion. */
function countNode(e: Expressions, uses: Map<number, number>, first: number): void {
  const open = [first];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const known = uses.get(node) ?? 0;
    uses.set(node, known + 1);
    if (known > 0) continue;
    open.push(...e.operands(node));
  }
}

function visitCall(op: CallOp, visit: (node: number) => void): void {
  for (const { node } of op.reads) visit(node);
  for (const node of op.args) if (node !== NONE) visit(node);
}

/** Every node that a trace's second phase needs, operation by operation. */
export function effectNodes(op: EffectOp, visit: (node: number) => void): void {
  switch (op.kind) {
    case "call":
      visitCall(op, visit);
      break;
    case "lookup":
      visit(op.node);
      break;
    case "move":
      visit(op.start);
      visit(op.end);
      visit(op.metadata);
      break;
    case "atomic":
      // The address is needed twice.
      if (op.base !== NONE) visit(op.base);
      if (op.base !== NONE) visit(op.base);
      visit(op.value);
      break;
    default:
      if (op.base !== NONE) visit(op.base);
      visit(op.value);
  }
}

function visitEffects(trace: Trace, visit: (node: number) => void): void {
  for (const op of trace.effects) effectNodes(op, visit);
  visit(trace.verdict);
}
