/**
 * A trace as the operations of a VLIW processor: what its condition and its effects need, guards first.
 *
 * The condition's atoms are the guards, as they stand: merged, without what others imply. No effect starts
 * before the row after the last guard, so a packet that fails one has changed nothing. Loads are of the
 * packet and the maps as they were, so no store may pass one that it could overwrite.
 *
 * What is charged: an interval with two ends is two comparisons, a mask is an operation, and so is turning a
 * field round that is compared by size; a value of an array is found as any value is, with the latency of a
 * lookup. What is free: constants, the context, and the packet's address and length, which are registers.
 */
import { helperName } from "../ebpf/helpers.js";
import type { Atom } from "./condition.js";
import { Ex, type Expressions, isBinary, isComparison, isUnary, NONE } from "./expr.js";
import type { AtomicOp, CallOp, EffectOp, StoreOp, Trace } from "./trace.js";
import {
  schedule,
  type VliwKind,
  type VliwMachine,
  type VliwOperation,
  type VliwSchedule,
} from "./vliw.js";

export interface VliwTrace {
  readonly operations: readonly VliwOperation[];
  readonly schedule: VliwSchedule;
  /** Guards among the operations. */
  readonly guards: number;
}

export interface VliwTraceOptions {
  /**
   * Where tests of packet bytes, length and context are made: in the lanes, as all others, or before them
   * by the ternary table (TCAM) that finds the trace; they are then no operations.
   */
  readonly packetGuards?: "lanes" | "tcam";
}

/** The rows of a trace. A trace that only the host runs has none: it is the condition alone. */
export function scheduleTrace(
  trace: Trace,
  expressions: Expressions,
  machine: VliwMachine,
  options: VliwTraceOptions = {},
): VliwTrace {
  const builder = new TraceBuilder(expressions, options.packetGuards === "tcam");
  builder.build(trace);
  const { operations, guards } = builder;
  return { operations, guards: guards.length, schedule: schedule(operations, machine) };
}

const NAMES = new Map<number, string>(
  Object.entries(Ex).map(([name, op]) => [op, name.toLowerCase()]),
);

/** An access of memory, for what may overwrite it: where, and which operation. */
interface Access {
  readonly space: string;
  readonly base: number;
  readonly offset: number;
  readonly size: number;
  readonly operation: number;
}

const isTernary = (atom: Atom): boolean =>
  atom.kind === "packet" || atom.kind === "length" || atom.kind === "context";

class TraceBuilder {
  readonly operations: VliwOperation[] = [];
  readonly guards: number[] = [];
  private readonly expressions: Expressions;
  private readonly skipsTernary: boolean;
  /** By node: the operation that makes it, NONE when it costs nothing. */
  private readonly made = new Map<number, number>();
  private readonly calls = new Map<number, CallOp>();
  /** By ordinal: the operation of a call. */
  private readonly called = new Map<number, number>();
  private readonly loads: Access[] = [];
  private readonly stores: Access[] = [];
  /** Effects so far, and the last one that nothing may pass. */
  private readonly effects: number[] = [];
  private barrier: number | null = null;

  constructor(expressions: Expressions, skipsTernary: boolean) {
    this.expressions = expressions;
    this.skipsTernary = skipsTernary;
  }

  build(trace: Trace): void {
    for (const op of trace.ops) if (op.kind === "call") this.calls.set(op.ordinal, op);
    for (const atom of trace.condition.atoms) {
      if (!(this.skipsTernary && isTernary(atom))) this.addAtom(atom);
    }
    // Everything that is read, before everything that writes.
    for (const op of trace.effects) for (const node of this.valuesOf(op)) this.prepare(node);
    this.prepare(trace.verdict);
    for (const op of trace.effects) this.addEffect(op);
    const last = { after: this.guards, notBefore: this.effects };
    this.push("exit", "exit", [this.make(trace.verdict)], last);
  }

  private push(
    kind: VliwKind,
    text: string,
    needs: readonly number[],
    order: Pick<VliwOperation, "after" | "notBefore"> = {},
  ): number {
    this.operations.push({ kind, text, needs: needs.filter((n) => n !== NONE), ...order });
    return this.operations.length - 1;
  }

  private addAtom(atom: Atom): void {
    const { expressions: e } = this;
    const { subject, mask, least, most } = atom;
    if (isComparison(e.op[subject]!)) {
      const operands = e.operands(subject).map((node) => this.make(node));
      this.guards.push(this.push("guard", `guard ${this.name(subject)}`, operands));
      return;
    }
    let value = this.make(subject);
    const width = e.op[subject] === Ex.LOAD || e.op[subject] === Ex.MAP_LOAD ? e.high[subject]! : 8;
    const all = (1n << BigInt(8 * width)) - 1n;
    // A mask and a value: the same bytes, whatever their order. By size they are turned round first.
    if (atom.isBigEndian && width > 1 && least !== most) {
      value = this.push("alu", `swap ${this.name(subject)}`, [value]);
    }
    if ((mask & all) !== (e.may[subject]! & all)) {
      value = this.push("alu", `and 0x${mask.toString(16)}`, [value]);
    }
    const ends = least === most ? 1 : Number(least > 0n) + Number(most < (mask & all));
    for (let n = 0; n < Math.max(1, ends); n++) {
      this.guards.push(this.push("guard", `guard ${this.name(subject)}`, [value]));
    }
  }

  /** Makes what of a node's value is known before any effect. */
  private prepare(node: number): void {
    if (!this.isOfEffect(node)) this.make(node);
    else for (const operand of this.expressions.operands(node)) this.prepare(operand);
  }

