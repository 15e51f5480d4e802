/**
 * Loss recovery's and congestion control's part of a row; see tcb-row.ts for how rows work and what
 * lies where. What only a connection that has lost something needs lies in a row of its own
 * (loss-rows.ts): reading it is reading the initial values until something else was written.
 * Sequence numbers that may be absent have a bit in `recoveryFlags`.
 */
import { LOSS_INT32S, LossRows, NO_LOSS_ROW } from "./loss-rows.js";
import type { Seq } from "./seq.js";
import { TcbRow } from "./tcb-row.js";

/** Congestion state, as Linux names them (tcpi_ca_state). */
export const RecoveryState = {
  /** All is well. */
  OPEN: 0,
  /** SACKs, duplicate ACKs or a spurious reduction are around, cwnd is whole. */
  DISORDER: 1,
  /** The window is being reduced in answer to ECN (or a repaired tail loss). */
  CWR: 2,
  /** Fast recovery. */
  RECOVERY: 3,
  /** Recovery after a retransmission timeout. */
  LOSS: 4,
} as const;

/** Bits of `recoveryFlags`. */
export const RecoveryFlags = {
  SACK: 1,
  TIMESTAMPS: 2,
  ECN: 4,
  /** `tlpEndSeq` is set: a tail loss probe is under way. */
  TLP: 8,
  /** That probe was a retransmission. */
  TLP_RETRANS: 16,
  /** The next segment sent is the probe. */
  TLP_PENDING: 32,
  /** `dsackRoundSeq` is set. */
  DSACK_ROUND: 64,
  /** RACK.reordering_seen. */
  REORDERED: 128,
  /** `undoMarker` is set. */
  UNDO: 256,
  /** F-RTO watches whether the timeout was spurious (RFC 5682). */
  FRTO: 512,
  /** F-RTO step 2b: new data go before retransmissions. */
  FRTO_NEW: 1024,
  /** cwnd was filled in the current window of usage. */
  CWND_LIMITED: 2048,
  /** `rackXmitUs` and `rackEndSeq` are set. */
  RACK: 4096,
  /** `fackSeq` is set. */
  FACK: 8192,
  /** `established` was called. */
  ESTABLISHED: 16384,
  /** The SYN timed out: the initial window is one segment (RFC 5681 §3.1). */
  SYN_LOST: 32768,
  /** `retransStampMs` is set. */
  RETRANS_STAMP: 65536,
} as const;

/** What `timerAtUs` stands for. */
export const TimerKind = { NONE: 0, RTO: 1, PROBE: 2, REORDER: 3 } as const;

// Indices in the row.
const TIMER_AT_US = 32; // double
const LAST_SEND_US = 33; // double
const RACK_XMIT_US = 34; // double
const CWND_CREDIT = 35; // double
const CWND = 72;
const SSTHRESH = 73;
const RECOVERY_STATE = 74;
const RECOVERY_FLAGS = 75;
const TIMER_KIND = 76;
const HEAD_RECORD = 77;
const TAIL_RECORD = 78;
const TIME_HEAD = 86;
const TIME_TAIL = 87;
const SACKED_BYTES = 88;
const LOST_BYTES = 89;
const RETRANS_BYTES = 90;
const RECORD_COUNT = 91;
const LANE_1HEAD = 92;
const LANE_2HEAD = 93;
const MAX_FLIGHT_BYTES = 94;
const CWND_USAGE_SEQ = 95;
const BYTES_ACKED = 48; // double
const SRTT_16 = 100;
const RTTVAR_16 = 101;
const RTO_US = 102;
const BACKOFF = 103;
const RACK_RTT_US = 104;
const RACK_END_SEQ = 105;
const MIN_RTT_US = 106;
const MIN_RTT_PREVIOUS_US = 107;
const MIN_RTT_CURRENT_US = 108;
const MIN_RTT_STAMP_MS = 109;
const DELIVERED_SEGMENTS = 110;
const ROUND_END_SEQ = 113;
const ROUND_MIN_RTT_US = 114;
const LAST_ROUND_MIN_RTT_US = 115;
const ROUND_SAMPLES = 116;
const CSS_ROUNDS = 117;
const CSS_BASELINE_MIN_RTT_US = 118;
const ALGORITHM = 119;
const FACK_SEQ = 120;
const MAX_CWND = 121;
const RECOVERY_SEQ = 122;
const DUP_ACKS = 123;
const LOSS_ROW = 124;

