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
import { noteData, PINGPONG, QUICK_MASK, scheduleAck } from "./delayed-ack.js";
import { takeExpectedAck } from "./expected-ack.js";
import { takeInTurn } from "./lockstep.js";
import { OVERSHOOT_BYTES, Pressure } from "./memory.js";
import { appendReceived } from "./receive-queue.js";
import { SegmentFlags } from "./segment-flags.js";
import type { Seq } from "./seq.js";
import { State } from "./state.js";
import { Pending, TcbFlags, TcbOptions } from "./tcb.js";

// What is imported is read anew each time; what is a module's own constant is part of the code.
const { TIMESTAMPS } = TcbOptions;
const { ESTABLISHED } = State;
const { ACK_NOW, ACK_DELAYED, TIMER } = Pending;
const { CRITICAL } = Pressure;
const QUICK: number = QUICK_MASK;
const INTERACTIVE: number = PINGPONG;
const OVERSHOOT: number = OVERSHOOT_BYTES;
const ALIGNED: number = ALIGNED_TIMESTAMPS;
const OPTIONS_AT: number = tcp.OPTIONS_AT;
const GSO = SegmentFlags.GSO_TCP4 | SegmentFlags.GSO_TCP6;
/** Flags that header prediction looks at, in the control word: all but PSH. */
const PREDICT_MASK = (0xff & ~tcp.PSH) << 16;
const PREDICTED = tcp.ACK << 16;
/** What makes every segment a special one. */
const SPECIAL = TcbFlags.URGENT | TcbFlags.ECE | TcbFlags.RCV_SHUTDOWN;
export const UNUSUAL: number = SPECIAL;
const PLAIN_WORDS = 5;
const TIMESTAMPS_WORDS = 8;

/**
 * Hot path. Takes the slot if it holds the expected segment of the selected row; false, with nothing
 * changed, if not. `tos` of the IP header.
 */
export function takeExpected(t: TcpCore, slot: number, tos: number): boolean {
  const c = t.c;
  if (c.row === t.lockstep.row && takeInTurn(t, slot, tos)) return true;
  const s = t.slots;
  const { view } = s;
  const at = s.l4At[slot]!;
  const seq = view.getInt32(at + 4) as Seq;
  const control = view.getInt32(at + 12); // data offset, flags, window
  const hasTimestamps = (c.options & TIMESTAMPS) !== 0;
  const headerWords = hasTimestamps ? TIMESTAMPS_WORDS : PLAIN_WORDS;
  const dataAt = (at + (headerWords << 2)) | 0;
  const n = (s.end[slot]! - dataAt) | 0;
  if (
    (control & PREDICT_MASK) !== PREDICTED ||
    control >>> 28 !== headerWords ||
    c.state !== ESTABLISHED ||
    seq !== c.rcvNxt ||
    n <= 0 ||
    n > ((c.rcvAdv - seq) | 0) ||
    ((c.flags & SPECIAL) | c.retries) !== 0 ||
    c.oooHead >= 0 ||
    (tos & 3) === 3 ||
    t.pressure >= CRITICAL ||
    ((c.rcvQueuedBytes - c.rcvBufBytes) | 0) > OVERSHOOT
  ) {
    return false;
  }
  let tsVal = 0;
  if (hasTimestamps) {
    // PAWS: the timestamps stand where every stack puts them and are not old.
    if (view.getInt32(at + OPTIONS_AT) !== ALIGNED) return false;
    tsVal = view.getInt32(at + OPTIONS_AT + 4);
    if (((tsVal - c.tsRecent) | 0) < 0) return false;
  }
  const ack = view.getInt32(at + 8) as Seq;
  const window = (control & 0xffff) << (c.scales & 0xff);
  if ((ack !== c.sndUna || window !== c.sndWnd) && !takeExpectedAck(t, ack, window)) return false;
  if (hasTimestamps) takeTimestamps(t, seq, tsVal, view.getInt32(at + OPTIONS_AT + 8));
  c.sndWl1 = seq; // the window came with it; and it must not fall half the sequence space behind
  c.lastRcvUs = t.nowUs;
  const isSettled =
    c.lastDataRcvMs === (t.nowMs & 0x7fffffff) && c.delackUs === t.settings.delackMinUs;
  if (!isSettled || n > c.rcvMss) noteSegment(t, slot, n, isSettled);
  c.rcvNxt = ((seq + n) | 0) as Seq;
  s.at[slot] = dataAt;
  const tail = c.rcvTail;
  if (tail < 0 && !s.isBig(slot)) {
    c.rcvHead = slot;
    s.next[slot] = -1;
    c.rcvTail = slot;
    c.rcvQueuedBytes = n;
  } else {
    queue(t, slot, n);
  }
  const pending = c.pending;
  if ((pending & ACK_NOW) === 0) {
    const acks = c.ackState;
    const isQuick = (acks & QUICK) !== 0 && (acks & INTERACTIVE) === 0;
    if (isQuick || ((seq + n - c.rcvAcked) | 0) > c.rcvMss) scheduleAck(t);
    else if ((pending & ACK_DELAYED) === 0) delayAck(t, pending);
  }
  const { counts, k } = t;
  counts[k.inSegs]! += 1;
  counts[k.predictedData]! += 1;
  c.segsIn = (c.segsIn + 1) | 0;
  c.bytesReceived += n;
  c.dataSegsIn = (c.dataSegsIn + 1) | 0;
  if (c.socket !== 0) t.host.changed(c);
  return true;
}

