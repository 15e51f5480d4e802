/**
 * Asking and answering over one connection, again: what `expected.ts` with `expected-ack.ts` and
 * `plain-output.ts` do for any row, for the one row that spoke several times running, through views of
 * that row alone. A field is then at a constant place, which takes V8 three instructions where a row of
 * many takes eight; with the branches that such a connection never takes left to the others, a segment in
 * and out is half the code.
 *
 * Nothing here is known for sure: every check is made each time, false is returned with nothing changed,
 * and the other files decide anew. So a row may change between two calls, or belong to another connection.
 * Views are made when a row has come often enough; how often that is grows with each time that it was
 * another one, so that rows that take turns make few.
 *
 * Measured: half a round trip of 64 bytes between two stacks of one process, 1,210 ns without, 950 with (node
 * 20.20, 2 busy cores, 2026-11). `lockstep.property.test.ts` holds it beside the general way.
 */
import { copyIn, copyInside, copyOut } from "../base/copy.js";
import { NEVER } from "../base/time.js";
import * as tcp from "../wire/tcp.js";
import * as tcpOptions from "../wire/tcp-options.js";
import type { TcpCore } from "./core.js";
import { PINGPONG, QUICK_MASK } from "./delayed-ack.js";
import { Pressure } from "./memory.js";
import { RECOVERY_WORDS } from "./recovery-row.js";
import { RecoveryFlags, TimerKind } from "./recovery-state.js";
import { MAX_RTO_US, MAX_RTT_US, MIN_RTO_US, MIN_RTT_WINDOW_MS, noteMinRtt } from "./rtt.js";
import { dataAt } from "./send-queue.js";
import { State } from "./state.js";
import { Pending, TCB_WORDS, TcbFlags, TcbOptions } from "./tcb.js";
import { ROW_INT32S, ROW_WORDS } from "./tcb-row.js";
import { MAX_DELAYED_ACK_US } from "./timers.js";

// What is imported is read anew each time; what is a module's own constant is part of the code.
const { STATE, FLAGS, SND_UNA, SND_NXT, SND_WND, RCV_NXT, SND_MSS, SND_WL1, SND_WL2 } = ROW_WORDS;
const { RCV_ADV, TS_RECENT, SND_QUEUED_BYTES, PENDING, SOCKET } = ROW_WORDS;
const { TIMER_AT_US, LAST_SEND_US, RACK_XMIT_US, CWND, SSTHRESH, RECOVERY_STATE } = RECOVERY_WORDS;
const { RECOVERY_FLAGS, TIMER_KIND, HEAD_RECORD, TAIL_RECORD, TIME_HEAD, TIME_TAIL } =
  RECOVERY_WORDS;
const { SACKED_BYTES, LOST_BYTES, RETRANS_BYTES, RECORD_COUNT, MAX_FLIGHT_BYTES } = RECOVERY_WORDS;
const { CWND_USAGE_SEQ, BYTES_ACKED, SRTT_16, RTTVAR_16, RTO_US, BACKOFF, RACK_RTT_US } =
  RECOVERY_WORDS;
const { RACK_END_SEQ, MIN_RTT_CURRENT_US, MIN_RTT_STAMP_MS, DELIVERED_SEGMENTS, FACK_SEQ } =
  RECOVERY_WORDS;
