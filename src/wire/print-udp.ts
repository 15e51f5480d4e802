/** One UDP datagram as text: `10.0.0.1.1234 > 10.0.0.2.53: UDP, length 30`. */
import * as ipProtocol from "./ip-protocol.js";
import type { PrintContext } from "./print-context.js";
import { cut, has, hex } from "./print-context.js";
import { endpoints, noEndpoints, pseudoSum, rightChecksum } from "./print-ip.js";
import * as udp from "./udp.js";

export function printUdp(c: PrintContext, at: number, lengthBytes: number): string {
  if (!has(c, at, 4)) return noEndpoints(c) + cut("udp");
  const start = endpoints(c, udp.srcPort(c.b, at), udp.dstPort(c.b, at));
  if (lengthBytes < udp.HEADER_BYTES) return `${start}truncated-udp ${lengthBytes}`;
  if (!has(c, at, udp.HEADER_BYTES)) return start + cut("udp");
  const claimed = udp.lengthBytes(c.b, at);
  if (claimed < udp.HEADER_BYTES) return `${start}truncated-udplength ${claimed}`;
  const payloadBytes = claimed - udp.HEADER_BYTES;
  const verdict = c.options.verbose && !c.options.quiet ? checksumClaim(c, at, claimed) : "";
  if (claimed > lengthBytes && !c.isFragment) {
    const room = lengthBytes - udp.HEADER_BYTES;
    return `${start}${verdict}UDP, bad length ${payloadBytes} > ${room}`;
  }
  return `${start}${verdict}UDP, length ${payloadBytes}`;
}

function checksumClaim(c: PrintContext, at: number, lengthBytes: number): string {
  if (c.isFragment) return "";
  const stored = udp.checksum(c.b, at);
  if (stored === 0) return c.family === 4 ? "[no cksum] " : "";
  if (!has(c, at, lengthBytes)) return "";
  const pseudo = pseudoSum(c, ipProtocol.UDP, lengthBytes);
  const sum = rightChecksum(c, at, lengthBytes, pseudo, stored);
  const wanted = sum === 0 ? 0xffff : sum; // RFC 768: zero is sent as all ones
  if (stored === wanted) return "[udp sum ok] ";
  return `[bad udp cksum 0x${hex(stored, 4)} -> 0x${hex(wanted, 4)}!] `;
}
