/**
 * UDP (RFC 768, RFC 1122 §4.1): from IP packets to endpoints. Checks, finds who is meant, hands over
 * the slot; groups and broadcasts go to every endpoint that wants them, each with its own copy.
 *
 * A datagram for a port that nobody has is answered by "port unreachable" (RFC 1122 §4.1.3.1).
 * A zero checksum is accepted over IPv4 and refused over IPv6 (RFC 8200 §8.1).
 */
import { copyWithin, put16 } from "../base/bytes.js";
import { fold } from "../base/checksum.js";
import { EADDRINUSE } from "../base/errno.js";
import { ANY6, type IpAddress } from "../base/ip-address.js";
import type { Random } from "../base/random.js";
import type { ArenaChecksum } from "../ring/arena-checksum.js";
import { FrameFlags, HEADROOM_BYTES, NO_SLOT, type Pool, SMALL_SLOT_BYTES } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as icmp4 from "../wire/icmpv4.js";
import * as icmp6 from "../wire/icmpv6.js";
import * as protocols from "../wire/ip-protocol.js";
import * as pseudo from "../wire/pseudo-header.js";
import * as wire from "../wire/udp.js";
import type { Ip } from "./ip.js";
import { DestinationKind, type PacketInfo } from "./packet-info.js";
import { EphemeralPorts } from "./ports.js";
import { NO_SINK, type ReadinessSink } from "./readiness-sink.js";
import type { PathError, Transport } from "./transport.js";
import { score, UdpDemux } from "./udp-demux.js";
import { MAX_SEGMENTS, UdpEndpoint } from "./udp-endpoint.js";
import { PlainSend } from "./udp-plain-send.js";

export interface UdpParts {
  readonly ip: Ip;
  readonly pool?: Pool;
  readonly random?: Random;
  readonly readiness?: ReadinessSink;
}

const CHECKSUM_KNOWN = FrameFlags.CHECKSUM_VALID | FrameFlags.CHECKSUM_PARTIAL;

export class Udp implements Transport {
  readonly ip: Ip;
  readonly demux: UdpDemux;
  readonly ports: EphemeralPorts;
  /** Hears of readiness; may be set after construction. */
  readiness: ReadinessSink;
  private readonly pool: Pool;
  private readonly view: DataView;
  private readonly checksum: ArenaChecksum;
  /** How most datagrams are sent. */
  readonly plainSend: PlainSend;
  private nextId = 1;
  private readonly freeIds: number[] = [];
  private openCount = 0;

  constructor(parts: UdpParts) {
    const random = parts.random ?? parts.ip.random;
    this.ip = parts.ip;
    this.pool = parts.ip.pool;
    this.view = parts.ip.view;
    this.checksum = parts.ip.checksum;
    this.readiness = parts.readiness ?? NO_SINK;
    this.demux = new UdpDemux(random.int32(), random.int32());
    this.ports = new EphemeralPorts(random);
    this.plainSend = new PlainSend(parts.ip);
  }

  /** Open endpoints. */
  get size(): number {
    return this.openCount;
  }

  /** A new endpoint, unbound. */
  open(family: 4 | 6): UdpEndpoint {
    const id = this.freeIds.pop() ?? this.nextId++;
    this.openCount++;
    return new UdpEndpoint(this, family, id);
  }

  /** Hot path. The endpoint with this cookie may have new readiness. */
  changed(cookie: number): void {
    this.readiness.changed(cookie);
  }

  // Ports

  /** Gives an endpoint its address and port (0: a free one); the port, or a negated error number. */
  claim(e: UdpEndpoint, address: IpAddress, port: number): number {
    const isFree = (p: number): boolean => !this.demux.conflicts(e, address, p);
    if (port !== 0 && !isFree(port)) return -EADDRINUSE;
    const { kernel } = this.ip;
    let chosen = port;
    if (kernel?.claims.concerns(address, e.ifIndex)) {
      chosen = kernel.udp.bind(e, address, port, isFree);
      if (chosen < 0) return chosen;
    } else if (port === 0) {
      chosen = this.ports.choose(address, ANY6, 0, isFree);
      if (chosen === 0) return -EADDRINUSE;
    }
    e.localAddress.setFrom(address);
    e.localPort = chosen;
    this.demux.add(e);
    this.ip.prediction.forget();
    return chosen;
  }

