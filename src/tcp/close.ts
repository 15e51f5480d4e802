/**
 * The end of a connection: `shutdown`, `close`, `abort` (RFC 9293 §3.6, §3.10.4, §3.10.5), lingering,
 * orphans, and what entering a closing state brings with it.
 *
 * | call                         | sends                  | row                                      |
 * |------------------------------|------------------------|------------------------------------------|
 * | shutdown for writing         | queued data, FIN       | stays with its socket                    |
 * | close                        | queued data, FIN       | orphan: released when the protocol ends  |
 * | close with unread data       | RST (RFC 2525 §2.17)   | released                                 |
 * | close with SO_LINGER 0       | RST                    | released                                 |
 * | abort                        | RST                    | released                                 |
 */
import { ECONNRESET, ENOTCONN } from "../base/errno.js";
import { NEVER } from "../base/time.js";
import type { TcpCore } from "./core.js";
import { sendNewData } from "./output.js";
import { dropReceiveQueue } from "./receive-queue.js";
import { endConnection, endWithError, releaseRow, resetLists } from "./rows.js";
import { sendReset } from "./segment-writer.js";
import { unsentBytes } from "./send-queue.js";
import { Event, isSynchronized, maySend, next, STAY, State } from "./state.js";
import { Pending, TcbFlags } from "./tcb.js";
import { enterTimeWait } from "./time-wait.js";
import { Shutdown } from "./transfer-flags.js";

const US_PER_S = 1_000_000;

/** Applies an event of the state machine to the selected row, with what the new state needs. */
export function onEvent(t: TcpCore, event: number): void {
  const c = t.c;
  const state = next(c.state, event);
  if (state === STAY) return;
  if (state === State.CLOSED) {
    endConnection(t);
    return;
  }
  c.state = state;
  // The FIN is acknowledged: a close that lingers is over.
  if (state === State.TIME_WAIT || state === State.FIN_WAIT_2) t.host.changed(c);
  if (state === State.TIME_WAIT) enterTimeWait(t);
  else if (state === State.FIN_WAIT_2) enterFinWait2(t);
}

/** An orphan waits for the peer's FIN a limited time only (tcp_fin_timeout, TCP_LINGER2). */
function enterFinWait2(t: TcpCore): void {
  const c = t.c;
  if (!c.has(TcbFlags.ORPHAN)) return;
  if (c.linger2Seconds < 0) {
    sendReset(t);
    endConnection(t);
    return;
  }
  const us = c.linger2Seconds > 0 ? c.linger2Seconds * US_PER_S : t.settings.finTimeoutUs;
  c.stateAtUs = t.nowUs + us;
  t.want(Pending.TIMER);
}

/** FIN-WAIT-2 of an orphan or TIME-WAIT is over. */
export function stateExpired(t: TcpCore): void {
  endConnection(t);
}

/** `shutdown`: 0, or -ENOTCONN. */
export function shutdownRow(t: TcpCore, how: number): number {
  const c = t.c;
  if (c.state === State.LISTEN) {
    if (how !== Shutdown.WRITE) stopListening(t);
    return 0;
  }
  if (c.state === State.SYN_SENT) {
    endWithError(t, ECONNRESET);
    c.flags &= ~TcbFlags.DEAD; // as before the attempt
    return 0;
  }
  if (!isSynchronized(c.state) || c.state === State.TIME_WAIT) return -ENOTCONN;
  if (how !== Shutdown.WRITE) c.flags |= TcbFlags.RCV_SHUTDOWN;
  if (how !== Shutdown.READ) queueFin(t);
  t.host.changed(c);
  return 0;
}

/** No more data will be written: FIN goes behind what is queued. */
function queueFin(t: TcpCore): void {
  const c = t.c;
  if (c.has(TcbFlags.FIN_QUEUED)) return;
  c.flags = (c.flags | TcbFlags.FIN_QUEUED) & ~TcbFlags.MORE;
  onEvent(t, Event.CALL_CLOSE);
  if (unsentBytes(t) === 0) t.wantTurn();
  else t.want(Pending.OUTPUT);
}

/** `close`: the user is gone for good. The selected row may be released by it. */
export function closeRow(t: TcpCore): void {
  const c = t.c;
  c.flags |= TcbFlags.ORPHAN;
  c.socket = 0;
  if (c.state === State.LISTEN) {
    closeListener(t);
    return;
  }
  if (c.state === State.CLOSED) {
    releaseRow(t);
    return;
  }
  if (!isSynchronized(c.state) && c.state !== State.SYN_RECEIVED) {
    endConnection(t);
    return;
  }
  if (c.state === State.TIME_WAIT) {
    dropReceiveQueue(t);
    return;
  }
  const unread = c.rcvQueuedBytes > 0;
  if (unread || c.lingerSeconds === 0) {
    t.counts[unread ? t.k.abortOnClose : t.k.abortOnLinger]! += 1;
    // What was written before would have left already if there were no turns.
    if (maySend(c.state)) sendNewData(t);
    sendReset(t);
    endConnection(t);
    return;
  }
  becomeOrphan(t);
}

/** The protocol finishes on its own. */
function becomeOrphan(t: TcpCore): void {
  const c = t.c;
  if (t.orphans >= t.settings.maxOrphans) {
    t.counts[t.k.abortOnMemory]! += 1;
    sendReset(t);
    endConnection(t);
    return;
  }
  t.orphans++;
  c.flags |= TcbFlags.COUNTED_ORPHAN;
  c.stateAtUs = NEVER; // no keepalive without an owner
  if (c.state === State.FIN_WAIT_2) enterFinWait2(t);
  else queueFin(t);
}

/** `shutdown` of a listener: it is as before `listen`, as in Linux. */
function stopListening(t: TcpCore): void {
  const c = t.c;
  dropChildren(t);
  c.state = State.CLOSED;
  resetLists(t);
  t.host.changed(c);
}

/** Ends a listener with all that nobody has accepted. */
function closeListener(t: TcpCore): void {
  dropChildren(t);
  // The lists' fields are those of byte queues, which `releaseRow` frees.
  t.c.state = State.CLOSED;
  releaseRow(t);
}

function dropChildren(t: TcpCore): void {
  const c = t.c;
  const listener = c.row;
  for (;;) {
    c.select(listener);
    const child = c.synHead >= 0 ? c.synHead : c.acceptHead;
    if (child < 0) break;
    c.select(child);
    c.flags |= TcbFlags.ORPHAN;
    if (c.state === State.CLOSED) {
      releaseRow(t);
      continue;
    }
    sendReset(t);
    endConnection(t);
  }
}

/** `abort`: RST where the peer knows of the connection; the row is released. */
export function abortRow(t: TcpCore): void {
  const c = t.c;
  if (c.state === State.LISTEN || c.state === State.CLOSED || c.state === State.TIME_WAIT) {
    closeRow(t);
    return;
  }
  c.flags |= TcbFlags.ORPHAN;
  c.socket = 0;
  if (c.state !== State.SYN_SENT) sendReset(t);
  endConnection(t);
}
