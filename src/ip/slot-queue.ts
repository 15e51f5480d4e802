/**
 * Slots in order, linked through the pool's `next`: what waits in a socket. A slot is in one queue
 * at most, as its holder is.
 */
import { NO_SLOT, type Pool } from "../ring/pool.js";

export class SlotQueue {
  private readonly pool: Pool;
  private last = NO_SLOT;
  /** The oldest slot, still in the queue, or NO_SLOT. */
  first: number = NO_SLOT;
  n = 0;

  constructor(pool: Pool) {
    this.pool = pool;
  }

  /** Hot path. Takes the slot. */
  put(slot: number): void {
    const { next } = this.pool;
    next[slot] = NO_SLOT;
    if (this.last === NO_SLOT) this.first = slot;
    else next[this.last] = slot;
    this.last = slot;
    this.n = (this.n + 1) | 0;
  }

  /** Hot path. The oldest slot, now the caller's, or NO_SLOT. */
  take(): number {
    const slot = this.first;
    if (slot === NO_SLOT) return NO_SLOT;
    this.first = this.pool.next[slot]!;
    if (this.first === NO_SLOT) this.last = NO_SLOT;
    this.n = (this.n - 1) | 0;
    return slot;
  }
}
