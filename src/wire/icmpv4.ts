/**
 * ICMP for IPv4, RFC 792, with the next-hop MTU of RFC 1191 §4 and RFC 950's address mask types.
 *
 * +---------------+---------------+-------------------------------+
 * |     type      |     code      |           checksum            |
 * +---------------+---------------+-------------------------------+
 * |  rest: echo id and sequence, next-hop MTU, gateway, pointer   |
 * +---------------------------------------------------------------+
 * |  echo data, or the packet that caused the error (its head)    |
 * +---------------------------------------------------------------+
 *
 * Call {@link check} once; after it every getter is in bounds. A message ends where its packet does.
 * Not here: ICMP extensions (RFC 4884); they come after the quoted packet and are ignored.
 */
import type { Bytes } from "../base/bytes.js";
import { i32, put8, put16, put32, u8, u16 } from "../base/bytes.js";
import * as checksums from "../base/checksum.js";
import { Drop } from "./drop.js";

export const HEADER_BYTES = 8;

export const ECHO_REPLY = 0;
export const UNREACHABLE = 3;
export const SOURCE_QUENCH = 4;
export const REDIRECT = 5;
export const ECHO_REQUEST = 8;
export const ROUTER_ADVERTISEMENT = 9;
export const ROUTER_SOLICITATION = 10;
export const TIME_EXCEEDED = 11;
export const PARAMETER_PROBLEM = 12;
export const TIMESTAMP = 13;
export const TIMESTAMP_REPLY = 14;
export const ADDRESS_MASK = 17;
export const ADDRESS_MASK_REPLY = 18;

/** Codes of {@link UNREACHABLE} (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1). */
export const NET_UNREACHABLE = 0;
export const HOST_UNREACHABLE = 1;
export const PROTOCOL_UNREACHABLE = 2;
export const PORT_UNREACHABLE = 3;
export const FRAGMENTATION_NEEDED = 4;
export const SOURCE_ROUTE_FAILED = 5;
export const NET_UNKNOWN = 6;
export const HOST_UNKNOWN = 7;
export const SOURCE_HOST_ISOLATED = 8;
export const NET_PROHIBITED = 9;
export const HOST_PROHIBITED = 10;
export const NET_UNREACHABLE_FOR_TOS = 11;
export const HOST_UNREACHABLE_FOR_TOS = 12;
export const COMMUNICATION_PROHIBITED = 13;

/** Codes of {@link TIME_EXCEEDED}. */
export const TTL_EXCEEDED = 0;
export const REASSEMBLY_TIME_EXCEEDED = 1;

const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;
const REST = 4;

/** Decides whether a message is whole as far as all types have fields in common. */
export function check(_b: Bytes, at: number, end: number): Drop {
  return end - at < HEADER_BYTES ? Drop.ICMP4_TRUNCATED : Drop.NONE;
}

export const type = (b: Bytes, at: number): number => u8(b, at + TYPE);
export const code = (b: Bytes, at: number): number => u8(b, at + CODE);
export const checksum = (b: Bytes, at: number): number => u16(b, at + CHECKSUM);
/** The second word as it stands, int32. */
export const rest = (b: Bytes, at: number): number => i32(b, at + REST);
export const echoId = (b: Bytes, at: number): number => u16(b, at + REST);
export const echoSequence = (b: Bytes, at: number): number => u16(b, at + REST + 2);
/** MTU of the link that was too small (RFC 1191 §4); 0 from old routers. */
export const nextHopMtuBytes = (b: Bytes, at: number): number => u16(b, at + REST + 2);
/** Gateway of a redirect, int32. */
export const gateway = (b: Bytes, at: number): number => i32(b, at + REST);
/** Offset of the bad byte in the quoted packet (parameter problem). */
export const pointer = (b: Bytes, at: number): number => u8(b, at + REST);
/** Offset of echo data or of the quoted packet. */
export const payloadAt = (_b: Bytes, at: number): number => at + HEADER_BYTES;

/** Whether a type reports an error, to which no error may answer (RFC 1122 §3.2.2). */
export const isError = (type: number): boolean =>
  type === UNREACHABLE ||
  type === TIME_EXCEEDED ||
  type === PARAMETER_PROBLEM ||
  type === REDIRECT ||
  type === SOURCE_QUENCH;

/** Whether the checksum over the message, which ends at `end`, is right. */
export function checksumIsValid(b: Bytes, at: number, end: number): boolean {
  return checksums.fold(checksums.sum(b, at, end - at, 0)) === 0xffff;
}

/** Writes the eight bytes of any message, checksum 0; `rest` is the second word, int32. */
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

/** Turns the echo request at `at` into its reply in place and adjusts the checksum (RFC 1624). */
export function turnEcho(b: Bytes, at: number): void {
  const before = u16(b, at + TYPE);
  put16(b, at + TYPE, ECHO_REPLY << 8);
  put16(b, at + CHECKSUM, checksums.adjust(u16(b, at + CHECKSUM), before, ECHO_REPLY << 8));
}

/** Computes and stores the checksum over the message, which ends at `end`. */
export function fillChecksum(b: Bytes, at: number, end: number): void {
  put16(b, at + CHECKSUM, 0);
  put16(b, at + CHECKSUM, checksums.finish(checksums.sum(b, at, end - at, 0)));
}
