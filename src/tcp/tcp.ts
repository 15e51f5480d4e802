/**
 * The TCP engine's public face: connections are rows, named by number; calls are polled and return
 * a count or a negated errno; nothing throws for what the network or a user of a socket does.
 *
 * One turn of the host is: `segmentArrives` for what came, `timerExpired` for what is due, the users'
 * calls, then `flush`, which sends. Time is passed in and never goes back.
 *
 * Every call selects its row in `tcb`; that view is the caller's until its next call.
 */
import { assert, CHECKED } from "../base/assert.js";
import type { Counters } from "../base/counters.js";
import { EADDRINUSE, EAGAIN, EINVAL, EISCONN, ENOBUFS } from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import type { Random } from "../base/random.js";
import type { DropName } from "../wire/drop.js";
import { segmentArrives, unmatchedArrives } from "./arrives.js";
import { abortRow, closeRow, shutdownRow } from "./close.js";
import { connectRow } from "./connect.js";
import { TcpCore } from "./core.js";
import { takeExpected } from "./expected.js";
import { handOver, mayHandOver } from "./hand-over.js";
import { infoOf } from "./info.js";
import { inherit, listenRow, setBacklog } from "./listen.js";
import { takeAccepted } from "./listener-queues.js";
import { measure, Pressure, pruneOutOfOrder } from "./memory.js";
import { outputPass } from "./output.js";
import { followPathMtu, isInFlight, takeIcmpError } from "./path-mtu.js";
import { readinessOf } from "./ready.js";
import { runTimers } from "./row-timers.js";
import { createRow, releaseRow } from "./rows.js";
import type { SegmentInfo } from "./segment-info.js";
import type { Seq } from "./seq.js";
import { DEFAULT_TCP_SETTINGS, type TcpSettings } from "./settings.js";
import type { Slots } from "./slots.js";
import { getRowOption, setRowOption } from "./socket-options.js";
import { State } from "./state.js";
import { Pending, type Tcb, TcbFlags, TcbOptions } from "./tcb.js";
import { ROW_INT32S, TIMES_WORD } from "./tcb-row.js";
import type { TcpCounter } from "./tcp-counters.js";
import type { TcpHost } from "./tcp-host.js";
import type { TcpInfo } from "./tcp-info.js";
import { giveWay } from "./time-wait.js";
import { receiveBytes, receiveSlot, sendBytes, takeRowError } from "./transfer.js";
import { bytesToMark } from "./urgent.js";

// What is imported is read anew each time; what is a module's own constant is part of the code.
const { LISTED, LISTED_AGAIN } = Pending;
/** Of `options`: what is no choice of the user's. */
const AGREED = TcbOptions.TIMESTAMPS | TcbOptions.SACK | TcbOptions.SCALING | TcbOptions.ECN;

export interface TcpConfig {
  readonly slots: Slots;
  readonly host: TcpHost;
  readonly random: Random;
  /** 16 secret bytes: they key initial sequence numbers, timestamp offsets and SYN cookies. */
  readonly secret: Uint8Array;
  /** Rows at most; the arrays grow towards it as needed. */
  readonly capacityRows: number;
  /** Rows for which there is address space from the start, beside which none is copied into a larger table. */
  readonly reservedRows?: number;
  readonly settings?: Partial<TcpSettings>;
  /** The stack's counters of drop reasons; an own block when there is none. */
  readonly drops?: Counters<DropName>;
}

export class Tcp {
  /** The row view: `tcp.tcb.select(row)`, then fields. Borrowed until the next call. */
  readonly tcb: Tcb;
  private readonly t: TcpCore;
  /** Keeps the touching loads from being left out. */
  touched = 0;

  constructor(config: TcpConfig) {
    this.t = new TcpCore({
      ...config,
      settings: { ...DEFAULT_TCP_SETTINGS, ...config.settings },
    });
    this.tcb = this.t.c;
  }

  /** What the engine counts. */
  get counters(): Counters<TcpCounter> {
    return this.t.counters;
  }

  /** Segments given up, by reason. */
  get drops(): Counters<DropName> {
    return this.t.drops;
  }

