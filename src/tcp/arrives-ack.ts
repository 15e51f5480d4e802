/**
 * The fifth step of RFC 9293 §3.10.7.4: the ACK field. Handshake, what the peer has received, its
 * window, and the way of our FIN. Loss recovery hears of every acceptable ACK.
 */
import { NEVER } from "../base/time.js";
import { Drop } from "../wire/drop.js";
import * as tcp from "../wire/tcp.js";
import { challenge } from "./challenge-ack.js";
import { onEvent } from "./close.js";
import type { TcpCore } from "./core.js";
import { becomeEstablished } from "./handshake.js";
import { handshakeDone } from "./listen.js";
import { Pressure } from "./memory.js";
import { followPathMtu } from "./path-mtu.js";
import { windowMoved } from "./persist.js";
import { tellWriter } from "./ready.js";
import { AckResult } from "./recovery.js";
import { replyReset } from "./reply.js";
import { Retry } from "./retries.js";
import { hasEarlierDeadline } from "./row-timers.js";
import { releaseSent } from "./send-queue.js";
import { advance, after, before, diff, notAfter, seqOf } from "./seq.js";
import { Event, State } from "./state.js";
import { Pending, TcbFlags, TcbOptions } from "./tcb.js";

/** Counts of probes that any sign of life resets: all but the timeouts and the backoff. */
const PROBES = (0xff << Retry.WINDOW_PROBES) | (0xff << Retry.KEEPALIVES);
const TIMEOUTS = 0xff << Retry.TIMEOUTS;

/** Fifth: the ACK field. */
export function checkAck(t: TcpCore): boolean {
  const c = t.c;
  const s = t.segment;
  if (!s.is(tcp.ACK)) {
    t.drop(Drop.TCP_NO_ACK);
    return false;
  }
  if (c.state === State.SYN_RECEIVED && !completeHandshake(t)) return false;
  if (after(s.ack, c.sndNxt)) {
    challenge(t, Drop.TCP_BAD_ACK); // RFC 5961 §5
    return false;
  }
  if (before(s.ack, advance(c.sndUna, -c.sndMaxWnd))) {
    challenge(t, Drop.TCP_BAD_ACK);
    return false;
  }
  // An old ACK says nothing new, but its text may.
  if (before(s.ack, c.sndUna)) return true;
  takeAck(t);
  if (c.state !== State.FREE && c.state !== State.CLOSED) return true;
  t.consume(); // the ACK of our FIN was the last thing to wait for
  return false;
}

/** SYN-RECEIVED: the ACK of our SYN, or RST for another. */
function completeHandshake(t: TcpCore): boolean {
  const c = t.c;
  const s = t.segment;
  if (notAfter(s.ack, c.sndUna) || after(s.ack, c.sndNxt)) {
    replyReset(t);
    t.drop(Drop.TCP_BAD_ACK);
    return false;
  }
  if (!handshakeDone(t)) return false;
  fillAckInfo(t, false);
  t.recovery.onAck(c, t.ackInfo, t.nowUs);
  c.sndUna = advance(c.iss, 1);
  becomeEstablished(t);
  // The SYN-ACK of a simultaneous open is a SYN: its window is not scaled.
  c.sndWnd = s.is(tcp.SYN) ? s.window : s.window << (c.scales & 0xff);
  c.sndMaxWnd = c.sndWnd;
  c.sndWl1 = s.seq;
  c.sndWl2 = s.ack;
  if (!c.has(TcbFlags.UNACCEPTED)) t.host.changed(c);
  t.want(Pending.OUTPUT);
  // `shutdown` before the handshake was over.
  if (c.has(TcbFlags.FIN_QUEUED)) onEvent(t, Event.CALL_CLOSE);
  return true;
}

/** Hot path. What loss recovery hears of the current segment. */
export function fillAckInfo(t: TcpCore, windowChanged: boolean): void {
  const c = t.c;
  const s = t.segment;
  const a = t.ackInfo;
  const o = s.options;
  a.ack = s.ack;
  a.hasTs = o.hasTimestamps && (c.options & TcbOptions.TIMESTAMPS) !== 0;
  a.tsEcrMs = (o.tsEcr - c.tsOffset) | 0;
  a.ece = s.is(tcp.ECE) && (c.options & TcbOptions.ECN) !== 0;
  a.hasData = s.end !== s.seq;
  a.windowChanged = windowChanged;
  const n = (c.options & TcbOptions.SACK) !== 0 ? o.sackBlocks : 0;
  a.sackCount = n;
  for (let k = 0; k < 2 * n; k++) a.sackBlocks[k] = o.sack[k]!;
}

