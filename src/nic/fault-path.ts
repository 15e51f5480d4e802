/**
 * One direction of a fault injector: takes frames, and releases what is left of them when their time
 * has come.
 *
 * In this order: loss, corruption, duplication; then the line of limited rate with its drop-tail
 * queue; then delay, jitter and reordering. Waiting frames are timers of a wheel whose ids are slot
 * numbers, so frames with one release time keep their order, and so does jitter. Only
 * `reorder` lets a frame be overtaken.
 */
import { Counters } from "../base/counters.js";
import type { Random } from "../base/random.js";
import { US_PER_S } from "../base/time.js";
import { ArenaChecksum } from "../ring/arena-checksum.js";
import { FrameFlags, GSO_MASK, NO_SLOT, type Pool } from "../ring/pool.js";
import { TimingWheel } from "../ring/timing-wheel.js";
import * as ethernet from "../wire/ethernet.js";
import { completeChecksum, copyFrame } from "./frame-slots.js";
import { Segmenter } from "./segmenter.js";

/** Probabilities are 0 to 1 per wire packet; what is not given does not happen. */
export interface FaultOptions {
  readonly loss?: number;
  /** Loss in bursts (Gilbert-Elliott), beside `loss`. */
  readonly burst?: BurstLoss;
  readonly duplicate?: number;
  /** One random bit behind the Ethernet header is flipped. */
  readonly corrupt?: number;
  /** The frame is overtaken by the `reorderGap` next ones. */
  readonly reorder?: number;
  /** Default 3. */
  readonly reorderGap?: number;
  /** A frame waits this long at most for those that should overtake it. Default 10,000. */
  readonly reorderWaitUs?: number;
  readonly delayUs?: number;
  /** Up to this much is added to the delay, evenly distributed; order is kept. */
  readonly jitterUs?: number;
  readonly bitsPerS?: number;
  /** Frames that may wait in this direction. Default 10,000. */
  readonly queueFrames?: number;
}

/** Two states with a loss each; the probabilities of going over are per packet. */
export interface BurstLoss {
  readonly toBad: number;
  readonly toGood: number;
  /** Default 1. */
  readonly lossInBad?: number;
}

export const FAULT_COUNTERS = {
  passed: "Frames released, duplicates included.",
  lost: "Frames lost at random.",
  burstLost: "Frames lost in a burst.",
  corrupted: "Frames with a bit flipped.",
  duplicated: "Frames of which a second copy was made.",
  reordered: "Frames held back so that others overtake them.",
  queueDropped: "Frames that found the queue full.",
  noSlot: "Frames lost, or copies not made, because the pool was empty.",
  refused: "Large frames whose segmentation request made no sense; they are lost.",
} as const;
export type FaultCounter = keyof typeof FAULT_COUNTERS;

const NAMES = Object.keys(FAULT_COUNTERS) as FaultCounter[];
const at = (name: FaultCounter): number => NAMES.indexOf(name);
const PASSED = at("passed");
const LOST = at("lost");
const BURST_LOST = at("burstLost");
const CORRUPTED = at("corrupted");
const DUPLICATED = at("duplicated");
const REORDERED = at("reordered");
const QUEUE_DROPPED = at("queueDropped");
const NO_SLOT_LEFT = at("noSlot");
const REFUSED = at("refused");

export class FaultPath {
  readonly counters: Counters<FaultCounter>;
  private readonly pool: Pool;
  private readonly random: Random;
  private readonly checksum: ArenaChecksum;
  private readonly segmenter: Segmenter;
  private readonly wheel: TimingWheel;
  private readonly released = new Int32Array(1);
  // Settings, with their defaults.
  private readonly loss: number;
  private readonly toBad: number;
  private readonly toGood: number;
  private readonly lossInBad: number;
  private readonly duplicate: number;
  private readonly corrupt: number;
  private readonly reorder: number;
  private readonly reorderGap: number;
  private readonly reorderWaitUs: number;
  private readonly delayUs: number;
  private readonly jitterUs: number;
  private readonly usPerByte: number;
  private readonly queueFrames: number;
  // State.
  private isBad = false;
  private lineFreeAtUs = 0;
  private lastReleaseUs = 0;
  private heldBack = NO_SLOT;
  private overtakesLeft = 0;

  /** `completes`: pieces of large frames get whole checksums. */
  constructor(name: string, pool: Pool, random: Random, completes: boolean, o: FaultOptions) {
    this.counters = new Counters<FaultCounter>(name, FAULT_COUNTERS);
    this.pool = pool;
    this.random = random;
    this.checksum = new ArenaChecksum(pool.memory.arena);
    this.segmenter = new Segmenter(pool, completes);
    this.wheel = new TimingWheel(pool.memory.slots);
    this.loss = o.loss ?? 0;
    this.toBad = o.burst?.toBad ?? 0;
    this.toGood = o.burst?.toGood ?? 1;
    this.lossInBad = o.burst?.lossInBad ?? 1;
    this.duplicate = o.duplicate ?? 0;
    this.corrupt = o.corrupt ?? 0;
    this.reorder = o.reorder ?? 0;
    this.reorderGap = o.reorderGap ?? 3;
    this.reorderWaitUs = o.reorderWaitUs ?? 10_000;
    this.delayUs = o.delayUs ?? 0;
    this.jitterUs = o.jitterUs ?? 0;
    this.usPerByte = o.bitsPerS === undefined ? 0 : (8 * US_PER_S) / o.bitsPerS;
    this.queueFrames = o.queueFrames ?? 10_000;
  }

