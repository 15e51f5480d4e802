/**
 * The paths of a program as a tree of questions, for people: what only one answer was ever seen to goes with
 * the answer before it, in canonical form (34 <= length, not 14 <= length and 34 <= length).
 */
import { conditionOf } from "../../../xdp/condition-of.js";
import { DecisionTree, type Slot } from "../../../xdp/decision-tree.js";
import type { GuardOp, Trace } from "../../../xdp/trace.js";
import type { TracedProgram } from "../../../xdp/traced-program.js";
import { outlined, type Sourced } from "../readable-trace.js";

export interface PathNode {
  /** What must hold to come here from the node above; empty at the root: always. */
  readonly when: readonly Sourced[];
  readonly packets: number;
  /** Most used first. */
  readonly children: readonly PathNode[];
  /** The path that ends here; null where there are children. */
  readonly path: number | null;
}

/** `packets`: how many took each path, by its number. */
export function pathTree(traced: TracedProgram, packets: ReadonlyMap<number, number>): PathNode {
  return new TreeMaker(traced, packets).make();
}

class TreeMaker {
  private readonly traced: TracedProgram;
  private readonly packets: ReadonlyMap<number, number>;
  /** The instruction that a test comes from. */
  private readonly wordOf = new Map<number, number>();

  constructor(traced: TracedProgram, packets: ReadonlyMap<number, number>) {
    this.traced = traced;
    this.packets = packets;
  }

  make(): PathNode {
    const tree = new DecisionTree(this.traced.tracer.e);
    for (const trace of this.traced.traces) {
      if (trace === undefined) continue;
      this.noteWords(trace);
      tree.add(trace);
    }
    return this.node(tree.root, []);
  }

  private noteWords(trace: Trace): void {
    for (const op of trace.before) {
      if (op.kind === "guard" && !this.wordOf.has(op.test)) this.wordOf.set(op.test, op.word);
    }
  }

  private node(from: Slot, first: readonly GuardOp[]): PathNode {
    const guards = [...first];
    let { tree } = from;
    while (tree?.kind === "branch" && (tree.yes.tree === null || tree.no.tree === null)) {
      const holds = tree.yes.tree !== null;
      guards.push(this.guard(tree.test, holds));
      tree = holds ? tree.yes.tree : tree.no.tree;
    }
    const when = this.say(guards);
    if (tree === null) return { when, packets: 0, children: [], path: null };
    if (tree.kind === "leaf") {
      const { id } = tree.trace;
      return { when, packets: this.packets.get(id) ?? 0, children: [], path: id };
    }
    const children = [
      this.node(tree.yes, [this.guard(tree.test, true)]),
      this.node(tree.no, [this.guard(tree.test, false)]),
    ].sort((a, b) => b.packets - a.packets);
    const packets = children.reduce((sum, child) => sum + child.packets, 0);
    return { when, packets, children, path: null };
  }

  private guard(test: number, holds: boolean): GuardOp {
    return { kind: "guard", word: this.wordOf.get(test) ?? 0, test, holds, reason: "branch" };
  }

  private say(guards: readonly GuardOp[]): Sourced[] {
    return conditionOf(this.traced.tracer.build, guards).atoms.map((atom) =>
      outlined(this.traced, atom.words.at(-1), (words) => words.atom(atom)),
    );
  }
}
