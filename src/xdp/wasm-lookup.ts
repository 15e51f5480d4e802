/**
 * Lookups in hash tables as WebAssembly functions whose parameters are the key's words, so that a key that was
 * put together from the packet is never written to memory. What `HashMap.lookup` does, LRU kinds included.
 */
import { HASH_CONSTANTS, HashMap } from "../ebpf/hash-map.js";
import type { LinearMap } from "../ebpf/linear-map.js";
import { I32, NO_RESULT, Wasm, WasmBytes } from "../ebpf/wasm-writer.js";

/** Longer keys go through memory. */
const MAX_KEY_WORDS = 12;

export interface LookupBody {
  readonly parameters: readonly number[];
  readonly locals: readonly number[];
  readonly code: WasmBytes;
}

export const keyWords = (map: LinearMap): number => Math.ceil(map.keyBytes / 4);

/**
 * A function (words of the key) -> address of the value or 0; null for maps that JavaScript looks up in. `isUse`:
 * LRU kinds note it.
 */
export function lookupBody(map: LinearMap, cpuAt: number, isUse: boolean): LookupBody | null {
  if (!(map instanceof HashMap) || keyWords(map) > MAX_KEY_WORDS) return null;
  const words = keyWords(map);
  const [hash, entry] = [words, words + 1];
  const code = new WasmBytes();
  writeHash(code, map, words, hash);
  code.get(hash).i32Const(map.bucketMask).byte(Wasm.i32_and).i32Const(2).byte(Wasm.i32_shl);
  code.memory(Wasm.i32_load, map.bucketsAt).set(entry);
  code.ops(Wasm.block, NO_RESULT, Wasm.loop, NO_RESULT);
  code.get(entry).ops(Wasm.i32_eqz, Wasm.br_if).unsigned(1);
  // All differences or-ed together: 0 when the entry has this key. Bytes behind a key are 0.
  code.get(entry).memory(Wasm.i32_load, 4).get(hash).byte(Wasm.i32_xor);
  for (let n = 0; n < words; n++) {
    code
      .get(entry)
      .memory(Wasm.i32_load, 8 + 4 * n)
      .get(n);
    code.ops(Wasm.i32_xor, Wasm.i32_or);
  }
  code.ops(Wasm.i32_eqz, Wasm.if, NO_RESULT);
  if (isUse) writeUse(code, map, entry);
  code.get(entry).i32Const(map.valueOffset).byte(Wasm.i32_add);
  if (map.cpus > 1) {
    code.i32Const(cpuAt).memory(Wasm.i32_load, 0).i32Const(map.valueStride);
    code.ops(Wasm.i32_mul, Wasm.i32_add);
  }
  code.ops(Wasm.return, Wasm.end);
  code.get(entry).memory(Wasm.i32_load, 0).set(entry);
  code.byte(Wasm.br).unsigned(0).ops(Wasm.end, Wasm.end).i32Const(0);
  return { parameters: new Array<number>(words).fill(I32), locals: [I32, I32], code };
}

/** LRU kinds note that an entry was looked up. */
function writeUse(code: WasmBytes, map: HashMap, entry: number): void {
  if (map.usedAt === 0) return;
  code.get(entry).i32Const(map.entriesAt).byte(Wasm.i32_sub).i32Const(map.entryStride);
  code.byte(Wasm.i32_div_u).i32Const(1).memory(Wasm.i32_store8, map.usedAt);
}

/** As `HashMap.hash`. */
function writeHash(code: WasmBytes, map: HashMap, words: number, hash: number): void {
  const { first, second, add, last1, last2 } = HASH_CONSTANTS;
  code.i32Const(map.seed).set(hash);
  for (let n = 0; n < words; n++) {
    code.get(n).i32Const(first).byte(Wasm.i32_mul).i32Const(15).byte(Wasm.i32_rotl);
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
