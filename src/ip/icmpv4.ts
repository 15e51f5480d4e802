/**
 * ICMP for IPv4 (RFC 792, RFC 1122 §3.2.2): answers echo, reports errors, hears of them.
 *
 * Redirects are ignored, as RFC 1122 allows a host behind configured routes; so are source quench
 * (RFC 6633) and the obsolete information and mask requests (RFC 6918).
 */
import { copyWithin } from "../base/bytes.js";
import { fold } from "../base/checksum.js";
import { IpAddress } from "../base/ip-address.js";
import { FrameFlags, HEADROOM_BYTES, NO_SLOT } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as wire from "../wire/icmpv4.js";
import * as protocols from "../wire/ip-protocol.js";
import * as ipv4 from "../wire/ipv4.js";
import { IcmpLimit } from "./icmp-limit.js";
import type { Ip } from "./ip.js";
import { DestinationKind, type PacketInfo } from "./packet-info.js";
import { type Path, PathKind } from "./path.js";
import { plateauBelow } from "./path-mtu.js";
import { DontFragment, SendOptions } from "./send-options.js";
import type { PathError, Transport } from "./transport.js";

/** RFC 1812 §4.3.2.3: as much of the packet as fits into so many bytes. */
const ERROR_PACKET_BYTES = 576;
/** Precedence "internetwork control" (RFC 1812 §4.3.2.5). */
const ERROR_TOS = 0xc0;

export class Icmpv4 implements Transport {
  private readonly ip: Ip;
  private readonly limit = new IcmpLimit();
  private readonly options = new SendOptions();
  private readonly from = new IpAddress();
  private readonly to = new IpAddress();

  constructor(ip: Ip) {
    this.ip = ip;
    this.options.dontFragment = DontFragment.NEVER;
  }

  receive(slot: number, info: PacketInfo): void {
    const b = this.ip.bytes;
    const at = info.l4At;
    const reason = wire.check(b, at, info.end);
    if (reason !== Drop.NONE) {
      this.ip.drop(slot, reason);
      return;
    }
    if (info.src.isV4 === false || !this.isIntact(at, info.end)) {
      this.ip.drop(slot, Drop.ICMP4_BAD_CHECKSUM);
      return;
    }
    this.ip.count("icmpIn");
    switch (wire.type(b, at)) {
      case wire.ECHO_REQUEST:
        this.answerEcho(slot, info);
        break;
      case wire.ECHO_REPLY:
        this.ip.echo.receive(slot, info, wire.echoId(b, at));
        break;
      case wire.UNREACHABLE:
      case wire.TIME_EXCEEDED:
      case wire.PARAMETER_PROBLEM:
        this.takeError(slot, info);
        break;
      case wire.TIMESTAMP:
        this.ip.drop(slot, Drop.ICMP4_IGNORED);
        break;
      case wire.REDIRECT:
      case wire.SOURCE_QUENCH:
      case wire.ROUTER_ADVERTISEMENT:
        this.ip.drop(slot, Drop.ICMP4_IGNORED);
        break;
      default:
        this.ip.drop(slot, Drop.ICMP4_BAD_TYPE);
    }
  }

  private isIntact(at: number, end: number): boolean {
    return fold(this.ip.checksum.sum(at, end - at, 0)) === 0xffff;
  }

  /** The path to `to`; null when there is none, or `to` is a network's broadcast address. */
  private pathBack(from: IpAddress | null): Path | null {
    const path = this.ip.resolve(this.to, from, 0);
    return path === null || path.kind === PathKind.BROADCAST ? null : path;
  }

  /** RFC 1122 §3.2.2.6. Requests to groups and broadcasts are ignored, as Linux does. */
  private answerEcho(slot: number, info: PacketInfo): void {
    const { pool } = this.ip;
    const isOurs = !this.ip.isShared(info.ifIndex);
    if (info.dstKind !== DestinationKind.UNICAST || info.src.isUnspecified || !isOurs) {
      this.ip.drop(slot, Drop.ICMP4_IGNORED);
      return;
    }
    this.from.setFrom(info.dst);
    this.to.setFrom(info.src);
    const path = this.pathBack(this.from);
    if (path === null) {
      this.ip.drop(slot, Drop.NO_ROUTE);
      return;
    }
    wire.turnEcho(pool.bytes, info.l4At);
    pool.at[slot] = info.l4At;
    pool.flags[slot] = 0;
    this.options.tos = info.tos;
    this.ip.count("echoAnswered");
    this.ip.send(slot, path, protocols.ICMPV4, this.options);
  }

