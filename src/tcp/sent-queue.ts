/**
 * What was sent and not yet acknowledged: records of ranges (`sent-records.ts`). A connection's form
 *  - one list in sequence order, without gaps, from SND.UNA to SND.NXT;
 *  - the time list: records in flight, in the order they were last sent (what RACK walks);
 *  - the lost list: records that wait to be sent again.
 *
 * | state of a record              | SACKED | LOST | RETRANS | list | counts in                 |
 * |--------------------------------|--------|------|---------|------|---------------------------|
 * | sent, in flight                |        |      |         | time |                           |
 * | delivered out of order         | yes    |      |         | none | sackedBytes               |
 * | lost, not sent again           |        | yes  |         | lost | lostBytes                 |
 * | sent again as lost             |        | yes  | yes     | time | lostBytes, retransBytes   |
 * | sent again, not lost (a probe) |        |      | yes     | time | retransBytes              |
 *
 * SACKED excludes LOST and RETRANS. So `pipe` (RFC 6675 §4) is outstanding − sacked − lost +
 * sent again. Neighbouring SACKED records merge, so the sequence list is short where it is skipped.
 */
import { assert, CHECKED } from "../base/assert.js";
import type { RecoveryRow } from "./recovery-row.js";
import { SentLanes } from "./sent-lanes.js";
import {
  END,
  EVER_RETRANS,
  FLAGS,
  LANE_1,
  LANE_2,
  LIST_NEXT,
  LIST_PREV,
  LOST,
  NEXT,
  NO_RECORD,
  ON_LOST_LIST,
  ON_TIME_LIST,
  PREV,
  RETRANS,
  SACKED,
  SEQ,
  SHIFT,
  XMIT_DOUBLE,
} from "./sent-records.js";
import { after, diff, type Seq } from "./seq.js";

/** Records a connection may hold; beyond it new ranges extend the last record. */
export const MAX_RECORDS = 65_536;
/** A record covers at most this many bytes. */
export const MAX_RECORD_BYTES = 65_536;

/** A lost record is sorted into its list over at most this many others. */
const SORT_WALK = 32;

export class SentQueue extends SentLanes {
  /** Empties the row's lists without freeing: for a row that was never used. */
  reset(c: RecoveryRow): void {
    c.headRecord = c.tailRecord = NO_RECORD;
    c.timeHead = c.timeTail = NO_RECORD;
    c.lostHead = c.lostTail = NO_RECORD;
    c.lane1Head = c.lane2Head = NO_RECORD;
    c.sackedBytes = c.lostBytes = c.retransBytes = c.recordCount = 0;
  }

  /** Frees all records of the row. */
  clear(c: RecoveryRow): void {
    let r = c.headRecord;
    while (r !== NO_RECORD) {
      const next = this.i[(r << SHIFT) + NEXT]!;
      this.free(r);
      r = next;
    }
    this.reset(c);
  }

  /** Hot path. Bytes between the first and the last record's ends. */
  outstandingBytes(c: RecoveryRow): number {
    const head = c.headRecord;
    return head === NO_RECORD ? 0 : diff(this.endOf(c.tailRecord), this.seqOf(head));
  }

  /** Hot path. Bytes deemed in the network: `pipe`, RFC 6675 §4. */
  pipeBytes(c: RecoveryRow): number {
    const away = c.sackedBytes + c.renoSackedBytes + c.lostBytes - c.retransBytes;
    const pipe = this.outstandingBytes(c) - away;
    return pipe > 0 ? pipe : 0;
  }

  /** Hot path. Appends a range that was sent now; extends the last record when that is exact. */
  push(c: RecoveryRow, seq: Seq, end: Seq, nowUs: number): void {
    const tail = c.tailRecord;
    if (tail !== NO_RECORD && this.mayExtend(c, tail, seq, end, nowUs)) {
      this.i[(tail << SHIFT) + END] = end;
      return;
    }
    const r = this.take();
    const i = this.i;
    const b = r << SHIFT;
    i[b + SEQ] = seq;
    i[b + END] = end;
    i[b + FLAGS] = 0;
    i[b + NEXT] = NO_RECORD;
    i[b + PREV] = tail;
    this.f[(r << (SHIFT - 1)) + XMIT_DOUBLE] = nowUs;
    if (tail === NO_RECORD) c.headRecord = r;
    else i[(tail << SHIFT) + NEXT] = r;
    c.tailRecord = r;
    c.recordCount = c.recordCount + 1;
    this.appendTime(c, r);
  }

  /** Hot path. As {@link push}, when the row has no records. */
  pushSingle(c: RecoveryRow, seq: Seq, end: Seq, nowUs: number): void {
    const r = this.takeSingle(seq, end, nowUs);
    c.headRecord = r;
    c.tailRecord = r;
    c.timeHead = r;
    c.timeTail = r;
    c.recordCount = 1;
  }

