/**
 * From IP to TCP: checks a segment, finds its connection or listener, hands it to the engine.
 *
 * A batch is worked in phases, so that with many connections the memory misses of its segments
 * overlap: `receive` checks the segment and hashes the flow; `drain` touches the buckets, then the
 * rows and timers that the buckets name, then the sockets of the rows, each in a loop so short that the
 * processor has the loads of many segments under way at once; then it finds every row, and the
 * segments are processed in their order. The columns between the phases are reused for ever.
 * Measured: with each kind of miss in a loop of its own, a packet to one of 100,000 connections costs
 * 20 % less than with buckets touched by `receive` and sockets by the look-up.
 *
 * Processing a segment may end one flow and begin another, so what was found before is looked up
 * again once a flow has ended since, and a segment that had no flow is looked up when its turn comes.
 */
import { i32 } from "../base/bytes.js";
import { fold } from "../base/checksum.js";
import type { PacketInfo } from "../ip/packet-info.js";
import { DestinationKind } from "../ip/packet-info.js";
import type { PathError, Transport } from "../ip/transport.js";
import type { ArenaChecksum } from "../ring/arena-checksum.js";
import { type FlowTable, NO_ROW, packPorts } from "../ring/flow-table.js";
import { FrameFlags, type Pool } from "../ring/pool.js";
import type { TimingWheel } from "../ring/timing-wheel.js";
import { SegmentInfo } from "../tcp/segment-info.js";
import type { Seq } from "../tcp/seq.js";
import { ROW_INT32S, SOCKET_WORD } from "../tcp/tcb-row.js";
import type { Tcp } from "../tcp/tcp.js";
import { Drop } from "../wire/drop.js";
import * as ipv6 from "../wire/ipv6.js";
import * as pseudo from "../wire/pseudo-header.js";
import * as wire from "../wire/tcp.js";
import type { TcpHostSide } from "./tcp-host.js";
import type { TcpPorts } from "./tcp-ports.js";
import type { TcpPrediction } from "./tcp-prediction.js";
import { MIN_TTL_SHIFT, type TcpRows } from "./tcp-rows.js";

export const TCP_PROTOCOL = 6;
const CAPACITY = 256;
/** Parts of a mark. IS_SAME: the segment is of the flow of the one before it. */
const TOS_SHIFT = 8;
const IS_V4 = 1 << 16;
const IS_SAME = 1 << 17;
const CHECKSUM_KNOWN = FrameFlags.CHECKSUM_VALID | FrameFlags.CHECKSUM_PARTIAL;
/** Words of a cache line: a row's first lines are what a data segment needs (tcb-row.ts). */
const LINE = 16;

/** What the input needs of the stack. */
export interface TcpInputParts {
  readonly pool: Pool;
  readonly view: DataView;
  readonly flows: FlowTable;
  readonly ports: TcpPorts;
  readonly tcp: Tcp;
  readonly checksum: ArenaChecksum;
  /** Gives the slot back and counts why. */
  drop(slot: number, reason: Drop): void;
  readonly rows: TcpRows;
  /** For the number of flows that have ended. */
  readonly host: TcpHostSide;
  readonly wheel: TimingWheel;
  readonly prediction: TcpPrediction;
  /** Loads what is read of sockets when their readiness changes; `ids` has `n`. */
  touchSockets(ids: Int32Array, n: number): number;
}

export class TcpInput implements Transport {
  private readonly p: TcpInputParts;
  private readonly pool: Pool;
  private readonly view: DataView;
  private readonly info = new SegmentInfo();
  private n = 0;
  private readonly slots = new Int32Array(CAPACITY);
  private readonly hashes = new Int32Array(CAPACITY);
  private readonly ports = new Int32Array(CAPACITY);
  private readonly rows = new Int32Array(CAPACITY);
  private readonly sockets = new Int32Array(CAPACITY);
  /** Last words of the addresses. */
  private readonly remotes = new Int32Array(CAPACITY);
  private readonly locals = new Int32Array(CAPACITY);
  /** TTL in bits 0 to 7, TOS in 8 to 15, IS_V4, IS_SAME. */
  private readonly marks = new Int32Array(CAPACITY);
  private readonly ifIndices = new Int32Array(CAPACITY);
  /** Keeps the touching loads from being left out. */
  touched = 0;

  constructor(parts: TcpInputParts) {
    this.p = parts;
    this.pool = parts.pool;
    this.view = parts.view;
  }

