/**
 * A whole connection: the engine's part of a row. See tcb-row.ts for how rows work and what lies
 * where.
 *
 * Invariants (checked by `check` in tests):
 *  - the send queue holds the bytes from `sndUna`, `sndQueuedBytes` of them; a SYN or FIN is not in
 *    it but has its sequence number;
 *  - the receive queue ends at `rcvNxt` (less FIN); every out-of-order slot starts after `rcvNxt`;
 *  - `rcvAdv` never moves left.
 *
 * A listener has no queues of bytes; its row uses their fields for its lists (`acceptHead` …).
 */
import { RecoveryRow } from "./recovery-row.js";
import type { Seq } from "./seq.js";

/** Bits of `flags`: what has happened to the connection. */
export const TcbFlags = {
  /** The user has ended sending; FIN follows the queued bytes. */
  FIN_QUEUED: 1 << 0,
  /** FIN is below `sndNxt`. */
  FIN_SENT: 1 << 1,
  /** The peer's FIN is below `rcvNxt`. */
  FIN_RECEIVED: 1 << 2,
  /** The user has ended receiving. */
  RCV_SHUTDOWN: 1 << 3,
  /** No socket any more: the row lives until the protocol is done. */
  ORPHAN: 1 << 4,
  /** The 4-tuple is bound at the host. */
  BOUND: 1 << 5,
  /** The row came from a listener and waits there for `accept`. */
  UNACCEPTED: 1 << 6,
  /** Recovery holds state for it. */
  RECOVERING: 1 << 8,
  /** Urgent data announced by the peer (`rcvUp`), not yet passed by the reader. */
  URGENT: 1 << 9,
  /** The urgent byte has arrived and was not read. */
  OOB_READY: 1 << 10,
  /** The urgent byte was read. */
  OOB_READ: 1 << 11,
  /** We announce urgent data (`sndUp`). */
  SND_URGENT: 1 << 12,
  /** Every ACK carries ECE until the peer answers CWR. */
  ECE: 1 << 13,
  /** The next new segment carries CWR. */
  CWR: 1 << 14,
  /** A CE mark was seen (TCP_INFO). */
  ECN_SEEN: 1 << 15,
  /** The SYN-ACK or SYN was sent more than once: no round-trip sample without timestamps. */
  SYN_RETRANSMITTED: 1 << 16,
  /** A duplicate range waits to be reported (`dsackStart`). */
  DSACK: 1 << 17,
  /** Send buffer was found full: readiness must be reported when it drains. */
  SND_FULL: 1 << 18,
  /** TCP_DEFER_ACCEPT: the handshake's ACK came, data have not. */
  DEFERRED: 1 << 19,
  /** The last `send` said MSG_MORE: a partial segment is held back. */
  MORE: 1 << 21,
  /** The user set SO_SNDBUF: no autotuning. */
  SNDBUF_LOCKED: 1 << 22,
  RCVBUF_LOCKED: 1 << 23,
  /** The connection ended while the user still holds the socket. */
  DEAD: 1 << 24,
  /** In the engine's number of orphans. */
  COUNTED_ORPHAN: 1 << 25,
  /** In the engine's number of rows in TIME-WAIT. */
  COUNTED_TIME_WAIT: 1 << 26,
  /** A corked segment has waited long enough. */
  CORK_EXPIRED: 1 << 27,
  /** In the accept queue of its listener (else, with UNACCEPTED, in the SYN queue). */
  ACCEPTABLE: 1 << 28,
} as const;

/** Bits of `options`: the user's choices, and what both sides agreed on. */
export const TcbOptions = {
  NODELAY: 1 << 0,
  CORK: 1 << 1,
  KEEPALIVE: 1 << 2,
  OOBINLINE: 1 << 3,
  /** TCP_QUICKACK 0 was set: pingpong stays. */
  DELAY_ACKS: 1 << 4,
  /** Agreed: RFC 7323 timestamps. */
  TIMESTAMPS: 1 << 8,
  /** Agreed: RFC 2018. */
  SACK: 1 << 9,
  /** Agreed: RFC 7323 window scaling. */
  SCALING: 1 << 10,
  /** Agreed: RFC 3168. */
  ECN: 1 << 11,
  /** Settings for the handshake, bits 16 to 17: the value of tcp_ecn. */
  ECN_MODE_SHIFT: 16,
} as const;

