/**
 * Lookups of a tree of traces: calls of functions of its module, or of JavaScript's through memory.
 */
import type { LinearMap } from "../ebpf/linear-map.js";
import type { Runtime } from "../ebpf/runtime.js";
import { I32, Wasm, type WasmBytes, type WasmModule } from "../ebpf/wasm-writer.js";
import { Ex, type Expressions, NONE, Use } from "./expr.js";
import { log2, STORES } from "./expression-tables.js";
import type { ExpressionCode } from "./wasm-expression.js";
import { type LookupBody, lookupBody } from "./wasm-lookup.js";

/** The header's word with the number of keys. */
const MAP_COUNT = 16;

/** Of the address of a map that the import `lookup` gets: it is no use of the entry. */
export const PEEK = 1;

/** Where lookups find what they need. */
export interface LookupPlace {
  readonly cpuAt: number;
  /** Room for the longest key. */
  readonly keyAt: number;
}

export class TraceLookups {
  private readonly e: Expressions;
  private readonly runtime: Runtime;
  private readonly place: LookupPlace;
  /** LRU kinds are not told. */
  private readonly isMatchOnly: boolean;
  private readonly module: WasmModule;
  private readonly out: WasmBytes;
  /** The import, -1 when it is not needed. */
  imported = -1;
  /** Functions by map; of lookups that are no use by the map's negative address. */
  private readonly lookups = new Map<number, number>();
  private readonly bodies: LookupBody[] = [];

  /** The module has one function before those of lookups. */
  constructor(
    e: Expressions,
    runtime: Runtime,
    place: LookupPlace,
    isMatchOnly: boolean,
    module: WasmModule,
    out: WasmBytes,
  ) {
    this.e = e;
    this.runtime = runtime;
    this.place = place;
    this.isMatchOnly = isMatchOnly;
    this.module = module;
    this.out = out;
  }

  /** Imports JavaScript's lookup if one of some nodes needs it. */
  importFor(nodes: Iterable<number>): void {
    const { e, module, place, runtime } = this;
    for (const node of nodes) {
      if (e.op[node] !== Ex.LOOKUP) continue;
      if (lookupBody(runtime.maps[e.low[node]!]!, place.cpuAt, true) !== null) continue;
      this.imported = module.importFunction("lookup", [I32, I32], [I32]);
      return;
    }
  }

  /** Number of the first function behind those of lookups. */
  get end(): number {
    return this.first + this.bodies.length;
  }

  private get first(): number {
    return this.module.importCount + 1;
  }

  /** Puts the functions into the module, when all are known. */
  addFunctions(): void {
    for (const { parameters, locals, code } of this.bodies) {
      this.module.addFunction(parameters, [I32], locals, code);
    }
  }

  /** Of a LOOKUP the address, of a COUNT the number of keys. */
  readonly write = (code: ExpressionCode, node: number): void => {
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
      .call(this.imported);
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
    const index = body === null ? -1 : this.first + this.bodies.length;
    if (body !== null) this.bodies.push(body);
    this.lookups.set(which, index);
    return index;
  }
}
