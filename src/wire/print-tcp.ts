/** One TCP segment as text: `10.0.0.1.1234 > 10.0.0.2.80: Flags [S], seq 1, win 64240, length 0`. */
import { u16 } from "../base/bytes.js";
import * as ipProtocol from "./ip-protocol.js";
import type { PrintContext } from "./print-context.js";
import { cut, flagNames, has, hex } from "./print-context.js";
import {
  destination,
  endpoints,
  noEndpoints,
  pseudoSum,
  rightChecksum,
  source,
} from "./print-ip.js";
import { printTcpOptions } from "./print-tcp-options.js";
import * as tcp from "./tcp.js";

const FLAGS = [
  [tcp.FIN, "F"],
  [tcp.SYN, "S"],
  [tcp.RST, "R"],
  [tcp.PSH, "P"],
  [tcp.ACK, "."],
  [tcp.URG, "U"],
  [tcp.ECE, "E"],
  [tcp.CWR, "W"],
  [0x100, "e"],
] as const;

export function printTcp(c: PrintContext, at: number, lengthBytes: number): string {
  if (!has(c, at, 4)) return noEndpoints(c) + cut("tcp");
  const start = endpoints(c, tcp.srcPort(c.b, at), tcp.dstPort(c.b, at));
  if (!has(c, at, tcp.HEADER_BYTES)) return start + cut("tcp");
  const headerBytes = tcp.headerBytes(c.b, at);
  if (headerBytes < tcp.HEADER_BYTES) {
    const claim = `bad hdr length ${headerBytes}, too short, < ${tcp.HEADER_BYTES}`;
    return `${start} tcp ${lengthBytes - headerBytes} [${claim}]`;
  }
  const isTooLong = headerBytes > lengthBytes;
  const bad = ` [bad hdr length ${headerBytes}, too long, > ${lengthBytes}]`;
  if (c.options.quiet) {
    return `${start}tcp ${lengthBytes - headerBytes}${isTooLong ? bad : ""}`;
  }
  return start + printFields(c, at, lengthBytes - headerBytes, isTooLong ? bad : "");
}

function printFields(c: PrintContext, at: number, payloadBytes: number, bad: string): string {
  const { b } = c;
  const flags = tcp.flags(b, at) | (u16(b, at + 12) & 0x100);
  let text = `Flags [${flagNames(flags, FLAGS, "")}]`;
  lookUpOrigins(c, at, flags);
  const { seqOriginOut, ackOriginOut } = c.sequences;
  if (c.options.verbose) text += checksumClaim(c, at, payloadBytes + tcp.headerBytes(b, at));
  if (payloadBytes > 0 || (flags & (tcp.SYN | tcp.FIN | tcp.RST)) !== 0) {
    const first = (tcp.seq(b, at) - seqOriginOut) | 0;
    text += `, seq ${first >>> 0}`;
    if (payloadBytes > 0) text += `:${(first + payloadBytes) >>> 0}`;
  }
  if ((flags & tcp.ACK) !== 0) text += `, ack ${(tcp.ack(b, at) - ackOriginOut) >>> 0}`;
  text += `, win ${tcp.window(b, at)}`;
  if ((flags & tcp.URG) !== 0) text += `, urg ${tcp.urgentPointer(b, at)}`;
  if (tcp.headerBytes(b, at) > tcp.HEADER_BYTES && bad === "") {
    text += `, options [${printTcpOptions(c, at, ackOriginOut)}]`;
  }
  return `${text}${bad === "" ? `, length ${payloadBytes}` : bad}`;
}

/** Leaves the connection's origins in the book's `…Out` fields. */
function lookUpOrigins(c: PrintContext, at: number, flags: number): void {
  const { b, sequences } = c;
  if (c.options.absoluteSequence || (flags & tcp.ACK) === 0) {
    sequences.seqOriginOut = 0;
    sequences.ackOriginOut = 0;
    return;
  }
  const src = `${source(c)}.${tcp.srcPort(b, at)}`;
  const dst = `${destination(c)}.${tcp.dstPort(b, at)}`;
  const isSyn = (flags & tcp.SYN) !== 0;
  sequences.look(src, dst, tcp.seq(b, at), tcp.ack(b, at), isSyn);
}

function checksumClaim(c: PrintContext, at: number, lengthBytes: number): string {
  if (c.isFragment || !has(c, at, lengthBytes)) return "";
  const stored = tcp.checksum(c.b, at);
  const pseudo = pseudoSum(c, ipProtocol.TCP, lengthBytes);
  const wanted = rightChecksum(c, at, lengthBytes, pseudo, stored);
  const verdict = stored === wanted ? "correct" : `incorrect -> 0x${hex(wanted, 4)}`;
  return `, cksum 0x${hex(stored, 4)} (${verdict})`;
}