const { LOSS_ROW } = RECOVERY_WORDS;
const { PORTS, OPTIONS, RETRIES, SCALES, RCV_ACKED, RCV_QUEUED_BYTES, RCV_BUF_BYTES } = TCB_WORDS;
const { RCV_HEAD, RCV_TAIL, RCV_MSS, ACK_STATE, OOO_HEAD, DELACK_US, LAST_DATA_RCV_MS } = TCB_WORDS;
const { WINDOW_CLAMP_BYTES, SND_BUF_BYTES, RCV_RTT_US, TS_OFFSET, PSEUDO_SUM } = TCB_WORDS;
const { ARMED_AT_US, DELACK_AT_US, LAST_RCV_US, BYTES_RECEIVED, SEGS_IN, SEGS_OUT } = TCB_WORDS;
const { DATA_SEGS_IN, TS_RECENT_SECONDS, SND_HEAD, SND_TAIL, SND_CURSOR, SND_MAX_WND } = TCB_WORDS;
const { SND_SML, BYTES_SENT, DATA_SEGS_OUT, LAST_SENT_MS, SOFT_ERROR, USER_TIMEOUT_MS } = TCB_WORDS;
const { RTX_CURSOR, RCV_RTT_MS } = TCB_WORDS;
const { URGENT } = TcbFlags;
const { ESTABLISHED } = State;
const { TIMESTAMPS } = TcbOptions;
const { ACK_NOW, ACK_DELAYED } = Pending;
const { RACK, FACK, CWND_LIMITED, TLP, TLP_PENDING, SACK } = RecoveryFlags;
const NO_PRESSURE = Pressure.NONE;
const NO_TIMER = TimerKind.NONE;
const PROBE = TimerKind.PROBE;
const NOT_DUE: number = NEVER;
const QUICK: number = QUICK_MASK;
const INTERACTIVE: number = PINGPONG;
const LEAST_RTO_US: number = MIN_RTO_US;
const LONGEST_RTT_US: number = MAX_RTT_US;
const LONGEST_RTO_US: number = MAX_RTO_US;
const MIN_WINDOW_MS: number = MIN_RTT_WINDOW_MS;
const PROBE_WAIT_US: number = MAX_DELAYED_ACK_US;
const ALIGNED: number = tcpOptions.ALIGNED_TIMESTAMPS;
const HEADER_BYTES: number = tcp.HEADER_BYTES + tcpOptions.TIMESTAMPS_BYTES;
const HEADER_BITS = (HEADER_BYTES / 4) << 28;
const CONTROL = (tcp.ACK | tcp.PSH) << 16;
/** Data offset and flags, all but PSH, in the control word of what is expected. */
const EXPECTED_MASK = (0xff00 | (0xff & ~tcp.PSH)) << 16;
const EXPECTED = (HEADER_BITS | (tcp.ACK << 16)) & EXPECTED_MASK;
const PROTOCOL = 6;
/** Longer segments gain nothing. */
const SHORT_BYTES = 1_024;

const IN_FLAGS =
  TcbFlags.URGENT |
  TcbFlags.ECE |
  TcbFlags.RCV_SHUTDOWN |
  TcbFlags.FIN_QUEUED |
  TcbFlags.FIN_SENT |
  TcbFlags.SND_URGENT |
  TcbFlags.SND_FULL;
const OUT_FLAGS =
  TcbFlags.FIN_QUEUED |
  TcbFlags.FIN_SENT |
  TcbFlags.SND_URGENT |
  TcbFlags.ECE |
  TcbFlags.CWR |
  TcbFlags.DSACK |
  TcbFlags.MORE |
  TcbFlags.CORK_EXPIRED;
const OUT_OPTIONS = TIMESTAMPS | TcbOptions.CORK | TcbOptions.ECN;
const LIMITED = TLP | CWND_LIMITED;
/** `mayProbe`. */
const PROBED = SACK | RecoveryFlags.ESTABLISHED;
const PROBE_MASK = PROBED | TLP;

const MAX_PATIENCE = 4_096;

const NO_WORDS = new Int32Array(ROW_INT32S);
const NO_DOUBLES = new Float64Array(NO_WORDS.buffer);

export class Lockstep {
  /** The row that the views are of, or -1. */
  row = -1;
  w: Int32Array = NO_WORDS;
  d: Float64Array = NO_DOUBLES;
  /** A row, and how often it has come without another between. */
  private candidate = -1;
  private sights = 0;
  private patience = 4;

  /** Hot path. The selected row, which is not {@link row}, has asked or answered. */
  note(t: TcpCore): void {
    const { c } = t;
    if (c.row !== this.candidate) {
      this.candidate = c.row;
      this.sights = 0;
    }
    this.sights++;
    if (this.sights >= this.patience) this.watch(t);
  }

  private watch(t: TcpCore): void {
    const { i, row, at } = t.c;
    if (this.patience < MAX_PATIENCE) this.patience *= 2;
    this.sights = 0;
    this.w = i.subarray(at, at + ROW_INT32S);
    this.d = new Float64Array(i.buffer, this.w.byteOffset, ROW_INT32S / 2);
    this.row = row;
  }

