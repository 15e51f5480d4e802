/**
 * All traces of a program: one compiled function for the tree of most of them, and some for those that are
 * fresh, most recently used first. Functions are put together when they have about as many traces, so that each
 * trace is compiled a few times, however many there are. The newest are not compiled at all yet.
 */
import { helperTable } from "../ebpf/helpers.js";
import type { Runtime } from "../ebpf/runtime.js";
import { DecisionTree, type Slot } from "./decision-tree.js";
import type { Evaluator } from "./evaluate.js";
import type { Expressions } from "./expr.js";
import { PendingTraces } from "./pending-traces.js";
import { MAX_TRACES, NO_TRACE, type Trace } from "./trace.js";
import { type CodePlace, compileTree, type TreeUse } from "./trace-code.js";
import { PEEK } from "./trace-lookups.js";
import { SwitchKind, WasmSwitch } from "./wasm-switch.js";

const MAX_FRESH = 8;
/** A fresh function. */
interface Group {
  readonly traces: readonly Trace[];
  readonly run: () => number;
}
/** Fresh traces that are used more than this in all go into the tree. */
const FRESH_HITS = 20_000;
const LONGEST_KEY_BYTES = 512;
const HIT_BYTES = 8;

/** Takes a packet that lies in memory. */
export type TraceFunction = (at: number, end: number, hardStart: number, hardEnd: number) => number;

/** Takes records of packets, and how many. */
export type BatchFunction = (recordsAt: number, count: number) => number;

export class TraceStore {
  readonly traces: Trace[] = [];
  readonly place: CodePlace;
  private readonly e: Expressions;
  private readonly runtime: Runtime;
  private readonly imports: Record<string, Record<string, unknown>>;
  private tree: DecisionTree;
  /** Traces that did not fit into the tree: their packets are traced again and again. */
  refused = 0;
  /** Hot path. The tree, see `trace-code.ts`; always the same function, whatever is behind it. */
  readonly main: () => number;
  /** Hot path. The tree on the packets of records: how many it ran before one that is not its. */
  readonly burst: (recordsAt: number, count: number) => number;
  hasFresh = false;
  private readonly switch: WasmSwitch<() => number>;
  private readonly burstSwitch: WasmSwitch<BatchFunction>;
  /** Hot path. There is a tree, and {@link compileBurst} is to be called. */
  lacksBurst = false;
  private fresh: Group[] = [];
  /** Traces in the tree's function. */
  private settled = 0;
  readonly pending: PendingTraces;
  private freshHits = 0;

  /** `values` evaluates for pending traces, and `patience` is theirs. */
  constructor(e: Expressions, runtime: Runtime, values: Evaluator, patience: number) {
    this.e = e;
    this.pending = new PendingTraces(e, values, patience);
    this.runtime = runtime;
    this.tree = new DecisionTree(e);
    const { memory } = runtime;
    this.switch = new WasmSwitch(SwitchKind.ONE, NO_TRACE);
    this.main = this.switch.run;
    this.burstSwitch = new WasmSwitch(SwitchKind.BURST, 0);
    this.burst = this.burstSwitch.run;
    this.place = {
      contextAt: runtime.contextAt,
      registersAt: runtime.registersAt,
      inputsAt: runtime.inputsAt,
      cpuAt: runtime.cpuAt,
      hitsAt: memory.take(HIT_BYTES * MAX_TRACES, "hits of traces"),
      enabledAt: memory.take(MAX_TRACES, "the table of traces"),
      keyAt: memory.take(LONGEST_KEY_BYTES, "a key"),
    };
    this.imports = {
      m: { m: memory.memory },
      f: {
        helper: (number: number) => helperTable[number]!.run(runtime),
        lookup: (mapAt: number, keyAt: number) => {
          const map = runtime.mapByAddress.get(mapAt & ~PEEK)!;
          return (mapAt & PEEK) === 0 ? map.lookup(keyAt) : map.peek(keyAt);
        },
      },
    };
  }

  get isFull(): boolean {
    return this.traces.length >= MAX_TRACES;
  }

  /** Packets that a trace ran. */
  hitsOf(id: number): number {
    const { words } = this.runtime;
    const n = (this.place.hitsAt + HIT_BYTES * id) >>> 2;
    return (words[n + 1]! >>> 0) * 2 ** 32 + (words[n]! >>> 0);
  }

  /** Hot path. Counts a packet that was not run by compiled code. */
  noteHit(id: number): void {
    const { words } = this.runtime;
    const n = (this.place.hitsAt + HIT_BYTES * id) >>> 2;
    words[n]! += 1;
    if (words[n] === 0) words[n + 1]! += 1;
  }

  get allHits(): number {
    let sum = 0;
    for (let id = 0; id < this.traces.length; id++) sum += this.hitsOf(id);
    return sum;
  }

