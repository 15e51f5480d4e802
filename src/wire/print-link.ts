/** Link-level headers as text, and the way from a link type to the packet inside. */
import { type Bytes, u8, u16, u32 } from "../base/bytes.js";
import * as ethernet from "./ethernet.js";
import * as linkType from "./link-type.js";
import { printArp } from "./print-arp.js";
import type { PrintContext } from "./print-context.js";
import { cut, has, hex } from "./print-context.js";
import { printIp } from "./print-ip.js";
import { printIpv4 } from "./print-ipv4.js";
import { printIpv6 } from "./print-ipv6.js";
import * as vlan from "./vlan.js";

const TYPE_REVERSE_ARP = 0x8035;
const MAX_TAGS = 8;

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [ethernet.TYPE_IPV4, "IPv4"],
  [ethernet.TYPE_ARP, "ARP"],
  [ethernet.TYPE_IPV6, "IPv6"],
  [ethernet.TYPE_VLAN, "802.1Q"],
  [ethernet.TYPE_SERVICE_VLAN, "802.1Q-QinQ"],
  [TYPE_REVERSE_ARP, "Reverse ARP"],
  [0x8847, "MPLS unicast"],
  [0x8848, "MPLS multicast"],
  [0x8863, "PPPoE D"],
  [0x8864, "PPPoE S"],
  [0x888e, "EAPOL"],
  [ethernet.TYPE_LLDP, "LLDP"],
  [0x8809, "Slow Protocols"],
  [0x9000, "Loopback"],
]);

const typeName = (type: number): string => TYPE_NAMES.get(type) ?? "Unknown";

/** Prints the packet at `at`, whose link type is `type` and length on the wire `lengthBytes`. */
export function printLink(c: PrintContext, type: number, at: number, lengthBytes: number): string {
  switch (type) {
    case linkType.EN10MB:
      return printEthernet(c, at, lengthBytes);
    case linkType.NULL:
    case linkType.LOOP:
      return printLoopback(c, at, lengthBytes);
    case linkType.LINUX_SLL:
      return printCooked(c, at, lengthBytes);
    case linkType.LINUX_SLL2:
      return printCooked2(c, at, lengthBytes);
    default:
      if (linkType.isRawIp(type)) {
        return c.options.linkHeader
          ? `ip: ${withoutWord(printIp(c, at, lengthBytes))}`
          : printIp(c, at, lengthBytes);
      }
      return `${linkType.nameOf(type)}, length ${lengthBytes}: not decoded`;
  }
}

/** Length of a packet's link-level header, VLAN tags included, which hex dumps leave out. */
export function linkHeaderBytes(type: number, b: Bytes, at: number, end: number): number {
  switch (type) {
    case linkType.EN10MB: {
      let here = at + ethernet.HEADER_BYTES;
      for (let n = 0; n < MAX_TAGS && here <= end && ethernet.isTag(u16(b, here - 2)); n++) {
        here += vlan.TAG_BYTES;
      }
      return here - at;
    }
    case linkType.NULL:
    case linkType.LOOP:
      return 4;
    case linkType.LINUX_SLL:
      return 16;
    case linkType.LINUX_SLL2:
      return 20;
    default:
      return 0;
  }
}

function printEthernet(c: PrintContext, at: number, lengthBytes: number): string {
  const { b } = c;
  if (!has(c, at, ethernet.HEADER_BYTES)) return cut("ether");
  const addresses = `${ethernet.formatAddress(b, at + ethernet.SRC)} > ${ethernet.formatAddress(b, at + ethernet.DST)}`;
  let type = u16(b, at + ethernet.TYPE);
  let here = at + ethernet.HEADER_BYTES;
  let rest = lengthBytes - ethernet.HEADER_BYTES;
  let tags = "";
  let isFirst = true;
  for (let n = 0; n < MAX_TAGS && ethernet.isTag(type); n++) {
    if (!has(c, here, vlan.TAG_BYTES)) return `${addresses}, ${cut("vlan")}`;
    tags += isFirst ? describeType(type, lengthBytes) : "";
    isFirst = false;
    // The tag protocol identifier stands two bytes before the control field.
    const control = here - 2;
    const drop = vlan.dropEligible(b, control) ? ", DEI" : "";
    tags += `vlan ${vlan.id(b, control)}, p ${vlan.priority(b, control)}${drop}, `;
    type = u16(b, here + 2);
    here += vlan.TAG_BYTES;
    rest -= vlan.TAG_BYTES;
    if (type >= ethernet.MIN_TYPE) tags += `ethertype ${typeName(type)} (0x${hex(type, 4)}), `;
  }
  const header = `${addresses}, ${isFirst ? describeType(type, lengthBytes) : tags}`;
  const inside = type < ethernet.MIN_TYPE ? null : printByType(c, type, here, rest);
  if (inside === null) return `${header}${describeForeign(type, rest)}`;
  return c.options.linkHeader ? header + withoutWord(inside) : inside;
}

