/**
 * Out-of-order data (RFC 9293 §3.10.7.4, fourth step's "segments ... held for later processing"):
 * slots sorted by sequence number, without overlaps, all after `rcvNxt`; and what is told the peer
 * about them: SACK blocks (RFC 2018) and duplicate ranges (DSACK, RFC 2883).
 *
 * Overlaps are resolved for the bytes that came first. The list is bounded in slots
 * (`settings.reassemblySlots`); bytes are bounded by the window. A FIN is a flag of the last slot.
 *
 * The blocks are kept in the row, most recently changed first (RFC 2018 §4), so that an ACK costs
 * the same however long the list is. Blocks that fell off the four are forgotten.
 */
import { assert, CHECKED } from "../base/assert.js";
import { copyWithin } from "../base/bytes.js";
import type { TcpCore } from "./core.js";
import { mayHoldSlot } from "./memory.js";
import { appendReceived, shrinkSlot } from "./receive-queue.js";
import { SegmentFlags } from "./segment-flags.js";
import { advance, after, before, diff, later, notAfter, type Seq, seqOf } from "./seq.js";
import { TcbFlags, TcbOptions } from "./tcb.js";

const BLOCKS = 4;
/** Segments up to this are copied behind the one before, when they fit there. */
const MERGE_BYTES = 1_900;

/** End of a queued slot in sequence space, its FIN not counted. */
const slotEnd = (t: TcpCore, slot: number): Seq =>
  advance(t.slots.seq[slot]! as Seq, t.slots.end[slot]! - t.slots.at[slot]!);

/**
 * Takes a slot of payload (`at` to `end`, `seq` set, FIN flag set or not) that starts after
 * `rcvNxt`; false, with the slot still the caller's, when the list is full. What is already there
 * is cut off or given back.
 */
export function holdOutOfOrder(t: TcpCore, slot: number): boolean {
  const c = t.c;
  const s = t.slots;
  const seq = seqOf(s.seq[slot]!);
  const end = slotEnd(t, slot);
  const tail = c.oooTail;
  if (tail >= 0 && seq === slotEnd(t, tail) && mergeIntoTail(t, slot)) {
    noteBlock(t, seq, end);
    return true;
  }
  if (c.oooSlots >= t.settings.reassemblySlots || !mayHoldSlot(t, slot)) return false;
  slot = shrinkSlot(t, slot);
  // Most segments come after all that is held.
  if (tail < 0 || !before(seq, slotEnd(t, tail))) {
    insertAfter(t, tail, slot);
    noteBlock(t, seq, end);
    return true;
  }
  let previous = -1;
  let following = c.oooHead;
  while (following >= 0 && notAfter(seqOf(s.seq[following]!), seq)) {
    previous = following;
    following = s.next[following]!;
  }
  if (cutFront(t, slot, previous)) {
    insertAfter(t, previous, slot);
    cutBehind(t, slot);
  } else {
    s.give(slot);
  }
  noteBlock(t, seq, end);
  return true;
}

/** Copies a short segment behind the last one's bytes, as the receive queue does. */
function mergeIntoTail(t: TcpCore, slot: number): boolean {
  const c = t.c;
  const s = t.slots;
  const tail = c.oooTail;
  const n = s.end[slot]! - s.at[slot]!;
  const isFin = (s.flags[tail]! & SegmentFlags.FIN) !== 0;
  if (isFin || n > MERGE_BYTES || s.end[tail]! + n > s.limit(tail)) return false;
  copyWithin(s.bytes, s.end[tail]!, s.at[slot]!, n);
  s.end[tail] = s.end[tail]! + n;
  s.flags[tail] = s.flags[tail]! | (s.flags[slot]! & SegmentFlags.FIN);
  s.give(slot);
  t.counts[t.k.rcvCoalesced]! += 1;
  return true;
}

/** Removes from the slot's front what `previous` holds; false when nothing is left. */
function cutFront(t: TcpCore, slot: number, previous: number): boolean {
  const s = t.slots;
  if (previous < 0) return true;
  const overlap = diff(slotEnd(t, previous), seqOf(s.seq[slot]!));
  if (overlap <= 0) return true;
  noteDuplicate(t, seqOf(s.seq[slot]!), minSeq(t, slot, previous));
  const held = s.end[slot]! - s.at[slot]!;
  if (overlap >= held) return false;
  s.at[slot] = s.at[slot]! + overlap;
  s.seq[slot] = (s.seq[slot]! + overlap) | 0;
  return true;
}

/** The earlier of the two slots' ends. */
function minSeq(t: TcpCore, a: number, b: number): Seq {
  const x = slotEnd(t, a);
  const y = slotEnd(t, b);
  return before(x, y) ? x : y;
}

/** Removes what later slots hold: whole slots inside the new one go, the last overlap is cut. */
function cutBehind(t: TcpCore, slot: number): void {
  const c = t.c;
  const s = t.slots;
  for (;;) {
    const following = s.next[slot]!;
    if (following < 0) return;
    const start = seqOf(s.seq[following]!);
    const end = slotEnd(t, slot);
    if (!before(start, end)) return;
    noteDuplicate(t, start, minSeq(t, slot, following));
    if (after(slotEnd(t, following), end)) {
      s.end[slot] = s.end[slot]! - diff(end, start);
      s.flags[slot] = s.flags[slot]! & ~SegmentFlags.FIN;
      return;
    }
    s.flags[slot] = s.flags[slot]! | (s.flags[following]! & SegmentFlags.FIN);
    s.next[slot] = s.next[following]!;
    if (c.oooTail === following) c.oooTail = slot;
    c.oooSlots--;
    s.give(following);
  }
}

