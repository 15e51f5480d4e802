/**
 * The send queue: bytes that the user has written and the peer has not acknowledged, copied into a
 * list of slots. It begins at `sndUna` and holds `sndQueuedBytes`. A slot's first byte is at
 * {@link dataAt} and has the sequence number `seq[slot]`, both for as long as the slot is in the
 * queue, so that first transmissions and retransmissions read from the same place; the bytes end at
 * `sendEnd[slot]`, and `sendNext` links the slots.
 *
 * Little data go into small slots, bulk into big ones. Bytes are appended to the last slot while it
 * has room, sent or not. A segment is usually copied from here into a frame. A large one that is
 * exactly what a slot holds is not: its headers are written before the first byte, and the slot is
 * the frame, held by the queue and by the frame at once ({@link wholeSlot}). Therefore a big slot
 * takes no more than one segment of the largest size, the queue has columns that frames do not touch,
 * and nothing here is ever written before `sendEnd`.
 */
import { assert, CHECKED } from "../base/assert.js";
import { copyIn, copyInside } from "../base/copy.js";
import type { TcpCore } from "./core.js";
import { sendInTurn } from "./lockstep.js";
import { maySendSmall, measure, Pressure } from "./memory.js";
import { armTimer } from "./row-timers.js";
import { advance, before, diff, type Seq } from "./seq.js";
import type { Slots } from "./slots.js";
import { State } from "./state.js";
import { TcbFlags, TcbOptions } from "./tcb.js";

/** From this many bytes on, a big slot is taken. */
const BULK_BYTES = 4_096;
/** What {@link appendFirst} takes at most. */
const SHORT_BYTES = 1_024;
const { ESTABLISHED } = State;
const NO_PRESSURE = Pressure.NONE;
const { NODELAY } = TcbOptions;
const UNUSUAL_FLAGS = TcbFlags.FIN_QUEUED | TcbFlags.MORE;
/** Room for the longest TCP header (60) behind the headroom; the bytes begin on a cache line. */
const HEADER_ROOM_BYTES = 64;

/** Hot path. Where the bytes of a slot of the queue begin. */
export const dataAt = (s: Slots, slot: number): number =>
  s.limit(slot) - s.roomBytes(slot) + HEADER_ROOM_BYTES;

/**
 * Hot path. `send` of a connection that has nothing queued, as who asks or answers has not: one short
 * write into one slot. False, with nothing changed, when there is anything else to think of.
 *
 * With TCP_NODELAY it goes out at once where the device has a place for it (lockstep.ts), from the
 * program's array; the copy for the queue is made after that.
 */
export function appendFirst(t: TcpCore, bytes: Uint8Array, at: number, n: number): boolean {
  const c = t.c;
  if (
    c.sndTail >= 0 ||
    c.state !== ESTABLISHED ||
    n > SHORT_BYTES ||
    n > c.sndBufBytes ||
    c.error !== 0 ||
    c.notsentLowatBytes !== 0 ||
    (c.flags & UNUSUAL_FLAGS) !== 0
  ) {
    return false;
  }
  measure(t);
  if (t.pressure !== NO_PRESSURE) return false;
  const s = t.slots;
  const slot = s.take();
  if (slot < 0) return false;
  const to = dataAt(s, slot);
  s.sendNext[slot] = -1;
  s.sendEnd[slot] = to + n;
  s.seq[slot] = c.sndUna;
  c.sndHead = slot;
  c.sndTail = slot;
  c.sndQueuedBytes = n;
  const goesAtOnce =
    c.row === t.lockstep.row &&
    (c.options & NODELAY) !== 0 &&
    t.isAlone &&
    sendInTurn(t, bytes, at);
  copyIn(s.view, s.bytes, to, bytes, at, n);
  if (goesAtOnce) armTimer(t);
  else t.wantTurn();
  return true;
}

/** Appends up to `n` bytes; fewer when the pool is empty. Returns how many. */
export function appendToSend(t: TcpCore, bytes: Uint8Array, at: number, n: number): number {
  const c = t.c;
  const s = t.slots;
  let left = n;
  while (left > 0) {
    let slot = c.sndTail;
    let room = slot < 0 ? 0 : roomIn(t, slot);
    if (room <= 0) {
      slot = addChunk(t, left);
      if (slot < 0) break;
      room = roomIn(t, slot);
    }
    const part = left < room ? left : room;
    const end = s.sendEnd[slot]!;
    const from = at + n - left;
    const isFilled = part >= BULK_BYTES && t.host.fill(c, end, bytes, from, part);
    if (!isFilled) copyIn(s.view, s.bytes, end, bytes, from, part);
    s.sendEnd[slot] = end + part;
    c.sndQueuedBytes = c.sndQueuedBytes + part;
    left -= part;
  }
  return n - left;
}

/** Hot path. Bytes that the slot takes still; may be negative when segments have become smaller. */
function roomIn(t: TcpCore, slot: number): number {
  const s = t.slots;
  const room = s.limit(slot) - s.sendEnd[slot]!;
  if (!s.isBig(slot)) return room;
  const gso = t.host.gsoLimitBytes(t.c);
  const mss = t.c.sndMss;
  if (gso <= mss || !t.host.borrowsFrames(t.c)) return room;
  const toSegment = dataAt(s, slot) + gso - (gso % mss) - s.sendEnd[slot]!;
  return toSegment < room ? toSegment : room;
}