/** Bits of `pending`: what the output pass owes the row. */
export const Pending = {
  /** The row is in the engine's list of rows to visit. */
  LISTED: 1 << 0,
  /** Try to send data. */
  OUTPUT: 1 << 1,
  /** An ACK must go out now. */
  ACK_NOW: 1 << 2,
  /** An ACK is owed, by `delackAtUs` at the latest. */
  ACK_DELAYED: 1 << 3,
  /** Recovery has ranges to send again. */
  RETRANSMIT: 1 << 4,
  /** Deadlines changed. */
  TIMER: 1 << 5,
  /** The row is in that list twice: the second place is its turn. */
  LISTED_AGAIN: 1 << 6,
} as const;

const LOCAL0 = 0;
const PORTS = 8;
const OPTIONS = 11;
const RETRIES = 15;
const SCALES = 23;
const RCV_ACKED = 24;
const RCV_QUEUED_BYTES = 25;
const RCV_BUF_BYTES = 26;
const RCV_HEAD = 27;
const RCV_TAIL = 28;
const RCV_MSS = 29;
const ACK_STATE = 30;
const OOO_HEAD = 31;
const DELACK_US = 32;
const LAST_DATA_RCV_MS = 33;
const OWN_MSS = 34;
const WINDOW_CLAMP_BYTES = 35;
const ERROR = 36;
const RCV_LOWAT_BYTES = 37;
const NOTSENT_LOWAT_BYTES = 38;
const SND_BUF_BYTES = 39;
const RCV_RTT_SEQ = 41;
const RCV_RTT_MS = 42;
const RCV_COPIED = 43;
const RCV_SPACE_BYTES = 44;
const RCV_RTT_US = 45;
const TS_OFFSET = 46;
const PSEUDO_SUM = 47;
const ARMED_AT_US = 24; // double
const DELACK_AT_US = 25; // double
const PERSIST_AT_US = 26; // double
const STATE_AT_US = 27; // double
const LAST_RCV_US = 28; // double
const BYTES_RECEIVED = 29; // double
const SEGS_IN = 60;
const SEGS_OUT = 61;
const DATA_SEGS_IN = 62;
const TS_RECENT_SECONDS = 63;
const SND_HEAD = 80;
const SND_TAIL = 81;
const SND_CURSOR = 82;
const SND_MAX_WND = 83;
const SND_SML = 84;
const BYTES_SENT = 49; // double
const DATA_SEGS_OUT = 111;
const LAST_SENT_MS = 112;
const SOFT_ERROR = 125;
const USER_TIMEOUT_MS = 126;
const RTX_CURSOR = 127;
const SACK0 = 128;
const DSACK_START = 136;
const DSACK_END = 137;
const OOO_TAIL = 138;
const OOO_SLOTS = 139;
const SND_UP = 140;
const RCV_UP = 141;
const OOB_BYTE = 142;
const OUT_OF_ORDER = 143;
const LIST_NEXT = 145;
const LIST_PREV = 146;
const ISS = 147;
const IRS = 148;
const PEER_MSS = 149;
const KEEP_TIMES = 150;
const KEEP_COUNTS = 151;
const LINGER_SECONDS = 152;
const LINGER2_SECONDS = 153;
const DEFER_SECONDS = 154;
const DSACKS_SENT = 155;
const LAST_ANSWER_MS = 156;