function describeType(type: number, lengthBytes: number): string {
  if (type < ethernet.MIN_TYPE) return `802.3, length ${lengthBytes}: `;
  return `ethertype ${typeName(type)} (0x${hex(type, 4)}), length ${lengthBytes}: `;
}

function describeForeign(type: number, lengthBytes: number): string {
  const name = type < ethernet.MIN_TYPE ? "LLC" : typeName(type);
  return `${name === "Unknown" ? "payload" : name} of ${lengthBytes} bytes not decoded`;
}

/** The packet after a header with an EtherType; null when the type is not decoded. */
function printByType(
  c: PrintContext,
  type: number,
  at: number,
  lengthBytes: number,
): string | null {
  switch (type) {
    case ethernet.TYPE_IPV4:
      return `IP ${printIpv4(c, at, lengthBytes)}`;
    case ethernet.TYPE_IPV6:
      return `IP6 ${printIpv6(c, at, lengthBytes)}`;
    case ethernet.TYPE_ARP:
    case TYPE_REVERSE_ARP:
      return `ARP, ${printArp(c, at, lengthBytes)}`;
    default:
      return null;
  }
}

/** After a link-level header the protocol's word would say the same again. */
const withoutWord = (text: string): string => text.replace(/^(?:IP6? |ARP, )/, "");

/** BSD loopback: the address family in the byte order of the machine, or network order for LOOP. */
function printLoopback(c: PrintContext, at: number, lengthBytes: number): string {
  if (!has(c, at, 4)) return cut("null");
  const word = u32(c.b, at);
  const family = word > 0xffff ? u8(c.b, at) | (u8(c.b, at + 1) << 8) : word;
  const is6 = family === 10 || family === 24 || family === 28 || family === 30;
  const name = is6 ? "IPv6" : family === 2 ? "IPv4" : "unknown";
  const header = `AF ${name} (${family}), length ${lengthBytes}: `;
  const rest = lengthBytes - 4;
  if (name === "unknown") return `${header}not decoded`;
  const inside = is6 ? `IP6 ${printIpv6(c, at + 4, rest)}` : `IP ${printIpv4(c, at + 4, rest)}`;
  return c.options.linkHeader ? header + withoutWord(inside) : inside;
}

const COOKED_TYPES = [" In", "  B", "  M", "  P", "Out"];

/** Linux cooked, version 1: type(2) hardware(2) addressLength(2) address(8) protocol(2). */
function printCooked(c: PrintContext, at: number, lengthBytes: number): string {
  if (!has(c, at, 16)) return cut("sll");
  const kind = COOKED_TYPES[u16(c.b, at)] ?? "?";
  const address = cookedAddress(c, at + 6, u16(c.b, at + 4));
  return printCookedPayload(
    c,
    u16(c.b, at + 14),
    at + 16,
    lengthBytes,
    16,
    `${kind} ${address}`,
    "",
  );
}

/** Linux cooked, version 2: protocol(2) 0(2) interface(4) hardware(2) type(1) length(1) address(8). */
function printCooked2(c: PrintContext, at: number, lengthBytes: number): string {
  if (!has(c, at, 20)) return cut("sll2");
  const kind = (COOKED_TYPES[u8(c.b, at + 10)] ?? "?").trim().padEnd(3);
  const index = `ifindex ${u32(c.b, at + 4)}`;
  const address = cookedAddress(c, at + 12, u8(c.b, at + 11));
  const start = `${index} ${kind} `;
  return printCookedPayload(c, u16(c.b, at), at + 20, lengthBytes, 20, start + address, start);
}

function cookedAddress(c: PrintContext, at: number, n: number): string {
  if (n === ethernet.ADDRESS_BYTES) return `${ethernet.formatAddress(c.b, at)} `;
  return "";
}

function printCookedPayload(
  c: PrintContext,
  type: number,
  at: number,
  lengthBytes: number,
  headerBytes: number,
  header: string,
  prefix: string,
): string {
  const inside = printByType(c, type, at, lengthBytes - headerBytes);
  const full = `${header}${describeType(type, lengthBytes)}`;
  if (inside === null) return full + describeForeign(type, lengthBytes - headerBytes);
  return c.options.linkHeader ? full + withoutWord(inside) : prefix + inside;
}
