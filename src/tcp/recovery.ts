/**
 * Loss recovery and congestion control of TCP connections: the face that the TCP engine sees.
 */
import type { AckInfo } from "./ack-info.js";
import type { RecoveryRow } from "./recovery-row.js";
import { type Seq, seqOf } from "./seq.js";

/** What {@link Recovery.established} is told of the handshake, as bits. */
export const PeerOption = { SACK: 1, TIMESTAMPS: 2, ECN: 4 } as const;

/** What {@link Recovery.onAck} found, as bits. */
export const AckResult = {
  /** SND.UNA advances. */
  NEW_DATA: 1,
  /** There may be ranges to retransmit: ask `nextRetransmit`. */
  NEEDS_RETRANSMIT: 2,
  ENTERED_RECOVERY: 4,
  /** A reduction of the window proved spurious and was taken back. */
  UNDONE: 8,
  /** The window was reduced in answer to ECE: the next data segment carries CWR. */
  SEND_CWR: 16,
  /** The ACK is a duplicate, or only brought SACK news. */
  DUPLICATE: 32,
  /** Forward progress that proves the path works (RFC 4861 §7.3.1). */
  PROGRESS: 64,
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

/** Congestion control algorithm of a connection (TCP_CONGESTION). */
export const Algorithm = { CUBIC: 0, RENO: 1 } as const;

export interface RecoverySettings {
  /** Algorithm of new connections. */
  readonly algorithm: number;
  /** Initial window in segments, RFC 6928. */
  readonly initialWindowSegments: number;
  readonly minRtoUs: number;
  readonly maxRtoUs: number;
  /** Reduce the MSS after repeated timeouts of full-size segments (RFC 4821 §7.7). */
  readonly detectsBlackHoles: boolean;
}

export class Recovery {
  /** Result of `nextRetransmit` and `probeRange`: the range to send again. */
  retransmitSeq: Seq = seqOf(0);
  retransmitEnd: Seq = seqOf(0);

  constructor(_capacityRows: number, _settings: Partial<RecoverySettings> = {}) {}

  /** Resets the row's part before the SYN is sent; the RTO is the initial one (RFC 6298 §2.1). */
  init(_c: RecoveryRow, _nowUs: number): void {}

  /**
   * The handshake is done and `c.sndMss` is known: initial window, peer's options (`PeerOption`).
   * The SYN's ACK must have gone through `onAck` before (it takes the RTT sample and frees the SYN).
   */
  established(_c: RecoveryRow, _options: number, _nowUs: number): void {}

  /** Frees the row's records. */
  release(_c: RecoveryRow): void {}

  /** Chooses `Algorithm`; at any time. */
  setAlgorithm(_c: RecoveryRow, _algorithm: number): void {}

  /** Hot path. The range was sent for the first time; it begins where the last one ended. SYN and FIN take one. */
  sent(_c: RecoveryRow, _seq: Seq, _end: Seq, _nowUs: number): void {}

  /** Hot path. The range, as `nextRetransmit` or `probeRange` gave it or a prefix of it, was sent again. */
  retransmitted(_c: RecoveryRow, _seq: Seq, _end: Seq, _nowUs: number): void {}

  /** Hot path. Every acceptable ACK, before `c.sndUna` and `c.sndWnd` move. Returns `AckResult` bits. */
  onAck(_c: RecoveryRow, _ack: AckInfo, _nowUs: number): number {
    return 0;
  }

  /** Hot path. Bytes that may go out now, retransmissions included; may be less than a segment. */
  budgetBytes(_c: RecoveryRow): number {
    return 0;
  }

  /** Hot path. The next range to send again, at most `maxBytes`; false when there is none. */
  nextRetransmit(_c: RecoveryRow, _maxBytes: number): boolean {
    return false;
  }

  /** After SEND_PROBE when there is no new data (or no window): the last segment sent. */
  probeRange(_c: RecoveryRow): boolean {
    return false;
  }

  /** Hot path. When to call `onTimer`; NEVER when nothing is in flight. */
  deadlineUs(_c: RecoveryRow): number {
    return 0;
  }

  /** A timer fired. Returns `TimerResult`. */
  onTimer(_c: RecoveryRow, _nowUs: number): number {
    return TimerResult.NOTHING;
  }

  /**
   * The output pass has sent what it could. `isApplicationLimited`: there was nothing more to send
   * though the window had room; then cwnd does not grow until it is filled again (RFC 7661).
   */
  outputDone(_c: RecoveryRow, _isApplicationLimited: boolean, _nowUs: number): void {}

  /** Before new data are sent after a pause: the restart window of RFC 5681 §4.1. */
  idleRestart(_c: RecoveryRow, _nowUs: number): void {}

  /** `c.sndMss` changed, from `oldMss`: path MTU, or black hole. Ranges too long for the path are lost. */
  onMssChange(_c: RecoveryRow, _oldMss: number, _nowUs: number): void {}
}
