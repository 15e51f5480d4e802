/**
 * Loss recovery and congestion control of TCP connections: the face that the TCP engine sees.
 *
 * The engine says what it sent (`sent`, `retransmitted`), hands in every acceptable ACK (`onAck`)
 * and asks what may go out (`nextRetransmit`, `budgetBytes`) and when to wake it (`deadlineUs`,
 * `onTimer`). State is in the row (recovery-row.ts) and in records of one pool (sent-queue.ts); what
 * is decided where: sack.ts, rack.ts, tlp.ts, rto.ts, fast-recovery.ts, prr.ts, congestion.ts.
 *
 * It sends nothing, knows no windows but cwnd, and does not pace.
 */
import type { AckInfo } from "./ack-info.js";
import { Algorithm, grow, paused, resetCongestion } from "./congestion.js";
import { Delivery } from "./delivery.js";
import { FastRecovery } from "./fast-recovery.js";
import { INFINITE_SSTHRESH } from "./new-reno.js";
import { blackHoleOnTimeout, liftBlackHoleLimit } from "./plpmtud.js";
import { prrOnAck } from "./prr.js";
import { adaptReoWnd, markLost, resetRack } from "./rack.js";
import type { RecoveryRow } from "./recovery-row.js";
import { RecoveryFlags, RecoveryState, TimerKind } from "./recovery-state.js";
import { currentSsthresh } from "./reduction.js";
import { enterLoss } from "./rto.js";
import { msOf, noteMinRtt, resetRtt, sampleRtt } from "./rtt.js";
import { applyAck, applySack } from "./sack.js";
import { SentQueue } from "./sent-queue.js";
import { NO_RECORD } from "./sent-records.js";
import { advance, after, before, notAfter, type Seq, seqOf } from "./seq.js";
import {
  clearTimer,
  mayProbe,
  restartRto,
  restartTimer,
  resumeRto,
  setReorderTimer,
} from "./timers.js";
import { probeOnAck, probeSent } from "./tlp.js";

export { Algorithm } from "./congestion.js";

/** What {@link Recovery.established} is told of the handshake, as bits. */
export const PeerOption = {
  SACK: RecoveryFlags.SACK,
  TIMESTAMPS: RecoveryFlags.TIMESTAMPS,
  ECN: RecoveryFlags.ECN,
} as const;

/** What {@link Recovery.onAck} found, as bits. */
export const AckResult = {
  /** SND.UNA advances. */
  NEW_DATA: 1,
  /** There may be ranges to retransmit: ask `nextRetransmit`. */
  NEEDS_RETRANSMIT: 2,
  ENTERED_RECOVERY: 4,
  /** A reduction of the window proved spurious and was taken back. */
  UNDONE: 8,
  /** The window was reduced and ECN is in use: the next data segment carries CWR. */
  SEND_CWR: 16,
  /** The ACK is a duplicate, or only brought SACK news. */
  DUPLICATE: 32,
  /** Forward progress that proves the path works (RFC 4861 §7.3.1). */
  PROGRESS: 64,
  /** The limit that a black hole had set is gone: compute `c.sndMss` anew. */
  MSS_LIFTED: 128,
} as const;

/** What {@link Recovery.onTimer} asks for. */
export const TimerResult = {
  NOTHING: 0,
  /** Tail loss probe: send one segment of new data, or else the range of `probeRange`. */
  SEND_PROBE: 1,
  /** The reordering timer marked losses: ask `nextRetransmit`. */
  RETRANSMIT: 2,
  /** Retransmission timeout: all is lost, cwnd is one segment, the timer has backed off. */
  RTO: 3,
} as const;

export interface RecoverySettings {
  /** Algorithm of new connections. */
  readonly algorithm: number;
  /** Initial window in segments, RFC 6928. */
  readonly initialWindowSegments: number;
  /** Reduce the MSS after repeated timeouts of full-size segments (RFC 4821 §7.7). */
  readonly detectsBlackHoles: boolean;
}

const DEFAULTS: RecoverySettings = {
  algorithm: Algorithm.CUBIC,
  initialWindowSegments: 10,
  detectsBlackHoles: true,
};

/** Before the peer's MSS is known (RFC 9293 §3.7.1). */
const DEFAULT_MSS_BYTES = 536;
const MAX_CWND_BYTES = 1 << 30;
/** RFC 6298 §5.7. */
const RTO_AFTER_LOST_SYN_US = 3_000_000;
const RECORDS_PER_ROW = 4;
const NO_SAMPLE = -1;

