/**
 * Retransmission timeouts (RFC 6298 §5.4 to §5.6, RFC 5681 §3.1) and what ACKs say after one,
 * F-RTO (RFC 5682) included.
 */
import type { AckInfo } from "./ack-info.js";
import { ssthreshAfterLoss } from "./congestion.js";
import type { Delivery } from "./delivery.js";
import { markLossesOnTimeout } from "./rack.js";
import type { RecoveryRow } from "./recovery-row.js";
import { RecoveryFlags, RecoveryState } from "./recovery-state.js";
import { currentSsthresh, initUndo, mayUndo, undo } from "./reduction.js";
import type { SentQueue } from "./sent-queue.js";
import { NO_RECORD, SACKED } from "./sent-records.js";
import { after, before, diff } from "./seq.js";

// @rfc 6298 §5.4 yes
// @rfc 6298 §5.5 yes
// @rfc 6298 §5.6 yes
// @rfc 5682 §3.1 deviates
// Deviation: after an ACK of two segments F-RTO lets three new ones go; RFC 5682 §2.1 says two.
/** The timer expired: everything due is lost, the window is one segment, the RTO doubles. */
export function enterLoss(q: SentQueue, c: RecoveryRow, d: Delivery, nowUs: number): void {
  const una = c.sndUna;
  const isFirst = c.recoveryState <= RecoveryState.DISORDER || !after(c.recoverySeq, una);
  const isNew = c.recoveryState < RecoveryState.RECOVERY || !after(c.recoverySeq, una);
  if (isFirst || (c.recoveryState === RecoveryState.LOSS && c.backoff === 0)) {
    c.priorSsthresh = currentSsthresh(c);
    c.priorCwnd = c.cwnd;
    c.ssthresh = ssthreshAfterLoss(c);
    initUndo(c, una);
  } else if (c.recoveryState !== RecoveryState.LOSS) {
    initUndo(c, una);
  }
  if (c.headRecord !== NO_RECORD && (q.flagsOf(c.headRecord) & SACKED) !== 0) {
    q.forgetSacks(c); // RFC 2018 §8: after a timeout SACKs that hold back progress are not believed
    c.recoveryFlags = c.recoveryFlags & ~RecoveryFlags.RACK;
  }
  c.renoSackedBytes = 0;
  c.dupAcks = 0;
  markLossesOnTimeout(q, c, d, nowUs);
  c.cwnd = q.pipeBytes(c) + c.sndMss;
  c.cwndCredit = 0;
  c.recoverySeq = c.sndNxt;
  c.recoveryState = RecoveryState.LOSS;
  const { FRTO, FRTO_NEW, TLP, TLP_PENDING } = RecoveryFlags;
  c.recoveryFlags = c.recoveryFlags & ~(FRTO | FRTO_NEW | TLP | TLP_PENDING);
  if (isNew || c.backoff > 0) c.recoveryFlags = c.recoveryFlags | FRTO;
  c.backoff = c.backoff + 1;
}

/**
 * An ACK in the LOSS state. The state is OPEN afterwards when the timeout proved spurious (then it
 * returns true) or all data before RecoveryPoint are acknowledged.
 */
export function lossOnAck(
  q: SentQueue,
  c: RecoveryRow,
  d: Delivery,
  ack: AckInfo,
  isDuplicate: boolean,
): boolean {
  const isRecovered = !before(ack.ack, c.recoverySeq);
  const isWatched = (c.recoveryFlags & RecoveryFlags.FRTO) !== 0;
  // Step 3b of F-RTO: data that were sent once only arrived, so not all was lost.
  const isSpurious = (d.ackedBytes > 0 && mayUndo(c, ack)) || (isWatched && d.originalDelivered);
  if (isSpurious) {
    undo(q, c, true);
    c.recoveryState = RecoveryState.OPEN;
    return true;
  }
  if (isWatched) frtoOnAck(c, d, isDuplicate, isRecovered);
  if (isRecovered) {
    c.recoveryState = RecoveryState.OPEN;
    endFrto(c);
  }
  return false;
}

/** RFC 5682 §3.1, the SACK-enhanced form, as long as nothing says that the timeout was spurious. */
function frtoOnAck(c: RecoveryRow, d: Delivery, isDuplicate: boolean, isRecovered: boolean): void {
  if (after(c.sndNxt, c.recoverySeq)) {
    if (d.sackedBytes > 0 || isDuplicate) endFrto(c); // step 3a: the loss was real
    return;
  }
  if (d.ackedBytes === 0 || isRecovered) return;
  c.recoverySeq = c.sndNxt;
  if (hasNewData(c))
    c.recoveryFlags = c.recoveryFlags | RecoveryFlags.FRTO_NEW; // step 2b
  else endFrto(c);
}

function endFrto(c: RecoveryRow): void {
  c.recoveryFlags = c.recoveryFlags & ~RecoveryFlags.FRTO;
}

/** Data wait that the window lets out. `sndUna` and the counts from it are those before this ACK. */
function hasNewData(c: RecoveryRow): boolean {
  const sent = diff(c.sndNxt, c.sndUna);
  return c.sndQueuedBytes > sent && c.sndWnd > sent;
}
