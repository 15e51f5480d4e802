/**
 * The SACK scoreboard: applies an ACK's cumulative part and its SACK blocks (RFC 2018, RFC 2883) to
 * the sent queue and collects what they deliver. Blocks that say what cannot be are ignored, as
 * RFC 5961 does for ACKs; each block costs a bounded search (sent-queue.ts).
 */
import type { AckInfo } from "./ack-info.js";
import { Delivery } from "./delivery.js";
import { noteReordering, rackAdvance } from "./rack.js";
import type { RecoveryRow } from "./recovery-row.js";
import { RecoveryFlags } from "./recovery-state.js";
import { msOf } from "./rtt.js";
import type { SentQueue } from "./sent-queue.js";
import { EVER_RETRANS, NO_RECORD, SACKED } from "./sent-records.js";
import { after, before, diff, notAfter, type Seq } from "./seq.js";

// @rfc 2018 §5 yes
// @rfc 2018 §8 yes
// @rfc 2883 §4 yes
// @rfc 6675 §4 partly
/** Hot path. Frees what `ack.ack` covers. */
export function applyAck(
  q: SentQueue,
  c: RecoveryRow,
  d: Delivery,
  ack: AckInfo,
  nowUs: number,
): void {
  let r = c.headRecord;
  while (r !== NO_RECORD && notAfter(q.endOf(r), ack.ack)) {
    ackRange(q, c, d, r, q.endOf(r), ack, nowUs);
    q.dropHead(c);
    r = c.headRecord;
  }
  if (r === NO_RECORD || !before(q.seqOf(r), ack.ack)) return;
  ackRange(q, c, d, r, ack.ack, ack, nowUs);
  q.trimHead(c, ack.ack);
}

/** The head record is acknowledged up to `end`. */
function ackRange(
  q: SentQueue,
  c: RecoveryRow,
  d: Delivery,
  r: number,
  end: Seq,
  ack: AckInfo,
  nowUs: number,
): void {
  const bytes = diff(end, q.seqOf(r));
  const flags = q.flagsOf(r);
  d.ackedBytes += bytes;
  if ((flags & EVER_RETRANS) !== 0) d.retransmissionAcked = true;
  if ((flags & SACKED) !== 0) return; // its delivery is old news
  d.deliveredBytes += bytes;
  const xmitUs = q.xmitUsOf(r);
  if ((flags & EVER_RETRANS) === 0) {
    if (d.firstXmitUs === Delivery.NONE || xmitUs < d.firstXmitUs) d.firstXmitUs = xmitUs;
    if (xmitUs > d.lastXmitUs) d.lastXmitUs = xmitUs;
    if (notAfter(end, c.recoverySeq)) d.originalDelivered = true;
  }
  noteReordering(c, q.seqOf(r), end, flags);
  if ((flags & EVER_RETRANS) !== 0 && isEchoBefore(ack, xmitUs)) return;
  rackAdvance(c, d, xmitUs, end, flags, nowUs);
}

/**
 * The echoed timestamp is from before a retransmission: the original was delivered, whose time is
 * not known. Means nothing in ACKs of what came out of order, which echo older timestamps
 * (RFC 7323 §4.3).
 */
const isEchoBefore = (ack: AckInfo, xmitUs: number): boolean =>
  ack.hasTs && ((ack.tsEcrMs - msOf(xmitUs)) | 0) < 0;

/** Applies all blocks of the option, after `applyAck`. */
export function applySack(
  q: SentQueue,
  c: RecoveryRow,
  d: Delivery,
  ack: AckInfo,
  nowUs: number,
): void {
  const first = isDsack(ack) ? 1 : 0;
  if (first === 1) applyDsack(c, d, ack);
  for (let n = first; n < ack.sackCount; n++) {
    const left = ack.sackBlocks[2 * n]! as Seq;
    const right = ack.sackBlocks[2 * n + 1]! as Seq;
    if (isPlausible(c, ack, left, right)) applyBlock(q, c, d, ack, left, right, nowUs);
  }
}

/** RFC 2883 §4: the first block lies below the ACK, or inside the second block. */
function isDsack(ack: AckInfo): boolean {
  const b = ack.sackBlocks;
  const left = b[0]! as Seq;
  const right = b[1]! as Seq;
  if (!before(left, right)) return false;
  if (notAfter(right, ack.ack)) return true;
  if (ack.sackCount < 2) return false;
  return notAfter(b[2]! as Seq, left) && notAfter(right, b[3]! as Seq);
}

/**
 * A duplicate counts when it can be of what was sent again since the last reduction. More duplicates
 * than were ever sent again come from the network, which says nothing.
 */
function applyDsack(c: RecoveryRow, d: Delivery, ack: AckInfo): void {
  const left = ack.sackBlocks[0]! as Seq;
  const right = ack.sackBlocks[1]! as Seq;
  const bytes = diff(right, left);
  if (after(right, c.sndNxt) || bytes > MAX_DSACK_BYTES) return;
  c.dsackSegments = (c.dsackSegments + Math.ceil(bytes / c.sndMss)) | 0;
  if (c.dsackSegments > c.totalRetrans) return;
  d.dsackBytes = bytes;
  const isProbe = (c.recoveryFlags & RecoveryFlags.TLP) !== 0 && right === c.tlpEndSeq;
  d.dsackOfProbe = isProbe;
  if ((c.recoveryFlags & RecoveryFlags.UNDO) === 0 || c.undoRetransBytes <= 0) return;
  if (before(left, c.undoMarker)) return;
  c.undoRetransBytes = Math.max(0, c.undoRetransBytes - bytes);
}

const MAX_DSACK_BYTES = 1 << 30;

function isPlausible(c: RecoveryRow, ack: AckInfo, left: Seq, right: Seq): boolean {
  return before(left, right) && notAfter(right, c.sndNxt) && after(right, ack.ack);
}

function applyBlock(
  q: SentQueue,
  c: RecoveryRow,
  d: Delivery,
  ack: AckInfo,
  left: Seq,
  right: Seq,
  nowUs: number,
): void {
  let r = q.find(c, before(left, ack.ack) ? ack.ack : left);
  if (r === NO_RECORD) return;
  if (before(q.seqOf(r), left) && (q.flagsOf(r) & SACKED) === 0) {
    r = q.split(c, r, left);
  }
  while (r !== NO_RECORD && before(q.seqOf(r), right)) {
    if ((q.flagsOf(r) & SACKED) === 0) {
      if (after(q.endOf(r), right) && q.split(c, r, right) === NO_RECORD) return;
      r = sackRecord(q, c, d, r, nowUs);
    }
    r = q.nextOf(r);
  }
}

/** The record is delivered out of order. Returns the record that covers it now. */
function sackRecord(q: SentQueue, c: RecoveryRow, d: Delivery, r: number, nowUs: number): number {
  const flags = q.flagsOf(r);
  const bytes = q.bytesOf(r);
  const xmitUs = q.xmitUsOf(r);
  const end = q.endOf(r);
  d.deliveredBytes += bytes;
  d.sackedBytes += bytes;
  if ((flags & EVER_RETRANS) === 0) {
    if (d.firstSackXmitUs === Delivery.NONE || xmitUs < d.firstSackXmitUs) {
      d.firstSackXmitUs = xmitUs;
    }
    if (notAfter(end, c.recoverySeq)) d.originalDelivered = true;
  }
  noteReordering(c, q.seqOf(r), end, flags);
  rackAdvance(c, d, xmitUs, end, flags, nowUs);
  return q.markSacked(c, r);
}
