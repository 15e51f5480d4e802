/**
 * Traces as one WebAssembly function: the tree of their guards, and at each leaf the trace's effects. It
 * returns the trace's number, its verdict being in r0 then; -1 when no trace is the packet's; and -2 - number
 * when it is one that the host has to run, for good or because its byte in the table at `enabledAt` is 0. In
 * the last two cases nothing has been changed.
 */

import { BURST_PARAMETERS, BurstAt } from "../ebpf/burst.js";
import { HELPERS } from "../ebpf/helpers.js";
import { Atomic } from "../ebpf/isa.js";
import type { LinearMap } from "../ebpf/linear-map.js";
import { Ctx, InputAt, type Runtime } from "../ebpf/runtime.js";
import { I32, NO_RESULT, Wasm, WasmBytes, WasmModule } from "../ebpf/wasm-writer.js";
import { XdpVerdict } from "../ebpf/xdp-verdict.js";
import { type Branch, hasCalls, type Leaf, type Slot } from "./decision-tree.js";
import { Ex, type Expressions, NONE, Use } from "./expr.js";
import { log2, STORES } from "./expression-tables.js";
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
import { lookupBody } from "./wasm-lookup.js";

export interface CodePlace extends Addresses {
  /** One byte a trace: whether it is in the cache. */
  readonly enabledAt: number;
  /** Room for the longest key. */
  readonly keyAt: number;
  readonly cpuAt: number;
  /** Eight bytes a trace: how many packets it ran. */
  readonly hitsAt: number;
}

const LOADS = [Wasm.i64_load8_u, Wasm.i64_load16_u, Wasm.i64_load32_u, Wasm.i64_load];
/** The header's word with the number of keys. */
const MAP_COUNT = 16;

/** Of the address of a map that the import `lookup` gets: it is no use of the entry. */
export const PEEK = 1;

/** (records, how many): asks `matcher` about each and writes its trace down; 0. */
function batchBody(matcher: number): WasmBytes {
  const [record, count] = [0, 1];
  const out = new WasmBytes().ops(Wasm.block, NO_RESULT, Wasm.loop, NO_RESULT);
  out.get(count).ops(Wasm.i32_eqz, Wasm.br_if).unsigned(1).get(record);
  for (const at of [BurstAt.AT, BurstAt.END, BurstAt.HARD_START, BurstAt.HARD_END]) {
    out.get(record).memory(Wasm.i32_load, at);
  }
  out.call(matcher).memory(Wasm.i32_store, BurstAt.TRACE);
  out.get(record).i32Const(BurstAt.BYTES).byte(Wasm.i32_add).set(record);
  out.get(count).i32Const(-1).byte(Wasm.i32_add).set(count);
  return out.byte(Wasm.br).unsigned(0).ops(Wasm.end, Wasm.end).i32Const(0);
}

/**
 * What a module's functions are for. one: `run` takes the packet from context and inputs. bursts: `burst` runs the
 * packets of records, too. match: `run` takes the packet from its parameters and only says whose it is, `batch`
 * does so for records.
 */
export type TreeUse = "one" | "bursts" | "match";

