/**
 * The user's side of an established connection: SEND and RECEIVE of RFC 9293 §3.10.2 and §3.10.3,
 * polled. Errors are negated errnos; a pending error is given once.
 */

import { copyOut } from "../base/copy.js";
import { EAGAIN, ENOTCONN, EPIPE } from "../base/errno.js";
import type { TcpCore } from "./core.js";
import { delayIsOver } from "./delayed-ack.js";
import { receiveInTurn } from "./lockstep.js";
import { waitForRoom } from "./ready.js";
import { peekReceived, takeReceived, takeReceivedSlot } from "./receive-queue.js";
import { appendFirst, appendToSend, unsentBytes } from "./send-queue.js";
import { advance, diff } from "./seq.js";
import { State } from "./state.js";
import { Pending, TcbFlags, TcbOptions } from "./tcb.js";
import { TransferFlags } from "./transfer-flags.js";
import { bytesToMark, passMark, receiveUrgent } from "./urgent.js";
import { adjustBuffer, needsWindowUpdate, roundIsOver } from "./window.js";

const { URGENT } = TcbFlags;
const { ACK_DELAYED } = Pending;

/** Gives and clears the pending error, as a negated errno; 0 when there is none. */
export function takeRowError(t: TcpCore): number {
  const c = t.c;
  const error = c.error;
  c.error = 0;
  return -error;
}

/** Why the selected row cannot send, or 0. */
function sendProblem(t: TcpCore): number {
  const c = t.c;
  if (c.error !== 0) return takeRowError(t);
  if (c.has(TcbFlags.FIN_QUEUED)) return -EPIPE;
  switch (c.state) {
    case State.ESTABLISHED:
    case State.CLOSE_WAIT:
      return 0;
    case State.SYN_SENT:
    case State.SYN_RECEIVED:
      return -EAGAIN;
    default:
      return -EPIPE; // Linux's answer also when there never was a connection
  }
}

/**
 * Queues up to `n` bytes; they go out in the output pass. Returns how many, -EAGAIN when the send
 * buffer is full (readiness OUT then tells when it is not), or why it cannot be.
 */
export function sendBytes(
  t: TcpCore,
  bytes: Uint8Array,
  at: number,
  n: number,
  flags: number,
): number {
  if (flags === 0 && n > 0 && appendFirst(t, bytes, at, n)) return n;
  const c = t.c;
  const problem = sendProblem(t);
  if (problem !== 0) return problem;
  if (n === 0) return 0;
  const room = sendRoom(t);
  if (room <= 0) {
    c.flags |= TcbFlags.SND_FULL;
    return -EAGAIN;
  }
  const part = n < room ? n : room;
  const queued = appendToSend(t, bytes, at, part);
  if (queued === 0) {
    t.counts[t.k.sndMemoryWaits]! += 1;
    waitForRoom(t);
    return -EAGAIN;
  }
  if (queued < n) c.flags |= TcbFlags.SND_FULL;
  if ((flags & TransferFlags.OOB) !== 0 && queued === n) {
    c.sndUp = advance(c.sndUna, c.sndQueuedBytes);
    c.flags |= TcbFlags.SND_URGENT;
  }
  if ((flags & TransferFlags.MORE) !== 0) c.flags |= TcbFlags.MORE;
  else c.flags &= ~TcbFlags.MORE;
  if (unsentBytes(t) === queued) t.wantTurn();
  else t.want(Pending.OUTPUT);
  return queued;
}

/** Room in the send buffer, TCP_NOTSENT_LOWAT observed. */
function sendRoom(t: TcpCore): number {
  const c = t.c;
  const room = c.sndBufBytes - c.sndQueuedBytes;
  const lowat = c.notsentLowatBytes;
  if (lowat === 0) return room;
  const unsent = c.sndQueuedBytes - diff(c.sndNxt, c.sndUna);
  // Linux checks before it takes a whole piece; the last piece may overshoot.
  return unsent >= lowat ? 0 : room;
}

/** Why there is nothing to read: 0 for the end of data, or a negated errno. */
function nothingToRead(t: TcpCore): number {
  const c = t.c;
  // The end of data hides an error that came after it, as in Linux.
  if (c.has(TcbFlags.FIN_RECEIVED)) return 0;
  if (c.error !== 0) return takeRowError(t);
  if (c.has(TcbFlags.RCV_SHUTDOWN | TcbFlags.DEAD)) return 0;
  if (c.state === State.CLOSED || c.state === State.LISTEN) return -ENOTCONN;
  return -EAGAIN;
}

/**
 * Reads up to `n` bytes: how many, 0 at the end of data, -EAGAIN when there are none yet. A read
 * ends at the urgent mark.
 */