// Indices in the loss row.
const CUBIC_EPOCH_US = 0; // double
const CUBIC_WMAX = 1; // double
const CUBIC_K = 2; // double
const CUBIC_WEST = 3; // double
const BYTES_RETRANS = 4; // double
const PRIOR_CWND = 10;
const PRIOR_SSTHRESH = 11;
const UNDO_MARKER = 12;
const UNDO_RETRANS_BYTES = 13;
const RETRANS_STAMP_MS = 14;
const REO_WND_MULT = 15;
const REO_WND_PERSIST = 16;
const DSACK_ROUND_SEQ = 17;
const REORDER_SEGMENTS = 18;
const TLP_END_SEQ = 19;
const LOST_HEAD = 20;
const LOST_TAIL = 21;
const RECOVER_FLIGHT_BYTES = 22;
const PRR_DELIVERED_BYTES = 23;
const PRR_OUT_BYTES = 24;
const TOTAL_RETRANS = 25;
const DSACK_SEGMENTS = 26;
const RENO_SACKED_BYTES = 27;
const BLACK_HOLE_MSS = 28;
const BLACK_HOLE_STAMP_MS = 29;
const ECN_CE_SEGMENTS = 30;

/** As `ROW_WORDS`; names that end in `_AT_US`, `_XMIT_US`, `_SEND_US` and BYTES_ACKED are of doubles. */
export const RECOVERY_WORDS = {
  TIMER_AT_US,
  LAST_SEND_US,
  RACK_XMIT_US,
  CWND,
  SSTHRESH,
  RECOVERY_STATE,
  RECOVERY_FLAGS,
  TIMER_KIND,
  HEAD_RECORD,
  TAIL_RECORD,
  TIME_HEAD,
  TIME_TAIL,
  SACKED_BYTES,
  LOST_BYTES,
  RETRANS_BYTES,
  RECORD_COUNT,
  MAX_FLIGHT_BYTES,
  CWND_USAGE_SEQ,
  BYTES_ACKED,
  SRTT_16,
  RTTVAR_16,
  RTO_US,
  BACKOFF,
  RACK_RTT_US,
  RACK_END_SEQ,
  MIN_RTT_CURRENT_US,
  MIN_RTT_STAMP_MS,
  DELIVERED_SEGMENTS,
  FACK_SEQ,
  LOSS_ROW,
} as const;

/** What a connection that has lost nothing reads: as `Recovery.init` leaves it. */
function setInitial(words: Int32Array, doubles: Float64Array): void {
  doubles[CUBIC_EPOCH_US] = -1;
  words[UNDO_RETRANS_BYTES] = -1;
  words[REO_WND_MULT] = 1;
  words[REO_WND_PERSIST] = 16;
  words[REORDER_SEGMENTS] = 3;
  words[LOST_HEAD] = -1;
  words[LOST_TAIL] = -1;
}

export class RecoveryRow extends TcbRow {
  /** The loss rows of all connections; views of the same rows share them. */
  readonly loss: LossRows;

  constructor(i: Int32Array, f: Float64Array, loss: LossRows = new LossRows(setInitial)) {
    super(i, f);
    this.loss = loss;
  }

  /** Gives the loss row back, if there is one: at the end of the connection. */
  releaseLoss(): void {
    this.loss.give(this.i[this.at + LOSS_ROW]!);
    this.i[this.at + LOSS_ROW] = NO_LOSS_ROW;
  }

