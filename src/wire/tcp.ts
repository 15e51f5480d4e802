/**
 * TCP segment header, RFC 9293 §3.1.
 *
 *  0       4       8               16                              31
 * +-------------------------------+-------------------------------+
 * |          source port          |       destination port        |
 * +-------------------------------+-------------------------------+
 * |                        sequence number                        |
 * |                    acknowledgement number                     |
 * +-------+-------+-+-+-+-+-+-+-+-+-------------------------------+
 * |  data |       |C|E|U|A|P|R|S|F|                               |
 * | offset| rsrvd |W|C|R|C|S|S|Y|I|            window             |
 * |       |       |R|E|G|K|H|T|N|N|                               |
 * +-------+-------+-+-+-+-+-+-+-+-+-------------------------------+
 * |           checksum            |        urgent pointer         |
 * +-------------------------------+-------------------------------+
 * |                 options, padded to 4 bytes                    |
 * +---------------------------------------------------------------+
 *
 * Call {@link check} once; after it returns `Drop.NONE` every getter is in bounds. Sequence numbers
 * are int32: compare them by difference. A segment ends where its packet does. Options:
 * `tcp-options.ts`. Reserved bits are ignored on receipt and sent as 0.
 */
import type { Bytes } from "../base/bytes.js";
import { i32, put8, put16, put32, u8, u16 } from "../base/bytes.js";
import * as checksums from "../base/checksum.js";
import { Drop } from "./drop.js";

/** Without options. */
export const HEADER_BYTES = 20;
export const MAX_HEADER_BYTES = 60;

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
/** RFC 3168 §6.1: the receiver saw congestion. */
export const ECE = 0x40;
/** RFC 3168 §6.1: the sender has reduced its congestion window. */
export const CWR = 0x80;

const SRC_PORT = 0;
const DST_PORT = 2;
const SEQ = 4;
const ACK_NUMBER = 8;
const DATA_OFFSET = 12;
const FLAGS = 13;
const WINDOW = 14;
const CHECKSUM = 16;
const URGENT = 18;
/** Offset of the checksum field, for devices that fill it in. */
export const CHECKSUM_AT = CHECKSUM;
/** Offset of the options. */
export const OPTIONS_AT = 20;

/** Hot path. Decides whether a header at `at` is usable when the packet ends at `end`. */
export function check(b: Bytes, at: number, end: number): Drop {
  if (end - at < HEADER_BYTES) return Drop.TCP_TRUNCATED;
  const header = headerBytes(b, at);
  if (header < HEADER_BYTES) return Drop.TCP_BAD_HEADER_LENGTH;
  if (header > end - at) return Drop.TCP_TRUNCATED;
  // Nobody can be there: who connects to it is refused from it, as by Linux.
  if (u16(b, at + SRC_PORT) === 0 && (b[at + FLAGS]! & SYN) !== 0) return Drop.TCP_BAD_PORT;
  return Drop.NONE;
}

/** Hot path. */
export const srcPort = (b: Bytes, at: number): number => u16(b, at + SRC_PORT);
/** Hot path. */
export const dstPort = (b: Bytes, at: number): number => u16(b, at + DST_PORT);
/** Hot path. Sequence number of the first byte (of the SYN, if there is one), int32. */
export const seq = (b: Bytes, at: number): number => i32(b, at + SEQ);
/** Hot path. Acknowledgement number, int32; says something only with the flag ACK. */
export const ack = (b: Bytes, at: number): number => i32(b, at + ACK_NUMBER);
/** Hot path. 20 to 60. */
export const headerBytes = (b: Bytes, at: number): number => (u8(b, at + DATA_OFFSET) >>> 4) << 2;
/** Hot path. The eight flags, CWR to FIN. */
export const flags = (b: Bytes, at: number): number => u8(b, at + FLAGS);
/** Hot path. As it stands, unscaled. */
export const window = (b: Bytes, at: number): number => u16(b, at + WINDOW);
export const checksum = (b: Bytes, at: number): number => u16(b, at + CHECKSUM);
/** Distance from `seq`; says something only with the flag URG. */
export const urgentPointer = (b: Bytes, at: number): number => u16(b, at + URGENT);
/** Hot path. Offset of the data. */
export const payloadAt = (b: Bytes, at: number): number => at + headerBytes(b, at);

/** Hot path. Whether the checksum is right; `pseudoSum` is from `pseudo-header.ts`. */
export function checksumIsValid(b: Bytes, at: number, end: number, pseudoSum: number): boolean {
  return checksums.fold(checksums.sum(b, at, end - at, pseudoSum)) === 0xffff;
}

/** Hot path. First part of writing a header: bytes 0 to 3. */
export function writePorts(b: Bytes, at: number, srcPort: number, dstPort: number): void {
  put16(b, at + SRC_PORT, srcPort);
  put16(b, at + DST_PORT, dstPort);
}

/** Hot path. Second part of writing a header: bytes 4 to 11. */
export function writeNumbers(b: Bytes, at: number, seq: number, ack: number): void {
  put32(b, at + SEQ, seq);
  put32(b, at + ACK_NUMBER, ack);
}

/**
 * Hot path. Third part of writing a header: bytes 12 to 19. Checksum and urgent pointer become 0.
 * `headerBytes` counts the options, which `tcp-options.ts` writes; `window` is already scaled.
 */
export function writeControl(
  b: Bytes,
  at: number,
  headerBytes: number,
  flags: number,
  window: number,
): void {
  put8(b, at + DATA_OFFSET, headerBytes << 2);
  put8(b, at + FLAGS, flags);
  put16(b, at + WINDOW, window);
  put32(b, at + CHECKSUM, 0);
}

export const setUrgentPointer = (b: Bytes, at: number, urgentPointer: number): void =>
  put16(b, at + URGENT, urgentPointer);

/** Hot path. Computes and stores the checksum over header and data up to `end`. */
export function fillChecksum(b: Bytes, at: number, end: number, pseudoSum: number): void {
  put16(b, at + CHECKSUM, 0);
  put16(b, at + CHECKSUM, checksums.finish(checksums.sum(b, at, end - at, pseudoSum)));
}

/** Hot path. Stores a checksum that was computed elsewhere. */
export const setChecksum = (b: Bytes, at: number, checksum: number): void =>
  put16(b, at + CHECKSUM, checksum);

/** The fixed fields as a record, for tests and the control plane. */
export interface TcpHeader {
  readonly srcPort: number;
  readonly dstPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly urgentPointer: number;
}

/** Reads a header to a record. Precondition: {@link check}. Sequence numbers are unsigned. */
export function parse(b: Bytes, at: number): TcpHeader {
  return {
    srcPort: srcPort(b, at),
    dstPort: dstPort(b, at),
    seq: seq(b, at) >>> 0,
    ack: ack(b, at) >>> 0,
    flags: flags(b, at),
    window: window(b, at),
    urgentPointer: urgentPointer(b, at),
  };
}

/** Writes a header of `headerBytes` from a record, checksum 0, options unwritten. */
export function write(b: Bytes, at: number, headerBytes: number, h: TcpHeader): void {
  writePorts(b, at, h.srcPort, h.dstPort);
  writeNumbers(b, at, h.seq, h.ack);
  writeControl(b, at, headerBytes, h.flags, h.window);
  setUrgentPointer(b, at, h.urgentPointer);
}
