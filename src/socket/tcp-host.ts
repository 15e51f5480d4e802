/**
 * The host side of the TCP engine: sending through IP, the flow table, timers, readiness.
 *
 * IP settings of a row (TTL, TOS, path MTU discovery) are columns of `TcpRows`; one `SendOptions`
 * object is filled from them for every segment.
 */
import { EADDRNOTAVAIL } from "../base/errno.js";
import { grown } from "../base/growth.js";
import { IpAddress } from "../base/ip-address.js";
import type { Ip } from "../ip/ip.js";
import { type Path, PathKind } from "../ip/path.js";
import { DontFragment, SendOptions } from "../ip/send-options.js";
import { Capability } from "../nic/device.js";
import { copyFar } from "../nic/far-copy.js";
import { type FlowTable, packPorts } from "../ring/flow-table.js";
import type { Pool } from "../ring/pool.js";
import type { TimingWheel } from "../ring/timing-wheel.js";
import { SegmentFlags } from "../tcp/segment-flags.js";
import type { Tcb } from "../tcp/tcb.js";
import { ROW_INT32S } from "../tcp/tcb-row.js";
import type { TcpHost } from "../tcp/tcp-host.js";
import * as wire from "../wire/tcp.js";
import type { SharedTcp } from "./shared-tcp.js";
import { TCP_PROTOCOL } from "./tcp-input.js";
import type { TcpPorts } from "./tcp-ports.js";
import { NONE, PMTU_SHIFT, RowFlags, type TcpRows, TOS_SHIFT } from "./tcp-rows.js";

/** ECN-capable transport (RFC 3168 §5). */
const ECT0 = 2;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
/** An IP packet's limit less the longest IP and TCP headers. */
const GSO_PAYLOAD_BYTES = 65_535 - 100;

export interface TcpHostParts {
  readonly pool: Pool;
  readonly ip: Ip;
  readonly flows: FlowTable;
  readonly wheel: TimingWheel;
  readonly rows: TcpRows;
  /** The socket of this number may have new readiness. */
  socketChanged(id: number): void;
}

export class TcpHostSide implements TcpHost {
  private readonly p: TcpHostParts;
  /** Set right after construction: the port table needs the engine, which needs this. */
  ports: TcpPorts | null = null;
  private readonly options = new SendOptions();
  private readonly local = new IpAddress();
  private readonly remote = new IpAddress();
  private wheelCapacity: number;
  /** Flows that have ended so far. */
  endedFlows = 0;
  /** Segments that could not be sent: no route, or IP refused them. */
  unsent = 0;
  /** Claims connections where interfaces are shared with the kernel. */
  shared: SharedTcp | null = null;
  /** Rows on shared interfaces whose path was looked up again: its MTU may be another. */
  moved: number[] = [];
  /** Why `bindFlow` refused, negated. */
  bindErrno = 0;

  constructor(parts: TcpHostParts, wheelCapacity: number) {
    this.p = parts;
    this.wheelCapacity = wheelCapacity;
  }

  /** Hot path. */
  transmit(c: Tcb, slot: number): void {
    const path = this.pathOf(c);
    if (path === null) {
      this.unsent++;
      this.p.pool.give(slot);
      return;
    }
    const rows = this.p.rows;
    const settings = rows.hasIpSettings ? this.ipSettings(c.row, path) : 0;
    const o = this.options;
    const pmtu = (settings >>> PMTU_SHIFT) & 7;
    o.ttl = settings & 0xff;
    o.tos = (settings >>> TOS_SHIFT) & 0xff;
    o.dontFragment = pmtu === 0 ? DontFragment.WANT : pmtu - 1;
    if ((this.p.pool.flags[slot]! & SegmentFlags.ECT) !== 0) {
      this.p.pool.flags[slot]! &= ~SegmentFlags.ECT;
      o.tos |= ECT0;
    }
    if (this.p.ip.send(slot, path, TCP_PROTOCOL, o) < 0) this.unsent++;
  }

  /** Hot path. */
  place(c: Tcb, bytes: number): number {
    const path = this.pathOf(c);
    if (path === null || this.p.rows.hasIpSettings) return -1;
    return this.p.ip.placed.place(path, TCP_PROTOCOL, bytes);
  }

  /** Hot path. */
  sendPlaced(): void {
    this.p.ip.placed.send(wire.CHECKSUM_AT);
  }

  /** Hot path. */
  private ipSettings(row: number, path: Path): number {
    const { rows } = this.p;
    return path.dst.isV4 ? rows.ip4[row]! : rows.ip6[row]!;
  }

  transmitUnbound(
    local: IpAddress,
    remote: IpAddress,
    ifIndex: number,
    slot: number,
    tos: number,
  ): void {
    const path = this.p.ip.resolve(remote, local, scopeOf(remote, ifIndex));
    if (path === null) {
      this.unsent++;
      this.p.pool.give(slot);
      return;
    }
    const o = this.options;
    o.ttl = 0;
    o.tos = tos;
    o.dontFragment = DontFragment.WANT;
    if (this.p.ip.send(slot, path, TCP_PROTOCOL, o) < 0) this.unsent++;
  }

