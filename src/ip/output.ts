/**
 * From a transport packet to frames on an interface: IP header, fragmentation, the neighbour's
 * hardware address, copies for members on this host.
 *
 * A GSO frame leaves as one frame when its pieces fit the path; it is never fragmented. The
 * identification of an IPv4 packet counts per path, so packets that may be fragmented do not repeat
 * it soon (RFC 6864 §4.3). IPv6 fragments carry random identifications (RFC 7739 §5.3).
 */
import { assert, CHECKED } from "../base/assert.js";
import { copyWithin, put16 } from "../base/bytes.js";
import { fold } from "../base/checksum.js";
import { EHOSTUNREACH, EMSGSIZE, ENETDOWN, ENOBUFS } from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import { completeChecksum, takeFor } from "../nic/frame-slots.js";
import {
  FrameFlags,
  GSO_MASK,
  HEADROOM_BYTES,
  NO_SLOT,
  type Pool,
  SMALL_SLOT_BYTES,
} from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as ethernet from "../wire/ethernet.js";
import * as protocols from "../wire/ip-protocol.js";
import * as ipv4 from "../wire/ipv4.js";
import * as options4 from "../wire/ipv4-options.js";
import * as ipv6 from "../wire/ipv6.js";
import * as extensions from "../wire/ipv6-extensions.js";
import * as fragment6 from "../wire/ipv6-fragment.js";
import * as tcp from "../wire/tcp.js";
import * as udp from "../wire/udp.js";
import type { Ip } from "./ip.js";
import { NeighbourState } from "./neighbour.js";
import { type Path, PathKind } from "./path.js";
import { DontFragment, type SendOptions } from "./send-options.js";

const DF = 0x4000;
const DEFAULT_TTL = 64;

export class Output {
  private readonly ip: Ip;
  private readonly pool: Pool;
  private readonly view: DataView;

  constructor(ip: Ip) {
    this.ip = ip;
    this.pool = ip.pool;
    this.view = ip.view;
  }

  /** Hot path. See `Ip.send`. */
  send(slot: number, path: Path, protocol: number, o: SendOptions): number {
    const { pool } = this;
    const at = pool.at[slot]!;
    const headerBytes = path.isV4 ? ipv4.HEADER_BYTES : ipv6.HEADER_BYTES;
    const packetBytes = pool.end[slot]! - at + headerBytes + (o.routerAlert ? 8 : 0);
    if (CHECKED) assert(at - pool.base(slot) >= 80, "headroom before the transport header");
    let mustFragment = false;
    let limit = o.dontFragment === DontFragment.PROBE ? linkMtu(path) : path.mtuBytes;
    if (o.mtu6Bytes !== 0 && !path.isV4 && o.mtu6Bytes < limit) limit = o.mtu6Bytes;
    if (packetBytes > limit) {
      const fits = this.piecesFit(slot, protocol, headerBytes, limit);
      mustFragment = !fits;
      const tooLong = packetBytes > 65_535 + (path.isV4 ? 0 : ipv6.HEADER_BYTES);
      if (tooLong || (mustFragment && !this.mayFragment(slot, o))) {
        this.ip.drop(slot, Drop.TOO_BIG);
        return -EMSGSIZE;
      }
    }
    if (mustFragment && (pool.flags[slot]! & FrameFlags.CHECKSUM_PARTIAL) !== 0) {
      completeChecksum(pool, this.ip.checksum, slot);
    }
    if (path.isV4) {
      const df = mustFragment || o.dontFragment === DontFragment.NEVER ? 0 : DF;
      this.writeHeader4(slot, path, protocol, o, df);
    } else this.writeHeader6(slot, path, protocol, o);
    if (path.kind >= PathKind.BROADCAST && !this.copyToSelf(slot, path, o)) return 0;
    return mustFragment
      ? this.fragment(slot, path, Math.min(limit, path.mtuBytes))
      : this.link(slot, path);
  }

