/**
 * Urgent data, RFC 9293 §3.8.5 and RFC 6093: one byte "out of band", as the socket interface has it.
 * The pointer names the byte after the urgent one. Unless SO_OOBINLINE is set, the byte is kept aside
 * for MSG_OOB and skipped by ordinary reads; a read never crosses the mark.
 */

import { u8 } from "../base/bytes.js";
import { EAGAIN, EINVAL } from "../base/errno.js";
import * as tcp from "../wire/tcp.js";
import type { TcpCore } from "./core.js";
import { takeReceived, unreadSeq } from "./receive-queue.js";
import { advance, after, before, diff } from "./seq.js";
import { TcbFlags, TcbOptions } from "./tcb.js";
import { TransferFlags } from "./transfer-flags.js";

const SEEN = TcbFlags.OOB_READY | TcbFlags.OOB_READ;

/** A segment with URG has come: RCV.UP, and the byte if this segment holds it. */
export function noteUrgent(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  const pointer = tcp.urgentPointer(t.slots.bytes, t.slots.l4At[s.slot]!);
  if (pointer === 0) return;
  const up = advance(s.seq, pointer - 1);
  if (before(up, c.rcvNxt)) return;
  if (c.has(TcbFlags.URGENT) && !after(up, c.rcvUp)) return;
  c.rcvUp = up;
  c.flags = (c.flags | TcbFlags.URGENT) & ~SEEN;
  c.oobByte = -1;
  t.counts[t.k.urgentBytes]! += 1;
  t.host.changed(c);
}

/** Takes the urgent byte's value out of the current segment, when it is there. */
export function pickUrgentByte(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  if (c.has(SEEN)) return;
  const offset = diff(c.rcvUp, s.seq);
  if (offset < 0 || offset >= s.dataBytes) return;
  c.oobByte = u8(t.slots.bytes, s.dataAt + offset);
  c.flags |= TcbFlags.OOB_READY;
  t.host.changed(c);
}

/** MSG_OOB: reads the urgent byte. */
export function receiveUrgent(t: TcpCore, into: Uint8Array, at: number, flags: number): number {
  const c = t.c;
  const isInline = (c.options & TcbOptions.OOBINLINE) !== 0;
  if (isInline || !c.has(TcbFlags.URGENT) || c.has(TcbFlags.OOB_READ)) return -EINVAL;
  if (!c.has(TcbFlags.OOB_READY)) return -EAGAIN;
  into[at] = c.oobByte;
  if ((flags & TransferFlags.PEEK) === 0) {
    c.flags = (c.flags | TcbFlags.OOB_READ) & ~TcbFlags.OOB_READY;
  }
  return 1;
}

/** Bytes from the first unread one to the mark; -1 when there is no mark ahead. */
export function bytesToMark(t: TcpCore): number {
  const c = t.c;
  if (!c.has(TcbFlags.URGENT)) return -1;
  return diff(c.rcvUp, unreadSeq(t));
}

/**
 * A read begins at the mark: goes past it. The urgent byte leaves the stream unless it is inline.
 */
export function passMark(t: TcpCore): void {
  const c = t.c;
  if (c.rcvQueuedBytes === 0) return;
  if ((c.options & TcbOptions.OOBINLINE) === 0) takeReceived(t, null, 0, 1);
  c.flags &= ~(TcbFlags.URGENT | SEEN);
}

/** Bytes that a read can give now; the urgent byte does not count when it is kept aside. */
export function readableBytes(t: TcpCore): number {
  const c = t.c;
  const queued = c.rcvQueuedBytes;
  if (!c.has(TcbFlags.URGENT) || (c.options & TcbOptions.OOBINLINE) !== 0) return queued;
  const toMark = bytesToMark(t);
  return toMark >= 0 && toMark < queued ? queued - 1 : queued;
}
