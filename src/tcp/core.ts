/**
 * What every part of the TCP engine shares: the row views, the host, the settings, the counters and
 * the scratch of the current call. The parts are plain functions that take it as `t`.
 *
 * `c` is the connection at work. `other` is a second view for the short moments when two rows are
 * needed (a listener and its child); whoever selects it uses it at once.
 */
import { Counters } from "../base/counters.js";
import { IpAddress } from "../base/ip-address.js";
import type { Random } from "../base/random.js";
import { SipHash } from "../base/siphash.js";
import { DROP_MEANINGS, type Drop, type DropName } from "../wire/drop.js";
import { AckInfo } from "./ack-info.js";
import { Lockstep } from "./lockstep.js";
import { Recovery } from "./recovery.js";
import { Segment } from "./segment.js";
import { type Seq, seqOf } from "./seq.js";
import type { TcpSettings } from "./settings.js";
import type { Slots } from "./slots.js";
import { Pending, Tcb } from "./tcb.js";
import { ROW_BYTES } from "./tcb-row.js";
import { TCP_COUNTERS, type TcpCounter } from "./tcp-counters.js";
import type { TcpHost } from "./tcp-host.js";

/** What `Tcp` is built from. */
export interface TcpConfig {
  readonly slots: Slots;
  readonly host: TcpHost;
  readonly random: Random;
  /** 16 secret bytes: they key initial sequence numbers, timestamp offsets and SYN cookies. */
  readonly secret: Uint8Array;
  /** Rows at most; the arrays grow towards it as needed. */
  readonly capacityRows: number;
  /** Rows for which there is address space from the start: no growing until then, and no memory for what is not used. */
  readonly reservedRows?: number;
  readonly settings: TcpSettings;
  /** The stack's counters of drop reasons; an own block when there is none. */
  readonly drops?: Counters<DropName>;
}

const FIRST_ROWS = 64;

export class TcpCore {
  readonly slots: Slots;
  readonly host: TcpHost;
  readonly settings: TcpSettings;
  readonly recovery: Recovery;
  readonly random: Random;
  readonly capacityRows: number;
  readonly hash: SipHash;
  readonly hashWords = new Int32Array(12);
  /** The last offset of timestamps (timestamps.ts) and whose it is: connections often are to one host. */
  readonly tsOffset = {
    isKnown: false,
    local: new IpAddress(),
    remote: new IpAddress(),
    offset: 0,
  };
  readonly counters: Counters<TcpCounter> = new Counters("tcp", TCP_COUNTERS);
  /** Index of each counter in `counts`, by name. */
  readonly k: Readonly<Record<TcpCounter, number>>;
  readonly counts: Float64Array;
  readonly drops: Counters<DropName>;

  readonly c: Tcb;
  readonly other: Tcb;
  /** Views of the row that asks and answers. */
  readonly lockstep: Lockstep = new Lockstep();
  /** Scratch addresses. */
  readonly local = new IpAddress();
  readonly remote = new IpAddress();
  rows = 0;
  /** Rows that the buffer has room for. */
  private roomRows = 0;
  private readonly reservedRows: number;
  /** First free row, linked by `listNext`, or -1. */
  freeRow = -1;
  usedRows = 0;
  orphans = 0;
  timeWaits = 0;

  /** `Pressure` on each size of slot, and the higher of both (memory.ts). */
  smallPressure = 0;
  bigPressure = 0;
  pressure = 0;
  /** Output in the midst of a turn: segments that are not full wait. */
  isEarly = false;
  /** The row that the last search for out-of-order data ended at. */
  pruneRow = 0;

  /** Rows that the output pass must visit. */
  pendingRows: Int32Array;
  pendingCount = 0;

  /** Time of the current call, in microseconds and, as an int32, in milliseconds. */
  nowUs = 0;
  nowMs = 0;
  private confirmedRow = -1;
  private confirmedMs = 0;
  readonly segment = new Segment();
  readonly ackInfo = new AckInfo();

  /** SND.NXT of the connection in TIME-WAIT that the current SYN replaces (time-wait.ts). */
  lastSndNxt: Seq = seqOf(0);
  hasLastSndNxt = false;

  /** Second of the challenge ACK budget, and what is left of it. */
  challengeSecond = -1;
  challengeLeft = 0;

