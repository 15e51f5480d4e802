/**
 * Traces as one WebAssembly function: the tree of their guards, and at each leaf the trace's effects. It
 * returns the trace's number, its verdict being in r0 then; -1 when no trace is the packet's; and -2 - number
 * when it is one that the host has to run, for good or because its byte in the table at `enabledAt` is 0. In
 * the last two cases nothing has been changed.
 */

import { BURST_PARAMETERS, BurstAt } from "../ebpf/burst.js";
import { HELPERS } from "../ebpf/helpers.js";
import { Atomic } from "../ebpf/isa.js";
import { Ctx, InputAt, type Runtime } from "../ebpf/runtime.js";
import { I32, NO_RESULT, Wasm, WasmBytes, WasmModule } from "../ebpf/wasm-writer.js";
import { XdpVerdict } from "../ebpf/xdp-verdict.js";
import { type Branch, hasCalls, type Leaf, type Slot } from "./decision-tree.js";
import { Ex, type Expressions, NONE } from "./expr.js";
import { log2, STORES } from "./expression-tables.js";
import { batchBody } from "./match-batch.js";
import { clobberedLeaves } from "./preload.js";
import {
  type AtomicOp,
  type CallOp,
  type EffectOp,
  type MoveOp,
  NO_TRACE,
  type StoreOp,
  type Trace,
} from "./trace.js";
import { type LookupPlace, TraceLookups } from "./trace-lookups.js";
import { countUses } from "./uses.js";
import {
  type Addresses,
  COUNT,
  DATA,
  DATA_END,
  ENDS,
  ExpressionCode,
  HARD_END,
  HARD_START,
  LEFT,
  RECORD,
} from "./wasm-expression.js";

export interface CodePlace extends Addresses, LookupPlace {
  /** One byte a trace: whether it is in the cache. */
  readonly enabledAt: number;
  /** Eight bytes a trace: how many packets it ran. */
  readonly hitsAt: number;
}

const LOADS = [Wasm.i64_load8_u, Wasm.i64_load16_u, Wasm.i64_load32_u, Wasm.i64_load];
/**
 * What a module's function `run` is for. one: takes the packet from context and inputs. burst: runs the packets of
 * records. match: takes the packet from its parameters and only says whose it is, and `batch` does so for records.
 */
export type TreeUse = "one" | "burst" | "match";

/** The bytes of a module whose function `run` is a tree. */
export function compileTree(
  e: Expressions,
  root: Slot,
  runtime: Runtime,
  place: CodePlace,
  use: TreeUse = "one",
): Uint8Array<ArrayBuffer> {
  return new TreeCompiler(e, runtime, place, use).compile(root);
}

class TreeCompiler {
  private readonly e: Expressions;
  private readonly runtime: Runtime;
  private readonly place: CodePlace;
  private readonly isMatchOnly: boolean;
  private readonly module = new WasmModule();
  private readonly out = new WasmBytes();
  private readonly isBurst: boolean;
  /** Blocks that are open in what a burst does with one packet. */
  private depth = 0;
  /** The import, -1 when the tree needs none. */
  private helper = -1;
  private readonly lookups: TraceLookups;
  private code: ExpressionCode;
  private uses: ReadonlyMap<number, number> = new Map();

  constructor(e: Expressions, runtime: Runtime, place: CodePlace, use: TreeUse) {
    this.e = e;
    this.runtime = runtime;
    this.place = place;
    this.isMatchOnly = use === "match";
    const { module, out } = this;
    this.lookups = new TraceLookups(e, runtime, place, this.isMatchOnly, module, out);
    this.isBurst = use === "burst";
    this.code = this.newCode();
  }

  private newCode(): ExpressionCode {
    return new ExpressionCode(this.e, this.out, this.place, this.uses, this.lookups.write);
  }

