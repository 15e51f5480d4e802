/**
 * Bounded single-producer single-consumer queue of pool slots.
 *
 * `head` and `tail` count slots ever taken and ever put; they wrap at 2^32 and only their
 * difference matters, so empty and full are never confused and no place is wasted.
 * Within one thread only: `shared-ring.ts` is the variant that publishes with Atomics.
 */
import type { Batch } from "./batch.js";
import { BATCH_FRAMES } from "./batch.js";

/** Throws `RangeError` unless `capacity` is a power of two from 1 to 2^24. */
export function checkRingCapacity(capacity: number): void {
  if (
    Number.isInteger(capacity) &&
    capacity >= 1 &&
    capacity <= 1 << 24 &&
    (capacity & (capacity - 1)) === 0
  )
    return;
  throw new RangeError(`ring capacity: expected a power of two up to 2^24, got ${capacity}`);
}

export class FrameRing {
  readonly capacity: number;
  private readonly mask: number;
  private readonly slots: Int32Array;
  private head = 0;
  private tail = 0;

  constructor(capacity: number) {
    checkRingCapacity(capacity);
    this.capacity = capacity;
    this.mask = capacity - 1;
    this.slots = new Int32Array(capacity);
  }

  /** Hot path. Slots ready to take. */
  get ready(): number {
    return (this.tail - this.head) | 0;
  }

  /** Hot path. Slots that can be put. */
  get room(): number {
    return (this.capacity - this.ready) | 0;
  }

  /** Hot path. Queues a slot; false, with nothing changed, when full. Takes the slot. */
  put(slot: number): boolean {
    if (this.ready === this.capacity) return false;
    this.slots[this.tail & this.mask] = slot;
    this.tail = (this.tail + 1) | 0;
    return true;
  }

  /** Hot path. The `n`th ready slot. Precondition: `n < ready`. */
  slotAt(n: number): number {
    return this.slots[(this.head + n) & this.mask]!;
  }

  /** Hot path. Releases the oldest `n` slots, which the caller now owns. Precondition: `n <= ready`. */
  take(n: number): void {
    this.head = (this.head + n) | 0;
  }

  /** Hot path. Moves slots to the batch while both have some and room; returns how many. */
  takeBatch(batch: Batch): number {
    const n = Math.min(this.ready, BATCH_FRAMES - batch.n);
    for (let i = 0; i < n; i++) batch.put(this.slotAt(i));
    this.take(n);
    return n;
  }
}
