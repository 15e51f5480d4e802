/**
 * What a trace does with what it found, as text: equal for traces that are one action of a NIC. In such a machine
 * (RMT, P4) the match stage takes fields out of the packet and values out of tables, and hands them to an action,
 * which does not ask where they come from. So here: loads from the packet and from maps, and the places that
 * lookups found, are the action's parameters, numbered as they appear; everything else has to be the same. All of them
 * are of the state before the packet, so that they are known when the guards are.
 *
 * Counting a packet for the source port that a lookup found is one action, whether the port is at byte 34 or,
 * behind a VLAN tag, at 38.
 */
import { Ex, type Expressions, NONE } from "./expr.js";
import type { EffectOp, Trace } from "./trace.js";

export function actionKey(e: Expressions, trace: Trace): string {
  return new ActionKey(e).of(trace);
}

class ActionKey {
  private readonly e: Expressions;
  private readonly names = new Map<number, string>();
  private readonly definitions: string[] = [];
  private parameters = 0;

  constructor(e: Expressions) {
    this.e = e;
  }

  of({ effects, verdict, start, end, metadata }: Trace): string {
    const done = effects.map((op) => this.effect(op));
    const last = [verdict, start, end, metadata].map((node) => this.name(node));
    return [...this.definitions, ...done, last.join()].join(";");
  }

  private effect(op: EffectOp): string {
    switch (op.kind) {
      case "lookup":
        return `lookup ${op.map} ${this.name(op.node)}`;
      case "call": {
        const args = op.args.map((node) => this.name(node));
        const reads = op.reads.map(({ at, size, node }) => `${at}:${size}=${this.name(node)}`);
        // RESULT and FILLED name the ordinal.
        return `call ${op.helper} ${args} ${reads} ${op.ordinal}`;
      }
      case "store":
        return `store ${op.space} ${op.map} ${this.name(op.base)}+${op.offset}:${op.size}=${this.name(op.value)}`;
      case "atomic":
        return `atomic ${op.map} ${this.name(op.base)}+${op.offset}:${op.size} ${op.what} ${this.name(op.value)}`;
      case "move":
        return `move ${this.name(op.start)} ${this.name(op.end)} ${this.name(op.metadata)}`;
    }
  }

  /** A node's name, once what it is made of is defined. Nodes are deep at times, so there is no recursion. */
  private name(first: number): string {
    const { e, names } = this;
    if (first === NONE) return "-";
    const open = [first];
    for (let node = open.at(-1); node !== undefined; node = open.at(-1)) {
      const missing = names.has(node) ? [] : this.madeOf(node).filter((one) => !names.has(one));
      if (missing.length > 0) {
        open.push(...missing);
        continue;
      }
      open.pop();
      if (!names.has(node)) names.set(node, this.define(node));
    }
    return e.isConstant(first) ? `#${e.valueOf(first)}` : names.get(first)!;
  }

  private madeOf(node: number): number[] {
    return isParameter(this.e.op[node]!) ? [] : this.e.operands(node);
  }

  private define(node: number): string {
    const { e, names } = this;
    const op = e.op[node]!;
    if (op === Ex.CONST) return `#${e.valueOf(node)}`;
    if (isParameter(op)) return `p${this.parameters++}`;
    const operands = this.madeOf(node).map((one) => names.get(one)!);
    // Of leaves, b says which call they are from.
    const rest = operands.length === 0 ? e.b[node] : "";
    this.definitions.push(`${op} ${e.low[node]} ${e.high[node]} ${rest} ${operands}`);
    return `n${this.definitions.length}`;
  }
}

const isParameter = (op: number): boolean =>
  op === Ex.LOAD || op === Ex.MAP_LOAD || op === Ex.LOOKUP;