  /** The rows lie elsewhere now, and nothing may keep where they lay. */
  forget(): void {
    this.row = -1;
    this.candidate = -1;
    this.w = NO_WORDS;
    this.d = NO_DOUBLES;
  }
}

/**
 * Hot path. Takes the slot if it holds the next message of the selected row, which is the watched one, and
 * acknowledges all that was sent; false, with nothing changed, if not.
 */
export function takeInTurn(t: TcpCore, slot: number, tos: number): boolean {
  const { w, d } = t.lockstep;
  if (w[LAST_DATA_RCV_MS]! !== (t.nowMs & 0x7fffffff)) return false; // slow, or the first of a millisecond
  const s = t.slots;
  const { view } = s;
  const q = t.recovery.queue;
  const at = s.l4At[slot]!;
  const seq = view.getInt32(at + 4);
  const ack = view.getInt32(at + 8);
  const control = view.getInt32(at + 12);
  const tsVal = view.getInt32(at + 24);
  const tsEcr = view.getInt32(at + 28);
  const from = (at + HEADER_BYTES) | 0;
  const n = (s.end[slot]! - from) | 0;
  const una = w[SND_UNA]!;
  const bytes = (ack - una) | 0;
  const flags = w[RECOVERY_FLAGS]!;
  const record = w[HEAD_RECORD]!;
  const sent = w[SND_HEAD]!;
  const mss = w[SND_MSS]!;
  const trouble = w[RETRIES]! | w[RECOVERY_STATE]! | w[SACKED_BYTES]! | w[LOST_BYTES]!;
  const others = w[RETRANS_BYTES]! | w[USER_TIMEOUT_MS]! | w[LOSS_ROW]! | t.pressure;
  if (
    (control & EXPECTED_MASK) !== EXPECTED ||
    (w[OPTIONS]! & TIMESTAMPS) === 0 ||
    w[STATE]! !== ESTABLISHED ||
    seq !== w[RCV_NXT]! ||
    n <= 0 ||
    n > SHORT_BYTES ||
    n > w[RCV_MSS]! ||
    n > ((w[RCV_ADV]! - seq) | 0) ||
    (w[FLAGS]! & IN_FLAGS) !== 0 ||
    (trouble | others) !== 0 ||
    w[OOO_HEAD]! >= 0 ||
    (tos & 3) === 3 ||
    w[RCV_TAIL]! >= 0 ||
    s.isBig(slot) ||
    view.getInt32(at + 20) !== ALIGNED ||
    ((tsVal - w[TS_RECENT]!) | 0) < 0 ||
    bytes <= 0 ||
    bytes > mss ||
    ack !== w[SND_NXT]! ||
    bytes !== w[SND_QUEUED_BYTES]! ||
    sent < 0 ||
    sent !== w[SND_TAIL]! ||
    (flags & LIMITED) !== 0 ||
    (w[CWND]! < w[SSTHRESH]! && w[CWND]! < 2 * w[MAX_FLIGHT_BYTES]!) ||
    record < 0 ||
    record !== w[TAIL_RECORD]! ||
    !q.isPlain(record) ||
    w[SRTT_16]! === 0 ||
    w[DELACK_US]! !== t.settings.delackMinUs ||
    (w[PENDING]! & (ACK_NOW | ACK_DELAYED)) !== 0 ||
    ((w[ACK_STATE]! & QUICK) !== 0 && (w[ACK_STATE]! & INTERACTIVE) === 0) ||
    ((seq + n - w[RCV_ACKED]!) | 0) > w[RCV_MSS]! ||
    2 * w[CWND]! > w[SND_BUF_BYTES]!
  ) {
    return false;
  }
  // The ACK, as `takeExpectedAck`.
  const nowUs = t.nowUs;
  const xmitUs = q.xmitUsOf(record);
  const rttUs = nowUs - xmitUs;
  w[FACK_SEQ] = ack;
  w[RACK_RTT_US] = rttUs;
  const lastUs = d[RACK_XMIT_US]!;
  const isSame = xmitUs === lastUs && ((ack - w[RACK_END_SEQ]!) | 0) > 0;
  if ((flags & RACK) === 0 || xmitUs > lastUs || isSame) {
    d[RACK_XMIT_US] = xmitUs;
    w[RACK_END_SEQ] = ack;
  }
  w[RECOVERY_FLAGS] = flags | RACK | FACK;
  w[HEAD_RECORD] = -1;
  w[TAIL_RECORD] = -1;
  w[TIME_HEAD] = -1;
  w[TIME_TAIL] = -1;
  w[RECORD_COUNT] = 0;
  q.giveSingle(record);
  const least = w[MIN_RTT_CURRENT_US]!;
  const sinceMs = (((nowUs * 0.001) | 0) - w[MIN_RTT_STAMP_MS]!) | 0;
  if (rttUs < least || sinceMs > MIN_WINDOW_MS || least === LONGEST_RTT_US) {
    noteMinRtt(t.c, rttUs, nowUs);
  }
  sample(w, rttUs);
  d[BYTES_ACKED]! += bytes;
  w[DELIVERED_SEGMENTS] = (w[DELIVERED_SEGMENTS]! + 1) | 0;
  w[TIMER_KIND] = NO_TIMER;
  d[TIMER_AT_US] = NOT_DUE;
  t.confirmReachable();
  const window = (control & 0xffff) << (w[SCALES]! & 0xff);
  w[SND_WL2] = ack;
  w[SND_WND] = window;
  if (window > w[SND_MAX_WND]!) w[SND_MAX_WND] = window;
  w[SND_HEAD] = -1;
  w[SND_TAIL] = -1;
  w[SND_CURSOR] = -1;
  w[RTX_CURSOR] = -1;
  w[SND_QUEUED_BYTES] = 0;
  s.give(sent);
  if (((w[SND_SML]! - una) | 0) < 0) w[SND_SML] = una;
  w[SND_UNA] = ack;
  w[SOFT_ERROR] = 0;
  // The data, as `takeExpected`.
  if (((seq - w[RCV_ACKED]!) | 0) <= 0) {
    w[TS_RECENT] = tsVal;
    w[TS_RECENT_SECONDS] = (nowUs * 1e-6) | 0;
  }
  const ms = (t.nowMs - tsEcr + w[TS_OFFSET]!) | 0;
  if (tsEcr !== 0 && ms >= 0) {
    const us = ms === 0 ? 1000 : ms * 1000;
    const old = w[RCV_RTT_US]!;
    w[RCV_RTT_US] = old === 0 || us < old ? us : old + ((us - old) >> 3);
  }
  w[SND_WL1] = seq;
  d[LAST_RCV_US] = nowUs;
  w[RCV_NXT] = (seq + n) | 0;
  s.at[slot] = from;
  s.next[slot] = -1;
  w[RCV_HEAD] = slot;
  w[RCV_TAIL] = slot;
  w[RCV_QUEUED_BYTES] = n;
  const dueUs = nowUs + w[DELACK_US]!;
  d[DELACK_AT_US] = dueUs;
  if (dueUs < d[ARMED_AT_US]!) t.want(ACK_DELAYED | Pending.TIMER);
  else w[PENDING] = w[PENDING]! | ACK_DELAYED;
  const { counts, k } = t;
  counts[k.inSegs]! += 1;
  counts[k.predictedData]! += 1;
  w[SEGS_IN] = (w[SEGS_IN]! + 1) | 0;
  d[BYTES_RECEIVED]! += n;
  w[DATA_SEGS_IN] = (w[DATA_SEGS_IN]! + 1) | 0;
  if (w[SOCKET]! !== 0) t.host.changed(t.c);
  return true;
}