  /** Rows in use, those without a socket included. */
  get rows(): number {
    return this.t.usedRows;
  }

  /** Of them, those in TIME-WAIT. */
  get timeWaits(): number {
    return this.t.timeWaits;
  }

  /** Of them, connections that nobody owns any more and whose end is under way. */
  get orphans(): number {
    return this.t.orphans;
  }

  /** A CLOSED row, or -ENOBUFS. Ends with `close` or `abort`, whatever becomes of it. */
  create(): number {
    const row = createRow(this.t);
    return row < 0 ? -ENOBUFS : row;
  }

  /** A CLOSED row with the options that the user has set for `row`, or -ENOBUFS. */
  createLike(row: number): number {
    const { t } = this;
    const fresh = createRow(t);
    if (fresh < 0) return -ENOBUFS;
    const { c } = t;
    const { rcvBufBytes, sndBufBytes } = c;
    inherit(t, row);
    c.options &= ~AGREED;
    c.deferSeconds = t.other.deferSeconds;
    // What autotuning has made of it was for that connection.
    if (!c.has(TcbFlags.RCVBUF_LOCKED)) c.rcvBufBytes = rcvBufBytes;
    if (!c.has(TcbFlags.SNDBUF_LOCKED)) c.sndBufBytes = sndBufBytes;
    return fresh;
  }

  /** Sets the local end. Precondition: CLOSED. Copies the address. */
  setLocal(row: number, address: IpAddress, port: number): void {
    const c = this.t.c.select(row);
    if (CHECKED) assert(c.state === State.CLOSED, "the local end is set before opening");
    c.setPorts(port, c.remotePort);
    writeAddress(c, c.addressAt, address);
  }

  /** Sets the peer. Precondition: CLOSED. Copies the address. */
  setRemote(row: number, address: IpAddress, port: number): void {
    const c = this.t.c.select(row);
    if (CHECKED) assert(c.state === State.CLOSED, "the peer is set before opening");
    c.setPorts(c.localPort, port);
    writeAddress(c, c.addressAt + 4, address);
  }

  /** LISTEN, or another backlog for a listener: 0 or a negated errno. */
  listen(row: number, backlog: number, nowUs: number): number {
    const t = this.at(row, nowUs);
    if (t.c.state === State.LISTEN) setBacklog(t, backlog);
    else if (t.c.state === State.CLOSED && t.c.localPort !== 0) listenRow(t, backlog);
    else return -EINVAL;
    return 0;
  }

  /** Starts a handshake: -EINPROGRESS, or why not. Success and failure show as readiness. */
  connect(row: number, nowUs: number): number {
    const t = this.at(row, nowUs);
    if (t.c.state !== State.CLOSED) return -EISCONN;
    if (t.c.localPort === 0) return -EADDRINUSE;
    const result = connectRow(t);
    t.hasLastSndNxt = false;
    return result;
  }

  /**
   * Ends the row if it is in TIME-WAIT and a connection that begins here may have its place: whether it did.
   * `isLocal`: the peer is of this host. What follows is {@link connect}, or {@link forgetPlace}.
   */
  giveWay(row: number, isLocal: boolean, nowUs: number): boolean {
    const { timeWaitConnect } = this.t.settings;
    if (timeWaitConnect === "never" || (timeWaitConnect === "local" && !isLocal)) return false;
    return giveWay(this.at(row, nowUs));
  }

  /** No connection takes the place that {@link giveWay} has made. */
  forgetPlace(): void {
    this.t.hasLastSndNxt = false;
  }

  /** The next connection of a listener: a row, now the caller's, or -EAGAIN. Selects it. */
  accept(row: number): number {
    const t = this.t;
    t.c.select(row);
    if (t.c.state !== State.LISTEN) return -EINVAL;
    const child = takeAccepted(t);
    if (child < 0) return -EAGAIN;
    t.c.select(child);
    return child;
  }

