/** Bytes whose every block differs, so that lost, doubled or swapped blocks change the digest. */

export const BLOCK_BYTES = 1 << 20;
const BLOCK = Uint8Array.from({ length: BLOCK_BYTES }, (_, i) => (i * 31 + (i >> 8)) & 0xff);

/** `totalBytes` of content in blocks; each block is a copy of its own. */
export function* content(totalBytes: number): Generator<Uint8Array> {
  for (let number = 0; number * BLOCK_BYTES < totalBytes; number++) {
    const block = BLOCK.slice();
    new DataView(block.buffer).setBigUint64(0, BigInt(number));
    yield block.subarray(0, Math.min(BLOCK_BYTES, totalBytes - number * BLOCK_BYTES));
  }
}
