/**
 * Passive open: segments that arrive in LISTEN (RFC 9293 §3.10.7.2), the SYN queue and the accept
 * queue, TCP_DEFER_ACCEPT, and SYN cookies when the SYN queue is full (RFC 4987 §3.6).
 *
 * The accept queue holds `backlog` + 1 connections, as in Linux; as long as it is full, SYNs are
 * ignored; `backlog` handshakes may be under way, within minSynBacklog and maxSynBacklog.
 */
import { Drop } from "../wire/drop.js";
import * as tcp from "../wire/tcp.js";
import type { TcpCore } from "./core.js";
import {
  acceptEcn,
  acceptSyn,
  becomeEstablished,
  prepareHandshake,
  storeAddresses,
  synSent,
} from "./handshake.js";
import { linkAccept, linkSyn, promote } from "./listener-queues.js";
import { replyReset } from "./reply.js";
import { createRow, endConnection } from "./rows.js";
import { sendReset, sendSyn } from "./segment-writer.js";
import { advance } from "./seq.js";
import { Event, next } from "./state.js";
import { checkCookie, sendCookie } from "./syn-cookie.js";
import { Pending, TcbFlags } from "./tcb.js";
import { tsNow } from "./timestamps.js";

/** Makes the selected CLOSED row, whose local address is set, a listener. */
export function listenRow(t: TcpCore, backlog: number): void {
  const c = t.c;
  c.state = next(c.state, Event.CALL_LISTEN);
  c.acceptHead = -1;
  c.acceptTail = -1;
  c.acceptCount = 0;
  c.synHead = -1;
  c.synCount = 0;
  setBacklog(t, backlog);
}

/** Changes the backlog of the selected listener. */
export function setBacklog(t: TcpCore, backlog: number): void {
  t.c.backlog = Math.max(0, Math.min(backlog, t.settings.somaxconn));
}

const acceptQueueIsFull = (t: TcpCore): boolean => t.c.acceptCount > t.c.backlog;

function synQueueIsFull(t: TcpCore): boolean {
  const { minSynBacklog, maxSynBacklog } = t.settings;
  return t.c.synCount >= Math.min(Math.max(t.c.backlog, minSynBacklog), maxSynBacklog);
}

/** A segment for the selected listener. */
export function listenArrives(t: TcpCore): void {
  const s = t.segment;
  if (s.is(tcp.RST)) {
    t.drop(Drop.TCP_BAD_RESET);
  } else if (s.is(tcp.ACK)) {
    ackArrives(t);
  } else if (!s.is(tcp.SYN) || s.is(tcp.FIN)) {
    t.drop(Drop.TCP_BAD_FLAGS);
  } else {
    synArrives(t);
  }
}

function synArrives(t: TcpCore): void {
  const listener = t.c.row;
  if (acceptQueueIsFull(t)) {
    t.counts[t.k.listenOverflows]! += 1;
    t.drop(Drop.TCP_ACCEPT_QUEUE_FULL);
    return;
  }
  const isFull = synQueueIsFull(t);
  if (isFull || t.settings.synCookies === 2) {
    if (t.settings.synCookies === 0) t.drop(Drop.TCP_SYN_QUEUE_FULL);
    else sendCookie(t);
    return;
  }
  if (!createChild(t, listener)) return;
  const c = t.c;
  const s = t.segment;
  acceptSyn(t, s);
  c.state = next(c.state, Event.RCV_SYN);
  const flags = acceptEcn(t, s) ? tcp.SYN | tcp.ACK | tcp.ECE : tcp.SYN | tcp.ACK;
  sendSyn(t, flags, tsNow(t));
  synSent(t);
  linkSyn(t);
  t.counts[t.k.passiveOpens]! += 1;
  t.want(Pending.TIMER);
  t.consume();
}

/**
 * A row for the peer of the current segment, with what it inherits from its listener; selected.
 * False, with the segment dropped, when there is no row, no route, or the 4-tuple is taken.
 */
function createChild(t: TcpCore, listener: number): boolean {
  const s = t.segment;
  const info = s.info!;
  const ports = t.slots.l4At[s.slot]!;
  const remotePort = tcp.srcPort(t.slots.bytes, ports);
  const localPort = tcp.dstPort(t.slots.bytes, ports);
  if (createRow(t) < 0) {
    t.drop(Drop.TCP_TABLE_FULL);
    return false;
  }
  const c = t.c;
  inherit(t, listener);
  t.local.setFrom(info.local);
  t.remote.setFrom(info.remote);
  storeAddresses(t);
  c.setPorts(localPort, remotePort);
  c.listener = listener;
  const isBound = t.host.bindFlow(c, info.ifIndex);
  if (isBound) c.flags |= TcbFlags.BOUND;
  if (isBound && prepareHandshake(t)) return true;
  c.flags |= TcbFlags.ORPHAN;
  endConnection(t);
  t.drop(isBound ? Drop.NO_ROUTE : Drop.TCP_TABLE_FULL);
  return false;
}