/** As `ROW_WORDS`; `_AT_US`, LAST_RCV_US, BYTES_RECEIVED and BYTES_SENT are of doubles. */
export const TCB_WORDS = {
  PORTS,
  OPTIONS,
  RETRIES,
  SCALES,
  RCV_ACKED,
  RCV_QUEUED_BYTES,
  RCV_BUF_BYTES,
  RCV_HEAD,
  RCV_TAIL,
  RCV_MSS,
  ACK_STATE,
  OOO_HEAD,
  DELACK_US,
  LAST_DATA_RCV_MS,
  WINDOW_CLAMP_BYTES,
  SND_BUF_BYTES,
  RCV_RTT_MS,
  RCV_RTT_US,
  TS_OFFSET,
  PSEUDO_SUM,
  ARMED_AT_US,
  DELACK_AT_US,
  LAST_RCV_US,
  BYTES_RECEIVED,
  SEGS_IN,
  SEGS_OUT,
  DATA_SEGS_IN,
  TS_RECENT_SECONDS,
  SND_HEAD,
  SND_TAIL,
  SND_CURSOR,
  SND_MAX_WND,
  SND_SML,
  BYTES_SENT,
  DATA_SEGS_OUT,
  LAST_SENT_MS,
  SOFT_ERROR,
  USER_TIMEOUT_MS,
  RTX_CURSOR,
} as const;

export class Tcb extends RecoveryRow {
  /** First slot of in-order data that the user has not read, or -1. */
  get rcvHead(): number {
    return this.i[this.at + RCV_HEAD]!;
  }
  set rcvHead(v: number) {
    this.i[this.at + RCV_HEAD] = v;
  }

  /** Last slot of the same, or -1. */
  get rcvTail(): number {
    return this.i[this.at + RCV_TAIL]!;
  }
  set rcvTail(v: number) {
    this.i[this.at + RCV_TAIL] = v;
  }

  /** Bytes in order and unread. */
  get rcvQueuedBytes(): number {
    return this.i[this.at + RCV_QUEUED_BYTES]!;
  }
  set rcvQueuedBytes(v: number) {
    this.i[this.at + RCV_QUEUED_BYTES] = v;
  }

  /** Receive buffer: the most that `rcvQueuedBytes` and the window come to together. */
  get rcvBufBytes(): number {
    return this.i[this.at + RCV_BUF_BYTES]!;
  }
  set rcvBufBytes(v: number) {
    this.i[this.at + RCV_BUF_BYTES] = v;
  }

  /** `rcvNxt` when an ACK was last sent. */
  get rcvAcked(): Seq {
    return this.i[this.at + RCV_ACKED]! as Seq;
  }
  set rcvAcked(v: Seq) {
    this.i[this.at + RCV_ACKED] = v;
  }

  /** Estimate of the peer's full segment, for the ACK decision. */
  get rcvMss(): number {
    return this.i[this.at + RCV_MSS]!;
  }
  set rcvMss(v: number) {
    this.i[this.at + RCV_MSS] = v;
  }

  /** Bits 0 to 7: ACKs still to be sent at once; bit 8: the connection is interactive (pingpong). */
  get ackState(): number {
    return this.i[this.at + ACK_STATE]!;
  }
  set ackState(v: number) {
    this.i[this.at + ACK_STATE] = v;
  }

  /** Delay of the next ACK, adapted to the peer's rhythm. */
  get delackUs(): number {
    return this.i[this.at + DELACK_US]!;
  }
  set delackUs(v: number) {
    this.i[this.at + DELACK_US] = v;
  }

  /** Window scale shifts: of the peer's window in bits 0 to 7, of ours in 8 to 15. */
  get scales(): number {
    return this.i[this.at + SCALES]!;
  }
  set scales(v: number) {
    this.i[this.at + SCALES] = v;
  }

  /** `TcbOptions`: what the user set, and what both sides agreed on. */
  get options(): number {
    return this.i[this.at + OPTIONS]!;
  }
  set options(v: number) {
    this.i[this.at + OPTIONS] = v;
  }

  /** First slot of the send queue, or -1. */
  get sndHead(): number {
    return this.i[this.at + SND_HEAD]!;
  }
  set sndHead(v: number) {
    this.i[this.at + SND_HEAD] = v;
  }

  /** Last slot of the send queue, or -1. */
  get sndTail(): number {
    return this.i[this.at + SND_TAIL]!;
  }
  set sndTail(v: number) {
    this.i[this.at + SND_TAIL] = v;
  }

  /** Slot that holds the byte before `sndNxt` or the one at it; -1 to search from the head. */
  get sndCursor(): number {
    return this.i[this.at + SND_CURSOR]!;
  }
  set sndCursor(v: number) {
    this.i[this.at + SND_CURSOR] = v;
  }