  compile(root: Slot): Uint8Array<ArrayBuffer> {
    this.uses = countUses(this.e, root, this.isMatchOnly);
    this.importFunctions(root);
    this.code = this.newCode();
    if (this.isBurst) this.writeBurst(root);
    else {
      if (!this.isMatchOnly) this.writeStart();
      this.writeSlot(root);
    }
    const { module } = this;
    const parameters = this.isMatchOnly ? ENDS : this.isBurst ? BURST_PARAMETERS : [];
    const locals = [...ENDS.slice(parameters.length), ...this.code.localTypes];
    module.addFunction(parameters, [I32], locals, this.out);
    module.exportFunction("run", module.importCount);
    this.lookups.addFunctions();
    if (this.isMatchOnly) {
      module.addFunction(BURST_PARAMETERS, [I32], [], batchBody(module.importCount));
      module.exportFunction("batch", this.lookups.end);
    }
    const isShared = this.runtime.memory.memory.buffer instanceof SharedArrayBuffer;
    return module.finish(isShared, this.runtime.bytes.length / 65_536);
  }

  /**
   * The tree in a loop over records, see ebpf/burst.ts. Where the packet is goes from the record into locals, and
   * into the context only when somebody asks there.
   */
  private writeBurst(root: Slot): void {
    const { out, place, runtime } = this;
    const needsContext = hasCalls(root, false);
    out.get(0).set(RECORD).get(1).tee(COUNT).set(LEFT);
    out.ops(Wasm.block, NO_RESULT, Wasm.loop, NO_RESULT);
    out.get(LEFT).ops(Wasm.i32_eqz, Wasm.br_if).unsigned(1);
    out.i32Const(runtime.burstAt).get(RECORD).memory(Wasm.i32_store, 0);
    const ops = this.usedOps();
    const fromRecord = (at: number, local: number): void => {
      out.get(RECORD).memory(Wasm.i32_load, at).set(local);
    };
    fromRecord(BurstAt.AT, DATA);
    fromRecord(BurstAt.END, DATA_END);
    if (needsContext || ops.has(Ex.HEADROOM)) fromRecord(BurstAt.HARD_START, HARD_START);
    if (needsContext || ops.has(Ex.TAILROOM)) fromRecord(BurstAt.HARD_END, HARD_END);
    if (needsContext) {
      const context = place.contextAt;
      out.i32Const(context).get(DATA).memory(Wasm.i32_store, Ctx.DATA);
      out.i32Const(context).get(DATA_END).memory(Wasm.i32_store, Ctx.DATA_END);
      out.i32Const(context).get(DATA).memory(Wasm.i32_store, Ctx.DATA_META);
      out.i32Const(place.inputsAt).get(HARD_START).memory(Wasm.i32_store, InputAt.HARD_START);
      out.i32Const(place.inputsAt).get(HARD_END).memory(Wasm.i32_store, InputAt.HARD_END);
    }
    out.ops(Wasm.block, NO_RESULT);
    this.writeSlot(root);
    out.byte(Wasm.end).get(LEFT).i32Const(-1).byte(Wasm.i32_add).set(LEFT);
    out.get(RECORD).i32Const(BurstAt.BYTES).byte(Wasm.i32_add).set(RECORD);
    if (needsContext) {
      // Where a packet is redirected to, the runtime says only until the next call.
      out
        .get(RECORD)
        .i32Const(BurstAt.VERDICT - BurstAt.BYTES)
        .byte(Wasm.i32_add);
      out.memory(Wasm.i32_load, 0).i32Const(XdpVerdict.REDIRECT).ops(Wasm.i32_ne, Wasm.br_if);
      out.unsigned(0);
    } else out.byte(Wasm.br).unsigned(0);
    out.ops(Wasm.end, Wasm.end).get(COUNT).get(LEFT).byte(Wasm.i32_sub);
  }

  private usedOps(): Set<number> {
    return new Set([...this.uses.keys()].map((node) => this.e.op[node]!));
  }

  /**
   * Measured: a module with two functions of JavaScript takes 290 µs to compile and 220 to instantiate, 65 and 60
   * without, as each brings a wrapper to compile (60 additions, loaded machine, node 20, 2026-11).
   */
  private importFunctions(root: Slot): void {
    const { module } = this;
    if (hasCalls(root, this.isMatchOnly)) this.helper = module.importFunction("helper", [I32], []);
    this.lookups.importFor(this.uses.keys());
  }

