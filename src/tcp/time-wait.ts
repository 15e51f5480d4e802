/**
 * TIME-WAIT, RFC 9293 §3.6.1 and §3.10.7.4: 60 s (as Linux) in which nothing is kept but the row. It
 * acknowledges a FIN that comes again, does not let itself be assassinated by an RST if the setting
 * says so (RFC 1337), and
 * makes room for a new connection of the same 4-tuple that is surely newer (RFC 6191).
 *
 * Deviation: RFC 9293 asks for 2 MSL, 4 minutes; 60 s, as in Linux.
 */
import { Drop } from "../wire/drop.js";
import * as tcp from "../wire/tcp.js";
import { unmatchedArrives } from "./arrives.js";
import type { TcpCore } from "./core.js";
import { listenArrives } from "./listen.js";
import { dropReassembly } from "./reassembly.js";
import { endConnection, stopSending, uncount } from "./rows.js";
import { sendAck } from "./segment-writer.js";
import { after } from "./seq.js";
import { State } from "./state.js";
import { Pending, TcbFlags } from "./tcb.js";
import { isOldTimestamp, nowSeconds, usesTimestamps } from "./timestamps.js";

/** The selected row has come to TIME-WAIT. */
export function enterTimeWait(t: TcpCore): void {
  const c = t.c;
  uncount(t);
  if (t.timeWaits >= t.settings.maxTimeWait) {
    t.counts[t.k.timeWaitOverflow]! += 1;
    sendAck(t);
    endConnection(t);
    return;
  }
  t.timeWaits++;
  c.flags |= TcbFlags.COUNTED_TIME_WAIT;
  t.counts[t.k.timeWaits]! += 1;
  stopSending(t);
  dropReassembly(t);
  restart(t);
}

function restart(t: TcpCore): void {
  t.c.stateAtUs = t.nowUs + t.settings.timeWaitUs;
  t.want(Pending.TIMER);
}

/** A segment for a row in TIME-WAIT. */
export function timeWaitArrives(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  if (s.is(tcp.RST)) {
    takeReset(t);
    return;
  }
  if (s.is(tcp.SYN) && !s.is(tcp.ACK) && isNewer(t)) {
    reuse(t);
    return;
  }
  const isOld = usesTimestamps(c) && s.options.hasTimestamps && isOldTimestamp(t, s);
  const isPureAck = s.seq === s.end && s.seq === c.rcvNxt;
  const isFin = s.is(tcp.FIN) && s.end === c.rcvNxt;
  t.drop(isOld ? Drop.TCP_PAWS : Drop.TCP_TIME_WAIT);
  if (isFin && !isOld) restart(t);
  if (!isPureAck || isOld) sendAck(t);
}

/** An RST at exactly RCV.NXT ends the wait, unless the setting forbids it (RFC 1337). */
function takeReset(t: TcpCore): void {
  const isExact = t.segment.seq === t.c.rcvNxt;
  t.drop(Drop.TCP_TIME_WAIT);
  if (isExact && !t.settings.rfc1337) endConnection(t);
}

/** RFC 6191 §2: a later timestamp, or without them a later sequence number. */
function isNewer(t: TcpCore): boolean {
  const c = t.c;
  const s = t.segment;
  if (!t.settings.timeWaitReuse) return false;
  if (usesTimestamps(c) && s.options.hasTimestamps) {
    const distance = (s.options.tsVal - c.tsRecent) | 0;
    if (distance !== 0) return distance > 0;
  }
  return after(s.seq, c.rcvNxt);
}

/** How old the peer's last timestamp must be, so that ours is surely another one by now. */
const LEAST_SECONDS = 1;

/**
 * Makes room for a connection from here with the selected one's addresses and ports, as tcp_twsk_unique of
 * Linux: with timestamps a second apart each end knows the new one's segments from the old one's (RFC 6191).
 * Whether it did; then the next `connect` begins past the old one's numbers.
 */
export function giveWay(t: TcpCore): boolean {
  const c = t.c;
  if (c.state !== State.TIME_WAIT || !usesTimestamps(c)) return false;
  if (((nowSeconds(t) - c.tsRecentSeconds) | 0) < LEAST_SECONDS) return false;
  t.counts[t.k.timeWaitReused]! += 1;
  t.lastSndNxt = c.sndNxt;
  t.hasLastSndNxt = true;
  endConnection(t);
  return true;
}

/**
 * Ends the row and gives the SYN to who listens there now, as Linux: a server that was started again is not
 * the one that the old connection came from.
 */
function reuse(t: TcpCore): void {
  const c = t.c;
  const { local, remote, ifIndex } = t.segment.info!;
  const listener = t.host.findListener(local, remote, c.ports, ifIndex);
  if (listener < 0) {
    t.drop(Drop.TCP_TIME_WAIT);
    sendAck(t);
    return;
  }
  t.counts[t.k.timeWaitReused]! += 1;
  // The new connection's numbers must be past the old one's: the clock of RFC 6528 sees to it
  // unless we sent faster than 250 kB/s.
  t.lastSndNxt = c.sndNxt;
  t.hasLastSndNxt = true;
  endConnection(t);
  c.select(listener);
  listenArrives(t);
  t.hasLastSndNxt = false;
  if (t.segment.slot !== -1) unmatchedArrives(t);
}
