/**
 * Keepalive, RFC 1122 §4.2.3.6: off unless asked for; probes an idle connection and ends it when
 * several in a row find no answer. It shares the row's state timer, which no synchronized state with
 * an owner uses otherwise (TCP_USER_TIMEOUT comes first).
 */
import { ETIMEDOUT } from "../base/errno.js";
import type { TcpCore } from "./core.js";
import { nothingInFlight } from "./output.js";
import { sendProbe } from "./persist.js";
import { Retry, retries, retryAgain } from "./retries.js";
import { endWithError } from "./rows.js";
import { sendReset } from "./segment-writer.js";
import { unsentBytes } from "./send-queue.js";
import { Pending, TcbOptions } from "./tcb.js";

const US_PER_S = 1_000_000;
const idleUs = (t: TcpCore): number => (t.c.keepTimes & 0xffff) * US_PER_S;
const intervalUs = (t: TcpCore): number => (t.c.keepTimes >>> 16) * US_PER_S;

/** Starts the timer when the option is set. */
export function startKeepalive(t: TcpCore): void {
  const c = t.c;
  if ((c.options & TcbOptions.KEEPALIVE) === 0) return;
  c.stateAtUs = Math.max(c.lastRcvUs, t.nowUs) + idleUs(t);
  t.want(Pending.TIMER);
}

/** The state timer fired in a state where it is keepalive's. */
export function keepaliveExpired(t: TcpCore): void {
  const c = t.c;
  if ((c.options & TcbOptions.KEEPALIVE) === 0) return;
  const silentUs = t.nowUs - c.lastRcvUs;
  // Data in flight are watched by retransmission.
  if (!nothingInFlight(t) || unsentBytes(t) > 0) {
    const atUs = t.nowUs + idleUs(t);
    if (atUs < c.stateAtUs) c.stateAtUs = atUs; // the user timeout may be nearer
    return;
  }
  if (silentUs < idleUs(t)) {
    c.stateAtUs = c.lastRcvUs + idleUs(t);
    return;
  }
  const sent = retries(c, Retry.KEEPALIVES);
  const limitUs = c.userTimeoutMs * 1000;
  const isOver = limitUs !== 0 ? sent > 0 && silentUs >= limitUs : sent >= (c.keepCounts & 0xff);
  if (isOver) {
    t.counts[t.k.abortOnTimeout]! += 1;
    sendReset(t);
    endWithError(t, c.softError !== 0 ? c.softError : ETIMEDOUT);
    return;
  }
  c.stateAtUs = t.nowUs + intervalUs(t);
  if (!sendProbe(t)) return; // one that was not sent does not count
  retryAgain(c, Retry.KEEPALIVES);
  t.counts[t.k.keepaliveProbes]! += 1;
}
