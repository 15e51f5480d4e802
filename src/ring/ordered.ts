/**
 * Words of memory that another process reads and writes too: a load that no later load overtakes, a store
 * that overtakes no earlier one. Neither is a fence between a store and a load behind it; `Atomics` are.
 *
 * On x86 every load and store is of that kind, and V8 keeps the loads and stores of typed arrays in the
 * program's order: plain ones are enough there. Elsewhere these are `Atomics`.
 *
 * Measured: `Atomics.load` 10 to 12 ns and `Atomics.store` 10 to 18, calls of builtins both; plain 1 (node
 * 20.20, 2026-11). Half a round trip of TCP over memif makes five of them.
 */
const IS_PLAIN = process.arch === "x64";

/** Hot path. */
export const loadAcquire = (words: Int32Array, i: number): number =>
  IS_PLAIN ? words[i]! : Atomics.load(words, i);

/** Hot path. */
export function storeRelease(words: Int32Array, i: number, value: number): void {
  if (IS_PLAIN) words[i] = value;
  else Atomics.store(words, i, value);
}
