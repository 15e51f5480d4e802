/**
 * Multicast listener discovery for IPv6, version 1 (RFC 2710 §3) and 2 (RFC 3810 §5).
 *
 *  query 130, v1 report 131, done 132      v2 report 143            group record
 * +------+---+-----------+         +------+---+-----------+    +------+-----+---------+
 * | type | 0 | checksum  |         | 143  | 0 | checksum  |    | type | aux | sources |
 * +------+---+-----------+         +------+---+-----------+    +------+-----+---------+
 * | max delay | reserved |         | reserved |  records  |    |      group (16)      |
 * +----------------------+         +----------------------+    +----------------------+
 * |      group (16)      |         |       records        |    | sources, aux x 4     |
 * +----------------------+         +----------------------+    +----------------------+
 * | v2 query: S QRV, ... |
 *
 * {@link check} applies the rules of RFC 3810 §5.1.14, §5.2.13 and §6.2 that need only the packet:
 * hop limit 1, a link-local source (or `::` for reports). That a router alert came along is seen in
 * `ipv6-extensions.ts`. Checksums are `icmpv6.ts`'s; record types are `igmp.ts`'s.
 */
import type { Bytes } from "../base/bytes.js";
import { i32, put8, put16, put32, u8, u16 } from "../base/bytes.js";
import type { IpAddress } from "../base/ip-address.js";
import { Drop } from "./drop.js";
import * as icmpv6 from "./icmpv6.js";
import { decodeTime as decodeInterval, encodeTime as encodeInterval } from "./igmp.js";
import * as ipv6 from "./ipv6.js";

export const HOP_LIMIT = 1;
/** Size of a version 1 message. */
export const MESSAGE_BYTES = 24;
export const QUERY_V2_BYTES = 28;
export const REPORT_BYTES = 8;
export const RECORD_BYTES = 20;
/** Offset of the group in a query, version 1 report or done. */
export const GROUP = 8;
/** Offset of the group in a record. */
export const RECORD_GROUP = 4;

const MAX_RESPONSE = 4;
const RECORDS = 6;
const S_QRV = 24;
const QQIC = 25;
const SOURCES = 26;

/** Whether an ICMPv6 type is a listener discovery message. */
export const isType = (type: number): boolean =>
  (type >= icmpv6.MLD_QUERY && type <= icmpv6.MLD_DONE) || type === icmpv6.MLD_REPORT_V2;

/**
 * Decides whether the message at `at`, in the packet whose IPv6 header is at `ipAt`, is valid.
 * Precondition: its type is one of {@link isType}'s.
 */
export function check(b: Bytes, at: number, end: number, ipAt: number): Drop {
  if (end - at < REPORT_BYTES) return Drop.MLD_TRUNCATED;
  const type = icmpv6.type(b, at);
  if (ipv6.hopLimit(b, ipAt) !== HOP_LIMIT) return Drop.ND_BAD_HOP_LIMIT;
  if (!sourceIsValid(b, ipAt, type)) return Drop.MLD_BAD_GROUP;
  if (type === icmpv6.MLD_REPORT_V2) return checkReport(b, at, end);
  if (end - at < MESSAGE_BYTES) return Drop.MLD_TRUNCATED;
  if (type === icmpv6.MLD_QUERY) return checkQuery(b, at, end);
  return u8(b, at + GROUP) === 0xff ? Drop.NONE : Drop.MLD_BAD_GROUP;
}

function checkQuery(b: Bytes, at: number, end: number): Drop {
  if (!isGeneral(b, at) && u8(b, at + GROUP) !== 0xff) return Drop.MLD_BAD_GROUP;
  if (end - at === MESSAGE_BYTES) return Drop.NONE;
  // Lengths between the two forms are neither (RFC 3810 §8.1).
  if (end - at < QUERY_V2_BYTES) return Drop.MLD_TRUNCATED;
  return u16(b, at + SOURCES) << 4 > end - at - QUERY_V2_BYTES ? Drop.MLD_TRUNCATED : Drop.NONE;
}

function checkReport(b: Bytes, at: number, end: number): Drop {
  let r = at + REPORT_BYTES;
  for (let n = recordCount(b, at); n > 0; n--) {
    if (end - r < RECORD_BYTES) return Drop.MLD_TRUNCATED;
    const lengthBytes = recordBytes(b, r);
    if (lengthBytes > end - r) return Drop.MLD_TRUNCATED;
    if (u8(b, r + RECORD_GROUP) !== 0xff) return Drop.MLD_BAD_GROUP;
    r += lengthBytes;
  }
  return Drop.NONE;
}