/** The bytes of a module whose functions are a tree. */
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
  private readonly hasBurst: boolean;
  private readonly module = new WasmModule();
  private out = new WasmBytes();
  /** It is the burst that is written, and so many blocks are open in what is done with one packet. */
  private isBurst = false;
  private depth = 0;
  /** Imports, -1 when the tree needs none. */
  private helper = -1;
  private lookup = -1;
  /** Functions by map; of lookups that are no use by the map's negative address. */
  private readonly lookups = new Map<number, number>();
  private readonly bodies: {
    parameters: readonly number[];
    locals: readonly number[];
    code: WasmBytes;
  }[] = [];
  private code: ExpressionCode;
  private uses: ReadonlyMap<number, number> = new Map();

  constructor(e: Expressions, runtime: Runtime, place: CodePlace, use: TreeUse) {
    this.e = e;
    this.runtime = runtime;
    this.place = place;
    this.isMatchOnly = use === "match";
    this.hasBurst = use === "bursts";
    this.code = this.newCode();
  }

  private newCode(): ExpressionCode {
    return new ExpressionCode(this.e, this.out, this.place, this.uses, this.writeLookup);
  }

  compile(root: Slot): Uint8Array<ArrayBuffer> {
    this.uses = countUses(this.e, root, this.isMatchOnly);
    this.importFunctions(root);
    this.code = this.newCode();
    if (!this.isMatchOnly) this.writeStart();
    this.writeSlot(root);
    const { module } = this;
    const { localTypes } = this.code;
    if (this.isMatchOnly) module.addFunction(ENDS, [I32], localTypes, this.out);
    else module.addFunction([], [I32], [...ENDS, ...localTypes], this.out);
    module.exportFunction("run", module.importCount);
    if (this.hasBurst) {
      this.writeBurst(root);
      const locals = [...ENDS.slice(BURST_PARAMETERS.length), ...this.code.localTypes];
      module.addFunction(BURST_PARAMETERS, [I32], locals, this.out);
      module.exportFunction("burst", module.importCount + 1);
    }
    for (const { parameters, locals, code } of this.bodies) {
      module.addFunction(parameters, [I32], locals, code);
    }
    if (this.isMatchOnly) {
      module.addFunction(BURST_PARAMETERS, [I32], [], batchBody(module.importCount));
      module.exportFunction("batch", this.firstBody + this.bodies.length);
    }
    const isShared = this.runtime.memory.memory.buffer instanceof SharedArrayBuffer;
    return module.finish(isShared, this.runtime.bytes.length / 65_536);
  }

  /** Number of the first lookup's function. */
  private get firstBody(): number {
    return this.module.importCount + (this.hasBurst ? 2 : 1);
  }

  /**
   * The tree in a loop over records, see ebpf/burst.ts. Where the packet is goes from the record into locals, and
   * into the context only when somebody asks there.
   */
  private writeBurst(root: Slot): void {
    this.isBurst = true;
    this.out = new WasmBytes();
    this.code = this.newCode();
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
    const { e, module } = this;
    if (hasCalls(root, this.isMatchOnly)) this.helper = module.importFunction("helper", [I32], []);
    for (const node of this.uses.keys()) {
      if (e.op[node] !== Ex.LOOKUP) continue;
      if (lookupBody(this.runtime.maps[e.low[node]!]!, this.place.cpuAt, true) !== null) continue;
      this.lookup = module.importFunction("lookup", [I32, I32], [I32]);
      return;
    }
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

  /** Of a LOOKUP the address, of a COUNT the number of keys. */
  private readonly writeLookup = (code: ExpressionCode, node: number): void => {
    const { e, out, place } = this;
    const map = this.runtime.maps[e.low[node]!]!;
    if (e.op[node] === Ex.COUNT) {
      out.i32Const(map.at + MAP_COUNT).memory(Wasm.i32_load, 0);
      return;
    }
    const isUse = !this.isMatchOnly && e.high[node] === Use.COUNTS;
    const own = this.functionOf(map, isUse);
    if (own >= 0) {
      this.writeKeyWords(code, e.a[node]!, Math.ceil(map.keyBytes / 4));
      out.call(own);
      return;
    }
    let at = place.keyAt;
    for (let part = e.a[node]!; part !== NONE; part = e.b[part]!) {
      const size = e.low[part]!;
      out.i32Const(at);
      code.emit(e.a[part]!);
      out.memory(STORES[log2(size)]!, 0);
      at += size;
    }
    // Maps' addresses are even.
    out
      .i32Const(isUse ? map.at : map.at | PEEK)
      .i32Const(place.keyAt)
      .call(this.lookup);
  };

  /** Pushes the words of a key; the last one may have fewer bytes, in several parts. */
  private writeKeyWords(code: ExpressionCode, key: number, words: number): void {
    const { e, out } = this;
    let part = key;
    for (let n = 0; n < words; n++) {
      for (let bytes = 0; bytes < 4 && part !== NONE; part = e.b[part]!) {
        code.emitLow(e.a[part]!);
        if (bytes > 0) out.i32Const(8 * bytes).ops(Wasm.i32_shl, Wasm.i32_or);
        bytes += e.low[part]!;
      }
    }
  }

  /** The module's own function for a map's lookups; -1: JavaScript does it. */
  private functionOf(map: LinearMap, isUse: boolean): number {
    const which = isUse ? map.at : -map.at;
    const known = this.lookups.get(which);
    if (known !== undefined) return known;
    const body = lookupBody(map, this.place.cpuAt, isUse);
    const index = body === null ? -1 : this.firstBody + this.bodies.length;
    if (body !== null) this.bodies.push(body);
    this.lookups.set(which, index);
    return index;
  }
}