  /** Hot path. Frees the head record. Its bytes leave every count. */
  dropHead(c: RecoveryRow): void {
    const r = c.headRecord;
    const next = this.nextOf(r);
    this.uncount(c, r);
    this.unlist(c, r);
    this.leaveLanes(c, r);
    c.headRecord = next;
    if (next === NO_RECORD) c.tailRecord = NO_RECORD;
    else this.i[(next << SHIFT) + PREV] = NO_RECORD;
    c.recordCount = c.recordCount - 1;
    this.free(r);
  }

  /** Hot path. Whether there is one record, sent once and neither SACKed nor lost. */
  isSingle(c: RecoveryRow): boolean {
    const r = c.headRecord;
    if (r === NO_RECORD || r !== c.tailRecord) return false;
    return this.i[(r << SHIFT) + FLAGS] === ON_TIME_LIST;
  }

  /** Hot path. Whether a record was sent once and is neither SACKed nor lost. */
  isPlain(r: number): boolean {
    return this.i[(r << SHIFT) + FLAGS] === ON_TIME_LIST;
  }

  /** Hot path. A record of its own, in no row's lists yet, for what is sent now when nothing is in flight. */
  takeSingle(seq: number, end: number, nowUs: number): number {
    if (this.firstFree === NO_RECORD) this.grow();
    const r = this.firstFree;
    const i = this.i;
    const b = r << SHIFT;
    this.firstFree = i[b + NEXT]!;
    this.inUse++;
    i[b + SEQ] = seq;
    i[b + END] = end;
    i[b + FLAGS] = ON_TIME_LIST;
    i[b + NEXT] = NO_RECORD;
    i[b + PREV] = NO_RECORD;
    i[b + LIST_NEXT] = NO_RECORD;
    i[b + LIST_PREV] = NO_RECORD;
    this.f[(r << (SHIFT - 1)) + XMIT_DOUBLE] = nowUs;
    return r;
  }

  /** Hot path. Frees a record that the row's lists no longer hold. */
  giveSingle(r: number): void {
    this.free(r);
  }

  /** Hot path. As {@link dropHead}, of the record that {@link isSingle}. */
  dropSingle(c: RecoveryRow): void {
    const r = c.headRecord;
    c.headRecord = c.tailRecord = NO_RECORD;
    c.timeHead = c.timeTail = NO_RECORD;
    c.recordCount = 0;
    this.free(r);
  }

  /** Cuts the head record's beginning off: its part before `seq` was acknowledged. */
  trimHead(c: RecoveryRow, seq: Seq): void {
    const r = c.headRecord;
    const b = r << SHIFT;
    const cut = diff(seq, this.seqOf(r));
    if (CHECKED) assert(cut > 0 && cut < this.bytesOf(r), "trimHead cuts inside the head record");
    const flags = this.i[b + FLAGS]!;
    if ((flags & SACKED) !== 0) c.sackedBytes = c.sackedBytes - cut;
    if ((flags & LOST) !== 0) c.lostBytes = c.lostBytes - cut;
    if ((flags & RETRANS) !== 0) c.retransBytes = c.retransBytes - cut;
    this.i[b + SEQ] = seq;
  }

  /**
   * Splits a record at `at`, which lies inside; both parts keep its state. Returns the second part,
   * or NO_RECORD when the connection has too many.
   */
  split(c: RecoveryRow, r: number, at: Seq): number {
    if (CHECKED) {
      assert(after(at, this.seqOf(r)) && after(this.endOf(r), at), "split is inside the record");
    }
    if (c.recordCount >= MAX_RECORDS) return NO_RECORD;
    const n = this.take();
    const i = this.i;
    const b = r << SHIFT;
    const m = n << SHIFT;
    i[m + SEQ] = at;
    i[m + END] = i[b + END]!;
    i[b + END] = at;
    i[m + FLAGS] = i[b + FLAGS]! & ~(LANE_1 | LANE_2);
    this.f[(n << (SHIFT - 1)) + XMIT_DOUBLE] = this.xmitUsOf(r);
    const next = i[b + NEXT]!;
    i[m + NEXT] = next;
    i[m + PREV] = r;
    i[b + NEXT] = n;
    if (next === NO_RECORD) c.tailRecord = n;
    else i[(next << SHIFT) + PREV] = n;
    c.recordCount = c.recordCount + 1;
    if ((i[b + FLAGS]! & (ON_TIME_LIST | ON_LOST_LIST)) !== 0) this.listAfter(c, n, r);
    return n;
  }