/**
 * Hot path. Reads all that the selected row, which is the watched one, has unread, if it lies in one slot
 * and the reading has no other effect: how many bytes, or -1, with nothing changed. As `receiveBytes`.
 */
export function receiveInTurn(t: TcpCore, into: Uint8Array, at: number, most: number): number {
  const { w, d } = t.lockstep;
  const n = w[RCV_QUEUED_BYTES]!;
  const slot = w[RCV_HEAD]!;
  if (
    n > most ||
    slot < 0 ||
    slot !== w[RCV_TAIL]! ||
    (w[FLAGS]! & URGENT) !== 0 ||
    // `readHasEffect`: the window, an ACK that is due, the end of the receiver's round trip.
    2 * ((w[RCV_ADV]! - w[RCV_NXT]!) | 0) <= w[RCV_BUF_BYTES]! ||
    ((w[PENDING]! & ACK_DELAYED) !== 0 && d[DELACK_AT_US]! <= t.nowUs) ||
    (w[OPTIONS]! & TIMESTAMPS) === 0 ||
    (w[RCV_RTT_US]! !== 0 && ((t.nowMs - w[RCV_RTT_MS]!) | 0) * 1000 >= w[RCV_RTT_US]!)
  ) {
    return -1;
  }
  const s = t.slots;
  copyOut(into, at, s.view, s.bytes, s.at[slot]!, n);
  w[RCV_HEAD] = -1;
  w[RCV_TAIL] = -1;
  w[RCV_QUEUED_BYTES] = 0;
  s.give(slot);
  return n;
}

