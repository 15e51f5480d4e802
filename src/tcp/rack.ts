/**
 * RACK: loss detection by time, RFC 8985 §6. A segment is lost when one sent sufficiently later was
 * delivered; "sufficiently" is the reordering window, which adapts to the reordering that is seen.
 *
 * Deviation: the delivery of a retransmission is ignored when its RTT is below half of the least
 * RTT, not below the least RTT: early in a connection that includes the queue of our own first
 * window, and ignoring the delivery of a tail loss probe costs a timeout.
 * Deviation: when more than {@link WALK_LIMIT} records wait for the reordering timer, it is set by
 * an upper bound of RFC 8985's maximum, so that an ACK costs a bounded number of steps.
 */
import type { Delivery } from "./delivery.js";
import type { RecoveryRow } from "./recovery-row.js";
import { RecoveryFlags, RecoveryState } from "./recovery-state.js";
import type { SentQueue } from "./sent-queue.js";
import { EVER_RETRANS, NO_RECORD, RETRANS } from "./sent-records.js";
import { after, before, diff, type Seq } from "./seq.js";

// @rfc 8985 §6.2 yes
// @rfc 8985 §6.3 yes
/** DupThresh, RFC 8985 §3.3. */
export const DUP_THRESH = 3;
/** Linux's tcp_max_reordering. */
const MAX_REORDER_SEGMENTS = 300;
const MAX_REO_WND_MULT = 255;
/** Recoveries that a widened reordering window lasts (RFC 8985 §6.2 step 4). */
const REO_WND_PERSIST = 16;
const WALK_LIMIT = 64;

export function resetRack(c: RecoveryRow): void {
  c.rackXmitUs = 0;
  c.rackRttUs = 0;
  c.reoWndMult = 1;
  c.reoWndPersist = REO_WND_PERSIST;
  c.reorderSegments = DUP_THRESH;
  const { RACK, FACK, REORDERED, DSACK_ROUND } = RecoveryFlags;
  c.recoveryFlags = c.recoveryFlags & ~(RACK | FACK | REORDERED | DSACK_ROUND);
}

/** Hot path. RFC 8985 §6.2 steps 1 and 2 for a record that was just delivered. */
export function rackAdvance(
  c: RecoveryRow,
  d: Delivery,
  xmitUs: number,
  end: Seq,
  flags: number,
  nowUs: number,
): void {
  const rttUs = nowUs - xmitUs;
  // Too early for the retransmission: the original arrived.
  if ((flags & EVER_RETRANS) !== 0 && rttUs < c.minRttUs / 2) return;
  c.rackRttUs = rttUs;
  d.rackAdvanced = true;
  if ((c.recoveryFlags & RecoveryFlags.RACK) !== 0) {
    const lastUs = c.rackXmitUs;
    if (xmitUs < lastUs || (xmitUs === lastUs && !after(end, c.rackEndSeq))) return;
  }
  c.rackXmitUs = xmitUs;
  c.rackEndSeq = end;
  c.recoveryFlags = c.recoveryFlags | RecoveryFlags.RACK;
}

/** Hot path. RFC 8985 §6.2 step 3: a range never sent again, delivered below a higher one, was reordered. */
export function noteReordering(c: RecoveryRow, seq: Seq, end: Seq, flags: number): void {
  const known = (c.recoveryFlags & RecoveryFlags.FACK) !== 0;
  if (!known || after(end, c.fackSeq)) {
    c.fackSeq = end;
    c.recoveryFlags = c.recoveryFlags | RecoveryFlags.FACK;
    return;
  }
  if ((flags & EVER_RETRANS) !== 0 || !before(end, c.fackSeq)) return;
  setReordered(c, seq);
}

/** A spurious fast retransmission was undone: what was deemed lost from `una` on had been reordered. */
export function noteSpuriousLoss(c: RecoveryRow, una: Seq): void {
  if ((c.recoveryFlags & RecoveryFlags.FACK) === 0 || !before(una, c.fackSeq)) return;
  setReordered(c, una);
}

function setReordered(c: RecoveryRow, seq: Seq): void {
  const segments = Math.ceil(diff(c.fackSeq, seq) / c.sndMss);
  c.recoveryFlags = c.recoveryFlags | RecoveryFlags.REORDERED;
  c.reorderSegments = Math.min(MAX_REORDER_SEGMENTS, Math.max(c.reorderSegments, segments));
}

