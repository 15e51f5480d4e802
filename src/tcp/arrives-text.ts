/**
 * The last three steps of RFC 9293 §3.10.7.4: URG, segment text, FIN.
 */
import { ECONNRESET } from "../base/errno.js";
import { Drop } from "../wire/drop.js";
import * as tcp from "../wire/tcp.js";
import { onEvent } from "./close.js";
import type { TcpCore } from "./core.js";
import { delayAckOfFin, enterQuickAckMode, noteData, scheduleAck } from "./delayed-ack.js";
import { isPressed, mayReceiveSlot } from "./memory.js";
import { holdOutOfOrder, noteDuplicate, takeInOrder } from "./reassembly.js";
import { appendReceived } from "./receive-queue.js";
import { endConnection, endWithError } from "./rows.js";
import { SegmentFlags } from "./segment-flags.js";
import { sendAck, sendReset } from "./segment-writer.js";
import { advance, after, before, diff } from "./seq.js";
import { Event, mayReceive, State } from "./state.js";
import { Pending, TcbFlags, TcbOptions } from "./tcb.js";
import { noteUrgent, pickUrgentByte } from "./urgent.js";
import { sampleReceiverRtt } from "./window.js";

/** Sixth: URG. */
export function checkUrgent(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  if (!mayReceive(c.state)) return;
  if (s.is(tcp.URG)) noteUrgent(t);
  if (c.has(TcbFlags.URGENT)) pickUrgentByte(t);
}

/**
 * Seventh: the segment text. In order it goes to the receive queue, with what it completes; out of
 * order it waits. False when the segment needs no further step.
 */
export function takeText(t: TcpCore): boolean {
  const c = t.c;
  const s = t.segment;
  if (s.dataBytes === 0 && !s.is(tcp.FIN)) return true;
  if (!mayReceive(c.state)) {
    // After the peer's FIN: it should not happen, and is ignored.
    if (c.has(TcbFlags.FIN_RECEIVED)) t.want(Pending.ACK_NOW);
    t.drop(Drop.TCP_DUPLICATE);
    return false;
  }
  noteEcn(t);
  if (s.dataBytes > 0 && isDeaf(t) && after(s.end, c.rcvNxt)) return resetForData(t);
  if (!trim(t)) return false;
  if (s.seq === c.rcvNxt) {
    return s.dataBytes === 0 || takeInOrderData(t);
  }
  takeOutOfOrder(t);
  return false;
}

/** Closed, or shut down in both directions, which in Linux is the same to the peer. */
function isDeaf(t: TcpCore): boolean {
  const c = t.c;
  return c.has(TcbFlags.ORPHAN) || (c.has(TcbFlags.RCV_SHUTDOWN) && c.has(TcbFlags.FIN_QUEUED));
}

/** RFC 1122 §4.2.2.13: data for a closed socket: the peer must know that nobody reads them. */
function resetForData(t: TcpCore): boolean {
  t.counts[t.k.abortOnData]! += 1;
  t.drop(Drop.TCP_AFTER_CLOSE);
  sendReset(t);
  if (t.c.has(TcbFlags.ORPHAN)) endConnection(t);
  else endWithError(t, ECONNRESET);
  return false;
}

/** Cuts the segment to the window. False when nothing of it was new: dropped and acknowledged. */
function trim(t: TcpCore): boolean {
  const c = t.c;
  const s = t.segment;
  const old = diff(c.rcvNxt, s.seq);
  if (old > 0) {
    if (!after(s.end, c.rcvNxt)) {
      if (s.dataBytes > 0) noteDuplicate(t, s.seq, s.end);
      enterQuickAckMode(t);
      t.drop(Drop.TCP_DUPLICATE);
      t.want(Pending.ACK_NOW);
      return false;
    }
    noteDuplicate(t, s.seq, c.rcvNxt);
    s.dataAt += old;
    s.dataBytes -= old;
    s.seq = c.rcvNxt;
  }
  const room = diff(c.rcvAdv, s.seq);
  if (s.dataBytes > room) {
    s.dataBytes = room;
    s.flags &= ~tcp.FIN;
    s.end = advance(s.seq, room);
    if (room === 0) {
      // The window is closed: a probe, or a peer that does not look.
      t.drop(Drop.TCP_BUFFER_FULL);
      t.want(Pending.ACK_NOW);
      return false;
    }
  }
  return true;
}

