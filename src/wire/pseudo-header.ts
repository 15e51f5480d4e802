/**
 * The pseudo-headers that UDP, TCP and ICMPv6 checksums cover: addresses, protocol and length
 * (RFC 768, RFC 9293 §3.1, RFC 8200 §8.1), as partial sums for `base/checksum.ts`.
 *
 * A partial sum here is below 2^21 plus the length, so it never leaves the small integers. A
 * length is added as one number: modulo 2^16 - 1 that equals adding its halves.
 */
import type { Bytes } from "../base/bytes.js";
import { u16 } from "../base/bytes.js";
import type { IpAddress } from "../base/ip-address.js";
import * as ipv4 from "./ipv4.js";
import * as ipv6 from "./ipv6.js";

/** Hot path. From the IPv4 header at `ipAt`; `lengthBytes` is the transport header and payload. */
export function sum4(b: Bytes, ipAt: number, protocol: number, lengthBytes: number): number {
  const s = ipAt + ipv4.SRC;
  return u16(b, s) + u16(b, s + 2) + u16(b, s + 4) + u16(b, s + 6) + protocol + lengthBytes;
}

/**
 * Hot path. From the IPv6 header at `ipAt`. The destination is the final one, as it is in a packet
 * that has arrived; the sender of a packet with a routing header uses {@link sumAddresses}.
 */
export function sum6(b: Bytes, ipAt: number, protocol: number, lengthBytes: number): number {
  let total = protocol + lengthBytes;
  const end = ipAt + ipv6.HEADER_BYTES;
  for (let at = ipAt + ipv6.SRC; at < end; at += 4) total += u16(b, at) + u16(b, at + 2);
  return total;
}

/**
 * Hot path. The part that is the same for all packets of a flow: keep it, and add protocol and
 * length per packet. Both addresses are of one family.
 */
export function sumAddresses(src: IpAddress, dst: IpAddress): number {
  if (src.isV4) return halves(src.w3) + halves(dst.w3);
  return (
    halves(src.w0) +
    halves(src.w1) +
    halves(src.w2) +
    halves(src.w3) +
    halves(dst.w0) +
    halves(dst.w1) +
    halves(dst.w2) +
    halves(dst.w3)
  );
}

/** Hot path. {@link sumAddresses} with protocol and length. */
export function sum(src: IpAddress, dst: IpAddress, protocol: number, lengthBytes: number): number {
  return sumAddresses(src, dst) + protocol + lengthBytes;
}

const halves = (word: number): number => (word >>> 16) + (word & 0xffff);
