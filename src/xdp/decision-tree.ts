/**
 * The traces of a program as a tree of decisions. All paths of one program ask the same questions in the same
 * order until they part, so that each packet ends at one leaf at most.
 */
import { Ex, type Expressions } from "./expr.js";
import type { CallOp, GuardOp, Trace } from "./trace.js";

/** A place in the tree, empty when no trace has come this way. */
export interface Slot {
  tree: Branch | Leaf | null;
}

export interface Branch {
  readonly kind: "branch";
  /** Made before the test is. */
  readonly calls: readonly CallOp[];
  /** LOOKUPs that mark a use, needed or not. */
  readonly uses: readonly number[];
  readonly test: number;
  /** The instruction that it comes from, of the first trace that came this way. */
  readonly word: number;
  readonly yes: Slot;
  readonly no: Slot;
}

export interface Leaf {
  readonly kind: "leaf";
  readonly calls: readonly CallOp[];
  readonly uses: readonly number[];
  readonly trace: Trace;
}

/** Whether a helper is called somewhere in a tree, or, `isMatchOnly`, among its guards. */
export function hasCalls({ tree }: Slot, isMatchOnly: boolean): boolean {
  if (tree === null) return false;
  // Calls of a leaf come after its last guard.
  if (tree.kind === "leaf") {
    if (isMatchOnly) return false;
    return tree.calls.length > 0 || tree.trace.effects.some(({ kind }) => kind === "call");
  }
  if (tree.calls.length > 0) return true;
  return hasCalls(tree.yes, isMatchOnly) || hasCalls(tree.no, isMatchOnly);
}

export class DecisionTree {
  private readonly e: Expressions;
  readonly root: Slot = { tree: null };
  private readonly leaves = new Map<number, Trace>();

  constructor(e: Expressions) {
    this.e = e;
  }

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
    let uses: number[] = [];
    for (const op of trace.before) {
      if (op.kind === "call") calls.push(op);
      else if (op.kind === "lookup" && op.marksUse) uses.push(op.node);
      if (op.kind !== "guard") continue;
      slot = this.past(slot, op);
      slot.tree ??= {
        kind: "branch",
        calls,
        uses,
        test: op.test,
        word: op.word,
        yes: { tree: null },
        no: { tree: null },
      };
      const { tree } = slot;
      if (tree.kind !== "branch" || tree.test !== op.test) return false;
      slot = op.holds ? tree.yes : tree.no;
      calls = [];
      uses = [];
    }
    if (slot.tree !== null) return false;
    slot.tree = { kind: "leaf", calls, uses, trace };
    this.leaves.set(trace.id, trace);
    return true;
  }

  /** Where a value is pinned, each number that it has had is a test of its own, one behind the other. */
  private past(from: Slot, op: GuardOp): Slot {
    const { e } = this;
    let slot = from;
    for (let { tree } = slot; tree?.kind === "branch" && tree.test !== op.test; { tree } = slot) {
      const isSame = op.reason === "value" && op.holds && e.a[tree.test] === e.a[op.test];
      if (!isSame || e.op[tree.test] !== Ex.EQ || !e.isConstant(e.b[tree.test]!)) break;
      slot = tree.no;
    }
    return slot;
  }
}
