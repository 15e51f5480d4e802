/**
 * Loss recovery's and congestion control's part of a row: int32 indices 16 to 63 and 144 to 175;
 * doubles overlay the pairs from 16 to 35. See tcb-row.ts for how rows work. Sequence numbers that
 * may be absent have a bit in `recoveryFlags`.
 */
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

const TIMER_AT_US = 8; // double
const RACK_XMIT_US = 9; // double
const LAST_SEND_US = 10; // double
const CUBIC_EPOCH_US = 11; // double
const CUBIC_WMAX = 12; // double
const CUBIC_K = 13; // double
const CUBIC_WEST = 14; // double
const CWND_CREDIT = 15; // double
const BYTES_ACKED = 16; // double
const BYTES_RETRANS = 17; // double
const CWND = 36;
const SSTHRESH = 37;
const RECOVERY_STATE = 38;
const RECOVERY_FLAGS = 39;
const TIMER_KIND = 40;
const HEAD_RECORD = 41;
const TAIL_RECORD = 42;
const TIME_HEAD = 43;
const TIME_TAIL = 44;
const SACKED_BYTES = 45;
const LOST_BYTES = 46;
const RETRANS_BYTES = 47;
const SRTT_16 = 48;
const RTTVAR_16 = 49;
const RTO_US = 50;
const BACKOFF = 51;
const RACK_RTT_US = 52;
const RACK_END_SEQ = 53;
const MIN_RTT_US = 54;
const MIN_RTT_PREVIOUS_US = 55;
const MIN_RTT_CURRENT_US = 56;
const MIN_RTT_STAMP_MS = 57;
const DELIVERED_SEGMENTS = 58;
const MAX_FLIGHT_BYTES = 59;
const CWND_USAGE_SEQ = 60;
const RECORD_COUNT = 61;
const RECOVERY_SEQ = 62;
const DUP_ACKS = 63;
const PRIOR_CWND = 144;
const PRIOR_SSTHRESH = 145;
const UNDO_MARKER = 146;
const UNDO_RETRANS_BYTES = 147;
const RETRANS_STAMP_MS = 148;
const REO_WND_MULT = 149;
const REO_WND_PERSIST = 150;
const DSACK_ROUND_SEQ = 151;
const REORDER_SEGMENTS = 152;
const TLP_END_SEQ = 153;
const LOST_HEAD = 154;
const LOST_TAIL = 155;
const RECOVER_FLIGHT_BYTES = 156;
const PRR_DELIVERED_BYTES = 157;
const PRR_OUT_BYTES = 158;
const LANE_1HEAD = 159;
const LANE_2HEAD = 160;
const ROUND_END_SEQ = 161;
const ROUND_MIN_RTT_US = 162;
const LAST_ROUND_MIN_RTT_US = 163;
const ROUND_SAMPLES = 164;
const CSS_ROUNDS = 165;
const CSS_BASELINE_MIN_RTT_US = 166;
const TOTAL_RETRANS = 167;
const ALGORITHM = 168;
const FACK_SEQ = 169;
const DSACK_SEGMENTS = 170;
const RENO_SACKED_BYTES = 171;
const BLACK_HOLE_MSS = 172;
const BLACK_HOLE_STAMP_MS = 173;
const ECN_CE_SEGMENTS = 174;
const MAX_CWND = 175;

