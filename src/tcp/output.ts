/**
 * The output pass of one connection (RFC 9293 §3.8): lost ranges first, then new data as far as the
 * peer's window, congestion control and Nagle's algorithm let it, then the ACK that is still owed,
 * then the row's timer.
 *
 * Segments are as large as the host's GSO limit allows; each is copied from the send queue, unless it
 * is a whole slot of it and the device lets queue and frame share that (send-queue.ts).
 */
import { NEVER } from "../base/time.js";
import * as tcp from "../wire/tcp.js";
import type { TcpCore } from "./core.js";
import { ackSent, dataSent } from "./delayed-ack.js";
import { Pressure } from "./memory.js";
import { armPersist } from "./persist.js";
import { sendPlain } from "./plain-output.js";
import { sendRetransmissions } from "./retransmit.js";
import { armTimer } from "./row-timers.js";
import {
  headerAt,
  optionBytes,
  sendAck,
  sendSegment,
  writeHeader,
  writeHeaderAt,
} from "./segment-writer.js";
import { bytesToBoundary, copySent, dataAt, unsentBytes, wholeSlot } from "./send-queue.js";
import { advance, diff, type Seq } from "./seq.js";
import { maySend } from "./state.js";
import { Pending, TcbFlags, TcbOptions } from "./tcb.js";

/** How soon the pool is tried again when it was empty. */
export const RETRY_US = 10_000;

/** Hot path. Does what the selected row has pending. */
export function outputPass(t: TcpCore): void {
  const c = t.c;
  const pending = c.pending;
  c.pending = pending & ~(Pending.OUTPUT | Pending.RETRANSMIT | Pending.TIMER);
  const wanted = pending & (Pending.OUTPUT | Pending.RETRANSMIT);
  const isDone = wanted === Pending.OUTPUT && sendPlain(t);
  if (wanted !== 0 && !isDone && maySend(c.state)) {
    sendRetransmissions(t);
    sendNewData(t);
  }
  if ((c.pending & Pending.ACK_NOW) !== 0 && !sendAck(t)) c.delackAtUs = t.nowUs + RETRY_US;
  armTimer(t);
}

/** Hot path. Sends what may be sent of the bytes after `sndNxt`, and the FIN. */
export function sendNewData(t: TcpCore): void {
  const c = t.c;
  const finWaits = (c.flags & (TcbFlags.FIN_QUEUED | TcbFlags.FIN_SENT)) === TcbFlags.FIN_QUEUED;
  let unsent = unsentBytes(t);
  if (unsent === 0 && !finWaits) return;
  if (c.sndNxt === c.sndUna) t.recovery.idleRestart(c, t.nowUs);
  const mss = effectiveMss(t);
  let blocked = false;
  while (unsent > 0) {
    const n = nextBytes(t, unsent, mss);
    if (n <= 0) {
      blocked = true;
      break;
    }
    const sent = sendNewSegment(t, n, mss, n === unsent);
    if (sent === 0) {
      c.persistAtUs = t.nowUs + RETRY_US;
      blocked = true;
      break;
    }
    unsent -= sent;
  }
  if (unsent === 0 && !blocked && finWaits && !c.has(TcbFlags.FIN_SENT)) sendFin(t);
  if (blocked) armPersist(t);
}

/** Hot path. Payload bytes of a full segment sent now: SACK blocks take their room. */
export function effectiveMss(t: TcpCore): number {
  const c = t.c;
  if (c.oooHead < 0 && !c.has(TcbFlags.DSACK)) return c.sndMss;
  const fixed = (c.options & TcbOptions.TIMESTAMPS) !== 0 ? 12 : 0;
  return c.sndMss - (optionBytes(t) - fixed);
}

/** Hot path. Size of the next segment of new data, or 0 when none may go out now. */
function nextBytes(t: TcpCore, unsent: number, mss: number): number {
  const c = t.c;
  const window = c.sndWnd - diff(c.sndNxt, c.sndUna);
  const budget = t.recovery.budgetBytes(c);
  let n = unsent < window ? unsent : window;
  if (n > budget) n = budget;
  if (n <= 0) return 0;
  const gso = t.host.gsoLimitBytes(c);
  const limit = gso > mss ? gso - (gso % mss) : mss;
  if (t.isEarly && unsent < limit) {
    t.want(Pending.OUTPUT); // more may be written before the turn is over
    return 0;
  }
  if (n < mss) return mayBePartial(t, n, unsent, budget) ? n : 0;
  if (n > limit) n = limit;
  if (n > mss) {
    const cut = bytesToBoundary(t, c.sndNxt, n, c.sndCursor);
    if (cut < n) return cut;
    const tail = n % mss;
    // The rest may have to wait for an ACK or for more data.
    if (tail !== 0 && !(n === unsent && mayBePartial(t, tail, tail, budget))) n -= tail;
  }
  return n;
}

/** Hot path. Whether a segment that is not full may go out: `n` of `unsent` bytes. */
function mayBePartial(t: TcpCore, n: number, unsent: number, budget: number): boolean {
  const c = t.c;
  if (n < unsent) {
    // Cut short by congestion control: wait for a whole segment. By the window: RFC 1122 §4.2.3.4,
    // half of the largest window ever seen.
    if (n === budget) return false;
    return n >= c.sndMaxWnd >> 1;
  }
  if (c.has(TcbFlags.FIN_QUEUED)) return true;
  if ((c.options & TcbOptions.CORK) !== 0 || c.has(TcbFlags.MORE)) {
    return c.has(TcbFlags.CORK_EXPIRED);
  }
  if ((c.options & TcbOptions.NODELAY) !== 0 || c.has(TcbFlags.SND_URGENT)) return true;
  // Minshall's variant of Nagle, as in Linux: wait only for another small segment in flight.
  return c.sndNxt === c.sndUna || diff(c.sndSml, c.sndUna) <= 0;
}

