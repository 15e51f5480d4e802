/**
 * What a connection needs only once something was lost: rows of {@link LOSS_INT32S} int32 values in a
 * pool of their own, so that a connection that loses nothing does not pay for them.
 *
 * Row 0 belongs to nobody and holds the initial values; a connection without a loss row reads those.
 * The first write of another value takes a row (recovery-row.ts), which the connection keeps until it
 * is released: its losses count for TCP_INFO, and who loses once loses again.
 */
import { grown } from "../base/growth.js";

export const LOSS_INT32S = 32;
/** The loss row of connections that have none. */
export const NO_LOSS_ROW = 0;

export class LossRows {
  /** All rows, and the same memory as doubles. */
  words: Int32Array;
  doubles: Float64Array;
  /** First free row, linked by its first word, or 0. */
  private free = 0;
  /** Rows that were ever taken, row 0 included. */
  private end = 1;
  private used = 0;

  /** `setInitial` writes the initial values into row 0. */
  constructor(setInitial: (words: Int32Array, doubles: Float64Array) => void) {
    this.words = new Int32Array(LOSS_INT32S);
    this.doubles = new Float64Array(this.words.buffer);
    setInitial(this.words, this.doubles);
  }

  /** Rows that connections hold. */
  get rows(): number {
    return this.used;
  }

  /** A row with the initial values. */
  take(): number {
    let row = this.free;
    if (row !== NO_LOSS_ROW) this.free = this.words[row * LOSS_INT32S]!;
    else row = this.end++;
    if (this.end * LOSS_INT32S > this.words.length) this.grow();
    this.words.copyWithin(row * LOSS_INT32S, 0, LOSS_INT32S);
    this.used++;
    return row;
  }

  give(row: number): void {
    if (row === NO_LOSS_ROW) return;
    this.words[row * LOSS_INT32S] = this.free;
    this.free = row;
    this.used--;
  }

  private grow(): void {
    const words = new Int32Array(grown(this.words.length / LOSS_INT32S, this.end) * LOSS_INT32S);
    words.set(this.words);
    this.words = words;
    this.doubles = new Float64Array(words.buffer);
  }
}
