/**
 * The weakest conditions of what traces do: where both outcomes of a test lead to the same effects, the test
 * does not matter, and the two traces are one entry of a NIC's table. Entries are still disjoint.
 */
import type { Builder } from "./build.js";
import type { Condition } from "./condition.js";
import { conditionOf } from "./condition-of.js";
import { DecisionTree, type Slot } from "./decision-tree.js";
import type { GuardOp, Trace } from "./trace.js";

export interface TableEntry {
  /** Numbers of the traces that it stands for. */
  readonly traces: readonly number[];
  readonly effectKey: string;
  readonly condition: Condition;
}

/** What is left of a tree: tests that matter. */
type Kept = Test | readonly Trace[] | null;

interface Test {
  readonly guard: number;
  readonly word: number;
  readonly yes: Kept;
  readonly no: Kept;
}

export function weakestEntries(build: Builder, traces: Iterable<Trace>): TableEntry[] {
  const tree = new DecisionTree(build.e);
  for (const trace of traces) tree.add(trace);
  const entries: TableEntry[] = [];
  walk(reduce(tree.root, 0), [], (same, guards) => {
    entries.push({
      traces: same.map(({ id }) => id),
      effectKey: same[0]!.effectKey,
      condition: conditionOf(build, guards),
    });
  });
  return entries;
}

const isLeaf = (kept: Kept): kept is readonly Trace[] => Array.isArray(kept);

function reduce({ tree }: Slot, depth: number): Kept {
  if (tree === null) return null;
  if (tree.kind === "leaf") return [tree.trace];
  const [yes, no] = [reduce(tree.yes, depth + 1), reduce(tree.no, depth + 1)];
  const isSame = isLeaf(yes) && isLeaf(no) && yes[0]!.effectKey === no[0]!.effectKey;
  if (isSame) return [...yes, ...no];
  return { guard: tree.test, word: tree.word, yes, no };
}

function walk(
  kept: Kept,
  guards: readonly GuardOp[],
  visit: (same: readonly Trace[], guards: readonly GuardOp[]) => void,
): void {
  if (kept === null) return;
  if (isLeaf(kept)) {
    visit(kept, guards);
    return;
  }
  for (const holds of [true, false]) {
    const { guard: test, word } = kept;
    const guard: GuardOp = { kind: "guard", word, test, holds, reason: "branch" };
    walk(holds ? kept.yes : kept.no, [...guards, guard], visit);
  }
}
