/**
 * The congestion state machine for ACKs that are not plain progress, as Linux runs it: OPEN,
 * DISORDER, CWR, RECOVERY, LOSS (recovery-row.ts). Detection is RACK's for peers with SACK; for
 * others it is duplicate ACKs and partial ACKs, NewReno (RFC 6582).
 *
 * | from         | to       | when                                                                  |
 * |--------------|----------|-----------------------------------------------------------------------|
 * | any but LOSS | RECOVERY | something is deemed lost                                              |
 * | OPEN         | DISORDER | SACKs or duplicate ACKs, nothing lost yet                             |
 * | OPEN, DISORDER | CWR    | ECE (RFC 3168)                                                        |
 * | CWR, RECOVERY | OPEN    | RecoveryPoint is acknowledged, or the reduction proved spurious        |
 * | any          | LOSS     | timeout (rto.ts)                                                      |
 * | LOSS         | OPEN     | RecoveryPoint is acknowledged, or the timeout proved spurious          |
 *
 * Forbidden: LOSS to CWR (the window is at its least), RECOVERY to CWR (it is being reduced already).
 */
import type { AckInfo } from "./ack-info.js";
import type { Delivery } from "./delivery.js";
import { DUP_THRESH, detectLosses, markLost, noteSpuriousLoss, recoveryEnded } from "./rack.js";
import type { RecoveryRow } from "./recovery-row.js";
import { RecoveryFlags, RecoveryState } from "./recovery-state.js";
import {
  endReduction,
  enterReduction,
  isAllDuplicate,
  isEchoOfOriginal,
  mayUndo,
  undo,
} from "./reduction.js";
import { lossOnAck } from "./rto.js";
import type { SentQueue } from "./sent-queue.js";
import { LOST, NO_RECORD } from "./sent-records.js";
import { advance, after, before } from "./seq.js";

// @rfc 6582 §3.2 yes
// @rfc 3042 §2 yes
// @rfc 3168 §6.1.2 yes
export class FastRecovery {
  /** Microseconds until the reordering timer is due; 0: none is needed. */
  reorderWaitUs = 0;
  /** What the last `onAck` did. */
  didUndo = false;
  didEnterRecovery = false;
  didReduce = false;
  private readonly q: SentQueue;

  constructor(q: SentQueue) {
    this.q = q;
  }

  /** Runs the machine for an ACK whose records are applied already. */
  onAck(c: RecoveryRow, d: Delivery, ack: AckInfo, isDuplicate: boolean, nowUs: number): void {
    this.reorderWaitUs = 0;
    this.didUndo = this.didEnterRecovery = this.didReduce = false;
    if (this.finish(c, ack)) return;
    switch (c.recoveryState) {
      case RecoveryState.RECOVERY:
        if (this.inRecovery(c, d, ack, isDuplicate, nowUs)) return;
        break;
      case RecoveryState.LOSS:
        if (this.inLoss(c, d, ack, isDuplicate, nowUs)) return;
        break;
      default:
        if (isNewReno(c)) this.countDupAck(c, d, isDuplicate);
        if (c.recoveryState <= RecoveryState.DISORDER && isAllDuplicate(c)) this.undo(c, false);
        this.detect(c, d, nowUs);
    }
    if (c.lostHead !== NO_RECORD) this.enterRecovery(c, d, ack);
    else this.tryToOpen(c, d, ack);
  }

  /** RACK's reordering timer expired. */
  onReorderTimer(c: RecoveryRow, d: Delivery, nowUs: number): void {
    this.reorderWaitUs = detectLosses(this.q, c, d, nowUs);
    if (d.lostBytes === 0 || c.recoveryState === RecoveryState.RECOVERY) return;
    if (c.recoveryState === RecoveryState.LOSS) return;
    this.reduce(c, d, RecoveryState.RECOVERY, c.sndUna);
  }

  /** RecoveryPoint is acknowledged. True when the ACK needs no more. */
  private finish(c: RecoveryRow, ack: AckInfo): boolean {
    const state = c.recoveryState;
    if (state !== RecoveryState.CWR && state !== RecoveryState.RECOVERY) return false;
    if (before(ack.ack, c.recoverySeq)) return false;
    if (state === RecoveryState.CWR) {
      // Not at RecoveryPoint itself: nothing sent since is acknowledged yet.
      if (after(ack.ack, c.recoverySeq)) {
        endReduction(c);
        c.recoveryState = RecoveryState.OPEN;
      }
      return false;
    }
    if (mayUndo(c, ack)) {
      this.undo(c, true);
      c.recoveryState = RecoveryState.OPEN;
      return false;
    }
    // RFC 6582 §4.1: without SACK, duplicates of old data would start a recovery at RecoveryPoint.
    if (isNewReno(c) && !after(ack.ack, c.recoverySeq) && c.headRecord !== NO_RECORD) return true;
    endReduction(c);
    recoveryEnded(c);
    c.renoSackedBytes = 0;
    c.dupAcks = 0;
    c.recoveryState = RecoveryState.OPEN; // and a late DSACK may still undo it
    return false;
  }

  /** True when the connection stays in recovery. */
  private inRecovery(
    c: RecoveryRow,
    d: Delivery,
    ack: AckInfo,
    isDuplicate: boolean,
    nowUs: number,
  ): boolean {
    const isPartial = d.ackedBytes > 0;
    if (isNewReno(c)) this.countDupAck(c, d, isDuplicate);
    if (isPartial && isEchoOfOriginal(c, ack) && (c.recoveryFlags & RecoveryFlags.UNDO) !== 0) {
      if (c.retransBytes > 0) return true; // their fate will tell; send no more for now
      this.undo(c, true);
    } else if (isAllDuplicate(c)) {
      this.undo(c, false);
    }
    this.detect(c, d, nowUs);
    if (isNewReno(c) && isPartial) this.loseHead(c, d); // RFC 6582 §3.2 step 5: partial ACK
    return c.recoveryState === RecoveryState.RECOVERY;
  }