  /** Hot path. Takes the slot; it is processed by the next {@link drain}. */
  receive(slot: number, info: PacketInfo): void {
    const { view } = this;
    const at = info.l4At;
    const bytes = (info.end - at) | 0;
    // A whole header, a data offset of 20 bytes up to all, no SYN from port 0: what `wire.check` looks at.
    const isWhole = bytes >= wire.HEADER_BYTES;
    const portWord = isWhole ? view.getInt32(at) : 0;
    const headerBytes = isWhole ? (view.getUint8(at + 12) >>> 4) << 2 : 0;
    const isPlain =
      headerBytes >= wire.HEADER_BYTES &&
      headerBytes <= bytes &&
      (portWord >>> 16 !== 0 || (view.getUint8(at + 13) & wire.SYN) === 0) &&
      info.dstKind === DestinationKind.UNICAST;
    if (!isPlain || !this.isIntact(info, at, bytes)) {
      this.p.drop(slot, this.reasonFor(info));
      return;
    }
    this.note(slot, info, packPorts(portWord & 0xffff, portWord >>> 16));
  }

  /** Why a segment is not for the engine. */
  private reasonFor(info: PacketInfo): Drop {
    const reason = wire.check(this.pool.bytes, info.l4At, info.end);
    if (reason !== Drop.NONE) return reason;
    const isUnicast = info.dstKind === DestinationKind.UNICAST;
    return isUnicast ? Drop.TCP_BAD_CHECKSUM : Drop.TCP_NOT_UNICAST;
  }

  /** Hot path. Whether the device or the checksum vouches for it. */
  private isIntact(info: PacketInfo, at: number, bytes: number): boolean {
    if ((info.flags & CHECKSUM_KNOWN) !== 0) return true;
    const seed = pseudo.sum(info.src, info.dst, TCP_PROTOCOL, bytes);
    return fold(this.p.checksum.sum(at, bytes, seed)) === 0xffff;
  }

  /**
   * Hot path. Puts the segment into the columns.
   *
   * Measured: a segment of the flow before it, as nearly all are in bulk, needs no hash and no
   * look-up of its own: 15 and 10 ns (docs/benchmarks.md, tcp-rx).
   */
  private note(slot: number, info: PacketInfo, ports: number): void {
    if (this.n === CAPACITY) this.drain(info.nowUs);
    const n = this.n;
    const remote = info.src;
    const local = info.dst;
    const isV4 = remote.isV4 && local.isV4;
    const isSame =
      n > 0 &&
      isV4 &&
      ports === this.ports[n - 1] &&
      remote.w3 === this.remotes[n - 1] &&
      local.w3 === this.locals[n - 1] &&
      (this.marks[n - 1]! & IS_V4) !== 0;
    const hash = isSame
      ? this.hashes[n - 1]!
      : this.p.flows.hash(local, remote, ports, TCP_PROTOCOL);
    this.slots[n] = slot;
    this.hashes[n] = hash;
    this.ports[n] = ports;
    this.remotes[n] = remote.w3;
    this.locals[n] = local.w3;
    this.marks[n] =
      info.ttl | (info.tos << TOS_SHIFT) | (isV4 ? IS_V4 : 0) | (isSame ? IS_SAME : 0);
    this.ifIndices[n] = info.ifIndex;
    this.pool.l3At[slot] = info.l3At;
    this.n = (n + 1) | 0;
  }

  /** Hot path. What the engine is told besides the segment. */
  private load(n: number): void {
    const { info } = this;
    const mark = this.marks[n]!;
    if ((mark & IS_V4) !== 0) {
      info.remote.set(0, 0, 0xffff, this.remotes[n]!);
      info.local.set(0, 0, 0xffff, this.locals[n]!);
    } else {
      const at = this.pool.l3At[this.slots[n]!]!;
      info.remote.read6(this.pool.bytes, at + ipv6.SRC);
      info.local.read6(this.pool.bytes, at + ipv6.DST);
    }
    info.ttl = mark & 0xff;
    info.tos = (mark >>> TOS_SHIFT) & 0xff;
    info.ifIndex = this.ifIndices[n]!;
  }

  /** Hot path. Processes what was received; returns how many segments that was. */
  drain(nowUs: number): number {
    const n = this.n;
    if (n === 0) return 0;
    this.p.tcp.batchArrives();
    if (n > 1) this.touch(n);
    this.findRows(n);
    const host = this.p.host;
    const ended = host.endedFlows;
    if (n === 1) this.predict();
    for (let i = 0; i < n; i++) this.process(i, host.endedFlows === ended, nowUs);
    this.n = 0;
    return n;
  }

  /** Hot path. The next segment of a connection whose segments come one at a time will be known. */
  private predict(): void {
    const row = this.rows[0]!;
    const mark = this.marks[0]!;
    if (row === NO_ROW || (mark & IS_V4) === 0) return;
    this.p.prediction.remember(this.slots[0]!, row, this.ifIndices[0]!);
  }

