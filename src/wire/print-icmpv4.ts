/** ICMP messages for IPv4 as text. */
import { u8, u16, u32 } from "../base/bytes.js";
import * as icmpv4 from "./icmpv4.js";
import * as ipProtocol from "./ip-protocol.js";
import * as ipv4 from "./ipv4.js";
import type { PrintContext } from "./print-context.js";
import { address4, cut, has, hex, MAX_DEPTH } from "./print-context.js";
import { rightChecksum } from "./print-ip.js";
import { printIpv4 } from "./print-ipv4.js";

/** By code; the address is the one that could not be reached. */
const UNREACHABLE: readonly ((address: string) => string)[] = [
  (a) => `net ${a} unreachable`,
  (a) => `host ${a} unreachable`,
  (a) => `${a} protocol`,
  (a) => `${a} port`,
  (a) => `${a} unreachable - need to frag`,
  (a) => `${a} unreachable - source route failed`,
  (a) => `net ${a} unreachable - unknown`,
  (a) => `host ${a} unreachable - unknown`,
  (a) => `${a} unreachable - source host isolated`,
  (a) => `net ${a} unreachable - admin prohibited`,
  (a) => `host ${a} unreachable - admin prohibited`,
  (a) => `net ${a} unreachable - tos prohibited`,
  (a) => `host ${a} unreachable - tos prohibited`,
  (a) => `host ${a} unreachable - admin prohibited filter`,
  (a) => `host ${a} unreachable - host precedence violation`,
  (a) => `host ${a} unreachable - precedence cutoff`,
];

const REDIRECT = ["redirect", "redirect", "redirect-tos", "redirect-tos"];

export function printIcmpv4(c: PrintContext, at: number, lengthBytes: number): string {
  if (!has(c, at, 4)) return `ICMP ${cut("icmp")}`;
  const type = icmpv4.type(c.b, at);
  const text = has(c, at, 8) ? printMessage(c, at, type) : printShort(c, at, type);
  if (text === null) return `ICMP ${cut("icmp")}`;
  return `ICMP ${text}, length ${lengthBytes}${c.options.verbose ? printDetails(c, at, lengthBytes, type) : ""}`;
}

/** Messages that have no second word. */
function printShort(c: PrintContext, at: number, type: number): string | null {
  if (type === icmpv4.SOURCE_QUENCH) return "source quench";
  if (type === icmpv4.ROUTER_SOLICITATION) return "router solicitation";
  if (type === icmpv4.TIME_EXCEEDED) return timeExceeded(icmpv4.code(c.b, at));
  return type > icmpv4.ADDRESS_MASK_REPLY ? `type-#${type}` : null;
}

function printMessage(c: PrintContext, at: number, type: number): string | null {
  const { b } = c;
  const code = icmpv4.code(b, at);
  const pair = `id ${icmpv4.echoId(b, at)}, seq ${icmpv4.echoSequence(b, at)}`;
  switch (type) {
    case icmpv4.ECHO_REPLY:
      return `echo reply, ${pair}`;
    case icmpv4.ECHO_REQUEST:
      return `echo request, ${pair}`;
    case icmpv4.UNREACHABLE:
      return printUnreachable(c, at, code);
    case icmpv4.SOURCE_QUENCH:
      return "source quench";
    case icmpv4.REDIRECT: {
      if (!has(c, at + 8, ipv4.HEADER_BYTES)) return null;
      const dst = address4(b, at + 8 + ipv4.DST);
      const to = `${code % 2 === 0 ? "net" : "host"} ${address4(b, at + 4)}`;
      return code > 3 ? `redirect-#${code} ${dst} to ${to}` : `${REDIRECT[code]} ${dst} to ${to}`;
    }
    case icmpv4.ROUTER_ADVERTISEMENT:
      return `router advertisement lifetime ${u16(b, at + 6)}s, ${u8(b, at + 4)} address(es)`;
    case icmpv4.ROUTER_SOLICITATION:
      return "router solicitation";
    case icmpv4.TIME_EXCEEDED:
      return timeExceeded(code);
    case icmpv4.PARAMETER_PROBLEM:
      return code !== 0
        ? `parameter problem - code ${code}`
        : `parameter problem - octet ${icmpv4.pointer(b, at)}`;
    case icmpv4.TIMESTAMP:
      return `time stamp query id ${icmpv4.echoId(b, at)} seq ${icmpv4.echoSequence(b, at)}`;
    case icmpv4.TIMESTAMP_REPLY:
      return `time stamp reply id ${icmpv4.echoId(b, at)} seq ${icmpv4.echoSequence(b, at)}`;
    case icmpv4.ADDRESS_MASK:
      return "address mask request";
    case icmpv4.ADDRESS_MASK_REPLY:
      return has(c, at, 12) ? `address mask is 0x${hex(u32(b, at + 8), 8)}` : null;
    default:
      return `type-#${type}`;
  }
}

function timeExceeded(code: number): string {
  if (code === icmpv4.TTL_EXCEEDED) return "time exceeded in-transit";
  if (code === icmpv4.REASSEMBLY_TIME_EXCEEDED) return "ip reassembly time exceeded";
  return `time exceeded-#${code}`;
}

function printUnreachable(c: PrintContext, at: number, code: number): string | null {
  const { b } = c;
  const quoteAt = icmpv4.payloadAt(b, at);
  if (!has(c, quoteAt, ipv4.HEADER_BYTES)) return null;
  const dst = address4(b, quoteAt + ipv4.DST);
  const protocol = ipv4.protocol(b, quoteAt);
  const start = UNREACHABLE[code]?.(dst) ?? `${dst} unreachable - #${code}`;
  if (code === icmpv4.PROTOCOL_UNREACHABLE) return `${start} ${protocol} unreachable`;
  if (code === icmpv4.FRAGMENTATION_NEEDED) {
    const mtu = icmpv4.nextHopMtuBytes(b, at);
    return mtu === 0 ? start : `${start} (mtu ${mtu})`;
  }
  if (code !== icmpv4.PORT_UNREACHABLE) return start;
  const portsAt = ipv4.payloadAt(b, quoteAt);
  if (!has(c, portsAt, 4)) return null;
  const port = u16(b, portsAt + 2);
  const names = new Map([
    [ipProtocol.TCP, "tcp"],
    [ipProtocol.UDP, "udp"],
  ]);
  const name = names.get(protocol) ?? `protocol ${protocol}`;
  return `${dst} ${name} port ${port} unreachable`;
}

/** Whether the checksum is right, and the quoted packet. */
function printDetails(c: PrintContext, at: number, lengthBytes: number, type: number): string {
  const { b } = c;
  let text = "";
  if (has(c, at, lengthBytes) && !c.isFragment) {
    const stored = icmpv4.checksum(b, at);
    const wanted = rightChecksum(c, at, lengthBytes, 0, stored);
    if (wanted !== stored) text += ` (wrong icmp cksum ${hex(stored, 0)} (->${hex(wanted, 0)})!)`;
  }
  const quoteAt = icmpv4.payloadAt(b, at);
  if (icmpv4.isError(type) && has(c, quoteAt, ipv4.HEADER_BYTES) && c.depth < MAX_DEPTH) {
    // The quote is cut on purpose: what it lacks is not missing.
    text += `\n\tIP ${printIpv4(c, quoteAt, ipv4.totalLengthBytes(b, quoteAt))}`;
  }
  return text;
}
