/**
 * Traces that are not compiled yet. Which of them is a packet's is found by evaluation, and the host's program
 * runs it: to a packet that is the same as its trace. Compiling costs as much as hundreds of such packets, and
 * most paths of hostile traffic are met once.
 */
import { DecisionTree } from "./decision-tree.js";
import type { Evaluator } from "./evaluate.js";
import type { Expressions } from "./expr.js";
import { NO_TRACE, type Trace } from "./trace.js";

/** Packets that pending traces run, all together, before they are compiled. */
export const DEFAULT_PATIENCE = 16;

export class PendingTraces {
  private readonly e: Expressions;
  private readonly values: Evaluator;
  private readonly patience: number;
  private tree: DecisionTree;
  private found = 0;

  /** `patience`: packets that are waited for, see {@link DEFAULT_PATIENCE}; 0: traces are compiled at once. */
  constructor(e: Expressions, values: Evaluator, patience: number) {
    this.e = e;
    this.values = values;
    this.patience = patience;
    this.tree = new DecisionTree(e);
  }

  get isEmpty(): boolean {
    return this.tree.size === 0;
  }

  /** Whether they have been used enough to be worth compiling. */
  get isDue(): boolean {
    return this.found >= this.patience;
  }

  /** Whether a trace can wait: one with calls before its guards can only be matched by making them. */
  accepts(trace: Trace): boolean {
    return this.patience > 0 && trace.before.every(({ kind }) => kind !== "call");
  }

  add(trace: Trace): void {
    this.tree.add(trace);
  }

  /** The number of the trace that is the runtime's packet's; -1: none of these. */
  match(): number {
    const { values } = this;
    values.begin();
    let { tree } = this.tree.root;
    while (tree?.kind === "branch") tree = (values.holds(tree.test) ? tree.yes : tree.no).tree;
    if (tree === null) return NO_TRACE;
    this.found++;
    return tree.trace.id;
  }

  /** Gives all of them away. */
  take(): Trace[] {
    const traces = [...this.tree.traces()];
    this.tree = new DecisionTree(this.e);
    this.found = 0;
    return traces;
  }
}
