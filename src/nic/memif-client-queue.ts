/**
 * A ring pair at the client's end, which owns the memory: descriptors point at pool slots and no
 * frame is copied.
 *
 * | slot                    | who may move it       | to                                         |
 * |-------------------------|-----------------------|--------------------------------------------|
 * | in `sent`               | `reclaim`, `close`    | the pool, once the server is done with it  |
 * | in `posted`             | `receive`             | the caller, with a frame                   |
 * | as above                | `close`               | the pool                                   |
 *
 * What a ring position holds is remembered here and never read back from the ring: the server can
 * write what it likes there and still gets only lengths to say. Lengths and indices are read once.
 */
import type { Counters } from "../base/counters.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import { NO_SLOT, type Pool } from "../ring/pool.js";
import type { DeviceTally } from "./device-tally.js";
import { setLinkFlags } from "./frame-slots.js";
import { copyInArena } from "./memif-copy.js";
import {
  BIG_ROOM_BYTES,
  FRAMES_WORD,
  MAX_CHAIN,
  MIN_FRAME_BYTES,
  notify,
  type QueueContext,
  type QueuePair,
  RX_FRAME_OFFSET,
  SMALL_ROOM_BYTES,
} from "./memif-queue.js";
import { type MemifRing, NEXT } from "./memif-ring.js";
import { Count, type MemifCounter } from "./memif-tally.js";

/** Sent slots are looked for once so many are out: the peer's index is a cache line of its own. */
const RECLAIM_FRAMES = 64;
/** Buffers are posted in groups of this size, for the same reason. */
const POST_FRAMES = 32;

/** The rings and events of one pair. */
export interface ClientRings {
  readonly tx: MemifRing;
  readonly rx: MemifRing;
  readonly txEventFd: number;
  readonly rxEventFd: number;
  /** Buffers to keep posted in `rx`; at most its size. */
  readonly postedSlots: number;
}

export class ClientQueue implements QueuePair {
  readonly eventFd: number;
  isBroken = false;
  readonly lane = null;
  private readonly pool: Pool;
  private readonly tally: DeviceTally;
  private readonly counters: Counters<MemifCounter>;
  private readonly framesAt: number;

  private readonly tx: MemifRing;
  private readonly txEventFd: number;
  private readonly sent: Int32Array;
  private txHead = 0;
  private txTail = 0;

  private readonly rx: MemifRing;
  private readonly posted: Int32Array;
  private readonly postedSlots: number;
  private rxHead = 0;
  private rxTail = 0;

  constructor(context: QueueContext, rings: ClientRings) {
    this.pool = context.pool;
    this.tally = context.tally;
    this.counters = context.counters;
    this.framesAt = context.pool.memory.framesAt;
    this.tx = rings.tx;
    this.txEventFd = rings.txEventFd;
    this.eventFd = rings.rxEventFd;
    this.rx = rings.rx;
    this.postedSlots = rings.postedSlots;
    this.sent = new Int32Array(rings.tx.size).fill(NO_SLOT);
    this.posted = new Int32Array(rings.rx.size).fill(NO_SLOT);
  }

  start(): void {
    this.rx.setMask(true);
    this.post();
  }

  /** Hot path. */
  transmit(batch: Batch, from: number, to: number): number {
    const { pool, tx, sent } = this;
    if (this.isBroken) return 0;
    let out = (this.txHead - this.txTail) & 0xffff;
    if (out >= RECLAIM_FRAMES || tx.size - out < to - from) {
      this.reclaim();
      out = (this.txHead - this.txTail) & 0xffff;
    }
    const n = Math.min(tx.size - out, to - from);
    const { words, mask, descriptors } = tx;
    let head = this.txHead;
    let bytes = 0;
    for (let i = 0; i < n; i++) {
      const slot = batch.slots[from + i]!;
      const at = pool.at[slot]!;
      const lengthBytes = (pool.end[slot]! - at) | 0;
      const k = head & mask;
      const d = descriptors + (k << 2);
      sent[k] = slot;
      words[d] = FRAMES_WORD;
      words[d + 1] = lengthBytes;
      words[d + 2] = at - this.framesAt;
      words[d + 3] = 0;
      head = (head + 1) & 0xffff;
      bytes += lengthBytes;
    }
    if (n === 0) return 0;
    this.txHead = head;
    tx.storeHead(head);
    this.tally.sentFrames(n, bytes);
    notify(tx, this.txEventFd, this.counters);
    return n;
  }

  /** Hot path. Gives back the slots of frames that the server is done with. */
  private reclaim(): void {
    const done = (this.tx.loadTail() - this.txTail) & 0xffff;
    if (done > ((this.txHead - this.txTail) & 0xffff)) {
      this.breakLink();
      return;
    }
    const { sent, pool } = this;
    const { mask } = this.tx;
    let tail = this.txTail;
    for (let i = 0; i < done; i++) {
      const k = tail & mask;
      pool.give(sent[k]!);
      sent[k] = NO_SLOT;
      tail = (tail + 1) & 0xffff;
    }
    this.txTail = tail;
  }

  get hasFrames(): boolean {
    return this.rx.loadTail() !== this.rxTail;
  }

