/**
 * A device for measuring the stack and nothing else: it hands out frames that already lie in every
 * slot of the pool, so that no time goes into making them, and swallows what is sent.
 *
 * It stands for a NIC whose memory is the pool: reading a frame costs what reading fresh memory
 * costs, the descriptor is a take and a few column writes.
 */
import { u8 } from "../src/base/bytes.js";
import { Counters } from "../src/base/counters.js";
import { NEVER } from "../src/base/time.js";
import { DEVICE_COUNTERS, type Device } from "../src/nic/device.js";
import { BATCH_FRAMES, type Batch } from "../src/ring/batch.js";
import { HEADROOM_BYTES, NO_SLOT, type Pool } from "../src/ring/pool.js";
import { L4_AT } from "./frames.js";

/** Where frames lie in their slots: behind what a header or a small datagram of the stack writes. */
const FRAME_OFFSET = 2 * HEADROOM_BYTES;
const QUEUE_FRAMES = 4_096;
/** Room for a staged frame. */
const STAGED_BYTES = 128;

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
  /** Of the queued frames, how many one `receive` hands out. */
  queuedPerTurn = 1;
  /** Frames that were transmitted. */
  transmitted = 0;
  /** The last transmitted segment with one of these TCP flags is copied; 0: none. */
  keepFlags = 0;
  last = new Uint8Array();
  private readonly pool: Pool;
  private readonly rxFlags: number;
  private frameBytes = 0;
  private prepare: Prepare | null = null;
  /** Slots of the pool that nobody held when the device was made. */
  readonly slotsAtStart: number;
  private readonly queued = new Int32Array(QUEUE_FRAMES);
  private queuedFrom = 0;
  private queuedTo = 0;
  /** Where staged frames lie, and how long they are. */
  private readonly stagedAt = new Int32Array(QUEUE_FRAMES);
  private readonly stagedBytes = new Int32Array(QUEUE_FRAMES);
  private stagedRoom = 0;
  private stagedFrom = 0;
  private stagedTo = 0;
  /** Big slots that hold the staged frames, never given back. */
  stagingSlots = 0;

  constructor(pool: Pool, capabilities = 0, rxFlags = 0) {
    this.pool = pool;
    this.rxFlags = rxFlags;
    this.slotsAtStart = pool.freeSmall + pool.freeBig;
    this.capabilities = capabilities;
  }

  /** Puts the frame into every free small slot; they are what `receive` hands out. */
  load(frame: Uint8Array, prepare: Prepare | null = null): void {
    const { pool } = this;
    this.frameBytes = frame.length;
    this.prepare = prepare;
    const slots: number[] = [];
    for (let slot = pool.take(); slot !== NO_SLOT; slot = pool.take()) {
      pool.bytes.set(frame, pool.base(slot) + FRAME_OFFSET);
      slots.push(slot);
    }
    for (const slot of slots.reverse()) pool.give(slot);
  }

  /** Puts a frame into a slot now; `receive` hands it out when its turn comes. */
  queueFrame(frame: Uint8Array): void {
    const { pool } = this;
    const slot = pool.take();
    if (slot === NO_SLOT) throw new Error("feed: the pool is empty");
    const at = pool.base(slot) + FRAME_OFFSET;
    pool.bytes.set(frame, at);
    pool.at[slot] = at;
    pool.end[slot] = at + frame.length;
    pool.flags[slot] = 0;
    this.queued[this.queuedTo++] = slot;
  }

  /**
   * Keeps a short frame, back to back with the others, until its turn comes: `receive` then writes it
   * into a slot, one that was given back last, as a NIC does whose frames arrive in the cache.
   */
  stageFrame(frame: Uint8Array): void {
    if (frame.length > STAGED_BYTES) throw new Error(`feed: ${frame.length} bytes to stage`);
    const k = this.stagedTo++;
    if (k === this.stagedRoom) this.addStaging();
    this.pool.bytes.set(frame, this.stagedAt[k]!);
    this.stagedBytes[k] = frame.length;
  }

  private addStaging(): void {
    const { pool } = this;
    const slot = pool.takeBig();
    if (slot === NO_SLOT) throw new Error("feed: no big slot to stage frames in");
    this.stagingSlots++;
    const end = pool.limit(slot) - STAGED_BYTES;
    for (let at = pool.base(slot); at <= end; at += STAGED_BYTES) {
      this.stagedAt[this.stagedRoom++] = at;
    }
  }

  private receiveStaged(batch: Batch): void {
    const { pool } = this;
    const to = Math.min(this.stagedTo, this.stagedFrom + this.queuedPerTurn);
    for (; this.stagedFrom < to; this.stagedFrom++) {
      const slot = pool.take();
      if (slot === NO_SLOT) return;
      const from = this.stagedAt[this.stagedFrom]!;
      const n = this.stagedBytes[this.stagedFrom]!;
      const at = pool.base(slot) + FRAME_OFFSET;
      pool.bytes.copyWithin(at, from, from + n);
      pool.at[slot] = at;
      pool.end[slot] = at + n;
      pool.flags[slot] = 0;
      batch.put(slot);
    }
    if (this.stagedFrom === this.stagedTo) {
      this.stagedFrom = 0;
      this.stagedTo = 0;
    }
  }

  receive(_nowUs: number, batch: Batch): void {
    const { pool, queued } = this;
    const to = Math.min(this.queuedTo, this.queuedFrom + this.queuedPerTurn);
    while (this.queuedFrom < to) batch.put(queued[this.queuedFrom++]!);
    if (this.queuedFrom === this.queuedTo) {
      this.queuedFrom = 0;
      this.queuedTo = 0;
    }
    if (this.stagedTo > 0) this.receiveStaged(batch);
    while (this.pending > 0 && batch.n < BATCH_FRAMES) {
      const slot = pool.take();
      if (slot === NO_SLOT) return;
      const at = pool.base(slot) + FRAME_OFFSET;
      pool.at[slot] = at;
      pool.end[slot] = at + this.frameBytes;
      pool.flags[slot] = this.rxFlags;
      if (this.prepare !== null) this.prepare(pool.bytes, at);
      batch.put(slot);
      this.pending--;
    }
  }

  transmit(_nowUs: number, batch: Batch): number {
    const { pool } = this;
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      if (this.keepFlags !== 0) this.keep(slot);
      pool.give(slot);
    }
    this.transmitted += batch.n;
    return batch.n;
  }

  private keep(slot: number): void {
    const { pool } = this;
    const at = pool.at[slot]!;
    if ((u8(pool.bytes, at + L4_AT + 13) & this.keepFlags) === 0) return;
    this.last = pool.bytes.slice(at, pool.end[slot]!);
  }

  flush(): void {}

  nextDeadlineUs(): number {
    return NEVER;
  }

  close(): void {}
}
