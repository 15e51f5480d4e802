/**
 * TCP options: RFC 9293 §3.1 (end, no-operation, MSS), RFC 7323 (window scale, timestamps), RFC 2018
 * (SACK), RFC 7413 (fast open), RFC 5482 (user timeout). TCP-MD5 (RFC 2385), TCP-AO (RFC 5925) and
 * MPTCP (RFC 8684) are recognised and their place noted, no more.
 *
 * {@link parse} fills one reused {@link TcpOptions}; it allocates nothing. What is malformed is
 * treated as Linux treats it: an option of a known kind with a wrong length is skipped, and a
 * length that cannot be ends the list with what was read so far.
 *
 * Every `put` writes a multiple of four bytes, padded in front by no-operations, and returns the
 * offset after it; a header is made of a few of them. Their sizes are the `…_BYTES` constants.
 */
// @rfc 9293 §3.1 MUST-4 yes
// @rfc 9293 §3.1 MUST-5 yes
// @rfc 9293 §3.1 MUST-6 yes
// @rfc 9293 §3.1 MUST-7 yes
// @rfc 9293 §3.1 MUST-64 yes
import type { Bytes } from "../base/bytes.js";
import { copy, i32, put8, put16, put32, u8, u16 } from "../base/bytes.js";
import { Drop } from "./drop.js";
import { headerBytes, OPTIONS_AT } from "./tcp.js";

export const KIND_END = 0;
export const KIND_NOP = 1;
export const KIND_MSS = 2;
export const KIND_WINDOW_SCALE = 3;
export const KIND_SACK_PERMITTED = 4;
export const KIND_SACK = 5;
export const KIND_TIMESTAMPS = 8;
export const KIND_MD5 = 19;
export const KIND_USER_TIMEOUT = 28;
export const KIND_AUTHENTICATION = 29;
export const KIND_MPTCP = 30;
export const KIND_FAST_OPEN = 34;

/** RFC 7323 §2.3: larger shifts are taken as this. */
export const MAX_WINDOW_SCALE = 14;
export const MAX_SACK_BLOCKS = 4;
export const MAX_OPTION_BYTES = 40;

export const MSS_BYTES = 4;
export const WINDOW_SCALE_BYTES = 4;
export const SACK_PERMITTED_BYTES = 4;
export const TIMESTAMPS_BYTES = 12;
export const USER_TIMEOUT_BYTES = 4;
/** Size of a SACK option with `blocks` blocks. */
export const sackBytes = (blocks: number): number => 4 + blocks * 8;
/** Size of a fast open option with a cookie of `cookieBytes`. */
export const fastOpenBytes = (cookieBytes: number): number => (cookieBytes + 5) & ~3;

/** NOP, NOP, timestamps, length 10: how every stack in use sends its data segments. */
export const ALIGNED_TIMESTAMPS = 0x0101_080a;

/** The options of one segment; filled by {@link parse}, valid until the next. */
export class TcpOptions {
  /** -1 when absent. Means something on a SYN only, as do the next two. */
  mssBytes = -1;
  /** Shift, 0 to 14; -1 when absent. */
  windowScale = -1;
  sackPermitted = false;
  hasTimestamps = false;
  /** Int32. */
  tsVal = 0;
  /** Int32. */
  tsEcr = 0;
  /** How many pairs of `sack` are filled. */
  sackBlocks = 0;
  /** Left edge and right edge (exclusive) of each block, int32. */
  readonly sack: Int32Array = new Int32Array(2 * MAX_SACK_BLOCKS);
  /** In seconds; -1 when absent. */
  userTimeoutSec = -1;
  /** Offset of the fast open cookie in the frame; -1 when the option is absent. */
  fastOpenAt = -1;
  /** 0 asks for a cookie. */
  fastOpenBytes = 0;
  /** Offset of the option (its kind byte); -1 when absent. */
  md5At = -1;
  authenticationAt = -1;
  mptcpAt = -1;

