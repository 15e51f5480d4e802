/**
 * The persist timer: probes a closed window (RFC 9293 §3.8.6.1, RFC 1122 §4.2.2.17), overrides silly
 * window avoidance (RFC 1122 §4.2.3.4), and releases a corked segment after 200 ms. It runs only
 * while nothing is in flight; otherwise an ACK or a retransmission moves things on.
 *
 * Deviation: a probe carries no byte of new data but lies one before the window, as Linux's does; it
 * is answered by an ACK all the same.
 */
import { ETIMEDOUT } from "../base/errno.js";
import { NEVER } from "../base/time.js";
import * as tcp from "../wire/tcp.js";
import type { TcpCore } from "./core.js";
import { measure } from "./memory.js";
import {
  effectiveMss,
  nothingInFlight,
  RETRY_US,
  releaseHeldBack,
  sendNewSegment,
} from "./output.js";
import { tellWriter } from "./ready.js";
import { Retry, retries, retryAgain, setRetries } from "./retries.js";
import { endWithError } from "./rows.js";
import { sendBare } from "./segment-writer.js";
import { unsentBytes } from "./send-queue.js";
import { advance } from "./seq.js";
import { Pending, TcbFlags } from "./tcb.js";

/** New data are held back: starts the timer when no ACK will come to move them. */
export function armPersist(t: TcpCore): void {
  const c = t.c;
  if (!nothingInFlight(t) || c.persistAtUs !== NEVER) return;
  c.persistAtUs = t.nowUs + (windowIsShort(t) ? probeIntervalUs(t) : t.settings.corkUs);
}

/** The peer's window has no room for what Nagle would let go. */
function windowIsShort(t: TcpCore): boolean {
  const c = t.c;
  const unsent = unsentBytes(t);
  const wanted = Math.min(unsent > 0 ? unsent : 1, c.sndMss);
  return c.sndWnd < wanted;
}

function probeIntervalUs(t: TcpCore): number {
  const c = t.c;
  const interval = c.rtoUs * 2 ** retries(c, Retry.PROBE_BACKOFF);
  return Math.min(interval, t.settings.maxRtoUs);
}

/** The timer is due. */
export function persistExpired(t: TcpCore): void {
  const c = t.c;
  c.persistAtUs = NEVER;
  const finWaits = (c.flags & (TcbFlags.FIN_QUEUED | TcbFlags.FIN_SENT)) === TcbFlags.FIN_QUEUED;
  if (c.sndQueuedBytes === 0 && c.has(TcbFlags.SND_FULL) && !c.has(TcbFlags.FIN_QUEUED)) {
    measure(t);
    tellWriter(t);
    return;
  }
  if (!nothingInFlight(t) || (unsentBytes(t) === 0 && !finWaits)) {
    t.want(Pending.OUTPUT);
    return;
  }
  if (!windowIsShort(t)) {
    releaseHeldBack(t);
    return;
  }
  if (isHopeless(t)) {
    t.counts[t.k.abortOnTimeout]! += 1;
    endWithError(t, c.softError !== 0 ? c.softError : ETIMEDOUT);
    return;
  }
  probeWindow(t);
  t.want(Pending.TIMER);
}

/** Sends what fits the window, or a probe. One that finds no slot does not count, and is tried again. */
function probeWindow(t: TcpCore): void {
  const c = t.c;
  const unsent = unsentBytes(t);
  const n = Math.min(c.sndWnd, unsent, effectiveMss(t));
  const isSent = n > 0 ? sendNewSegment(t, n, effectiveMss(t), n === unsent) > 0 : sendProbe(t);
  if (!isSent) {
    c.persistAtUs = t.nowUs + RETRY_US;
    return;
  }
  retryAgain(c, Retry.WINDOW_PROBES);
  retryAgain(c, Retry.PROBE_BACKOFF);
  if (n > 0) return;
  t.counts[t.k.windowProbes]! += 1;
  c.persistAtUs = t.nowUs + probeIntervalUs(t);
}

/** Probes go on for ever while the peer answers them (MUST-37), unless nobody owns the socket. */
function isHopeless(t: TcpCore): boolean {
  const c = t.c;
  const n = retries(c, Retry.WINDOW_PROBES);
  if (c.has(TcbFlags.ORPHAN)) return retries(c, Retry.PROBE_BACKOFF) >= t.settings.orphanRetries;
  if (c.userTimeoutMs !== 0 && n > 0 && t.nowUs - c.lastRcvUs >= c.userTimeoutMs * 1000)
    return true;
  return n >= t.settings.retries2;
}

/** A segment that every TCP answers with an ACK: empty, one before the window. False without a slot. */
export function sendProbe(t: TcpCore): boolean {
  return sendBare(t, advance(t.c.sndUna, -1), tcp.ACK);
}

/** Hot path. An ACK came: if it opens a window that was probed, the probing ends. */
export function windowMoved(t: TcpCore): void {
  const c = t.c;
  if (retries(c, Retry.PROBE_BACKOFF) === 0 || windowIsShort(t)) return;
  c.persistAtUs = NEVER;
  setRetries(c, Retry.PROBE_BACKOFF, 0);
}