  /** Reads where the packet is: nothing has to be handed over by JavaScript. */
  private writeStart(): void {
    const { out, place } = this;
    out.i32Const(place.contextAt).memory(Wasm.i32_load, Ctx.DATA).set(DATA);
    out.i32Const(place.contextAt).memory(Wasm.i32_load, Ctx.DATA_END).set(DATA_END);
    const ops = this.usedOps();
    if (ops.has(Ex.HEADROOM)) {
      out.i32Const(place.inputsAt).memory(Wasm.i32_load, InputAt.HARD_START).set(HARD_START);
    }
    if (ops.has(Ex.TAILROOM)) {
      out.i32Const(place.inputsAt).memory(Wasm.i32_load, InputAt.HARD_END).set(HARD_END);
    }
  }

  /** Everything under a place; leaves the function's result on the stack, or a burst's packet. */
  private writeSlot(slot: Slot): void {
    const { tree } = slot;
    if (tree === null) this.writeNone(NO_TRACE);
    else if (tree.kind === "leaf") this.writeLeaf(tree);
    else this.writeBranch(tree);
  }

  private writeBranch({ calls, uses, test, yes, no }: Branch): void {
    const { out, code } = this;
    for (const call of calls) this.writeCall(call);
    this.writeUses(uses);
    code.emitTest(test);
    if (yes.tree === null || no.tree === null) {
      if (no.tree === null) out.byte(Wasm.i32_eqz);
      this.writeIf(() => this.writeNone(NO_TRACE));
      this.writeSlot(yes.tree === null ? no : yes);
      return;
    }
    this.writeIf(() => code.scope(() => this.writeSlot(yes)));
    this.writeSlot(no);
  }

  /** Writes what is done with the packet, and is all, if the number on the stack is not 0. */
  private writeIf(write: () => void): void {
    const { out } = this;
    out.ops(Wasm.if, NO_RESULT);
    this.depth++;
    write();
    this.depth--;
    if (!this.isBurst) out.byte(Wasm.return);
    out.byte(Wasm.end);
  }

  /** The packet is not run here; `why` is what the function says of it. */
  private writeNone(why: number): void {
    const { out } = this;
    if (!this.isBurst) out.i32Const(why);
    else
      this.writeTrace(why)
        .byte(Wasm.br)
        .unsigned(this.depth + 2);
  }

  private writeTrace(id: number): WasmBytes {
    return this.out.get(RECORD).i32Const(id).memory(Wasm.i32_store, BurstAt.TRACE);
  }

  /** Makes lookups that LRU tables have to know of. */
  private writeUses(uses: readonly number[]): void {
    if (!this.isMatchOnly) for (const node of uses) this.code.preload(node);
  }

  private writeLeaf({ calls, uses, trace }: Leaf): void {
    const { out, place } = this;
    if (trace.hostOnly !== null) {
      this.writeNone(-2 - trace.id);
      return;
    }
    out
      .i32Const(place.enabledAt + trace.id)
      .memory(Wasm.i32_load8_u, 0)
      .byte(Wasm.i32_eqz);
    this.writeIf(() => this.writeNone(-2 - trace.id));
    if (!this.isMatchOnly) {
      for (const call of calls) this.writeCall(call);
      this.writeUses(uses);
      this.writeEffects(trace);
      this.writeHit(trace.id);
    }
    if (this.isBurst) this.writeTrace(trace.id).byte(Wasm.br).unsigned(this.depth);
    else out.i32Const(trace.id);
  }

  private writeHit(id: number): void {
    const { out, place } = this;
    const at = place.hitsAt + 8 * id;
    out.i32Const(at).i32Const(at).memory(Wasm.i64_load, 0).i64Const(1, 0);
    out.byte(Wasm.i64_add).memory(Wasm.i64_store, 0);
  }