  /** Hot path. As after a segment without options. */
  clear(): void {
    this.mssBytes = -1;
    this.windowScale = -1;
    this.sackPermitted = false;
    this.hasTimestamps = false;
    this.tsVal = 0;
    this.tsEcr = 0;
    this.sackBlocks = 0;
    this.userTimeoutSec = -1;
    this.fastOpenAt = -1;
    this.fastOpenBytes = 0;
    this.md5At = -1;
    this.authenticationAt = -1;
    this.mptcpAt = -1;
  }
}

/**
 * Hot path. Reads the options of the segment whose header is at `at`. Precondition: `tcp.check`.
 *
 * `Drop.TCP_BAD_OPTION` says that the list ended early; `into` then holds what came before, and a
 * caller that does as Linux does counts it and goes on.
 */
export function parse(b: Bytes, at: number, into: TcpOptions): Drop {
  into.clear();
  const end = at + headerBytes(b, at);
  let p = at + OPTIONS_AT;
  if (end - p === TIMESTAMPS_BYTES && i32(b, p) === ALIGNED_TIMESTAMPS) {
    into.hasTimestamps = true;
    into.tsVal = i32(b, p + 4);
    into.tsEcr = i32(b, p + 8);
    return Drop.NONE;
  }
  while (p < end) {
    const kind = u8(b, p);
    if (kind === KIND_END) return Drop.NONE;
    if (kind === KIND_NOP) {
      p++;
      continue;
    }
    if (end - p < 2) return Drop.TCP_BAD_OPTION;
    const lengthBytes = u8(b, p + 1);
    if (lengthBytes < 2 || lengthBytes > end - p) return Drop.TCP_BAD_OPTION;
    take(b, p, kind, lengthBytes, into);
    p += lengthBytes;
  }
  return Drop.NONE;
}

/** Hot path. One whole option; of a wrong length for its kind, it is skipped. */
function take(b: Bytes, p: number, kind: number, lengthBytes: number, into: TcpOptions): void {
  switch (kind) {
    case KIND_MSS:
      if (lengthBytes === 4) into.mssBytes = u16(b, p + 2);
      return;
    case KIND_WINDOW_SCALE:
      if (lengthBytes === 3) into.windowScale = Math.min(u8(b, p + 2), MAX_WINDOW_SCALE);
      return;
    case KIND_SACK_PERMITTED:
      if (lengthBytes === 2) into.sackPermitted = true;
      return;
    case KIND_SACK:
      takeSack(b, p + 2, lengthBytes - 2, into);
      return;
    case KIND_TIMESTAMPS:
      if (lengthBytes !== 10) return;
      into.hasTimestamps = true;
      into.tsVal = i32(b, p + 2);
      into.tsEcr = i32(b, p + 6);
      return;
    case KIND_USER_TIMEOUT:
      if (lengthBytes === 4) into.userTimeoutSec = userTimeout(u16(b, p + 2));
      return;
    case KIND_FAST_OPEN:
      if (lengthBytes !== 2 && (lengthBytes < 6 || lengthBytes > 18 || lengthBytes & 1)) return;
      into.fastOpenAt = p + 2;
      into.fastOpenBytes = lengthBytes - 2;
      return;
    case KIND_MD5:
      if (lengthBytes === 18) into.md5At = p;
      return;
    case KIND_AUTHENTICATION:
      if (lengthBytes >= 4) into.authenticationAt = p;
      return;
    case KIND_MPTCP:
      into.mptcpAt = p;
      return;
    default:
      return;
  }
}

/** Hot path. The blocks of a SACK option (RFC 2018 §3); at most four fit a header. */
function takeSack(b: Bytes, p: number, n: number, into: TcpOptions): void {
  if (n === 0 || (n & 7) !== 0) return;
  const blocks = Math.min(n >>> 3, MAX_SACK_BLOCKS);
  for (let i = 0; i < 2 * blocks; i++) into.sack[i] = i32(b, p + 4 * i);
  into.sackBlocks = blocks;
}

