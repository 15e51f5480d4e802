/**
 * Long copies to where another core reads them, for those who may not import `sys`.
 */
import { copy } from "../base/bytes.js";
import { copyPast } from "../sys/memory.js";

/** Shorter copies take less time than the call does. */
const FAR_BYTES = 2_048;

/** Hot path. Copies `n` bytes; the ranges do not overlap. See `copyPast` for what it is worth. */
export function copyFar(
  to: Uint8Array,
  toAt: number,
  from: Uint8Array,
  fromAt: number,
  n: number,
): void {
  if (n < FAR_BYTES || copyPast(to, toAt, from, fromAt, n) < 0) copy(to, toAt, from, fromAt, n);
}
