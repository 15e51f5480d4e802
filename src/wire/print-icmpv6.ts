/** ICMPv6 messages as text: errors, echo, neighbour discovery; listeners are in `print-mld.ts`. */
import { u8, u16, u32 } from "../base/bytes.js";
import * as ethernet from "./ethernet.js";
import * as icmpv6 from "./icmpv6.js";
import * as ipProtocol from "./ip-protocol.js";
import * as ipv6 from "./ipv6.js";
import type { PrintContext } from "./print-context.js";
import { address6, cut, flagNames, has, hex } from "./print-context.js";
import { pseudoSum, rightChecksum } from "./print-ip.js";
import { isMld, printMld } from "./print-mld.js";

const ND_HEADER_BYTES: ReadonlyMap<number, number> = new Map([
  [icmpv6.ROUTER_SOLICITATION, 8],
  [icmpv6.ROUTER_ADVERTISEMENT, 16],
  [icmpv6.NEIGHBOR_SOLICITATION, 24],
  [icmpv6.NEIGHBOR_ADVERTISEMENT, 24],
  [icmpv6.REDIRECT, 40],
]);

const NAMES: ReadonlyMap<number, string> = new Map([
  [icmpv6.UNREACHABLE, "destination unreachable"],
  [icmpv6.PACKET_TOO_BIG, "packet too big"],
  [icmpv6.TIME_EXCEEDED, "time exceeded"],
  [icmpv6.PARAMETER_PROBLEM, "parameter problem"],
  [icmpv6.ECHO_REQUEST, "echo request"],
  [icmpv6.ECHO_REPLY, "echo reply"],
  [icmpv6.ROUTER_SOLICITATION, "router solicitation"],
  [icmpv6.ROUTER_ADVERTISEMENT, "router advertisement"],
  [icmpv6.NEIGHBOR_SOLICITATION, "neighbor solicitation"],
  [icmpv6.NEIGHBOR_ADVERTISEMENT, "neighbor advertisement"],
  [icmpv6.REDIRECT, "redirect"],
  [138, "router renumbering"],
  [139, "node information query"],
  [140, "node information reply"],
  [141, "inverse neighbor solicitation"],
  [142, "inverse neighbor advertisement"],
  [144, "dhaad request"],
  [145, "dhaad reply"],
  [146, "mobile router solicitation"],
  [147, "mobile router advertisement"],
  [155, "RPL"],
]);

const NA_FLAGS = [
  [0x80, "router"],
  [0x40, "solicited"],
  [0x20, "override"],
] as const;
const RA_FLAGS = [
  [0x80, "managed"],
  [0x40, "other stateful"],
  [0x20, "home agent"],
] as const;
const RA_PREFERENCES = ["medium", "high", "reserved", "low"];

export function printIcmpv6(c: PrintContext, at: number, lengthBytes: number): string {
  if (lengthBytes < 4) return `ICMP6, length ${lengthBytes} (invalid)`;
  if (!has(c, at, 4)) return `ICMP6, ${cut("icmp6")}`;
  const verdict = c.options.verbose ? checksumClaim(c, at, lengthBytes) : "";
  return `${verdict}ICMP6, ${printMessage(c, at, lengthBytes)}`;
}

function printMessage(c: PrintContext, at: number, lengthBytes: number): string {
  const type = icmpv6.type(c.b, at);
  const length = c.options.verbose ? "" : `, length ${lengthBytes}`;
  if (isMld(type)) return printMld(c, at, lengthBytes) + length;
  const name = NAMES.get(type) ?? `unknown icmp6 type (${type})`;
  if (ND_HEADER_BYTES.has(type)) return printNd(c, at, lengthBytes, name);
  if (!has(c, at, 8)) return `${name} ${cut("icmp6")}`;
  const text = printOther(c, at, type, name);
  return text.endsWith(cut("icmp6")) ? text : text + length;
}

function printOther(c: PrintContext, at: number, type: number, name: string): string {
  const { b } = c;
  const code = icmpv6.code(b, at);
  switch (type) {
    case icmpv6.UNREACHABLE:
      return `${name}, ${printUnreachable(c, at, code)}`;
    case icmpv6.PACKET_TOO_BIG:
      return `${name}, mtu ${icmpv6.mtuBytes(b, at)}`;
    case icmpv6.TIME_EXCEEDED: {
      if (!has(c, at + 8, ipv6.HEADER_BYTES)) return `${name} ${cut("icmp6")}`;
      const dst = address6(b, at + 8 + ipv6.DST);
      if (code === icmpv6.HOP_LIMIT_EXCEEDED) return `${name} in-transit for ${dst}`;
      if (code === icmpv6.REASSEMBLY_TIME_EXCEEDED) return `${name} in reassembly for ${dst}`;
      return `${name}, unknown code (${code})`;
    }
    case icmpv6.PARAMETER_PROBLEM: {
      const what = ["erroneous", "next header", "option", "incomplete header chain"][code];
      if (what === undefined) return `${name}, code-#${code}`;
      return `${name}, ${what} - octet ${icmpv6.pointer(b, at)}`;
    }
    case icmpv6.ECHO_REQUEST:
    case icmpv6.ECHO_REPLY:
      return `${name}, id ${icmpv6.echoId(b, at)}, seq ${icmpv6.echoSequence(b, at)}`;
    default:
      return name;
  }
}

