/**
 * The send queue: bytes that the user has written and the peer has not acknowledged, copied into a
 * list of slots. It begins at `sndUna` and holds `sndQueuedBytes`; every slot knows the sequence
 * number of its first byte, so that first transmissions and retransmissions read from the same
 * place, by sequence number.
 *
 * Little data go into small slots, bulk into big ones. Bytes are appended to the last slot while it
 * has room, sent or not: a transmission copies, so nobody else refers to the slot.
 */
import { assert, CHECKED } from "../base/assert.js";
import { copy, copyWithin } from "../base/bytes.js";
import type { TcpCore } from "./core.js";
import { maySendSmall, measure, Pressure } from "./memory.js";
import { advance, before, diff, type Seq } from "./seq.js";

/** From this many bytes on, a big slot is taken. */
const BULK_BYTES = 4_096;

/** Appends up to `n` bytes; fewer when the pool is empty. Returns how many. */
export function appendToSend(t: TcpCore, bytes: Uint8Array, at: number, n: number): number {
  const c = t.c;
  const s = t.slots;
  let left = n;
  while (left > 0) {
    let slot = c.sndTail;
    let room = slot < 0 ? 0 : s.limit(slot) - s.end[slot]!;
    if (room === 0) {
      slot = addChunk(t, left);
      if (slot < 0) break;
      room = s.limit(slot) - s.end[slot]!;
    }
    const part = left < room ? left : room;
    copy(s.bytes, s.end[slot]!, bytes, at + n - left, part);
    s.end[slot] = s.end[slot]! + part;
    c.sndQueuedBytes = c.sndQueuedBytes + part;
    left -= part;
  }
  return n - left;
}

/** Appends an empty slot for the byte after the last queued one. */
function addChunk(t: TcpCore, bytes: number): number {
  const c = t.c;
  const s = t.slots;
  measure(t);
  const mayBig = t.bigPressure === Pressure.NONE;
  const maySmall = maySendSmall(t);
  let slot = -1;
  if (bytes >= BULK_BYTES && mayBig) slot = s.takeBig();
  if (slot < 0 && maySmall) slot = s.take();
  if (slot < 0 && mayBig) slot = s.takeBig();
  if (slot < 0) return -1;
  const tail = c.sndTail;
  s.next[slot] = -1;
  s.at[slot] = s.base(slot);
  s.end[slot] = s.base(slot);
  s.seq[slot] = advance(c.sndUna, c.sndQueuedBytes);
  if (tail < 0) c.sndHead = slot;
  else s.next[tail] = slot;
  c.sndTail = slot;
  return slot;
}

/** Hot path. Frees the first `n` bytes, which the peer has acknowledged. `sndUna` moves elsewhere. */
export function releaseSent(t: TcpCore, n: number): void {
  const c = t.c;
  const s = t.slots;
  if (CHECKED) assert(n <= c.sndQueuedBytes, "only queued bytes are acknowledged");
  c.sndQueuedBytes = (c.sndQueuedBytes - n) | 0;
  let slot = c.sndHead;
  while (n > 0) {
    const held = s.end[slot]! - s.at[slot]!;
    if (held > n) {
      s.at[slot] = s.at[slot]! + n;
      s.seq[slot] = (s.seq[slot]! + n) | 0;
      break;
    }
    n -= held;
    const following = s.next[slot]!;
    if (slot === c.sndCursor) c.sndCursor = -1;
    if (slot === c.rtxCursor) c.rtxCursor = -1;
    s.give(slot);
    slot = following;
  }
  c.sndHead = slot;
  if (slot < 0) c.sndTail = -1;
}

/**
 * Hot path. Copies `n` queued bytes from sequence number `seq` on to the offset `to`. `hint` is a
 * slot at or before the place, or -1; returns the slot where the copy ended.
 */
export function copySent(t: TcpCore, seq: Seq, n: number, to: number, hint: number): number {
  const c = t.c;
  const s = t.slots;
  let slot = hint >= 0 && !before(seq, s.seq[hint]! as Seq) ? hint : c.sndHead;
  let offset = diff(seq, s.seq[slot]! as Seq);
  let held = s.end[slot]! - s.at[slot]!;
  while (offset >= held) {
    offset -= held;
    slot = s.next[slot]!;
    held = s.end[slot]! - s.at[slot]!;
  }
  for (;;) {
    const part = held - offset < n ? held - offset : n;
    copyWithin(s.bytes, to, s.at[slot]! + offset, part);
    n -= part;
    if (n === 0) return slot;
    to += part;
    offset = 0;
    slot = s.next[slot]!;
    held = s.end[slot]! - s.at[slot]!;
  }
}

/** Frees all. */
export function dropSendQueue(t: TcpCore): void {
  const c = t.c;
  if (c.sndHead >= 0) t.slots.giveList(c.sndHead);
  c.sndHead = -1;
  c.sndTail = -1;
  c.sndCursor = -1;
  c.rtxCursor = -1;
  c.sndQueuedBytes = 0;
}
