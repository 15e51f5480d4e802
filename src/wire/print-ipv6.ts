/** IPv6 packets and their extension headers as text. */
import { u8, u16, u32 } from "../base/bytes.js";
import * as ipProtocol from "./ip-protocol.js";
import * as ipv6 from "./ipv6.js";
import type { PrintContext } from "./print-context.js";
import { address6, cut, has, hex } from "./print-context.js";
import { addresses, printPayload, protocolName } from "./print-ip.js";

/** Extension headers that are followed in one packet. */
const MAX_EXTENSIONS = 16;

/** Without the leading `IP6 `. */
export function printIpv6(c: PrintContext, at: number, lengthBytes: number): string {
  const { b } = c;
  if (lengthBytes < ipv6.HEADER_BYTES) return `truncated-ip6 ${lengthBytes}`;
  if (!has(c, at, ipv6.HEADER_BYTES)) return cut("ip6");
  const version = ipv6.version(b, at);
  if (version !== 6) return `version error: ${version} != 6`;
  const payloadBytes = ipv6.payloadLengthBytes(b, at);
  const missing = payloadBytes + ipv6.HEADER_BYTES - lengthBytes;
  let text = missing > 0 ? `truncated-ip6 - ${missing} bytes missing!` : "";
  const outer = { end: c.end, ipAt: c.ipAt, family: c.family, isFragment: c.isFragment };
  // A length of 0 is a jumbogram's (RFC 2675) or a super-frame's: all that is there belongs to it.
  const isJumbo = payloadBytes === 0 && ipv6.nextHeader(b, at) === ipProtocol.HOP_BY_HOP;
  const length = isJumbo ? lengthBytes - ipv6.HEADER_BYTES : payloadBytes;
  c.end = Math.min(c.end, at + ipv6.HEADER_BYTES + length);
  c.ipAt = at;
  c.family = 6;
  c.isFragment = false;
  c.depth++;
  if (c.options.verbose) text += printHeader(c, at, payloadBytes);
  text += printExtensions(c, ipv6.nextHeader(b, at), at + ipv6.HEADER_BYTES, length);
  c.depth--;
  Object.assign(c, outer);
  return text;
}

/** `(hlim 64, next-header TCP (6) payload length: 40) `; class and flow label where not 0. */
function printHeader(c: PrintContext, at: number, payloadBytes: number): string {
  const { b } = c;
  const trafficClass = ipv6.trafficClass(b, at);
  const label = ipv6.flowLabel(b, at);
  const next = ipv6.nextHeader(b, at);
  let text = "(";
  if (trafficClass !== 0) text += `class 0x${hex(trafficClass, 2)}, `;
  if (label !== 0) text += `flowlabel 0x${hex(label, 5)}, `;
  text += `hlim ${ipv6.hopLimit(b, at)}, next-header ${protocolName(next)} (${next})`;
  return `${text} payload length: ${payloadBytes}) `;
}

/** Walks the extension headers, then prints the payload. */
function printExtensions(c: PrintContext, next: number, at: number, lengthBytes: number): string {
  if (next === ipProtocol.TCP || next === ipProtocol.UDP) {
    return printPayload(c, next, at, lengthBytes, true);
  }
  let text = addresses(c);
  for (let n = 0; n < MAX_EXTENSIONS; n++) {
    const kind = next;
    if (!isExtension(kind)) return text + printPayload(c, kind, at, lengthBytes, false);
    const name = extensionName(kind);
    if (!has(c, at, 8)) return `${text}${name}${cut(name.toLowerCase())}`;
    const bytes = kind === ipProtocol.FRAGMENT ? 8 : extensionBytes(c, kind, at);
    if (kind === ipProtocol.FRAGMENT) {
      const offset = u16(c.b, at + 2) & 0xfff8;
      text += printFragment(c, at, lengthBytes - 8);
      if (offset !== 0) return text;
      text += " ";
      c.isFragment = (u16(c.b, at + 2) & 1) !== 0;
    } else {
      text += printExtension(c, kind, at, bytes);
    }
    next = u8(c.b, at);
    if (bytes > lengthBytes || !has(c, at, bytes)) return `${text}${cut(name.toLowerCase())}`;
    at += bytes;
    lengthBytes -= bytes;
  }
  return `${text}[too many extension headers]`;
}