  private takeError(slot: number, info: PacketInfo): void {
    const b = this.ip.bytes;
    const at = info.l4At;
    const type = wire.type(b, at);
    const code = wire.code(b, at);
    if (info.dstKind !== DestinationKind.UNICAST) {
      this.ip.drop(slot, Drop.ICMP4_IGNORED); // errors are for who sent something
      return;
    }
    if (!this.ip.errors.quote(wire.payloadAt(b, at), info.end, true)) {
      this.ip.drop(slot, Drop.ICMP_BAD_QUOTE);
      return;
    }
    let mtu = 0;
    if (type === wire.UNREACHABLE && code === wire.FRAGMENTATION_NEEDED) {
      if (!this.ip.errors.isBelieved) {
        this.ip.drop(slot, Drop.ICMP_BAD_QUOTE);
        return;
      }
      mtu = this.learnMtu(at);
    }
    this.ip.errors.report(true, type, code, mtu);
    this.ip.pool.give(slot);
  }

  /** RFC 1191 §5: the router's word, or the next plateau when it says nothing. */
  private learnMtu(at: number): number {
    const b = this.ip.bytes;
    const said = wire.nextHopMtuBytes(b, at);
    const tried = ipv4.totalLengthBytes(b, wire.payloadAt(b, at));
    const mtu = said === 0 ? plateauBelow(tried) : said;
    return this.ip.pathMtu.learn(this.ip.errors.remote, mtu, this.ip.nowUs);
  }

  /**
   * Reports an error about the packet whose header is at `l3At[slot]`; the slot stays the caller's.
   * Sends nothing where RFC 1122 §3.2.2 and RFC 1812 §4.3.2.7 forbid it, or the rate is used up.
   */
  sendError(slot: number, type: number, code: number, rest: number): void {
    const { pool } = this.ip;
    const at = pool.l3At[slot]!;
    if (!this.mayReport(slot, at)) return;
    this.to.read4(pool.bytes, at + ipv4.SRC);
    if (!this.ip.isLocal(this.to) && !this.limit.take(this.to.w3, this.ip.nowUs)) {
      this.ip.lost(Drop.ICMP_RATE_LIMITED);
      return;
    }
    this.from.read4(pool.bytes, at + ipv4.DST);
    const path = this.pathBack(this.ip.isLocal(this.from) ? this.from : null);
    const answer = path === null ? NO_SLOT : pool.take();
    if (path === null || answer === NO_SLOT) return;
    const room = ERROR_PACKET_BYTES - ipv4.HEADER_BYTES - wire.HEADER_BYTES;
    const n = Math.min(pool.end[slot]! - at, room);
    const l4At = pool.base(answer) + HEADROOM_BYTES;
    wire.write(pool.bytes, l4At, type, code, rest);
    copyWithin(pool.bytes, l4At + wire.HEADER_BYTES, at, n);
    pool.at[answer] = l4At;
    pool.end[answer] = l4At + wire.HEADER_BYTES + n;
    pool.flags[answer] = 0;
    wire.fillChecksum(pool.bytes, l4At, pool.end[answer]!);
    this.options.tos = ERROR_TOS;
    this.ip.count("icmpErrorsOut");
    this.ip.send(answer, path, protocols.ICMPV4, this.options);
  }

  private mayReport(slot: number, at: number): boolean {
    const { pool, addresses } = this.ip;
    const b = pool.bytes;
    const linkGroup = FrameFlags.LINK_BROADCAST | FrameFlags.LINK_MULTICAST;
    if ((pool.flags[slot]! & linkGroup) !== 0) return false;
    if (ipv4.fragmentOffsetBytes(b, at) !== 0) return false;
    const dst = ipv4.dst(b, at);
    if (dst >>> 28 === 0xe || addresses.isBroadcast4(dst)) return false;
    const src = ipv4.src(b, at);
    if (src === 0 || src >>> 24 >= 224 || addresses.isBroadcast4(src)) return false;
    if (ipv4.protocol(b, at) !== protocols.ICMPV4) return true;
    const l4At = ipv4.payloadAt(b, at);
    if (l4At >= pool.end[slot]!) return false;
    return isQuery(wire.type(b, l4At));
  }

  /** An error about an echo request of ours. */
  pathError(error: PathError): void {
    this.ip.echo.pathError(error);
  }
}

/** Types about which errors may be sent: unknown ones may be errors themselves. */
const isQuery = (type: number): boolean =>
  type === wire.ECHO_REQUEST ||
  type === wire.ECHO_REPLY ||
  type === wire.TIMESTAMP ||
  type === wire.TIMESTAMP_REPLY;