export class RecoveryRow extends TcbRow {
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
    return this.f[this.fat + CUBIC_EPOCH_US]!;
  }
  set cubicEpochUs(v: number) {
    this.f[this.fat + CUBIC_EPOCH_US] = v;
  }

  /** CUBIC's W_max, in segments. */
  get cubicWMax(): number {
    return this.f[this.fat + CUBIC_WMAX]!;
  }
  set cubicWMax(v: number) {
    this.f[this.fat + CUBIC_WMAX] = v;
  }

  /** CUBIC's K, in seconds. */
  get cubicK(): number {
    return this.f[this.fat + CUBIC_K]!;
  }
  set cubicK(v: number) {
    this.f[this.fat + CUBIC_K] = v;
  }

  /** CUBIC's W_est, in segments: what Reno would have. */
  get cubicWEst(): number {
    return this.f[this.fat + CUBIC_WEST]!;
  }
  set cubicWEst(v: number) {
    this.f[this.fat + CUBIC_WEST] = v;
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
    return this.f[this.fat + BYTES_RETRANS]!;
  }
  set bytesRetrans(v: number) {
    this.f[this.fat + BYTES_RETRANS] = v;
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
    return this.i[this.at + PRIOR_CWND]!;
  }
  set priorCwnd(v: number) {
    this.i[this.at + PRIOR_CWND] = v;
  }

  /** ssthresh before the last reduction; 0: nothing to take back. */
  get priorSsthresh(): number {
    return this.i[this.at + PRIOR_SSTHRESH]!;
  }
  set priorSsthresh(v: number) {
    this.i[this.at + PRIOR_SSTHRESH] = v;
  }

  /** SND.UNA when the reduction that may be undone began. */
  get undoMarker(): Seq {
    return this.i[this.at + UNDO_MARKER]! as Seq;
  }
  set undoMarker(v: Seq) {
    this.i[this.at + UNDO_MARKER] = v;
  }

  /** Bytes sent again since and not reported duplicate; -1: none yet. */
  get undoRetransBytes(): number {
    return this.i[this.at + UNDO_RETRANS_BYTES]!;
  }
  set undoRetransBytes(v: number) {
    this.i[this.at + UNDO_RETRANS_BYTES] = v;
  }

  /** When the first retransmission since was sent, milliseconds. */
  get retransStampMs(): number {
    return this.i[this.at + RETRANS_STAMP_MS]!;
  }
  set retransStampMs(v: number) {
    this.i[this.at + RETRANS_STAMP_MS] = v;
  }

  /** RACK.reo_wnd_mult. */
  get reoWndMult(): number {
    return this.i[this.at + REO_WND_MULT]!;
  }
  set reoWndMult(v: number) {
    this.i[this.at + REO_WND_MULT] = v;
  }

  /** RACK.reo_wnd_persist. */
  get reoWndPersist(): number {
    return this.i[this.at + REO_WND_PERSIST]!;
  }
  set reoWndPersist(v: number) {
    this.i[this.at + REO_WND_PERSIST] = v;
  }

  /** RACK.dsack_round. */
  get dsackRoundSeq(): Seq {
    return this.i[this.at + DSACK_ROUND_SEQ]! as Seq;
  }
  set dsackRoundSeq(v: Seq) {
    this.i[this.at + DSACK_ROUND_SEQ] = v;
  }

  /** Largest reordering seen, in segments. */
  get reorderSegments(): number {
    return this.i[this.at + REORDER_SEGMENTS]!;
  }
  set reorderSegments(v: number) {
    this.i[this.at + REORDER_SEGMENTS] = v;
  }

  /** TLP.end_seq. */
  get tlpEndSeq(): Seq {
    return this.i[this.at + TLP_END_SEQ]! as Seq;
  }
  set tlpEndSeq(v: Seq) {
    this.i[this.at + TLP_END_SEQ] = v;
  }

  /** First of the records that wait to be sent again. */
  get lostHead(): number {
    return this.i[this.at + LOST_HEAD]!;
  }
  set lostHead(v: number) {
    this.i[this.at + LOST_HEAD] = v;
  }

  /** Last of the records that wait to be sent again. */
  get lostTail(): number {
    return this.i[this.at + LOST_TAIL]!;
  }
  set lostTail(v: number) {
    this.i[this.at + LOST_TAIL] = v;
  }

  /** RecoverFS (RFC 9937 §5): bytes in flight when the reduction began. */
  get recoverFlightBytes(): number {
    return this.i[this.at + RECOVER_FLIGHT_BYTES]!;
  }
  set recoverFlightBytes(v: number) {
    this.i[this.at + RECOVER_FLIGHT_BYTES] = v;
  }

  /** prr_delivered. */
  get prrDeliveredBytes(): number {
    return this.i[this.at + PRR_DELIVERED_BYTES]!;
  }
  set prrDeliveredBytes(v: number) {
    this.i[this.at + PRR_DELIVERED_BYTES] = v;
  }

  /** prr_out. */
  get prrOutBytes(): number {
    return this.i[this.at + PRR_OUT_BYTES]!;
  }
  set prrOutBytes(v: number) {
    this.i[this.at + PRR_OUT_BYTES] = v;
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
    return this.i[this.at + TOTAL_RETRANS]!;
  }
  set totalRetrans(v: number) {
    this.i[this.at + TOTAL_RETRANS] = v;
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
    return this.i[this.at + DSACK_SEGMENTS]!;
  }
  set dsackSegments(v: number) {
    this.i[this.at + DSACK_SEGMENTS] = v;
  }

  /** What duplicate ACKs of a peer without SACK say has left the network. */
  get renoSackedBytes(): number {
    return this.i[this.at + RENO_SACKED_BYTES]!;
  }
  set renoSackedBytes(v: number) {
    this.i[this.at + RENO_SACKED_BYTES] = v;
  }

  /** Upper limit of the MSS since a black hole was met; 0: none was met. */
  get blackHoleMss(): number {
    return this.i[this.at + BLACK_HOLE_MSS]!;
  }
  set blackHoleMss(v: number) {
    this.i[this.at + BLACK_HOLE_MSS] = v;
  }

  /** When the MSS was reduced for it, milliseconds. */
  get blackHoleStampMs(): number {
    return this.i[this.at + BLACK_HOLE_STAMP_MS]!;
  }
  set blackHoleStampMs(v: number) {
    this.i[this.at + BLACK_HOLE_STAMP_MS] = v;
  }

  /** Segments whose ACK carried ECE. */
  get ecnCeSegments(): number {
    return this.i[this.at + ECN_CE_SEGMENTS]!;
  }
  set ecnCeSegments(v: number) {
    this.i[this.at + ECN_CE_SEGMENTS] = v;
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
