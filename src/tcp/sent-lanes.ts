/**
 * Finding the record of a sequence number.
 *
 * It must stay cheap when a peer sends hostile SACK blocks, yet cost nothing per segment sent. So two
 * express lanes (as in a skip list) are built by the searches themselves: a walk that takes long
 * promotes every 32nd record it passes. Every record of lane 2 is in lane 1.
 */
import type { RecoveryRow } from "./recovery-row.js";
import {
  FLAGS,
  LANE_1,
  LANE_1_NEXT,
  LANE_1_PREV,
  LANE_2,
  LANE_2_NEXT,
  LANE_2_PREV,
  NO_RECORD,
  SentRecords,
  SHIFT,
} from "./sent-records.js";
import { after, notAfter, type Seq } from "./seq.js";

/** A search that passes more records than this builds the express lane it lacked. */
const LONG_WALK = 64;
const PROMOTE_MASK = 31;

export class SentLanes extends SentRecords {
  /** Records passed by searches, for tests of their cost. */
  steps = 0;

  /** The record that holds `seq`, or NO_RECORD when it is outside of what is outstanding. */
  find(c: RecoveryRow, seq: Seq): number {
    const tail = c.tailRecord;
    if (tail === NO_RECORD || notAfter(this.endOf(tail), seq)) return NO_RECORD;
    if (notAfter(this.seqOf(tail), seq)) return tail;
    if (after(this.seqOf(c.headRecord), seq)) return NO_RECORD;
    const express = this.walkLane2(c, seq);
    let r = this.walkLane1(c, seq, express);
    if (r === NO_RECORD) r = c.headRecord;
    let mark = r;
    let passed = 0;
    while (notAfter(this.endOf(r), seq)) {
      r = this.nextOf(r);
      if ((++passed & PROMOTE_MASK) === 0 && passed > LONG_WALK) mark = this.promote1(c, r, mark);
    }
    this.steps += passed;
    return r;
  }

  private walkLane2(c: RecoveryRow, seq: Seq): number {
    let r = c.lane2Head;
    if (r === NO_RECORD || after(this.seqOf(r), seq)) return NO_RECORD;
    for (;;) {
      const next = this.i[(r << SHIFT) + LANE_2_NEXT]!;
      if (next === NO_RECORD || after(this.seqOf(next), seq)) return r;
      r = next;
      this.steps++;
    }
  }

  private walkLane1(c: RecoveryRow, seq: Seq, from: number): number {
    let r = from === NO_RECORD ? c.lane1Head : from;
    if (r === NO_RECORD || after(this.seqOf(r), seq)) return NO_RECORD;
    let mark = from;
    let passed = 0;
    for (;;) {
      const next = this.i[(r << SHIFT) + LANE_1_NEXT]!;
      if (next === NO_RECORD || after(this.seqOf(next), seq)) break;
      r = next;
      if ((++passed & PROMOTE_MASK) === 0 && passed > LONG_WALK) mark = this.promote2(c, r, mark);
    }
    this.steps += passed;
    return r;
  }

  /** Adds `r` to lane 1; the last record of the lane before it is `before`, if that is in the lane. */
  private promote1(c: RecoveryRow, r: number, before: number): number {
    const i = this.i;
    const b = r << SHIFT;
    const isFirst = (this.flagsOf(before) & LANE_1) === 0;
    const next = isFirst ? c.lane1Head : i[(before << SHIFT) + LANE_1_NEXT]!;
    i[b + LANE_1_NEXT] = next;
    i[b + LANE_1_PREV] = isFirst ? NO_RECORD : before;
    if (isFirst) c.lane1Head = r;
    else i[(before << SHIFT) + LANE_1_NEXT] = r;
    if (next !== NO_RECORD) i[(next << SHIFT) + LANE_1_PREV] = r;
    i[b + FLAGS] = i[b + FLAGS]! | LANE_1;
    return r;
  }

  /** The same for lane 2; `before` may be NO_RECORD. */
  private promote2(c: RecoveryRow, r: number, before: number): number {
    const i = this.i;
    const b = r << SHIFT;
    const next = before === NO_RECORD ? c.lane2Head : i[(before << SHIFT) + LANE_2_NEXT]!;
    i[b + LANE_2_NEXT] = next;
    i[b + LANE_2_PREV] = before;
    if (before === NO_RECORD) c.lane2Head = r;
    else i[(before << SHIFT) + LANE_2_NEXT] = r;
    if (next !== NO_RECORD) i[(next << SHIFT) + LANE_2_PREV] = r;
    i[b + FLAGS] = i[b + FLAGS]! | LANE_2;
    return r;
  }

  /** For a record that goes. */
  protected leaveLanes(c: RecoveryRow, r: number): void {
    const i = this.i;
    const b = r << SHIFT;
    const flags = i[b + FLAGS]!;
    if ((flags & LANE_1) === 0) return;
    const next = i[b + LANE_1_NEXT]!;
    const prev = i[b + LANE_1_PREV]!;
    if (prev === NO_RECORD) c.lane1Head = next;
    else i[(prev << SHIFT) + LANE_1_NEXT] = next;
    if (next !== NO_RECORD) i[(next << SHIFT) + LANE_1_PREV] = prev;
    if ((flags & LANE_2) !== 0) this.leaveLane2(c, b);
    i[b + FLAGS] = flags & ~(LANE_1 | LANE_2);
  }

  private leaveLane2(c: RecoveryRow, b: number): void {
    const next = this.i[b + LANE_2_NEXT]!;
    const prev = this.i[b + LANE_2_PREV]!;
    if (prev === NO_RECORD) c.lane2Head = next;
    else this.i[(prev << SHIFT) + LANE_2_NEXT] = next;
    if (next !== NO_RECORD) this.i[(next << SHIFT) + LANE_2_PREV] = prev;
  }
}
