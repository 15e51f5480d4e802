/**
 * Times of pcapng packets: 64-bit counts of a unit that each interface chooses (`if_tsresol`), plus
 * a shift in seconds (`if_tsoffset`), turned into seconds and nanoseconds without BigInt.
 */

/** `if_tsresol` of interfaces that do not say: 10^-6 s. */
export const MICROSECONDS = 6;
/** `if_tsresol` for 10^-9 s. */
export const NANOSECONDS = 9;

const NANOS_PER_S = 1_000_000_000;
/** A remainder below this, times 2^16, is exact in a double. */
const EXACT_UNITS_PER_S = 2 ** 37;

export class Timescale {
  /** Results of {@link convert}, valid until its next call. */
  secondsOut = 0;
  nanosOut = 0;

  /** Units in a second; the double is exact, or so large that it does not matter. */
  private readonly unitsPerS: number;
  private readonly nanosPerUnit: number;
  private readonly offsetSeconds: number;

  /** `resolution`: negative power of ten, or of two when the top bit is set. */
  constructor(resolution: number, offsetSeconds: number) {
    const power = resolution & 0x7f;
    this.unitsPerS = (resolution & 0x80) !== 0 ? 2 ** power : 10 ** power;
    this.nanosPerUnit = NANOS_PER_S / this.unitsPerS;
    this.offsetSeconds = offsetSeconds;
  }

  /** Hot path, but for units below 10^-11 s. `high` and `low` are unsigned 32-bit halves. */
  convert(high: number, low: number): void {
    const units = this.unitsPerS;
    if (units > EXACT_UNITS_PER_S) {
      this.convertFine(high, low);
      return;
    }
    // Long division, 32, 16 and 16 bits at a time, so that every step is exact.
    let rest = high % units;
    let seconds = (high - rest) / units;
    let value = rest * 0x1_0000 + (low >>> 16);
    rest = value % units;
    seconds = seconds * 0x1_0000 + (value - rest) / units;
    value = rest * 0x1_0000 + (low & 0xffff);
    rest = value % units;
    seconds = seconds * 0x1_0000 + (value - rest) / units;
    this.secondsOut = seconds + this.offsetSeconds;
    this.nanosOut = Math.floor(rest * this.nanosPerUnit);
  }

  private convertFine(high: number, low: number): void {
    const units = BigInt(this.unitsPerS);
    const value = (BigInt(high) << 32n) | BigInt(low);
    this.secondsOut = Number(value / units) + this.offsetSeconds;
    this.nanosOut = Number(((value % units) * 1_000_000_000n) / units);
  }
}