/** Hot path. Sends `n` new bytes from `sndNxt`; returns how many, 0 when the pool is empty. */
export function sendNewSegment(t: TcpCore, n: number, mss: number, isLast: boolean): number {
  const c = t.c;
  const flags = c.flags;
  const withFin = isLast && (flags & TcbFlags.FIN_QUEUED) !== 0 && finFits(t, n);
  let control = tcp.ACK;
  if (isLast) control |= tcp.PSH;
  if ((flags & TcbFlags.CWR) !== 0) control |= tcp.CWR;
  const sent = sendRange(t, c.sndNxt, n, withFin ? control | tcp.FIN : control, mss, c.sndCursor);
  if (sent === 0) return 0;
  c.sndCursor = cursorOut;
  c.flags &= ~(TcbFlags.CWR | TcbFlags.CORK_EXPIRED);
  const start = c.sndNxt;
  const withFinNow = withFin && sent === n;
  const end = advance(start, sent + (withFinNow ? 1 : 0));
  if (withFinNow) c.flags |= TcbFlags.FIN_SENT;
  if (sent % mss !== 0) c.sndSml = end;
  c.sndNxt = end;
  t.recovery.sent(c, start, end, t.nowUs);
  dataSent(t);
  c.bytesSent += sent;
  c.dataSegsOut = (c.dataSegsOut + 1) | 0;
  return sent;
}

/** FIN takes a place in the window (RFC 9293 §3.8.6). */
function finFits(t: TcpCore, n: number): boolean {
  const c = t.c;
  return diff(c.sndNxt, c.sndUna) + n < c.sndWnd;
}

let cursorOut = -1;

/** Hot path. Slot where the last {@link sendRange} ended. */
export const lastCursor = (): number => cursorOut;

/**
 * Hot path. Sends `n` queued bytes from `seq` as one segment; fewer when only a small slot is left.
 * Returns how many, 0 when the pool is empty. `hint` as in `copySent`.
 */
export function sendRange(
  t: TcpCore,
  seq: Seq,
  n: number,
  control: number,
  mss: number,
  hint: number,
): number {
  const s = t.slots;
  if (n > mss) {
    const own = wholeSlot(t, seq, n, hint);
    if (own >= 0) {
      sendWhole(t, own, seq, n, control, mss);
      return n;
    }
  }
  const mayBig = t.bigPressure < Pressure.CRITICAL;
  let slot = n > mss && mayBig ? s.takeBig() : -1;
  if (slot < 0) slot = takeFor(t, mayBig ? n : 0);
  if (slot < 0) {
    t.counts[t.k.noSlot]! += 1;
    return 0;
  }
  const at = headerAt(t, slot);
  const room = s.limit(slot) - at - tcp.MAX_HEADER_BYTES;
  if (n > room) {
    n = room > mss ? room - (room % mss) : room;
    control &= ~(tcp.FIN | tcp.PSH);
  }
  const payloadAt = writeHeader(t, slot, seq, control);
  cursorOut = copySent(t, seq, n, payloadAt, hint);
  sendSegment(t, slot, at, payloadAt + n, mss);
  ackSent(t);
  return n;
}

/** Hot path. Sends the `n` bytes of a slot of the send queue, which is the frame: see `wholeSlot`. */
function sendWhole(
  t: TcpCore,
  slot: number,
  seq: Seq,
  n: number,
  control: number,
  mss: number,
): void {
  const s = t.slots;
  const payloadAt = dataAt(s, slot);
  const at = payloadAt - tcp.HEADER_BYTES - optionBytes(t);
  s.share(slot);
  writeHeaderAt(t, at, seq, control);
  cursorOut = slot;
  sendSegment(t, slot, at, payloadAt + n, mss);
  ackSent(t);
}

/** Hot path. A slot with room for `n` bytes of payload, or any. */
function takeFor(t: TcpCore, n: number): number {
  const s = t.slots;
  if (n <= SMALL_PAYLOAD_BYTES) {
    const slot = s.take();
    return slot < 0 ? s.takeBig() : slot;
  }
  const slot = s.takeBig();
  return slot < 0 ? s.take() : slot;
}

/** Payload that surely fits a small slot. */
const SMALL_PAYLOAD_BYTES = 1_800;

/** Sends a FIN without data; the window must have room for it unless nothing is in flight. */
function sendFin(t: TcpCore): void {
  const c = t.c;
  if (!finFits(t, 0) && c.sndNxt !== c.sndUna) return;
  const s = t.slots;
  const slot = s.take();
  if (slot < 0) {
    t.counts[t.k.noSlot]! += 1;
    c.persistAtUs = t.nowUs + RETRY_US;
    return;
  }
  const start = c.sndNxt;
  const end = writeHeader(t, slot, start, tcp.FIN | tcp.ACK);
  sendSegment(t, slot, headerAt(t, slot), end, 0);
  ackSent(t);
  c.flags |= TcbFlags.FIN_SENT;
  c.sndNxt = advance(start, 1);
  t.recovery.sent(c, start, c.sndNxt, t.nowUs);
}

/** Whether nothing that we sent is unacknowledged. */
export const nothingInFlight = (t: TcpCore): boolean => t.c.sndNxt === t.c.sndUna;

/** A held back segment has waited long enough (CORK), or the pool may have slots again. */
export function releaseHeldBack(t: TcpCore): void {
  const c = t.c;
  c.persistAtUs = NEVER;
  c.flags |= TcbFlags.CORK_EXPIRED;
  t.want(Pending.OUTPUT);
}