export class Recovery {
  /** Result of `nextRetransmit` and `probeRange`: the range to send again. */
  retransmitSeq: Seq = seqOf(0);
  retransmitEnd: Seq = seqOf(0);
  /** The records, for tests and statistics. */
  readonly queue: SentQueue;
  private readonly settings: RecoverySettings;
  private readonly d = new Delivery();
  private readonly fast: FastRecovery;

  /** Records grow beyond `capacityRows` as needed. */
  constructor(capacityRows: number, settings: Partial<RecoverySettings> = {}) {
    this.settings = { ...DEFAULTS, ...settings };
    this.queue = new SentQueue(Math.max(16, Math.min(capacityRows, 16_384) * RECORDS_PER_ROW));
    this.fast = new FastRecovery(this.queue);
  }

  /** Resets the row's part before the SYN is sent; the RTO is the initial one (RFC 6298 §2.1). */
  init(c: RecoveryRow, nowUs: number): void {
    if (c.sndMss === 0) c.sndMss = DEFAULT_MSS_BYTES;
    this.queue.reset(c);
    c.recoveryFlags = 0;
    c.renoSackedBytes = 0;
    resetRtt(c);
    this.resetWindow(c, nowUs);
    clearTimer(c);
    c.bytesAcked =
      c.bytesRetrans =
      c.totalRetrans =
      c.dsackSegments =
      c.deliveredSegments =
      c.ecnCeSegments =
        0;
    c.maxCwnd = MAX_CWND_BYTES;
    c.algorithm = this.settings.algorithm;
    c.blackHoleMss = 0;
  }

  /**
   * The handshake is done and `c.sndMss` is known: initial window, peer's options (`PeerOption`).
   * The SYN's ACK must have gone through `onAck` before (it takes the RTT sample and frees the SYN).
   */
  established(c: RecoveryRow, options: number, nowUs: number): void {
    const isSynLost = (c.recoveryFlags & RecoveryFlags.SYN_LOST) !== 0;
    this.resetWindow(c, nowUs);
    c.recoveryFlags = options | RecoveryFlags.ESTABLISHED;
    if (isSynLost) c.cwnd = c.sndMss;
    if (isSynLost && c.srtt16 === 0) c.rtoUs = RTO_AFTER_LOST_SYN_US;
    c.totalRetrans = 0;
    c.backoff = 0;
  }

  /** Frees the row's records. */
  release(c: RecoveryRow): void {
    this.queue.clear(c);
    clearTimer(c);
  }

  /** Chooses `Algorithm`; at any time. */
  setAlgorithm(c: RecoveryRow, algorithm: number): void {
    c.algorithm = algorithm;
    resetCongestion(c);
  }

  /**
   * Hot path. The range was sent for the first time; it begins where the last one ended. SYN and
   * FIN take one.
   */
  sent(c: RecoveryRow, seq: Seq, end: Seq, nowUs: number): void {
    const q = this.queue;
    const isSameTurn = c.lastSendUs === nowUs && q.outstandingBytes(c) > c.sndMss;
    q.push(c, seq, end, nowUs);
    c.lastSendUs = nowUs;
    if (c.recoveryState >= RecoveryState.CWR) c.prrOutBytes = c.prrOutBytes + ((end - seq) | 0);
    if ((c.recoveryFlags & RecoveryFlags.TLP_PENDING) !== 0) {
      probeSent(c, false, end);
      restartRto(c, nowUs);
    }
    this.noteUsage(c, end);
    const kind = c.timerKind;
    if (kind === TimerKind.NONE || (kind === TimerKind.PROBE && !isSameTurn)) {
      restartTimer(q, c, nowUs);
    }
  }