  private writeEffects(trace: Trace): void {
    const { code, out, place } = this;
    for (const leaf of clobberedLeaves(this.e, trace)) code.preload(leaf);
    for (const op of trace.effects) this.writeEffect(op);
    if (this.isBurst) {
      out.get(RECORD);
      code.emitLow(trace.verdict);
      out.memory(Wasm.i32_store, BurstAt.VERDICT);
      if (trace.effects.some(({ kind }) => kind === "call" || kind === "move")) this.writePlace();
      return;
    }
    out.i32Const(place.registersAt);
    code.emitLow(trace.verdict);
    out.memory(Wasm.i32_store, 0);
  }

  /** Where the packet is in the end, into a burst's record. */
  private writePlace(): void {
    const { out, place } = this;
    out.get(RECORD).i32Const(place.contextAt).memory(Wasm.i32_load, Ctx.DATA);
    out.memory(Wasm.i32_store, BurstAt.AT);
    out.get(RECORD).i32Const(place.contextAt).memory(Wasm.i32_load, Ctx.DATA_END);
    out.memory(Wasm.i32_store, BurstAt.END);
  }

  private writeEffect(op: EffectOp): void {
    switch (op.kind) {
      case "store":
        this.writeStore(op);
        break;
      case "atomic":
        this.writeAtomic(op);
        break;
      case "call":
        this.writeCall(op);
        break;
      case "move":
        this.writeMove(op);
        break;
      case "lookup":
        this.code.preload(op.node); // LRU tables note that it was made
        break;
    }
  }

  private writeStore(op: StoreOp): void {
    const { code, out } = this;
    const rest =
      op.space === "packet"
        ? code.packetAddress(op.base, op.offset)
        : code.address(op.base, op.offset);
    if (op.size < 8) {
      code.emitLow(op.value);
      out.memory([Wasm.i32_store8, Wasm.i32_store16, Wasm.i32_store][log2(op.size)]!, rest);
    } else {
      code.emit(op.value);
      out.memory(STORES[3]!, rest);
    }
  }

  private writeAtomic(op: AtomicOp): void {
    const { code, out } = this;
    const size = log2(op.size);
    const rest = code.address(op.base, op.offset);
    const again = code.address(op.base, op.offset);
    out.memory(LOADS[size]!, again);
    code.emit(op.value);
    const what = op.what & ~Atomic.FETCH;
    out.byte(
      what === Atomic.ADD
        ? Wasm.i64_add
        : what === Atomic.OR
          ? Wasm.i64_or
          : what === Atomic.AND
            ? Wasm.i64_and
            : Wasm.i64_xor,
    );
    out.memory(STORES[size]!, rest);
  }

  private writeCall(op: CallOp): void {
    const { code, out, place } = this;
    for (const { at, size, node } of op.reads) {
      out.i32Const(at);
      code.emit(node);
      out.memory(STORES[log2(size)]!, 0);
    }
    for (const [n, node] of op.args.entries()) {
      if (node === NONE) continue;
      out.i32Const(place.registersAt);
      code.emit(node);
      out.memory(Wasm.i64_store, 8 * (n + 1));
    }
    out.i32Const(op.helper).call(this.helper);
    // The next call has the registers and the stack for itself.
    if (HELPERS.get(op.helper)?.result !== "nothing" && this.uses.has(op.result)) {
      code.preload(op.result);
    }
    if (op.fills.length === 0) return;
    for (const node of this.uses.keys()) {
      if (this.e.op[node] === Ex.FILLED && this.e.b[node] === op.ordinal) code.preload(node);
    }
  }

  /** Where the packet is now, for helpers and for whoever gets it. */
  private writeMove(op: MoveOp): void {
    const { code, out, place } = this;
    const ends: readonly [field: number, offset: number][] = [
      [Ctx.DATA, op.start],
      [Ctx.DATA_END, op.end],
      [Ctx.DATA_META, op.metadata],
    ];
    for (const [field, offset] of ends) {
      out.i32Const(place.contextAt).get(DATA);
      code.emitLow(offset);
      out.byte(Wasm.i32_add).memory(Wasm.i32_store, field);
    }
  }
}
