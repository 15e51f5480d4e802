/**
 * Window reductions and taking them back: entering CWR, fast recovery and loss, and the undo of a
 * reduction that proved spurious, by timestamps (Eifel, RFC 3522, RFC 4015) or by DSACKs for all
 * that was sent again (RFC 3708), as Linux does.
 */
import type { AckInfo } from "./ack-info.js";
import { ssthreshAfterLoss } from "./congestion.js";
import { startPrr } from "./prr.js";
import type { RecoveryRow } from "./recovery-row.js";
import { RecoveryFlags, RecoveryState } from "./recovery-state.js";
import type { SentQueue } from "./sent-queue.js";
import type { Seq } from "./seq.js";

// @rfc 4015 §3.2 partly
// @rfc 3708 §3 partly
const NOTHING_SENT_AGAIN = -1;

/**
 * A reduction to ssthresh by PRR begins; `state` is CWR or RECOVERY. `deliveredBytes` left the
 * network by the ACK at hand, so were in flight before it.
 */
export function enterReduction(
  q: SentQueue,
  c: RecoveryRow,
  una: Seq,
  state: number,
  deliveredBytes: number,
): void {
  if (c.recoveryState !== RecoveryState.CWR && c.recoveryState !== RecoveryState.RECOVERY) {
    c.priorSsthresh = currentSsthresh(c);
    c.priorCwnd = c.cwnd;
    c.ssthresh = ssthreshAfterLoss(c);
    startPrr(c, q.pipeBytes(c) + c.lostBytes - c.retransBytes + deliveredBytes);
  }
  if (state === RecoveryState.RECOVERY) initUndo(c, una);
  else c.recoveryFlags = c.recoveryFlags & ~RecoveryFlags.UNDO;
  c.recoveryFlags = c.recoveryFlags & ~RecoveryFlags.TLP;
  c.recoverySeq = c.sndNxt;
  c.recoveryState = state;
}

/** The reduction is complete (RFC 9937 §6.3). */
export function endReduction(c: RecoveryRow): void {
  c.cwnd = Math.max(c.ssthresh, c.sndMss);
  c.cwndCredit = 0;
}

export function initUndo(c: RecoveryRow, una: Seq): void {
  c.undoMarker = una;
  c.undoRetransBytes = c.retransBytes > 0 ? c.retransBytes : NOTHING_SENT_AGAIN;
  c.recoveryFlags = c.recoveryFlags | RecoveryFlags.UNDO;
  if (c.retransBytes === 0) c.recoveryFlags = c.recoveryFlags & ~RecoveryFlags.RETRANS_STAMP;
}

/** In slow start again after a reduction, the threshold in force is what was reached. */
export function currentSsthresh(c: RecoveryRow): number {
  if (c.recoveryState === RecoveryState.CWR || c.recoveryState === RecoveryState.RECOVERY) {
    return c.ssthresh;
  }
  return Math.max(c.ssthresh, 0.75 * c.cwnd) | 0;
}

/** The ACK echoes a timestamp from before the first retransmission: the original had arrived. */
export function isEchoOfOriginal(c: RecoveryRow, ack: AckInfo): boolean {
  if ((c.recoveryFlags & RecoveryFlags.RETRANS_STAMP) === 0 || !ack.hasTs) return false;
  return ((ack.tsEcrMs - c.retransStampMs) | 0) < 0;
}

/** All that was sent again was reported as duplicate. */
export function isAllDuplicate(c: RecoveryRow): boolean {
  return (c.recoveryFlags & RecoveryFlags.UNDO) !== 0 && c.undoRetransBytes === 0;
}

export function mayUndo(c: RecoveryRow, ack: AckInfo): boolean {
  if ((c.recoveryFlags & RecoveryFlags.UNDO) === 0) return false;
  return c.undoRetransBytes === 0 || isEchoOfOriginal(c, ack);
}

/** Takes the last reduction back; with `unmark`, what was deemed lost is in flight again. */
export function undo(q: SentQueue, c: RecoveryRow, unmark: boolean): void {
  if (unmark) q.unmarkAllLost(c);
  if (c.priorSsthresh > 0) {
    c.cwnd = Math.max(c.cwnd, c.priorCwnd);
    if (c.priorSsthresh > c.ssthresh) c.ssthresh = c.priorSsthresh;
    c.cubicEpochUs = -1;
    c.cubicWMax = Math.max(c.cubicWMax, c.priorCwnd / c.sndMss);
  }
  c.recoveryFlags = c.recoveryFlags & ~(RecoveryFlags.UNDO | RecoveryFlags.FRTO);
  c.backoff = 0;
}