  /** Changes an endpoint's addresses under the table's eyes: 0, or -ENOBUFS on shared interfaces. */
  rename(e: UdpEndpoint, change: () => void): number {
    this.demux.disconnected(e);
    change();
    if (e.isConnected) this.demux.nowConnected(e);
    this.ip.prediction.forget();
    return this.ip.kernel?.udp.moved(e) ?? 0;
  }

  /** Takes the port away again. */
  release(e: UdpEndpoint): void {
    if (e.localPort === 0) return;
    this.demux.remove(e);
    this.ip.kernel?.udp.release(e);
    e.localPort = 0;
    this.ip.prediction.forget();
  }

  close(e: UdpEndpoint): void {
    this.release(e);
    this.freeIds.push(e.id);
    this.openCount--;
  }

  // Input

  /** Hot path. */
  receive(slot: number, info: PacketInfo): void {
    const { pool, view } = this;
    const at = info.l4At;
    const roomBytes = info.end - at;
    if (roomBytes < wire.HEADER_BYTES) {
      this.ip.drop(slot, Drop.UDP_TRUNCATED);
      return;
    }
    const ports = view.getInt32(at);
    const lengthAndSum = view.getInt32(at + 4);
    const lengthBytes = lengthAndSum >>> 16;
    let reason: Drop = Drop.NONE;
    if (lengthBytes < wire.HEADER_BYTES || lengthBytes > roomBytes || (ports & 0xffff) === 0) {
      reason = wire.check(pool.bytes, at, info.end);
    } else if ((info.flags & CHECKSUM_KNOWN) === 0) {
      if ((lengthAndSum & 0xffff) === 0) {
        reason = info.dst.isV4 ? Drop.NONE : Drop.UDP_NO_CHECKSUM;
      } else {
        const seed = pseudo.sumAddresses(info.src, info.dst) + protocols.UDP + lengthBytes;
        const total = fold(this.checksum.sum(at, lengthBytes, seed));
        if (total !== 0xffff) reason = Drop.UDP_BAD_CHECKSUM;
      }
    }
    if (reason !== Drop.NONE) {
      this.ip.drop(slot, reason);
      return;
    }
    pool.end[slot] = at + lengthBytes;
    if ((info.flags & FrameFlags.GSO_UDP) !== 0) this.receiveTrain(slot, info);
    else if (info.dstKind === DestinationKind.UNICAST) this.receiveOne(slot, info);
    else this.receiveGroup(slot, info);
  }

  /** Hot path. To one endpoint. */
  private receiveOne(slot: number, info: PacketInfo): void {
    const at = info.l4At;
    const ports = this.view.getInt32(at);
    const e = this.demux.find(info.dst, ports & 0xffff, info.src, ports >>> 16, info.ifIndex);
    if (e === null) {
      this.unreachable(slot, info);
      return;
    }
    this.ip.prediction.remember(info, ports, e);
    this.pool.at[slot] = at + wire.HEADER_BYTES;
    e.put(slot, info.ttl);
  }

  private unreachable(slot: number, info: PacketInfo): void {
    if (info.dst.isV4) {
      this.ip.icmp4.sendError(slot, icmp4.UNREACHABLE, icmp4.PORT_UNREACHABLE, 0);
    } else {
      this.ip.icmp6.sendError(slot, icmp6.UNREACHABLE, icmp6.PORT_UNREACHABLE, 0, false);
    }
    this.ip.drop(slot, Drop.UDP_NO_SOCKET);
  }

  /** To every endpoint that the group or broadcast concerns; the last one gets the slot itself. */
  private receiveGroup(slot: number, info: PacketInfo): void {
    const b = this.pool.bytes;
    const list = this.demux.at(wire.dstPort(b, info.l4At));
    let last: UdpEndpoint | null = null;
    for (let i = 0; i < list.length; i++) {
      const e = list[i]!;
      if (!this.wantsGroup(e, info)) continue;
      if (last !== null) this.deliverCopy(last, slot, info);
      last = e;
    }
    if (last === null) {
      this.ip.drop(slot, Drop.UDP_NO_SOCKET);
      return;
    }
    this.pool.at[slot] = info.l4At + wire.HEADER_BYTES;
    last.put(slot, info.ttl);
  }