  private setLossWord(at: number, v: number): void {
    const { loss } = this;
    let row = this.i[this.at + LOSS_ROW]!;
    if (row === NO_LOSS_ROW) {
      if (loss.words[at] === v) return;
      row = this.takeLoss();
    }
    loss.words[row * LOSS_INT32S + at] = v;
  }

  private setLossDouble(at: number, v: number): void {
    const { loss } = this;
    let row = this.i[this.at + LOSS_ROW]!;
    if (row === NO_LOSS_ROW) {
      if (loss.doubles[at] === v) return;
      row = this.takeLoss();
    }
    loss.doubles[row * (LOSS_INT32S / 2) + at] = v;
  }

  private takeLoss(): number {
    const row = this.loss.take();
    this.i[this.at + LOSS_ROW] = row;
    return row;
  }

  /** When `onTimer` is due; NEVER when no timer runs. */
  get timerAtUs(): number {
    return this.f[this.fat + TIMER_AT_US]!;
  }
  set timerAtUs(v: number) {
    this.f[this.fat + TIMER_AT_US] = v;
  }

  /** RACK.xmit_ts (RFC 8985 §6.1): when the last sent of the delivered segments was sent. */
  get rackXmitUs(): number {
    return this.f[this.fat + RACK_XMIT_US]!;
  }
  set rackXmitUs(v: number) {
    this.f[this.fat + RACK_XMIT_US] = v;
  }

  /** When data were sent last. */
  get lastSendUs(): number {
    return this.f[this.fat + LAST_SEND_US]!;
  }
  set lastSendUs(v: number) {
    this.f[this.fat + LAST_SEND_US] = v;
  }

  /** Start of CUBIC's congestion avoidance epoch (t_epoch, RFC 9438 §4.1.2); -1: none. */
  get cubicEpochUs(): number {
    return this.loss.doubles[this.i[this.at + LOSS_ROW]! * (LOSS_INT32S / 2) + CUBIC_EPOCH_US]!;
  }
  set cubicEpochUs(v: number) {
    this.setLossDouble(CUBIC_EPOCH_US, v);
  }

  /** CUBIC's W_max, in segments. */
  get cubicWMax(): number {
    return this.loss.doubles[this.i[this.at + LOSS_ROW]! * (LOSS_INT32S / 2) + CUBIC_WMAX]!;
  }
  set cubicWMax(v: number) {
    this.setLossDouble(CUBIC_WMAX, v);
  }

  /** CUBIC's K, in seconds. */
  get cubicK(): number {
    return this.loss.doubles[this.i[this.at + LOSS_ROW]! * (LOSS_INT32S / 2) + CUBIC_K]!;
  }
  set cubicK(v: number) {
    this.setLossDouble(CUBIC_K, v);
  }

  /** CUBIC's W_est, in segments: what Reno would have. */
  get cubicWEst(): number {
    return this.loss.doubles[this.i[this.at + LOSS_ROW]! * (LOSS_INT32S / 2) + CUBIC_WEST]!;
  }
  set cubicWEst(v: number) {
    this.setLossDouble(CUBIC_WEST, v);
  }

  /** Growth of cwnd, in bytes, that has not yet made a whole segment. */
  get cwndCredit(): number {
    return this.f[this.fat + CWND_CREDIT]!;
  }
  set cwndCredit(v: number) {
    this.f[this.fat + CWND_CREDIT] = v;
  }

  /** Bytes that the peer acknowledged in order. */
  get bytesAcked(): number {
    return this.f[this.fat + BYTES_ACKED]!;
  }
  set bytesAcked(v: number) {
    this.f[this.fat + BYTES_ACKED] = v;
  }

  /** Bytes that were sent again. */
  get bytesRetrans(): number {
    return this.loss.doubles[this.i[this.at + LOSS_ROW]! * (LOSS_INT32S / 2) + BYTES_RETRANS]!;
  }
  set bytesRetrans(v: number) {
    this.setLossDouble(BYTES_RETRANS, v);
  }