  /** Frames that wait. */
  get waiting(): number {
    return this.wheel.armed;
  }

  /** Hot path. Takes a frame, of whatever size; faults are per wire packet. */
  offer(nowUs: number, slot: number): void {
    if ((this.pool.flags[slot]! & GSO_MASK) === 0) {
      this.offerPacket(nowUs, slot);
      return;
    }
    if (!this.segmenter.begin(slot)) {
      this.lose(slot, REFUSED);
      return;
    }
    while (this.segmenter.more) {
      const piece = this.segmenter.next();
      if (piece === NO_SLOT) {
        this.counters.add(NO_SLOT_LEFT, 1);
        break;
      }
      this.offerPacket(nowUs, piece);
    }
    this.pool.give(slot);
  }

  /** Hot path. The next frame whose time has come, now the caller's; or NO_SLOT. */
  next(nowUs: number): number {
    if (this.wheel.advance(nowUs, this.released) === 0) return NO_SLOT;
    const slot = this.released[0]!;
    if (slot === this.heldBack) this.heldBack = NO_SLOT;
    this.counters.add(PASSED, 1);
    return slot;
  }

  /** When `next` may have something; never late. */
  nextDeadlineUs(): number {
    return this.wheel.nextDeadlineUs();
  }

  /** Gives up every frame that waits. */
  close(): void {
    for (let slot = 0; slot < this.pool.memory.slots; slot++) {
      if (!this.wheel.isArmed(slot)) continue;
      this.wheel.cancel(slot);
      this.pool.give(slot);
    }
    this.heldBack = NO_SLOT;
  }

  private offerPacket(nowUs: number, slot: number): void {
    if (this.isLostInBurst()) {
      this.lose(slot, BURST_LOST);
    } else if (this.random.chance(this.loss)) {
      this.lose(slot, LOST);
    } else {
      if (this.random.chance(this.corrupt)) this.flipBit(slot);
      const copy = this.random.chance(this.duplicate) ? this.copy(slot) : NO_SLOT;
      this.enqueue(nowUs, slot);
      if (copy !== NO_SLOT) this.enqueue(nowUs, copy);
    }
  }

  private isLostInBurst(): boolean {
    if (this.toBad === 0) return false;
    this.isBad = this.isBad ? !this.random.chance(this.toGood) : this.random.chance(this.toBad);
    return this.isBad && this.random.chance(this.lossInBad);
  }

  private copy(slot: number): number {
    const copy = copyFrame(this.pool, slot, this.pool);
    this.counters.add(copy === NO_SLOT ? NO_SLOT_LEFT : DUPLICATED, 1);
    return copy;
  }

  /** Flips a bit. The checksum is made first and no promise is kept, so that it can be noticed. */
  private flipBit(slot: number): void {
    const pool = this.pool;
    const from = pool.at[slot]! + ethernet.HEADER_BYTES;
    const n = pool.end[slot]! - from;
    if (n <= 0) return;
    if ((pool.flags[slot]! & FrameFlags.CHECKSUM_PARTIAL) !== 0) {
      completeChecksum(pool, this.checksum, slot);
    }
    pool.flags[slot] = pool.flags[slot]! & ~FrameFlags.CHECKSUM_VALID;
    const bit = this.random.below(n * 8);
    pool.bytes[from + (bit >>> 3)]! ^= 1 << (bit & 7);
    this.counters.add(CORRUPTED, 1);
  }

  private enqueue(nowUs: number, slot: number): void {
    if (this.wheel.armed >= this.queueFrames) {
      this.lose(slot, QUEUE_DROPPED);
      return;
    }
    const lengthBytes = this.pool.end[slot]! - this.pool.at[slot]!;
    this.lineFreeAtUs = Math.max(this.lineFreeAtUs, nowUs) + lengthBytes * this.usPerByte;
    const jitterUs = this.jitterUs === 0 ? 0 : this.random.below(this.jitterUs + 1);
    const releaseUs = Math.max(this.lastReleaseUs, this.lineFreeAtUs + this.delayUs + jitterUs);
    if (this.heldBack === NO_SLOT && this.random.chance(this.reorder)) {
      this.heldBack = slot;
      this.overtakesLeft = this.reorderGap;
      this.wheel.arm(slot, releaseUs + this.reorderWaitUs);
      this.counters.add(REORDERED, 1);
      return;
    }
    this.lastReleaseUs = releaseUs;
    this.wheel.arm(slot, releaseUs);
    if (this.heldBack === NO_SLOT) return;
    this.overtakesLeft--;
    if (this.overtakesLeft > 0) return;
    this.wheel.arm(this.heldBack, releaseUs); // right behind the frame that overtook it last
    this.heldBack = NO_SLOT;
  }

  private lose(slot: number, counter: number): void {
    this.counters.add(counter, 1);
    this.pool.give(slot);
  }
}
