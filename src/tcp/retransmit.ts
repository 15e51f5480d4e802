/**
 * The engine's side of loss recovery: asks `Recovery` what to send again and when its timer is due,
 * and sends it from the send queue; and gives up when the peer stays silent (RFC 9293 §3.8.3 R2,
 * RFC 5482).
 *
 * Deviation: RFC 9293 §3.8.3 asks for R2 of at least 100 s; it is a number of timeouts (15, or 8 for
 * an orphan), as in Linux.
 */
import { ETIMEDOUT } from "../base/errno.js";
import * as tcp from "../wire/tcp.js";
import type { TcpCore } from "./core.js";
import { effectiveMss, lastCursor, sendNewSegment, sendRange } from "./output.js";
import { TimerResult } from "./recovery.js";
import { Retry, retries, retryAgain } from "./retries.js";
import { endWithError } from "./rows.js";
import { sendBare, sendSyn } from "./segment-writer.js";
import { unsentBytes } from "./send-queue.js";
import { advance, diff, type Seq } from "./seq.js";
import { isSynchronized, State } from "./state.js";
import { Pending, TcbFlags } from "./tcb.js";
import { tsNow } from "./timestamps.js";

/** After this many timeouts the network is told that the path may be dead (R1). */
const ADVISE_AFTER = 3;
const US_PER_MS = 1_000;

/** Hot path. Sends lost ranges again as far as congestion control lets it. */
export function sendRetransmissions(t: TcpCore): void {
  const c = t.c;
  const r = t.recovery;
  if (!c.has(TcbFlags.RECOVERING) || !r.hasLost(c)) return;
  const mss = effectiveMss(t);
  const gso = t.host.gsoLimitBytes(c);
  for (;;) {
    const budget = r.budgetBytes(c);
    if (budget <= 0) return;
    let most = gso < budget ? gso : budget;
    most = most > mss ? most - (most % mss) : mss;
    if (!r.nextRetransmit(c, most)) return;
    if (diff(r.retransmitEnd, r.retransmitSeq) > budget) return;
    if (!retransmitRange(t, r.retransmitSeq, r.retransmitEnd, mss)) return;
  }
}

/** Sends a range that was sent before; false when the pool is empty. */
function retransmitRange(t: TcpCore, seq: Seq, end: Seq, mss: number): boolean {
  const c = t.c;
  const isFin = c.has(TcbFlags.FIN_SENT) && end === c.sndNxt;
  const n = diff(end, seq) - (isFin ? 1 : 0);
  let reached = end;
  if (n === 0) {
    if (!sendBare(t, seq, tcp.FIN | tcp.ACK)) return false;
  } else {
    const control = isFin ? tcp.FIN | tcp.PSH | tcp.ACK : tcp.PSH | tcp.ACK;
    const sent = sendRange(t, seq, n, control, mss, c.rtxCursor);
    if (sent === 0) return false;
    c.rtxCursor = lastCursor();
    if (sent < n) reached = advance(seq, sent);
  }
  t.counts[t.k.retransSegs]! += 1;
  t.recovery.retransmitted(c, seq, reached, t.nowUs);
  return true;
}

/** Recovery's timer is due. */
export function recoveryTimer(t: TcpCore): void {
  const c = t.c;
  switch (t.recovery.onTimer(c, t.nowUs)) {
    case TimerResult.SEND_PROBE:
      sendTailProbe(t);
      break;
    case TimerResult.RETRANSMIT:
      t.want(Pending.RETRANSMIT | Pending.OUTPUT);
      break;
    case TimerResult.RTO:
      onTimeout(t);
      break;
    default:
      break;
  }
}

/** RFC 8985 §7.3: new data when there are some, else the last segment again; in recovery the first. */
function sendTailProbe(t: TcpCore): void {
  const c = t.c;
  t.counts[t.k.tailLossProbes]! += 1;
  const unsent = unsentBytes(t);
  const window = c.sndWnd - diff(c.sndNxt, c.sndUna);
  const mss = effectiveMss(t);
  const n = Math.min(unsent, window, mss);
  if (n > 0 && !t.recovery.probesHead(c)) {
    sendNewSegment(t, n, mss, n === unsent);
    return;
  }
  if (!t.recovery.probeRange(c)) return;
  const { retransmitSeq, retransmitEnd } = t.recovery;
  retransmitRange(t, retransmitSeq, retransmitEnd, mss);
}

