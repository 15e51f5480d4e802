/**
 * Which UDP endpoint a datagram is for, and which binds conflict: Linux's rules.
 *
 * Look-up: every endpoint of the port is scored; one that demands something else (address, peer,
 * interface, family) does not match. A specific local address beats any wildcard; then a connected
 * peer counts 8, an interface 4, the same family 1. Among equals the last bound wins, unless they
 * share a port with SO_REUSEPORT: then a hash of the flow spreads.
 *
 * A port with many endpoints looks for a connected one in a flow table first.
 */
import type { IpAddress } from "../base/ip-address.js";
import { FlowTable, NO_ROW, packPorts } from "../ring/flow-table.js";
import { type Home, isHome } from "./home.js";
import type { UdpEndpoint } from "./udp-endpoint.js";

/** Endpoints of a port up to which they are all scored. */
const SCAN_MAX = 8;
const UDP = 17;
const NO_MATCH = -1;

const SCORE_LOCAL = 64;
const SCORE_PEER = 8;
const SCORE_INTERFACE = 4;
const SCORE_FAMILY = 1;

export class UdpDemux {
  private readonly ports = new Map<number, UdpEndpoint[]>();
  private readonly connected: FlowTable;
  private lastPort = -1;
  private lastList: UdpEndpoint[] = [];

  constructor(secret0: number, secret1: number) {
    this.connected = new FlowTable(secret0, secret1);
  }

  /** Endpoints of a port, the last bound first. Borrowed. */
  at(port: number): readonly UdpEndpoint[] {
    return this.list(port);
  }

  /** Hot path. */
  private list(port: number): UdpEndpoint[] {
    if (port === this.lastPort) return this.lastList;
    const list = this.ports.get(port);
    if (list === undefined) return NONE;
    this.lastPort = port;
    this.lastList = list;
    return list;
  }

  add(e: UdpEndpoint): void {
    const list = this.ports.get(e.localPort) ?? [];
    this.ports.set(e.localPort, [e, ...list]);
    this.lastPort = -1;
  }

  remove(e: UdpEndpoint): void {
    this.disconnected(e);
    const list = (this.ports.get(e.localPort) ?? []).filter((other) => other !== e);
    if (list.length === 0) this.ports.delete(e.localPort);
    else this.ports.set(e.localPort, list);
    this.lastPort = -1;
  }

  /** The endpoint now has a peer. */
  nowConnected(e: UdpEndpoint): void {
    const ports = packPorts(e.localPort, e.remotePort);
    const row = this.connected.find(e.localAddress, e.remoteAddress, ports, UDP);
    if (row !== NO_ROW) {
      this.shared.add(row);
      return;
    }
    this.connected.insert(e.localAddress, e.remoteAddress, ports, UDP, e.id);
    this.rows.set(e.id, e);
  }

  disconnected(e: UdpEndpoint): void {
    if (this.rows.delete(e.id)) this.connected.remove(e.id);
    this.shared.delete(e.id);
  }

  private readonly rows = new Map<number, UdpEndpoint>();
  /** Rows whose addresses and ports another endpoint has, too: an interface or a family decides then. */
  private readonly shared = new Set<number>();

  /** Hot path. The endpoint for a datagram to `dst`, or null. */
  find(
    dst: IpAddress,
    dstPort: number,
    src: IpAddress,
    srcPort: number,
    ifIndex: number,
  ): UdpEndpoint | null {
    const list = this.list(dstPort);
    if (list.length > SCAN_MAX) {
      const row = this.connected.find(dst, src, packPorts(dstPort, srcPort), UDP);
      const e = row === NO_ROW || this.shared.has(row) ? null : this.rows.get(row)!;
      if (e !== null && scoreOne(e, dst, src, srcPort, ifIndex) !== NO_MATCH) return e;
    }
    let best: UdpEndpoint | null = null;
    let bestScore = NO_MATCH;
    for (let i = 0; i < list.length; i++) {
      const e = list[i]!;
      const s = scoreOne(e, dst, src, srcPort, ifIndex);
      if (s > bestScore) {
        best = e;
        bestScore = s;
      }
    }
    if (best === null || !best.reusePort || list.length === 1) return best;
    return this.spread(list, bestScore, dst, src, srcPort, ifIndex);
  }

