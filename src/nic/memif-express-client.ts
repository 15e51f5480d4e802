/**
 * A pair of express rings at the client's end: long frames are sent from the slots where they lie, and
 * received in slots that were posted for them.
 *
 * | slot                 | who may move it    | to                                         |
 * |----------------------|--------------------|--------------------------------------------|
 * | in `out`             | `onDone`, `close`  | the pool, once the server is done with it  |
 * | posted, either size  | `takeSlot`         | the caller, with a frame                   |
 * | as above             | `close`            | the pool                                   |
 */
import { NO_SLOT, type Pool } from "../ring/pool.js";
import { ExpressQueue } from "./memif-express.js";
import { type ExpressRing, Kind } from "./memif-express-ring.js";
import {
  BIG_ROOM_BYTES,
  FRAMES_WORD,
  MIN_FRAME_BYTES,
  type QueueContext,
  RX_FRAME_OFFSET,
  SMALL_ROOM_BYTES,
} from "./memif-queue.js";
import type { MemifRing } from "./memif-ring.js";
import { Count } from "./memif-tally.js";

export interface ExpressClientRings {
  readonly tx: ExpressRing;
  readonly rx: ExpressRing;
  /** Where small slots are posted, and big ones. */
  readonly small: MemifRing;
  readonly big: MemifRing;
  readonly txEventFd: number;
  readonly rxEventFd: number;
  readonly postedSlots: number;
  readonly postedBigSlots: number;
}

export class ExpressClientQueue extends ExpressQueue {
  readonly eventFd: number;
  private readonly framesAt: number;
  /** Slots of sent frames, by place in the ring. */
  private readonly out: Int32Array;
  private readonly small: Posted;
  private readonly big: Posted;

  constructor(context: QueueContext, rings: ExpressClientRings) {
    super(context, rings.rx, rings.tx, rings.txEventFd);
    this.eventFd = rings.rxEventFd;
    this.framesAt = context.pool.memory.framesAt;
    this.out = new Int32Array(rings.tx.size).fill(NO_SLOT);
    this.small = new Posted(context.pool, rings.small, rings.postedSlots, false);
    this.big = new Posted(context.pool, rings.big, rings.postedBigSlots, true);
  }

  start(): void {
    this.setMask(true);
    this.replenish();
  }

  protected replenish(): void {
    this.small.post();
    this.big.post();
    this.isShort = this.small.isShort || this.big.isShort;
    if (this.isShort) this.tally.rxNoSlot();
  }

  /** Hot path. */
  protected takeSlot(_entry: number, kind: number, lengthBytes: number): number {
    const { pool } = this;
    const isSmall = kind === Kind.SMALL;
    if (!isSmall && kind !== Kind.BIG) return this.refuse(NO_SLOT, Count.BAD_REGION);
    const slot = isSmall ? this.small.take() : this.big.take();
    if (slot === NO_SLOT) {
      // More frames than buffers: the server cannot have put this one anywhere.
      this.breakLink();
      return NO_SLOT;
    }
    this.isShort = this.small.isShort || this.big.isShort;
    const roomBytes = isSmall ? SMALL_ROOM_BYTES : BIG_ROOM_BYTES;
    if (lengthBytes < MIN_FRAME_BYTES || lengthBytes > roomBytes) {
      return this.refuse(slot, Count.BAD_LENGTH);
    }
    const at = pool.base(slot) + RX_FRAME_OFFSET;
    pool.at[slot] = at;
    pool.end[slot] = at + lengthBytes;
    return slot;
  }

  /** Hot path. */
  protected putSlot(entry: number, slot: number, _lengthBytes: number): number {
    this.tx.words[entry + 3] = this.pool.at[slot]! - this.framesAt;
    this.out[this.sent & this.tx.mask] = slot;
    return Kind.REGION;
  }

  protected land(): void {}

  /** Hot path. Gives back the slots that the server has copied from. */
  protected onDone(done: number): void {
    const { out, pool } = this;
    const { mask } = this.tx;
    for (let n = this.done; n !== done; n = (n + 1) | 0) {
      const slot = out[n & mask]!;
      if (slot === NO_SLOT) continue;
      out[n & mask] = NO_SLOT;
      pool.give(slot);
    }
  }

  close(): number {
    this.lastShow();
    const lost = this.lastLook();
    this.isBroken = true;
    for (const slot of this.out) if (slot !== NO_SLOT) this.pool.give(slot);
    this.out.fill(NO_SLOT);
    this.small.close();
    this.big.close();
    return lost;
  }
}

/** Empty slots of one size that are posted in a ring, in order. */
class Posted {
  private readonly pool: Pool;
  private readonly ring: MemifRing;
  private readonly wanted: number;
  private readonly isBig: boolean;
  private readonly slots: Int32Array;
  private head = 0;
  private tail = 0;

  constructor(pool: Pool, ring: MemifRing, wanted: number, isBig: boolean) {
    this.pool = pool;
    this.ring = ring;
    this.wanted = wanted;
    this.isBig = isBig;
    this.slots = new Int32Array(ring.size).fill(NO_SLOT);
  }

  /** Hot path. The oldest posted slot, or NO_SLOT. More are posted when half of them are used. */
  take(): number {
    if (this.head === this.tail) return NO_SLOT;
    const k = this.tail & this.ring.mask;
    const slot = this.slots[k]!;
    this.slots[k] = NO_SLOT;
    this.tail = (this.tail + 1) & 0xffff;
    if (this.isShort) this.post();
    return slot;
  }

  /** Half of the slots are used: more are to be posted, as soon as the pool has some. */
  get isShort(): boolean {
    return ((this.head - this.tail) & 0xffff) <= this.wanted >> 1;
  }

  post(): void {
    const { pool, ring } = this;
    const { words } = ring;
    const roomBytes = this.isBig ? BIG_ROOM_BYTES : SMALL_ROOM_BYTES;
    let head = this.head;
    for (let n = (head - this.tail) & 0xffff; n < this.wanted; n++) {
      const slot = this.isBig ? pool.takeBig() : pool.take();
      if (slot === NO_SLOT) break;
      const k = head & ring.mask;
      const d = ring.descriptors + (k << 2);
      this.slots[k] = slot;
      words[d] = FRAMES_WORD;
      words[d + 1] = roomBytes;
      words[d + 2] = pool.base(slot) + RX_FRAME_OFFSET - pool.memory.framesAt;
      words[d + 3] = 0;
      head = (head + 1) & 0xffff;
    }
    if (head === this.head) return;
    this.head = head;
    ring.storeHead(head);
  }

  close(): void {
    for (const slot of this.slots) if (slot !== NO_SLOT) this.pool.give(slot);
    this.slots.fill(NO_SLOT);
    this.head = this.tail;
  }
}
