/**
 * Header prediction (Jacobson) for a receiver of data: the next in-order segment, with data, in
 * ESTABLISHED, which tells the sending side nothing new (bulk), or that all it had sent has arrived
 * (an answer, or the next request: `expected-ack.ts`). Every check of RFC 9293 §3.10.7.4 that such
 * a segment could fail is made here, on words read once; whatever else comes goes through
 * `arrives.ts`, which decides anew.
 *
 * Measured: one function instead of the steps that `arrives.ts` has for it, with what a batch has
 * settled already (an ACK is due, the delay is at its least) looked at before any call, because V8
 * inlines 920 bytes of bytecode into a function and no more. See docs/benchmarks.md, tcp-rx.
 */
import * as tcp from "../wire/tcp.js";
import { ALIGNED_TIMESTAMPS } from "../wire/tcp-options.js";
import type { TcpCore } from "./core.js";
import { noteData, scheduleAck } from "./delayed-ack.js";
import { takeExpectedAck } from "./expected-ack.js";
import { isPressed } from "./memory.js";
import { appendReceived } from "./receive-queue.js";
import { SegmentFlags } from "./segment-flags.js";
import { notAfter, type Seq } from "./seq.js";
import { State } from "./state.js";
import { Pending, TcbFlags, TcbOptions } from "./tcb.js";
import { nowSeconds } from "./timestamps.js";
import { sampleReceiverRtt } from "./window.js";

/** Flags that header prediction looks at, in the control word: all but PSH. */
const PREDICT_MASK = (0xff & ~tcp.PSH) << 16;
const PREDICTED = tcp.ACK << 16;
/** What makes every segment a special one. */
export const UNUSUAL = TcbFlags.URGENT | TcbFlags.ECE | TcbFlags.RCV_SHUTDOWN;
const PLAIN_WORDS = 5;
const TIMESTAMPS_WORDS = 8;
const GSO = SegmentFlags.GSO_TCP4 | SegmentFlags.GSO_TCP6;

/**
 * Hot path. Takes the slot if it holds the expected segment of the selected row; false, with nothing
 * changed, if not. `tos` of the IP header.
 */
export function takeExpected(t: TcpCore, slot: number, tos: number): boolean {
  const c = t.c;
  const s = t.slots;
  const { view } = s;
  const at = s.l4At[slot]!;
  const seq = view.getInt32(at + 4);
  const control = view.getInt32(at + 12); // data offset, flags, window
  const agreed = c.options;
  const hasTimestamps = (agreed & TcbOptions.TIMESTAMPS) !== 0;
  const headerWords = hasTimestamps ? TIMESTAMPS_WORDS : PLAIN_WORDS;
  const dataAt = at + (headerWords << 2);
  const n = s.end[slot]! - dataAt;
  if (
    (control & PREDICT_MASK) !== PREDICTED ||
    control >>> 28 !== headerWords ||
    c.state !== State.ESTABLISHED ||
    seq !== c.rcvNxt ||
    n <= 0 ||
    n > ((c.rcvAdv - seq) | 0) ||
    ((c.flags & UNUSUAL) | c.retries) !== 0 ||
    c.oooHead >= 0 ||
    (tos & 3) === 3 ||
    (hasTimestamps && !isNewer(t, at)) ||
    isPressed(t)
  ) {
    return false;
  }
  const ack = view.getInt32(at + 8) as Seq;
  const window = (control & 0xffff) << (c.scales & 0xff);
  if ((ack !== c.sndUna || window !== c.sndWnd) && !takeExpectedAck(t, ack, window)) return false;
  if (hasTimestamps) takeTimestamps(t, at, seq as Seq);
  c.sndWl1 = seq as Seq; // the window came with it; and it must not fall half the sequence space behind
  c.lastRcvUs = t.nowUs;
  noteSegment(t, slot, n);
  c.rcvNxt = ((seq + n) | 0) as Seq;
  s.at[slot] = dataAt;
  queue(t, slot, n);
  if ((c.pending & Pending.ACK_NOW) === 0) scheduleAck(t);
  count(t, n);
  t.host.changed(c);
  return true;
}

/** Hot path. PAWS: the timestamps stand where every stack puts them and are not old. */
function isNewer(t: TcpCore, at: number): boolean {
  const { view } = t.slots;
  if (view.getInt32(at + tcp.OPTIONS_AT) !== ALIGNED_TIMESTAMPS) return false;
  return ((view.getInt32(at + tcp.OPTIONS_AT + 4) - t.c.tsRecent) | 0) >= 0;
}

/** Hot path. RFC 7323 §4.3, and a sample of the receiver's round trip. */
function takeTimestamps(t: TcpCore, at: number, seq: Seq): void {
  const c = t.c;
  const { view } = t.slots;
  if (notAfter(seq, c.rcvAcked)) {
    c.tsRecent = view.getInt32(at + tcp.OPTIONS_AT + 4);
    c.tsRecentSeconds = nowSeconds(t);
  }
  sampleReceiverRtt(t, view.getInt32(at + tcp.OPTIONS_AT + 8));
}

/** Hot path. As `noteData`, which has nothing to do while the delay is at its least. */
function noteSegment(t: TcpCore, slot: number, n: number): void {
  const c = t.c;
  const s = t.slots;
  if ((s.flags[slot]! & GSO) !== 0 && s.gsoBytes[slot]! < n) n = s.gsoBytes[slot]!;
  const isSettled =
    c.lastDataRcvMs === (t.nowMs & 0x7fffffff) && c.delackUs === t.settings.delackMinUs;
  if (!isSettled || n > c.rcvMss) noteData(t, n);
}

/** Hot path. As `appendReceived`, when the slot is queued as it is. */
function queue(t: TcpCore, slot: number, n: number): void {
  const c = t.c;
  const s = t.slots;
  const tail = c.rcvTail;
  if (s.isBig(slot) || (tail >= 0 && s.end[tail]! + n <= s.limit(tail))) {
    appendReceived(t, slot);
    return;
  }
  if (tail < 0) c.rcvHead = slot;
  else s.next[tail] = slot;
  s.next[slot] = -1;
  c.rcvTail = slot;
  c.rcvQueuedBytes = (c.rcvQueuedBytes + n) | 0;
}

/** Hot path. */
function count(t: TcpCore, n: number): void {
  const { c, counts, k } = t;
  counts[k.inSegs]! += 1;
  counts[k.predictedData]! += 1;
  c.segsIn = (c.segsIn + 1) | 0;
  c.bytesReceived += n;
  c.dataSegsIn = (c.dataSegsIn + 1) | 0;
}