/**
 * Hot path. The segment's text starts at RCV.NXT and lies in the window. Uses up the slot. False
 * when memory is too short to keep it.
 */
export function takeInOrderData(t: TcpCore): boolean {
  const c = t.c;
  const s = t.segment;
  const slots = t.slots;
  const slot = s.slot;
  const n = s.dataBytes;
  if (isPressed(t) && !mayReceiveSlot(t, slot, n)) return refuseData(t);
  const isLarge = (slots.flags[slot]! & (SegmentFlags.GSO_TCP4 | SegmentFlags.GSO_TCP6)) !== 0;
  s.slot = -1;
  slots.at[slot] = s.dataAt;
  slots.end[slot] = s.dataAt + n;
  slots.seq[slot] = s.seq;
  noteData(t, isLarge && slots.gsoBytes[slot]! < n ? slots.gsoBytes[slot]! : n);
  sampleReceiverRtt(t, s.options.tsEcr);
  c.rcvNxt = advance(s.seq, n);
  appendReceived(t, slot);
  c.bytesReceived += n;
  c.dataSegsIn = (c.dataSegsIn + 1) | 0;
  if (c.oooHead >= 0) {
    // RFC 5681 §4.2: what fills a gap is acknowledged at once.
    t.want(Pending.ACK_NOW);
    if (takeInOrder(t)) s.flags |= tcp.FIN;
  } else {
    scheduleAck(t);
  }
  t.host.changed(c);
  return true;
}

/** No memory for the text: dropped; the ACK says what we have. */
function refuseData(t: TcpCore): boolean {
  t.counts[t.k.rcvMemoryDrops]! += 1;
  t.drop(Drop.TCP_BUFFER_FULL);
  t.want(Pending.ACK_NOW);
  return false;
}

/** The segment leaves a gap: kept for later, and told to the peer at once (RFC 5681 §4.2). */
function takeOutOfOrder(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  const slots = t.slots;
  const slot = s.slot;
  slots.at[slot] = s.dataAt;
  slots.end[slot] = s.dataAt + s.dataBytes;
  slots.seq[slot] = s.seq;
  slots.flags[slot] = s.is(tcp.FIN) ? SegmentFlags.FIN : 0;
  t.counts[t.k.outOfOrder]! += 1;
  c.outOfOrderSegs = (c.outOfOrderSegs + 1) | 0;
  c.bytesReceived += s.dataBytes;
  c.dataSegsIn = (c.dataSegsIn + 1) | 0;
  if (holdOutOfOrder(t, slot)) s.slot = -1;
  else t.drop(Drop.TCP_OUT_OF_ORDER_LIMIT);
  enterQuickAckMode(t);
  // Each one by itself: without SACK the peer counts them.
  sendAck(t);
}

/** RFC 3168 §6.1.3: CE is echoed until the peer answers CWR. */
function noteEcn(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  if ((c.options & TcbOptions.ECN) === 0) return;
  if (s.is(tcp.CWR)) c.flags &= ~TcbFlags.ECE;
  if (s.ecn !== 3) return;
  t.counts[t.k.ecnCeReceived]! += 1;
  if (!c.has(TcbFlags.ECE)) enterQuickAckMode(t);
  c.flags |= TcbFlags.ECE | TcbFlags.ECN_SEEN;
}

/** Eighth: FIN. Precondition: all text before it is in the receive queue. */
export function checkFin(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  if (!s.is(tcp.FIN) || !mayReceive(c.state)) return;
  c.rcvNxt = advance(c.rcvNxt, 1);
  if (before(c.rcvAdv, c.rcvNxt)) c.rcvAdv = c.rcvNxt;
  c.flags |= TcbFlags.FIN_RECEIVED;
  if (c.state === State.ESTABLISHED) delayAckOfFin(t);
  else t.want(Pending.ACK_NOW);
  onEvent(t, Event.RCV_FIN);
  if (c.state !== State.FREE) t.host.changed(c);
}
