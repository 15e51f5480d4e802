/**
 * The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit
 * words.
 *
 * Sums are carried as unsigned 32-bit partial sums that {@link fold} brings down to 16 bits, so
 * that the pieces of a packet (pseudo-header, header, payload) are summed one after the other. A
 * piece other than the last must have an even length. This is the plain version; `ring/arena.ts`
 * offers a WebAssembly SIMD one for long pieces, and the test compares them.
 */
import type { Bytes } from "./bytes.js";

/** Hot path. Adds `n` bytes at `at` to the partial sum; an odd last byte counts as its high half. */
export function sum(b: Bytes, at: number, n: number, seed: number): number {
  // Below 2^17 words of 16 bits a double is exact and an int32 would not be: two halves are kept.
  let total = seed;
  let i = at;
  const wordsEnd = at + (n & ~7);
  for (; i < wordsEnd; i += 8) {
    total +=
      ((b[i]! << 8) | b[i + 1]!) +
      ((b[i + 2]! << 8) | b[i + 3]!) +
      ((b[i + 4]! << 8) | b[i + 5]!) +
      ((b[i + 6]! << 8) | b[i + 7]!);
  }
  const end = at + n;
  for (; i + 1 < end; i += 2) total += (b[i]! << 8) | b[i + 1]!;
  if (i < end) total += b[i]! << 8;
  return total;
}

/** Hot path. Folds a partial sum (up to 2^48) to 16 bits. */
export function fold(partial: number): number {
  let s = partial > 0xffffffff ? (partial % 0x10000) + Math.floor(partial / 0x10000) : partial;
  if (s > 0xffffffff) s = (s % 0x10000) + Math.floor(s / 0x10000);
  s = (s & 0xffff) + (s >>> 16);
  s = (s & 0xffff) + (s >>> 16);
  return s;
}

/** Hot path. The value for a checksum field, from a partial sum over everything with that field 0. */
export function finish(partial: number): number {
  return ~fold(partial) & 0xffff;
}

/**
 * Hot path. A checksum field after one 16-bit word that it covers changed (RFC 1624 §3, equation
 * 3), without a look at the rest of the packet.
 */
export function adjust(checksum: number, before: number, after: number): number {
  return finish((~checksum & 0xffff) + (~before & 0xffff) + after);
}