  /** Hot path. Loads what the segments of the batch will need, before any of it is needed. */
  private touch(n: number): void {
    const { flows, tcp, wheel } = this.p;
    const { hashes, marks, sockets } = this;
    const i = tcp.tcb.i;
    let touched = 0;
    for (let k = 0; k < n; k++) {
      if ((marks[k]! & IS_SAME) === 0) touched ^= flows.touch(hashes[k]!);
    }
    let m = 0;
    for (let k = 0; k < n; k++) {
      if ((marks[k]! & IS_SAME) !== 0) continue;
      const row = flows.candidate(hashes[k]!);
      if (row === NO_ROW) continue;
      const at = row * ROW_INT32S;
      touched ^= i[at]! ^ i[at + LINE]! ^ i[at + 2 * LINE]! ^ i[at + 3 * LINE]! ^ wheel.touch(row);
      sockets[m] = row;
      m = (m + 1) | 0;
    }
    for (let k = 0; k < m; k++) sockets[k] = i[sockets[k]! * ROW_INT32S + SOCKET_WORD]!;
    this.touched ^= touched ^ this.p.touchSockets(sockets, m);
  }

  /** Hot path. */
  private findRows(n: number): void {
    const { flows } = this.p;
    const info = this.info;
    for (let k = 0; k < n; k++) {
      if ((this.marks[k]! & IS_SAME) !== 0) {
        this.rows[k] = this.rows[k - 1]!;
        continue;
      }
      this.load(k);
      const ports = this.ports[k]!;
      const hash = this.hashes[k]!;
      this.rows[k] = flows.findHashed(hash, info.local, info.remote, ports, TCP_PROTOCOL);
    }
  }

  /** Hot path. */
  private process(k: number, rowsAreValid: boolean, nowUs: number): void {
    const slot = this.slots[k]!;
    const { tcp, rows } = this.p;
    const row = rowsAreValid ? this.rows[k]! : NO_ROW;
    if (row === NO_ROW || rows.hasMinTtl) {
      this.processOther(k, row, nowUs);
      return;
    }
    const tos = (this.marks[k]! >>> TOS_SHIFT) & 0xff;
    if (tcp.expectedArrives(row, slot, tos, nowUs)) return;
    this.load(k);
    tcp.otherArrives(slot, this.info);
  }

  /** A segment without a row yet, or one that may have come too far. */
  private processOther(k: number, knownRow: number, nowUs: number): void {
    this.load(k);
    const { tcp, rows } = this.p;
    const slot = this.slots[k]!;
    const row = knownRow === NO_ROW ? this.findAgain(k) : knownRow;
    if (row === NO_ROW) tcp.segmentUnmatched(slot, this.info, nowUs);
    else if (rows.hasMinTtl && this.isTooFar(row)) this.p.drop(slot, Drop.IP_TTL_TOO_LOW);
    else tcp.segmentArrives(row, slot, this.info, nowUs);
  }

  /** The connection or listener of a segment that had no connection when the batch began. */
  private findAgain(k: number): number {
    const { flows, ports } = this.p;
    const { local, remote, ifIndex } = this.info;
    const hash = this.hashes[k]!;
    const portWord = this.ports[k]!;
    const row = flows.findHashed(hash, local, remote, portWord, TCP_PROTOCOL);
    return row === NO_ROW ? ports.findListener(local, portWord >>> 16, ifIndex, hash) : row;
  }

  /** IP_MINTTL, IPV6_MINHOPCOUNT (RFC 5082). */
  private isTooFar(row: number): boolean {
    const rows = this.p.rows;
    const settings = this.info.remote.isV4 ? rows.ip4[row]! : rows.ip6[row]!;
    return this.info.ttl < settings >>> MIN_TTL_SHIFT;
  }

  /** A "too big" counts only when it quotes a segment in flight. */
  believes(error: PathError): boolean {
    const row = this.rowOf(error);
    return row !== NO_ROW && this.p.tcp.isInFlight(row, this.quotedSeq(error));
  }

  private rowOf(error: PathError): number {
    const ports = packPorts(error.localPort, error.remotePort);
    return this.p.flows.find(error.local, error.remote, ports, TCP_PROTOCOL);
  }

  private quotedSeq(error: PathError): Seq {
    return i32(this.pool.bytes, error.quotedAt + 4) as Seq;
  }

  /** An ICMP error about a segment of ours. */
  pathError(error: PathError): void {
    const { tcp } = this.p;
    const row = this.rowOf(error);
    if (row === NO_ROW) return;
    if (error.mtuBytes > 0) {
      tcp.pathMtuChanged(row, error.nowUs);
      return;
    }
    tcp.icmpError(row, error.errno, error.isHard, this.quotedSeq(error), error.nowUs);
  }
}