  /**
   * Hot path. The range, as `nextRetransmit` or `probeRange` gave it or a prefix of it, was sent
   * again.
   */
  retransmitted(c: RecoveryRow, seq: Seq, end: Seq, nowUs: number): void {
    const q = this.queue;
    c.lastSendUs = nowUs;
    let r = q.find(c, seq);
    if (r !== NO_RECORD && before(q.seqOf(r), seq)) r = q.split(c, r, seq);
    while (r !== NO_RECORD && before(q.seqOf(r), end)) {
      if (after(q.endOf(r), end)) q.split(c, r, end);
      this.countRetransmission(c, q.bytesOf(r), nowUs);
      q.markRetransmitted(c, r, nowUs);
      if (r === c.headRecord && c.timerKind !== TimerKind.REORDER) restartTimer(q, c, nowUs);
      r = q.nextOf(r);
    }
    if ((c.recoveryFlags & RecoveryFlags.TLP_PENDING) === 0) return;
    // The window is reduced already: what repairs the loss need not be found out.
    if (this.probesHead(c)) probeSent(c, false, end);
    else probeSent(c, true, q.endOf(c.tailRecord));
    restartRto(c, nowUs);
  }

  /**
   * Hot path. Every acceptable ACK, before `c.sndUna` and `c.sndWnd` move. Returns `AckResult` bits.
   */
  onAck(c: RecoveryRow, ack: AckInfo, nowUs: number): number {
    if (before(ack.ack, c.sndUna)) return 0; // an old ACK: its news came with a later one
    const d = this.d.clear();
    const trouble = c.recoveryState | c.sackedBytes | c.lostBytes | c.retransBytes;
    const isPlain = trouble === 0 && ack.sackCount === 0 && !ack.ece;
    const isProbing = (c.recoveryFlags & RecoveryFlags.TLP) !== 0;
    if (isPlain && !isProbing && after(ack.ack, c.sndUna)) return this.plainAck(c, d, ack, nowUs);
    return this.troubledAck(c, d, ack, nowUs);
  }

  /** Hot path. Bytes that may go out now, retransmissions included, in whole segments. */
  budgetBytes(c: RecoveryRow): number {
    const room = c.cwnd - this.queue.pipeBytes(c);
    if (room <= 0) return 0;
    const mss = c.sndMss;
    return room <= mss ? mss : Math.ceil(room / mss) * mss;
  }

  /** Hot path. Whether {@link nextRetransmit} may find a range. */
  hasLost(c: RecoveryRow): boolean {
    return c.lostHead !== NO_RECORD;
  }

  /**
   * Hot path. The next range to send again, at most `maxBytes` and what cwnd allows, whole segments
   * if it is not the end of what was lost; false when there is none, or none may go now.
   */
  nextRetransmit(c: RecoveryRow, maxBytes: number): boolean {
    const q = this.queue;
    const r = c.lostHead;
    if (r === NO_RECORD || (c.recoveryFlags & RecoveryFlags.FRTO_NEW) !== 0) return false;
    const room = Math.min(this.budgetBytes(c), maxBytes);
    if (room <= 0) return false;
    const mss = c.sndMss;
    const most = room < mss ? room : room - (room % mss);
    this.retransmitSeq = q.seqOf(r);
    this.retransmitEnd = advance(this.retransmitSeq, Math.min(most, q.bytesOf(r)));
    return true;
  }

  /** Whether a probe is of the first segment, not of new data: in recovery. */
  probesHead(c: RecoveryRow): boolean {
    return c.recoveryState === RecoveryState.RECOVERY;
  }

  /**
   * After SEND_PROBE when there is no new data (or no window): the last segment sent; in recovery the
   * first.
   */
  probeRange(c: RecoveryRow): boolean {
    const q = this.queue;
    if (this.probesHead(c) && c.headRecord !== NO_RECORD) {
      const bytes = Math.min(q.bytesOf(c.headRecord), c.sndMss);
      this.retransmitSeq = q.seqOf(c.headRecord);
      this.retransmitEnd = advance(this.retransmitSeq, bytes);
      return true;
    }
    const r = c.tailRecord;
    if (r === NO_RECORD) return false;
    const bytes = q.bytesOf(r);
    const last = bytes % c.sndMss || c.sndMss;
    this.retransmitEnd = q.endOf(r);
    this.retransmitSeq = advance(this.retransmitEnd, -Math.min(bytes, last));
    return true;
  }

  /** Hot path. When to call `onTimer`; NEVER when nothing is in flight. */
  deadlineUs(c: RecoveryRow): number {
    return c.timerAtUs;
  }

