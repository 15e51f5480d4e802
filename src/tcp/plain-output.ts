/**
 * The output pass of a connection that asks or answers: nothing is in flight, and what waits is one
 * short segment that nothing holds back. Everything that `output.ts` would look at on its way is
 * checked here first; whatever else there is to send goes that way.
 *
 * Nagle's algorithm never holds back the only segment in flight (RFC 9293 §3.7.4); neither do the
 * windows when they have room for it.
 *
 * The segment goes to the device first, where the device has a place for it (`TcpHost.place`), and is
 * put down in the row after that: who waits for it does not wait for our books.
 *
 * Measured: half a round trip of 64 bytes between two stacks of one process, 1,820 ns with a frame slot,
 * 1,540 in place (node 20.20, 2 busy cores, 2026-11).
 */
import { fold } from "../base/checksum.js";
import { copyInside } from "../base/copy.js";
import { NEVER } from "../base/time.js";
import * as tcp from "../wire/tcp.js";
import { ALIGNED_TIMESTAMPS, TIMESTAMPS_BYTES } from "../wire/tcp-options.js";
import type { TcpCore } from "./core.js";
import { PINGPONG, QUICK_MASK } from "./delayed-ack.js";
import { sendInTurn } from "./lockstep.js";
import { RecoveryFlags, TimerKind } from "./recovery-state.js";
import { SegmentFlags } from "./segment-flags.js";
import { dataAt } from "./send-queue.js";
import { NO_RECORD } from "./sent-records.js";
import type { Seq } from "./seq.js";
import { State } from "./state.js";
import { Pending, TcbFlags, TcbOptions } from "./tcb.js";
import { MAX_DELAYED_ACK_US, restartTimer } from "./timers.js";
import { windowField } from "./window.js";

const UNUSUAL_FLAGS =
  TcbFlags.FIN_QUEUED |
  TcbFlags.FIN_SENT |
  TcbFlags.SND_URGENT |
  TcbFlags.ECE |
  TcbFlags.CWR |
  TcbFlags.DSACK |
  TcbFlags.MORE |
  TcbFlags.CORK_EXPIRED;
const UNUSUAL_OPTIONS = TcbOptions.CORK | TcbOptions.ECN;
const { TIMESTAMPS } = TcbOptions;
const { ESTABLISHED } = State;
const { TLP_PENDING, CWND_LIMITED, SACK, TLP } = RecoveryFlags;
/** `mayProbe`. */
const PROBED = SACK | RecoveryFlags.ESTABLISHED;
const PROBE_MASK = PROBED | TLP;
const TIMER_NONE = TimerKind.NONE;
const TIMER_PROBE = TimerKind.PROBE;
const NO_ACK = ~(Pending.ACK_NOW | Pending.ACK_DELAYED);
const NOT_DUE: number = NEVER;
const HEADER_BYTES: number = tcp.HEADER_BYTES;
const CHECKSUM_AT: number = tcp.CHECKSUM_AT;
const { CHECKSUM_PARTIAL } = SegmentFlags;
/** Longer segments gain nothing. */
const SHORT_BYTES = 1_024;
const CONTROL = (tcp.ACK | tcp.PSH) << 16;
/** IP protocol number, part of the pseudo-header. */
const PROTOCOL = 6;

/** Hot path. Whether all that the selected row has to send is one plain segment, which has gone out. */
export function sendPlain(t: TcpCore): boolean {
  const c = t.c;
  if (c.row === t.lockstep.row && sendInTurn(t, null, 0)) return true;
  const n = c.sndQueuedBytes;
  if (
    n === 0 ||
    n > SHORT_BYTES ||
    c.state !== ESTABLISHED ||
    c.sndNxt !== c.sndUna ||
    n > c.sndWnd ||
    n > c.sndMss ||
    n > c.cwnd ||
    c.sndHead !== c.sndTail ||
    c.oooHead >= 0 ||
    (c.flags & UNUSUAL_FLAGS) !== 0 ||
    (c.options & UNUSUAL_OPTIONS) !== 0 ||
    c.recoveryState !== 0 ||
    c.headRecord !== NO_RECORD ||
    (c.recoveryFlags & TLP_PENDING) !== 0 ||
    (c.sackedBytes | c.lostBytes | c.retransBytes | c.renoSackedBytes) !== 0 ||
    t.nowUs - c.lastSendUs > c.rtoUs
  ) {
    return false;
  }
  const headerBytes =
    (c.options & TIMESTAMPS) !== 0 ? HEADER_BYTES + TIMESTAMPS_BYTES : HEADER_BYTES;
  const at = t.host.place(c, headerBytes + n);
  if (at >= 0) {
    writeSegment(t, at, headerBytes, n);
    t.host.sendPlaced();
    noteSent(t, n);
    return true;
  }
  const s = t.slots;
  const slot = s.take();
  if (slot < 0) return false;
  const slotAt = s.limit(slot) - s.roomBytes(slot);
  writeSegment(t, slotAt, headerBytes, n);
  s.at[slot] = slotAt;
  s.end[slot] = slotAt + headerBytes + n;
  s.l4At[slot] = slotAt;
  s.csumStart[slot] = slotAt;
  s.csumOffset[slot] = CHECKSUM_AT;
  s.gsoBytes[slot] = 0;
  s.flags[slot] = CHECKSUM_PARTIAL;
  noteSent(t, n);
  t.host.transmit(c, slot);
  return true;
}

