/**
 * Loss recovery's and congestion control's part of a row; see tcb-row.ts for how rows work and what
 * lies where. Sequence numbers that may be absent have a bit in `recoveryFlags`.
 */
import type { Seq } from "./seq.js";
import { LOSS_ROW, TcbLossRow } from "./tcb-loss-row.js";

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

export class RecoveryRow extends TcbLossRow {
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