  /** Slot where the last retransmission read, or -1. */
  get rtxCursor(): number {
    return this.i[this.at + RTX_CURSOR]!;
  }
  set rtxCursor(v: number) {
    this.i[this.at + RTX_CURSOR] = v;
  }

  /** Send buffer: the most that `sndQueuedBytes` comes to. */
  get sndBufBytes(): number {
    return this.i[this.at + SND_BUF_BYTES]!;
  }
  set sndBufBytes(v: number) {
    this.i[this.at + SND_BUF_BYTES] = v;
  }

  /** Largest window that the peer has offered. */
  get sndMaxWnd(): number {
    return this.i[this.at + SND_MAX_WND]!;
  }
  set sndMaxWnd(v: number) {
    this.i[this.at + SND_MAX_WND] = v;
  }

  /** End of the last small segment sent (Minshall's variant of Nagle). */
  get sndSml(): Seq {
    return this.i[this.at + SND_SML]! as Seq;
  }
  set sndSml(v: Seq) {
    this.i[this.at + SND_SML] = v;
  }

  /** Added to the clock for our timestamps, so that they tell nothing about other connections. */
  get tsOffset(): number {
    return this.i[this.at + TS_OFFSET]!;
  }
  set tsOffset(v: number) {
    this.i[this.at + TS_OFFSET] = v;
  }

  /** Local port in the high half, the peer's in the low. */
  get ports(): number {
    return this.i[this.at + PORTS]!;
  }
  set ports(v: number) {
    this.i[this.at + PORTS] = v;
  }

  /** Partial sum of the pseudo-header without the length. */
  get pseudoSum(): number {
    return this.i[this.at + PSEUDO_SUM]!;
  }
  set pseudoSum(v: number) {
    this.i[this.at + PSEUDO_SUM] = v;
  }

  /** First slot of out-of-order data, sorted by sequence number, or -1. */
  get oooHead(): number {
    return this.i[this.at + OOO_HEAD]!;
  }
  set oooHead(v: number) {
    this.i[this.at + OOO_HEAD] = v;
  }

  /** Last slot of the same, or -1. */
  get oooTail(): number {
    return this.i[this.at + OOO_TAIL]!;
  }
  set oooTail(v: number) {
    this.i[this.at + OOO_TAIL] = v;
  }

  /** Slots in that list. */
  get oooSlots(): number {
    return this.i[this.at + OOO_SLOTS]!;
  }
  set oooSlots(v: number) {
    this.i[this.at + OOO_SLOTS] = v;
  }

  /** Initial send sequence number. */
  get iss(): Seq {
    return this.i[this.at + ISS]! as Seq;
  }
  set iss(v: Seq) {
    this.i[this.at + ISS] = v;
  }

  /** Initial receive sequence number. */
  get irs(): Seq {
    return this.i[this.at + IRS]! as Seq;
  }
  set irs(v: Seq) {
    this.i[this.at + IRS] = v;
  }

  /** Sequence number after the last urgent byte that we sent. */
  get sndUp(): Seq {
    return this.i[this.at + SND_UP]! as Seq;
  }
  set sndUp(v: Seq) {
    this.i[this.at + SND_UP] = v;
  }

  /** Sequence number of the urgent byte that the peer announced. */
  get rcvUp(): Seq {
    return this.i[this.at + RCV_UP]! as Seq;
  }
  set rcvUp(v: Seq) {
    this.i[this.at + RCV_UP] = v;
  }

  /** The urgent byte when it was taken out of the stream: 0 to 255, or -1. */
  get oobByte(): number {
    return this.i[this.at + OOB_BYTE]!;
  }
  set oobByte(v: number) {
    this.i[this.at + OOB_BYTE] = v;
  }

  /** Pending error for the user (positive errno), or 0. */
  get error(): number {
    return this.i[this.at + ERROR]!;
  }
  set error(v: number) {
    this.i[this.at + ERROR] = v;
  }

  /** Last ICMP error that does not end the connection, or 0. */
  get softError(): number {
    return this.i[this.at + SOFT_ERROR]!;
  }
  set softError(v: number) {
    this.i[this.at + SOFT_ERROR] = v;
  }

