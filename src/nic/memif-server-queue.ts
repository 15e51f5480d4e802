/**
 * A ring pair at the server's end, which maps the client's memory: frames are copied, once, from it
 * on receipt and into it on transmission. So what the stack works on is memory that the client cannot
 * change any more.
 *
 * Every descriptor is the client's word. Its words are read once, and a place is used only when it
 * lies in a region: a frame that does not is dropped and counted by its reason. An impossible index
 * ends the link.
 */
import type { Counters } from "../base/counters.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import { NO_SLOT, type Pool } from "../ring/pool.js";
import type { DeviceTally } from "./device-tally.js";
import { setLinkFlags } from "./frame-slots.js";
import { copyInArena } from "./memif-copy.js";
import {
  BIG_ROOM_BYTES,
  MAX_CHAIN,
  MIN_FRAME_BYTES,
  notify,
  type QueueContext,
  type QueuePair,
  SMALL_ROOM_BYTES,
} from "./memif-queue.js";
import type { RegionTable } from "./memif-regions.js";
import { type MemifRing, NEXT } from "./memif-ring.js";
import { Count, type MemifCounter } from "./memif-tally.js";

/** Received frames start here in their slot, and up to 3 bytes later: as aligned as they were. */
const RX_AT = 64;

/** The rings and events of one pair; the client made them. */
export interface ServerRings {
  readonly rx: MemifRing;
  readonly tx: MemifRing;
  readonly rxEventFd: number;
  readonly txEventFd: number;
}

export class ServerQueue implements QueuePair {
  readonly eventFd: number;
  isBroken = false;
  readonly lane = null;
  private readonly pool: Pool;
  private readonly bytes: Uint8Array;
  private readonly tally: DeviceTally;
  private readonly counters: Counters<MemifCounter>;
  private readonly regionAt: Int32Array;
  private readonly regionBytes: Int32Array;

  private readonly rx: MemifRing;
  private rxTail = 0;

  private readonly tx: MemifRing;
  private readonly txEventFd: number;
  private txTail = 0;
  /** The client's index when it was last read. */
  private txHead = 0;

  constructor(context: QueueContext, regions: RegionTable, rings: ServerRings) {
    this.pool = context.pool;
    this.bytes = context.pool.bytes;
    this.tally = context.tally;
    this.counters = context.counters;
    this.regionAt = regions.at;
    this.regionBytes = regions.bytes;
    this.rx = rings.rx;
    this.eventFd = rings.rxEventFd;
    this.tx = rings.tx;
    this.txEventFd = rings.txEventFd;
  }

  start(): void {
    this.rx.setMask(true);
  }

  get hasFrames(): boolean {
    return this.rx.loadHead() !== this.rxTail;
  }

  /** Hot path. */
  receive(nowUs: number, batch: Batch): void {
    const filled = (this.rx.loadHead() - this.rxTail) & 0xffff;
    if (filled === 0 || this.isBroken) return;
    if (filled > this.rx.size) {
      this.breakLink();
      return;
    }
    const { pool } = this;
    const firstNew = batch.n;
    let bytes = 0;
    for (let left = filled; left > 0 && batch.n < BATCH_FRAMES; ) {
      const used = this.takeFrame(left);
      if (used === 0) break;
      left = (left - used) | 0;
      const slot = this.takenOut;
      if (slot === NO_SLOT) continue;
      pool.rxTimeUs[slot] = nowUs;
      bytes += pool.end[slot]! - pool.at[slot]!;
      batch.put(slot);
    }
    this.rx.storeTail(this.rxTail);
    this.tally.receivedFrames(batch.n - firstNew, bytes);
  }

  /** The slot of the frame that `takeFrame` took, or NO_SLOT when it was dropped. */
  private takenOut = NO_SLOT;
  /** The words of the descriptor in work, each read once. */
  private word = 0;
  private lengthBytes = 0;