  /**
   * The record was delivered out of order; merges it with SACKED neighbours. Returns the record
   * that now covers it.
   */
  markSacked(c: RecoveryRow, r: number): number {
    this.uncount(c, r);
    this.unlist(c, r);
    const b = r << SHIFT;
    this.i[b + FLAGS] = (this.i[b + FLAGS]! & ~(LOST | RETRANS)) | SACKED;
    c.sackedBytes = c.sackedBytes + this.bytesOf(r);
    const next = this.i[b + NEXT]!;
    if (next !== NO_RECORD && (this.flagsOf(next) & SACKED) !== 0) this.absorbNext(c, r);
    const prev = this.i[b + PREV]!;
    if (prev === NO_RECORD || (this.flagsOf(prev) & SACKED) === 0) return r;
    this.absorbNext(c, prev);
    return prev;
  }

  /** The record, or its last retransmission, is deemed lost: it waits to be sent again. */
  markLost(c: RecoveryRow, r: number): void {
    const b = r << SHIFT;
    const flags = this.i[b + FLAGS]!;
    if ((flags & ON_LOST_LIST) !== 0) return;
    const bytes = this.bytesOf(r);
    if ((flags & LOST) === 0) c.lostBytes = c.lostBytes + bytes;
    if ((flags & RETRANS) !== 0) c.retransBytes = c.retransBytes - bytes;
    if ((flags & SACKED) !== 0) c.sackedBytes = c.sackedBytes - bytes;
    this.unlist(c, r);
    this.i[b + FLAGS] = (this.i[b + FLAGS]! & ~(RETRANS | SACKED)) | LOST;
    this.insertLost(c, r);
  }

  /** A reduction was undone: all that was deemed lost is in flight after all. */
  unmarkAllLost(c: RecoveryRow): void {
    let hint = NO_RECORD;
    for (let r = c.headRecord; r !== NO_RECORD; r = this.nextOf(r)) {
      const flags = this.flagsOf(r);
      if ((flags & LOST) === 0) continue;
      c.lostBytes = c.lostBytes - this.bytesOf(r);
      this.i[(r << SHIFT) + FLAGS] = flags & ~LOST;
      if ((flags & ON_LOST_LIST) === 0) continue;
      this.unlist(c, r);
      this.insertTime(c, r, hint);
      hint = r;
    }
  }

  /** The peer took back what it SACKed (RFC 2018 §8): all SACKed records are in flight again. */
  forgetSacks(c: RecoveryRow): void {
    let hint = NO_RECORD;
    for (let r = c.headRecord; r !== NO_RECORD; r = this.nextOf(r)) {
      const flags = this.flagsOf(r);
      if ((flags & SACKED) === 0) continue;
      c.sackedBytes = c.sackedBytes - this.bytesOf(r);
      this.i[(r << SHIFT) + FLAGS] = flags & ~SACKED;
      this.insertTime(c, r, hint);
      hint = r;
    }
  }

  /** The record was sent again. */
  markRetransmitted(c: RecoveryRow, r: number, nowUs: number): void {
    const b = r << SHIFT;
    const flags = this.i[b + FLAGS]!;
    if ((flags & RETRANS) === 0) c.retransBytes = c.retransBytes + this.bytesOf(r);
    this.unlist(c, r);
    this.i[b + FLAGS] = (this.i[b + FLAGS]! & ~SACKED) | RETRANS | EVER_RETRANS;
    this.f[(r << (SHIFT - 1)) + XMIT_DOUBLE] = nowUs;
    this.appendTime(c, r);
  }

  private mayExtend(c: RecoveryRow, tail: number, seq: Seq, end: Seq, nowUs: number): boolean {
    const b = tail << SHIFT;
    if (c.recordCount >= MAX_RECORDS) return true;
    // Only whole segments before it, so that counts of segments (bytes / MSS) stay exact.
    if (this.f[(tail << (SHIFT - 1)) + XMIT_DOUBLE]! !== nowUs) return false;
    if ((this.i[b + FLAGS]! & (SACKED | LOST | EVER_RETRANS)) !== 0) return false;
    const first = this.i[b + SEQ]!;
    const held = (seq - first) | 0;
    return ((end - first) | 0) <= MAX_RECORD_BYTES && c.sndMss > 0 && held % c.sndMss === 0;
  }

  /** Takes the record's bytes out of the counts of its state. */
  private uncount(c: RecoveryRow, r: number): void {
    const flags = this.flagsOf(r);
    if ((flags & (SACKED | LOST | RETRANS)) === 0) return;
    const bytes = this.bytesOf(r);
    if ((flags & SACKED) !== 0) c.sackedBytes = c.sackedBytes - bytes;
    if ((flags & LOST) !== 0) c.lostBytes = c.lostBytes - bytes;
    if ((flags & RETRANS) !== 0) c.retransBytes = c.retransBytes - bytes;
  }