  /** Bits 0 to 7: SYNs sent again or timeouts in a row; 8 to 15: window probes; 16 to 23: keepalive probes. */
  get retries(): number {
    return this.i[this.at + RETRIES]!;
  }
  set retries(v: number) {
    this.i[this.at + RETRIES] = v;
  }

  /** MSS that we announced in the low half, TCP_MAXSEG or 0 in the high. */
  get ownMss(): number {
    return this.i[this.at + OWN_MSS]!;
  }
  set ownMss(v: number) {
    this.i[this.at + OWN_MSS] = v;
  }

  /** MSS that the peer announced, or the default. */
  get peerMss(): number {
    return this.i[this.at + PEER_MSS]!;
  }
  set peerMss(v: number) {
    this.i[this.at + PEER_MSS] = v;
  }

  /** TCP_KEEPIDLE in the low half, TCP_KEEPINTVL in the high, in seconds. */
  get keepTimes(): number {
    return this.i[this.at + KEEP_TIMES]!;
  }
  set keepTimes(v: number) {
    this.i[this.at + KEEP_TIMES] = v;
  }

  /** Bits 0 to 7: TCP_KEEPCNT; 8 to 15: TCP_SYNCNT. */
  get keepCounts(): number {
    return this.i[this.at + KEEP_COUNTS]!;
  }
  set keepCounts(v: number) {
    this.i[this.at + KEEP_COUNTS] = v;
  }

  get userTimeoutMs(): number {
    return this.i[this.at + USER_TIMEOUT_MS]!;
  }
  set userTimeoutMs(v: number) {
    this.i[this.at + USER_TIMEOUT_MS] = v;
  }

  /** SO_LINGER, or -1. */
  get lingerSeconds(): number {
    return this.i[this.at + LINGER_SECONDS]!;
  }
  set lingerSeconds(v: number) {
    this.i[this.at + LINGER_SECONDS] = v;
  }

  get linger2Seconds(): number {
    return this.i[this.at + LINGER2_SECONDS]!;
  }
  set linger2Seconds(v: number) {
    this.i[this.at + LINGER2_SECONDS] = v;
  }

  get notsentLowatBytes(): number {
    return this.i[this.at + NOTSENT_LOWAT_BYTES]!;
  }
  set notsentLowatBytes(v: number) {
    this.i[this.at + NOTSENT_LOWAT_BYTES] = v;
  }

  get rcvLowatBytes(): number {
    return this.i[this.at + RCV_LOWAT_BYTES]!;
  }
  set rcvLowatBytes(v: number) {
    this.i[this.at + RCV_LOWAT_BYTES] = v;
  }

  get deferSeconds(): number {
    return this.i[this.at + DEFER_SECONDS]!;
  }
  set deferSeconds(v: number) {
    this.i[this.at + DEFER_SECONDS] = v;
  }

  get windowClampBytes(): number {
    return this.i[this.at + WINDOW_CLAMP_BYTES]!;
  }
  set windowClampBytes(v: number) {
    this.i[this.at + WINDOW_CLAMP_BYTES] = v;
  }

  /** Next row of the list that this row is in (free rows, SYN queue, accept queue), or -1. */
  get listNext(): number {
    return this.i[this.at + LIST_NEXT]!;
  }
  set listNext(v: number) {
    this.i[this.at + LIST_NEXT] = v;
  }

  /** Previous row of the same, or -1. */
  get listPrev(): number {
    return this.i[this.at + LIST_PREV]!;
  }
  set listPrev(v: number) {
    this.i[this.at + LIST_PREV] = v;
  }

  /** Duplicate range to report with the next ACK (RFC 2883). */
  get dsackStart(): Seq {
    return this.i[this.at + DSACK_START]! as Seq;
  }
  set dsackStart(v: Seq) {
    this.i[this.at + DSACK_START] = v;
  }

  get dsackEnd(): Seq {
    return this.i[this.at + DSACK_END]! as Seq;
  }
  set dsackEnd(v: Seq) {
    this.i[this.at + DSACK_END] = v;
  }