  /** A timer fired; too early is NOTHING. Returns `TimerResult`. */
  onTimer(c: RecoveryRow, nowUs: number): number {
    if (nowUs < c.timerAtUs) return TimerResult.NOTHING;
    if (c.headRecord === NO_RECORD) {
      clearTimer(c);
      return TimerResult.NOTHING;
    }
    const d = this.d.clear();
    switch (c.timerKind) {
      case TimerKind.REORDER:
        this.fast.onReorderTimer(c, d, nowUs);
        this.armReorder(c, nowUs);
        return c.lostHead === NO_RECORD ? TimerResult.NOTHING : TimerResult.RETRANSMIT;
      case TimerKind.PROBE:
        restartRto(c, nowUs);
        if (!mayProbe(c)) return TimerResult.NOTHING;
        c.recoveryFlags = c.recoveryFlags | RecoveryFlags.TLP_PENDING;
        return TimerResult.SEND_PROBE;
      default:
        return this.timeout(c, d, nowUs);
    }
  }

  /**
   * Before new data are sent: after a pause of more than an RTO, cwnd is halved for each RTO of it,
   * down to the initial window (RFC 5681 §4.1, RFC 2861 §3.1).
   */
  idleRestart(c: RecoveryRow, nowUs: number): void {
    if (c.headRecord !== NO_RECORD) return;
    let pauseUs = nowUs - c.lastSendUs;
    if (pauseUs <= c.rtoUs) return;
    paused(c, pauseUs);
    c.ssthresh = currentSsthresh(c);
    const least = Math.min(c.cwnd, this.settings.initialWindowSegments * c.sndMss);
    let cwnd = c.cwnd;
    for (; pauseUs > c.rtoUs && cwnd > least; pauseUs -= c.rtoUs) cwnd >>= 1;
    c.cwnd = Math.max(cwnd, least);
    c.cwndCredit = 0;
    c.maxFlightBytes = 0;
  }

  /**
   * `c.sndMss` is smaller than before because the path takes no more: what was sent in larger
   * segments is lost, without a sign of congestion (RFC 1191 §6.4). Ask `nextRetransmit` then.
   */
  onMssReduced(c: RecoveryRow): void {
    const q = this.queue;
    const d = this.d.clear();
    let r = c.timeHead;
    while (r !== NO_RECORD) {
      const next = q.listNextOf(r);
      if (q.bytesOf(r) > c.sndMss) markLost(q, c, d, r);
      r = next;
    }
    if (d.lostBytes === 0 || c.recoveryState === RecoveryState.LOSS) return;
    c.priorSsthresh = 0;
    c.recoveryFlags = c.recoveryFlags & ~(RecoveryFlags.UNDO | RecoveryFlags.FRTO);
    c.recoverySeq = c.sndNxt;
    c.recoveryState = RecoveryState.LOSS;
  }

  /** The pacing rate that the window implies, as Linux reports it: 2·cwnd/SRTT, 1.2 after slow start. */
  pacingBytesPerSec(c: RecoveryRow): number {
    if (c.srtt16 === 0) return 0;
    const gain = c.cwnd < c.ssthresh / 2 ? 2 : 1.2;
    return Math.round((gain * c.cwnd * 1e6) / Math.max(1, c.srttUs));
  }

  private resetWindow(c: RecoveryRow, nowUs: number): void {
    c.recoveryState = RecoveryState.OPEN;
    c.cwnd = this.settings.initialWindowSegments * c.sndMss;
    c.ssthresh = INFINITE_SSTHRESH;
    c.priorCwnd = c.priorSsthresh = 0;
    c.maxFlightBytes = 0;
    c.cwndUsageSeq = c.recoverySeq = c.sndNxt;
    c.dupAcks = c.renoSackedBytes = 0;
    c.undoRetransBytes = -1;
    c.lastSendUs = nowUs;
    resetRack(c);
    resetCongestion(c);
  }

  /** Hot path. An ACK of new data when all is well. */
  private plainAck(c: RecoveryRow, d: Delivery, ack: AckInfo, nowUs: number): number {
    const q = this.queue;
    applyAck(q, c, d, ack, nowUs);
    const rttUs = this.takeRtt(c, d, ack, nowUs);
    this.countDelivery(c, d);
    if (this.isCwndLimited(c)) grow(c, ack.ack, d.deliveredBytes, rttUs, nowUs);
    restartTimer(q, c, nowUs);
    const result = AckResult.NEW_DATA | AckResult.PROGRESS;
    const isLifted = c.blackHoleMss !== 0 && liftBlackHoleLimit(c, nowUs);
    return isLifted ? result | AckResult.MSS_LIFTED : result;
  }