  constructor(config: TcpConfig) {
    this.slots = config.slots;
    this.host = config.host;
    this.settings = config.settings;
    this.random = config.random;
    this.capacityRows = config.capacityRows;
    this.reservedRows = Math.min(config.reservedRows ?? 0, config.capacityRows);
    this.hash = new SipHash(config.secret);
    this.counts = this.counters.values;
    this.k = Object.fromEntries(this.counters.names.map((name, i) => [name, i])) as Record<
      TcpCounter,
      number
    >;
    this.drops = config.drops ?? new Counters("drop", DROP_MEANINGS);
    this.recovery = new Recovery(config.capacityRows);
    const i = new Int32Array(0);
    const f = new Float64Array(0);
    this.c = new Tcb(i, f);
    this.other = new Tcb(i, f, this.c.loss);
    this.pendingRows = i;
    this.grow(Math.min(FIRST_ROWS, config.capacityRows));
  }

  /** Hot path. */
  setTime(nowUs: number): void {
    if (nowUs === this.nowUs) return;
    this.nowUs = nowUs;
    this.nowMs = Math.floor(nowUs / 1000) | 0;
  }

  /** Counts a segment that is given up, and frees it. The one place where segments are dropped. */
  drop(reason: Drop): void {
    this.drops.values[reason]! += 1;
    this.consume();
  }

  /** Frees the current segment's slot unless somebody else owns it by now. */
  consume(): void {
    const s = this.segment;
    if (s.slot !== -1) this.slots.give(s.slot);
    s.slot = -1;
  }

  /**
   * Hot path. The selected row's peer has answered: says so to the host, for each row once a millisecond
   * unless other rows come between.
   */
  confirmReachable(): void {
    const { row } = this.c;
    if (row === this.confirmedRow && this.nowMs === this.confirmedMs) return;
    this.confirmedRow = row;
    this.confirmedMs = this.nowMs;
    this.host.confirmReachable(this.c);
  }

  /** Hot path. Puts the selected row on the output pass's list, with these `Pending` bits. */
  want(bits: number): void {
    const c = this.c;
    const pending = c.pending;
    if ((pending & LISTED) === 0) {
      if (this.pendingCount === this.pendingRows.length) this.growPending();
      this.pendingRows[this.pendingCount] = c.row;
      this.pendingCount = (this.pendingCount + 1) | 0;
    }
    c.pending = pending | bits | LISTED;
  }

  /**
   * Hot path. As {@link want} with `Pending.OUTPUT`, for a row that had nothing to send until now: its turn is
   * after that of every row listed so far, whatever it was listed for itself. So the first data of
   * connections leave in the order in which they were written.
   */
  wantTurn(): void {
    const c = this.c;
    const pending = c.pending;
    if ((pending & (LISTED | LISTED_AGAIN)) !== LISTED) this.want(OUTPUT);
    else if (this.pendingRows[this.pendingCount - 1] === c.row) c.pending = pending | OUTPUT;
    else {
      c.pending = pending & ~LISTED;
      this.want(OUTPUT | LISTED_AGAIN);
    }
  }

  /** Hot path. Whether no other row has anything to do in the output pass. */
  get isAlone(): boolean {
    const n = this.pendingCount;
    return n === 0 || (n === 1 && this.pendingRows[0] === this.c.row);
  }

  /** Enlarges every per-row array; the new rows become the free list's head. */
  grow(rows: number): void {
    if (rows > this.roomRows) this.widen(rows);
    for (let row = rows - 1; row >= this.rows; row--) {
      this.other.select(row).listNext = this.freeRow;
      this.freeRow = row;
    }
    this.rows = rows;
  }

  private widen(rows: number): void {
    const buffer = this.makeRoom(rows);
    const i = new Int32Array(buffer, LEAD_BYTES);
    const f = new Float64Array(buffer, LEAD_BYTES);
    i.set(this.c.i);
    this.lockstep.forget();
    this.c.i = i;
    this.c.f = f;
    this.other.i = i;
    this.other.f = f;
    this.roomRows = (buffer.byteLength - LEAD_BYTES) / ROW_BYTES;
  }

  /** Where a limit (ulimit -v) leaves no room for those that are not needed yet, there is none until they are. */
  private makeRoom(rows: number): ArrayBuffer {
    try {
      return new ArrayBuffer(LEAD_BYTES + Math.max(rows, this.reservedRows) * ROW_BYTES);
    } catch {
      return new ArrayBuffer(LEAD_BYTES + rows * ROW_BYTES);
    }
  }

  private growPending(): void {
    const larger = new Int32Array(Math.max(64, this.pendingRows.length * 2));
    larger.set(this.pendingRows);
    this.pendingRows = larger;
  }
}

/**
 * malloc of glibc puts a large block 16 bytes behind a page's start; with these in front, rows begin
 * where cache lines do: four lines for a data segment instead of five. Measured: 4 % of a packet to one
 * of 100,000 connections.
 */
const LEAD_BYTES = 48;
// What is imported is read anew each time; what is a module's own constant is part of the code.
const { LISTED, LISTED_AGAIN, OUTPUT } = Pending;