  /** A GSO frame may exceed the path's MTU when each of its pieces does not. */
  private piecesFit(slot: number, protocol: number, ipBytes: number, limit: number): boolean {
    const { pool } = this.ip;
    if ((pool.flags[slot]! & GSO_MASK) === 0) return false;
    const at = pool.at[slot]!;
    const l4Bytes = protocol === protocols.TCP ? tcp.headerBytes(pool.bytes, at) : udp.HEADER_BYTES;
    return ipBytes + l4Bytes + pool.gsoBytes[slot]! <= limit;
  }

  private mayFragment(slot: number, o: SendOptions): boolean {
    return o.dontFragment <= DontFragment.WANT && (this.ip.pool.flags[slot]! & GSO_MASK) === 0;
  }

  /** Hot path. Puts the IPv4 header before `at`; afterwards `at` and `l3At` are its offset. */
  private writeHeader4(
    slot: number,
    path: Path,
    protocol: number,
    o: SendOptions,
    df: number,
  ): void {
    const { pool, view } = this;
    const l4At = pool.at[slot]!;
    const headerBytes = o.routerAlert ? 24 : 20;
    const at = l4At - headerBytes;
    const total = pool.end[slot]! - at;
    const id = path.nextId;
    path.nextId = (id + 1) & 0xffff;
    const ttlAndProtocol = (ttlOf(path, o, DEFAULT_TTL) << 8) | protocol;
    const first = 0x4000 | (headerBytes << 6) | o.tos;
    let sum = first + total + id + df + ttlAndProtocol + path.pseudoSum;
    if (o.routerAlert) {
      options4.putRouterAlert(pool.bytes, at + 20);
      sum += 0x9404;
    }
    view.setInt32(at, (first << 16) | total);
    view.setInt32(at + 4, (id << 16) | df);
    view.setInt32(at + 8, (ttlAndProtocol << 16) | (~fold(sum) & 0xffff));
    view.setInt32(at + ipv4.SRC, path.src.w3);
    view.setInt32(at + ipv4.DST, path.dst.w3);
    pool.l4At[slot] = l4At;
    pool.l3At[slot] = at;
    pool.at[slot] = at;
  }

  /** Hot path. As {@link writeHeader4}. */
  private writeHeader6(slot: number, path: Path, protocol: number, o: SendOptions): void {
    const { pool, view } = this;
    const b = pool.bytes;
    const l4At = pool.at[slot]!;
    let payloadAt = l4At;
    let next = protocol;
    if (o.routerAlert) {
      payloadAt -= extensions.ROUTER_ALERT_BYTES;
      extensions.writeRouterAlert(b, payloadAt, protocol, 0);
      next = protocols.HOP_BY_HOP;
    }
    const at = payloadAt - ipv6.HEADER_BYTES;
    const length = pool.end[slot]! - payloadAt;
    const hops = ttlOf(path, o, path.iface.hopLimit);
    view.setInt32(at, 0x6000_0000 | (o.tos << 20) | (o.flowLabel & 0xfffff));
    view.setInt32(at + 4, (length << 16) | (next << 8) | hops);
    this.writeAddress(at + ipv6.SRC, path.src);
    this.writeAddress(at + ipv6.DST, path.dst);
    pool.l4At[slot] = l4At;
    pool.l3At[slot] = at;
    pool.at[slot] = at;
  }

  /** Hot path. */
  private writeAddress(at: number, a: IpAddress): void {
    const { view } = this;
    view.setInt32(at, a.w0);
    view.setInt32(at + 4, a.w1);
    view.setInt32(at + 8, a.w2);
    view.setInt32(at + 12, a.w3);
  }