/** Hot path. As `sampleRtt`, with one sample a round trip and not the first. */
function sample(w: Int32Array, rttUs: number): void {
  const us = rttUs < 1 ? 1 : rttUs > LONGEST_RTT_US ? LONGEST_RTT_US : rttUs;
  const srtt = w[SRTT_16]!;
  const error = ((us << 4) - srtt) | 0;
  const deviation = ((error < 0 ? -error : error) - w[RTTVAR_16]!) | 0;
  const variance = (w[RTTVAR_16]! + ((deviation + 2) >> 2)) | 0;
  const next = (srtt + ((error + 4) >> 3)) | 0;
  const smoothed = next < 1 ? 1 : next;
  w[BACKOFF] = 0;
  w[RTTVAR_16] = variance;
  w[SRTT_16] = smoothed;
  const spread = variance >> 2;
  const rto = (smoothed >> 4) + (spread < LEAST_RTO_US ? LEAST_RTO_US : spread);
  w[RTO_US] = rto > LONGEST_RTO_US ? LONGEST_RTO_US : rto;
}

/**
 * Hot path. Sends what the selected row, which is the watched one, has queued, if that is one short message
 * and nothing is in flight; false, with nothing changed, if not. As `sendPlain`. The message's bytes lie in
 * the queue's slot, or, when the program hands them in just now, still in its array `bytes` from `from` on.
 */
