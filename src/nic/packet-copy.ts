/**
 * Copies frames between the arena and a ring outside it without making a view for each: by words, as
 * the device sees to it that both places are equally far from a word's beginning.
 *
 * Up to three bytes before and behind a copied range are overwritten: both places have that slack.
 */

/** What is longer is copied through a view: once for 32 segments, that memory does not matter. */
const WORDS_BYTES = 2_048;

/** A buffer as words and as bytes. */
export interface WordsAndBytes {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
}

/** Hot path. Copies `n` bytes. Precondition: `toAt` and `fromAt` are equal modulo 4. */
export function copyAligned(
  to: WordsAndBytes,
  toAt: number,
  from: WordsAndBytes,
  fromAt: number,
  n: number,
): void {
  if (n > WORDS_BYTES) {
    to.bytes.set(from.bytes.subarray(fromAt, fromAt + n), toAt);
    return;
  }
  copyWords(to.words, toAt >> 2, from.words, fromAt >> 2, ((fromAt & 3) + n + 3) >> 2);
}

/** Hot path. Four at a time. */
function copyWords(
  to: Int32Array,
  toAt: number,
  from: Int32Array,
  fromAt: number,
  n: number,
): void {
  let i = 0;
  for (const end = n & ~3; i < end; i += 4) {
    to[toAt + i] = from[fromAt + i]!;
    to[toAt + i + 1] = from[fromAt + i + 1]!;
    to[toAt + i + 2] = from[fromAt + i + 2]!;
    to[toAt + i + 3] = from[fromAt + i + 3]!;
  }
  for (; i < n; i++) to[toAt + i] = from[fromAt + i]!;
}
