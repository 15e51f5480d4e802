/** A loop around a matcher: which trace each of several packets takes. */
import { BurstAt } from "../ebpf/burst.js";
import { NO_RESULT, Wasm, WasmBytes } from "../ebpf/wasm-writer.js";

/** (records, how many): asks `matcher` about each and writes its trace down; 0. */
export function batchBody(matcher: number): WasmBytes {
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
