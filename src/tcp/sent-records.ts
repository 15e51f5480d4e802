/**
 * The records of what was sent (`sent-queue.ts`), of all connections in one pool that grows by doubling.
 *
 * A record is 64 bytes (one cache line) of an `Int32Array`; the time of transmission is a double
 * over two of its int32s.
 */
import type { Seq } from "./seq.js";

/** Bits of a record's flags. */
export const SACKED = 1;
export const LOST = 2;
/** Sent again, and that transmission is deemed in flight. */
export const RETRANS = 4;
/** Was ever sent again: its delivery gives no RTT sample (Karn). */
export const EVER_RETRANS = 8;
export const LANE_1 = 16;
export const LANE_2 = 32;
export const ON_TIME_LIST = 64;
export const ON_LOST_LIST = 128;

export const NO_RECORD = -1;
// Int32s of a record.
/** From a record's number to its first int32. */
export const SHIFT = 4;
export const SEQ = 0;
export const END = 1;
export const FLAGS = 2;
export const NEXT = 3;
export const PREV = 4;
export const LIST_NEXT = 5;
export const LIST_PREV = 6;
export const LANE_1_NEXT = 7;
export const LANE_1_PREV = 8;
export const LANE_2_NEXT = 9;
export const LANE_2_PREV = 10;
export const XMIT_DOUBLE = 6; // int32s 12 and 13

export class SentRecords {
  protected i: Int32Array;
  protected f: Float64Array;
  protected firstFree = 0;
  private capacity: number;
  /** Records in use, of all connections. */
  inUse = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.f = new Float64Array(capacity << (SHIFT - 1));
    this.i = new Int32Array(this.f.buffer);
    this.linkFree(0);
  }

  /** First sequence number of the record. */
  seqOf(r: number): Seq {
    return this.i[(r << SHIFT) + SEQ]! as Seq;
  }
  /** Sequence number after the record's last. */
  endOf(r: number): Seq {
    return this.i[(r << SHIFT) + END]! as Seq;
  }
  /** Length in sequence space. */
  bytesOf(r: number): number {
    const b = r << SHIFT;
    return (this.i[b + END]! - this.i[b + SEQ]!) | 0;
  }
  flagsOf(r: number): number {
    return this.i[(r << SHIFT) + FLAGS]!;
  }
  /** When it was sent last. */
  xmitUsOf(r: number): number {
    return this.f[(r << (SHIFT - 1)) + XMIT_DOUBLE]!;
  }
  /** The record that follows in sequence order. */
  nextOf(r: number): number {
    return this.i[(r << SHIFT) + NEXT]!;
  }
  /** The record that follows in the time list or the lost list. */
  listNextOf(r: number): number {
    return this.i[(r << SHIFT) + LIST_NEXT]!;
  }

  protected take(): number {
    if (this.firstFree === NO_RECORD) this.grow();
    const r = this.firstFree;
    this.firstFree = this.i[(r << SHIFT) + NEXT]!;
    this.inUse++;
    return r;
  }

  protected free(r: number): void {
    this.i[(r << SHIFT) + NEXT] = this.firstFree;
    this.firstFree = r;
    this.inUse--;
  }

  protected grow(): void {
    const old = this.capacity;
    const f = new Float64Array(this.f.length * 2);
    f.set(this.f);
    this.f = f;
    this.i = new Int32Array(f.buffer);
    this.capacity = old * 2;
    this.linkFree(old);
  }

  private linkFree(from: number): void {
    for (let r = from; r < this.capacity; r++) {
      this.i[(r << SHIFT) + NEXT] = r + 1 < this.capacity ? r + 1 : NO_RECORD;
    }
    this.firstFree = from;
  }
}