/** Link-local, or for reports `::`: a host may report before it has an address (RFC 3590 §4). */
function sourceIsValid(b: Bytes, ipAt: number, type: number): boolean {
  const src = ipAt + ipv6.SRC;
  if ((u16(b, src) & 0xffc0) === 0xfe80) return true;
  return type !== icmpv6.MLD_QUERY && isZero(b, src);
}

const isZero = (b: Bytes, at: number): boolean =>
  i32(b, at) === 0 && i32(b, at + 4) === 0 && i32(b, at + 8) === 0 && i32(b, at + 12) === 0;

/** Whether a query asks for all groups. */
export const isGeneral = (b: Bytes, at: number): boolean => isZero(b, at + GROUP);

/** Version of a query, from its length (RFC 3810 §8.1). */
export const queryVersion = (_b: Bytes, at: number, end: number): 1 | 2 =>
  end - at >= QUERY_V2_BYTES ? 2 : 1;

/** Longest time to wait before answering a query. */
export function maxResponseMs(b: Bytes, at: number, end: number): number {
  const code = u16(b, at + MAX_RESPONSE);
  return queryVersion(b, at, end) === 1 ? code : decodeTime(code);
}

/** Version 2 query: whether routers shall leave their timers alone (S). */
export const suppressRouterSide = (b: Bytes, at: number): boolean => (u8(b, at + S_QRV) & 8) !== 0;
/** Version 2 query: robustness (QRV); 0 when above 7. */
export const robustness = (b: Bytes, at: number): number => u8(b, at + S_QRV) & 7;
/** Version 2 query: the querier's interval. */
export const queryIntervalSec = (b: Bytes, at: number): number => decodeInterval(u8(b, at + QQIC));
/** Version 2 query: how many sources it asks for. */
export const sourceCount = (b: Bytes, at: number): number => u16(b, at + SOURCES);
/** Version 2 query: offset of source `i`. */
export const sourceAt = (_b: Bytes, at: number, i: number): number => at + QUERY_V2_BYTES + 16 * i;

/** Version 2 report: number of records; the first is at `at + REPORT_BYTES`. */
export const recordCount = (b: Bytes, at: number): number => u16(b, at + RECORDS);
/** One of `igmp.ts`'s record types. */
export const recordType = (b: Bytes, r: number): number => u8(b, r);
export const recordSourceCount = (b: Bytes, r: number): number => u16(b, r + 2);
/** Offset of source `i` of the record at `r`. */
export const recordSourceAt = (_b: Bytes, r: number, i: number): number =>
  r + RECORD_BYTES + 16 * i;
/** Size of the record at `r`: the next one is that much further. */
export const recordBytes = (b: Bytes, r: number): number =>
  RECORD_BYTES + (u16(b, r + 2) << 4) + (u8(b, r + 1) << 2);

/** A response code of version 2 in ms: 12 bits of a mantissa and 3 of an exponent from 32,768 on. */
export function decodeTime(code: number): number {
  return code < 0x8000 ? code : ((code & 0xfff) | 0x1000) << (((code >>> 12) & 7) + 3);
}

/** The largest code whose time is not above `timeMs`; 0xffff (8,387,584 ms) is the limit. */
export function encodeTime(timeMs: number): number {
  if (timeMs < 0x8000) return timeMs;
  if (timeMs >= 8_387_584) return 0xffff;
  const exponent = 31 - Math.clz32(timeMs) - 15;
  return 0x8000 | (exponent << 12) | ((timeMs >>> (exponent + 3)) & 0xfff);
}

/** Writes a version 1 message, or the first part of a version 2 query, checksum 0. */
export function write(
  b: Bytes,
  at: number,
  type: number,
  maxResponseCode: number,
  group: IpAddress,
): void {
  icmpv6.write(b, at, type, 0, maxResponseCode << 16);
  group.write6(b, at + GROUP);
}

/** Writes the second part of a version 2 query after {@link write}, without its sources. */
export function writeQueryV2(
  b: Bytes,
  at: number,
  suppressAndRobustness: number,
  intervalSec: number,
  sources: number,
): void {
  put8(b, at + S_QRV, suppressAndRobustness);
  put8(b, at + QQIC, encodeInterval(intervalSec));
  put16(b, at + SOURCES, sources);
}

/** Writes the head of a version 2 report, checksum 0; records follow at `at + REPORT_BYTES`. */
export function writeReport(b: Bytes, at: number, records: number): void {
  icmpv6.write(b, at, icmpv6.MLD_REPORT_V2, 0, records);
}

/** Writes the head of a record; its sources are written at {@link recordSourceAt}. Returns the end. */
export function putRecord(
  b: Bytes,
  r: number,
  type: number,
  group: IpAddress,
  sources: number,
): number {
  put32(b, r, (type << 24) | sources);
  group.write6(b, r + RECORD_GROUP);
  return r + RECORD_BYTES + 16 * sources;
}
