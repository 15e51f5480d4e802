/**
 * Frames that a middleware has taken and the device below has not: at most one batch, in order.
 *
 * A middleware that changes frames must own them before it knows whether the device takes them.
 * It puts them here and drains; while {@link TransmitQueue.room} is 0 it takes nothing more, so the
 * device's refusal reaches the sender and no frame is lost.
 */
import { NEVER } from "../base/time.js";
import { BATCH_FRAMES, Batch } from "../ring/batch.js";
import type { Pool } from "../ring/pool.js";
import type { Device } from "./device.js";

/** How long a device that refused frames is left alone when nothing else wakes the host. */
const RETRY_US = 100;

export class TransmitQueue {
  private readonly device: Device;
  private readonly pool: Pool;
  private readonly waiting = new Batch();
  private retryAtUs = NEVER;

  constructor(device: Device, pool: Pool) {
    this.device = device;
    this.pool = pool;
  }

  /** Hot path. Frames that can be put. */
  get room(): number {
    return BATCH_FRAMES - this.waiting.n;
  }

  /** Hot path. Queues a frame, and drains when that fills the queue. Precondition: `room > 0`. */
  put(nowUs: number, slot: number): void {
    this.waiting.put(slot);
    if (this.waiting.n === BATCH_FRAMES) this.drain(nowUs);
  }

  /** Hot path. Hands the device what it takes; true when nothing waits any more. */
  drain(nowUs: number): boolean {
    if (this.waiting.n > 0) this.waiting.drop(this.device.transmit(nowUs, this.waiting));
    this.retryAtUs = this.waiting.n > 0 ? nowUs + RETRY_US : NEVER;
    return this.waiting.n === 0;
  }

  /** Asks for another turn soon: the owner could not go on for want of slots. */
  retryAt(nowUs: number): void {
    this.retryAtUs = nowUs + RETRY_US;
  }

  /** When to drain again, or NEVER. */
  nextDeadlineUs(): number {
    return this.retryAtUs;
  }

  /** Gives up what waits. */
  close(): void {
    for (let i = 0; i < this.waiting.n; i++) this.pool.give(this.waiting.slots[i]!);
    this.waiting.n = 0;
    this.retryAtUs = NEVER;
  }
}
