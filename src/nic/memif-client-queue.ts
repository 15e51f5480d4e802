/**
 * A ring pair at the client's end, which owns the memory: descriptors point at pool slots and no
 * frame is copied.
 *
 * | slot                    | who may move it       | to                                         |
 * |-------------------------|-----------------------|--------------------------------------------|
 * | in `sent`               | `reclaim`, `close`    | the pool, once the server is done with it  |
 * | in `posted`, `bigPosted`| `receive`             | the caller, with a frame; or posted again  |
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
import * as offload from "./memif-offload.js";
import {
  BIG_ROOM_BYTES,
  MAX_CHAIN,
  MIN_FRAME_BYTES,
  notify,
  type QueueContext,
  type QueuePair,
  RX_FRAME_OFFSET,
  SMALL_ROOM_BYTES,
} from "./memif-queue.js";
import { IN_BIG, type MemifRing, NEXT } from "./memif-ring.js";
import { Count, type MemifCounter } from "./memif-tally.js";

/** The region that the pool's slots are; the rings are in region 0. */
export const FRAMES_REGION = 1;
const FRAMES_WORD = FRAMES_REGION << 16;
/** Sent slots are looked for once so many are out: the peer's index is a cache line of its own. */
const RECLAIM_FRAMES = 64;
/** Buffers are posted in groups of this size, for the same reason. */
const POST_FRAMES = 32;

/** The rings and events of one pair. */
export interface ClientRings {
  readonly tx: MemifRing;
  readonly rx: MemifRing;
  /** The ring of big slots behind `rx`, or null. */
  readonly big: MemifRing | null;
  readonly txEventFd: number;
  readonly rxEventFd: number;
  /** Buffers to keep posted in `rx`; at most its size. */
  readonly postedSlots: number;
  readonly postedBigSlots: number;
}

export class ClientQueue implements QueuePair {
  readonly eventFd: number;
  isBroken = false;
  private readonly pool: Pool;
  private readonly tally: DeviceTally;
  private readonly counters: Counters<MemifCounter>;
  private readonly isExtended: boolean;
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

  private readonly big: MemifRing | null;
  private readonly bigPosted: Int32Array;
  private readonly postedBigSlots: number;
  private bigHead = 0;
  private bigTail = 0;

  constructor(context: QueueContext, rings: ClientRings) {
    this.pool = context.pool;
    this.tally = context.tally;
    this.counters = context.counters;
    this.isExtended = context.isExtended;
    this.framesAt = context.pool.memory.framesAt;
    this.tx = rings.tx;
    this.txEventFd = rings.txEventFd;
    this.eventFd = rings.rxEventFd;
    this.rx = rings.rx;
    this.big = rings.big;
    this.postedSlots = rings.postedSlots;
    this.postedBigSlots = rings.postedBigSlots;
    this.sent = new Int32Array(rings.tx.size).fill(NO_SLOT);
    this.posted = new Int32Array(rings.rx.size).fill(NO_SLOT);
    this.bigPosted = new Int32Array(rings.big === null ? 0 : rings.big.size).fill(NO_SLOT);
  }

  start(): void {
    this.rx.setMask(true);
    this.postBig();
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
    let refused = 0;
    for (let i = 0; i < n; i++) {
      const slot = batch.slots[from + i]!;
      const metadata = this.isExtended ? offload.write(pool, slot) : 0;
      if (metadata === offload.UNSAYABLE) {
        pool.give(slot);
        refused++;
        continue;
      }
      const at = pool.at[slot]!;
      const lengthBytes = (pool.end[slot]! - at) | 0;
      const k = head & mask;
      const d = descriptors + (k << 2);
      sent[k] = slot;
      words[d] = FRAMES_WORD;
      words[d + 1] = lengthBytes;
      words[d + 2] = at - this.framesAt;
      words[d + 3] = metadata;
      head = (head + 1) & 0xffff;
      bytes += lengthBytes;
    }
    if (refused > 0) for (let i = 0; i < refused; i++) this.tally.txError();
    if (head === this.txHead) return n;
    this.txHead = head;
    tx.storeHead(head);
    this.tally.sentFrames(n - refused, bytes);
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
    const metadata = words[d + 3]!;
    if (flags !== 0) {
      if ((flags & NEXT) !== 0) return this.takeChain(left);
      if ((flags & IN_BIG) !== 0 && this.big !== null) return this.takeBig(k);
    }
    const slot = this.posted[k]!;
    this.posted[k] = NO_SLOT;
    this.rxTail = (this.rxTail + 1) & 0xffff;
    if (lengthBytes < MIN_FRAME_BYTES || lengthBytes > SMALL_ROOM_BYTES) {
      this.refuse(slot, Count.BAD_LENGTH);
      return 1;
    }
    this.accept(slot, lengthBytes, metadata);
    return 1;
  }

