/**
 * IPv4 packets in: validity, whether they are for this host, fragments, and on to the transport.
 *
 * Hosts do not forward (RFC 1122 §3.3.1). Source routes are refused (RFC 7126 §4.3). What must not
 * be on a wire (martians, RFC 1812 §5.3.7) is dropped; frames that this host sent itself (LOOPED)
 * are excused from those checks and from the checksum.
 */
import { fold } from "../base/checksum.js";
import { FrameFlags, NO_SLOT, type Pool } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as wireIcmp from "../wire/icmpv4.js";
import * as ipv4 from "../wire/ipv4.js";
import * as options from "../wire/ipv4-options.js";
import type { Addresses } from "./addresses.js";
import type { Interface } from "./interface.js";
import type { Ip } from "./ip.js";
import { DestinationKind, type PacketInfo } from "./packet-info.js";
import { allows } from "./source-filter.js";
import type { Transport } from "./transport.js";

const NOT_FOR_US = -1;
const LINK_GROUP: number = FrameFlags.LINK_BROADCAST | FrameFlags.LINK_MULTICAST;

export class Ipv4Input {
  private readonly ip: Ip;
  private readonly pool: Pool;
  private readonly view: DataView;
  private readonly info: PacketInfo;
  private readonly addresses: Addresses;
  private readonly transports: readonly (Transport | null)[];
  /** Why {@link destinationKind} said NOT_FOR_US. */
  private reasonOut: Drop = Drop.NONE;

  constructor(ip: Ip) {
    this.ip = ip;
    this.pool = ip.pool;
    this.view = ip.view;
    this.info = ip.info;
    this.addresses = ip.addresses;
    this.transports = ip.transports;
  }

  /**
   * Hot path. A packet whose header is at `at`; takes the slot. What nearly all packets are (no
   * options, whole, intact, from an ordinary address or this host to one of ours) is seen from five words;
   * the rest goes through {@link receiveOther}, which decides everything anew.
   */
  receive(iface: Interface, slot: number, at: number): void {
    const { pool, view, info } = this;
    const roomBytes = pool.end[slot]! - at;
    if (roomBytes < ipv4.HEADER_BYTES) {
      this.ip.drop(slot, Drop.IP4_TRUNCATED);
      return;
    }
    const w0 = view.getInt32(at);
    const w1 = view.getInt32(at + 4);
    const w2 = view.getInt32(at + 8);
    const src = view.getInt32(at + ipv4.SRC);
    const dst = view.getInt32(at + ipv4.DST);
    const totalBytes = w0 & 0xffff;
    const first = src >>> 24;
    const flags = pool.flags[slot]!;
    const isPlain =
      w0 >>> 24 === 0x45 &&
      (w1 & 0x3fff) === 0 &&
      totalBytes <= roomBytes &&
      totalBytes >= ipv4.HEADER_BYTES &&
      (flags & LINK_GROUP) === 0 &&
      this.addresses.isLocal4(dst) &&
      ((flags & FrameFlags.LOOPED) !== 0 ||
        (first !== 0 &&
          first !== 127 &&
          first < 224 &&
          dst >>> 24 !== 127 &&
          fold(halves(w0) + halves(w1) + halves(w2) + halves(src) + halves(dst)) === 0xffff &&
          !this.addresses.isLocal4(src) &&
          !this.addresses.isBroadcast4(src)));
    if (!isPlain) {
      this.receiveOther(iface, slot, at);
      return;
    }
    const end = at + totalBytes;
    pool.l3At[slot] = at;
    pool.l4At[slot] = at + ipv4.HEADER_BYTES;
    pool.end[slot] = end;
    pool.ifIndex[slot] = iface.index;
    info.src.set(0, 0, 0xffff, src);
    info.dst.set(0, 0, 0xffff, dst);
    info.dstKind = DestinationKind.UNICAST;
    info.ttl = w2 >>> 24;
    info.tos = (w0 >>> 16) & 0xff;
    info.protocol = (w2 >>> 16) & 0xff;
    info.l4At = at + ipv4.HEADER_BYTES;
    info.end = end;
    this.handOver(iface, slot, at);
  }

  /** Every other packet, or one that must be dropped. */
  private receiveOther(iface: Interface, slot: number, at: number): void {
    const reason = this.check(iface, slot, at);
    if (reason !== Drop.NONE) {
      this.ip.drop(slot, reason);
      return;
    }
    const { pool } = this.ip;
    const b = pool.bytes;
    pool.l3At[slot] = at;
    if (ipv4.isFragment(b, at)) {
      const whole = this.ip.reassembly.take4(iface, slot, at);
      if (whole === NO_SLOT) return;
      slot = whole;
      at = pool.l3At[slot]!;
    }
    this.deliver(iface, slot, at);
  }