  /** Queues bytes: how many, or -EAGAIN, -EPIPE, a pending error. `flags`: `TransferFlags`. */
  send(
    row: number,
    bytes: Uint8Array,
    at: number,
    n: number,
    flags: number,
    nowUs: number,
  ): number {
    return sendBytes(this.at(row, nowUs), bytes, at, n, flags);
  }

  /** Hot path. Whether what `from` sends may go to `to` without segments (`HandOver`). */
  mayHandOver(from: number, to: number, nowUs: number): number {
    this.t.setTime(nowUs);
    return mayHandOver(this.t, from, to);
  }

  /** Hot path. `n` bytes have gone so: {@link mayHandOver} has just allowed it. */
  handOver(from: number, to: number, n: number): void {
    handOver(this.t, from, to, n);
  }

  /** Reads bytes: how many, 0 at the end of data, -EAGAIN, or a pending error. */
  receive(
    row: number,
    into: Uint8Array,
    at: number,
    n: number,
    flags: number,
    nowUs: number,
  ): number {
    return receiveBytes(this.at(row, nowUs), into, at, n, flags);
  }

  /** Takes the first slot of unread bytes without a copy: see `receiveSlot` of transfer.ts. */
  receiveSlot(row: number, nowUs: number): number {
    return receiveSlot(this.at(row, nowUs));
  }

  /** Bytes that `receive` could read now, FIONREAD. */
  unreadBytes(row: number): number {
    return this.t.c.select(row).rcvQueuedBytes;
  }

  /** Bytes written and not yet acknowledged, SIOCOUTQ. */
  unackedBytes(row: number): number {
    return this.t.c.select(row).sndQueuedBytes;
  }

  /** Ends one direction or both (`Shutdown`): 0 or -ENOTCONN. */
  shutdown(row: number, how: number, nowUs: number): number {
    return shutdownRow(this.at(row, nowUs), how);
  }

  /** The user is gone: the row is no longer the caller's, and released when the protocol is done. */
  close(row: number, nowUs: number): void {
    closeRow(this.at(row, nowUs));
  }

  /** As {@link close}, but at once and with RST. */
  abort(row: number, nowUs: number): void {
    abortRow(this.at(row, nowUs));
  }

  /**
   * Hot path. Segments are about to arrive, whose slots are taken already: once a batch. What the
   * pool has left then is what counts.
   */
  batchArrives(): void {
    measure(this.t);
  }

  /**
   * Hot path. A segment for a row; takes the slot. Preconditions: `tcp.check` of wire/ passed on
   * `l4At[slot]` to `end[slot]`, and the checksum is right.
   */
  segmentArrives(row: number, slot: number, info: SegmentInfo, nowUs: number): void {
    if (!this.expectedArrives(row, slot, info.tos, nowUs)) {
      segmentArrives(this.t, slot, info);
    }
  }

  /**
   * Hot path. First half of {@link segmentArrives}, which needs no more than the slot and the IP
   * header's `tos`: true when the segment was the expected one and its slot is taken. If not, the
   * row is selected and {@link otherArrives} must follow.
   */
  expectedArrives(row: number, slot: number, tos: number, nowUs: number): boolean {
    const t = this.t;
    t.setTime(nowUs);
    t.c.select(row);
    return takeExpected(t, slot, tos);
  }

  /** Second half of {@link segmentArrives}, for the selected row. */
  otherArrives(slot: number, info: SegmentInfo): void {
    segmentArrives(this.t, slot, info);
  }

  /** A segment for which there is no row (RFC 9293 §3.10.7.1); takes the slot. As above. */
  segmentUnmatched(slot: number, info: SegmentInfo, nowUs: number): void {
    const t = this.t;
    t.setTime(nowUs);
    t.segment.read(t.slots, slot, info);
    t.counts[t.k.inSegs]! += 1;
    unmatchedArrives(t);
  }

  /** Hot path. Timers of these `n` rows fired: loads what each of them will need. */
  touch(rows: Int32Array, n: number): void {
    const { i } = this.t.c;
    let touched = 0;
    for (let k = 0; k < n; k++) {
      const at = rows[k]! * ROW_INT32S;
      touched ^= i[at]! ^ i[at + TIMES_WORD]!;
    }
    this.touched ^= touched;
  }

