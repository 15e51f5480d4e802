/** A trace as the tracer makes it: what only readers and tables need is computed when they ask. */
import type { Builder } from "./build.js";
import type { Condition } from "./condition.js";
import { conditionOf } from "./condition-of.js";
import { effectKey } from "./effect-key.js";
import type { EffectOp, GuardOp, HostOnly, Trace, TraceOp } from "./trace.js";

type Recorded = Omit<Trace, "condition" | "effectKey">;

export class RecordedTrace implements Trace {
  readonly id: number;
  readonly ops: readonly TraceOp[];
  readonly before: readonly TraceOp[];
  readonly effects: readonly EffectOp[];
  readonly verdict: number;
  readonly start: number;
  readonly end: number;
  readonly metadata: number;
  readonly hostOnly: HostOnly | null;
  readonly executed: number;
  readonly words: readonly number[];
  private readonly build: Builder;
  private readonly guards: readonly GuardOp[];
  private madeCondition: Condition | null = null;
  private madeKey: string | null = null;

  constructor(build: Builder, guards: readonly GuardOp[], recorded: Recorded) {
    this.build = build;
    this.guards = guards;
    this.id = recorded.id;
    this.ops = recorded.ops;
    this.before = recorded.before;
    this.effects = recorded.effects;
    this.verdict = recorded.verdict;
    this.start = recorded.start;
    this.end = recorded.end;
    this.metadata = recorded.metadata;
    this.hostOnly = recorded.hostOnly;
    this.executed = recorded.executed;
    this.words = recorded.words;
  }

  get condition(): Condition {
    this.madeCondition ??= conditionOf(this.build, this.guards);
    return this.madeCondition;
  }

  get effectKey(): string {
    const { verdict, start, end, metadata, hostOnly } = this;
    this.madeKey ??=
      hostOnly === null
        ? effectKey(this.effects, [verdict, start, end, metadata])
        : `host ${hostOnly.word}`;
    return this.madeKey;
  }
}
