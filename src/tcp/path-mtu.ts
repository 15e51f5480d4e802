/**
 * What ICMP says about a connection: the path takes less (RFC 1191, RFC 8201), or cannot be used
 * (RFC 1122 §4.2.3.9). Only errors that quote a sequence number in flight count (RFC 5927 §4.1).
 *
 * Deviation: during a handshake every error ends the attempt, as in Linux; RFC 1122 §4.2.3.9 lets
 * only hard ones do so.
 */
import type { TcpCore } from "./core.js";
import { computeSndMss } from "./handshake.js";
import { blackHoleLimitBytes } from "./plpmtud.js";
import { endWithError } from "./rows.js";
import { after, before, type Seq } from "./seq.js";
import { isSynchronized, State } from "./state.js";
import { Pending, TcbFlags } from "./tcb.js";

/** Whether the quoted sequence number is one that is in flight. */
export function isInFlight(t: TcpCore, quotedSeq: Seq): boolean {
  const c = t.c;
  return !before(quotedSeq, c.sndUna) && !after(quotedSeq, c.sndNxt);
}

/** The path of the selected row carries another segment size now. */
export function followPathMtu(t: TcpCore): void {
  const c = t.c;
  if (!isSynchronized(c.state) || c.state === State.TIME_WAIT) return;
  const oldMss = c.sndMss;
  const hole = blackHoleLimitBytes(c);
  const open = computeSndMss(t);
  const mss = hole !== 0 && hole < open ? hole : open;
  if (mss === oldMss) return;
  if (mss < oldMss) t.counts[t.k.mtuReductions]! += 1;
  c.sndMss = mss;
  if (mss < oldMss && c.has(TcbFlags.RECOVERING)) t.recovery.onMssReduced(c);
  t.want(Pending.OUTPUT | Pending.RETRANSMIT);
}

/** An ICMP error other than "too big" about the selected row. */
export function takeIcmpError(t: TcpCore, errno: number, quotedSeq: Seq): void {
  const c = t.c;
  if (c.state === State.LISTEN || c.state === State.CLOSED || c.state === State.TIME_WAIT) return;
  if (!isInFlight(t, quotedSeq)) {
    t.counts[t.k.staleIcmp]! += 1;
    return;
  }
  if (c.state === State.SYN_SENT || c.state === State.SYN_RECEIVED) {
    t.counts[t.k.attemptFails]! += 1;
    endWithError(t, errno);
    return;
  }
  c.softError = errno;
}
