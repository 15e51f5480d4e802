/**
 * From IP to TCP: checks a segment, finds its connection or listener, hands it to the engine.
 *
 * A batch is worked in phases, so that with many connections the memory misses of its segments
 * overlap: `receive` checks the header, hashes the flow and touches its bucket; `drain` then finds
 * every row and touches it; then the segments are processed in their order. The columns between
 * the phases are reused for ever.
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
import { SegmentInfo } from "../tcp/segment-info.js";
import type { Seq } from "../tcp/seq.js";
import { ROW_INT32S } from "../tcp/tcb-row.js";
import type { Tcp } from "../tcp/tcp.js";
import { Drop } from "../wire/drop.js";
import * as pseudo from "../wire/pseudo-header.js";
import * as wire from "../wire/tcp.js";
import type { TcpHostSide } from "./tcp-host.js";
import type { TcpPorts } from "./tcp-ports.js";
import { MIN_TTL_SHIFT, type TcpRows } from "./tcp-rows.js";

export const TCP_PROTOCOL = 6;
const CAPACITY = 256;
const CHECKSUM_KNOWN = FrameFlags.CHECKSUM_VALID | FrameFlags.CHECKSUM_PARTIAL;
/** Words of a row in other cache lines than its first: loss recovery's and the engine's parts. */
const SECOND_LINE = 16;
const ENGINE_LINE = 64;

/** What the input needs of the stack. */
export interface TcpInputParts {
  readonly pool: Pool;
  readonly flows: FlowTable;
  readonly ports: TcpPorts;
  readonly tcp: Tcp;
  readonly checksum: ArenaChecksum;
  /** Gives the slot back and counts why. */
  drop(slot: number, reason: Drop): void;
  readonly rows: TcpRows;
  /** For the number of flows that have ended. */
  readonly host: TcpHostSide;
}

export class TcpInput implements Transport {
  private readonly p: TcpInputParts;
  private readonly pool: Pool;
  private readonly info = new SegmentInfo();
  private n = 0;
  private readonly slots = new Int32Array(CAPACITY);
  private readonly hashes = new Int32Array(CAPACITY);
  private readonly ports = new Int32Array(CAPACITY);
  private readonly rows = new Int32Array(CAPACITY);
  /** Per segment: local w0..w3, remote w0..w3. */
  private readonly addresses = new Int32Array(CAPACITY * 8);
  /** TTL, TOS, interface, frame flags. */
  private readonly marks = new Int32Array(CAPACITY * 4);
  /** Keeps the touching loads from being left out. */
  touched = 0;

  constructor(parts: TcpInputParts) {
    this.p = parts;
    this.pool = parts.pool;
  }

  /** Hot path. Takes the slot; it is processed by the next {@link drain}. */
  receive(slot: number, info: PacketInfo): void {
    const b = this.pool.bytes;
    const reason = wire.check(b, info.l4At, info.end);
    if (reason !== Drop.NONE) {
      this.p.drop(slot, reason);
      return;
    }
    if (info.dstKind !== DestinationKind.UNICAST) {
      this.p.drop(slot, Drop.TCP_NOT_UNICAST);
      return;
    }
    if (this.n === CAPACITY) this.drain(info.nowUs);
    const n = this.n;
    const ports = packPorts(wire.dstPort(b, info.l4At), wire.srcPort(b, info.l4At));
    const hash = this.p.flows.hash(info.dst, info.src, ports, TCP_PROTOCOL);
    this.touched ^= this.p.flows.touch(hash);
    this.slots[n] = slot;
    this.hashes[n] = hash;
    this.ports[n] = ports;
    this.store(n, info);
    this.n = (n + 1) | 0;
  }