/**
 * RFC 8985 §6.2 step 4: DSACK widens the reordering window, at most once a round trip. As in Linux,
 * only on paths where reordering was seen.
 */
export function adaptReoWnd(c: RecoveryRow, sawDsack: boolean, ack: Seq): void {
  const flags = c.recoveryFlags;
  if ((flags & RecoveryFlags.DSACK_ROUND) !== 0 && !before(ack, c.dsackRoundSeq)) {
    c.recoveryFlags = flags & ~RecoveryFlags.DSACK_ROUND;
  }
  const { DSACK_ROUND, REORDERED } = RecoveryFlags;
  if (!sawDsack || (c.recoveryFlags & (DSACK_ROUND | REORDERED)) !== REORDERED) return;
  c.dsackRoundSeq = c.sndNxt;
  c.recoveryFlags = c.recoveryFlags | RecoveryFlags.DSACK_ROUND;
  c.reoWndMult = Math.min(MAX_REO_WND_MULT, c.reoWndMult + 1);
  c.reoWndPersist = REO_WND_PERSIST;
}

/** A recovery is over without DSACK: after 16 of them the window is narrow again. */
export function recoveryEnded(c: RecoveryRow): void {
  if (c.reoWndMult === 1) return;
  c.reoWndPersist = c.reoWndPersist - 1;
  if (c.reoWndPersist <= 0) c.reoWndMult = 1;
}

/** RACK_update_reo_wnd, RFC 8985 §6.2. */
export function reoWndUs(c: RecoveryRow): number {
  if ((c.recoveryFlags & RecoveryFlags.REORDERED) === 0) {
    if (c.recoveryState >= RecoveryState.RECOVERY) return 0;
    if (c.sackedBytes >= DUP_THRESH * c.sndMss) return 0;
  }
  return Math.min((c.reoWndMult * c.minRttUs) / 4, c.srttUs);
}

/**
 * RFC 8985 §6.2 step 5: marks what is lost by now. Returns the microseconds after which more may
 * be, or 0.
 */
export function detectLosses(q: SentQueue, c: RecoveryRow, d: Delivery, nowUs: number): number {
  if ((c.recoveryFlags & RecoveryFlags.RACK) === 0) return 0;
  const windowUs = c.rackRttUs + reoWndUs(c);
  const rackXmitUs = c.rackXmitUs;
  let waitUs = 0;
  let waiting = 0;
  let r = c.timeHead;
  while (r !== NO_RECORD) {
    const next = q.listNextOf(r);
    const xmitUs = q.xmitUsOf(r);
    if (xmitUs > rackXmitUs || (xmitUs === rackXmitUs && !after(c.rackEndSeq, q.endOf(r)))) break;
    const remainingUs = xmitUs + windowUs - nowUs;
    if (remainingUs <= 0) {
      markLost(q, c, d, r);
    } else {
      waitUs = Math.max(waitUs, remainingUs);
      if (++waiting > WALK_LIMIT) return rackXmitUs + windowUs - nowUs;
    }
    r = next;
  }
  return waitUs;
}

/** Marks a record lost and notes it in the delivery. */
export function markLost(q: SentQueue, c: RecoveryRow, d: Delivery, r: number): void {
  d.lostBytes += q.bytesOf(r);
  if ((q.flagsOf(r) & RETRANS) !== 0) d.lostRetransmission = true;
  q.markLost(c, r);
}

/** RFC 8985 §6.3: on a timeout the first record is lost, and all that RACK's time has passed for. */
export function markLossesOnTimeout(
  q: SentQueue,
  c: RecoveryRow,
  d: Delivery,
  nowUs: number,
): void {
  const isRack = (c.recoveryFlags & RecoveryFlags.SACK) !== 0;
  const windowUs = c.rackRttUs + reoWndUs(c);
  let r = c.timeHead;
  while (r !== NO_RECORD) {
    const next = q.listNextOf(r);
    const isDue = !isRack || q.xmitUsOf(r) + windowUs <= nowUs;
    if (isDue || r === c.headRecord) markLost(q, c, d, r);
    r = next;
  }
}