function isExtension(kind: number): boolean {
  return (
    kind === ipProtocol.HOP_BY_HOP ||
    kind === ipProtocol.ROUTING ||
    kind === ipProtocol.FRAGMENT ||
    kind === ipProtocol.AH ||
    kind === ipProtocol.DESTINATION_OPTIONS
  );
}

function extensionName(kind: number): string {
  if (kind === ipProtocol.HOP_BY_HOP) return "HBH";
  if (kind === ipProtocol.ROUTING) return "RT6";
  if (kind === ipProtocol.FRAGMENT) return "frag";
  return kind === ipProtocol.AH ? "AH" : "DSTOPT";
}

/** RFC 8200 §4.2; AH counts in other units (RFC 4302 §2.2). */
function extensionBytes(c: PrintContext, kind: number, at: number): number {
  const units = u8(c.b, at + 1);
  return kind === ipProtocol.AH ? (units + 2) * 4 : (units + 1) * 8;
}

function printExtension(c: PrintContext, kind: number, at: number, bytes: number): string {
  if (kind === ipProtocol.ROUTING) return printRouting(c, at, bytes);
  if (kind === ipProtocol.AH) {
    const spi = hex(u32(c.b, at + 4), 8);
    if (!has(c, at, bytes) || bytes < 12) return `AH(spi=0x${spi}): `;
    let icv = "";
    for (let here = at + 12; here < at + bytes; here++) icv += hex(u8(c.b, here), 2);
    return `AH(spi=0x${spi},seq=0x${hex(u32(c.b, at + 8), 0)},icv=0x${icv}): `;
  }
  const name = extensionName(kind);
  if (!c.options.verbose) return `${name} `;
  return `${name} ${printOptions(c, at + 2, Math.min(at + bytes, c.end))} `;
}

/** Options of a hop-by-hop or destination header (RFC 8200 §4.2). */
function printOptions(c: PrintContext, at: number, end: number): string {
  let text = "";
  while (at < end) {
    const kind = u8(c.b, at);
    if (kind === 0) {
      text += "(pad1)";
      at++;
      continue;
    }
    if (at + 2 > end) return text + cut("opt");
    const bytes = u8(c.b, at + 1);
    if (at + 2 + bytes > end) return text + cut("opt");
    if (kind === 1) text += "(padn)";
    else if (kind === 5 && bytes === 2) text += `(rtalert: 0x${hex(u16(c.b, at + 2), 4)}) `;
    else if (kind === 0xc2 && bytes === 4) text += `(jumbo: ${u32(c.b, at + 2)}) `;
    else text += `(type 0x${hex(kind, 2)}: len=${bytes})`;
    at += 2 + bytes;
  }
  return text.trimEnd();
}

/** `RT6 (len=2, type=0 [Deprecated], segleft=1, [0]fd00::1) ` (RFC 8200 §4.4, RFC 5095). */
function printRouting(c: PrintContext, at: number, bytes: number): string {
  const { b } = c;
  const type = u8(b, at + 2);
  const name = new Map([
    [0, " [Deprecated]"],
    [2, ""],
    [4, ""],
  ]).get(type);
  let text = `RT6 (len=${u8(b, at + 1)}, type=${type}${name ?? ""}, segleft=${u8(b, at + 3)}`;
  if (type === 0 || type === 2) {
    const end = Math.min(at + bytes, c.end);
    for (let i = 0, here = at + 8; here + 16 <= end; i++, here += 16) {
      text += `, [${i}]${address6(b, here)}`;
    }
  }
  return `${text}) `;
}

/** `frag (0|1432)`: where the fragment belongs, and how much of the packet it holds. */
function printFragment(c: PrintContext, at: number, lengthBytes: number): string {
  const offset = u16(c.b, at + 2) & 0xfff8;
  const id = c.options.verbose ? `0x${hex(u32(c.b, at + 4), 8)}:` : "";
  return `frag (${id}${offset}|${lengthBytes})`;
}
