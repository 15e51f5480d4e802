/**
 * A trace as the operations of a VLIW processor: what its condition and its effects need, guards first.
 *
 * The condition's atoms are the guards, as they stand: merged, without what others imply. No effect starts
 * before the row after the last guard, so a packet that fails one has changed nothing; the exit is a branch
 * after them and may share their row. Loads are of the packet and the maps as they were, so no store may pass
 * one that it could overwrite.
 *
 * What is charged: an interval with two ends is two comparisons, a mask is an operation, and so is turning a
 * field round that is compared by size. Finding the value of an array's index is a lookup like any other.
 * What is free: constants, among them the addresses of array values whose index is one, the context, and the
 * packet's address and length, which are registers. Memory loads and stores any one to eight bytes
 * (vliw-bytes.ts, vliw-stores.ts) and adds in place.
 */
import { helperName } from "../ebpf/helpers.js";
import type { Atom } from "./condition.js";
import { Ex, type Expressions, isBinary, isComparison, isUnary, NONE } from "./expr.js";
import type { AtomicOp, CallOp, Trace } from "./trace.js";
import {
  HXDP_MACHINE,
  schedule,
  type VliwKind,
  type VliwMachine,
  type VliwOperation,
  type VliwSchedule,
} from "./vliw.js";
import { ByteSources, coverPieces, type GatheredLoad } from "./vliw-bytes.js";
import { Chains } from "./vliw-chains.js";
import { nameOf } from "./vliw-names.js";
import { type FusedEffect, type FusedStore, fuseStores } from "./vliw-stores.js";

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
  const { operations, guards } = traceOperations(trace, expressions, options);
  return { operations, guards, schedule: schedule(operations, machine) };
}

/** What a trace has to be scheduled of, for any machine. */
export function traceOperations(
  trace: Trace,
  expressions: Expressions,
  options: VliwTraceOptions = {},
): Pick<VliwTrace, "operations" | "guards"> {
  const builder = new TraceBuilder(expressions, options.packetGuards === "tcam");
  builder.build(trace);
  return { operations: builder.operations, guards: builder.guards.length };
}

