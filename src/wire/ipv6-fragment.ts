/**
 * IPv6 fragment header, RFC 8200 §4.5.
 *
 *  0               8               16                      29  31
 * +---------------+---------------+-----------------------+---+-+
 * |  next header  |   reserved    | fragment offset (x 8) |res|M|
 * +---------------+---------------+-----------------------+---+-+
 * |                       identification                        |
 * +-------------------------------------------------------------+
 *
 * The walk in `ipv6-extensions.ts` has seen that the eight bytes are there.
 */
import type { Bytes } from "../base/bytes.js";
import { i32, put8, put16, put32, u8, u16 } from "../base/bytes.js";

export const HEADER_BYTES = 8;

const OFFSET = 2;
const ID = 4;

/** Protocol of the first header of the fragmented part. */
export const nextHeader = (b: Bytes, at: number): number => u8(b, at);
/** Where this fragment's bytes belong in the fragmentable part. */
export const offsetBytes = (b: Bytes, at: number): number => u16(b, at + OFFSET) & 0xfff8;
export const moreFragments = (b: Bytes, at: number): boolean => (u16(b, at + OFFSET) & 1) !== 0;
/** Int32. */
export const id = (b: Bytes, at: number): number => i32(b, at + ID);
/** Whether this is the whole packet after all, to be taken without reassembly (RFC 6946 §4). */
export const isAtomic = (b: Bytes, at: number): boolean => (u16(b, at + OFFSET) & 0xfff9) === 0;

/** Precondition: `offsetBytes` is a multiple of 8. */
export function write(
  b: Bytes,
  at: number,
  nextHeader: number,
  offsetBytes: number,
  more: boolean,
  id: number,
): void {
  put8(b, at, nextHeader);
  put8(b, at + 1, 0);
  put16(b, at + OFFSET, offsetBytes | (more ? 1 : 0));
  put32(b, at + ID, id);
}