  /** Receiver's round-trip measurement ends when `rcvNxt` passes this. */
  get rcvRttSeq(): Seq {
    return this.i[this.at + RCV_RTT_SEQ]! as Seq;
  }
  set rcvRttSeq(v: Seq) {
    this.i[this.at + RCV_RTT_SEQ] = v;
  }

  /** Round-trip time as the receiver sees it, or 0. */
  get rcvRttUs(): number {
    return this.i[this.at + RCV_RTT_US]!;
  }
  set rcvRttUs(v: number) {
    this.i[this.at + RCV_RTT_US] = v;
  }

  /** Bytes that the user read in the round trip before. */
  get rcvSpaceBytes(): number {
    return this.i[this.at + RCV_SPACE_BYTES]!;
  }
  set rcvSpaceBytes(v: number) {
    this.i[this.at + RCV_SPACE_BYTES] = v;
  }

  /** `rcvNxt` less unread bytes when the current round trip began. */
  get rcvCopied(): Seq {
    return this.i[this.at + RCV_COPIED]! as Seq;
  }
  set rcvCopied(v: Seq) {
    this.i[this.at + RCV_COPIED] = v;
  }

  /** Low 31 bits of the time when the current receiver's round trip began. */
  get rcvRttMs(): number {
    return this.i[this.at + RCV_RTT_MS]!;
  }
  set rcvRttMs(v: number) {
    this.i[this.at + RCV_RTT_MS] = v;
  }

  /** When `tsRecent` was set, in seconds (PAWS is void after 24 days). */
  get tsRecentSeconds(): number {
    return this.i[this.at + TS_RECENT_SECONDS]!;
  }
  set tsRecentSeconds(v: number) {
    this.i[this.at + TS_RECENT_SECONDS] = v;
  }

  /** Low 31 bits of the time when data last came, in milliseconds. */
  get lastDataRcvMs(): number {
    return this.i[this.at + LAST_DATA_RCV_MS]!;
  }
  set lastDataRcvMs(v: number) {
    this.i[this.at + LAST_DATA_RCV_MS] = v;
  }

  /** Low 31 bits of the time when data were last sent, in milliseconds. */
  get lastSentMs(): number {
    return this.i[this.at + LAST_SENT_MS]!;
  }
  set lastSentMs(v: number) {
    this.i[this.at + LAST_SENT_MS] = v;
  }

  /** When the host's timer for the row fires; NEVER when it does not. */
  get armedAtUs(): number {
    return this.f[this.fat + ARMED_AT_US]!;
  }
  set armedAtUs(v: number) {
    this.f[this.fat + ARMED_AT_US] = v;
  }

  /** When a delayed ACK must go out. */
  get delackAtUs(): number {
    return this.f[this.fat + DELACK_AT_US]!;
  }
  set delackAtUs(v: number) {
    this.f[this.fat + DELACK_AT_US] = v;
  }

  /** When the next window probe or a held back partial segment goes out. */
  get persistAtUs(): number {
    return this.f[this.fat + PERSIST_AT_US]!;
  }
  set persistAtUs(v: number) {
    this.f[this.fat + PERSIST_AT_US] = v;
  }

  /** When the state times out: SYN retransmission, FIN-WAIT-2, TIME-WAIT, keepalive. */
  get stateAtUs(): number {
    return this.f[this.fat + STATE_AT_US]!;
  }
  set stateAtUs(v: number) {
    this.f[this.fat + STATE_AT_US] = v;
  }

  /** When the peer was last heard. */
  get lastRcvUs(): number {
    return this.f[this.fat + LAST_RCV_US]!;
  }
  set lastRcvUs(v: number) {
    this.f[this.fat + LAST_RCV_US] = v;
  }

  // Figures for TCP_INFO that no decision depends on. Segments wrap at 32 bits, as Linux's do.

  /** Payload bytes that came, in order or not, without those that were dropped. */
  get bytesReceived(): number {
    return this.f[this.fat + BYTES_RECEIVED]!;
  }
  set bytesReceived(v: number) {
    this.f[this.fat + BYTES_RECEIVED] = v;
  }