/** Options that the selected row takes over from another one, such as a connection from its listener. */
export function inherit(t: TcpCore, listener: number): void {
  const c = t.c;
  const l = t.other.select(listener);
  c.options = l.options;
  c.flags |= l.flags & (TcbFlags.SNDBUF_LOCKED | TcbFlags.RCVBUF_LOCKED);
  c.ownMss = l.ownMss & ~0xffff;
  c.keepTimes = l.keepTimes;
  c.keepCounts = l.keepCounts;
  c.algorithm = l.algorithm;
  c.userTimeoutMs = l.userTimeoutMs;
  c.lingerSeconds = l.lingerSeconds;
  c.linger2Seconds = l.linger2Seconds;
  c.notsentLowatBytes = l.notsentLowatBytes;
  c.rcvLowatBytes = l.rcvLowatBytes;
  c.windowClampBytes = l.windowClampBytes;
  c.rcvBufBytes = l.rcvBufBytes;
  c.sndBufBytes = l.sndBufBytes;
}

/** An ACK for a listener: the last step of a handshake by SYN cookie, or a stray. */
function ackArrives(t: TcpCore): void {
  const s = t.segment;
  if (s.is(tcp.SYN)) {
    replyReset(t);
    t.drop(Drop.TCP_BAD_FLAGS);
    return;
  }
  // First: the cookie may be in a segment before this one, which was dropped as well and will come again.
  if (acceptQueueIsFull(t)) {
    t.counts[t.k.listenOverflows]! += 1;
    t.drop(Drop.TCP_ACCEPT_QUEUE_FULL);
    return;
  }
  if (!checkCookie(t)) {
    replyReset(t);
    t.drop(Drop.TCP_BAD_COOKIE);
    return;
  }
  const listener = t.c.row;
  if (!createChild(t, listener)) return;
  openFromCookie(t);
}

/** Rebuilds the connection that the cookie stands for; `t.segment` is left for further steps. */
function openFromCookie(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  const { seq, window } = s;
  // The options of the SYN were put back into the segment by checkCookie.
  s.seq = advance(seq, -1);
  acceptSyn(t, s);
  s.seq = seq;
  c.rcvAdv = advance(c.rcvNxt, Math.min(c.rcvBufBytes, 0xffff));
  c.iss = advance(s.ack, -1);
  c.sndUna = s.ack;
  c.sndNxt = s.ack;
  c.sndWnd = window << (c.scales & 0xff);
  c.sndMaxWnd = c.sndWnd;
  c.sndWl1 = seq;
  acceptEcn(t, s);
  s.flags &= ~(tcp.ECE | tcp.CWR);
  becomeEstablished(t);
  linkAccept(t);
  t.counts[t.k.synCookiesReceived]! += 1;
  t.counts[t.k.passiveOpens]! += 1;
  t.want(Pending.TIMER);
}

/**
 * The handshake's ACK has come for the selected row in SYN-RECEIVED. False when it stays there: the
 * accept queue is full, or TCP_DEFER_ACCEPT waits for data.
 */
export function handshakeDone(t: TcpCore): boolean {
  const c = t.c;
  if (!c.has(TcbFlags.UNACCEPTED)) return true; // simultaneous open
  const l = t.other.select(c.listener);
  const s = t.segment;
  if (l.deferSeconds > 0 && s.dataBytes === 0 && !s.is(tcp.FIN) && stillDefers(t)) {
    c.flags |= TcbFlags.DEFERRED;
    t.counts[t.k.deferAcceptDrops]! += 1;
    t.drop(Drop.TCP_NO_ACK);
    return false;
  }
  if (l.acceptCount > l.backlog) {
    t.counts[t.k.listenOverflows]! += 1;
    if (t.settings.abortOnOverflow) {
      sendReset(t);
      t.drop(Drop.TCP_ACCEPT_QUEUE_FULL);
      endConnection(t);
    } else {
      t.drop(Drop.TCP_ACCEPT_QUEUE_FULL);
    }
    return false;
  }
  promote(t);
  return true;
}

/** Linux: while SYN-ACKs within the time of TCP_DEFER_ACCEPT are still to be sent. */
function stillDefers(t: TcpCore): boolean {
  const { c, other: l } = t;
  const timeouts = c.retries & 0xff;
  const elapsedSeconds = 2 ** timeouts - 1;
  return elapsedSeconds < l.deferSeconds;
}