  /** Whether a value needs what an effect gave. */
  private isOfEffect(node: number): boolean {
    const { expressions: e } = this;
    const op = e.op[node]!;
    if (op === Ex.RESULT) return this.calls.get(e.low[node]!)?.isBefore === false;
    if (op === Ex.FILLED) return this.calls.get(e.b[node]!)?.isBefore === false;
    return e.operands(node).some((operand) => this.isOfEffect(operand));
  }

  /** The operation that makes a node's value; NONE: it is there, or part of its users. */
  private make(node: number): number {
    const known = this.made.get(node);
    if (known !== undefined) return known;
    const operation = this.makeNew(node);
    this.made.set(node, operation);
    return operation;
  }

  private makeNew(node: number): number {
    const { expressions: e } = this;
    const op = e.op[node]!;
    switch (op) {
      case Ex.LOAD:
        return this.makeLoad(node, "packet", "load");
      case Ex.MAP_LOAD: {
        const space = `map ${e.b[node]}`;
        return this.makeLoad(node, space, this.isFound(e.a[node]!) ? "load" : "lookup");
      }
      case Ex.COUNT:
        return this.push("load", this.name(node), []);
      case Ex.LOOKUP:
        return this.push("lookup", this.name(node), [...this.keyParts(e.a[node]!)]);
      case Ex.RESULT:
        return this.makeCall(e.low[node]!);
      case Ex.FILLED:
        return this.makeCall(e.b[node]!);
    }
    if (!isBinary(op) && !isUnary(op)) return NONE;
    const operands = e.operands(node).map((one) => this.make(one));
    const kind = op === Ex.MUL ? "multiply" : op >= Ex.DIV && op <= Ex.SMOD ? "divide" : "alu";
    return this.push(kind, this.name(node), operands);
  }

  /** Whether an address comes of a lookup, so that the value is found already. */
  private isFound(node: number): boolean {
    if (node === NONE) return false;
    const { expressions: e } = this;
    return e.op[node] === Ex.LOOKUP || e.operands(node).some((one) => this.isFound(one));
  }

  private makeLoad(node: number, space: string, kind: VliwKind): number {
    const { expressions: e } = this;
    const base = e.a[node]!;
    const address = base === NONE ? [] : [this.make(base)];
    const operation = this.push(kind, this.name(node), address);
    this.loads.push({ space, base, offset: e.low[node]!, size: e.high[node]!, operation });
    return operation;
  }

  private keyParts(key: number): number[] {
    const { expressions: e } = this;
    const parts: number[] = [];
    for (let at = key; at !== NONE; at = e.b[at]!) parts.push(this.make(e.a[at]!));
    return parts;
  }

  /** A call that changes nothing runs among the guards, when something needs what it gives. */
  private makeCall(ordinal: number): number {
    const known = this.called.get(ordinal);
    if (known !== undefined) return known;
    const call = this.calls.get(ordinal);
    if (call === undefined || !call.isBefore) return NONE;
    const needs = this.valuesOf(call).map((node) => this.make(node));
    const n = this.push("helper", helperName(call.helper), needs);
    this.called.set(ordinal, n);
    return n;
  }

  private valuesOf(op: EffectOp): number[] {
    switch (op.kind) {
      case "lookup":
        return [op.node];
      case "call":
        return [...op.args, ...op.reads.map(({ node }) => node)].filter((node) => node !== NONE);
      case "store":
        return [op.base, op.value].filter((node) => node !== NONE);
      case "atomic":
        return [op.base, op.value, op.expected].filter((node) => node !== NONE);
    }
  }

  private addEffect(op: EffectOp): void {
    const needs = this.valuesOf(op).map((node) => this.make(node));
    if (op.kind === "lookup") return;
    if (op.kind !== "call") this.addStore(op, needs);
    else {
      const text = helperName(op.helper);
      const n = this.push("helper", text, needs, {
        after: [...this.guards, ...this.effects],
        notBefore: this.loads.map(({ operation }) => operation),
      });
      this.called.set(op.ordinal, n);
      this.barrier = n;
      this.effects.push(n);
    }
  }

  private addStore(op: StoreOp | AtomicOp, needs: readonly number[]): void {
    const space = op.kind === "store" && op.space === "packet" ? "packet" : `map ${op.map}`;
    const { base, offset, size } = op;
    const mayTouch = (other: Access): boolean =>
      other.space === space &&
      (other.base !== base || (other.offset < offset + size && offset < other.offset + other.size));
    const operationsOf = (all: readonly Access[]): number[] =>
      all.filter(mayTouch).map(({ operation }) => operation);
    const where = `${space}${base === NONE ? "" : " *"}+${offset}`;
    const n = this.push("store", `${op.kind} u${8 * size} ${where}`, needs, {
      after: [
        ...this.guards,
        ...operationsOf(this.stores),
        ...(this.barrier === null ? [] : [this.barrier]),
      ],
      notBefore: operationsOf(this.loads),
    });
    this.stores.push({ space, base, offset, size, operation: n });
    this.effects.push(n);
  }

  private name(node: number): string {
    const { expressions: e } = this;
    const op = e.op[node]!;
    const name = NAMES.get(op) ?? "?";
    if (op === Ex.LOAD)
      return `u${8 * e.high[node]!} packet${e.a[node] === NONE ? "" : " *"}+${e.low[node]}`;
    if (op === Ex.MAP_LOAD) return `u${8 * e.high[node]!} map ${e.b[node]} +${e.low[node]}`;
    if (op === Ex.LOOKUP) return `lookup map ${e.low[node]}`;
    return name;
  }
}
