/**
 * The first four steps of RFC 9293 §3.10.7.4: sequence number, RST, security, SYN. They return
 * whether the segment goes on; if not, it has been dropped.
 */
import { ECONNREFUSED, ECONNRESET, EPIPE } from "../base/errno.js";
import { Drop } from "../wire/drop.js";
import * as tcp from "../wire/tcp.js";
import { challenge, dropAndAck } from "./challenge-ack.js";
import type { TcpCore } from "./core.js";
import { noteDuplicate } from "./reassembly.js";
import { resendSyn } from "./retransmit.js";
import { endWithError } from "./rows.js";
import { after, before } from "./seq.js";
import { State } from "./state.js";
import { isOldTimestamp, keepTimestamp, usesTimestamps } from "./timestamps.js";

/**
 * First: is it in the window? PAWS comes before (RFC 7323 §5.3). The left edge is the last ACK that
 * we sent, as in Linux: a segment between it and RCV.NXT still brings its ACK number.
 */
export function checkSequence(t: TcpCore): boolean {
  const c = t.c;
  const s = t.segment;
  const hasTs = usesTimestamps(c) && s.options.hasTimestamps;
  if (hasTs && !s.is(tcp.RST) && isOldTimestamp(t, s)) {
    dropAndAck(t, Drop.TCP_PAWS);
    return false;
  }
  if (before(s.end, c.rcvAcked) || after(s.seq, c.rcvAdv)) {
    refuse(t);
    return false;
  }
  if (hasTs && !s.is(tcp.RST)) keepTimestamp(t, s);
  return true;
}

/** Outside the window: acknowledged, unless it is an RST. */
function refuse(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  if (s.is(tcp.RST)) {
    t.drop(Drop.TCP_BAD_RESET);
    return;
  }
  if (c.state === State.SYN_RECEIVED && s.is(tcp.SYN) && s.seq === c.irs) {
    t.drop(Drop.TCP_DUPLICATE);
    resendSyn(t);
    return;
  }
  if (s.dataBytes > 0 && before(s.seq, c.rcvNxt)) noteDuplicate(t, s.seq, s.end);
  dropAndAck(t, Drop.TCP_OUT_OF_WINDOW);
}

/** Second: RST counts at exactly RCV.NXT only; elsewhere in the window it is challenged (RFC 5961 §3). */
export function checkReset(t: TcpCore): boolean {
  const c = t.c;
  const s = t.segment;
  if (!s.is(tcp.RST)) return true;
  if (s.seq !== c.rcvNxt) {
    challenge(t, Drop.TCP_BAD_RESET);
    return false;
  }
  t.consume();
  takeReset(t);
  return false;
}

/** What a valid RST does, by state. */
function takeReset(t: TcpCore): void {
  const c = t.c;
  switch (c.state) {
    case State.SYN_RECEIVED:
      t.counts[t.k.attemptFails]! += 1;
      // From a listener: back to LISTEN without a word. From a simultaneous open: refused.
      endWithError(t, ECONNREFUSED);
      return;
    default:
      t.counts[t.k.estabResets]! += 1;
      endWithError(t, c.state === State.CLOSE_WAIT ? EPIPE : ECONNRESET);
  }
}

/** Third: IP security compartments, which nobody uses (RFC 9293 §A.1): everything passes. */
export function checkSecurity(_t: TcpCore): boolean {
  return true;
}

/** Fourth: a SYN inside a connection is challenged, wherever it lies (RFC 5961 §4). */
export function checkSyn(t: TcpCore): boolean {
  const c = t.c;
  const s = t.segment;
  if (!s.is(tcp.SYN)) return true;
  if (c.state === State.SYN_RECEIVED && s.seq === c.irs) {
    if (s.is(tcp.ACK)) return true; // the peer's half of a simultaneous open
    t.drop(Drop.TCP_DUPLICATE);
    resendSyn(t);
    return false;
  }
  challenge(t, Drop.TCP_UNEXPECTED_SYN);
  return false;
}