  /** Congestion window in bytes, whole segments but while it is being reduced. */
  get cwnd(): number {
    return this.i[this.at + CWND]!;
  }
  set cwnd(v: number) {
    this.i[this.at + CWND] = v;
  }

  /** Slow start threshold in bytes. */
  get ssthresh(): number {
    return this.i[this.at + SSTHRESH]!;
  }
  set ssthresh(v: number) {
    this.i[this.at + SSTHRESH] = v;
  }

  /** `RecoveryState`. */
  get recoveryState(): number {
    return this.i[this.at + RECOVERY_STATE]!;
  }
  set recoveryState(v: number) {
    this.i[this.at + RECOVERY_STATE] = v;
  }

  /** `RecoveryFlags`. */
  get recoveryFlags(): number {
    return this.i[this.at + RECOVERY_FLAGS]!;
  }
  set recoveryFlags(v: number) {
    this.i[this.at + RECOVERY_FLAGS] = v;
  }

  /** `TimerKind`: what `timerAtUs` stands for. */
  get timerKind(): number {
    return this.i[this.at + TIMER_KIND]!;
  }
  set timerKind(v: number) {
    this.i[this.at + TIMER_KIND] = v;
  }

  /** First record of the sent queue (sent-queue.ts), -1 when nothing is in flight. */
  get headRecord(): number {
    return this.i[this.at + HEAD_RECORD]!;
  }
  set headRecord(v: number) {
    this.i[this.at + HEAD_RECORD] = v;
  }

  /** Last record of the sent queue. */
  get tailRecord(): number {
    return this.i[this.at + TAIL_RECORD]!;
  }
  set tailRecord(v: number) {
    this.i[this.at + TAIL_RECORD] = v;
  }

  /** First of the records in flight, in the order they were sent (again). */
  get timeHead(): number {
    return this.i[this.at + TIME_HEAD]!;
  }
  set timeHead(v: number) {
    this.i[this.at + TIME_HEAD] = v;
  }

  /** Last of the records in flight. */
  get timeTail(): number {
    return this.i[this.at + TIME_TAIL]!;
  }
  set timeTail(v: number) {
    this.i[this.at + TIME_TAIL] = v;
  }

  /** Bytes above SND.UNA that SACK reported. */
  get sackedBytes(): number {
    return this.i[this.at + SACKED_BYTES]!;
  }
  set sackedBytes(v: number) {
    this.i[this.at + SACKED_BYTES] = v;
  }

  /** Bytes deemed lost and not delivered since, sent again or not. */
  get lostBytes(): number {
    return this.i[this.at + LOST_BYTES]!;
  }
  set lostBytes(v: number) {
    this.i[this.at + LOST_BYTES] = v;
  }

  /** Bytes sent again and still in flight. */
  get retransBytes(): number {
    return this.i[this.at + RETRANS_BYTES]!;
  }
  set retransBytes(v: number) {
    this.i[this.at + RETRANS_BYTES] = v;
  }

  /** SRTT in sixteenths of a microsecond, RFC 6298; 0 before the first sample. */
  get srtt16(): number {
    return this.i[this.at + SRTT_16]!;
  }
  set srtt16(v: number) {
    this.i[this.at + SRTT_16] = v;
  }

  /** RTTVAR in sixteenths of a microsecond. */
  get rttvar16(): number {
    return this.i[this.at + RTTVAR_16]!;
  }
  set rttvar16(v: number) {
    this.i[this.at + RTTVAR_16] = v;
  }

  /** RTO, without back-off. */
  get rtoUs(): number {
    return this.i[this.at + RTO_US]!;
  }
  set rtoUs(v: number) {
    this.i[this.at + RTO_US] = v;
  }

  /** How often RTO has been doubled. */
  get backoff(): number {
    return this.i[this.at + BACKOFF]!;
  }
  set backoff(v: number) {
    this.i[this.at + BACKOFF] = v;
  }