  /** Hot path. */
  receive(nowUs: number, batch: Batch): void {
    const filled = (this.rx.loadTail() - this.rxTail) & 0xffff;
    if (filled === 0) {
      if (this.rxHead === this.rxTail) this.post();
      return;
    }
    if (this.isBroken) return;
    if (filled > ((this.rxHead - this.rxTail) & 0xffff)) {
      this.breakLink();
      return;
    }
    const firstNew = batch.n;
    let bytes = 0;
    for (let left = filled; left > 0 && batch.n < BATCH_FRAMES; ) {
      const used = this.takeFrame(left);
      left = (left - used) | 0;
      const slot = this.takenOut;
      if (slot === NO_SLOT) continue;
      this.pool.rxTimeUs[slot] = nowUs;
      bytes += this.pool.end[slot]! - this.pool.at[slot]!;
      batch.put(slot);
    }
    this.tally.receivedFrames(batch.n - firstNew, bytes);
    if (((this.rxHead - this.rxTail) & 0xffff) <= this.postedSlots - POST_FRAMES) this.post();
  }

  /** The slot of the frame that `takeFrame` took, or NO_SLOT when it was dropped. */
  private takenOut = NO_SLOT;

  /** Hot path. Takes the next frame; how many of the `left` filled descriptors it used. */
  private takeFrame(left: number): number {
    const { words, mask, descriptors } = this.rx;
    const k = this.rxTail & mask;
    const d = descriptors + (k << 2);
    const flags = words[d]! & 0xffff;
    const lengthBytes = words[d + 1]!;
    if ((flags & NEXT) !== 0) return this.takeChain(left);
    const slot = this.posted[k]!;
    this.posted[k] = NO_SLOT;
    this.rxTail = (this.rxTail + 1) & 0xffff;
    if (lengthBytes < MIN_FRAME_BYTES || lengthBytes > SMALL_ROOM_BYTES) {
      this.refuse(slot, Count.BAD_LENGTH);
      return 1;
    }
    this.accept(slot, lengthBytes);
    return 1;
  }

  /** Hot path. The frame lies in the slot where it was posted. */
  private accept(slot: number, lengthBytes: number): void {
    const { pool } = this;
    const at = pool.base(slot) + RX_FRAME_OFFSET;
    pool.at[slot] = at;
    pool.end[slot] = at + lengthBytes;
    pool.flags[slot] = 0;
    setLinkFlags(pool, slot);
    this.takenOut = slot;
  }

  private refuse(slot: number, reason: number): void {
    this.takenOut = NO_SLOT;
    this.counters.add(reason, 1);
    this.tally.rxError();
    this.pool.give(slot);
  }

  /** Puts a frame of several buffers together in a big slot; the plain protocol's way of long ones. */
  private takeChain(left: number): number {
    const { pool, posted } = this;
    const { words, mask, descriptors } = this.rx;
    const whole = pool.takeBig();
    let to = whole === NO_SLOT ? 0 : pool.base(whole) + RX_FRAME_OFFSET;
    const end = to + BIG_ROOM_BYTES;
    let isGood = true;
    let isEnded = false;
    let used = 0;
    for (; used < left && used < MAX_CHAIN && !isEnded; used++) {
      const k = this.rxTail & mask;
      const d = descriptors + (k << 2);
      const flags = words[d]! & 0xffff;
      const lengthBytes = words[d + 1]!;
      const slot = posted[k]!;
      posted[k] = NO_SLOT;
      this.rxTail = (this.rxTail + 1) & 0xffff;
      if (lengthBytes < 0 || lengthBytes > SMALL_ROOM_BYTES || to + lengthBytes > end)
        isGood = false;
      else if (whole !== NO_SLOT) {
        copyInArena(pool.bytes, words, to, pool.base(slot) + RX_FRAME_OFFSET, lengthBytes);
        to += lengthBytes;
      }
      pool.give(slot);
      isEnded = (flags & NEXT) === 0;
    }
    this.takenOut = NO_SLOT;
    if (whole === NO_SLOT) {
      this.tally.rxNoSlot();
      return used;
    }
    const lengthBytes = to - pool.base(whole) - RX_FRAME_OFFSET;
    if (!isGood || !isEnded || lengthBytes < MIN_FRAME_BYTES) this.refuse(whole, Count.BAD_CHAIN);
    else this.accept(whole, lengthBytes);
    return used;
  }

  /** Hot path. Posts empty slots until enough are. */
  private post(): void {
    const { pool, posted } = this;
    const { words, mask, descriptors } = this.rx;
    let head = this.rxHead;
    let missing = this.postedSlots - ((head - this.rxTail) & 0xffff);
    for (; missing > 0; missing--) {
      const slot = pool.take();
      if (slot === NO_SLOT) {
        if (head === this.rxTail) this.tally.rxNoSlot();
        break;
      }
      const k = head & mask;
      const d = descriptors + (k << 2);
      posted[k] = slot;
      words[d] = FRAMES_WORD;
      words[d + 1] = SMALL_ROOM_BYTES;
      words[d + 2] = pool.base(slot) + RX_FRAME_OFFSET - this.framesAt;
      words[d + 3] = 0;
      head = (head + 1) & 0xffff;
    }
    if (head === this.rxHead) return;
    this.rxHead = head;
    this.rx.storeHead(head);
  }

  setMask(isMasked: boolean): void {
    this.rx.setMask(isMasked);
  }

  private breakLink(): void {
    if (!this.isBroken) this.counters.add(Count.BAD_INDEX, 1);
    this.isBroken = true;
  }

  close(): number {
    if (!this.isBroken) this.reclaim();
    let lost = 0;
    for (const slot of this.sent) if (slot !== NO_SLOT) lost++;
    for (const column of [this.sent, this.posted]) {
      for (const slot of column) if (slot !== NO_SLOT) this.pool.give(slot);
      column.fill(NO_SLOT);
    }
    this.isBroken = true;
    return lost;
  }
}