/** Hot path. RFC 7323 §4.3, and as `sampleReceiverRtt`. */
function takeTimestamps(t: TcpCore, seq: Seq, tsVal: number, tsEcr: number): void {
  const c = t.c;
  if (((seq - c.rcvAcked) | 0) <= 0) {
    c.tsRecent = tsVal;
    c.tsRecentSeconds = (t.nowUs * 1e-6) | 0;
  }
  if (tsEcr === 0) return;
  const ms = (t.nowMs - tsEcr + c.tsOffset) | 0;
  if (ms < 0) return;
  const us = ms === 0 ? 1000 : ms * 1000;
  const old = c.rcvRttUs;
  c.rcvRttUs = old === 0 || us < old ? us : old + ((us - old) >> 3);
}

/** Hot path. As `noteData`, which has nothing to do while the delay is at its least. */
function noteSegment(t: TcpCore, slot: number, n: number, isSettled: boolean): void {
  const s = t.slots;
  if ((s.flags[slot]! & GSO) !== 0 && s.gsoBytes[slot]! < n) n = s.gsoBytes[slot]!;
  if (!isSettled || n > t.c.rcvMss) noteData(t, n);
}

/** Hot path. As `appendReceived`, when the slot is queued as it is. */
function queue(t: TcpCore, slot: number, n: number): void {
  const c = t.c;
  const s = t.slots;
  const tail = c.rcvTail;
  const isBig = s.isBig(slot);
  if (isBig) {
    const away = s.away[slot]!;
    s.at[slot] = (s.at[slot]! + away) | 0;
    s.end[slot] = (s.end[slot]! + away) | 0;
  }
  if (isBig || (tail >= 0 && s.end[tail]! + n <= s.limit(tail))) {
    appendReceived(t, slot);
    return;
  }
  if (tail < 0) c.rcvHead = slot;
  else s.next[tail] = slot;
  s.next[slot] = -1;
  c.rcvTail = slot;
  c.rcvQueuedBytes = (c.rcvQueuedBytes + n) | 0;
}

/** Hot path. As `delayAck`. */
function delayAck(t: TcpCore, pending: number): void {
  const c = t.c;
  const delay = c.delackUs;
  const min = t.settings.delackMinUs;
  const at = t.nowUs + (delay > min ? delay : min);
  c.delackAtUs = at;
  if (at < c.armedAtUs) t.want(ACK_DELAYED | TIMER);
  else c.pending = pending | ACK_DELAYED;
}