  private store(n: number, info: PacketInfo): void {
    const a = this.addresses;
    const at = n << 3;
    a[at] = info.dst.w0;
    a[at + 1] = info.dst.w1;
    a[at + 2] = info.dst.w2;
    a[at + 3] = info.dst.w3;
    a[at + 4] = info.src.w0;
    a[at + 5] = info.src.w1;
    a[at + 6] = info.src.w2;
    a[at + 7] = info.src.w3;
    const m = n << 2;
    this.marks[m] = info.ttl;
    this.marks[m + 1] = info.tos;
    this.marks[m + 2] = info.ifIndex;
    this.marks[m + 3] = info.flags;
  }

  private load(n: number): void {
    const a = this.addresses;
    const at = n << 3;
    const info = this.info;
    info.local.set(a[at]!, a[at + 1]!, a[at + 2]!, a[at + 3]!);
    info.remote.set(a[at + 4]!, a[at + 5]!, a[at + 6]!, a[at + 7]!);
    const m = n << 2;
    info.ttl = this.marks[m]!;
    info.tos = this.marks[m + 1]!;
    info.ifIndex = this.marks[m + 2]!;
  }

  /** Hot path. Processes what was received; returns how many segments that was. */
  drain(nowUs: number): number {
    const n = this.n;
    if (n === 0) return 0;
    this.findRows(n);
    const host = this.p.host;
    const ended = host.endedFlows;
    for (let i = 0; i < n; i++) this.process(i, host.endedFlows === ended, nowUs);
    this.n = 0;
    return n;
  }

  private findRows(n: number): void {
    const flows = this.p.flows;
    const rowsMemory = this.p.tcp.tcb.i;
    const info = this.info;
    for (let i = 0; i < n; i++) {
      this.load(i);
      const row = flows.findHashed(
        this.hashes[i]!,
        info.local,
        info.remote,
        this.ports[i]!,
        TCP_PROTOCOL,
      );
      this.rows[i] = row;
      if (row === NO_ROW) continue;
      const at = row * ROW_INT32S;
      this.touched ^=
        rowsMemory[at]! ^ rowsMemory[at + SECOND_LINE]! ^ rowsMemory[at + ENGINE_LINE]!;
    }
  }

  private process(i: number, rowsAreValid: boolean, nowUs: number): void {
    this.load(i);
    const slot = this.slots[i]!;
    const info = this.info;
    if (!this.isIntact(slot, this.marks[(i << 2) + 3]!)) {
      this.p.drop(slot, Drop.TCP_BAD_CHECKSUM);
      return;
    }
    const { flows, tcp } = this.p;
    const hash = this.hashes[i]!;
    const ports = this.ports[i]!;
    let row = rowsAreValid ? this.rows[i]! : NO_ROW;
    if (row === NO_ROW) {
      row = flows.findHashed(hash, info.local, info.remote, ports, TCP_PROTOCOL);
    }
    if (row === NO_ROW) {
      row = this.p.ports.findListener(info.local, ports >>> 16, info.ifIndex, hash);
    }
    if (row === NO_ROW) tcp.segmentUnmatched(slot, info, nowUs);
    else if (this.isTooFar(row)) this.p.drop(slot, Drop.IP_TTL_TOO_LOW);
    else tcp.segmentArrives(row, slot, info, nowUs);
  }

  /** IP_MINTTL, IPV6_MINHOPCOUNT (RFC 5082). */
  private isTooFar(row: number): boolean {
    const rows = this.p.rows;
    const settings = this.info.remote.isV4 ? rows.ip4[row]! : rows.ip6[row]!;
    return this.info.ttl < settings >>> MIN_TTL_SHIFT;
  }

  private isIntact(slot: number, flags: number): boolean {
    if ((flags & CHECKSUM_KNOWN) !== 0) return true;
    const at = this.pool.l4At[slot]!;
    const n = (this.pool.end[slot]! - at) | 0;
    const seed = pseudo.sum(this.info.remote, this.info.local, TCP_PROTOCOL, n);
    return fold(this.p.checksum.sum(at, n, seed)) === 0xffff;
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