/** RFC 5482 §3: the first bit says that the other 15 count minutes. */
function userTimeout(raw: number): number {
  return raw & 0x8000 ? (raw & 0x7fff) * 60 : raw;
}

/** Writes an MSS option (RFC 9293 §3.7.1): the largest segment that we take. */
export function putMss(b: Bytes, at: number, mssBytes: number): number {
  put16(b, at, (KIND_MSS << 8) | 4);
  put16(b, at + 2, mssBytes);
  return at + MSS_BYTES;
}

/** Writes a window scale option, a no-operation before it. */
export function putWindowScale(b: Bytes, at: number, shift: number): number {
  put32(b, at, (KIND_NOP << 24) | (KIND_WINDOW_SCALE << 16) | (3 << 8) | shift);
  return at + WINDOW_SCALE_BYTES;
}

/** Writes a SACK-permitted option, two no-operations before it. */
export function putSackPermitted(b: Bytes, at: number): number {
  put32(b, at, (KIND_NOP << 24) | (KIND_NOP << 16) | (KIND_SACK_PERMITTED << 8) | 2);
  return at + SACK_PERMITTED_BYTES;
}

/** Hot path. Writes a timestamps option in its aligned form (RFC 7323 appendix A). */
export function putTimestamps(b: Bytes, at: number, tsVal: number, tsEcr: number): number {
  put32(b, at, ALIGNED_TIMESTAMPS);
  put32(b, at + 4, tsVal);
  put32(b, at + 8, tsEcr);
  return at + TIMESTAMPS_BYTES;
}

/**
 * Writes SACK-permitted and timestamps together as Linux does on a SYN: the former stands where
 * the no-operations would, which leaves room for a fast open cookie. 12 bytes.
 */
export function putSackPermittedAndTimestamps(
  b: Bytes,
  at: number,
  tsVal: number,
  tsEcr: number,
): number {
  putTimestamps(b, at, tsVal, tsEcr);
  put16(b, at, (KIND_SACK_PERMITTED << 8) | 2);
  return at + TIMESTAMPS_BYTES;
}

/** Hot path. Writes `n` SACK blocks: pairs of `blocks`, the latest first. Precondition: 1 to 4. */
export function putSack(b: Bytes, at: number, blocks: Int32Array, n: number): number {
  put32(b, at, (KIND_NOP << 24) | (KIND_NOP << 16) | (KIND_SACK << 8) | (2 + 8 * n));
  for (let i = 0; i < 2 * n; i++) put32(b, at + 4 + 4 * i, blocks[i]!);
  return at + sackBytes(n);
}

/** Writes a user timeout option; above 32,767 seconds it is rounded up to minutes (RFC 5482 §3). */
export function putUserTimeout(b: Bytes, at: number, timeoutSec: number): number {
  const raw =
    timeoutSec <= 0x7fff ? timeoutSec : 0x8000 | Math.min(Math.ceil(timeoutSec / 60), 0x7fff);
  put16(b, at, (KIND_USER_TIMEOUT << 8) | 4);
  put16(b, at + 2, raw);
  return at + USER_TIMEOUT_BYTES;
}

/** Writes a fast open option, padded in front; `n` = 0 asks for a cookie (RFC 7413 §4.1.1). */
export function putFastOpen(
  b: Bytes,
  at: number,
  cookie: Bytes,
  cookieAt: number,
  n: number,
): number {
  const end = at + fastOpenBytes(n);
  const option = end - n - 2;
  for (let p = at; p < option; p++) put8(b, p, KIND_NOP);
  put16(b, option, (KIND_FAST_OPEN << 8) | (2 + n));
  copy(b, option + 2, cookie, cookieAt, n);
  return end;
}
