/**
 * The receive window: how much to advertise (RFC 9293 §3.8.6), its scale (RFC 7323 §2), silly window
 * avoidance (RFC 1122 §4.2.3.3), and the size of the receive buffer behind it, which follows the
 * speed of the reader (dynamic right-sizing, Fisk and Feng, as Linux's tcp_rmem).
 *
 * The right edge (`rcvAdv`) never moves left (SHLD-14).
 */
import type { TcpCore } from "./core.js";
import { PRESSED_SEGMENTS, Pressure } from "./memory.js";
import { unreadSeq } from "./receive-queue.js";
import { advance, diff } from "./seq.js";
import { TcbFlags, TcbOptions } from "./tcb.js";

export const MAX_UNSCALED = 65_535;

/** Shift that lets the window grow to the largest receive buffer. */
export function scaleFor(maxBytes: number): number {
  let shift = 0;
  while (shift < 14 && maxBytes >> shift > MAX_UNSCALED) shift++;
  return shift;
}

/** Hot path. Shift of the window that we advertise. */
export const rcvShift = (scales: number): number => scales >>> 8;
/** Hot path. Shift of the window that the peer advertises. */
export const sndShift = (scales: number): number => scales & 0xff;

/** Hot path. Bytes that the window could be, were it opened as far as the buffer goes. */
function freeBytes(t: TcpCore): number {
  const c = t.c;
  let free = c.rcvBufBytes - c.rcvQueuedBytes;
  const clamp = c.windowClampBytes;
  if (clamp !== 0 && free > clamp) free = clamp;
  if (t.pressure !== Pressure.NONE) {
    const most = PRESSED_SEGMENTS * c.rcvMss - c.rcvQueuedBytes;
    if (free > most) free = most;
  }
  return free < 0 ? 0 : free;
}

/** Hot path. Bytes still open of the window advertised last. */
export function openBytes(t: TcpCore): number {
  const open = diff(t.c.rcvAdv, t.c.rcvNxt);
  return open < 0 ? 0 : open;
}

/** Hot path. The window to advertise now, in bytes from `rcvNxt`; never less than is open. */
export function selectWindow(t: TcpCore): number {
  const c = t.c;
  const open = openBytes(t);
  const free = freeBytes(t);
  if (free <= open) return open;
  const half = c.rcvBufBytes >> 1;
  const step = c.rcvMss < half ? c.rcvMss : half;
  return free - open < step ? open : free;
}

/** Hot path. The window field of the next segment; moves `rcvAdv`. Not for SYN. */
export function windowField(t: TcpCore): number {
  const c = t.c;
  const shift = rcvShift(c.scales);
  const bytes = selectWindow(t);
  // Rounded up, because rounding down would move the right edge left.
  let field = (bytes + (1 << shift) - 1) >> shift;
  if (field > MAX_UNSCALED) field = MAX_UNSCALED;
  if (field === 0 && diff(c.rcvAdv, c.rcvAcked) > 0) t.counts[t.k.toZeroWindow]! += 1;
  const adv = advance(c.rcvNxt, field << shift);
  if (diff(adv, c.rcvAdv) > 0) c.rcvAdv = adv;
  return field;
}

/** Window field of a SYN or SYN-ACK, which is never scaled (RFC 7323 §2.2). */
export function synWindowField(t: TcpCore): number {
  const free = freeBytes(t);
  return free > MAX_UNSCALED ? MAX_UNSCALED : free;
}

/**
 * The user has read: whether the peer must hear of the new room (RFC 9293 §3.8.6.2.2). As Linux:
 * when the window at least doubles by it.
 */
export function needsWindowUpdate(t: TcpCore): boolean {
  const open = openBytes(t);
  if (2 * open > t.c.rcvBufBytes) return false;
  const next = selectWindow(t);
  return next > 0 && next >= 2 * open && next !== open;
}

/** Hot path. A data segment came: takes a sample of the receiver's round-trip time. */
export function sampleReceiverRtt(t: TcpCore, tsEcr: number): void {
  const c = t.c;
  if ((c.options & TcbOptions.TIMESTAMPS) === 0 || tsEcr === 0) return;
  const ms = (t.nowMs - ((tsEcr - c.tsOffset) | 0)) | 0;
  if (ms < 0) return;
  // A clock of milliseconds cannot tell less than one.
  const us = ms === 0 ? 1000 : ms * 1000;
  const old = c.rcvRttUs;
  c.rcvRttUs = old === 0 || us < old ? us : old + ((us - old) >> 3);
}

/**
 * The user has read: once a round trip, the buffer grows so that the window is at least twice what
 * was read in it.
 */
export function adjustBuffer(t: TcpCore): void {
  const c = t.c;
  if (!roundIsOver(t)) return;
  const at = unreadSeq(t);
  const copied = diff(at, c.rcvCopied);
  if (copied > c.rcvSpaceBytes) {
    if (t.settings.moderateRcvbuf && !c.has(TcbFlags.RCVBUF_LOCKED)) {
      // Slow start doubles what comes in a round trip: leave room for it to do so once more.
      const previous = c.rcvSpaceBytes > 0 ? c.rcvSpaceBytes : copied;
      const base = 2 * copied + 16 * (c.ownMss & 0xffff);
      const wanted = base + 2 * Math.floor(base * ((copied - previous) / previous));
      const limit = Math.min(wanted, t.settings.rmemMaxBytes);
      if (limit > c.rcvBufBytes && t.pressure === Pressure.NONE) c.rcvBufBytes = limit;
    }
    c.rcvSpaceBytes = copied;
  }
  c.rcvCopied = at;
  c.rcvRttMs = t.nowMs;
  c.rcvRttSeq = c.rcvAdv;
}

/** Hot path. Without timestamps a round trip is the time in which a window's worth of data came. */
export function roundIsOver(t: TcpCore): boolean {
  const c = t.c;
  if ((c.options & TcbOptions.TIMESTAMPS) === 0) return diff(c.rcvNxt, c.rcvRttSeq) >= 0;
  if (c.rcvRttUs === 0) return false;
  return ((t.nowMs - c.rcvRttMs) | 0) * 1000 >= c.rcvRttUs;
}

/** Starts the autotuning at the end of the handshake. */
export function startAutotuning(t: TcpCore): void {
  const c = t.c;
  c.rcvCopied = c.rcvNxt;
  c.rcvRttSeq = c.rcvAdv;
  c.rcvRttMs = t.nowMs;
  c.rcvSpaceBytes = Math.min(openBytes(t), 10 * (c.ownMss & 0xffff));
}