const KEY_OPERANDS = 2;

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
  /** By operation: when its result can be there, with the latencies of {@link HXDP_MACHINE}. */
  private readonly depths: number[] = [];
  private readonly chains: Chains;
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
  private readonly sources: ByteSources;
  private readonly prepared = new Set<number>();
  private readonly ofEffect = new Map<number, boolean>();
  private readonly ofLookup = new Map<number, boolean>();
  /** By memory, place and order: the operation that loads there. */
  private readonly loaded = new Map<string, number>();
  /** By map and symbolic address: the operation that finds it. */
  private readonly found = new Map<string, number>();

  constructor(expressions: Expressions, skipsTernary: boolean) {
    this.expressions = expressions;
    this.sources = new ByteSources(expressions);
    this.chains = new Chains(expressions);
    this.skipsTernary = skipsTernary;
  }

  build(trace: Trace): void {
    for (const op of trace.ops) if (op.kind === "call") this.calls.set(op.ordinal, op);
    const effects = fuseStores(trace.effects, this.expressions, this.sources);
    const verdict = this.withoutMask(trace.verdict, 0xffff_ffffn);
    this.noteUses(trace, effects, verdict);
    for (const atom of trace.condition.atoms) {
      if (!(this.skipsTernary && isTernary(atom))) this.addAtom(atom);
    }
    // Everything that is read, before everything that writes.
    for (const op of effects) {
      for (const node of this.valuesOf(op)) this.prepare(node);
      if (op.kind === "fused" && op.stored.kind === "copy") this.gather(op.stored.load);
    }
    this.prepare(verdict);
    for (const op of effects) this.addEffect(op);
    // Of a row's branches the first that is taken decides, so the last guards and the exit share one.
    const last = { notBefore: [...this.guards, ...this.effects] };
    this.push("exit", "exit", [this.make(verdict)], last);
  }

  private noteUses(trace: Trace, effects: readonly FusedEffect[], verdict: number): void {
    const { chains } = this;
    for (const { subject } of trace.condition.atoms) chains.noteUse(subject);
    for (const op of [...effects, ...this.calls.values()]) {
      for (const node of this.valuesOf(op)) chains.noteUse(node);
      if ("base" in op && op.base !== NONE) chains.noteUse(op.base);
    }
    chains.noteUse(verdict);
  }

  private push(
    kind: VliwKind,
    text: string,
    needs: readonly number[],
    order: Pick<VliwOperation, "after" | "notBefore"> = {},
  ): number {
    const real = needs.filter((n) => n !== NONE);
    this.operations.push({ kind, text, needs: real, ...order });
    const before = real.reduce((most, n) => Math.max(most, this.depths[n]!), 0);
    this.depths.push(before + HXDP_MACHINE.latency[kind]);
    return this.operations.length - 1;
  }

  private addAtom(atom: Atom): void {
    const { expressions: e } = this;
    const { subject, mask, least, most } = atom;
    if (isComparison(e.op[subject]!)) {
      const operands = e.operands(subject).map((node) => this.make(node));
      this.guards.push(this.push("guard", `guard ${nameOf(this.expressions, subject)}`, operands));
      return;
    }
    let value = this.make(subject);
    const width = e.op[subject] === Ex.LOAD || e.op[subject] === Ex.MAP_LOAD ? e.high[subject]! : 8;
    const all = (1n << BigInt(8 * width)) - 1n;
    // A mask and a value: the same bytes, whatever their order. By size they are turned round first.
    if (atom.isBigEndian && width > 1 && least !== most) {
      value = this.push("alu", `swap ${nameOf(this.expressions, subject)}`, [value]);
    }
    if ((mask & all) !== (e.may[subject]! & all)) {
      value = this.push("alu", `and 0x${mask.toString(16)}`, [value]);
    }
    const ends = least === most ? 1 : Number(least > 0n) + Number(most < (mask & all));
    for (let n = 0; n < Math.max(1, ends); n++) {
      this.guards.push(this.push("guard", `guard ${nameOf(this.expressions, subject)}`, [value]));
    }
  }

  /** Makes what of a node's value is known before any effect. */
  private prepare(node: number): void {
    if (this.prepared.has(node)) return;
    this.prepared.add(node);
    if (!this.isOfEffect(node)) this.make(node);
    else for (const operand of this.expressions.operands(node)) this.prepare(operand);
  }

  /** Whether a value needs what an effect gave. */
  private isOfEffect(node: number): boolean {
    const { expressions: e } = this;
    const op = e.op[node]!;
    if (op === Ex.RESULT) return this.calls.get(e.low[node]!)?.isBefore === false;
    if (op === Ex.FILLED) return this.calls.get(e.b[node]!)?.isBefore === false;
    return this.remember(this.ofEffect, node, () =>
      e.operands(node).some((operand) => this.isOfEffect(operand)),
    );
  }

  /** Expressions share their parts, so what was asked of a node once is not asked again. */
  private remember(known: Map<number, boolean>, node: number, find: () => boolean): boolean {
    let answer = known.get(node);
    if (answer === undefined) {
      answer = find();
      known.set(node, answer);
    }
    return answer;
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
      case Ex.COUNT:
        return this.push("load", nameOf(this.expressions, node), []);
      case Ex.LOOKUP:
        return this.push("lookup", nameOf(this.expressions, node), [...this.keyParts(e.a[node]!)]);
      case Ex.RESULT:
        return this.makeCall(e.low[node]!);
      case Ex.FILLED:
        return this.makeCall(e.b[node]!);
    }
    const isLoad = op === Ex.LOAD || op === Ex.MAP_LOAD;
    if (!isLoad && !isBinary(op) && !isUnary(op)) return NONE;
    const load = this.sources.gather(node);
    if (load !== null) return this.gather(load);
    const chain = this.chains.operandsOf(node, this.isMade);
    if (chain !== null) return this.makeChain(node, chain);
    const operands = e.operands(node).map((one) => this.make(one));
    const kind = op === Ex.MUL ? "multiply" : op >= Ex.DIV && op <= Ex.SMOD ? "divide" : "alu";
    return this.push(kind, nameOf(this.expressions, node), operands);
  }

  /** Stands by itself already, or is one load. */
  private readonly isMade = (node: number): boolean =>
    this.made.has(node) || this.sources.gather(node) !== null;

  /** Puts together what is there first, two at a time. */
  private makeChain(node: number, chain: readonly number[]): number {
    const queue = chain.map((one) => this.make(one));
    const depthOf = (n: number): number => (n === NONE ? 0 : this.depths[n]!);
    for (;;) {
      queue.sort((a, b) => depthOf(a) - depthOf(b));
      const made = this.push("alu", nameOf(this.expressions, node), queue.splice(0, 2));
      if (queue.length === 0) return made;
      queue.push(made);
    }
  }

  /** One load of neighbouring bytes. */
  private gather(load: GatheredLoad): number {
    const { space, base, offset, size, isSwapped } = load;
    const key = `${space} ${base} ${offset} ${size} ${isSwapped}`;
    let operation = this.loaded.get(key);
    if (operation === undefined) {
      const order = isSwapped ? "be" : "u";
      const text = `${order}${8 * size} ${space}${base === NONE ? "" : " *"}+${offset}`;
      operation = this.push("load", text, [this.address(space, base)]);
      this.loaded.set(key, operation);
      this.loads.push({ space, base, offset, size, operation });
    }
    return operation;
  }

  /**
   * What an access of memory needs of its address: nothing when it is constant, the lookup of its value, or
   * for an array one that the index goes into: the multiplication is the lookup's.
   */
  private address(space: string, base: number): number {
    if (base === NONE) return NONE;
    if (space === "packet" || this.isOfLookup(base)) return this.make(base);
    const key = `${space} ${base}`;
    let operation = this.found.get(key);
    if (operation === undefined) {
      const { expressions: e } = this;
      const op = e.op[base]!;
      const isScaled = (op === Ex.SHL || op === Ex.MUL) && e.isConstant(e.b[base]!);
      operation = this.push("lookup", `index ${space}`, [this.make(isScaled ? e.a[base]! : base)]);
      this.found.set(key, operation);
    }
    return operation;
  }

  /** Whether an address comes of a lookup, so that the value is found already. */
  private isOfLookup(node: number): boolean {
    const { expressions: e } = this;
    if (e.op[node] === Ex.LOOKUP) return true;
    return this.remember(this.ofLookup, node, () =>
      e.operands(node).some((one) => this.isOfLookup(one)),
    );
  }

  /** Of a node of which only some bits count: what is below masks of no less. */
  private withoutMask(node: number, bits: bigint): number {
    const { expressions: e } = this;
    const isMask =
      e.op[node] === Ex.AND && e.isConstant(e.b[node]!) && (e.valueOf(e.b[node]!) & bits) === bits;
    return isMask ? this.withoutMask(e.a[node]!, bits) : node;
  }

  /**
   * What a lookup takes: two operands, whose bytes are put into the key wherever they belong; each operation
   * before it puts in two more. Bytes of memory within reach of one load are one operand, constants are in the
   * key already.
   */
  private keyParts(key: number): number[] {
    const { expressions: e } = this;
    const pieces: GatheredLoad[] = [];
    const operands = new Set<number>();
    for (let at = key; at !== NONE; at = e.b[at]!) {
      const own = this.sources.pieces(e.a[at]!);
      if (own === null) operands.add(this.make(e.a[at]!));
      else pieces.push(...own);
    }
    for (const load of coverPieces(pieces)) operands.add(this.gather(load));
    operands.delete(NONE);
    const needed = [...operands];
    const moves: number[] = [];
    while (needed.length > KEY_OPERANDS) {
      moves.push(this.push("alu", "key", needed.splice(0, KEY_OPERANDS)));
    }
    return [...needed, ...moves];
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

  private valuesOf(op: FusedEffect | CallOp): number[] {
    const isNode = (node: number): boolean => node !== NONE;
    switch (op.kind) {
      case "lookup":
        return [op.node];
      case "call":
        return [...op.args, ...op.reads.map(({ node }) => node)].filter(isNode);
      case "fused": {
        const { stored } = op;
        return stored.kind === "node" || stored.kind === "add" ? [stored.node] : [];
      }
      case "atomic":
        return [op.value].filter(isNode);
      case "move":
        return [];
    }
  }

  private addEffect(op: FusedEffect): void {
    const needs = this.valuesOf(op).map((node) => this.make(node));
    switch (op.kind) {
      case "lookup":
        break;
      case "move":
        this.effects.push(this.push("alu", "move", [], { after: this.guards }));
        break;
      case "call":
        this.addCall(op, needs);
        break;
      case "atomic":
        this.addStore(op, `map ${op.map}`, `atomic u${8 * op.size}`, needs);
        break;
      case "fused": {
        if (op.stored.kind === "copy") needs.push(this.gather(op.stored.load));
        const what = op.stored.kind === "add" ? "add" : "store";
        this.addStore(op, op.space, `${what} u${8 * op.size}`, needs);
      }
    }
  }

  /** A call that changes nothing has no place in the order. */
  private addCall(op: CallOp, needs: readonly number[]): void {
    if (op.isBefore) {
      this.makeCall(op.ordinal);
      return;
    }
    const n = this.push("helper", helperName(op.helper), needs, {
      after: [...this.guards, ...this.effects],
      notBefore: this.loads.map(({ operation }) => operation),
    });
    this.called.set(op.ordinal, n);
    this.barrier = n;
    this.effects.push(n);
  }

  private addStore(
    op: FusedStore | AtomicOp,
    space: string,
    what: string,
    values: readonly number[],
  ): void {
    const { base, offset, size } = op;
    const mayTouch = (other: Access): boolean =>
      other.space === space &&
      (other.base !== base || (other.offset < offset + size && offset < other.offset + other.size));
    const operationsOf = (all: readonly Access[]): number[] =>
      all.filter(mayTouch).map(({ operation }) => operation);
    const text = `${what} ${space}${base === NONE ? "" : " *"}+${offset}`;
    const n = this.push("store", text, [...values, this.address(space, base)], {
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
}
