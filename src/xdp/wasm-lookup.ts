/**
 * Lookups in hash tables as WebAssembly functions whose parameters are the key's words, so that a key that was
 * put together from the packet is never written to memory.
 */
import { HashMap } from "../ebpf/hash-map.js";
import type { LinearMap } from "../ebpf/linear-map.js";
import { keyWords, MAX_KEY_WORDS, writeHashLookup } from "../ebpf/wasm-hash.js";
import { I32, WasmBytes } from "../ebpf/wasm-writer.js";

export interface LookupBody {
  readonly parameters: readonly number[];
  readonly locals: readonly number[];
  readonly code: WasmBytes;
}

/**
 * A function (words of the key) -> address of the value or 0; null for maps that JavaScript looks up in. `isUse`:
 * LRU kinds note it.
 */
export function lookupBody(map: LinearMap, cpuAt: number, isUse: boolean): LookupBody | null {
  if (!(map instanceof HashMap) || keyWords(map) > MAX_KEY_WORDS) return null;
  const words = keyWords(map);
  const code = new WasmBytes();
  writeHashLookup(code, map, { key: 0, hash: words, entry: words + 1 }, { cpuAt, isUse });
  return { parameters: new Array<number>(words).fill(I32), locals: [I32, I32], code };
}
