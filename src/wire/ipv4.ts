/**
 * IPv4 header, RFC 791 §3.1, with the traffic class as RFC 2474 and RFC 3168 read it.
 *
 *  0       4       8             14  16                            31
 * +-------+-------+-------------+---+-----------------------------+
 * |version|  IHL  |    DSCP     |ECN|        total length         |
 * +-------+-------+-------------+---+---+-------------------------+
 * |         identification          |flg|  fragment offset (x 8)  |
 * +---------------+-----------------+---+-------------------------+
 * | time to live  |    protocol     |       header checksum       |
 * +---------------+-----------------+-----------------------------+
 * |                        source address                         |
 * |                     destination address                       |
 * |                 options, padded to 4 bytes                    |
 * +---------------------------------------------------------------+
 *
 * Call {@link check} once; after it returns `Drop.NONE` every getter is in bounds and the packet
 * ends at {@link endOf}, which may lie before the frame's end (Ethernet padding). The checksum is
 * apart ({@link checksumIsValid}), because devices may have verified it. Options: `ipv4-options.ts`.
 */
import type { Bytes } from "../base/bytes.js";
import { i32, put8, put16, put32, u8, u16 } from "../base/bytes.js";
import * as checksums from "../base/checksum.js";
import { Drop } from "./drop.js";

/** Without options. */
export const HEADER_BYTES = 20;
export const MAX_HEADER_BYTES = 60;
export const MAX_PACKET_BYTES = 65_535;
/** Every link must carry this much unfragmented (RFC 791 §3.2). */
export const MIN_MTU_BYTES = 68;
export const DEFAULT_TTL = 64;

const VERSION_IHL = 0;
const TOS = 1;
const TOTAL_LENGTH = 2;
const ID = 4;
const FRAGMENT = 6;
const TTL = 8;
const PROTOCOL = 9;
const CHECKSUM = 10;
/** Offsets of the addresses, for `IpAddress.read4` and `write4`. */
export const SRC = 12;
export const DST = 16;

/** Bits of the flags-and-offset field. */
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;

/** Hot path. Decides whether the header at `at` is usable in a frame that ends at `end`. */
export function check(b: Bytes, at: number, end: number): Drop {
  if (end - at < HEADER_BYTES) return Drop.IP4_TRUNCATED;
  const first = u8(b, at + VERSION_IHL);
  if (first !== 0x45) {
    if (first >>> 4 !== 4) return Drop.IP4_BAD_VERSION;
    if ((first & 15) < 5) return Drop.IP4_BAD_HEADER_LENGTH;
  }
  const total = u16(b, at + TOTAL_LENGTH);
  if (total < (first & 15) << 2) return Drop.IP4_BAD_TOTAL_LENGTH;
  if (total > end - at) return Drop.IP4_TRUNCATED;
  return Drop.NONE;
}

/** As {@link check} for a packet quoted in an ICMP error, of which only the first bytes are there. */
export function checkQuoted(b: Bytes, at: number, end: number): Drop {
  if (end - at < HEADER_BYTES) return Drop.ICMP_BAD_QUOTE;
  const first = u8(b, at + VERSION_IHL);
  if (first >>> 4 !== 4 || (first & 15) < 5) return Drop.ICMP_BAD_QUOTE;
  if ((first & 15) << 2 > end - at) return Drop.ICMP_BAD_QUOTE;
  return Drop.NONE;
}

export const version = (b: Bytes, at: number): number => u8(b, at + VERSION_IHL) >>> 4;
/** Hot path. 20 to 60. */
export const headerBytes = (b: Bytes, at: number): number => (u8(b, at + VERSION_IHL) & 15) << 2;
export const hasOptions = (b: Bytes, at: number): boolean => (u8(b, at + VERSION_IHL) & 15) > 5;
/** Hot path. The whole byte: DSCP and ECN. */
export const tos = (b: Bytes, at: number): number => u8(b, at + TOS);
export const dscp = (b: Bytes, at: number): number => u8(b, at + TOS) >>> 2;
/** Hot path. RFC 3168 §5: 0 not capable, 1 and 2 capable, 3 congestion experienced. */
export const ecn = (b: Bytes, at: number): number => u8(b, at + TOS) & 3;
/** Hot path. Header and payload. */
export const totalLengthBytes = (b: Bytes, at: number): number => u16(b, at + TOTAL_LENGTH);
/** Hot path. Offset after the packet's last byte. */
export const endOf = (b: Bytes, at: number): number => at + u16(b, at + TOTAL_LENGTH);
/** Hot path. Offset of what the packet carries. */
export const payloadAt = (b: Bytes, at: number): number => at + headerBytes(b, at);
export const id = (b: Bytes, at: number): number => u16(b, at + ID);
export const dontFragment = (b: Bytes, at: number): boolean =>
  (u16(b, at + FRAGMENT) & DONT_FRAGMENT) !== 0;