  /** True when the connection stays in LOSS without news. */
  private inLoss(
    c: RecoveryRow,
    d: Delivery,
    ack: AckInfo,
    isDuplicate: boolean,
    nowUs: number,
  ): boolean {
    // Without SACK the segments that F-RTO sent (RFC 5682 §3.1 step 2b) leave the network by
    // duplicate ACKs only; were they not counted, they would fill cwnd and nothing that is lost could
    // go out before the next timeout. A reader who opens the window with each ACK must not hide them.
    const answersNew = after(c.sndNxt, c.recoverySeq) && d.ackedBytes === 0 && !ack.hasData;
    if (isNewReno(c)) {
      isDuplicate = isDuplicate || answersNew;
      if (answersNew || d.ackedBytes > 0) this.countDupAck(c, d, isDuplicate);
    }
    this.didUndo = lossOnAck(this.q, c, d, ack, isDuplicate);
    if ((c.recoveryState as number) !== RecoveryState.LOSS) {
      c.renoSackedBytes = 0;
      recoveryEnded(c);
    }
    this.detect(c, d, nowUs);
    if ((c.recoveryState as number) !== RecoveryState.LOSS) return false;
    // A lost retransmission is a new congestion event; else the slow start goes on.
    return !d.lostRetransmission;
  }

  private detect(c: RecoveryRow, d: Delivery, nowUs: number): void {
    if ((c.recoveryFlags & RecoveryFlags.SACK) !== 0) {
      this.reorderWaitUs = detectLosses(this.q, c, d, nowUs);
    } else if (c.dupAcks >= DUP_THRESH && c.recoveryState < RecoveryState.RECOVERY) {
      this.loseHead(c, d); // RFC 5681 §3.2 step 2
    }
  }

  /** One segment at SND.UNA is lost. */
  private loseHead(c: RecoveryRow, d: Delivery): void {
    const q = this.q;
    const r = c.headRecord;
    if (r === NO_RECORD || (q.flagsOf(r) & LOST) !== 0) return;
    if (q.bytesOf(r) > c.sndMss) q.split(c, r, advance(q.seqOf(r), c.sndMss));
    markLost(q, c, d, r);
    this.limitRenoSacked(c);
  }

  /** RFC 5681 §3.2, RFC 3042: each duplicate ACK means that one segment left the network. */
  private countDupAck(c: RecoveryRow, d: Delivery, isDuplicate: boolean): void {
    if (d.ackedBytes > 0) {
      // The hole is filled by one segment; the rest had arrived, one duplicate ACK each.
      const rest = Math.max(0, d.ackedBytes - c.sndMss);
      const inRecovery = c.recoveryState === RecoveryState.RECOVERY;
      d.deliveredBytes = Math.max(0, d.deliveredBytes - Math.min(rest, c.renoSackedBytes));
      c.renoSackedBytes = inRecovery ? Math.max(0, c.renoSackedBytes - rest) : 0;
      c.dupAcks = 0;
    } else if (isDuplicate) {
      c.dupAcks = c.dupAcks + 1;
      const before = c.renoSackedBytes;
      c.renoSackedBytes = before + c.sndMss;
      this.limitRenoSacked(c);
      d.deliveredBytes += Math.max(0, c.renoSackedBytes - before);
    }
    this.limitRenoSacked(c);
  }

  private limitRenoSacked(c: RecoveryRow): void {
    const most = Math.max(0, this.q.outstandingBytes(c) - c.lostBytes);
    if (c.renoSackedBytes > most) c.renoSackedBytes = most;
  }

  private enterRecovery(c: RecoveryRow, d: Delivery, ack: AckInfo): void {
    this.reduce(c, d, RecoveryState.RECOVERY, ack.ack);
  }

  private reduce(c: RecoveryRow, d: Delivery, state: number, una: AckInfo["ack"]): void {
    enterReduction(this.q, c, una, state, d.deliveredBytes);
    if (state === RecoveryState.RECOVERY) this.didEnterRecovery = true;
    this.didReduce = true;
  }

  /** tcp_try_to_open of Linux: nothing is lost. ECE reduces the window, once a round trip. */
  private tryToOpen(c: RecoveryRow, d: Delivery, ack: AckInfo): void {
    if (ack.ece && c.recoveryState < RecoveryState.CWR) {
      this.reduce(c, d, RecoveryState.CWR, ack.ack);
    }
    if (c.recoveryState === RecoveryState.CWR) return;
    const isQuiet = c.retransBytes === 0;
    if (isQuiet) c.recoveryFlags = c.recoveryFlags & ~RecoveryFlags.RETRANS_STAMP;
    const isWhole = c.sackedBytes + c.renoSackedBytes + c.lostBytes === 0 && isQuiet;
    const state = isWhole ? RecoveryState.OPEN : RecoveryState.DISORDER;
    if (c.recoveryState !== state) {
      c.recoveryState = state;
      c.recoverySeq = c.sndNxt;
    }
  }

  private undo(c: RecoveryRow, unmark: boolean): void {
    noteSpuriousLoss(c, c.sndUna);
    undo(this.q, c, unmark);
    this.didUndo = true;
    if (c.recoveryState === RecoveryState.RECOVERY) c.recoveryState = RecoveryState.DISORDER;
  }
}

const isNewReno = (c: RecoveryRow): boolean => (c.recoveryFlags & RecoveryFlags.SACK) === 0;