/** Hot path. Header and payload. */
function writeSegment(t: TcpCore, at: number, headerBytes: number, n: number): void {
  const c = t.c;
  const s = t.slots;
  const { view } = s;
  view.setInt32(at, c.ports);
  view.setInt32(at + 4, c.sndNxt);
  view.setInt32(at + 8, c.rcvNxt);
  view.setInt32(at + 12, (headerBytes << 26) | CONTROL | windowField(t));
  view.setInt32(at + 16, fold(c.pseudoSum + PROTOCOL + headerBytes + n) << 16);
  if (headerBytes !== HEADER_BYTES) {
    view.setInt32(at + 20, ALIGNED_TIMESTAMPS);
    view.setInt32(at + 24, (t.nowMs + c.tsOffset) | 0);
    view.setInt32(at + 28, c.tsRecent);
  }
  // The slot may begin with bytes that were acknowledged before.
  const from = (dataAt(s, c.sndHead) + ((c.sndNxt - s.seq[c.sndHead]!) | 0)) | 0;
  copyInside(view, s.bytes, at + headerBytes, from, n);
}

/** Hot path. As `sendNewSegment`: `ackSent`, `Recovery.sent` and `dataSent` in one function. */
function noteSent(t: TcpCore, n: number): void {
  const c = t.c;
  const start = c.sndNxt;
  const end = ((start + n) | 0) as Seq;
  let acks = c.ackState;
  if ((acks & QUICK_MASK) !== 0 && c.rcvNxt !== c.rcvAcked) acks = (acks - 1) | 0;
  c.rcvAcked = c.rcvNxt;
  c.pending &= NO_ACK;
  c.delackAtUs = NOT_DUE;
  c.sndCursor = c.sndHead;
  if (n !== c.sndMss) c.sndSml = end;
  c.sndNxt = end;
  t.recovery.queue.pushSingle(c, start, end, t.nowUs);
  c.lastSendUs = t.nowUs;
  const isFull = n + c.sndMss > c.cwnd;
  const flags = c.recoveryFlags;
  const wasFull = (flags & CWND_LIMITED) !== 0;
  if (isFull || ((c.cwndUsageSeq - c.sndUna) | 0) <= 0 || (!wasFull && n > c.maxFlightBytes)) {
    c.recoveryFlags = isFull ? flags | CWND_LIMITED : flags & ~CWND_LIMITED;
    c.maxFlightBytes = n;
    c.cwndUsageSeq = end;
  }
  if (c.timerKind === TIMER_NONE) startTimer(t);
  const nowMs = t.nowMs & 0x7fffffff;
  c.lastSentMs = nowMs;
  const lastMs = c.lastDataRcvMs;
  if (lastMs !== 0 && (nowMs - lastMs) * 1000 < c.delackUs) acks |= PINGPONG;
  c.ackState = acks;
  c.bytesSent += n;
  c.dataSegsOut = (c.dataSegsOut + 1) | 0;
  c.segsOut = (c.segsOut + 1) | 0;
  t.counts[t.k.outSegs]! += 1;
}

/** Hot path. As `restartTimer`, for a single segment that was sent now. */
function startTimer(t: TcpCore): void {
  const c = t.c;
  const isProbed = (c.recoveryFlags & PROBE_MASK) === PROBED;
  if (!isProbed || c.srtt16 === 0 || c.backoff !== 0) {
    restartTimer(t.recovery.queue, c, t.nowUs);
    return;
  }
  const waitUs = 2 * (c.srtt16 >> 4) + MAX_DELAYED_ACK_US;
  const rtoUs = c.rtoUs;
  c.timerKind = TIMER_PROBE;
  c.timerAtUs = t.nowUs + (rtoUs > 0 && rtoUs < waitUs ? rtoUs : waitUs);
}
