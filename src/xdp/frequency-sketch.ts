/**
 * How often each of many numbers was seen lately, in little memory: a count-min sketch of counters of four
 * bits, halved when it has seen `sampleSize` numbers, so that the past fades.
 *
 * G. Einziger, R. Friedman, B. Manes, TinyLFU: A Highly Efficient Cache Admission Policy, ACM TOS 2017.
 */
const MOST = 15;
const ROWS = 4;
const SEEDS = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f] as const;

export class FrequencySketch {
  private readonly counters: Uint8Array;
  private readonly mask: number;
  private readonly sampleSize: number;
  private seen = 0;

  /** `width` counters a row, a power of two; they are halved each `sampleSize` numbers. */
  constructor(width: number, sampleSize: number) {
    if (width < 1 || (width & (width - 1)) !== 0) {
      throw new RangeError(`expected a power of two, got ${width}`);
    }
    this.counters = new Uint8Array(width * ROWS);
    this.mask = width - 1;
    this.sampleSize = sampleSize;
  }

  /** Hot path. */
  add(number: number): void {
    const { counters } = this;
    for (let row = 0; row < ROWS; row++) {
      const at = this.at(number, row);
      if (counters[at]! < MOST) counters[at]! += 1;
    }
    if (++this.seen >= this.sampleSize) this.fade();
  }

  /** Never less than what was added since, unless that is above 15 or has faded. */
  count(number: number): number {
    let least = MOST;
    for (let row = 0; row < ROWS; row++)
      least = Math.min(least, this.counters[this.at(number, row)]!);
    return least;
  }

  private at(number: number, row: number): number {
    let h = Math.imul(number ^ (number >>> 16), SEEDS[row]!);
    h ^= h >>> 15;
    return row * (this.mask + 1) + (h & this.mask);
  }

  private fade(): void {
    this.seen >>>= 1;
    const { counters } = this;
    for (let at = 0; at < counters.length; at++) counters[at] = counters[at]! >>> 1;
  }
}
