/**
 * IPv6 header, RFC 8200 §3.
 *
 *  0       4              12                                       31
 * +-------+---------------+---------------------------------------+
 * |version| traffic class |              flow label               |
 * +-------+---------------+-------+---------------+---------------+
 * |        payload length         |  next header  |   hop limit   |
 * +-------------------------------+---------------+---------------+
 * |                   source address (16 bytes)                   |
 * |                destination address (16 bytes)                 |
 * +---------------------------------------------------------------+
 *
 * Call {@link check} once; after it returns `Drop.NONE` every getter is in bounds and the packet
 * ends at {@link endOf}. Extension headers are followed by `ipv6-extensions.ts`.
 *
 * Not here: jumbograms (RFC 2675); their payload length 0 is taken as it stands.
 */
import type { Bytes } from "../base/bytes.js";
import { i32, put8, put16, put32, u8, u16 } from "../base/bytes.js";
import type { IpAddress } from "../base/ip-address.js";
import { Drop } from "./drop.js";

export const HEADER_BYTES = 40;
export const MAX_PAYLOAD_BYTES = 65_535;
/** Every link must carry this much unfragmented (RFC 8200 §5). */
export const MIN_MTU_BYTES = 1280;
export const DEFAULT_HOP_LIMIT = 64;

const PAYLOAD_LENGTH = 4;
/** Offset of the next header field, for those who patch it. */
export const NEXT_HEADER = 6;
const HOP_LIMIT = 7;
/** Offsets of the addresses, for `IpAddress.read6` and `write6`. */
export const SRC = 8;
export const DST = 24;

/** Hot path. Decides whether the header at `at` is usable in a frame that ends at `end`. */
export function check(b: Bytes, at: number, end: number): Drop {
  if (end - at < HEADER_BYTES) return Drop.IP6_TRUNCATED;
  if (u8(b, at) >>> 4 !== 6) return Drop.IP6_BAD_VERSION;
  if (u16(b, at + PAYLOAD_LENGTH) > end - at - HEADER_BYTES) return Drop.IP6_TRUNCATED;
  return Drop.NONE;
}

/** As {@link check} for a packet quoted in an ICMP error, of which only the first bytes are there. */
export function checkQuoted(b: Bytes, at: number, end: number): Drop {
  if (end - at < HEADER_BYTES || u8(b, at) >>> 4 !== 6) return Drop.ICMP_BAD_QUOTE;
  return Drop.NONE;
}

export const version = (b: Bytes, at: number): number => u8(b, at) >>> 4;
/** Hot path. DSCP and ECN, as IPv4's TOS byte. */
export const trafficClass = (b: Bytes, at: number): number => (u16(b, at) >>> 4) & 0xff;
/** Hot path. RFC 3168 §5, as in IPv4. */
export const ecn = (b: Bytes, at: number): number => (u16(b, at) >>> 4) & 3;
/** 20 bits (RFC 6437). */
export const flowLabel = (b: Bytes, at: number): number => i32(b, at) & 0xfffff;
/** Hot path. Everything after the 40 bytes, extension headers included. */
export const payloadLengthBytes = (b: Bytes, at: number): number => u16(b, at + PAYLOAD_LENGTH);
/** Hot path. Offset after the packet's last byte. */
export const endOf = (b: Bytes, at: number): number =>
  at + HEADER_BYTES + u16(b, at + PAYLOAD_LENGTH);
/** Hot path. See `ip-protocol.ts`. */
export const nextHeader = (b: Bytes, at: number): number => u8(b, at + NEXT_HEADER);
export const hopLimit = (b: Bytes, at: number): number => u8(b, at + HOP_LIMIT);

/**
 * Hot path. Writes a header: traffic class and flow label 0, hop limit 64; setters change these.
 * `payloadLengthBytes` counts extension headers.
 */
export function write(
  b: Bytes,
  at: number,
  payloadLengthBytes: number,
  nextHeader: number,
  src: IpAddress,
  dst: IpAddress,
): void {
  put32(b, at, 0x6000_0000);
  put16(b, at + PAYLOAD_LENGTH, payloadLengthBytes);
  put8(b, at + NEXT_HEADER, nextHeader);
  put8(b, at + HOP_LIMIT, DEFAULT_HOP_LIMIT);
  src.write6(b, at + SRC);
  dst.write6(b, at + DST);
}

/** Sets traffic class (8 bits) and flow label (20 bits) together. */
export function setClassAndFlow(b: Bytes, at: number, trafficClass: number, label: number): void {
  put32(b, at, 0x6000_0000 | ((trafficClass & 0xff) << 20) | (label & 0xfffff));
}
export const setPayloadLength = (b: Bytes, at: number, payloadLengthBytes: number): void =>
  put16(b, at + PAYLOAD_LENGTH, payloadLengthBytes);
export const setNextHeader = (b: Bytes, at: number, nextHeader: number): void =>
  put8(b, at + NEXT_HEADER, nextHeader);
export const setHopLimit = (b: Bytes, at: number, hopLimit: number): void =>
  put8(b, at + HOP_LIMIT, hopLimit);

/** Hot path. Sets the ECN bits to congestion experienced (RFC 3168 §5). */
export function markCongestion(b: Bytes, at: number): void {
  put8(b, at + 1, u8(b, at + 1) | 0x30);
}