export const moreFragments = (b: Bytes, at: number): boolean =>
  (u16(b, at + FRAGMENT) & MORE_FRAGMENTS) !== 0;
/** Where this fragment's payload belongs in the datagram's. */
export const fragmentOffsetBytes = (b: Bytes, at: number): number =>
  (u16(b, at + FRAGMENT) & OFFSET_MASK) << 3;
/** Hot path. Whether the packet is a part of a datagram only. */
export const isFragment = (b: Bytes, at: number): boolean =>
  (u16(b, at + FRAGMENT) & (MORE_FRAGMENTS | OFFSET_MASK)) !== 0;
export const ttl = (b: Bytes, at: number): number => u8(b, at + TTL);
/** Hot path. See `ip-protocol.ts`. */
export const protocol = (b: Bytes, at: number): number => u8(b, at + PROTOCOL);
export const checksum = (b: Bytes, at: number): number => u16(b, at + CHECKSUM);
/** Hot path. Source address, int32. */
export const src = (b: Bytes, at: number): number => i32(b, at + SRC);
/** Hot path. Destination address, int32. */
export const dst = (b: Bytes, at: number): number => i32(b, at + DST);

/** Hot path. Whether the header checksum is right (RFC 1071: all words sum to -0). */
export function checksumIsValid(b: Bytes, at: number): boolean {
  return checksums.fold(checksums.sum(b, at, headerBytes(b, at), 0)) === 0xffff;
}

/**
 * Hot path. Writes a header without options: TOS 0, id 0, DF set, TTL 64; setters change these.
 * The checksum is 0 until {@link fillChecksum}. Addresses are int32.
 */
export function write(
  b: Bytes,
  at: number,
  totalLengthBytes: number,
  protocol: number,
  src: number,
  dst: number,
): void {
  put16(b, at + VERSION_IHL, 0x4500);
  put16(b, at + TOTAL_LENGTH, totalLengthBytes);
  put32(b, at + ID, DONT_FRAGMENT);
  put8(b, at + TTL, DEFAULT_TTL);
  put8(b, at + PROTOCOL, protocol);
  put16(b, at + CHECKSUM, 0);
  put32(b, at + SRC, src);
  put32(b, at + DST, dst);
}

/** Hot path. Computes and stores the header checksum; the last step of writing. */
export function fillChecksum(b: Bytes, at: number): void {
  put16(b, at + CHECKSUM, 0);
  put16(b, at + CHECKSUM, checksums.finish(checksums.sum(b, at, headerBytes(b, at), 0)));
}

/** Sets the header length; with options, 24 to 60 in steps of 4. */
export function setHeaderBytes(b: Bytes, at: number, headerBytes: number): void {
  put8(b, at + VERSION_IHL, 0x40 | (headerBytes >>> 2));
}
export const setTos = (b: Bytes, at: number, tos: number): void => put8(b, at + TOS, tos);
export const setTotalLength = (b: Bytes, at: number, totalLengthBytes: number): void =>
  put16(b, at + TOTAL_LENGTH, totalLengthBytes);
export const setId = (b: Bytes, at: number, id: number): void => put16(b, at + ID, id);
export const setTtl = (b: Bytes, at: number, ttl: number): void => put8(b, at + TTL, ttl);

/** Sets DF and clears MF and offset, or clears all three. */
export function setDontFragment(b: Bytes, at: number, dontFragment: boolean): void {
  put16(b, at + FRAGMENT, dontFragment ? DONT_FRAGMENT : 0);
}

/** Marks a fragment; clears DF. Precondition: `offsetBytes` is a multiple of 8. */
export function setFragment(b: Bytes, at: number, offsetBytes: number, more: boolean): void {
  put16(b, at + FRAGMENT, (more ? MORE_FRAGMENTS : 0) | (offsetBytes >>> 3));
}

/** Hot path. Takes one from the TTL and adjusts the checksum (RFC 1624); precondition: TTL > 0. */
export function decrementTtl(b: Bytes, at: number): void {
  const before = u16(b, at + TTL);
  const after = before - 0x0100;
  put16(b, at + TTL, after);
  put16(b, at + CHECKSUM, checksums.adjust(u16(b, at + CHECKSUM), before, after));
}

/** Hot path. Sets the ECN bits to congestion experienced and adjusts the checksum (RFC 3168 §5). */
export function markCongestion(b: Bytes, at: number): void {
  const before = u16(b, at + VERSION_IHL);
  const after = before | 3;
  put16(b, at + VERSION_IHL, after);
  put16(b, at + CHECKSUM, checksums.adjust(u16(b, at + CHECKSUM), before, after));
}
