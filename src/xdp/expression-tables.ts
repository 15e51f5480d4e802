/** Which instruction of WebAssembly an operation on nodes, a load or a store is. */
import { Wasm } from "../ebpf/wasm-writer.js";
import { Ex } from "./expr.js";

/** By log2 of the size. */
export const LOADS64 = [Wasm.i64_load8_u, Wasm.i64_load16_u, Wasm.i64_load32_u, Wasm.i64_load];
export const LOADS32 = [Wasm.i32_load8_u, Wasm.i32_load16_u, Wasm.i32_load];
export const STORES = [Wasm.i64_store8, Wasm.i64_store16, Wasm.i64_store32, Wasm.i64_store];

export const OPS64: ReadonlyMap<number, number> = new Map([
  [Ex.ADD, Wasm.i64_add],
  [Ex.SUB, Wasm.i64_sub],
  [Ex.MUL, Wasm.i64_mul],
  [Ex.AND, Wasm.i64_and],
  [Ex.OR, Wasm.i64_or],
  [Ex.XOR, Wasm.i64_xor],
  [Ex.SHL, Wasm.i64_shl],
  [Ex.SHR, Wasm.i64_shr_u],
  [Ex.SAR, Wasm.i64_shr_s],
  [Ex.EQ, Wasm.i64_eq],
  [Ex.LTU, Wasm.i64_lt_u],
  [Ex.LTS, Wasm.i64_lt_s],
]);

/** Those whose low 32 bits come from the operands' low 32 bits. */
export const OPS32: ReadonlyMap<number, number> = new Map([
  [Ex.ADD, Wasm.i32_add],
  [Ex.SUB, Wasm.i32_sub],
  [Ex.MUL, Wasm.i32_mul],
  [Ex.AND, Wasm.i32_and],
  [Ex.OR, Wasm.i32_or],
  [Ex.XOR, Wasm.i32_xor],
]);

export const WORD_BITS = 0xffff_ffffn;

export const log2 = (size: number): number => 31 - Math.clz32(size);
