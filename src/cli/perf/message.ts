/**
 * A message of the load, as sockperf 3.7 has it on the wire (checked against captures of the real
 * program: test/interop/sockperf.test.ts).
 *
 *  0               8       10              14
 * +---------------+-------+---------------+------------
 * | sequence      | flags | length        | anything
 * +---------------+-------+---------------+------------
 *
 * Big-endian; `length` counts the whole message. Sequence numbers begin at 1. Over TCP messages
 * follow one another without anything between them (stream-buffer.ts).
 */
import { type Bytes, i32, put16, put32, u16, u32 } from "../../base/bytes.js";

export const HEADER_BYTES = 14;
/** Most that fits a datagram over IPv4, and what sockperf's server accepts. */
export const MAX_BYTES = 65_507;

export const Flag = {
  /** From the client; replies have it cleared. */
  CLIENT: 1,
  /** The client wants it back. */
  PONG: 2,
  /** Neither counted nor answered; sent to groups before a test, with sequence number 0. */
  WARM_UP: 4,
} as const;

const FLAGS = 8;
const LENGTH = 10;
const TWO_TO_32 = 0x1_0000_0000;

/** Whether `n` bytes at `at` begin with a message of a length that can be. */
export function check(b: Bytes, at: number, n: number): boolean {
  if (n < HEADER_BYTES) return false;
  const length = lengthBytes(b, at);
  return length >= HEADER_BYTES && length <= MAX_BYTES;
}

/** Hot path. */
export function sequence(b: Bytes, at: number): number {
  return u32(b, at) * TWO_TO_32 + u32(b, at + 4);
}

export const flags = (b: Bytes, at: number): number => u16(b, at + FLAGS);

/** Length as the header says, signed: sockperf takes it so too. */
export const lengthBytes = (b: Bytes, at: number): number => i32(b, at + LENGTH);

/** Hot path. Writes the header; what follows it is left as it is. */
export function write(b: Bytes, at: number, number: number, bits: number, length: number): void {
  put32(b, at, Math.floor(number / TWO_TO_32));
  put32(b, at + 4, number);
  put16(b, at + FLAGS, bits);
  put32(b, at + LENGTH, length);
}

/** Hot path. Makes a reply of a message: everything stays but the sender's mark. */
export function makeReply(b: Bytes, at: number): void {
  put16(b, at + FLAGS, flags(b, at) & ~Flag.CLIENT);
}