function printUnreachable(c: PrintContext, at: number, code: number): string {
  const { b } = c;
  const quoteAt = icmpv6.payloadAt(b, at);
  const names = ["unreachable route", "unreachable prohibited", "beyond scope"];
  names.push("unreachable address", "unreachable port,", "", "unreachable reject route");
  const name = names[code] || `unreachable code (${code})`;
  if (!has(c, quoteAt, ipv6.HEADER_BYTES)) return `${name} ${cut("icmp6")}`;
  const dst = address6(b, quoteAt + ipv6.DST);
  if (code === icmpv6.BEYOND_SCOPE) {
    return `${name} ${dst}, source address ${address6(b, quoteAt + ipv6.SRC)}`;
  }
  if (code !== icmpv6.PORT_UNREACHABLE) return `${name} ${dst}`;
  const protocol = ipv6.nextHeader(b, quoteAt);
  const portsAt = quoteAt + ipv6.HEADER_BYTES;
  if (protocol !== ipProtocol.TCP && protocol !== ipProtocol.UDP) return `${name} ${dst}`;
  if (!has(c, portsAt, 4)) return `${name} ${cut("icmp6")}`;
  const word = protocol === ipProtocol.TCP ? "tcp" : "udp";
  return `${name} ${dst} ${word} port ${u16(b, portsAt + 2)}`;
}

function printNd(c: PrintContext, at: number, lengthBytes: number, name: string): string {
  const { b } = c;
  const type = icmpv6.type(b, at);
  const headerBytes = ND_HEADER_BYTES.get(type)!;
  // Verbose lines have the length first, because options follow.
  const [before, after] = c.options.verbose
    ? [`, length ${lengthBytes}`, ""]
    : ["", `, length ${lengthBytes}`];
  if (!has(c, at, headerBytes)) return `${name}${before} ${cut("icmp6")}`;
  let text = name + before;
  if (type === icmpv6.NEIGHBOR_SOLICITATION) text += `, who has ${address6(b, at + 8)}`;
  if (type === icmpv6.NEIGHBOR_ADVERTISEMENT) text += `, tgt is ${address6(b, at + 8)}`;
  if (type === icmpv6.REDIRECT) text += `, ${address6(b, at + 24)} to ${address6(b, at + 8)}`;
  text += after;
  if (!c.options.verbose) return text;
  if (type === icmpv6.NEIGHBOR_ADVERTISEMENT) {
    text += `, Flags [${flagNames(u8(b, at + 4), NA_FLAGS, ", ")}]`;
  }
  if (type === icmpv6.ROUTER_ADVERTISEMENT) text += printRouterFields(c, at);
  return text + printNdOptions(c, at + headerBytes, Math.min(c.end, at + lengthBytes));
}

/** RFC 4861 §4.2, RFC 4191 §2.2. */
function printRouterFields(c: PrintContext, at: number): string {
  const { b } = c;
  const flags = u8(b, at + 5);
  const preference = RA_PREFERENCES[(flags >>> 3) & 3];
  return (
    `\n\thop limit ${u8(b, at + 4)}, Flags [${flagNames(flags, RA_FLAGS, ", ")}]` +
    `, pref ${preference}, router lifetime ${u16(b, at + 6)}s` +
    `, reachable time ${u32(b, at + 8)}ms, retrans timer ${u32(b, at + 12)}ms`
  );
}

/** RFC 4861 §4.6: one line an option. */
function printNdOptions(c: PrintContext, at: number, end: number): string {
  let text = "";
  while (at + 2 <= end) {
    const units = u8(c.b, at + 1);
    const bytes = units * 8;
    if (units === 0 || at + bytes > end) return `${text}\n\t  ${cut("icmp6")}`;
    text += `\n\t  ${printNdOption(c, at, bytes, units)}`;
    at += bytes;
  }
  return text;
}

function printNdOption(c: PrintContext, at: number, bytes: number, units: number): string {
  const { b } = c;
  const kind = u8(b, at);
  const size = `option (${kind}), length ${bytes} (${units}): `;
  switch (kind) {
    case 1:
      return `source link-address ${size}${ethernet.formatAddress(b, at + 2)}`;
    case 2:
      return `destination link-address ${size}${ethernet.formatAddress(b, at + 2)}`;
    case 3: {
      if (units !== 4) return `prefix info ${size}${cut("icmp6")}`;
      const flags = flagNames(
        u8(b, at + 3),
        [
          [0x80, "onlink"],
          [0x40, "auto"],
          [0x20, "router"],
        ],
        ", ",
      );
      const time = (from: number): string =>
        u32(b, from) === 0xffffffff ? "infinity" : `${u32(b, from)}s`;
      const prefix = `${address6(b, at + 16)}/${u8(b, at + 2)}, Flags [${flags}]`;
      return `prefix info ${size}${prefix}, valid time ${time(at + 4)}, pref. time ${time(at + 8)}`;
    }
    case 5:
      return `mtu ${size} ${u32(b, at + 4)}`;
    default:
      return `unknown ${size}`.trimEnd();
  }
}

function checksumClaim(c: PrintContext, at: number, lengthBytes: number): string {
  if (c.isFragment || !has(c, at, lengthBytes)) return "";
  const stored = icmpv6.checksum(c.b, at);
  const pseudo = pseudoSum(c, ipProtocol.ICMPV6, lengthBytes);
  const wanted = rightChecksum(c, at, lengthBytes, pseudo, stored);
  if (wanted === stored) return "[icmp6 sum ok] ";
  return `[bad icmp6 cksum 0x${hex(stored, 4)} -> 0x${hex(wanted, 4)}!] `;
}
