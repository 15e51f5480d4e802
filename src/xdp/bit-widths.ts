/** How many bits operations on parts of a number work on. */
import { ALL_BITS, Ex } from "./expr.js";

/** 2^n - 1 for n > 0 */
export const isLowMask = (m: bigint): boolean => m !== 0n && (m & (m + 1n)) === 0n;

export const maskOf = (bits: number): bigint => ALL_BITS >> BigInt(64 - bits);

export const SEXT_BITS: ReadonlyMap<number, number> = new Map([
  [Ex.SEXT8, 8],
  [Ex.SEXT16, 16],
  [Ex.SEXT32, 32],
]);

export const SWAP_BITS: ReadonlyMap<number, number> = new Map([
  [Ex.SWAP16, 16],
  [Ex.SWAP32, 32],
  [Ex.SWAP64, 64],
]);