  /** Hot path. The gates, cheapest first; leaves `info.src`, `dst` and `dstKind` set. */
  private check(iface: Interface, slot: number, at: number): Drop {
    const { pool, info } = this.ip;
    const b = pool.bytes;
    const reason = ipv4.check(b, at, pool.end[slot]!);
    if (reason !== Drop.NONE) return reason;
    const flags = pool.flags[slot]!;
    const isLooped = (flags & FrameFlags.LOOPED) !== 0;
    const headerBytes = ipv4.headerBytes(b, at);
    if (!isLooped && fold(this.ip.checksum.sum(at, headerBytes, 0)) !== 0xffff) {
      return Drop.IP4_BAD_CHECKSUM;
    }
    pool.end[slot] = ipv4.endOf(b, at);
    const src = ipv4.src(b, at);
    if (!isLooped && this.isMartianSource(src, ipv4.dst(b, at))) return Drop.IP_MARTIAN_SOURCE;
    info.src.read4(b, at + ipv4.SRC);
    info.dst.read4(b, at + ipv4.DST);
    const kind = this.destinationKind(iface, isLooped);
    if (kind === NOT_FOR_US) return this.reasonOut;
    if (kind === DestinationKind.UNICAST && (flags & LINK_GROUP) !== 0) {
      return Drop.IP_MARTIAN_DESTINATION; // RFC 1122 §3.3.6
    }
    info.dstKind = kind;
    return headerBytes === ipv4.HEADER_BYTES ? Drop.NONE : this.checkOptions(slot, at);
  }

  /** Hot path. Zero, loopback, group, reserved or own source addresses must not come from a wire. */
  private isMartianSource(src: number, dst: number): boolean {
    const first = src >>> 24;
    if (first === 0) return src !== 0 || (dst !== -1 && dst >>> 28 !== 0xe); // DHCP asks from 0.0.0.0
    if (first === 127 || first >= 224) return true;
    return this.ip.addresses.isLocal4(src) || this.ip.addresses.isBroadcast4(src);
  }

  /** Hot path. {@link DestinationKind} of `info.dst`, or NOT_FOR_US and the reason in `reasonOut`. */
  private destinationKind(iface: Interface, isLooped: boolean): number {
    const { info, addresses } = this.ip;
    const dst = info.dst.w3;
    const first = dst >>> 24;
    if (first >= 224 && first < 240) return this.groupKind(iface);
    if (first === 127 && !isLooped) {
      this.reasonOut = Drop.IP_MARTIAN_DESTINATION;
      return NOT_FOR_US;
    }
    if (addresses.isLocal4(dst)) return DestinationKind.UNICAST;
    if (addresses.isBroadcast4(dst)) return DestinationKind.BROADCAST;
    this.reasonOut = dst === 0 ? Drop.IP_MARTIAN_DESTINATION : Drop.IP_NOT_FOR_US;
    return NOT_FOR_US;
  }

  private groupKind(iface: Interface): number {
    const { info } = this.ip;
    const group = iface.filters.find(info.dst);
    if (group === null) this.reasonOut = Drop.IP_NOT_JOINED;
    else if (!allows(group.merged, info.src)) this.reasonOut = Drop.IP_SOURCE_FILTERED;
    else return DestinationKind.MULTICAST;
    return NOT_FOR_US;
  }

  private checkOptions(slot: number, at: number): Drop {
    const reason = options.check(this.ip.bytes, at);
    if (reason !== Drop.NONE) {
      const pointer = options.problemPointerOut << 24;
      this.ip.pool.l3At[slot] = at;
      this.ip.icmp4.sendError(slot, wireIcmp.PARAMETER_PROBLEM, 0, pointer);
      return reason;
    }
    return options.sourceRouteAtOut >= 0 ? Drop.IP4_SOURCE_ROUTED : Drop.NONE;
  }

  /** Hands a whole packet to its transport. */
  private deliver(iface: Interface, slot: number, at: number): void {
    const { pool, info } = this.ip;
    const b = pool.bytes;
    const l4At = ipv4.payloadAt(b, at);
    const protocol = ipv4.protocol(b, at);
    pool.l4At[slot] = l4At;
    pool.ifIndex[slot] = iface.index;
    info.ttl = ipv4.ttl(b, at);
    info.tos = ipv4.tos(b, at);
    info.protocol = protocol;
    info.l4At = l4At;
    info.end = pool.end[slot]!;
    this.handOver(iface, slot, at);
  }

  /** Hot path. The last steps: to the transport of `info.protocol`. */
  private handOver(iface: Interface, slot: number, at: number): void {
    const { pool, info } = this;
    info.ifIndex = iface.index;
    info.l3At = at;
    info.flags = pool.flags[slot]!;
    info.nowUs = this.ip.nowUs;
    const transport = this.transports[info.protocol]!;
    if (transport !== null) {
      transport.receive(slot, info);
      return;
    }
    this.ip.icmp4.sendError(slot, wireIcmp.UNREACHABLE, wireIcmp.PROTOCOL_UNREACHABLE, 0);
    this.ip.drop(slot, Drop.IP_UNKNOWN_PROTOCOL);
  }
}

/** Hot path. The two 16-bit halves of a word, added. */
const halves = (word: number): number => (word >>> 16) + (word & 0xffff);