  /** RACK.rtt. */
  get rackRttUs(): number {
    return this.i[this.at + RACK_RTT_US]!;
  }
  set rackRttUs(v: number) {
    this.i[this.at + RACK_RTT_US] = v;
  }

  /** RACK.end_seq. */
  get rackEndSeq(): Seq {
    return this.i[this.at + RACK_END_SEQ]! as Seq;
  }
  set rackEndSeq(v: Seq) {
    this.i[this.at + RACK_END_SEQ] = v;
  }

  /** Least RTT of this and the previous window; MAX_RTT_US before the first sample. */
  get minRttUs(): number {
    return this.i[this.at + MIN_RTT_US]!;
  }
  set minRttUs(v: number) {
    this.i[this.at + MIN_RTT_US] = v;
  }

  /** Least RTT of the previous window. */
  get minRttPreviousUs(): number {
    return this.i[this.at + MIN_RTT_PREVIOUS_US]!;
  }
  set minRttPreviousUs(v: number) {
    this.i[this.at + MIN_RTT_PREVIOUS_US] = v;
  }

  /** Least RTT of this window. */
  get minRttCurrentUs(): number {
    return this.i[this.at + MIN_RTT_CURRENT_US]!;
  }
  set minRttCurrentUs(v: number) {
    this.i[this.at + MIN_RTT_CURRENT_US] = v;
  }

  /** When this window of the least RTT began, milliseconds. */
  get minRttStampMs(): number {
    return this.i[this.at + MIN_RTT_STAMP_MS]!;
  }
  set minRttStampMs(v: number) {
    this.i[this.at + MIN_RTT_STAMP_MS] = v;
  }

  /** Segments delivered, in order or not. */
  get deliveredSegments(): number {
    return this.i[this.at + DELIVERED_SEGMENTS]!;
  }
  set deliveredSegments(v: number) {
    this.i[this.at + DELIVERED_SEGMENTS] = v;
  }

  /** Most bytes in flight in the current window of cwnd usage. */
  get maxFlightBytes(): number {
    return this.i[this.at + MAX_FLIGHT_BYTES]!;
  }
  set maxFlightBytes(v: number) {
    this.i[this.at + MAX_FLIGHT_BYTES] = v;
  }

  /** End of that window. */
  get cwndUsageSeq(): Seq {
    return this.i[this.at + CWND_USAGE_SEQ]! as Seq;
  }
  set cwndUsageSeq(v: Seq) {
    this.i[this.at + CWND_USAGE_SEQ] = v;
  }

  /** Records of this connection. */
  get recordCount(): number {
    return this.i[this.at + RECORD_COUNT]!;
  }
  set recordCount(v: number) {
    this.i[this.at + RECORD_COUNT] = v;
  }

  /** RecoveryPoint: SND.NXT when recovery, CWR or loss began. */
  get recoverySeq(): Seq {
    return this.i[this.at + RECOVERY_SEQ]! as Seq;
  }
  set recoverySeq(v: Seq) {
    this.i[this.at + RECOVERY_SEQ] = v;
  }

  /** Duplicate ACKs of a peer without SACK since SND.UNA last moved. */
  get dupAcks(): number {
    return this.i[this.at + DUP_ACKS]!;
  }
  set dupAcks(v: number) {
    this.i[this.at + DUP_ACKS] = v;
  }

