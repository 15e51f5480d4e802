/**
 * ICMP for IPv6, RFC 4443.
 *
 * +---------------+---------------+-------------------------------+
 * |     type      |     code      |           checksum            |
 * +---------------+---------------+-------------------------------+
 * |          rest: echo id and sequence, MTU, pointer             |
 * +---------------------------------------------------------------+
 * |  echo data, or the packet that caused the error (its head)    |
 * +---------------------------------------------------------------+
 *
 * Call {@link check} once; after it every getter is in bounds. The checksum covers a pseudo-header.
 * Neighbour discovery is in `nd.ts`, listener discovery in `mld.ts`.
 */
import type { Bytes } from "../base/bytes.js";
import { i32, put8, put16, put32, u8, u16, u32 } from "../base/bytes.js";
import * as checksums from "../base/checksum.js";
import { Drop } from "./drop.js";

export const HEADER_BYTES = 8;

export const UNREACHABLE = 1;
export const PACKET_TOO_BIG = 2;
export const TIME_EXCEEDED = 3;
export const PARAMETER_PROBLEM = 4;
export const ECHO_REQUEST = 128;
export const ECHO_REPLY = 129;
export const MLD_QUERY = 130;
export const MLD_REPORT_V1 = 131;
export const MLD_DONE = 132;
export const ROUTER_SOLICITATION = 133;
export const ROUTER_ADVERTISEMENT = 134;
export const NEIGHBOR_SOLICITATION = 135;
export const NEIGHBOR_ADVERTISEMENT = 136;
export const REDIRECT = 137;
export const MLD_REPORT_V2 = 143;

/** Codes of {@link UNREACHABLE}. */
export const NO_ROUTE = 0;
export const PROHIBITED = 1;
export const BEYOND_SCOPE = 2;
export const ADDRESS_UNREACHABLE = 3;
export const PORT_UNREACHABLE = 4;
export const SOURCE_POLICY = 5;
export const REJECT_ROUTE = 6;

/** Codes of {@link TIME_EXCEEDED}. */
export const HOP_LIMIT_EXCEEDED = 0;
export const REASSEMBLY_TIME_EXCEEDED = 1;

/** Codes of {@link PARAMETER_PROBLEM}. */
export const BAD_HEADER_FIELD = 0;
export const UNKNOWN_NEXT_HEADER = 1;
export const UNKNOWN_OPTION = 2;
/** A first fragment without the whole header chain (RFC 7112 §5). */
export const INCOMPLETE_HEADER_CHAIN = 3;

const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;
const REST = 4;

/** Decides whether a message is whole as far as all types have fields in common. */
export function check(_b: Bytes, at: number, end: number): Drop {
  return end - at < HEADER_BYTES ? Drop.ICMP6_TRUNCATED : Drop.NONE;
}

export const type = (b: Bytes, at: number): number => u8(b, at + TYPE);
export const code = (b: Bytes, at: number): number => u8(b, at + CODE);
export const checksum = (b: Bytes, at: number): number => u16(b, at + CHECKSUM);
/** The second word as it stands, int32. */
export const rest = (b: Bytes, at: number): number => i32(b, at + REST);
export const echoId = (b: Bytes, at: number): number => u16(b, at + REST);
export const echoSequence = (b: Bytes, at: number): number => u16(b, at + REST + 2);
/** MTU of the link that was too small (packet too big). */
export const mtuBytes = (b: Bytes, at: number): number => u32(b, at + REST);
/** Offset of the bad byte in the quoted packet (parameter problem); may lie beyond the quote. */
export const pointer = (b: Bytes, at: number): number => u32(b, at + REST);
/** Offset of echo data or of the quoted packet. */
export const payloadAt = (_b: Bytes, at: number): number => at + HEADER_BYTES;

/** Whether a type reports an error, to which no error may answer (RFC 4443 §2.1, §2.4 e). */
export const isError = (type: number): boolean => type < 128;

/** Whether the checksum is right; `pseudoSum` is from `pseudo-header.ts`. */
export function checksumIsValid(b: Bytes, at: number, end: number, pseudoSum: number): boolean {
  return checksums.fold(checksums.sum(b, at, end - at, pseudoSum)) === 0xffff;
}

/** Writes the eight bytes of any message, checksum 0; `rest` is the second word. */
export function write(b: Bytes, at: number, type: number, code: number, rest: number): void {
  put8(b, at + TYPE, type);
  put8(b, at + CODE, code);
  put16(b, at + CHECKSUM, 0);
  put32(b, at + REST, rest);
}

/** Writes an echo request or reply without its data, checksum 0. */
export function writeEcho(b: Bytes, at: number, type: number, id: number, sequence: number): void {
  write(b, at, type, 0, (id << 16) | (sequence & 0xffff));
}

/** Computes and stores the checksum over the message, which ends at `end`. */
export function fillChecksum(b: Bytes, at: number, end: number, pseudoSum: number): void {
  put16(b, at + CHECKSUM, 0);
  put16(b, at + CHECKSUM, checksums.finish(checksums.sum(b, at, end - at, pseudoSum)));
}