  private troubledAck(c: RecoveryRow, d: Delivery, ack: AckInfo, nowUs: number): number {
    const q = this.queue;
    const hadOutstanding = c.headRecord !== NO_RECORD;
    c.recoveryFlags = c.recoveryFlags & ~RecoveryFlags.FRTO_NEW;
    applyAck(q, c, d, ack, nowUs);
    const hasSack = (c.recoveryFlags & RecoveryFlags.SACK) !== 0;
    if (hasSack && ack.sackCount > 0) applySack(q, c, d, ack, nowUs);
    const rttUs = this.takeRtt(c, d, ack, nowUs);
    adaptReoWnd(c, d.dsackBytes > 0 && !d.dsackOfProbe, ack.ack);
    const isRepaired = probeOnAck(q, c, d, ack);
    const isNews = d.ackedBytes > 0 || ack.hasData || ack.windowChanged || d.sackedBytes > 0;
    const isDuplicate = !isNews && hadOutstanding;
    this.fast.onAck(c, d, ack, isDuplicate, nowUs);
    this.countDelivery(c, d);
    if (ack.ece) c.ecnCeSegments = c.ecnCeSegments + 1;
    this.control(c, d, ack, rttUs, nowUs);
    this.armAfter(c, d, nowUs);
    return this.resultOf(c, d, isDuplicate, isRepaired);
  }

  private resultOf(c: RecoveryRow, d: Delivery, isDuplicate: boolean, isRepaired: boolean): number {
    let result = d.ackedBytes > 0 ? AckResult.NEW_DATA | AckResult.PROGRESS : 0;
    if (c.lostHead !== NO_RECORD) result |= AckResult.NEEDS_RETRANSMIT;
    if (this.fast.didEnterRecovery) result |= AckResult.ENTERED_RECOVERY;
    if (this.fast.didUndo) result |= AckResult.UNDONE;
    if (isDuplicate || (d.ackedBytes === 0 && d.sackedBytes > 0)) result |= AckResult.DUPLICATE;
    const isReduced = this.fast.didReduce || isRepaired;
    if (isReduced && (c.recoveryFlags & RecoveryFlags.ECN) !== 0) result |= AckResult.SEND_CWR;
    return result;
  }

  /** Congestion control for an ACK: PRR while the window is reduced, growth otherwise. */
  private control(c: RecoveryRow, d: Delivery, ack: AckInfo, rttUs: number, nowUs: number): void {
    const state = c.recoveryState;
    if (state === RecoveryState.CWR || state === RecoveryState.RECOVERY) {
      const isSafe = d.ackedBytes > 0 && d.lostBytes === 0;
      prrOnAck(c, d, this.queue.pipeBytes(c), isSafe);
      return;
    }
    if (d.deliveredBytes === 0) return;
    // Growth in DISORDER would ride on reordering; it counts when SND.UNA moves, as in Linux.
    const mayGrow = d.ackedBytes > 0 || (c.recoveryFlags & RecoveryFlags.REORDERED) !== 0;
    if (mayGrow && this.isCwndLimited(c)) grow(c, ack.ack, d.deliveredBytes, rttUs, nowUs);
  }

  /** RTT samples of an ACK (RFC 6298 §3, RFC 7323 §4.1); returns one for congestion control. */
  private takeRtt(c: RecoveryRow, d: Delivery, ack: AckInfo, nowUs: number): number {
    let lateUs = NO_SAMPLE;
    let rttUs = NO_SAMPLE;
    if (d.firstXmitUs !== Delivery.NONE && !d.retransmissionAcked) {
      rttUs = nowUs - d.firstXmitUs;
      lateUs = nowUs - d.lastXmitUs;
    } else if (d.firstSackXmitUs !== Delivery.NONE) {
      rttUs = lateUs = nowUs - d.firstSackXmitUs;
    } else if (ack.hasTs && d.ackedBytes > 0) {
      const elapsedMs = (msOf(nowUs) - ack.tsEcrMs) | 0;
      if (elapsedMs >= 0) rttUs = Math.max(1000, elapsedMs * 1000);
    }
    if (rttUs < 0) return NO_SAMPLE;
    if (lateUs >= 0) noteMinRtt(c, lateUs, nowUs);
    sampleRtt(c, rttUs, this.queue.outstandingBytes(c) + d.ackedBytes);
    return lateUs;
  }