  /** The rows are the flow table's keys: they may have moved since the last one was bound. */
  bindFlow(c: Tcb, ifIndex: number): boolean {
    this.addressesOf(c);
    this.p.flows.useRows(c.i, ROW_INT32S, TCP_PROTOCOL);
    const ports = packPorts(c.localPort, c.remotePort);
    this.bindErrno = -EADDRNOTAVAIL;
    if (!this.p.flows.insert(this.local, this.remote, ports, TCP_PROTOCOL, c.row)) return false;
    if (this.shared !== null && !this.claim(this.shared, c)) return false;
    if (c.listener !== NONE) {
      this.p.rows.inherit(c.row, c.listener);
      const scope = scopeOf(this.remote, ifIndex);
      if (scope !== 0) this.p.rows.ifIndex[c.row] = scope;
      this.p.rows.set(c.row, RowFlags.LISTENERS_PORT, true);
      this.ports?.hold(c.row, c.localPort, false);
      this.shared?.inherit(c.row, c.listener);
    }
    return true;
  }

  findListener(local: IpAddress, remote: IpAddress, ports: number, ifIndex: number): number {
    const hash = this.p.flows.hash(local, remote, ports, TCP_PROTOCOL);
    return this.ports!.findListener(local, ports >>> 16, ifIndex, hash);
  }

  private claim(shared: SharedTcp, c: Tcb): boolean {
    const result = shared.addFlow(this.local, c.localPort, this.remote, c.remotePort);
    if (result >= 0) return true;
    this.bindErrno = result;
    this.p.flows.remove(c.row);
    return false;
  }

  /** A port that the user did not bind to goes with the connection, as in Linux. */
  unbindFlow(c: Tcb): void {
    const isBound = !this.p.rows.has(c.row, RowFlags.SHARED_PORT | RowFlags.LISTENERS_PORT);
    if (!isBound) this.ports?.release(c.row);
    if (!this.p.flows.remove(c.row)) return;
    this.endedFlows = (this.endedFlows + 1) | 0;
    if (this.shared === null) return;
    this.addressesOf(c);
    this.shared.removeFlow(this.local, c.localPort, this.remote, c.remotePort);
  }

  /** Hot path. */
  armTimer(row: number, atUs: number): void {
    if (row >= this.wheelCapacity) {
      this.wheelCapacity = grown(this.wheelCapacity, row + 1);
      this.p.wheel.grow(this.wheelCapacity);
    }
    this.p.wheel.arm(row, atUs);
  }

  /** Hot path. */
  disarmTimer(row: number): void {
    if (row < this.wheelCapacity) this.p.wheel.cancel(row);
  }

  /** Hot path. */
  changed(c: Tcb): void {
    if (c.socket !== 0) this.p.socketChanged(c.socket);
  }

  released(row: number): void {
    this.ports?.release(row);
    this.p.rows.clear(row);
  }

  segmentLimitBytes(c: Tcb): number {
    const path = this.pathOf(c);
    if (path === null) return 0;
    return path.mtuBytes - (path.dst.isV4 ? IPV4_BYTES : IPV6_BYTES);
  }

  gsoLimitBytes(c: Tcb): number {
    const path = this.pathOf(c);
    if (path === null) return 0;
    const bit = path.dst.isV4 ? Capability.TX_TSO4 : Capability.TX_TSO6;
    return (path.iface.device.capabilities & bit) === 0 ? 0 : GSO_PAYLOAD_BYTES;
  }

  /** Hot path. */
  borrowsFrames(c: Tcb): boolean {
    const path = this.pathOf(c);
    return path !== null && (path.iface.device.capabilities & Capability.TX_BORROWS) !== 0;
  }

  /** Hot path. */
  fill(c: Tcb, to: number, from: Uint8Array, at: number, n: number): boolean {
    const path = this.pathOf(c);
    if (path === null || (path.iface.device.capabilities & Capability.TX_FAR) === 0) return false;
    copyFar(this.p.pool.bytes, to, from, at, n);
    return true;
  }

  confirmReachable(c: Tcb): void {
    const path = c.path === 0 ? null : this.p.ip.path(c.path);
    if (path !== null) this.p.ip.confirmReachable(path);
  }

  adviseLoss(c: Tcb): void {
    c.path = 0; // the next segment resolves anew
  }

  /** The row of this host that a connection leads to, or NONE. */
  farRow(c: Tcb): number {
    this.addressesOf(c);
    const ports = packPorts(c.remotePort, c.localPort);
    return this.p.flows.find(this.remote, this.local, ports, TCP_PROTOCOL);
  }

  /** Hot path. Whether a connection leads to this host itself. */
  isLocal(c: Tcb): boolean {
    return this.pathOf(c)?.kind === PathKind.LOCAL;
  }

  /** Hot path. The row's path, resolved again when routes or addresses have changed. */
  private pathOf(c: Tcb): Path | null {
    if (c.path !== 0) {
      const known = this.p.ip.path(c.path);
      if (known !== null && !known.isStale) return known;
    }
    this.addressesOf(c);
    const path = this.p.ip.resolve(this.remote, this.local, this.p.rows.ifIndex[c.row]!);
    if (this.shared !== null && c.path !== 0 && path !== null) this.moved.push(c.row);
    c.path = path === null ? 0 : path.id;
    return path;
  }

  private addressesOf(c: Tcb): void {
    const i = c.i;
    const at = c.addressAt;
    this.local.set(i[at]!, i[at + 1]!, i[at + 2]!, i[at + 3]!);
    this.remote.set(i[at + 4]!, i[at + 5]!, i[at + 6]!, i[at + 7]!);
  }
}

/** A link-local address of IPv6 means something on one link only (RFC 4007 §6). */
const scopeOf = (remote: IpAddress, ifIndex: number): number =>
  !remote.isV4 && remote.isLinkLocal ? ifIndex : 0;