export function sendInTurn(t: TcpCore, bytes: Uint8Array | null, from: number): boolean {
  const { w, d } = t.lockstep;
  const n = w[SND_QUEUED_BYTES]!;
  const start = w[SND_NXT]!;
  const mss = w[SND_MSS]!;
  const flags = w[RECOVERY_FLAGS]!;
  const head = w[SND_HEAD]!;
  const trouble = w[RECOVERY_STATE]! | w[SACKED_BYTES]! | w[LOST_BYTES]! | w[RETRANS_BYTES]!;
  const free = (w[RCV_BUF_BYTES]! - w[RCV_QUEUED_BYTES]!) | 0;
  const open = (w[RCV_ADV]! - w[RCV_NXT]!) | 0;
  const shift = w[SCALES]! >>> 8;
  const field = (open + (1 << shift) - 1) >> shift;
  if (
    n === 0 ||
    n > SHORT_BYTES ||
    w[STATE]! !== ESTABLISHED ||
    start !== w[SND_UNA]! ||
    n > w[SND_WND]! ||
    n > mss ||
    n > w[CWND]! ||
    head !== w[SND_TAIL]! ||
    w[OOO_HEAD]! >= 0 ||
    (w[FLAGS]! & OUT_FLAGS) !== 0 ||
    (w[OPTIONS]! & OUT_OPTIONS) !== TIMESTAMPS ||
    (trouble | w[LOSS_ROW]! | w[WINDOW_CLAMP_BYTES]! | w[BACKOFF]!) !== 0 ||
    w[HEAD_RECORD]! >= 0 ||
    (flags & (PROBE_MASK | TLP_PENDING)) !== PROBED ||
    w[TIMER_KIND]! !== NO_TIMER ||
    w[SRTT_16]! === 0 ||
    // The window to advertise is the one that is open: what was read since is less than a segment.
    t.pressure !== NO_PRESSURE ||
    open <= 0 ||
    field > 0xffff ||
    (free > open && (free - open >= w[RCV_MSS]! || free - open >= w[RCV_BUF_BYTES]! >> 1)) ||
    t.nowUs - d[LAST_SEND_US]! > w[RTO_US]!
  ) {
    return false;
  }
  const segmentBytes = (n + HEADER_BYTES) | 0;
  const at = t.host.place(t.c, segmentBytes);
  if (at < 0) return false;
  const s = t.slots;
  const { view } = s;
  const sum = (w[PSEUDO_SUM]! + PROTOCOL + segmentBytes) | 0;
  const folded = ((sum & 0xffff) + (sum >>> 16)) | 0;
  view.setInt32(at, w[PORTS]!);
  view.setInt32(at + 4, start);
  view.setInt32(at + 8, w[RCV_NXT]!);
  view.setInt32(at + 12, HEADER_BITS | CONTROL | field);
  view.setInt32(at + 16, ((folded & 0xffff) + (folded >>> 16)) << 16);
  view.setInt32(at + 20, ALIGNED);
  view.setInt32(at + 24, (t.nowMs + w[TS_OFFSET]!) | 0);
  view.setInt32(at + 28, w[TS_RECENT]!);
  if (bytes === null) {
    const queuedAt = (dataAt(s, head) + ((start - s.seq[head]!) | 0)) | 0;
    copyInside(view, s.bytes, at + HEADER_BYTES, queuedAt, n);
  } else copyIn(view, s.bytes, at + HEADER_BYTES, bytes, from, n);
  t.host.sendPlaced();
  // It is on its way; now the books.
  const nowUs = t.nowUs;
  const end = (start + n) | 0;
  const adv = (w[RCV_NXT]! + (field << shift)) | 0;
  if (((adv - w[RCV_ADV]!) | 0) > 0) w[RCV_ADV] = adv;
  let acks = w[ACK_STATE]!;
  if ((acks & QUICK) !== 0 && w[RCV_NXT]! !== w[RCV_ACKED]!) acks = (acks - 1) | 0;
  w[RCV_ACKED] = w[RCV_NXT]!;
  w[PENDING] = w[PENDING]! & ~(ACK_NOW | ACK_DELAYED);
  d[DELACK_AT_US] = NOT_DUE;
  w[SND_CURSOR] = head;
  if (n !== mss) w[SND_SML] = end;
  w[SND_NXT] = end;
  const r = t.recovery.queue.takeSingle(start, end, nowUs);
  w[HEAD_RECORD] = r;
  w[TAIL_RECORD] = r;
  w[TIME_HEAD] = r;
  w[TIME_TAIL] = r;
  w[RECORD_COUNT] = 1;
  d[LAST_SEND_US] = nowUs;
  const isFull = ((n + mss) | 0) > w[CWND]!;
  const wasFull = (flags & CWND_LIMITED) !== 0;
  const isNewWindow = ((w[CWND_USAGE_SEQ]! - start) | 0) <= 0;
  if (isFull || isNewWindow || (!wasFull && n > w[MAX_FLIGHT_BYTES]!)) {
    w[RECOVERY_FLAGS] = isFull ? flags | CWND_LIMITED : flags & ~CWND_LIMITED;
    w[MAX_FLIGHT_BYTES] = n;
    w[CWND_USAGE_SEQ] = end;
  }
  const waitUs = 2 * (w[SRTT_16]! >> 4) + PROBE_WAIT_US;
  const rtoUs = w[RTO_US]!;
  w[TIMER_KIND] = PROBE;
  d[TIMER_AT_US] = nowUs + (rtoUs > 0 && rtoUs < waitUs ? rtoUs : waitUs);
  const nowMs = t.nowMs & 0x7fffffff;
  w[LAST_SENT_MS] = nowMs;
  const lastMs = w[LAST_DATA_RCV_MS]!;
  if (lastMs !== 0 && (nowMs - lastMs) * 1000 < w[DELACK_US]!) acks |= INTERACTIVE;
  w[ACK_STATE] = acks;
  d[BYTES_SENT]! += n;
  w[DATA_SEGS_OUT] = (w[DATA_SEGS_OUT]! + 1) | 0;
  w[SEGS_OUT] = (w[SEGS_OUT]! + 1) | 0;
  t.counts[t.k.outSegs]! += 1;
  return true;
}
