/**
 * The traces of a program as a tree of decisions. All paths of one program ask the same questions in the same
 * order until they part, so that each packet ends at one leaf at most.
 */
import type { CallOp, Trace } from "./trace.js";

/** A place in the tree, empty when no trace has come this way. */
export interface Slot {
  tree: Branch | Leaf | null;
}

export interface Branch {
  readonly kind: "branch";
  /** Made before the test is. */
  readonly calls: readonly CallOp[];
  readonly test: number;
  readonly yes: Slot;
  readonly no: Slot;
}

export interface Leaf {
  readonly kind: "leaf";
  readonly calls: readonly CallOp[];
  readonly trace: Trace;
}

export class DecisionTree {
  readonly root: Slot = { tree: null };
  private readonly leaves = new Map<number, Trace>();

  get size(): number {
    return this.leaves.size;
  }

  has(id: number): boolean {
    return this.leaves.has(id);
  }

  traces(): IterableIterator<Trace> {
    return this.leaves.values();
  }

  /** Puts a trace in; false when it does not fit, which no deterministic program's does. */
  add(trace: Trace): boolean {
    if (this.leaves.has(trace.id)) return true;
    let slot = this.root;
    let calls: CallOp[] = [];
    for (const op of trace.before) {
      if (op.kind === "call") calls.push(op);
      if (op.kind !== "guard") continue;
      slot.tree ??= {
        kind: "branch",
        calls,
        test: op.test,
        yes: { tree: null },
        no: { tree: null },
      };
      const { tree } = slot;
      if (tree.kind !== "branch" || tree.test !== op.test) return false;
      slot = op.holds ? tree.yes : tree.no;
      calls = [];
    }
    if (slot.tree !== null) return false;
    slot.tree = { kind: "leaf", calls, trace };
    this.leaves.set(trace.id, trace);
    return true;
  }
}