  private wantsGroup(e: UdpEndpoint, info: PacketInfo): boolean {
    const srcPort = wire.srcPort(this.pool.bytes, info.l4At);
    if (score(e, info.dst, info.src, srcPort, info.ifIndex) < 0) return false;
    if (info.dstKind !== DestinationKind.MULTICAST) return true;
    return e.memberships.accepts(info.ifIndex, info.dst, info.src);
  }

  private deliverCopy(e: UdpEndpoint, slot: number, info: PacketInfo): void {
    const { pool } = this;
    const n = pool.end[slot]! - (info.l4At + wire.HEADER_BYTES);
    const copy = this.copyPart(slot, info, 0, n);
    if (copy === NO_SLOT) this.ip.lost(Drop.POOL_EMPTY);
    else e.put(copy, info.ttl);
  }

  /** A slot with the datagram's headers and `n` bytes of its payload from `offset`; or NO_SLOT. */
  private copyPart(slot: number, info: PacketInfo, offset: number, n: number): number {
    const { pool } = this;
    const headerBytes = info.l4At + wire.HEADER_BYTES - info.l3At;
    const isSmall = HEADROOM_BYTES + headerBytes + n <= SMALL_SLOT_BYTES;
    const copy = isSmall ? pool.take() : pool.takeBig();
    if (copy === NO_SLOT) return NO_SLOT;
    const l3At = pool.base(copy) + HEADROOM_BYTES;
    const payloadAt = l3At + headerBytes;
    copyWithin(pool.bytes, l3At, info.l3At, headerBytes);
    copyWithin(pool.bytes, payloadAt, info.l4At + wire.HEADER_BYTES + offset, n);
    pool.l3At[copy] = l3At;
    pool.l4At[copy] = payloadAt - wire.HEADER_BYTES;
    pool.at[copy] = payloadAt;
    pool.end[copy] = payloadAt + n;
    pool.flags[copy] = info.flags & ~FrameFlags.GSO_UDP;
    pool.ifIndex[copy] = info.ifIndex;
    pool.rxTimeUs[copy] = pool.rxTimeUs[slot]!;
    put16(pool.bytes, payloadAt - wire.HEADER_BYTES + 4, n + wire.HEADER_BYTES);
    return copy;
  }

  /** Datagrams of one flow that came unsplit (GSO_UDP): each becomes its own again. */
  private receiveTrain(slot: number, info: PacketInfo): void {
    const { pool } = this;
    const pieceBytes = pool.gsoBytes[slot]!;
    const total = pool.end[slot]! - info.l4At - wire.HEADER_BYTES;
    if (pieceBytes <= 0 || pieceBytes * MAX_SEGMENTS < total) {
      this.ip.drop(slot, Drop.DEVICE_BAD_METADATA);
      return;
    }
    const { l3At, l4At, end, flags } = info;
    for (let offset = 0; offset < total; offset += pieceBytes) {
      const n = Math.min(pieceBytes, total - offset);
      const piece = this.copyPart(slot, info, offset, n);
      if (piece === NO_SLOT) {
        this.ip.lost(Drop.POOL_EMPTY);
        break;
      }
      info.l3At = pool.l3At[piece]!;
      info.l4At = pool.l4At[piece]!;
      info.end = pool.end[piece]!;
      info.flags = pool.flags[piece]!;
      if (info.dstKind === DestinationKind.UNICAST) this.receiveOne(piece, info);
      else this.receiveGroup(piece, info);
      info.l3At = l3At;
      info.l4At = l4At;
      info.end = end;
      info.flags = flags;
    }
    pool.give(slot);
  }

  /** Whether a socket is bound there, or at a wildcard that means it. */
  isBoundAt(address: IpAddress, port: number): boolean {
    return this.demux.at(port).some(({ localAddress }) => {
      return localAddress.isUnspecified || localAddress.equals(address);
    });
  }

  /** Whether an endpoint may have sent the datagram (Linux asks no more). */
  believes(error: PathError): boolean {
    const { local, localPort, remote, remotePort } = error;
    return this.demux.find(local, localPort, remote, remotePort, 0) !== null;
  }

  /** An ICMP error about a datagram of ours: to the endpoint that sent it. */
  pathError(error: PathError): void {
    this.demux
      .find(error.local, error.localPort, error.remote, error.remotePort, 0)
      ?.pathError(error);
  }
}
