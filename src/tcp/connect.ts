/**
 * Active open: `connect` (RFC 9293 §3.10.1) and the segments that arrive in SYN-SENT (§3.10.7.3),
 * simultaneous open included. Retries and ETIMEDOUT are retransmit.ts's.
 */
import { EADDRINUSE, ECONNREFUSED, EINPROGRESS, ENETUNREACH } from "../base/errno.js";
import { Drop } from "../wire/drop.js";
import * as tcp from "../wire/tcp.js";
import { fillAckInfo } from "./arrives-ack.js";
import { checkFin, checkUrgent, takeText } from "./arrives-text.js";
import type { TcpCore } from "./core.js";
import {
  acceptEcn,
  acceptSyn,
  becomeEstablished,
  ecnMode,
  prepareHandshake,
  synSent,
} from "./handshake.js";
import { replyReset } from "./reply.js";
import { endWithError, unbind } from "./rows.js";
import { sendSyn } from "./segment-writer.js";
import { advance, after, notAfter } from "./seq.js";
import { Event, next } from "./state.js";
import { Pending, TcbFlags, TcbOptions } from "./tcb.js";
import { tsNow } from "./timestamps.js";

const LOCKS = TcbFlags.SNDBUF_LOCKED | TcbFlags.RCVBUF_LOCKED;
const AGREED = TcbOptions.TIMESTAMPS | TcbOptions.SACK | TcbOptions.SCALING | TcbOptions.ECN;

/** Sends the SYN of the selected CLOSED row, whose addresses are set: -EINPROGRESS, or why not. */
export function connectRow(t: TcpCore): number {
  const c = t.c;
  if (!t.host.bindFlow(c, 0)) return -EADDRINUSE;
  // A socket may try again after an attempt that failed: nothing of that one may be left.
  c.flags = (c.flags & LOCKS) | TcbFlags.BOUND;
  c.options &= ~AGREED;
  c.retries = 0;
  c.error = 0;
  c.softError = 0;
  if (!prepareHandshake(t)) {
    unbind(t);
    return -ENETUNREACH;
  }
  c.state = next(c.state, Event.CALL_CONNECT);
  t.counts[t.k.activeOpens]! += 1;
  const wantsEcn = ecnMode(c.options) === 1;
  sendSyn(t, wantsEcn ? tcp.SYN | tcp.ECE | tcp.CWR : tcp.SYN, tsNow(t));
  synSent(t);
  t.want(Pending.TIMER);
  return -EINPROGRESS;
}

/** A segment for a row in SYN-SENT. */
export function synSentArrives(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  // First, check the ACK bit.
  if (s.is(tcp.ACK) && (notAfter(s.ack, c.iss) || after(s.ack, c.sndNxt))) {
    replyReset(t);
    t.drop(Drop.TCP_BAD_ACK);
    return;
  }
  // Second, check the RST bit. Third, security: none.
  if (s.is(tcp.RST)) {
    if (!s.is(tcp.ACK)) {
      t.drop(Drop.TCP_BAD_RESET);
      return;
    }
    t.consume();
    t.counts[t.k.attemptFails]! += 1;
    endWithError(t, ECONNREFUSED);
    return;
  }
  // Fourth, check the SYN bit.
  if (!s.is(tcp.SYN)) {
    t.drop(Drop.TCP_BAD_FLAGS);
    return;
  }
  acceptSyn(t, s);
  if (s.is(tcp.ACK)) openByAck(t);
  else openBySyn(t);
  t.host.changed(c);
}

/** SYN-ACK: the connection is there. Text that came with it is taken as well. */
function openByAck(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  if (s.is(tcp.ECE) && !s.is(tcp.CWR) && ecnMode(c.options) === 1) c.options |= TcbOptions.ECN;
  fillAckInfo(t, false);
  t.recovery.onAck(c, t.ackInfo, t.nowUs);
  c.sndUna = s.ack;
  becomeEstablished(t);
  t.want(Pending.ACK_NOW | Pending.OUTPUT);
  s.seq = advance(s.seq, 1);
  openWindow(t);
  if (s.dataBytes > 0 || s.is(tcp.FIN)) {
    checkUrgent(t);
    takeText(t);
    checkFin(t);
  }
  t.consume();
}

/** The window that the SYN offered, counted from the peer's first byte. */
function openWindow(t: TcpCore): void {
  const c = t.c;
  c.rcvAdv = advance(c.rcvNxt, Math.min(c.rcvBufBytes, 0xffff));
}

/** SYN without ACK: simultaneous open (MUST-10). */
function openBySyn(t: TcpCore): void {
  const c = t.c;
  c.state = next(c.state, Event.RCV_SYN);
  const ecn = acceptEcn(t, t.segment);
  sendSyn(t, ecn ? tcp.SYN | tcp.ACK | tcp.ECE : tcp.SYN | tcp.ACK, tsNow(t));
  t.want(Pending.TIMER);
  t.consume();
}