  setEnabled(id: number, isEnabled: boolean): void {
    this.runtime.bytes[this.place.enabledAt + id] = isEnabled ? 1 : 0;
  }

  /** Hot path. Asks the fresh traces, when the tree has none; `between` is called before each. */
  runFresh(between: () => void): number {
    const { fresh } = this;
    for (let n = 0; n < fresh.length; n++) {
      between();
      const group = fresh[n]!;
      const id = group.run();
      if (id === NO_TRACE) continue;
      for (; n > 0; n--) fresh[n] = fresh[n - 1]!;
      fresh[0] = group;
      if (++this.freshHits > FRESH_HITS) this.rebuild();
      return id;
    }
    return NO_TRACE;
  }

  /** Takes in a trace whose number is new; false when it cannot. */
  add(trace: Trace): boolean {
    this.traces[trace.id] = trace;
    if (!this.tree.add(trace)) {
      this.refused++;
      return false;
    }
    if (this.pending.accepts(trace)) this.pending.add(trace);
    else this.addFresh([trace]);
    return true;
  }

  /** Which pending trace is the packet's, -2 - number when it may not be taken now; -1: none. */
  matchPending(): number {
    const id = this.pending.match();
    if (id === NO_TRACE) return NO_TRACE;
    if (this.pending.isDue) this.addFresh(this.pending.take());
    const isTaken =
      this.traces[id]!.hostOnly === null && this.runtime.bytes[this.place.enabledAt + id] === 1;
    return isTaken ? id : -2 - id;
  }

  /**
   * Compiles traces as one function more; with others, when there are too many, from the smallest on as long as
   * that makes them twice as large.
   */
  private addFresh(traces: readonly Trace[]): void {
    let joined = traces;
    if (this.fresh.length >= MAX_FRESH) {
      this.fresh.sort((one, other) => other.traces.length - one.traces.length);
      for (let next = this.fresh.at(-1); next !== undefined; next = this.fresh.at(-1)) {
        if (next.traces.length > joined.length && this.fresh.length < MAX_FRESH) break;
        joined = [...joined, ...next.traces];
        this.fresh.pop();
      }
      if (joined.length >= this.settled) {
        this.rebuild();
        return;
      }
    }
    const tree = new DecisionTree(this.e);
    for (const trace of joined) tree.add(trace);
    this.fresh.unshift({ traces: joined, run: this.instantiate(tree.root) });
    this.hasFresh = true;
  }

  /** Compiles the tree of all traces. */
  rebuild(): void {
    this.pending.take();
    this.switch.set(this.instantiate(this.tree.root));
    this.burstSwitch.clear();
    this.lacksBurst = true;
    this.settled = this.tree.size;
    this.fresh = [];
    this.hasFresh = false;
    this.freshHits = 0;
  }

  /** Compiles what bursts run, which is only done when somebody runs one. */
  compileBurst(): void {
    this.burstSwitch.set(this.exportsOf(this.tree.root, "burst").run as BatchFunction);
    this.lacksBurst = false;
  }

  /** A function that says which trace is a packet's, and runs none. */
  matcher(traces: Iterable<Trace> = this.tree.traces()): TraceFunction {
    return this.matchers(traces).run as TraceFunction;
  }

  /** The same for several packets a call, in records of {@link BurstAt}: none is run, their traces are written down. */
  batchMatcher(traces: Iterable<Trace> = this.tree.traces()): BatchFunction {
    return this.matchers(traces).batch as BatchFunction;
  }

  private matchers(traces: Iterable<Trace>): WebAssembly.Instance["exports"] {
    const tree = new DecisionTree(this.e);
    for (const trace of traces) tree.add(trace);
    return this.exportsOf(tree.root, "match");
  }

  clear(): void {
    const { enabledAt, hitsAt } = this.place;
    this.runtime.bytes.fill(0, enabledAt, enabledAt + MAX_TRACES);
    this.runtime.bytes.fill(0, hitsAt, hitsAt + HIT_BYTES * MAX_TRACES);
    this.traces.length = 0;
    this.tree = new DecisionTree(this.e);
    this.switch.clear();
    this.burstSwitch.clear();
    this.lacksBurst = false;
    this.pending.take();
    this.settled = 0;
    this.fresh = [];
    this.hasFresh = false;
    this.freshHits = 0;
  }

  private instantiate(root: Slot): () => number {
    return this.exportsOf(root, "one").run as () => number;
  }

  private exportsOf(root: Slot, use: TreeUse): WebAssembly.Instance["exports"] {
    const bytes = compileTree(this.e, root, this.runtime, this.place, use);
    return new WebAssembly.Instance(new WebAssembly.Module(bytes), this.imports).exports;
  }
}