  /** Payload bytes that were sent for the first time. */
  get bytesSent(): number {
    return this.f[this.fat + BYTES_SENT]!;
  }
  set bytesSent(v: number) {
    this.f[this.fat + BYTES_SENT] = v;
  }

  /** Segments that came. */
  get segsIn(): number {
    return this.i[this.at + SEGS_IN]!;
  }
  set segsIn(v: number) {
    this.i[this.at + SEGS_IN] = v;
  }

  /** Segments that were sent. */
  get segsOut(): number {
    return this.i[this.at + SEGS_OUT]!;
  }
  set segsOut(v: number) {
    this.i[this.at + SEGS_OUT] = v;
  }

  /** Of those that came, the ones with data. */
  get dataSegsIn(): number {
    return this.i[this.at + DATA_SEGS_IN]!;
  }
  set dataSegsIn(v: number) {
    this.i[this.at + DATA_SEGS_IN] = v;
  }

  /** Of those that were sent, the ones with new data. */
  get dataSegsOut(): number {
    return this.i[this.at + DATA_SEGS_OUT]!;
  }
  set dataSegsOut(v: number) {
    this.i[this.at + DATA_SEGS_OUT] = v;
  }

  /** Segments that came out of order. */
  get outOfOrderSegs(): number {
    return this.i[this.at + OUT_OF_ORDER]!;
  }
  set outOfOrderSegs(v: number) {
    this.i[this.at + OUT_OF_ORDER] = v;
  }

  /** Duplicates that were reported. */
  get dsacksSent(): number {
    return this.i[this.at + DSACKS_SENT]!;
  }
  set dsacksSent(v: number) {
    this.i[this.at + DSACKS_SENT] = v;
  }

  get localPort(): number {
    return this.i[this.at + PORTS]! >>> 16;
  }
  get remotePort(): number {
    return this.i[this.at + PORTS]! & 0xffff;
  }
  setPorts(local: number, remote: number): void {
    this.i[this.at + PORTS] = (local << 16) | remote;
  }

  /** Hot path. Whether any bit of `mask` is set in `flags`. */
  has(mask: number): boolean {
    return (this.flags & mask) !== 0;
  }

  /** Low 31 bits of the time when an invalid segment was answered, in milliseconds. */
  get lastAnswerMs(): number {
    return this.i[this.at + LAST_ANSWER_MS]!;
  }
  set lastAnswerMs(v: number) {
    this.i[this.at + LAST_ANSWER_MS] = v;
  }

  // A listener's row: lists of rows linked by `listNext` and `listPrev`.

  /** First connection that waits for `accept`, or -1. */
  get acceptHead(): number {
    return this.i[this.at + SND_HEAD]!;
  }
  set acceptHead(v: number) {
    this.i[this.at + SND_HEAD] = v;
  }
  get acceptTail(): number {
    return this.i[this.at + SND_TAIL]!;
  }
  set acceptTail(v: number) {
    this.i[this.at + SND_TAIL] = v;
  }
  get acceptCount(): number {
    return this.i[this.at + SND_CURSOR]!;
  }
  set acceptCount(v: number) {
    this.i[this.at + SND_CURSOR] = v;
  }
  /** First handshake under way, or -1. */
  get synHead(): number {
    return this.i[this.at + OOO_HEAD]!;
  }
  set synHead(v: number) {
    this.i[this.at + OOO_HEAD] = v;
  }
  get synCount(): number {
    return this.i[this.at + OOO_SLOTS]!;
  }
  set synCount(v: number) {
    this.i[this.at + OOO_SLOTS] = v;
  }
  get backlog(): number {
    return this.i[this.at + RTX_CURSOR]!;
  }
  set backlog(v: number) {
    this.i[this.at + RTX_CURSOR] = v;
  }

  /** Index in `i` of the first of the eight words of SACK blocks. */
  get sackAt(): number {
    return this.at + SACK0;
  }
  /** Third word of our address: tells IPv4 (mapped) from IPv6. */
  get local2(): number {
    return this.i[this.at + LOCAL0 + 2]!;
  }
  /** Index in `i` of our address's first word; the peer's follows. */
  get addressAt(): number {
    return this.at + LOCAL0;
  }
}