  /** Hot path. The frame lies in the slot where it was posted. */
  private accept(slot: number, lengthBytes: number, metadata: number): void {
    const { pool } = this;
    const at = pool.base(slot) + RX_FRAME_OFFSET;
    pool.at[slot] = at;
    pool.end[slot] = at + lengthBytes;
    if (!this.isExtended) pool.flags[slot] = 0;
    else if (!offload.read(pool, slot, metadata)) {
      this.refuse(slot, Count.BAD_OFFLOAD);
      return;
    }
    setLinkFlags(pool, slot);
    this.takenOut = slot;
  }

  private refuse(slot: number, reason: number): void {
    this.takenOut = NO_SLOT;
    this.counters.add(reason, 1);
    this.tally.rxError();
    this.pool.give(slot);
  }

  /** The frame is in the next big slot; the small one at `k` is posted again. */
  private takeBig(k: number): number {
    const big = this.big!;
    const small = this.posted[k]!;
    const { words, descriptors } = this.rx;
    const lengthBytes = words[descriptors + (k << 2) + 1]!;
    const metadata = words[descriptors + (k << 2) + 3]!;
    this.posted[k] = NO_SLOT;
    this.rxTail = (this.rxTail + 1) & 0xffff;
    this.pool.give(small);
    if (this.bigHead === this.bigTail) {
      this.takenOut = NO_SLOT;
      this.breakLink();
      return 1;
    }
    const b = this.bigTail & big.mask;
    const slot = this.bigPosted[b]!;
    this.bigPosted[b] = NO_SLOT;
    this.bigTail = (this.bigTail + 1) & 0xffff;
    if (lengthBytes < MIN_FRAME_BYTES || lengthBytes > BIG_ROOM_BYTES) {
      this.refuse(slot, Count.BAD_LENGTH);
    } else {
      this.accept(slot, lengthBytes, metadata);
    }
    if (((this.bigHead - this.bigTail) & 0xffff) <= this.postedBigSlots >> 1) this.postBig();
    return 1;
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
    else this.accept(whole, lengthBytes, 0);
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

  private postBig(): void {
    const big = this.big;
    if (big === null) return;
    const { pool } = this;
    let head = this.bigHead;
    let missing = this.postedBigSlots - ((head - this.bigTail) & 0xffff);
    for (; missing > 0; missing--) {
      const slot = pool.takeBig();
      if (slot === NO_SLOT) break;
      const k = head & big.mask;
      const d = big.descriptors + (k << 2);
      this.bigPosted[k] = slot;
      big.words[d] = FRAMES_WORD;
      big.words[d + 1] = BIG_ROOM_BYTES;
      big.words[d + 2] = pool.base(slot) + RX_FRAME_OFFSET - this.framesAt;
      big.words[d + 3] = 0;
      head = (head + 1) & 0xffff;
    }
    if (head === this.bigHead) return;
    this.bigHead = head;
    big.storeHead(head);
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
    for (const column of [this.sent, this.posted, this.bigPosted]) {
      for (const slot of column) if (slot !== NO_SLOT) this.pool.give(slot);
      column.fill(NO_SLOT);
    }
    this.isBroken = true;
    return lost;
  }
}
