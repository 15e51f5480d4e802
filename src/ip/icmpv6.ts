/**
 * ICMP for IPv6 (RFC 4443): answers echo, reports errors, hears of them, and hands neighbour
 * discovery to `nd.ts` and listener discovery to `mld.ts`.
 */
import { copyWithin } from "../base/bytes.js";
import { fold } from "../base/checksum.js";
import { IpAddress } from "../base/ip-address.js";
import { FrameFlags, HEADROOM_BYTES, NO_SLOT } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as wire from "../wire/icmpv6.js";
import * as protocols from "../wire/ip-protocol.js";
import * as ipv6 from "../wire/ipv6.js";
import * as extensions from "../wire/ipv6-extensions.js";
import * as mld from "../wire/mld.js";
import * as nd from "../wire/nd.js";
import * as pseudo from "../wire/pseudo-header.js";
import { IcmpLimit } from "./icmp-limit.js";
import type { Ip } from "./ip.js";
import { DestinationKind, type PacketInfo } from "./packet-info.js";
import type { Path } from "./path.js";
import { SendOptions } from "./send-options.js";
import type { PathError, Transport } from "./transport.js";

export class Icmpv6 implements Transport {
  private readonly ip: Ip;
  private readonly limit = new IcmpLimit();
  private readonly options = new SendOptions();
  private readonly from = new IpAddress();
  private readonly to = new IpAddress();

  constructor(ip: Ip) {
    this.ip = ip;
  }

  receive(slot: number, info: PacketInfo): void {
    const b = this.ip.bytes;
    const at = info.l4At;
    const reason = info.src.isV4 ? Drop.IP_UNKNOWN_PROTOCOL : wire.check(b, at, info.end);
    if (reason !== Drop.NONE) {
      this.ip.drop(slot, reason);
      return;
    }
    if (!this.isIntact(info)) {
      this.ip.drop(slot, Drop.ICMP6_BAD_CHECKSUM);
      return;
    }
    this.ip.count("icmpIn");
    const type = wire.type(b, at);
    if (type === wire.ECHO_REQUEST) this.answerEcho(slot, info);
    else if (type === wire.ECHO_REPLY) this.ip.echo.receive(slot, info, wire.echoId(b, at));
    else if (nd.isType(type) && !this.ip.isShared(info.ifIndex)) this.ip.nd.receive(slot, info);
    else if (mld.isType(type)) this.ip.mld.receive(slot, info);
    else if (type >= wire.UNREACHABLE && type <= wire.PARAMETER_PROBLEM) this.takeError(slot, info);
    else this.ip.drop(slot, Drop.ICMP6_BAD_TYPE);
  }

  private isIntact(info: PacketInfo): boolean {
    const n = info.end - info.l4At;
    const seed = pseudo.sum(info.src, info.dst, protocols.ICMPV6, n);
    return fold(this.ip.checksum.sum(info.l4At, n, seed)) === 0xffff;
  }

  /** RFC 4443 §4.2; to a group the answer comes from an address of the interface. */
  private answerEcho(slot: number, info: PacketInfo): void {
    const { pool } = this.ip;
    if (info.src.isUnspecified || this.ip.isShared(info.ifIndex)) {
      this.ip.drop(slot, Drop.ICMP6_IGNORED);
      return;
    }
    const isUnicast = info.dstKind === DestinationKind.UNICAST;
    this.from.setFrom(info.dst);
    this.to.setFrom(info.src);
    const ifIndex = this.to.isLinkLocal || !isUnicast ? info.ifIndex : 0;
    const path = this.ip.resolve(this.to, isUnicast ? this.from : null, ifIndex);
    if (path === null) {
      this.ip.drop(slot, Drop.NO_ROUTE);
      return;
    }
    pool.bytes[info.l4At] = wire.ECHO_REPLY;
    pool.at[slot] = info.l4At;
    pool.flags[slot] = 0;
    this.options.tos = info.tos;
    this.options.ttl = 0;
    this.ip.count("echoAnswered");
    this.finishAndSend(slot, path, this.options);
  }

  /** Completes the checksum of the message at `at[slot]` and sends it; takes the slot. */
  finishAndSend(slot: number, path: Path, options: SendOptions): number {
    const { pool } = this.ip;
    const at = pool.at[slot]!;
    const n = pool.end[slot]! - at;
    wire.fillChecksum(pool.bytes, at, pool.end[slot]!, path.pseudoSum + protocols.ICMPV6 + n);
    return this.ip.send(slot, path, protocols.ICMPV6, options);
  }

