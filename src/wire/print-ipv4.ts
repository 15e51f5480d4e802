/** IPv4 packets as text. */
import { u8, u16 } from "../base/bytes.js";
import * as ipv4 from "./ipv4.js";
import type { PrintContext } from "./print-context.js";
import { address4, cut, flagNames, has, hex } from "./print-context.js";
import { addresses, printPayload, protocolName, rightChecksum } from "./print-ip.js";

const ECN_NAMES = ["", ",ECT(1)", ",ECT(0)", ",CE"];
const FLAGS = [
  [0x2000, "+"],
  [0x4000, "DF"],
  [0x8000, "rsvd"],
] as const;

const OPTION_NAMES: ReadonlyMap<number, string> = new Map([
  [0, "EOL"],
  [1, "NOP"],
  [7, "RR"],
  [68, "timestamp"],
  [130, "security"],
  [131, "LSRR"],
  [137, "SSRR"],
  [148, "RA"],
]);

/** Without the leading `IP `. */
export function printIpv4(c: PrintContext, at: number, lengthBytes: number): string {
  const { b } = c;
  if (lengthBytes < ipv4.HEADER_BYTES) return `truncated-ip ${lengthBytes}`;
  if (!has(c, at, ipv4.HEADER_BYTES)) return cut("ip");
  const headerBytes = ipv4.headerBytes(b, at);
  if (headerBytes < ipv4.HEADER_BYTES) return `bad-hlen ${headerBytes}`;
  const total = ipv4.totalLengthBytes(b, at);
  // Segmentation offload leaves the length of super-frames 0.
  const length = total === 0 ? lengthBytes : total;
  let text = "";
  if (length > lengthBytes) text += `truncated-ip - ${length - lengthBytes} bytes missing! `;
  if (length < headerBytes) return `${text}bad-len ${length}`;
  const outer = { end: c.end, ipAt: c.ipAt, family: c.family, isFragment: c.isFragment };
  c.end = Math.min(c.end, at + length);
  c.ipAt = at;
  c.family = 4;
  c.isFragment = ipv4.isFragment(b, at);
  c.depth++;
  if (c.options.verbose) text += printHeader(c, at, headerBytes, length);
  text += printBody(c, at, length - headerBytes);
  c.depth--;
  Object.assign(c, outer);
  return text;
}

function printBody(c: PrintContext, at: number, payloadBytes: number): string {
  const protocol = ipv4.protocol(c.b, at);
  if (ipv4.fragmentOffsetBytes(c.b, at) === 0) {
    return printPayload(c, protocol, ipv4.payloadAt(c.b, at), payloadBytes, true);
  }
  return `${addresses(c)}ip-proto-${protocol}`;
}

/** `(tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto TCP (6), length 60)` and a new line. */
function printHeader(c: PrintContext, at: number, headerBytes: number, length: number): string {
  const { b } = c;
  const ttl = ipv4.ttl(b, at);
  const protocol = ipv4.protocol(b, at);
  let text = `(tos 0x${hex(ipv4.tos(b, at), 0)}${ECN_NAMES[ipv4.ecn(b, at)]}`;
  if (ttl > 0) text += `, ttl ${ttl}`;
  text += `, id ${ipv4.id(b, at)}, offset ${ipv4.fragmentOffsetBytes(b, at)}`;
  text += `, flags [${flagNames(u16(b, at + 6), FLAGS, ", ")}]`;
  text += `, proto ${protocolName(protocol)} (${protocol}), length ${length}`;
  if (headerBytes > ipv4.HEADER_BYTES) {
    text += `, options (${printOptions(c, at + ipv4.HEADER_BYTES, at + headerBytes)})`;
  }
  if (has(c, at, headerBytes)) {
    const stored = ipv4.checksum(b, at);
    const wanted = rightChecksum(c, at, headerBytes, 0, stored);
    if (wanted !== stored) text += `, bad cksum ${hex(stored, 0)} (->${hex(wanted, 0)})!`;
  }
  return `${text})\n    `;
}

/** RFC 791 §3.1 "Options"; addresses are printed for the recording and routing ones. */
function printOptions(c: PrintContext, at: number, end: number): string {
  const { b } = c;
  const parts: string[] = [];
  while (at < end) {
    if (!has(c, at, 1)) return [...parts, cut("ip")].join(",");
    const kind = u8(b, at);
    const name = OPTION_NAMES.get(kind) ?? `unknown ${kind}`;
    if (kind <= 1) {
      parts.push(name);
      if (kind === 0) break;
      at++;
      continue;
    }
    if (!has(c, at, 2)) return [...parts, cut("ip")].join(",");
    const bytes = u8(b, at + 1);
    if (bytes < 2 || at + bytes > end || !has(c, at, bytes)) {
      return [...parts, `${name} [bad length ${bytes}]`].join(",");
    }
    const isRoute = kind === 7 || kind === 131 || kind === 137;
    parts.push(isRoute ? name + printRoute(c, at, bytes) : name);
    at += bytes;
  }
  return parts.join(",");
}

function printRoute(c: PrintContext, at: number, bytes: number): string {
  let text = "";
  for (let here = at + 3; here + 4 <= at + bytes; here += 4) text += ` ${address4(c.b, here)}`;
  return text;
}
