/**
 * Data from one connection to its other end on the same host, without a segment: both rows are set as they
 * would be had the data been sent, received, read and acknowledged in one moment. Whoever serves both ends moves
 * the bytes.
 *
 * That needs two ends that agree: nothing is in flight either way, nothing waits to be sent or read before it. What
 * has arrived and is not acknowledged yet is acknowledged first, as by the segment that would have carried the data.
 * Everything else, and everything that is not plain data (urgent, corked, the end of the stream), goes as segments;
 * they follow on in sequence.
 */
import type { TcpCore } from "./core.js";
import { ackSent } from "./delayed-ack.js";
import { takeExpectedAck } from "./expected-ack.js";
import { RecoveryFlags } from "./recovery-state.js";
import { diff, type Seq } from "./seq.js";
import { State } from "./state.js";
import { Pending, type Tcb, TcbFlags, TcbOptions } from "./tcb.js";
import { needsWindowUpdate, rcvShift, windowField } from "./window.js";

/** What {@link mayHandOver} found. */
export const HandOver = {
  /** It goes as segments. */
  NO: 0,
  YES: 1,
  /** Not while what was sent as segments is on its way, or unread: then perhaps. */
  SOON: 2,
} as const;

const { ESTABLISHED } = State;
const { TIMESTAMPS } = TcbOptions;
const SENDER_FLAGS =
  TcbFlags.FIN_QUEUED |
  TcbFlags.FIN_SENT |
  TcbFlags.SND_URGENT |
  TcbFlags.ECE |
  TcbFlags.CWR |
  TcbFlags.MORE |
  TcbFlags.CORK_EXPIRED |
  TcbFlags.DEAD;
const RECEIVER_FLAGS =
  TcbFlags.FIN_QUEUED |
  TcbFlags.FIN_SENT |
  TcbFlags.FIN_RECEIVED |
  TcbFlags.RCV_SHUTDOWN |
  TcbFlags.URGENT |
  TcbFlags.DSACK |
  TcbFlags.DEAD;

/**
 * Hot path. Whether data of the row `from` may be handed to `to`, now (`HandOver`). They need not be two ends of one
 * connection any more. Selects a row.
 */
export function mayHandOver(t: TcpCore, from: number, to: number): number {
  const a = t.c.select(from);
  const b = t.other.select(to);
  const { ports } = a;
  if (
    from === to ||
    a.state !== ESTABLISHED ||
    b.state !== ESTABLISHED ||
    b.ports !== ((ports << 16) | (ports >>> 16)) ||
    (a.flags & SENDER_FLAGS) !== 0 ||
    (b.flags & RECEIVER_FLAGS) !== 0 ||
    (a.error | b.error) !== 0 ||
    (a.options & TcbOptions.CORK) !== 0 ||
    a.recoveryState !== 0 ||
    (a.recoveryFlags & RecoveryFlags.TLP) !== 0 ||
    b.oooHead >= 0 ||
    (a.sackedBytes | a.lostBytes | a.retransBytes) !== 0
  ) {
    return HandOver.NO;
  }
  const sent = a.sndNxt;
  const answered = b.sndNxt;
  const queued = a.sndQueuedBytes;
  if (
    b.rcvNxt !== sent ||
    a.rcvNxt !== answered ||
    queued !== diff(sent, a.sndUna) ||
    b.sndQueuedBytes !== diff(answered, b.sndUna) ||
    b.rcvQueuedBytes !== 0
  ) {
    return HandOver.SOON;
  }
  const isAnswered = b.sndUna === answered;
  if (queued !== 0 && !acknowledge(t, to, from)) return HandOver.SOON;
  if (!isAnswered && !acknowledge(t, from, to)) return HandOver.SOON;
  // Segments that follow find the window as it is now.
  t.c.select(to);
  if (!needsWindowUpdate(t)) return HandOver.YES;
  t.want(Pending.ACK_NOW);
  return HandOver.SOON;
}

/** The row `by` has received all that `of` has sent: `of` knows of it now. False when only a segment can say so. */
function acknowledge(t: TcpCore, by: number, of: number): boolean {
  const { c } = t;
  c.select(by);
  const window = windowField(t) << rcvShift(c.scales);
  const ack = c.rcvNxt;
  c.select(of);
  const isTaken = takeExpectedAck(t, ack, window);
  c.select(by);
  if (isTaken) ackSent(t);
  else t.want(Pending.ACK_NOW);
  return isTaken;
}

/** Hot path. `n` bytes of the row `from` are with the reader of `to`. Precondition: {@link mayHandOver} has just said YES. */
export function handOver(t: TcpCore, from: number, to: number, n: number): void {
  const { nowUs } = t;
  const nowMs = t.nowMs & 0x7fffffff;
  const a = t.c.select(from);
  const b = t.other.select(to);
  const start = a.sndNxt;
  const end = ((start + n) | 0) as Seq;
  const segments = n <= a.sndMss ? 1 : Math.ceil(n / a.sndMss);
  a.sndUna = end;
  a.sndNxt = end;
  a.sndWl2 = end;
  setWindow(a, diff(b.rcvAdv, b.rcvNxt));
  // None of them may fall half the sequence space behind.
  a.sndSml = end;
  a.cwndUsageSeq = end;
  a.roundEndSeq = end;
  a.fackSeq = end;
  a.rackEndSeq = end;
  a.lastSendUs = nowUs;
  a.lastRcvUs = nowUs;
  a.lastSentMs = nowMs;
  a.bytesSent += n;
  a.bytesAcked += n;
  a.dataSegsOut = (a.dataSegsOut + segments) | 0;
  a.segsOut = (a.segsOut + segments) | 0;
  a.deliveredSegments = (a.deliveredSegments + segments) | 0;
  b.sndWl1 = start;
  setWindow(b, diff(a.rcvAdv, a.rcvNxt));
  b.rcvNxt = end;
  b.rcvAcked = end;
  b.rcvAdv = ((b.rcvAdv + n) | 0) as Seq;
  b.rcvCopied = ((b.rcvCopied + n) | 0) as Seq;
  b.rcvRttSeq = ((b.rcvRttSeq + n) | 0) as Seq;
  b.lastRcvUs = nowUs;
  b.lastDataRcvMs = nowMs;
  b.bytesReceived += n;
  b.segsIn = (b.segsIn + segments) | 0;
  b.dataSegsIn = (b.dataSegsIn + segments) | 0;
  if ((a.options & TIMESTAMPS) !== 0) {
    a.tsRecent = (t.nowMs + b.tsOffset) | 0;
    b.tsRecent = (t.nowMs + a.tsOffset) | 0;
    a.tsRecentSeconds = (nowUs * 1e-6) | 0;
    b.tsRecentSeconds = a.tsRecentSeconds;
  }
  const { counts, k } = t;
  counts[k.handed]! += 1;
  counts[k.handedBytes]! += n;
}

/** Hot path. A segment that says so and is still on its way will be an old one. */
function setWindow(c: Tcb, bytes: number): void {
  c.sndWnd = bytes;
  if (bytes > c.sndMaxWnd) c.sndMaxWnd = bytes;
}