  /**
   * Hot path. The packet at `at` goes to the path's neighbour, or waits for its address. Takes the
   * slot.
   */
  link(slot: number, path: Path): number {
    const { pool, view } = this;
    const iface = path.iface;
    const n = path.neighbour;
    if (!iface.hasChecksum && (pool.flags[slot]! & FrameFlags.CHECKSUM_PARTIAL) !== 0) {
      completeChecksum(pool, this.ip.checksum, slot);
    }
    const at = pool.at[slot]! - ethernet.HEADER_BYTES;
    view.setInt32(at, (n.macHigh << 16) | (n.macLow >>> 16));
    view.setInt32(at + 4, (n.macLow << 16) | iface.macHigh);
    view.setInt32(at + 8, iface.macLow);
    view.setInt16(at + ethernet.TYPE, path.isV4 ? ethernet.TYPE_IPV4 : ethernet.TYPE_IPV6);
    pool.at[slot] = at;
    const isPlain =
      n.state === NeighbourState.PERMANENT ||
      (n.state === NeighbourState.REACHABLE && this.ip.nowUs < n.reachableUntilUs);
    if (isPlain) {
      iface.put(slot);
      return 0;
    }
    return this.linkUnconfirmed(slot, path);
  }

  private linkUnconfirmed(slot: number, path: Path): number {
    const { pool, neighbours } = this.ip;
    if (!path.iface.isUp) {
      this.ip.drop(slot, Drop.LINK_DOWN);
      return -ENETDOWN;
    }
    let n = path.neighbour;
    if (n.state === NeighbourState.REMOVED) {
      if (this.ip.interfaceAt(path.iface.index) !== path.iface) {
        this.ip.drop(slot, Drop.DEVICE_GONE);
        return -ENETDOWN;
      }
      const again = neighbours.lookup(path.iface, path.nextHop);
      if (again === null) {
        this.ip.drop(slot, Drop.NEIGHBOUR_TABLE_FULL);
        return -ENOBUFS;
      }
      path.neighbour = again;
      n = again;
    }
    if (neighbours.use(n, slot)) {
      ethernet.putAddress(pool.bytes, pool.at[slot]!, n.macHigh, n.macLow);
      path.iface.put(slot);
    }
    return 0;
  }

  /**
   * A copy of a broadcast, or of a multicast that has members here, comes back as received; false
   * when that was all there was to do (TTL 0) and the slot is given back.
   */
  private copyToSelf(slot: number, path: Path, o: SendOptions): boolean {
    const { pool } = this.ip;
    const iface = path.iface;
    const isWanted =
      path.kind === PathKind.BROADCAST ||
      (o.multicastLoop && iface.filters.find(path.dst) !== null);
    if (isWanted && !iface.isLoopback) {
      const at = pool.at[slot]!;
      const n = pool.end[slot]! - at;
      const copy = takeFor(pool, n + ethernet.HEADER_BYTES);
      if (copy === NO_SLOT) this.ip.lost(Drop.POOL_EMPTY);
      else this.loopCopy(copy, slot, at, n, path);
    }
    if (!o.hostOnly) return true;
    pool.give(slot);
    return false;
  }

  private loopCopy(copy: number, slot: number, from: number, n: number, path: Path): void {
    const { pool } = this.ip;
    const at = pool.at[copy]!;
    copyWithin(pool.bytes, at + ethernet.HEADER_BYTES, from, n);
    ethernet.putAddress(pool.bytes, at, path.neighbour.macHigh, path.neighbour.macLow);
    ethernet.putAddress(pool.bytes, at + 6, path.iface.macHigh, path.iface.macLow);
    put16(pool.bytes, at + 12, path.isV4 ? ethernet.TYPE_IPV4 : ethernet.TYPE_IPV6);
    pool.flags[copy] = pool.flags[slot]!;
    pool.gsoBytes[copy] = pool.gsoBytes[slot]!;
    const { lo, loopback } = this.ip;
    if (lo.backlogFrames > 0) lo.flush(this.ip.nowUs); // not before what was sent to this host earlier
    if (!loopback.loop(copy, path.iface.index)) this.ip.drop(copy, Drop.LOOP);
  }