/** Appends an empty slot for the byte after the last queued one. */
function addChunk(t: TcpCore, bytes: number): number {
  const c = t.c;
  const s = t.slots;
  measure(t);
  const tail = c.sndTail;
  const mayBig = t.bigPressure === Pressure.NONE;
  const maySmall = maySendSmall(t);
  // The rest of a write that filled a big slot: more of the kind will follow.
  const isBulk = bytes >= BULK_BYTES || (tail >= 0 && s.isBig(tail));
  let slot = -1;
  if (isBulk && mayBig) slot = s.takeBig();
  if (slot < 0 && maySmall) slot = s.take();
  if (slot < 0 && mayBig) slot = s.takeBig();
  if (slot < 0) return -1;
  s.sendNext[slot] = -1;
  s.sendEnd[slot] = dataAt(s, slot);
  s.seq[slot] = advance(c.sndUna, c.sndQueuedBytes);
  if (tail < 0) c.sndHead = slot;
  else s.sendNext[tail] = slot;
  c.sndTail = slot;
  return slot;
}

/** Hot path. Bytes queued that were never sent. */
export function unsentBytes(t: TcpCore): number {
  const c = t.c;
  if (c.has(TcbFlags.FIN_SENT)) return 0;
  return c.sndQueuedBytes - diff(c.sndNxt, c.sndUna);
}

/** Hot path. Frees the first `n` bytes, which the peer has acknowledged. `sndUna` moves elsewhere. */
export function releaseSent(t: TcpCore, n: number): void {
  const c = t.c;
  const s = t.slots;
  if (CHECKED) assert(n <= c.sndQueuedBytes, "only queued bytes are acknowledged");
  c.sndQueuedBytes = (c.sndQueuedBytes - n) | 0;
  const acked = (c.sndUna + n) | 0;
  let slot = c.sndHead;
  while (slot >= 0) {
    const ackedBytes = (acked - s.seq[slot]!) | 0;
    if (ackedBytes < s.sendEnd[slot]! - dataAt(s, slot)) break;
    const following = s.sendNext[slot]!;
    if (slot === c.sndCursor) c.sndCursor = -1;
    if (slot === c.rtxCursor) c.rtxCursor = -1;
    s.give(slot);
    slot = following;
  }
  c.sndHead = slot;
  if (slot < 0) c.sndTail = -1;
}

/** Hot path. The slot that holds the byte at `seq`. `hint` is a slot at or before the place, or -1. */
function slotOf(t: TcpCore, seq: Seq, hint: number): number {
  const s = t.slots;
  let slot = hint >= 0 && !before(seq, s.seq[hint]! as Seq) ? hint : t.c.sndHead;
  while (diff(seq, s.seq[slot]! as Seq) >= s.sendEnd[slot]! - dataAt(s, slot)) {
    slot = s.sendNext[slot]!;
  }
  return slot;
}

/**
 * Hot path. Copies `n` queued bytes from sequence number `seq` on to the offset `to`. `hint` is a
 * slot at or before the place, or -1; returns the slot where the copy ended.
 */
export function copySent(t: TcpCore, seq: Seq, n: number, to: number, hint: number): number {
  const s = t.slots;
  let slot = slotOf(t, seq, hint);
  let from = dataAt(s, slot) + diff(seq, s.seq[slot]! as Seq);
  for (;;) {
    const held = s.sendEnd[slot]! - from;
    const part = held < n ? held : n;
    copyInside(s.view, s.bytes, to, from, part);
    n -= part;
    if (n === 0) return slot;
    to += part;
    slot = s.sendNext[slot]!;
    from = dataAt(s, slot);
  }
}

/**
 * Hot path. The slot whose bytes are exactly the `n` from `seq` on, to be sent as it is, or -1: copy
 * then. While a frame that was sent from it is still about, its headers are in use, and the segment
 * is copied as well.
 *
 * Measured: `send` and output of 64 KiB 6.7 us instead of 11.0 (docs/benchmarks.md, tap-tcp).
 */
export function wholeSlot(t: TcpCore, seq: Seq, n: number, hint: number): number {
  const s = t.slots;
  const slot = slotOf(t, seq, hint);
  if (s.seq[slot] !== seq || s.sendEnd[slot]! - dataAt(s, slot) !== n) return -1;
  return s.sharers[slot] === 0 && t.host.borrowsFrames(t.c) ? slot : -1;
}

/**
 * Hot path. Up to `n` bytes from `seq` on, cut where a big slot begins or ends if one does: so that
 * segments fall into step with the slots again after a window or a short write was in the way.
 */
export function bytesToBoundary(t: TcpCore, seq: Seq, n: number, hint: number): number {
  const s = t.slots;
  const slot = slotOf(t, seq, hint);
  const held = s.sendEnd[slot]! - dataAt(s, slot) - diff(seq, s.seq[slot]! as Seq);
  if (held >= n) return n;
  const isBig = s.isBig(slot) || s.isBig(s.sendNext[slot]!);
  return isBig && t.host.borrowsFrames(t.c) ? held : n;
}

/** Frees all. */
export function dropSendQueue(t: TcpCore): void {
  const c = t.c;
  const s = t.slots;
  for (let slot = c.sndHead; slot >= 0; ) {
    const following = s.sendNext[slot]!;
    s.give(slot);
    slot = following;
  }
  c.sndHead = -1;
  c.sndTail = -1;
  c.sndCursor = -1;
  c.rtxCursor = -1;
  c.sndQueuedBytes = 0;
}