  /** One of the SO_REUSEPORT endpoints of this score, by a hash of the flow. */
  private spread(
    list: UdpEndpoint[],
    wanted: number,
    dst: IpAddress,
    src: IpAddress,
    srcPort: number,
    ifIndex: number,
  ): UdpEndpoint {
    let members = 0;
    let first = list[0]!;
    for (const e of list) {
      if (!e.reusePort || scoreOne(e, dst, src, srcPort, ifIndex) !== wanted) continue;
      if (members === 0) first = e;
      members++;
    }
    let h = Math.imul(src.w3 ^ src.w2 ^ src.w1 ^ src.w0 ^ srcPort, 0x9e3779b1);
    h = Math.imul(h ^ (h >>> 15) ^ dst.w3, 0x85ebca77);
    let left = ((h ^ (h >>> 13)) >>> 0) % members;
    for (const e of list) {
      if (!e.reusePort || scoreOne(e, dst, src, srcPort, ifIndex) !== wanted) continue;
      if (left === 0) return e;
      left--;
    }
    return first;
  }

  /** Whether a bind of `e` to this address and port conflicts with another endpoint's. */
  conflicts(e: UdpEndpoint, address: IpAddress, port: number): boolean {
    for (const other of this.list(port)) {
      if (other === e) continue;
      if (e.reuseAddress && other.reuseAddress) continue;
      const devices = e.ifIndex === 0 || other.ifIndex === 0 || e.ifIndex === other.ifIndex;
      if (!devices) continue;
      if (!overlap(e, address, other, other.localAddress)) continue;
      if (areApart(e.home, address, other.home, other.localAddress)) continue;
      if (e.reusePort && other.reusePort) continue;
      return true;
    }
    return false;
  }
}

const NONE: UdpEndpoint[] = [];

/** Hot path. As {@link score}, of a datagram to a unicast address, which homes concern. */
function scoreOne(
  e: UdpEndpoint,
  dst: IpAddress,
  src: IpAddress,
  srcPort: number,
  ifIndex: number,
): number {
  if (e.home !== null && e.localAddress.isUnspecified && !isHome(e.home, dst)) return NO_MATCH;
  return score(e, dst, src, srcPort, ifIndex);
}

/** Whether two binds that overlap do not after all, because wildcards mean homes. */
export function areApart(a: Home | null, at: IpAddress, b: Home | null, bt: IpAddress): boolean {
  const anyA = at.isUnspecified && a !== null;
  const anyB = bt.isUnspecified && b !== null;
  if (anyA && anyB) return a !== b;
  if (anyA) return !bt.isUnspecified && !bt.isMulticast && !isHome(a, bt);
  return anyB && !at.isUnspecified && !at.isMulticast && !isHome(b, at);
}

/** Hot path. How well an endpoint fits a datagram, or NO_MATCH. */
export function score(
  e: UdpEndpoint,
  dst: IpAddress,
  src: IpAddress,
  srcPort: number,
  ifIndex: number,
): number {
  let s = 0;
  if (dst.isV4) {
    if (e.family === 4) s = SCORE_FAMILY;
    else if (e.v6only) return NO_MATCH;
  } else if (e.family === 4) return NO_MATCH;
  else s = SCORE_FAMILY;
  if (!e.localAddress.isUnspecified) {
    if (!e.localAddress.equals(dst)) return NO_MATCH;
    s += SCORE_LOCAL;
  } else if (e.localAddress.isV4 && !dst.isV4) return NO_MATCH;
  if (e.isConnected) {
    if (e.remotePort !== srcPort || !e.remoteAddress.equals(src)) return NO_MATCH;
    s += SCORE_PEER;
  }
  if (e.ifIndex !== 0) {
    if (ifIndex !== 0 && !e.isBoundWhere(ifIndex, dst)) return NO_MATCH; // 0: an ICMP error, from anywhere
    s += SCORE_INTERFACE;
  }
  return s;
}

/** Whether two binds mean an address in common (Linux's inet_rcv_saddr_equal). */
function overlap(a: UdpEndpoint, at: IpAddress, b: UdpEndpoint, bt: IpAddress): boolean {
  const anyA = at.isUnspecified;
  const anyB = bt.isUnspecified;
  if (!anyA && !anyB) return at.equals(bt);
  return (familiesOf(a, at, anyA) & familiesOf(b, bt, anyB)) !== 0;
}

/** Bit 1: receives IPv4; bit 2: receives IPv6. */
function familiesOf(e: UdpEndpoint, address: IpAddress, isAny: boolean): number {
  if (address.isV4) return 1;
  if (isAny && e.family === 6 && !e.v6only) return 3;
  return 2;
}
