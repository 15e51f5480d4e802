/** IPv4 and IPv6 packets as text, and what their payloads share. */
import { u32 } from "../base/bytes.js";
import * as checksums from "../base/checksum.js";
import * as ipProtocol from "./ip-protocol.js";
import * as ipv4 from "./ipv4.js";
import * as ipv6 from "./ipv6.js";
import type { PrintContext } from "./print-context.js";
import { address4, address6, cut, has, hex, MAX_DEPTH } from "./print-context.js";
import { printIcmpv4 } from "./print-icmpv4.js";
import { printIcmpv6 } from "./print-icmpv6.js";
import { printIgmp } from "./print-igmp.js";
import { printIpv4 } from "./print-ipv4.js";
import { printIpv6 } from "./print-ipv6.js";
import { printTcp } from "./print-tcp.js";
import { printUdp } from "./print-udp.js";
import * as pseudoHeader from "./pseudo-header.js";

const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [ipProtocol.HOP_BY_HOP, "Options"],
  [ipProtocol.ICMPV4, "ICMP"],
  [ipProtocol.IGMP, "IGMP"],
  [ipProtocol.IPV4, "IPIP"],
  [ipProtocol.TCP, "TCP"],
  [8, "EGP"],
  [9, "IGRP"],
  [ipProtocol.UDP, "UDP"],
  [33, "DCCP"],
  [ipProtocol.IPV6, "IPv6"],
  [ipProtocol.ROUTING, "Routing"],
  [ipProtocol.FRAGMENT, "Fragment"],
  [46, "RSVP"],
  [ipProtocol.GRE, "GRE"],
  [ipProtocol.ESP, "ESP"],
  [ipProtocol.AH, "AH"],
  [55, "Mobile IP"],
  [ipProtocol.ICMPV6, "ICMPv6"],
  [ipProtocol.NO_NEXT_HEADER, "No Next Header"],
  [88, "EIGRP"],
  [89, "OSPF"],
  [103, "PIM"],
  [108, "Compressed IP"],
  [112, "VRRP"],
  [132, "SCTP"],
]);

export const protocolName = (protocol: number): string => PROTOCOL_NAMES.get(protocol) ?? "unknown";

/** A packet that begins with an IP header of either family, with the word `IP` or `IP6`. */
export function printIp(c: PrintContext, at: number, lengthBytes: number): string {
  if (!has(c, at, 1)) return cut("ip");
  const version = ipv4.version(c.b, at);
  if (version === 6) return `IP6 ${printIpv6(c, at, lengthBytes)}`;
  if (version === 4) return `IP ${printIpv4(c, at, lengthBytes)}`;
  return `IP${version} [unknown IP version]`;
}

/** Source address of the current IP header. */
export function source(c: PrintContext): string {
  if (c.family === 4) return address4(c.b, c.ipAt + ipv4.SRC);
  return address6(c.b, c.ipAt + ipv6.SRC);
}

/** Destination address of the current IP header. */
export function destination(c: PrintContext): string {
  if (c.family === 4) return address4(c.b, c.ipAt + ipv4.DST);
  return address6(c.b, c.ipAt + ipv6.DST);
}

export const addresses = (c: PrintContext): string => `${source(c)} > ${destination(c)}: `;

/**
 * `source.port > destination.port: `. After an IPv6 extension header the addresses are already
 * printed, and only the ports are.
 */
export function endpoints(c: PrintContext, srcPort: number, dstPort: number): string {
  if (!isFirstHeader(c)) return `${srcPort} > ${dstPort}: `;
  return `${source(c)}.${srcPort} > ${destination(c)}.${dstPort}: `;
}

/** {@link endpoints} of a header of which not even the ports are there. */
export const noEndpoints = (c: PrintContext): string => (isFirstHeader(c) ? addresses(c) : "");

/** Whether the transport header follows the IP header itself. */
function isFirstHeader(c: PrintContext): boolean {
  if (c.family === 4) return true;
  const next = ipv6.nextHeader(c.b, c.ipAt);
  return next === ipProtocol.TCP || next === ipProtocol.UDP;
}

export function pseudoSum(c: PrintContext, protocol: number, lengthBytes: number): number {
  return c.family === 4
    ? pseudoHeader.sum4(c.b, c.ipAt, protocol, lengthBytes)
    : pseudoHeader.sum6(c.b, c.ipAt, protocol, lengthBytes);
}

/**
 * The checksum that `b[at]` up to `end` should carry where it carries `stored`; `stored` itself when
 * that is right. `pseudo` is the pseudo-header's partial sum.
 */
export function rightChecksum(
  c: PrintContext,
  at: number,
  lengthBytes: number,
  pseudo: number,
  stored: number,
): number {
  const total = checksums.sum(c.b, at, lengthBytes, pseudo);
  if (checksums.fold(total) === 0xffff) return stored;
  return checksums.finish(total + (~stored & 0xffff));
}

/** The payload of the current IP header; `isBare` when the addresses are still to be printed. */
export function printPayload(
  c: PrintContext,
  protocol: number,
  at: number,
  lengthBytes: number,
  isBare: boolean,
): string {
  if (protocol === ipProtocol.TCP) return printTcp(c, at, lengthBytes);
  if (protocol === ipProtocol.UDP) return printUdp(c, at, lengthBytes);
  return (isBare ? addresses(c) : "") + printOther(c, protocol, at, lengthBytes);
}

function printOther(c: PrintContext, protocol: number, at: number, lengthBytes: number): string {
  switch (protocol) {
    case ipProtocol.ICMPV4:
      return printIcmpv4(c, at, lengthBytes);
    case ipProtocol.ICMPV6:
      return c.family === 6 ? printIcmpv6(c, at, lengthBytes) : unknown(protocol, lengthBytes);
    case ipProtocol.IGMP:
      return printIgmp(c, at, lengthBytes);
    case ipProtocol.IPV4:
    case ipProtocol.IPV6:
      if (c.depth >= MAX_DEPTH) return "[nested too deeply]";
      return protocol === ipProtocol.IPV4
        ? `IP ${printIpv4(c, at, lengthBytes)}`
        : `IP6 ${printIpv6(c, at, lengthBytes)}`;
    case ipProtocol.ESP:
      return printEsp(c, at, lengthBytes);
    case ipProtocol.NO_NEXT_HEADER:
      return "no next header";
    default:
      return unknown(protocol, lengthBytes);
  }
}

/** RFC 4303 §2: the two words that are not encrypted. */
function printEsp(c: PrintContext, at: number, lengthBytes: number): string {
  if (!has(c, at, 8)) return cut("esp");
  const spi = hex(u32(c.b, at), 8);
  const sequence = hex(u32(c.b, at + 4), 0);
  return `ESP(spi=0x${spi},seq=0x${sequence}), length ${lengthBytes}`;
}

const unknown = (protocol: number, lengthBytes: number): string =>
  ` ip-proto-${protocol} ${lengthBytes}`;
