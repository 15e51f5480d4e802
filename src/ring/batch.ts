/**
 * Slots on their way from one layer to the next: what one turn takes from a ring at most.
 * Reused for ever; emptying it is `n = 0`.
 */

/** Frames that a turn takes from each ring: polymorphism is paid once for so many. */
export const BATCH_FRAMES = 64;

export class Batch {
  readonly slots = new Int32Array(BATCH_FRAMES);
  /** Slots in use, from 0. */
  n = 0;

  /** Hot path. Appends a slot. Precondition: `n < BATCH_FRAMES`. */
  put(slot: number): void {
    this.slots[this.n] = slot;
    this.n = (this.n + 1) | 0;
  }

  /** Hot path. Removes the first `taken` slots; the rest move to the front. */
  drop(taken: number): void {
    if (taken < this.n) this.slots.copyWithin(0, taken, this.n);
    this.n = (this.n - taken) | 0;
  }
}