/**
 * Hot path. An ACK in SND.UNA =< SEG.ACK =< SND.NXT: frees what it covers, moves the window, and
 * asks for output. Our FIN's ACK changes the state, which may end the connection.
 */
export function takeAck(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  const window = s.window << (c.scales & 0xff);
  const isNews = after(s.ack, c.sndUna);
  // RFC 9293 §3.10.7.4. Deviation: at the same numbers only a larger window counts, or a closed
  // one, as in Linux: a smaller one is an old segment that was overtaken.
  const mayMove =
    isNews || after(s.seq, c.sndWl1) || (s.seq === c.sndWl1 && (window > c.sndWnd || window === 0));
  const windowChanged = mayMove && window !== c.sndWnd;
  c.retries &= isNews ? ~(PROBES | TIMEOUTS) : ~PROBES;
  let isLifted = false;
  // With nothing in flight, a report of a duplicate may still undo the last reduction (RFC 3708).
  if (c.sndNxt !== c.sndUna || s.options.sackBlocks > 0) {
    fillAckInfo(t, windowChanged);
    const result = t.recovery.onAck(c, t.ackInfo, t.nowUs);
    isLifted = (result & AckResult.MSS_LIFTED) !== 0;
    if ((result & AckResult.SEND_CWR) !== 0) c.flags |= TcbFlags.CWR;
    if ((result & AckResult.NEEDS_RETRANSMIT) !== 0) t.want(Pending.RETRANSMIT);
    if ((result & AckResult.PROGRESS) !== 0) t.host.confirmReachable(c);
  }
  if (mayMove) {
    c.sndWl1 = s.seq;
    c.sndWl2 = s.ack;
    c.sndWnd = window;
    if (window > c.sndMaxWnd) c.sndMaxWnd = window;
  }
  if (isNews) acknowledge(t);
  if (c.state === State.FREE || c.state === State.CLOSED) return;
  if (isLifted) followPathMtu(t);
  windowMoved(t);
  if (hasOutput(t)) t.want(Pending.OUTPUT);
}

/** Hot path. Whether the output pass may have something to send, or a timer to set earlier. */
function hasOutput(t: TcpCore): boolean {
  const c = t.c;
  if ((c.flags & (TcbFlags.FIN_QUEUED | TcbFlags.FIN_SENT)) !== 0) return true;
  if (c.sndQueuedBytes !== diff(c.sndNxt, c.sndUna)) return true;
  return hasEarlierDeadline(t);
}

/** Hot path. SND.UNA moves to SEG.ACK. */
function acknowledge(t: TcpCore): void {
  const c = t.c;
  const ack = t.segment.ack;
  const finAcked = c.has(TcbFlags.FIN_SENT) && ack === c.sndNxt;
  const bytes = diff(ack, c.sndUna) - (finAcked ? 1 : 0);
  if (bytes > 0) releaseSent(t, bytes);
  // A stale mark must not come to lie ahead when the numbers wrap.
  if (before(c.sndSml, c.sndUna)) c.sndSml = c.sndUna;
  c.sndUna = seqOf(ack);
  if (c.has(TcbFlags.SND_URGENT) && !before(ack, c.sndUp)) c.flags &= ~TcbFlags.SND_URGENT;
  c.softError = 0;
  if (c.userTimeoutMs !== 0 && (c.options & TcbOptions.KEEPALIVE) === 0) c.stateAtUs = NEVER;
  if (!c.has(TcbFlags.SNDBUF_LOCKED)) growSendBuffer(t);
  if (c.has(TcbFlags.SND_FULL)) tellWriter(t);
  if (finAcked) onEvent(t, Event.RCV_ACK_OF_FIN);
}

/** Hot path. The send buffer holds two windows, as Linux's autotuning has it. */
function growSendBuffer(t: TcpCore): void {
  const c = t.c;
  const wanted = 2 * c.cwnd;
  if (wanted <= c.sndBufBytes || t.pressure !== Pressure.NONE) return;
  const most = t.settings.wmemMaxBytes;
  c.sndBufBytes = wanted < most ? wanted : most;
}
