/**
 * Seeded pseudo-random numbers: sfc32 (Chris Doty-Humphrey's small fast counter generator). The
 * same seed gives the same run, which is what simulations and fault injectors need.
 *
 * Not for secrets: those are drawn by the host from `node:crypto` and passed in.
 */
export class Random {
  private a = 0;
  private b = 0;
  private c = 0;
  private counter = 1;

  constructor(seed: number) {
    this.a = seed | 0;
    this.b = 0x9e3779b9 ^ (seed | 0);
    this.c = 0x243f6a88;
    // Twelve rounds mix the seed into all of the state, as the reference code does.
    for (let i = 0; i < 12; i++) this.int32();
  }

  /** Hot path. The next 32 random bits, as an int32. */
  int32(): number {
    const t = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + t;
    this.c |= 0;
    return t;
  }

  /** Hot path. Goes on where another one is. */
  copyFrom(other: Random): void {
    this.a = other.a;
    this.b = other.b;
    this.c = other.c;
    this.counter = other.counter;
  }

  /** Hot path. Uniform in [0, bound), for bounds up to 2^31; the bias is below 2^-21 for 2^11. */
  below(bound: number): number {
    return Math.floor(((this.int32() >>> 0) / 0x1_0000_0000) * bound);
  }

  /** Hot path. True with the given probability, 0 to 1. */
  chance(probability: number): boolean {
    return (this.int32() >>> 0) / 0x1_0000_0000 < probability;
  }
}
