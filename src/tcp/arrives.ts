/**
 * SEGMENT ARRIVES, RFC 9293 §3.10.7: reads the segment, looks at the state, and for synchronized
 * states goes through the steps of §3.10.7.4 in their order, one function a step. Every step
 * returns whether to go on; one that does not has dropped or used up the segment.
 *
 * In front stands header prediction (Jacobson): the next in-order segment, or an ACK of something in
 * flight, in ESTABLISHED and with nothing unusual about it, needs none of the first four steps. A
 * segment that brings data and nothing else does not come here at all (`expected.ts`).
 */
import { Drop } from "../wire/drop.js";
import * as tcp from "../wire/tcp.js";
import { checkAck, takeAck } from "./arrives-ack.js";
import { checkReset, checkSecurity, checkSequence, checkSyn } from "./arrives-checks.js";
import { checkFin, checkUrgent, takeInOrderData, takeText } from "./arrives-text.js";
import { synSentArrives } from "./connect.js";
import type { TcpCore } from "./core.js";
import { UNUSUAL } from "./expected.js";
import { listenArrives } from "./listen.js";
import { replyReset } from "./reply.js";
import type { SegmentInfo } from "./segment-info.js";
import { after, before, diff } from "./seq.js";
import { State } from "./state.js";
import { TcbOptions } from "./tcb.js";
import { timeWaitArrives } from "./time-wait.js";
import { keepTimestamp } from "./timestamps.js";

/** Flags that header prediction looks at: all but PSH. */
const PREDICT_MASK = 0xff & ~tcp.PSH;

/** Hot path. A segment for the selected row; takes the slot. */
export function segmentArrives(t: TcpCore, slot: number, info: SegmentInfo): void {
  const c = t.c;
  const s = t.segment;
  if (t.slots.away[slot] !== 0) t.slots.land(slot);
  s.read(t.slots, slot, info);
  t.counts[t.k.inSegs]! += 1;
  c.segsIn = (c.segsIn + 1) | 0;
  const state = c.state;
  if (state === State.ESTABLISHED) {
    c.lastRcvUs = t.nowUs;
    if (isPredicted(t)) {
      takePredicted(t);
      return;
    }
  }
  switch (state) {
    case State.LISTEN:
      listenArrives(t);
      // A SYN cookie has made a connection of it: its text is taken like any other.
      if (s.slot !== -1) synchronizedArrives(t);
      return;
    case State.SYN_SENT:
      synSentArrives(t);
      return;
    case State.TIME_WAIT:
      timeWaitArrives(t);
      return;
    case State.CLOSED:
    case State.FREE:
      unmatchedArrives(t);
      return;
    default:
      c.lastRcvUs = t.nowUs;
      synchronizedArrives(t);
  }
}

/** RFC 9293 §3.10.7.1: no connection: RST, unless the segment is one. */
export function unmatchedArrives(t: TcpCore): void {
  replyReset(t);
  t.drop(Drop.TCP_NO_SOCKET);
}

/** RFC 9293 §3.10.7.4. */
export function synchronizedArrives(t: TcpCore): void {
  if (!checkSequence(t)) return;
  if (!checkReset(t)) return;
  if (!checkSecurity(t)) return;
  if (!checkSyn(t)) return;
  if (!checkAck(t)) return;
  checkUrgent(t);
  if (!takeText(t)) return;
  checkFin(t);
  t.consume();
}

/** Hot path. Whether the segment is what comes nearly always. */
function isPredicted(t: TcpCore): boolean {
  const c = t.c;
  const s = t.segment;
  if ((s.flags & PREDICT_MASK) !== tcp.ACK || s.seq !== c.rcvNxt || c.has(UNUSUAL)) return false;
  if (c.oooHead >= 0 || s.ecn === 3 || s.options.sackBlocks !== 0) return false;
  if (before(s.ack, c.sndUna) || after(s.ack, c.sndNxt)) return false;
  if ((c.options & TcbOptions.TIMESTAMPS) !== 0) {
    const o = s.options;
    if (!o.hasTimestamps || ((o.tsVal - c.tsRecent) | 0) < 0) return false;
  }
  if (s.dataBytes === 0) return s.ack !== c.sndUna;
  return s.dataBytes <= diff(c.rcvAdv, c.rcvNxt);
}

/** Hot path. Precondition: {@link isPredicted}. */
function takePredicted(t: TcpCore): void {
  const c = t.c;
  const s = t.segment;
  if ((c.options & TcbOptions.TIMESTAMPS) !== 0) keepTimestamp(t, s);
  const window = s.window << (c.scales & 0xff);
  // Nothing in it is news to the sending side: the common case of a receiver.
  if (s.ack !== c.sndUna || window !== c.sndWnd || c.retries !== 0) takeAck(t);
  else c.sndWl1 = s.seq; // it must not fall half the sequence space behind
  if (s.dataBytes === 0) {
    t.counts[t.k.predictedAcks]! += 1;
    t.slots.give(s.slot);
    s.slot = -1;
    return;
  }
  t.counts[t.k.predictedData]! += 1;
  takeInOrderData(t);
}
