/**
 * All traces of a program, compiled: one function for the tree of most of them, and one each for those that
 * are fresh, most recently used first. When there are enough fresh ones, all go into a new tree.
 */
import { helperTable } from "../ebpf/helpers.js";
import { lookup } from "../ebpf/map-helpers.js";
import type { Runtime } from "../ebpf/runtime.js";
import { DecisionTree, type Slot } from "./decision-tree.js";
import type { Expressions } from "./expr.js";
import { NO_TRACE, type Trace } from "./trace.js";
import { type CodePlace, compileTree, InputAt } from "./trace-code.js";
import { WasmSwitch } from "./wasm-switch.js";

/** More paths than these are not kept: their packets are the host's. */
export const MAX_TRACES = 4096;
const MAX_FRESH = 8;
/** Fresh traces that are used more than this in all go into the tree. */
const FRESH_HITS = 20_000;
const LONGEST_KEY_BYTES = 512;

/** Takes a packet that lies in memory. */
export type TraceFunction = (at: number, end: number, hardStart: number, hardEnd: number) => number;

export class TraceStore {
  readonly traces: Trace[] = [];
  /** Packets that each trace ran, by number. */
  hits = new Float64Array(MAX_TRACES);
  readonly place: CodePlace;
  private readonly e: Expressions;
  private readonly runtime: Runtime;
  private readonly imports: Record<string, Record<string, unknown>>;
  private tree: DecisionTree;
  /** Traces that did not fit into the tree: their packets are traced again and again. */
  refused = 0;
  /** Hot path. The tree, see `trace-code.ts`; always the same function, whatever is behind it. */
  readonly main: () => number;
  hasFresh = false;
  private readonly switch: WasmSwitch;
  private fresh: (() => number)[] = [];
  private freshHits = 0;

  constructor(e: Expressions, runtime: Runtime) {
    this.e = e;
    this.runtime = runtime;
    this.tree = new DecisionTree(e);
    const { memory } = runtime;
    this.switch = new WasmSwitch(NO_TRACE);
    this.main = this.switch.run;
    const inputsAt = memory.take(InputAt.BYTES, "what traces sample");
    this.place = {
      contextAt: runtime.contextAt,
      registersAt: runtime.registersAt,
      inputsAt,
      cpuAt: inputsAt + InputAt.CPU,
      enabledAt: memory.take(MAX_TRACES, "the table of traces"),
      keyAt: memory.take(LONGEST_KEY_BYTES, "a key"),
    };
    this.imports = {
      m: { m: memory.memory },
      f: {
        helper: (number: number) => helperTable[number]!.run(runtime),
        lookup: (mapAt: number, keyAt: number) =>
          lookup(runtime, runtime.mapByAddress.get(mapAt)!, keyAt),
      },
    };
  }

  get isFull(): boolean {
    return this.traces.length >= MAX_TRACES;
  }

  setEnabled(id: number, isEnabled: boolean): void {
    this.runtime.bytes[this.place.enabledAt + id] = isEnabled ? 1 : 0;
  }

  /** Hot path. Asks the fresh traces, when the tree has none; `between` is called before each. */
  runFresh(between: () => void): number {
    const { fresh } = this;
    for (let n = 0; n < fresh.length; n++) {
      between();
      const run = fresh[n]!;
      const id = run();
      if (id === NO_TRACE) continue;
      for (; n > 0; n--) fresh[n] = fresh[n - 1]!;
      fresh[0] = run;
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
    if (this.fresh.length >= MAX_FRESH) {
      this.rebuild();
      return true;
    }
    const alone = new DecisionTree(this.e);
    alone.add(trace);
    this.fresh.unshift(this.instantiate(alone.root));
    this.hasFresh = true;
    return true;
  }

  /** Compiles the tree of all traces. */
  rebuild(): void {
    this.switch.set(this.instantiate(this.tree.root));
    this.fresh = [];
    this.hasFresh = false;
    this.freshHits = 0;
  }

  /** A function that says which trace is a packet's, and runs none. */
  matcher(traces: Iterable<Trace> = this.tree.traces()): TraceFunction {
    const tree = new DecisionTree(this.e);
    for (const trace of traces) tree.add(trace);
    return this.instantiate(tree.root, true) as TraceFunction;
  }

  clear(): void {
    this.runtime.bytes.fill(0, this.place.enabledAt, this.place.enabledAt + MAX_TRACES);
    this.traces.length = 0;
    this.hits.fill(0);
    this.tree = new DecisionTree(this.e);
    this.switch.clear();
    this.fresh = [];
    this.hasFresh = false;
    this.freshHits = 0;
  }

  private instantiate(root: Slot, isMatchOnly = false): () => number {
    const bytes = compileTree(this.e, root, this.runtime, this.place, isMatchOnly);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.imports);
    return instance.exports.run as () => number;
  }
}
