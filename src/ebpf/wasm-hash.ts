/** The lookup of a hash table as WebAssembly: what `HashMap.lookup` and `peek` do, the key's words being in locals. */
import { HASH_CONSTANTS, type HashMap } from "./hash-map.js";
import { NO_RESULT, Wasm, type WasmBytes } from "./wasm-writer.js";

/** Longer keys are looked up by JavaScript. */
export const MAX_KEY_WORDS = 12;

/** The last word may have fewer bytes, and is 0 behind them. */
export const keyWords = (map: HashMap): number => Math.ceil(map.keyBytes / 4);

/** Locals of 32 bits. */
export interface HashLocals {
  /** The first of the key's words, which are one behind the other. */
  readonly key: number;
  readonly hash: number;
  readonly entry: number;
}

export interface HashLookup {
  /** Address of the word that says which CPU it is. */
  readonly cpuAt: number;
  /** Whether LRU kinds note the use. */
  readonly isUse: boolean;
}

/** Pushes 0, or returns from the function with the value's address. */
export function writeHashLookup(
  code: WasmBytes,
  map: HashMap,
  locals: HashLocals,
  { cpuAt, isUse }: HashLookup,
): void {
  const { key, hash, entry } = locals;
  const words = keyWords(map);
  writeHash(code, map, locals);
  code.get(hash).i32Const(map.bucketMask).byte(Wasm.i32_and).i32Const(2).byte(Wasm.i32_shl);
  code.memory(Wasm.i32_load, map.bucketsAt).set(entry);
  code.ops(Wasm.block, NO_RESULT, Wasm.loop, NO_RESULT);
  code.get(entry).ops(Wasm.i32_eqz, Wasm.br_if).unsigned(1);
  // All differences or-ed together: 0 when the entry has this key. Bytes behind a key are 0.
  code.get(entry).memory(Wasm.i32_load, 4).get(hash).byte(Wasm.i32_xor);
  for (let n = 0; n < words; n++) {
    code.get(entry).memory(Wasm.i32_load, 8 + 4 * n);
    code.get(key + n).ops(Wasm.i32_xor, Wasm.i32_or);
  }
  code.ops(Wasm.i32_eqz, Wasm.if, NO_RESULT);
  if (isUse) writeUse(code, map, entry);
  code.get(entry).i32Const(map.valueOffset).byte(Wasm.i32_add);
  writeCpu(code, map, cpuAt);
  code.ops(Wasm.return, Wasm.end);
  code.get(entry).memory(Wasm.i32_load, 0).set(entry);
  code.byte(Wasm.br).unsigned(0).ops(Wasm.end, Wasm.end).i32Const(0);
}

/** Adds to an address what makes it this CPU's. */
export function writeCpu(
  code: WasmBytes,
  map: { readonly cpus: number; readonly valueStride: number },
  cpuAt: number,
): void {
  if (map.cpus === 1) return;
  code.i32Const(cpuAt).memory(Wasm.i32_load, 0).i32Const(map.valueStride);
  code.ops(Wasm.i32_mul, Wasm.i32_add);
}

/** LRU kinds note that an entry was looked up. */
function writeUse(code: WasmBytes, map: HashMap, entry: number): void {
  if (map.usedAt === 0) return;
  code.get(entry).i32Const(map.entriesAt).byte(Wasm.i32_sub).i32Const(map.entryStride);
  code.byte(Wasm.i32_div_u).i32Const(1).memory(Wasm.i32_store8, map.usedAt);
}

/** As `HashMap.hash`. */
function writeHash(code: WasmBytes, map: HashMap, { key, hash }: HashLocals): void {
  const { first, second, add, last1, last2 } = HASH_CONSTANTS;
  code.i32Const(map.seed).set(hash);
  for (let n = 0; n < keyWords(map); n++) {
    code.get(key + n);
    code.i32Const(first).byte(Wasm.i32_mul).i32Const(15).byte(Wasm.i32_rotl);
    code.i32Const(second).byte(Wasm.i32_mul).get(hash).byte(Wasm.i32_xor);
    code.i32Const(13).byte(Wasm.i32_rotl).i32Const(5).byte(Wasm.i32_mul);
    code.i32Const(add).byte(Wasm.i32_add).set(hash);
  }
  const fold = (bits: number): void => {
    code.get(hash).get(hash).i32Const(bits).ops(Wasm.i32_shr_u, Wasm.i32_xor);
  };
  fold(16);
  code.i32Const(last1).byte(Wasm.i32_mul).set(hash);
  fold(13);
  code.i32Const(last2).byte(Wasm.i32_mul).set(hash);
  fold(16);
  code.set(hash);
}
