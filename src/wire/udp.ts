/**
 * UDP datagram header, RFC 768.
 *
 *  0      7 8     15 16    23 24    31
 * +--------+--------+--------+--------+
 * |     source      |   destination   |
 * +--------+--------+--------+--------+
 * |     length      |    checksum     |   length counts header + payload
 * +--------+--------+--------+--------+
 *
 * Functions take the frame and the offset `at` where this header starts; none of them allocates.
 * Call {@link check} once; after it returns `Drop.NONE` every getter is in bounds. Bytes after the
 * length, up to the packet's end, are not ours (RFC 9868 has plans for them) and are ignored.
 */
import type { Bytes } from "../base/bytes.js";
import { put16, u16 } from "../base/bytes.js";
import * as checksums from "../base/checksum.js";
import { Drop } from "./drop.js";

export const HEADER_BYTES = 8;

const SRC_PORT = 0;
const DST_PORT = 2;
const LENGTH = 4;
const CHECKSUM = 6;
/** Offset of the checksum field, for devices that fill it in. */
export const CHECKSUM_AT = CHECKSUM;

/** Hot path. Decides whether a header at `at` is usable when the packet ends at `end`. */
export function check(b: Bytes, at: number, end: number): Drop {
  if (end - at < HEADER_BYTES) return Drop.UDP_TRUNCATED;
  const length = u16(b, at + LENGTH);
  if (length < HEADER_BYTES) return Drop.UDP_BAD_LENGTH;
  if (length > end - at) return Drop.UDP_TRUNCATED;
  return Drop.NONE;
}

/** Hot path. 0 when the sender wants no answer. */
export const srcPort = (b: Bytes, at: number): number => u16(b, at + SRC_PORT);
/** Hot path. */
export const dstPort = (b: Bytes, at: number): number => u16(b, at + DST_PORT);
/** Hot path. Header and payload. */
export const lengthBytes = (b: Bytes, at: number): number => u16(b, at + LENGTH);
/** Hot path. */
export const payloadBytes = (b: Bytes, at: number): number => u16(b, at + LENGTH) - HEADER_BYTES;
/** Hot path. */
export const payloadAt = (_b: Bytes, at: number): number => at + HEADER_BYTES;
/** Hot path. Offset after the payload. */
export const endOf = (b: Bytes, at: number): number => at + u16(b, at + LENGTH);
export const checksum = (b: Bytes, at: number): number => u16(b, at + CHECKSUM);

/** Hot path. True when the sender computed no checksum. Over IPv6 only tunnels may (RFC 8200 §8.1). */
export const checksumOmitted = (b: Bytes, at: number): boolean => u16(b, at + CHECKSUM) === 0;

/**
 * Hot path. Whether the checksum is right; `pseudoSum` is from `pseudo-header.ts`. An omitted
 * checksum is not right: ask {@link checksumOmitted} first, the answer depends on the family.
 */
export function checksumIsValid(b: Bytes, at: number, pseudoSum: number): boolean {
  return checksums.fold(checksums.sum(b, at, lengthBytes(b, at), pseudoSum)) === 0xffff;
}

/** Hot path. Writes a header with checksum 0, which {@link fillChecksum} replaces. */
export function write(
  b: Bytes,
  at: number,
  srcPort: number,
  dstPort: number,
  payloadBytes: number,
): void {
  put16(b, at + SRC_PORT, srcPort);
  put16(b, at + DST_PORT, dstPort);
  put16(b, at + LENGTH, payloadBytes + HEADER_BYTES);
  put16(b, at + CHECKSUM, 0);
}

/** Hot path. Computes and stores the checksum over header and payload. */
export function fillChecksum(b: Bytes, at: number, pseudoSum: number): void {
  put16(b, at + CHECKSUM, 0);
  setChecksum(b, at, checksums.finish(checksums.sum(b, at, lengthBytes(b, at), pseudoSum)));
}

/** Hot path. Stores a computed checksum: 0 becomes its other form 0xffff, as 0 says "none". */
export function setChecksum(b: Bytes, at: number, checksum: number): void {
  put16(b, at + CHECKSUM, checksum === 0 ? 0xffff : checksum);
}