  /** Hot path. Reads descriptor `k` of a ring; where its buffer lies in the arena, or -1: counted. */
  private place(ring: MemifRing, k: number): number {
    const { words } = ring;
    const d = ring.descriptors + (k << 2);
    const word = words[d]!;
    const lengthBytes = words[d + 1]!;
    const offset = words[d + 2]!;
    this.word = word;
    this.lengthBytes = lengthBytes;
    const region = word >>> 16;
    const regionBytes = region < 256 ? this.regionBytes[region]! : 0;
    if (regionBytes === 0) {
      this.counters.add(Count.BAD_REGION, 1);
      return -1;
    }
    if (lengthBytes < 0 || offset < 0 || offset > regionBytes - lengthBytes) {
      this.counters.add(Count.BAD_RANGE, 1);
      return -1;
    }
    return (this.regionAt[region]! + offset) | 0;
  }

  /** Hot path. Takes the next frame; how many of `left` descriptors it used, 0 when there is no slot. */
  private takeFrame(left: number): number {
    const { pool } = this;
    const from = this.place(this.rx, this.rxTail & this.rx.mask);
    if ((this.word & NEXT) !== 0) return this.takeChain(left);
    this.takenOut = NO_SLOT;
    const { lengthBytes } = this;
    if (from < 0) return this.drop(1);
    if (lengthBytes < MIN_FRAME_BYTES || lengthBytes > BIG_ROOM_BYTES) {
      this.counters.add(Count.BAD_LENGTH, 1);
      return this.drop(1);
    }
    const slot = lengthBytes <= SMALL_ROOM_BYTES ? pool.take() : pool.takeBig();
    if (slot === NO_SLOT) {
      this.tally.rxNoSlot();
      return 0;
    }
    const at = pool.base(slot) + RX_AT + (from & 3);
    copyInArena(this.bytes, this.rx.words, at, from, lengthBytes);
    pool.at[slot] = at;
    pool.end[slot] = at + lengthBytes;
    return this.accept(slot, 1);
  }

  /** Hot path. Hands out a frame that is in its slot; returns `used`. */
  private accept(slot: number, used: number): number {
    const { pool } = this;
    pool.flags[slot] = 0;
    setLinkFlags(pool, slot);
    this.takenOut = slot;
    this.rxTail = (this.rxTail + used) & 0xffff;
    return used;
  }

  private drop(used: number): number {
    this.tally.rxError();
    this.rxTail = (this.rxTail + used) & 0xffff;
    return used;
  }

  /** A frame of several buffers. One whose end is not in the ring yet is as bad as one without. */
  private takeChain(left: number): number {
    const { pool } = this;
    this.takenOut = NO_SLOT;
    const slot = pool.takeBig();
    if (slot === NO_SLOT) {
      this.tally.rxNoSlot();
      return 0;
    }
    const start = pool.base(slot) + RX_AT;
    let to = start;
    let isGood = true;
    let isEnded = false;
    let used = 0;
    while (used < left && used < MAX_CHAIN && !isEnded) {
      const from = this.place(this.rx, (this.rxTail + used) & this.rx.mask);
      const lengthBytes = this.lengthBytes;
      if (from < 0 || to - start + lengthBytes > BIG_ROOM_BYTES) isGood = false;
      else {
        copyInArena(this.bytes, this.rx.words, to, from, lengthBytes);
        to += lengthBytes;
      }
      used++;
      isEnded = (this.word & NEXT) === 0;
    }
    pool.at[slot] = start;
    pool.end[slot] = to;
    if (isGood && isEnded && to - start >= MIN_FRAME_BYTES) return this.accept(slot, used);
    this.counters.add(Count.BAD_CHAIN, 1);
    pool.give(slot);
    return this.drop(used);
  }