  private countDelivery(c: RecoveryRow, d: Delivery): void {
    if (d.ackedBytes > 0) c.bytesAcked = c.bytesAcked + d.ackedBytes;
    if (d.deliveredBytes === 0) return;
    const n = d.deliveredBytes <= c.sndMss ? 1 : Math.ceil(d.deliveredBytes / c.sndMss);
    c.deliveredSegments = (c.deliveredSegments + n) | 0;
  }

  private countRetransmission(c: RecoveryRow, bytes: number, nowUs: number): void {
    c.bytesRetrans = c.bytesRetrans + bytes;
    c.totalRetrans = c.totalRetrans + Math.ceil(bytes / c.sndMss);
    c.undoRetransBytes = Math.max(0, c.undoRetransBytes) + bytes;
    if (c.recoveryState >= RecoveryState.CWR) c.prrOutBytes = c.prrOutBytes + bytes;
    if ((c.recoveryFlags & RecoveryFlags.RETRANS_STAMP) !== 0) return;
    c.retransStampMs = msOf(nowUs);
    c.recoveryFlags = c.recoveryFlags | RecoveryFlags.RETRANS_STAMP;
  }

  private timeout(c: RecoveryRow, d: Delivery, nowUs: number): number {
    if ((c.recoveryFlags & RecoveryFlags.ESTABLISHED) === 0) {
      c.recoveryFlags = c.recoveryFlags | RecoveryFlags.SYN_LOST;
      this.queue.markLost(c, c.headRecord);
      c.backoff = c.backoff + 1;
    } else {
      enterLoss(this.queue, c, d, nowUs);
      if (this.settings.detectsBlackHoles) blackHoleOnTimeout(this.queue, c, nowUs);
    }
    restartRto(c, nowUs);
    return TimerResult.RTO;
  }

  private armReorder(c: RecoveryRow, nowUs: number): void {
    const waitUs = this.fast.reorderWaitUs;
    if (waitUs > 0) setReorderTimer(c, nowUs, waitUs);
    else resumeRto(this.queue, c, nowUs);
  }

  private armAfter(c: RecoveryRow, d: Delivery, nowUs: number): void {
    if (c.headRecord === NO_RECORD) clearTimer(c);
    else if (this.fast.reorderWaitUs > 0) setReorderTimer(c, nowUs, this.fast.reorderWaitUs);
    else if (d.ackedBytes > 0 || this.isSackOfEarlier(c, d)) restartTimer(this.queue, c, nowUs);
    else if (c.timerKind === TimerKind.REORDER) resumeRto(this.queue, c, nowUs);
    else if (c.timerKind === TimerKind.PROBE && !mayProbe(c)) resumeRto(this.queue, c, nowUs);
  }

  /** SACKs of what was sent before the head was last sent (again): the head's own may still come. */
  private isSackOfEarlier(c: RecoveryRow, d: Delivery): boolean {
    if (d.firstSackXmitUs === Delivery.NONE) return false;
    return d.firstSackXmitUs < this.queue.xmitUsOf(c.headRecord);
  }

  /** Hot path. Was cwnd what limited the flight lately? Else it does not grow (RFC 7661 §4.3). */
  private isCwndLimited(c: RecoveryRow): boolean {
    if ((c.recoveryFlags & RecoveryFlags.CWND_LIMITED) !== 0) return true;
    return c.cwnd < c.ssthresh && c.cwnd < 2 * c.maxFlightBytes;
  }

  /**
   * Hot path. Notes how much of cwnd is used, in windows that end when their last byte is
   * acknowledged: a cwnd that is not filled does not grow (RFC 7661 §4.3, Linux's tcp_cwnd_validate).
   */
  private noteUsage(c: RecoveryRow, end: Seq): void {
    const flight = this.queue.pipeBytes(c);
    const isFull = flight + c.sndMss > c.cwnd;
    const wasFull = (c.recoveryFlags & RecoveryFlags.CWND_LIMITED) !== 0;
    const isNewWindow = notAfter(c.cwndUsageSeq, c.sndUna);
    if (!isFull && !isNewWindow && (wasFull || flight <= c.maxFlightBytes)) return;
    if (isFull) c.recoveryFlags = c.recoveryFlags | RecoveryFlags.CWND_LIMITED;
    else c.recoveryFlags = c.recoveryFlags & ~RecoveryFlags.CWND_LIMITED;
    c.maxFlightBytes = flight;
    c.cwndUsageSeq = end;
  }
}