  /** Sends the packet at `at` in pieces of up to `most` octets, and gives the slot back. */
  private fragment(slot: number, path: Path, most: number): number {
    const { pool } = this.ip;
    const at = pool.at[slot]!;
    const b = pool.bytes;
    const headerBytes = path.isV4 ? ipv4.headerBytes(b, at) : this.unfragmentable6(at);
    const extraBytes = path.isV4 ? 0 : fragment6.HEADER_BYTES;
    const room = most - headerBytes - extraBytes;
    const pieceBytes = room & ~7;
    const end = pool.end[slot]!;
    const id6 = path.isV4 ? 0 : this.ip.random.int32();
    let result = 0;
    for (let from = at + headerBytes; from < end && result === 0; from += pieceBytes) {
      const n = Math.min(pieceBytes, end - from);
      const piece = this.takePiece(headerBytes + extraBytes + n);
      if (piece === NO_SLOT) {
        this.ip.lost(Drop.POOL_EMPTY);
        result = -ENOBUFS;
        break;
      }
      const to = pool.at[piece]!;
      copyWithin(b, to, at, headerBytes);
      copyWithin(b, to + headerBytes + extraBytes, from, n);
      const offset = from - at - headerBytes;
      const more = from + n < end;
      if (path.isV4) this.patch4(to, headerBytes + n, offset, more);
      else this.patch6(to, headerBytes, offset, more, id6, n);
      result = this.link(piece, path);
    }
    pool.give(slot);
    this.ip.count("fragmentedOut");
    return result === -EHOSTUNREACH ? 0 : result;
  }

  private takePiece(bytes: number): number {
    const { pool } = this.ip;
    const isSmall = bytes + HEADROOM_BYTES <= SMALL_SLOT_BYTES;
    const slot = isSmall ? pool.take() : pool.takeBig();
    if (slot === NO_SLOT) return NO_SLOT;
    const at = pool.base(slot) + HEADROOM_BYTES;
    pool.at[slot] = at;
    pool.l3At[slot] = at;
    pool.end[slot] = at + bytes;
    pool.flags[slot] = 0;
    return slot;
  }

  private patch4(at: number, totalBytes: number, offset: number, more: boolean): void {
    const b = this.ip.bytes;
    ipv4.setTotalLength(b, at, totalBytes);
    ipv4.setFragment(b, at, offset, more);
    ipv4.fillChecksum(b, at);
  }

  private patch6(
    at: number,
    headerBytes: number,
    offset: number,
    more: boolean,
    id: number,
    n: number,
  ): void {
    const b = this.ip.bytes;
    const nextAt = headerBytes > ipv6.HEADER_BYTES ? at + ipv6.HEADER_BYTES : at + ipv6.NEXT_HEADER;
    fragment6.write(b, at + headerBytes, b[nextAt]!, offset, more, id);
    b[nextAt] = protocols.FRAGMENT;
    const payload = headerBytes - ipv6.HEADER_BYTES + fragment6.HEADER_BYTES + n;
    ipv6.setPayloadLength(b, at, payload);
  }

  /** The headers that every fragment repeats: ours and our router alert. */
  private unfragmentable6(at: number): number {
    const b = this.ip.bytes;
    if (ipv6.nextHeader(b, at) !== protocols.HOP_BY_HOP) return ipv6.HEADER_BYTES;
    return ipv6.HEADER_BYTES + extensions.ROUTER_ALERT_BYTES;
  }
}

const linkMtu = (path: Path): number => (path.isV4 ? path.iface.mtu4Bytes : path.iface.mtu6Bytes);

/** Hot path. */
function ttlOf(path: Path, o: SendOptions, usual: number): number {
  if (o.ttl !== 0) return o.ttl;
  if (o.hostOnly) return 0;
  return path.kind === PathKind.MULTICAST ? 1 : usual;
}