  private takeError(slot: number, info: PacketInfo): void {
    const b = this.ip.bytes;
    const at = info.l4At;
    const type = wire.type(b, at);
    if (info.dstKind !== DestinationKind.UNICAST) {
      this.ip.drop(slot, Drop.ICMP6_IGNORED); // errors are for who sent something
      return;
    }
    if (!this.ip.errors.quote(wire.payloadAt(b, at), info.end, false)) {
      this.ip.drop(slot, Drop.ICMP_BAD_QUOTE);
      return;
    }
    let mtu = 0;
    if (type === wire.PACKET_TOO_BIG) {
      const isPossible = wire.mtuBytes(b, at) >= ipv6.MIN_MTU_BYTES; // RFC 8201 §4
      if (!isPossible || !this.ip.errors.isBelieved) {
        this.ip.drop(slot, Drop.ICMP_BAD_QUOTE);
        return;
      }
      mtu = this.ip.pathMtu.learn(this.ip.errors.remote, wire.mtuBytes(b, at), this.ip.nowUs);
    }
    this.ip.errors.report(false, type, wire.code(b, at), mtu);
    this.ip.pool.give(slot);
  }

  /**
   * Reports an error about the packet whose header is at `l3At[slot]`; the slot stays the caller's.
   * `evenToGroups` is for the two errors that RFC 4443 §2.4 (e.3) excepts.
   */
  sendError(slot: number, type: number, code: number, rest: number, evenToGroups: boolean): void {
    const { pool } = this.ip;
    const at = pool.l3At[slot]!;
    if (!this.mayReport(slot, at, evenToGroups)) return;
    this.to.read6(pool.bytes, at + ipv6.SRC);
    const isToSelf = this.ip.isLocal(this.to);
    if (!isToSelf && !this.limit.take(this.to.w3 ^ this.to.w1, this.ip.nowUs)) {
      this.ip.lost(Drop.ICMP_RATE_LIMITED);
      return;
    }
    this.from.read6(pool.bytes, at + ipv6.DST);
    const ifIndex = this.to.isLinkLocal ? this.ip.info.ifIndex : 0;
    const path = this.ip.resolve(this.to, this.ip.isLocal(this.from) ? this.from : null, ifIndex);
    const answer = path === null ? NO_SLOT : pool.take();
    if (path === null || answer === NO_SLOT) return;
    const room = ipv6.MIN_MTU_BYTES - ipv6.HEADER_BYTES - wire.HEADER_BYTES;
    const n = Math.min(pool.end[slot]! - at, room);
    const l4At = pool.base(answer) + HEADROOM_BYTES;
    wire.write(pool.bytes, l4At, type, code, rest);
    copyWithin(pool.bytes, l4At + wire.HEADER_BYTES, at, n);
    pool.at[answer] = l4At;
    pool.end[answer] = l4At + wire.HEADER_BYTES + n;
    pool.flags[answer] = 0;
    this.options.tos = 0;
    this.options.ttl = 0;
    this.ip.count("icmpErrorsOut");
    this.finishAndSend(answer, path, this.options);
  }

  /** RFC 4443 §2.4 (e). */
  private mayReport(slot: number, at: number, evenToGroups: boolean): boolean {
    const { pool } = this.ip;
    const b = pool.bytes;
    const linkGroup = FrameFlags.LINK_BROADCAST | FrameFlags.LINK_MULTICAST;
    const isGroup = b[at + ipv6.DST] === 0xff || (pool.flags[slot]! & linkGroup) !== 0;
    if (isGroup && !evenToGroups) return false;
    this.from.read6(b, at + ipv6.SRC);
    if (this.from.isUnspecified || this.from.isMulticast) return false;
    const l4At = extensions.upperLayerAt(b, at, pool.end[slot]!);
    if (extensions.upperLayerOut !== protocols.ICMPV6) return true;
    if (l4At >= pool.end[slot]!) return false;
    return !wire.isError(wire.type(b, l4At)) && wire.type(b, l4At) !== wire.REDIRECT;
  }

  /** An error about an echo request of ours. */
  pathError(error: PathError): void {
    this.ip.echo.pathError(error);
  }
}