  /** Hot path. */
  transmit(batch: Batch, from: number, to: number): number {
    if (this.isBroken) return 0;
    let room = (this.txHead - this.txTail) & 0xffff;
    if (room < to - from) {
      room = this.refreshedRoom();
      if (room < 0) return 0;
    }
    const { pool } = this;
    const firstTail = this.txTail;
    let sent = 0;
    let bytes = 0;
    let i = from;
    for (; i < to && room > 0; i++) {
      const slot = batch.slots[i]!;
      const lengthBytes = (pool.end[slot]! - pool.at[slot]!) | 0;
      const used = this.putFrame(slot, lengthBytes, room);
      if (used === 0) break;
      pool.give(slot);
      if (used < 0) {
        this.tally.txError();
        continue;
      }
      room = (room - used) | 0;
      sent = (sent + 1) | 0;
      bytes += lengthBytes;
    }
    if (this.txTail !== firstTail) {
      this.tx.storeTail(this.txTail);
      this.tally.sentFrames(sent, bytes);
      notify(this.tx, this.txEventFd, this.counters);
    }
    return i - from;
  }

  /** Hot path. Buffers that the client has posted; below 0 when its index cannot be. */
  private refreshedRoom(): number {
    const head = this.tx.loadHead();
    const room = (head - this.txTail) & 0xffff;
    if (room > this.tx.size) {
      this.breakLink();
      return -1;
    }
    this.txHead = head;
    return room;
  }

  /**
   * Hot path. Copies a frame into the next posted buffers; how many it used, 0 when there are too
   * few, below 0 when the frame cannot be sent and is lost.
   */
  private putFrame(slot: number, lengthBytes: number, room: number): number {
    const { pool, tx } = this;
    const k = this.txTail & tx.mask;
    const to = this.place(tx, k);
    if (to < 0) return this.skip(k);
    if (lengthBytes > this.lengthBytes) return this.putChain(slot, lengthBytes, room);
    copyInArena(this.bytes, tx.words, to, pool.at[slot]!, lengthBytes);
    this.finish(k, 0, lengthBytes);
    return 1;
  }

  /** Hot path. Fills in a descriptor; what says where its buffer is stays. */
  private finish(k: number, flags: number, lengthBytes: number): void {
    const { words } = this.tx;
    const d = this.tx.descriptors + (k << 2);
    words[d] = (this.word & ~0xffff) | flags;
    words[d + 1] = lengthBytes;
    words[d + 3] = 0;
    this.txTail = (this.txTail + 1) & 0xffff;
  }

  /** The posted buffer is no place to write to: it goes back empty, and the link is of no use. */
  private skip(k: number): number {
    this.finish(k, 0, 0);
    this.isBroken = true;
    return 0;
  }

  /** The plain protocol's way of a frame longer than a buffer: several of them. */
  private putChain(slot: number, lengthBytes: number, room: number): number {
    const { tx } = this;
    if (this.chainFor(lengthBytes, room) === 0) return room < tx.size ? 0 : -1;
    let from = this.pool.at[slot]!;
    let left = lengthBytes;
    let used = 0;
    while (left > 0) {
      const k = this.txTail & tx.mask;
      const to = this.place(tx, k);
      const part = Math.min(left, this.lengthBytes);
      // Changed since it was looked at: the client breaks its own frames.
      if (to < 0 || part <= 0) return this.skip(k);
      copyInArena(this.bytes, tx.words, to, from, part);
      from += part;
      left -= part;
      used++;
      this.finish(k, left > 0 ? NEXT : 0, part);
    }
    return used;
  }

  /** How many of the next buffers hold so many bytes; 0 when `room` of them do not. */
  private chainFor(lengthBytes: number, room: number): number {
    let left = lengthBytes;
    for (let n = 0; n < room && n < MAX_CHAIN; n++) {
      if (this.place(this.tx, (this.txTail + n) & this.tx.mask) < 0) return 0;
      left -= this.lengthBytes;
      if (left <= 0) return n + 1;
    }
    return 0;
  }

  setMask(isMasked: boolean): void {
    this.rx.setMask(isMasked);
  }

  private breakLink(): void {
    if (!this.isBroken) this.counters.add(Count.BAD_INDEX, 1);
    this.isBroken = true;
  }

  /** Holds no slot between calls. Frames that the client has put and nobody took are lost. */
  close(): number {
    const waiting = this.isBroken ? 0 : (this.rx.loadHead() - this.rxTail) & 0xffff;
    this.isBroken = true;
    return waiting > this.rx.size ? 0 : waiting;
  }
}
