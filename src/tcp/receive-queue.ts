/**
 * The receive queue: slots of in-order payload that the user has not read. It ends at `rcvNxt` (less
 * the FIN) and holds `rcvQueuedBytes`.
 *
 * A short segment that fits behind the bytes of the last slot is copied there, so that a peer that
 * sends single bytes cannot hold a slot for each: the queue never takes more than about twice its
 * bytes, plus one slot. For the same reason a little payload does not stay in a big slot.
 */
import { copy, copyWithin } from "../base/bytes.js";
import { copyInside, copyOut } from "../base/copy.js";
import type { TcpCore } from "./core.js";
import { Pressure, SPREAD_BYTES } from "./memory.js";
import { advance, type Seq } from "./seq.js";
import { TcbFlags } from "./tcb.js";

/** Sequence number of the first unread byte. */
export function unreadSeq(t: TcpCore): Seq {
  const c = t.c;
  const fin = c.has(TcbFlags.FIN_RECEIVED) ? 1 : 0;
  return advance(c.rcvNxt, -c.rcvQueuedBytes - fin);
}

/** Payloads up to this are copied rather than kept in a slot that is far too large. */
const SMALL_BYTES = 1_900;

/**
 * Hot path. Moves a little payload (`at` to `end`) out of a big slot into a small one, if there is
 * one; returns the slot that holds it. Takes the slot.
 */
export function shrinkSlot(t: TcpCore, slot: number): number {
  const s = t.slots;
  const n = s.end[slot]! - s.at[slot]!;
  if (n > SMALL_BYTES || !s.isBig(slot)) return slot;
  const small = s.take();
  if (small < 0) return slot;
  const base = s.base(small);
  copyInside(s.view, s.bytes, base, s.at[slot]!, n);
  s.at[small] = base;
  s.end[small] = base + n;
  s.seq[small] = s.seq[slot]!;
  s.flags[small] = s.flags[slot]!;
  s.give(slot);
  return small;
}

/** Hot path. Takes a slot whose `at` and `end` hold the next bytes; at least one. */
export function appendReceived(t: TcpCore, slot: number): void {
  const c = t.c;
  const s = t.slots;
  const n = s.end[slot]! - s.at[slot]!;
  const tail = c.rcvTail;
  c.rcvQueuedBytes = (c.rcvQueuedBytes + n) | 0;
  if (n > SMALL_BYTES && t.bigPressure >= Pressure.CRITICAL && s.isBig(slot)) {
    if (spread(t, slot)) return;
  }
  if (tail >= 0) {
    const end = s.end[tail]!;
    if (n <= SMALL_BYTES && end + n <= s.limit(tail) && s.away[tail] === 0) {
      copyInside(s.view, s.bytes, end, s.at[slot]!, n);
      s.end[tail] = end + n;
      s.give(slot);
      t.counts[t.k.rcvCoalesced]! += 1;
      return;
    }
    if (n <= SMALL_BYTES) slot = shrinkSlot(t, slot);
    s.next[tail] = slot;
  } else {
    if (n <= SMALL_BYTES) slot = shrinkSlot(t, slot);
    c.rcvHead = slot;
  }
  s.next[slot] = -1;
  c.rcvTail = slot;
}

/**
 * Big slots are short: copies the bytes of one into small slots, and gives it back. False, with the
 * slot as it was, when there are not enough of those.
 */
function spread(t: TcpCore, slot: number): boolean {
  const c = t.c;
  const s = t.slots;
  const n = s.end[slot]! - s.at[slot]!;
  if (n > s.freeSmall * SPREAD_BYTES) return false;
  for (let from = s.at[slot]!; from < s.end[slot]!; from += SPREAD_BYTES) {
    const part = Math.min(SPREAD_BYTES, s.end[slot]! - from);
    const small = s.take();
    const base = s.base(small);
    copyWithin(s.bytes, base, from, part);
    s.at[small] = base;
    s.end[small] = base + part;
    s.next[small] = -1;
    if (c.rcvTail < 0) c.rcvHead = small;
    else s.next[c.rcvTail] = small;
    c.rcvTail = small;
  }
  s.give(slot);
  return true;
}

/** Copies up to `n` bytes out and frees them. `into` null only frees. Returns how many. */
export function takeReceived(t: TcpCore, into: Uint8Array | null, at: number, n: number): number {
  const c = t.c;
  const s = t.slots;
  const wanted = n < c.rcvQueuedBytes ? n : c.rcvQueuedBytes;
  let left = wanted;
  while (left > 0) {
    const slot = c.rcvHead;
    const from = s.at[slot]!;
    const held = s.end[slot]! - from;
    const part = held < left ? held : left;
    if (into !== null) copyOut(into, at + wanted - left, s.view, s.bytes, from, part);
    left -= part;
    if (part === held) {
      c.rcvHead = s.next[slot]!;
      if (c.rcvHead < 0) c.rcvTail = -1;
      s.give(slot);
    } else {
      s.at[slot] = from + part;
    }
  }
  c.rcvQueuedBytes = (c.rcvQueuedBytes - wanted) | 0;
  return wanted;
}

/** As {@link takeReceived}, but frees nothing (MSG_PEEK). Skips the first `skip` bytes. */
export function peekReceived(
  t: TcpCore,
  into: Uint8Array,
  at: number,
  n: number,
  skip: number,
): number {
  const c = t.c;
  const s = t.slots;
  let left = Math.min(n, c.rcvQueuedBytes - skip);
  const copied = left;
  for (let slot = c.rcvHead; left > 0; slot = s.next[slot]!) {
    const held = s.end[slot]! - s.at[slot]!;
    if (skip >= held) {
      skip -= held;
      continue;
    }
    const part = Math.min(held - skip, left);
    copy(into, at + copied - left, s.bytes, s.at[slot]! + skip, part);
    left -= part;
    skip = 0;
  }
  return copied;
}

/** Takes the first slot out of the queue: its bytes `at` to `end` are the caller's. -1 when empty. */
export function takeReceivedSlot(t: TcpCore): number {
  const c = t.c;
  const s = t.slots;
  const slot = c.rcvHead;
  if (slot < 0) return -1;
  c.rcvHead = s.next[slot]!;
  if (c.rcvHead < 0) c.rcvTail = -1;
  c.rcvQueuedBytes = (c.rcvQueuedBytes - (s.end[slot]! - s.at[slot]!)) | 0;
  if (s.away[slot] !== 0) s.land(slot); // for as long as the caller likes
  return slot;
}

/** Frees all. */
export function dropReceiveQueue(t: TcpCore): void {
  const c = t.c;
  if (c.rcvHead >= 0) t.slots.giveList(c.rcvHead);
  c.rcvHead = -1;
  c.rcvTail = -1;
  c.rcvQueuedBytes = 0;
}