  /** `r` takes over the range of the SACKED record after it. */
  private absorbNext(c: RecoveryRow, r: number): void {
    const i = this.i;
    const b = r << SHIFT;
    const n = i[b + NEXT]!;
    const m = n << SHIFT;
    const next = i[m + NEXT]!;
    this.leaveLanes(c, n);
    i[b + END] = i[m + END]!;
    i[b + FLAGS] = i[b + FLAGS]! | (i[m + FLAGS]! & EVER_RETRANS);
    i[b + NEXT] = next;
    if (next === NO_RECORD) c.tailRecord = r;
    else i[(next << SHIFT) + PREV] = r;
    c.recordCount = c.recordCount - 1;
    this.free(n);
  }

  // The time list and the lost list.

  private appendTime(c: RecoveryRow, r: number): void {
    const i = this.i;
    const b = r << SHIFT;
    const last = c.timeTail;
    i[b + LIST_NEXT] = NO_RECORD;
    i[b + LIST_PREV] = last;
    i[b + FLAGS] = i[b + FLAGS]! | ON_TIME_LIST;
    if (last === NO_RECORD) c.timeHead = r;
    else i[(last << SHIFT) + LIST_NEXT] = r;
    c.timeTail = r;
  }

  /**
   * Puts a record back where its time of transmission belongs; the search starts at `hint`, the
   * record put back before, because many come in order.
   */
  private insertTime(c: RecoveryRow, r: number, hint: number): void {
    const xmitUs = this.xmitUsOf(r);
    const end = this.endOf(r);
    const isLater = hint !== NO_RECORD && !this.isSentAfter(hint, xmitUs, end);
    let before = isLater ? hint : NO_RECORD;
    let next = isLater ? this.listNextOf(hint) : c.timeHead;
    while (next !== NO_RECORD && !this.isSentAfter(next, xmitUs, end)) {
      before = next;
      next = this.listNextOf(next);
    }
    this.i[(r << SHIFT) + FLAGS] = this.flagsOf(r) | ON_TIME_LIST;
    this.listAfter(c, r, before);
  }

  /** RACK_sent_after, RFC 8985 §6.2: the record was sent after (`xmitUs`, `end`). */
  isSentAfter(r: number, xmitUs: number, end: Seq): boolean {
    const sentUs = this.xmitUsOf(r);
    return sentUs > xmitUs || (sentUs === xmitUs && after(this.endOf(r), end));
  }

  private insertLost(c: RecoveryRow, r: number): void {
    const seq = this.seqOf(r);
    this.i[(r << SHIFT) + FLAGS] = this.flagsOf(r) | ON_LOST_LIST;
    let before = c.lostTail;
    if (before !== NO_RECORD && after(this.seqOf(c.lostHead), seq)) before = NO_RECORD;
    for (let n = 0; n < SORT_WALK && before !== NO_RECORD; n++) {
      if (after(seq, this.seqOf(before))) break;
      before = this.i[(before << SHIFT) + LIST_PREV]!;
    }
    this.listAfter(c, r, before);
  }

  /** Links `r`, whose flag says which list, after `before`, or first. */
  private listAfter(c: RecoveryRow, r: number, before: number): void {
    const i = this.i;
    const b = r << SHIFT;
    const isTime = (i[b + FLAGS]! & ON_TIME_LIST) !== 0;
    const first = isTime ? c.timeHead : c.lostHead;
    const next = before === NO_RECORD ? first : i[(before << SHIFT) + LIST_NEXT]!;
    i[b + LIST_PREV] = before;
    i[b + LIST_NEXT] = next;
    if (before !== NO_RECORD) i[(before << SHIFT) + LIST_NEXT] = r;
    else if (isTime) c.timeHead = r;
    else c.lostHead = r;
    if (next !== NO_RECORD) i[(next << SHIFT) + LIST_PREV] = r;
    else if (isTime) c.timeTail = r;
    else c.lostTail = r;
  }

  private unlist(c: RecoveryRow, r: number): void {
    const i = this.i;
    const b = r << SHIFT;
    const flags = i[b + FLAGS]!;
    if ((flags & (ON_TIME_LIST | ON_LOST_LIST)) === 0) return;
    const isTime = (flags & ON_TIME_LIST) !== 0;
    const next = i[b + LIST_NEXT]!;
    const prev = i[b + LIST_PREV]!;
    if (prev !== NO_RECORD) i[(prev << SHIFT) + LIST_NEXT] = next;
    else if (isTime) c.timeHead = next;
    else c.lostHead = next;
    if (next !== NO_RECORD) i[(next << SHIFT) + LIST_PREV] = prev;
    else if (isTime) c.timeTail = prev;
    else c.lostTail = prev;
    i[b + FLAGS] = flags & ~(ON_TIME_LIST | ON_LOST_LIST);
  }
}