export function receiveBytes(
  t: TcpCore,
  into: Uint8Array,
  at: number,
  n: number,
  flags: number,
): number {
  const c = t.c;
  if (flags === 0 && c.row === t.lockstep.row) {
    const got = receiveInTurn(t, into, at, n);
    if (got >= 0) return got;
  }
  if (flags === 0 && (c.flags & URGENT) === 0) return receivePlain(t, into, at, n);
  if ((flags & TransferFlags.OOB) !== 0) return receiveUrgent(t, into, at, flags);
  if ((flags & TransferFlags.PEEK) !== 0) return peek(t, into, at, n);
  let toMark = -1;
  if (c.has(TcbFlags.URGENT)) {
    toMark = bytesToMark(t);
    if (toMark === 0) {
      passMark(t);
      toMark = -1;
    }
  }
  if (c.rcvQueuedBytes === 0) return nothingToRead(t);
  const most = toMark > 0 && toMark < n ? toMark : n;
  const target = (flags & TransferFlags.TRUNC) !== 0 ? null : into;
  const got = takeReceived(t, target, at, most);
  if (got > 0 && readHasEffect(t)) afterRead(t);
  return got;
}

/** Hot path. As {@link receiveBytes}, without flags or a mark. */
function receivePlain(t: TcpCore, into: Uint8Array, at: number, n: number): number {
  const c = t.c;
  const queued = c.rcvQueuedBytes;
  if (queued === 0) return nothingToRead(t);
  const slot = c.rcvHead;
  let got = queued;
  if (slot === c.rcvTail && queued <= n) {
    const s = t.slots;
    copyOut(into, at, s.view, s.bytes, s.at[slot]!, queued);
    c.rcvHead = -1;
    c.rcvTail = -1;
    c.rcvQueuedBytes = 0;
    s.give(slot);
  } else {
    got = takeReceived(t, into, at, n);
  }
  if (got > 0 && readHasEffect(t)) afterRead(t);
  return got;
}

/** MSG_PEEK: as a read would see it, the mark respected, nothing changed. */
function peek(t: TcpCore, into: Uint8Array, at: number, n: number): number {
  const c = t.c;
  const toMark = bytesToMark(t);
  const isInline = (c.options & TcbOptions.OOBINLINE) !== 0;
  const skip = toMark === 0 && !isInline ? 1 : 0;
  if (c.rcvQueuedBytes - skip <= 0) return nothingToRead(t);
  return peekReceived(t, into, at, toMark > 0 && toMark < n ? toMark : n, skip);
}

/**
 * Takes the first unread slot without a copy: its bytes are `at` to `end`, and the caller gives it
 * back to the pool. 0 is a slot; the end of data is -EPIPE's place: see below.
 *
 * Returns the slot, -EAGAIN when there is none yet, or {@link END_OF_DATA}. A slot that holds the
 * urgent mark is not given (-EAGAIN): read past it with `receive`.
 */
export function receiveSlot(t: TcpCore): number {
  if (t.c.has(TcbFlags.URGENT) && !slotIsBeforeMark(t)) return -EAGAIN;
  const slot = takeReceivedSlot(t);
  if (slot < 0) {
    const why = nothingToRead(t);
    return why === 0 ? END_OF_DATA : why;
  }
  if (readHasEffect(t)) afterRead(t);
  return slot;
}

/** There is urgent data: goes past a mark at the first byte; whether none is in the first slot. */
function slotIsBeforeMark(t: TcpCore): boolean {
  if (bytesToMark(t) === 0) passMark(t);
  const head = t.c.rcvHead;
  if (head < 0) return true;
  const toMark = bytesToMark(t);
  return toMark < 0 || toMark >= t.slots.end[head]! - t.slots.at[head]!;
}

/** Hot path. Whether {@link afterRead} may have something to do. */
function readHasEffect(t: TcpCore): boolean {
  const c = t.c;
  return (
    2 * diff(c.rcvAdv, c.rcvNxt) <= c.rcvBufBytes ||
    ((c.pending & ACK_DELAYED) !== 0 && c.delackAtUs <= t.nowUs) ||
    roundIsOver(t)
  );
}

/** What {@link receiveSlot} returns when the peer has sent FIN and all was read. */
export const END_OF_DATA = -1_000_000;

/** Room was made: the buffer may grow, the peer may have to hear of the window. */
function afterRead(t: TcpCore): void {
  const c = t.c;
  adjustBuffer(t);
  if (c.has(TcbFlags.FIN_RECEIVED) || c.state === State.CLOSED) return;
  if (needsWindowUpdate(t)) t.want(Pending.ACK_NOW);
  else if ((c.pending & Pending.ACK_DELAYED) !== 0 && c.delackAtUs <= t.nowUs) delayIsOver(t);
}
