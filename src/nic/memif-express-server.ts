/**
 * A pair of express rings at the server's end: long frames are copied out of the client's slots, and
 * into those that it has posted. Every place that the client names is checked.
 */
import { NO_SLOT } from "../ring/pool.js";
import { copyFar } from "./far-copy.js";
import { copyInArena } from "./memif-copy.js";
import { ExpressQueue, WAIT } from "./memif-express.js";
import { type ExpressRing, Kind } from "./memif-express-ring.js";
import {
  BIG_ROOM_BYTES,
  FRAMES_REGION,
  MIN_FRAME_BYTES,
  type QueueContext,
  SMALL_ROOM_BYTES,
} from "./memif-queue.js";
import type { RegionTable } from "./memif-regions.js";
import type { MemifRing } from "./memif-ring.js";
import { Count } from "./memif-tally.js";

/** Received frames start here in their slot, and up to 3 bytes later: as aligned as they were. */
const RX_AT = 64;

export interface ExpressServerRings {
  readonly rx: ExpressRing;
  readonly tx: ExpressRing;
  /** Where the client posts small slots, and big ones. */
  readonly small: MemifRing;
  readonly big: MemifRing;
  readonly rxEventFd: number;
  readonly txEventFd: number;
}

export class ExpressServerQueue extends ExpressQueue {
  readonly eventFd: number;
  private readonly regionAt: Int32Array;
  private readonly regionBytes: Int32Array;
  private readonly small: Supply;
  private readonly big: Supply;

  constructor(context: QueueContext, regions: RegionTable, rings: ExpressServerRings) {
    super(context, rings.rx, rings.tx, rings.txEventFd);
    this.eventFd = rings.rxEventFd;
    this.regionAt = regions.at;
    this.regionBytes = regions.bytes;
    this.small = new Supply(rings.small);
    this.big = new Supply(rings.big);
  }

  start(): void {
    this.setMask(true);
  }

  protected replenish(): void {}

  protected onDone(): void {}

  /** Where a range of a region lies in the arena, or -1, counted, when it is none. */
  private rangeAt(region: number, offset: number, lengthBytes: number): number {
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

  /** Hot path. */
  protected takeSlot(entry: number, kind: number, lengthBytes: number): number {
    const { pool, rx } = this;
    if (kind !== Kind.REGION) return this.refuse(NO_SLOT, Count.BAD_REGION);
    if (lengthBytes < MIN_FRAME_BYTES || lengthBytes > BIG_ROOM_BYTES) {
      return this.refuse(NO_SLOT, Count.BAD_LENGTH);
    }
    const from = this.rangeAt(FRAMES_REGION, rx.words[entry + 3]!, lengthBytes);
    if (from < 0) {
      this.tally.rxError();
      return NO_SLOT;
    }
    const slot = lengthBytes <= SMALL_ROOM_BYTES ? pool.take() : pool.takeBig();
    if (slot === NO_SLOT) return this.wait();
    const at = (pool.base(slot) + RX_AT + (from & 3)) | 0;
    copyInArena(pool.bytes, rx.words, at, from, lengthBytes);
    pool.at[slot] = at;
    pool.end[slot] = at + lengthBytes;
    return slot;
  }

  /** Hot path. */
  protected putSlot(_entry: number, slot: number, lengthBytes: number): number {
    const { pool } = this;
    if (lengthBytes > BIG_ROOM_BYTES) return -1;
    const isSmall = lengthBytes <= SMALL_ROOM_BYTES;
    const supply = isSmall ? this.small : this.big;
    const k = supply.next();
    if (k < 0) {
      if (supply.isBroken) this.breakLink();
      return WAIT;
    }
    const { words } = supply.ring;
    const d = supply.ring.descriptors + (k << 2);
    const region = words[d]! >>> 16;
    const roomBytes = words[d + 1]!;
    const to = this.rangeAt(region, words[d + 2]!, roomBytes);
    if (to < 0 || roomBytes < lengthBytes) {
      this.isBroken = true; // counted; a client of ours never posts such a buffer
      return WAIT;
    }
    supply.take();
    if (isSmall) copyInArena(pool.bytes, words, to, pool.at[slot]!, lengthBytes);
    else copyFar(pool.bytes, to, pool.bytes, pool.at[slot]!, lengthBytes);
    pool.give(slot);
    return isSmall ? Kind.SMALL : Kind.BIG;
  }

  /** Holds no slot between calls. */
  close(): number {
    this.lastShow();
    let lost = 0;
    for (let n = 0; n < this.rx.size && this.isThere(n); n++) lost++;
    this.isBroken = true;
    return lost;
  }
}

/** Buffers of one size that the client has posted. */
class Supply {
  readonly ring: MemifRing;
  isBroken = false;
  private head = 0;
  private tail = 0;

  constructor(ring: MemifRing) {
    this.ring = ring;
  }

  /** Hot path. Place of the oldest posted buffer, or -1. */
  next(): number {
    if (this.head === this.tail) {
      const head = this.ring.loadHead();
      this.isBroken = ((head - this.tail) & 0xffff) > this.ring.size;
      if (this.isBroken || head === this.tail) return -1;
      this.head = head;
    }
    return this.tail & this.ring.mask;
  }

  /** Hot path. It is used. */
  take(): void {
    this.tail = (this.tail + 1) & 0xffff;
  }
}