function insertAfter(t: TcpCore, previous: number, slot: number): void {
  const c = t.c;
  const s = t.slots;
  const following = previous < 0 ? c.oooHead : s.next[previous]!;
  s.next[slot] = following;
  if (previous < 0) c.oooHead = slot;
  else s.next[previous] = slot;
  if (following < 0) c.oooTail = slot;
  c.oooSlots++;
}

/**
 * `rcvNxt` has moved: passes on what is now in order. Returns whether a FIN was reached; `rcvNxt`
 * then stands before it.
 */
export function takeInOrder(t: TcpCore): boolean {
  const c = t.c;
  const s = t.slots;
  let isFin = false;
  for (let slot = c.oooHead; slot >= 0 && !isFin; slot = c.oooHead) {
    const start = seqOf(s.seq[slot]!);
    if (after(start, c.rcvNxt)) break;
    const end = slotEnd(t, slot);
    c.oooHead = s.next[slot]!;
    c.oooSlots--;
    isFin = (s.flags[slot]! & SegmentFlags.FIN) !== 0 && !before(end, c.rcvNxt);
    if (after(end, c.rcvNxt)) {
      if (start !== c.rcvNxt) noteDuplicate(t, start, c.rcvNxt);
      s.at[slot] = s.at[slot]! + diff(c.rcvNxt, start);
      c.rcvNxt = end;
      appendReceived(t, slot);
    } else {
      if (start !== end) noteDuplicate(t, start, end);
      s.give(slot);
    }
  }
  if (c.oooHead < 0) c.oooTail = -1;
  if (isFin) dropReassembly(t);
  forgetBlocks(t);
  return isFin;
}

/** Frees all. */
export function dropReassembly(t: TcpCore): void {
  const c = t.c;
  if (c.oooHead >= 0) t.slots.giveList(c.oooHead);
  c.oooHead = -1;
  c.oooTail = -1;
  c.oooSlots = 0;
  c.i.fill(0, c.sackAt, c.sackAt + 2 * BLOCKS);
}

/** Remembers a range that arrived twice, for the next ACK. */
export function noteDuplicate(t: TcpCore, start: Seq, end: Seq): void {
  const c = t.c;
  if (!t.settings.dsack || (c.options & TcbOptions.SACK) === 0 || start === end) return;
  if (c.has(TcbFlags.DSACK) && c.dsackEnd === start) {
    c.dsackEnd = end;
    return;
  }
  c.flags |= TcbFlags.DSACK;
  c.dsackStart = start;
  c.dsackEnd = end;
}

/** Puts the range first among the blocks, joined with those that it touches. */
function noteBlock(t: TcpCore, start: Seq, end: Seq): void {
  const c = t.c;
  const at = c.sackAt;
  let kept = 0;
  for (let k = 0; k < BLOCKS; k++) {
    const left = seqOf(c.i[at + 2 * k]!);
    const right = seqOf(c.i[at + 2 * k + 1]!);
    if (left === right) break;
    if (!after(left, end) && !before(right, start)) {
      if (before(left, start)) start = left;
      end = later(end, right);
    } else if (kept < BLOCKS) {
      scratch[2 * kept] = left;
      scratch[2 * kept + 1] = right;
      kept++;
    }
  }
  kept = Math.min(kept, BLOCKS - 1);
  c.i[at] = start;
  c.i[at + 1] = end;
  for (let k = 1; k < BLOCKS; k++) {
    c.i[at + 2 * k] = k <= kept ? scratch[2 * k - 2]! : 0;
    c.i[at + 2 * k + 1] = k <= kept ? scratch[2 * k - 1]! : 0;
  }
}

const scratch = new Int32Array(2 * BLOCKS);

/** Removes the blocks that `rcvNxt` has passed. */
function forgetBlocks(t: TcpCore): void {
  const c = t.c;
  const at = c.sackAt;
  let kept = 0;
  for (let k = 0; k < BLOCKS; k++) {
    const left = seqOf(c.i[at + 2 * k]!);
    const right = seqOf(c.i[at + 2 * k + 1]!);
    if (left === right || !after(right, c.rcvNxt) || c.oooHead < 0) continue;
    c.i[at + 2 * kept] = left;
    c.i[at + 2 * kept + 1] = right;
    kept++;
  }
  for (let k = 2 * kept; k < 2 * BLOCKS; k++) c.i[at + k] = 0;
}

/**
 * Hot path. Writes the blocks to report into `into`, DSACK first (RFC 2883 §4), at most `most`;
 * returns how many.
 */
export function sackBlocks(t: TcpCore, into: Int32Array, most: number): number {
  const c = t.c;
  let n = 0;
  if (c.has(TcbFlags.DSACK)) {
    into[0] = c.dsackStart;
    into[1] = c.dsackEnd;
    n = 1;
  }
  if (c.oooHead < 0) return n;
  const at = c.sackAt;
  for (let k = 0; k < BLOCKS && n < most; k++) {
    const left = c.i[at + 2 * k]!;
    const right = c.i[at + 2 * k + 1]!;
    if (left === right) break;
    into[2 * n] = left;
    into[2 * n + 1] = right;
    n++;
  }
  if (CHECKED) assert(n <= BLOCKS, "at most four blocks");
  return n;
}