  /** cwnd before the last reduction. */
  get priorCwnd(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + PRIOR_CWND]!;
  }
  set priorCwnd(v: number) {
    this.setLossWord(PRIOR_CWND, v);
  }

  /** ssthresh before the last reduction; 0: nothing to take back. */
  get priorSsthresh(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + PRIOR_SSTHRESH]!;
  }
  set priorSsthresh(v: number) {
    this.setLossWord(PRIOR_SSTHRESH, v);
  }

  /** SND.UNA when the reduction that may be undone began. */
  get undoMarker(): Seq {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + UNDO_MARKER]! as Seq;
  }
  set undoMarker(v: Seq) {
    this.setLossWord(UNDO_MARKER, v);
  }

  /** Bytes sent again since and not reported duplicate; -1: none yet. */
  get undoRetransBytes(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + UNDO_RETRANS_BYTES]!;
  }
  set undoRetransBytes(v: number) {
    this.setLossWord(UNDO_RETRANS_BYTES, v);
  }

  /** When the first retransmission since was sent, milliseconds. */
  get retransStampMs(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + RETRANS_STAMP_MS]!;
  }
  set retransStampMs(v: number) {
    this.setLossWord(RETRANS_STAMP_MS, v);
  }

  /** RACK.reo_wnd_mult. */
  get reoWndMult(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + REO_WND_MULT]!;
  }
  set reoWndMult(v: number) {
    this.setLossWord(REO_WND_MULT, v);
  }

  /** RACK.reo_wnd_persist. */
  get reoWndPersist(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + REO_WND_PERSIST]!;
  }
  set reoWndPersist(v: number) {
    this.setLossWord(REO_WND_PERSIST, v);
  }

  /** RACK.dsack_round. */
  get dsackRoundSeq(): Seq {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + DSACK_ROUND_SEQ]! as Seq;
  }
  set dsackRoundSeq(v: Seq) {
    this.setLossWord(DSACK_ROUND_SEQ, v);
  }

  /** Largest reordering seen, in segments. */
  get reorderSegments(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + REORDER_SEGMENTS]!;
  }
  set reorderSegments(v: number) {
    this.setLossWord(REORDER_SEGMENTS, v);
  }

  /** TLP.end_seq. */
  get tlpEndSeq(): Seq {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + TLP_END_SEQ]! as Seq;
  }
  set tlpEndSeq(v: Seq) {
    this.setLossWord(TLP_END_SEQ, v);
  }

  /** First of the records that wait to be sent again. */
  get lostHead(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + LOST_HEAD]!;
  }
  set lostHead(v: number) {
    this.setLossWord(LOST_HEAD, v);
  }

  /** Last of the records that wait to be sent again. */
  get lostTail(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + LOST_TAIL]!;
  }
  set lostTail(v: number) {
    this.setLossWord(LOST_TAIL, v);
  }

  /** RecoverFS (RFC 9937 §5): bytes in flight when the reduction began. */
  get recoverFlightBytes(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + RECOVER_FLIGHT_BYTES]!;
  }
  set recoverFlightBytes(v: number) {
    this.setLossWord(RECOVER_FLIGHT_BYTES, v);
  }

  /** prr_delivered. */
  get prrDeliveredBytes(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + PRR_DELIVERED_BYTES]!;
  }
  set prrDeliveredBytes(v: number) {
    this.setLossWord(PRR_DELIVERED_BYTES, v);
  }

  /** prr_out. */
  get prrOutBytes(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + PRR_OUT_BYTES]!;
  }
  set prrOutBytes(v: number) {
    this.setLossWord(PRR_OUT_BYTES, v);
  }

  /** First record of the sent queue's express lane. */
  get lane1Head(): number {
    return this.i[this.at + LANE_1HEAD]!;
  }
  set lane1Head(v: number) {
    this.i[this.at + LANE_1HEAD] = v;
  }

  /** First record of the sent queue's second express lane. */
  get lane2Head(): number {
    return this.i[this.at + LANE_2HEAD]!;
  }
  set lane2Head(v: number) {
    this.i[this.at + LANE_2HEAD] = v;
  }

  /** HyStart++: windowEnd (RFC 9406 §4.2). */
  get roundEndSeq(): Seq {
    return this.i[this.at + ROUND_END_SEQ]! as Seq;
  }
  set roundEndSeq(v: Seq) {
    this.i[this.at + ROUND_END_SEQ] = v;
  }

  /** HyStart++: currentRoundMinRTT. */
  get roundMinRttUs(): number {
    return this.i[this.at + ROUND_MIN_RTT_US]!;
  }
  set roundMinRttUs(v: number) {
    this.i[this.at + ROUND_MIN_RTT_US] = v;
  }

  /** HyStart++: lastRoundMinRTT. */
  get lastRoundMinRttUs(): number {
    return this.i[this.at + LAST_ROUND_MIN_RTT_US]!;
  }
  set lastRoundMinRttUs(v: number) {
    this.i[this.at + LAST_ROUND_MIN_RTT_US] = v;
  }

  /** HyStart++: rttSampleCount. */
  get roundSamples(): number {
    return this.i[this.at + ROUND_SAMPLES]!;
  }
  set roundSamples(v: number) {
    this.i[this.at + ROUND_SAMPLES] = v;
  }

  /** HyStart++: rounds of conservative slow start done; -1: standard slow start. */
  get cssRounds(): number {
    return this.i[this.at + CSS_ROUNDS]!;
  }
  set cssRounds(v: number) {
    this.i[this.at + CSS_ROUNDS] = v;
  }

  /** HyStart++: cssBaselineMinRtt. */
  get cssBaselineMinRttUs(): number {
    return this.i[this.at + CSS_BASELINE_MIN_RTT_US]!;
  }
  set cssBaselineMinRttUs(v: number) {
    this.i[this.at + CSS_BASELINE_MIN_RTT_US] = v;
  }

  /** Segments sent again, ever. */
  get totalRetrans(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + TOTAL_RETRANS]!;
  }
  set totalRetrans(v: number) {
    this.setLossWord(TOTAL_RETRANS, v);
  }

  /** `Algorithm`. */
  get algorithm(): number {
    return this.i[this.at + ALGORITHM]!;
  }
  set algorithm(v: number) {
    this.i[this.at + ALGORITHM] = v;
  }

  /** RACK.fack: end of the highest range delivered. */
  get fackSeq(): Seq {
    return this.i[this.at + FACK_SEQ]! as Seq;
  }
  set fackSeq(v: Seq) {
    this.i[this.at + FACK_SEQ] = v;
  }

  /** Segments that DSACKs reported twice delivered, ever. */
  get dsackSegments(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + DSACK_SEGMENTS]!;
  }
  set dsackSegments(v: number) {
    this.setLossWord(DSACK_SEGMENTS, v);
  }

  /** What duplicate ACKs of a peer without SACK say has left the network. */
  get renoSackedBytes(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + RENO_SACKED_BYTES]!;
  }
  set renoSackedBytes(v: number) {
    this.setLossWord(RENO_SACKED_BYTES, v);
  }

  /** Upper limit of the MSS since a black hole was met; 0: none was met. */
  get blackHoleMss(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + BLACK_HOLE_MSS]!;
  }
  set blackHoleMss(v: number) {
    this.setLossWord(BLACK_HOLE_MSS, v);
  }

  /** When the MSS was reduced for it, milliseconds. */
  get blackHoleStampMs(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + BLACK_HOLE_STAMP_MS]!;
  }
  set blackHoleStampMs(v: number) {
    this.setLossWord(BLACK_HOLE_STAMP_MS, v);
  }

  /** Segments whose ACK carried ECE. */
  get ecnCeSegments(): number {
    return this.loss.words[this.i[this.at + LOSS_ROW]! * LOSS_INT32S + ECN_CE_SEGMENTS]!;
  }
  set ecnCeSegments(v: number) {
    this.setLossWord(ECN_CE_SEGMENTS, v);
  }

  /** Upper limit of cwnd in bytes (TCP_WINDOW_CLAMP, SO_SNDBUF). */
  get maxCwnd(): number {
    return this.i[this.at + MAX_CWND]!;
  }
  set maxCwnd(v: number) {
    this.i[this.at + MAX_CWND] = v;
  }

  /** SRTT; 0 before the first sample. */
  get srttUs(): number {
    return this.srtt16 >> 4;
  }
  /** RTTVAR. */
  get rttvarUs(): number {
    return this.rttvar16 >> 4;
  }
}
