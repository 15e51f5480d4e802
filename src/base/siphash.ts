/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a short keyed hash that an outsider cannot predict,
 * for initial sequence numbers, timestamp offsets and SYN cookies.
 *
 * The message is a list of 32-bit words, little-endian in the sense of the paper; 64-bit values are
 * two int32 halves. One object is one key, and allocates nothing after it is built.
 */
export class SipHash {
  /** Low and high half of the last hash. */
  low = 0;
  high = 0;
  private readonly k: Int32Array;
  /** v0 to v3, low half first. */
  private readonly v = new Int32Array(8);

  /** `key` is 16 bytes. */
  constructor(key: Uint8Array) {
    if (key.length !== 16)
      throw new RangeError(`SipHash key: expected 16 bytes, got ${key.length}`);
    this.k = new Int32Array(4);
    for (let i = 0; i < 16; i++) this.k[i >> 2]! |= key[i]! << (8 * (i & 3));
  }

  /** Hashes the first `n` words; leaves the hash in `low` and `high`, and returns `low`. */
  hash(words: Int32Array, n: number): number {
    const v = this.v;
    this.start();
    let i = 0;
    for (; i + 2 <= n; i += 2) this.mix(words[i]!, words[i + 1]!);
    const tail = (n & 1) !== 0 ? words[n - 1]! : 0;
    // The last block ends with the length in bytes modulo 256; an odd word stands before it.
    this.mix(tail, (n * 4) << 24);
    v[4] = v[4]! ^ 0xff;
    for (let round = 0; round < 4; round++) this.round();
    this.low = v[0]! ^ v[2]! ^ v[4]! ^ v[6]!;
    this.high = v[1]! ^ v[3]! ^ v[5]! ^ v[7]!;
    return this.low;
  }

  private start(): void {
    const { v, k } = this;
    v[0] = k[0]! ^ 0x70736575;
    v[1] = k[1]! ^ 0x736f6d65;
    v[2] = k[2]! ^ 0x6e646f6d;
    v[3] = k[3]! ^ 0x646f7261;
    v[4] = k[0]! ^ 0x6e657261;
    v[5] = k[1]! ^ 0x6c796765;
    v[6] = k[2]! ^ 0x79746573;
    v[7] = k[3]! ^ 0x74656462;
  }

  private mix(low: number, high: number): void {
    const v = this.v;
    v[6] = v[6]! ^ low;
    v[7] = v[7]! ^ high;
    this.round();
    this.round();
    v[0] = v[0]! ^ low;
    v[1] = v[1]! ^ high;
  }

  private round(): void {
    this.add(0, 2);
    this.rotateXor(2, 13, 0);
    this.swap(0);
    this.add(4, 6);
    this.rotateXor(6, 16, 4);
    this.add(0, 6);
    this.rotateXor(6, 21, 0);
    this.add(4, 2);
    this.rotateXor(2, 17, 4);
    this.swap(4);
  }

  /** v[a] += v[b], 64 bits. */
  private add(a: number, b: number): void {
    const v = this.v;
    const low = (v[a]! >>> 0) + (v[b]! >>> 0);
    v[a + 1] = v[a + 1]! + v[b + 1]! + (low > 0xffffffff ? 1 : 0);
    v[a] = low;
  }

  /** v[a] = rotate left(v[a], bits below 32) ^ v[b]. */
  private rotateXor(a: number, bits: number, b: number): void {
    const v = this.v;
    const low = v[a]!;
    const high = v[a + 1]!;
    v[a] = ((low << bits) | (high >>> (32 - bits))) ^ v[b]!;
    v[a + 1] = ((high << bits) | (low >>> (32 - bits))) ^ v[b + 1]!;
  }

  /** v[a] rotated by 32: the halves change places. */
  private swap(a: number): void {
    const v = this.v;
    const low = v[a]!;
    v[a] = v[a + 1]!;
    v[a + 1] = low;
  }
}