/** A retransmission timeout: gives up, or sends again. */
function onTimeout(t: TcpCore): void {
  const c = t.c;
  t.counts[t.k.timeouts]! += 1;
  const n = retryAgain(c, Retry.TIMEOUTS);
  if ((n > timeoutLimit(t) && !hasUserLimit(t)) || userTimeoutIsOver(t, n)) {
    t.counts[t.k.abortOnTimeout]! += 1;
    if (c.state === State.SYN_SENT || c.state === State.SYN_RECEIVED) {
      t.counts[t.k.attemptFails]! += 1;
    }
    endWithError(t, c.softError !== 0 ? c.softError : ETIMEDOUT);
    return;
  }
  if (n === ADVISE_AFTER) t.host.adviseLoss(c);
  if (c.state === State.SYN_SENT || c.state === State.SYN_RECEIVED) resendSyn(t);
  else t.want(Pending.RETRANSMIT | Pending.OUTPUT);
}

/** TCP_USER_TIMEOUT stands in the place of tcp_retries2, but not of the handshake's limits. */
function hasUserLimit(t: TcpCore): boolean {
  return t.c.userTimeoutMs !== 0 && isSynchronized(t.c.state);
}

/** Timeouts after which the connection ends. */
function timeoutLimit(t: TcpCore): number {
  const c = t.c;
  if (c.state === State.SYN_SENT) return c.keepCounts >>> 8;
  if (c.state === State.SYN_RECEIVED) return t.settings.synackRetries;
  return c.has(TcbFlags.ORPHAN) ? t.settings.orphanRetries : t.settings.retries2;
}

/** Time that `n` timeouts take, each twice the one before. */
function timeoutsUs(t: TcpCore, n: number): number {
  let us = 0;
  for (let k = 0; k < n; k++) us += Math.min(t.c.rtoUs * 2 ** k, t.settings.maxRtoUs);
  return us;
}

/** RFC 5482: whether the peer has been silent too long when timeout `n` comes; else sets a timer. */
function userTimeoutIsOver(t: TcpCore, n: number): boolean {
  const limitUs = t.c.userTimeoutMs * 1000;
  return limitUs !== 0 && checkSilence(t, timeoutsUs(t, n), limitUs);
}

/** The state timer fired, which may be keepalive's: whether the user timeout is over. */
export function userTimeoutExpired(t: TcpCore): boolean {
  const c = t.c;
  const n = retries(c, Retry.TIMEOUTS);
  const limitUs = c.userTimeoutMs * 1000;
  if (limitUs === 0 || n === 0 || !c.has(TcbFlags.RECOVERING)) return false;
  // The next timeout lies where all of them end.
  return checkSilence(t, timeoutsUs(t, n + 1) - (t.recovery.deadlineUs(c) - t.nowUs), limitUs);
}

function checkSilence(t: TcpCore, silentUs: number, limitUs: number): boolean {
  const c = t.c;
  if (silentUs + US_PER_MS >= limitUs) return true;
  const endUs = t.nowUs + limitUs - silentUs;
  if (endUs < c.stateAtUs) c.stateAtUs = endUs;
  return false;
}

/** Sends the SYN or SYN-ACK again. */
export function resendSyn(t: TcpCore): void {
  const c = t.c;
  c.flags |= TcbFlags.SYN_RETRANSMITTED;
  t.counts[t.k.synRetransmits]! += 1;
  t.counts[t.k.retransSegs]! += 1;
  // RFC 3168 §6.1.1: a SYN that got no answer is sent again without ECN.
  const flags = c.state === State.SYN_SENT ? tcp.SYN : tcp.SYN | tcp.ACK;
  sendSyn(t, flags, tsNow(t));
  if (t.recovery.nextRetransmit(c, 1)) {
    t.recovery.retransmitted(c, t.recovery.retransmitSeq, t.recovery.retransmitEnd, t.nowUs);
  }
  t.want(Pending.TIMER);
}