  /** The row's timer fired. */
  timerExpired(row: number, nowUs: number): void {
    runTimers(this.at(row, nowUs));
  }

  /** Hot path. As {@link flush} in the midst of a turn: what fills no segment of the largest size waits for the rest of it. */
  flushEarly(nowUs: number): void {
    this.t.isEarly = true;
    this.flush(nowUs);
    this.t.isEarly = false;
  }

  /** Hot path. Sends what is due, for every row that has something pending. Once a turn. */
  flush(nowUs: number): void {
    const t = this.t;
    t.setTime(nowUs);
    const c = t.c;
    measure(t);
    if (t.pressure >= Pressure.CRITICAL) pruneOutOfOrder(t);
    // Output may list the row again (an empty pool): that is for the next turn.
    const n = t.pendingCount;
    const rows = t.pendingRows;
    for (let k = 0; k < n; k++) {
      c.select(rows[k]!);
      const pending = c.pending;
      if ((pending & LISTED_AGAIN) !== 0) {
        c.pending = pending & ~LISTED_AGAIN;
        continue;
      }
      c.pending = pending & ~LISTED;
      if (c.state !== State.FREE && c.state !== State.CLOSED) outputPass(t);
      else c.pending = 0;
    }
    const left = t.pendingCount - n;
    if (left > 0) t.pendingRows.copyWithin(0, n, n + left);
    t.pendingCount = left;
  }

  /** Hot path. Whether `flush` would change nothing: no row is pending, and memory is not short. */
  get isQuiet(): boolean {
    return this.t.pendingCount === 0 && this.t.pressure === Pressure.NONE;
  }

  /** Whether `flush` has something to send. */
  get hasPending(): boolean {
    return this.t.pendingCount > 0;
  }

  /** The path of a row may carry another segment size: it asks the host. */
  pathMtuChanged(row: number, nowUs: number): void {
    followPathMtu(this.at(row, nowUs));
  }

  /** Whether an ICMP error may be believed: it quotes a sequence number in flight (RFC 5927 §4.1). */
  isInFlight(row: number, quotedSeq: Seq): boolean {
    this.t.c.select(row);
    return isInFlight(this.t, quotedSeq);
  }

  /** An ICMP error about a row's segment, other than "too big". `errno` is positive. */
  icmpError(row: number, errno: number, _isHard: boolean, quotedSeq: Seq, nowUs: number): void {
    takeIcmpError(this.at(row, nowUs), errno, quotedSeq);
  }

  /** `Readiness` bits. */
  readiness(row: number): number {
    this.t.c.select(row);
    return readinessOf(this.t);
  }

  /** SO_ERROR: gives and clears the pending error (positive errno), or 0. */
  takeError(row: number): number {
    this.t.c.select(row);
    return Math.abs(takeRowError(this.t));
  }

  info(row: number, nowUs: number): TcpInfo {
    return infoOf(this.at(row, nowUs));
  }

  /** Sets a `TcpOption`: 0 or a negated errno. */
  setOption(row: number, option: number, value: number, nowUs: number): number {
    return setRowOption(this.at(row, nowUs), option, value);
  }

  getOption(row: number, option: number): number {
    this.t.c.select(row);
    return getRowOption(this.t, option);
  }

  /** SIOCATMARK: the next byte to read is the urgent one. */
  atMark(row: number): boolean {
    this.t.c.select(row);
    return bytesToMark(this.t) === 0;
  }

  /** Frees a row that was created and never opened. */
  destroy(row: number): void {
    this.t.c.select(row);
    releaseRow(this.t);
  }

  private at(row: number, nowUs: number): TcpCore {
    const t = this.t;
    t.setTime(nowUs);
    t.c.select(row);
    return t;
  }
}

function writeAddress(c: Tcb, at: number, address: IpAddress): void {
  c.i[at] = address.w0;
  c.i[at + 1] = address.w1;
  c.i[at + 2] = address.w2;
  c.i[at + 3] = address.w3;
}
