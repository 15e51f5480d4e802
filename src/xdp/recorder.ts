/**
 * Keeps what a trace has met so far: operations, what is implied by them, what only exists after an effect.
 * Once a reason for the host has appeared nothing is recorded any more; the packet is still run to its end.
 */
import type { Builder } from "./build.js";
import type { Evaluator } from "./evaluate.js";
import { Ex, type Expressions, isComparison, NONE } from "./expr.js";
import type { Facts } from "./facts.js";
import type { GuardOp, HostOnly, TraceOp } from "./trace.js";

/** Longer traces are better run as the whole program. */
const MAX_OPS = 1_000;

/** Emits guards that make a late result a number; null: it cannot be told before the call. */
export type Prediction = () => bigint | null;

export class Recorder {
  readonly e: Expressions;
  readonly build: Builder;
  readonly values: Evaluator;
  readonly facts: Facts;
  ops: TraceOp[] = [];
  hostOnly: HostOnly | null = null;
  /** The instruction at hand. */
  word = 0;
  /** Effects so far. */
  effects = 0;
  private readonly late = new Map<number, boolean>();
  private readonly predictions = new Map<number, Prediction>();

  constructor(build: Builder, values: Evaluator, facts: Facts) {
    this.e = build.e;
    this.build = build;
    this.values = values;
    this.facts = facts;
  }

  clear(): void {
    this.ops = [];
    this.hostOnly = null;
    this.effects = 0;
    this.facts.clear();
    this.late.clear();
    this.predictions.clear();
  }

  get isRecording(): boolean {
    return this.hostOnly === null;
  }

  giveUp(reason: string): void {
    this.hostOnly ??= { reason, word: this.word };
  }

  push(op: TraceOp): void {
    if (!this.isRecording) return;
    if (this.ops.length >= MAX_OPS) {
      this.giveUp(`the path has more than ${MAX_OPS} operations`);
      return;
    }
    this.ops.push(op);
    if (op.kind === "store" || op.kind === "atomic" || op.kind === "move") this.effects++;
    else if (op.kind === "call" && !op.isBefore) this.effects++;
  }

  /** A node that exists only after an effect. */
  markLate(node: number, prediction: Prediction | null): void {
    this.late.set(node, true);
    if (prediction !== null) this.predictions.set(node, prediction);
  }

  isLate(node: number): boolean {
    if (this.late.size === 0) return false;
    const known = this.late.get(node);
    if (known !== undefined) return known;
    const found = this.e.operands(node).some((operand) => this.isLate(operand));
    this.late.set(node, found);
    return found;
  }

  /** A value with the numbers that are known in it. */
  known(node: number): number {
    if (this.e.isConstant(node)) return node;
    const exact = this.facts.exactOf(node);
    return exact === null ? node : this.build.number(exact);
  }

  /**
   * What a test gives for this packet. Unless that is known already it becomes a guard.
   */
  guard(test: number, reason: GuardOp["reason"] = "branch"): boolean {
    const [positive, isNegated] = this.build.positive(test);
    return this.guardPositive(positive, reason) !== isNegated;
  }

  private guardPositive(test: number, reason: GuardOp["reason"]): boolean {
    const { e } = this;
    if (e.isConstant(test)) return e.valueOf(test) !== 0n;
    const holds = this.values.holds(test);
    if (!this.isRecording) return holds;
    if (this.isLate(test)) return this.guardLate(test, holds, reason);
    const known = this.facts.test(test);
    if (known === null) {
      this.push({ kind: "guard", word: this.word, test, holds, reason });
      this.facts.assume(test, holds);
    } else if (known !== holds) {
      this.giveUp("what the guards say of a value is not so");
    }
    return holds;
  }

  private guardLate(test: number, holds: boolean, reason: GuardOp["reason"]): boolean {
    const early = this.predicted(test);
    if (early === NONE || this.isLate(early)) {
      this.giveUp("a branch depends on what an effect of the packet itself gives");
      return holds;
    }
    const again = this.guard(early, reason);
    if (again !== holds) this.giveUp("the result of a call was not as foreseen");
    return holds;
  }

  /** An expression whose late results are numbers; NONE when one cannot be foreseen. */
  private predicted(node: number): number {
    if (!this.isLate(node)) return node;
    const { e, build } = this;
    const prediction = this.predictions.get(node);
    if (prediction !== undefined) {
      const value = prediction();
      return value === null ? NONE : build.number(value);
    }
    const op = e.op[node]!;
    if (op < Ex.ADD) return NONE;
    const a = this.predicted(e.a[node]!);
    if (a === NONE) return NONE;
    if (op >= Ex.SEXT8 && op <= Ex.SWAP64) return remakeUnary(build, op, a);
    const b = this.predicted(e.b[node]!);
    return b === NONE ? NONE : remakeBinary(build, op, a, b);
  }

  /** The number that a value is, which becomes a guard when it could be another. */
  pin(node: number): bigint {
    const known = this.known(node);
    const value = this.values.of(known);
    if (!this.e.isConstant(known)) {
      const test = this.e.node(Ex.EQ, known, this.build.number(value), 0, 0);
      this.guard(test, "value");
      if (this.isRecording) this.facts.setExact(known, value);
    }
    return value;
  }
}

function remakeUnary(build: Builder, op: number, a: number): number {
  switch (op) {
    case Ex.SEXT8:
      return build.extend(8, a);
    case Ex.SEXT16:
      return build.extend(16, a);
    case Ex.SEXT32:
      return build.extend(32, a);
    case Ex.SWAP16:
      return build.swap(16, a);
    case Ex.SWAP32:
      return build.swap(32, a);
    default:
      return build.swap(64, a);
  }
}

function remakeBinary(build: Builder, op: number, a: number, b: number): number {
  if (isComparison(op)) {
    return op === Ex.EQ ? build.eq(a, b) : op === Ex.LTU ? build.ltu(a, b) : build.lts(a, b);
  }
  switch (op) {
    case Ex.ADD:
      return build.add(a, b);
    case Ex.SUB:
      return build.sub(a, b);
    case Ex.MUL:
      return build.mul(a, b);
    case Ex.AND:
      return build.and(a, b);
    case Ex.OR:
      return build.or(a, b);
    case Ex.XOR:
      return build.xor(a, b);
    case Ex.SHL:
      return build.shl(a, b);
    case Ex.SHR:
      return build.shr(a, b);
    case Ex.SAR:
      return build.sar(a, b);
    default:
      return build.divide(op, a, b);
  }
}
