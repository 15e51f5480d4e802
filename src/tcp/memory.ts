/**
 * Memory of all connections together: what Linux's tcp_mem bounds. The pool is shared with devices and
 * other sockets, so what counts is how much of it is free, for each size of slot by itself:
 *
 * | level    | free     | what is done                                                            |
 * |----------|----------|-------------------------------------------------------------------------|
 * | NONE     | >= 1/4   |                                                                         |
 * | LOW      | < 1/4    | windows of four segments at most, unread bytes counted; buffers do not  |
 * |          |          | grow; no new big slot for a send queue                                  |
 * | CRITICAL | < 3/16   | new data only into an empty queue, into the room of the last slot, or   |
 * |          |          | for a program that reads; out-of-order data are given up                |
 * | RESERVE  | < 1/32   | not into an empty queue either: the rest is for programs that read,     |
 * |          |          | ACKs, handshakes and devices                                            |
 *
 * A window that was advertised is never taken back: data that come in it and find no place are
 * dropped, and the peer sends them again (what Linux does too). So a program that reads goes on, with
 * small windows, however many others do not.
 */

import type { TcpCore } from "./core.js";
import { dropReassembly } from "./reassembly.js";
import { diff } from "./seq.js";
import type { Slots } from "./slots.js";
import { isSynchronized } from "./state.js";

export const Pressure = { NONE: 0, LOW: 1, CRITICAL: 2, RESERVE: 3 } as const;

/** Segments that the window holds under pressure, as Linux's tcp_adjust_rcv_ssthresh. */
export const PRESSED_SEGMENTS = 4;
/** How much more than its buffer a connection may hold: windows are rounded up. */
export const OVERSHOOT_BYTES = 65_536;
/** `rcvRttMs` is the time of a read, about once a round trip. */
const READ_RECENTLY_MS = 1_000;
/** Bytes of a big slot that are copied into one small slot. */
export const SPREAD_BYTES = 1_900;
/** Rows that one pass looks at for out-of-order data to give up. */
const PRUNED_ROWS = 256;

function levelOf(free: number, total: number): number {
  if (free >= total >> 2) return Pressure.NONE;
  if (16 * free >= 3 * total) return Pressure.LOW;
  return free >= total >> 5 ? Pressure.CRITICAL : Pressure.RESERVE;
}

/** Hot path, once a turn and per slot of a send queue. Sets the levels to what is free now. */
export function measure(t: TcpCore): void {
  const s: Slots = t.slots;
  if (t.pressure === 0 && s.freeSmall >= s.smallSlots >> 2 && s.freeBig >= s.bigSlots >> 2) return;
  t.smallPressure = levelOf(s.freeSmall, s.smallSlots);
  t.bigPressure = levelOf(s.freeBig, s.bigSlots);
  const most = t.smallPressure > t.bigPressure ? t.smallPressure : t.bigPressure;
  if (most > Pressure.NONE && t.pressure === Pressure.NONE) t.counts[t.k.memoryPressures]! += 1;
  t.pressure = most;
}

/** Hot path. Whether in-order data must ask {@link mayReceiveSlot} first. */
export function isPressed(t: TcpCore): boolean {
  const c = t.c;
  return t.pressure >= Pressure.CRITICAL || c.rcvQueuedBytes - c.rcvBufBytes > OVERSHOOT_BYTES;
}

/**
 * Whether the selected row may queue this slot, in which `n` bytes have come in order. A big slot that
 * should not stay is emptied into small ones (receive-queue.ts), which must be there.
 */
export function mayReceiveSlot(t: TcpCore, slot: number, n: number): boolean {
  const c = t.c;
  const s = t.slots;
  if (c.rcvQueuedBytes - c.rcvBufBytes > OVERSHOOT_BYTES) return false;
  measure(t); // others of the batch may have taken much
  const isBig = s.isBig(slot);
  if (isBig && t.bigPressure < Pressure.CRITICAL) return true;
  if (isBig && n > s.freeSmall * (SPREAD_BYTES >> 1)) return false;
  if (t.smallPressure < Pressure.CRITICAL) return true;
  if (isBeingRead(t)) return true;
  if (n > SPREAD_BYTES) return false; // it would be neither copied behind the last nor into one slot
  if (c.rcvQueuedBytes > 0) {
    return s.end[c.rcvTail]! + n <= s.limit(c.rcvTail) && s.away[c.rcvTail] === 0;
  }
  return t.smallPressure < Pressure.RESERVE;
}

/** Whether the program reads what comes, so that memory comes back soon. */
function isBeingRead(t: TcpCore): boolean {
  const c = t.c;
  const unread = c.rcvQueuedBytes;
  if (diff(c.rcvNxt, c.irs) === unread + 1) return false; // it has not read yet
  if (unread === 0) return true;
  return unread < PRESSED_SEGMENTS * c.rcvMss && ((t.nowMs - c.rcvRttMs) | 0) < READ_RECENTLY_MS;
}

/** Whether a slot of out-of-order data may be held. */
export function mayHoldSlot(t: TcpCore, slot: number): boolean {
  const level = t.slots.isBig(slot) ? t.bigPressure : t.smallPressure;
  return level < Pressure.CRITICAL;
}

/** Hot path. Whether the selected row's send queue may take a small slot. */
export function maySendSmall(t: TcpCore): boolean {
  if (t.smallPressure < Pressure.CRITICAL) return true;
  return t.c.sndQueuedBytes === 0 && t.smallPressure < Pressure.RESERVE;
}

/** Hot path. Whether the selected row's send queue may take a slot of either size. */
export const maySendSlot = (t: TcpCore): boolean =>
  t.bigPressure === Pressure.NONE || maySendSmall(t);

/** Gives up out-of-order data, some rows a call: the peers have them still (RFC 2018 §8). */
export function pruneOutOfOrder(t: TcpCore): void {
  const c = t.c;
  const n = t.rows < PRUNED_ROWS ? t.rows : PRUNED_ROWS;
  for (let k = 0; k < n; k++) {
    t.pruneRow = t.pruneRow + 1 < t.rows ? t.pruneRow + 1 : 0;
    c.select(t.pruneRow);
    if (!isSynchronized(c.state) || c.oooHead < 0) continue;
    t.counts[t.k.outOfOrderPruned]! += 1;
    dropReassembly(t);
  }
}
