/**
 * IPv6 packets in: validity, whether they are for this host, extension headers, fragments, and on
 * to the transport (RFC 8200). Hosts do not forward.
 */
import type { IpAddress } from "../base/ip-address.js";
import { FrameFlags, NO_SLOT } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as wireIcmp from "../wire/icmpv6.js";
import * as protocols from "../wire/ip-protocol.js";
import * as ipv6 from "../wire/ipv6.js";
import * as extensions from "../wire/ipv6-extensions.js";
import type { Interface } from "./interface.js";
import type { Ip } from "./ip.js";
import { DestinationKind } from "./packet-info.js";
import { allows } from "./source-filter.js";

export class Ipv6Input {
  private readonly ip: Ip;

  constructor(ip: Ip) {
    this.ip = ip;
  }

  /** Hot path. A packet whose header is at `at`; takes the slot. */
  receive(iface: Interface, slot: number, at: number): void {
    let reason = this.check(iface, slot, at);
    if (reason !== Drop.NONE) {
      this.ip.drop(slot, reason);
      return;
    }
    const { pool } = this.ip;
    const b = pool.bytes;
    pool.l3At[slot] = at;
    reason = extensions.walk(b, at, pool.end[slot]!);
    if (reason === Drop.NONE && extensions.protocolOut === protocols.FRAGMENT) {
      slot = this.ip.reassembly.take6(iface, slot, at);
      if (slot === NO_SLOT) return;
      at = pool.l3At[slot]!;
      reason = extensions.walk(b, at, pool.end[slot]!);
    }
    if (reason !== Drop.NONE) this.refuse(slot, reason);
    else this.deliver(iface, slot, at);
  }

  /** Hot path. The gates before the extension headers; leaves `info.src`, `dst`, `dstKind` set. */
  private check(iface: Interface, slot: number, at: number): Drop {
    const { pool, info, addresses, view } = this.ip;
    const roomBytes = pool.end[slot]! - at - ipv6.HEADER_BYTES;
    const lengthBytes = roomBytes < 0 ? 0 : view.getUint16(at + 4);
    if (roomBytes < lengthBytes || view.getUint8(at) >>> 4 !== 6) {
      const reason = ipv6.check(pool.bytes, at, pool.end[slot]!);
      return reason === Drop.NONE ? Drop.IP6_TRUNCATED : reason;
    }
    const isLooped = (pool.flags[slot]! & FrameFlags.LOOPED) !== 0;
    pool.end[slot] = at + ipv6.HEADER_BYTES + lengthBytes;
    const { src, dst } = info;
    this.readAddress(at + ipv6.SRC, src);
    this.readAddress(at + ipv6.DST, dst);
    if (src.w0 >>> 24 === 0xff) return Drop.IP_MARTIAN_SOURCE;
    if (dst.w0 >>> 24 === 0xff) return this.checkGroup(iface);
    if (!isLooped) {
      // ::1 and IPv4-mapped addresses never appear on a wire (RFC 4291 §2.5.3, RFC 6890 §2.2.3).
      if (src.w0 === 0 && src.w1 === 0 && !src.isUnspecified) return Drop.IP_MARTIAN_SOURCE;
      if (dst.w0 === 0 && dst.w1 === 0) return Drop.IP_MARTIAN_DESTINATION;
      if (addresses.isLocal6On(iface, src)) return Drop.IP_MARTIAN_SOURCE;
    }
    info.dstKind = DestinationKind.UNICAST;
    if (addresses.isLocal6On(iface, dst) || (isLooped && addresses.isLocal6(dst))) return Drop.NONE;
    if (this.ip.isTentative(iface, dst)) return Drop.IP_TENTATIVE_ADDRESS;
    return Drop.IP_NOT_FOR_US;
  }

  /** Hot path. */
  private readAddress(at: number, into: IpAddress): void {
    const { view } = this.ip;
    const w0 = view.getInt32(at);
    into.set(w0, view.getInt32(at + 4), view.getInt32(at + 8), view.getInt32(at + 12));
  }

  private checkGroup(iface: Interface): Drop {
    const { info } = this.ip;
    const scope = (info.dst.w0 >>> 16) & 15;
    if (scope === 0) return Drop.IP_MARTIAN_DESTINATION;
    const group = iface.filters.find(info.dst);
    if (group === null) return Drop.IP_NOT_JOINED;
    if (!allows(group.merged, info.src)) return Drop.IP_SOURCE_FILTERED;
    info.dstKind = DestinationKind.MULTICAST;
    return Drop.NONE;
  }

  /** Drops a packet with bad extension headers, with the ICMPv6 error that RFC 8200 §4.2 asks for. */
  private refuse(slot: number, reason: Drop): void {
    const code = extensions.problemCodeOut;
    if (code >= 0) {
      const always = reason === Drop.IP6_OPTION_PROBLEM;
      this.ip.icmp6.sendError(
        slot,
        wireIcmp.PARAMETER_PROBLEM,
        code,
        extensions.problemPointerOut,
        always,
      );
    }
    this.ip.drop(slot, reason);
  }

  /** The index that is the scope of a link-local address of ours to which this host has sent. */
  private homeOfLinkLocal(lo: Interface): number {
    return (this.ip.interfaceOf(this.ip.info.dst) ?? lo).index;
  }

  /** Hot path. Hands a whole packet, whose headers were walked, to its transport. */
  private deliver(iface: Interface, slot: number, at: number): void {
    const { pool, info, view } = this.ip;
    const protocol = extensions.protocolOut;
    pool.l4At[slot] = extensions.payloadAtOut;
    const ifIndex =
      iface.isLoopback && info.dst.isLinkLocal ? this.homeOfLinkLocal(iface) : iface.index;
    pool.ifIndex[slot] = ifIndex;
    info.ifIndex = ifIndex;
    info.ttl = view.getUint8(at + 7);
    info.tos = (view.getUint16(at) >>> 4) & 0xff;
    info.protocol = protocol;
    info.l3At = at;
    info.l4At = extensions.payloadAtOut;
    info.end = pool.end[slot]!;
    info.flags = pool.flags[slot]!;
    info.nowUs = this.ip.nowUs;
    const transport = this.ip.transports[protocol]!;
    if (transport === null || protocol === protocols.ICMPV4 || protocol === protocols.IGMP) {
      const pointer = extensions.nextHeaderAtOut - at;
      const type = wireIcmp.PARAMETER_PROBLEM;
      this.ip.icmp6.sendError(slot, type, wireIcmp.UNKNOWN_NEXT_HEADER, pointer, false);
      this.ip.drop(slot, Drop.IP_UNKNOWN_PROTOCOL);
      return;
    }
    transport.receive(slot, info);
  }
}
