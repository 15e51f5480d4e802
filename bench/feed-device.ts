/**
 * A device for measuring the stack and nothing else: it hands out frames that already lie in every
 * slot of the pool, so that no time goes into making them, and swallows what is sent.
 *
 * It stands for a NIC whose memory is the pool: reading a frame costs what reading fresh memory
 * costs, the descriptor is a take and a few column writes.
 */
import { Counters } from "../src/base/counters.js";
import { NEVER } from "../src/base/time.js";
import { DEVICE_COUNTERS, type Device } from "../src/nic/device.js";
import { BATCH_FRAMES, type Batch } from "../src/ring/batch.js";
import { HEADROOM_BYTES, NO_SLOT, type Pool } from "../src/ring/pool.js";

/** Writes what differs from frame to frame. `at` is the frame's first byte. */
export type Prepare = (bytes: Uint8Array, at: number) => void;

export class FeedDevice implements Device {
  readonly name = "feed";
  readonly kind = "feed";
  readonly mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  readonly mtuBytes = 1500;
  readonly capabilities: number;
  readonly counters = new Counters("feed", DEVICE_COUNTERS);
  readonly isUp = true;
  readonly wakeFd = -1;
  /** Frames that `receive` may still hand out. */
  pending = 0;
  /** Frames that were transmitted. */
  transmitted = 0;
  /** The last transmitted frame, copied when asked for. */
  keepLast = false;
  last = new Uint8Array();
  private readonly pool: Pool;
  private frameBytes = 0;
  private prepare: Prepare | null = null;

  constructor(pool: Pool, capabilities = 0) {
    this.pool = pool;
    this.capabilities = capabilities;
  }

  /** Puts the frame into every free small slot; they are what `receive` hands out. */
  load(frame: Uint8Array, prepare: Prepare | null = null): void {
    const { pool } = this;
    this.frameBytes = frame.length;
    this.prepare = prepare;
    const slots: number[] = [];
    for (let slot = pool.take(); slot !== NO_SLOT; slot = pool.take()) {
      pool.bytes.set(frame, pool.base(slot) + HEADROOM_BYTES);
      slots.push(slot);
    }
    for (const slot of slots.reverse()) pool.give(slot);
  }

  receive(_nowUs: number, batch: Batch): void {
    const { pool } = this;
    while (this.pending > 0 && batch.n < BATCH_FRAMES) {
      const slot = pool.take();
      if (slot === NO_SLOT) return;
      const at = pool.base(slot) + HEADROOM_BYTES;
      pool.at[slot] = at;
      pool.end[slot] = at + this.frameBytes;
      pool.flags[slot] = 0;
      if (this.prepare !== null) this.prepare(pool.bytes, at);
      batch.put(slot);
      this.pending--;
    }
  }

  transmit(_nowUs: number, batch: Batch): number {
    const { pool } = this;
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      if (this.keepLast) this.last = pool.bytes.slice(pool.at[slot]!, pool.end[slot]!);
      pool.give(slot);
    }
    this.transmitted += batch.n;
    return batch.n;
  }

  flush(): void {}

  nextDeadlineUs(): number {
    return NEVER;
  }

  close(): void {}
}
