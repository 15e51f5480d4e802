/**
 * IGMP versions 1 (RFC 1112 appendix I), 2 (RFC 2236) and 3 (RFC 3376 §4).
 *
 *   query, v1/v2 report, leave         v3 report 0x22            group record
 * +------+------+----------+     +------+---+----------+    +------+-----+---------+
 * | type | max  | checksum |     | 0x22 | 0 | checksum |    | type | aux | sources |
 * +------+------+----------+     +------+---+----------+    +------+-----+---------+
 * |         group          |     | reserved | records  |    |        group         |
 * +------------------------+     +----------+----------+    +----------------------+
 * | v3 query: S QRV, QQIC, |     |       records        |    | sources, aux x 4     |
 * | number, sources        |     +----------------------+    +----------------------+
 * +------------------------+
 *
 * Call {@link check} once; after it every getter of the message's kind is in bounds, and the records
 * of a report can be walked. Groups and sources are int32.
 */
import type { Bytes } from "../base/bytes.js";
import { i32, put8, put16, put32, u8, u16 } from "../base/bytes.js";
import * as checksums from "../base/checksum.js";
import { Drop } from "./drop.js";

export const HEADER_BYTES = 8;
export const QUERY_V3_BYTES = 12;
export const RECORD_BYTES = 8;

export const QUERY = 0x11;
export const REPORT_V1 = 0x12;
export const REPORT_V2 = 0x16;
export const LEAVE = 0x17;
export const REPORT_V3 = 0x22;

/** Types of a group record (RFC 3376 §4.2.12). */
export const MODE_IS_INCLUDE = 1;
export const MODE_IS_EXCLUDE = 2;
export const CHANGE_TO_INCLUDE = 3;
export const CHANGE_TO_EXCLUDE = 4;
export const ALLOW_NEW_SOURCES = 5;
export const BLOCK_OLD_SOURCES = 6;

const TYPE = 0;
const MAX_RESPONSE = 1;
const CHECKSUM = 2;
const GROUP = 4;
const RECORDS = 6;
const S_QRV = 8;
const QQIC = 9;
const SOURCES = 10;

/** Decides whether the message at `at` is whole and about a group that can be. */
export function check(b: Bytes, at: number, end: number): Drop {
  if (end - at < HEADER_BYTES) return Drop.IGMP_TRUNCATED;
  switch (u8(b, at + TYPE)) {
    case QUERY:
      return checkQuery(b, at, end);
    case REPORT_V1:
    case REPORT_V2:
    case LEAVE:
      return isGroup(i32(b, at + GROUP)) ? Drop.NONE : Drop.IGMP_BAD_GROUP;
    case REPORT_V3:
      return checkReport(b, at, end);
    default:
      return Drop.IGMP_BAD_TYPE;
  }
}

function checkQuery(b: Bytes, at: number, end: number): Drop {
  const group = i32(b, at + GROUP);
  if (group !== 0 && !isGroup(group)) return Drop.IGMP_BAD_GROUP;
  if (end - at === HEADER_BYTES) return Drop.NONE;
  // Lengths between the two forms are neither (RFC 3376 §7.1).
  if (end - at < QUERY_V3_BYTES) return Drop.IGMP_TRUNCATED;
  return u16(b, at + SOURCES) << 2 > end - at - QUERY_V3_BYTES ? Drop.IGMP_TRUNCATED : Drop.NONE;
}

function checkReport(b: Bytes, at: number, end: number): Drop {
  let r = at + HEADER_BYTES;
  for (let n = recordCount(b, at); n > 0; n--) {
    if (end - r < RECORD_BYTES) return Drop.IGMP_TRUNCATED;
    const lengthBytes = recordBytes(b, r);
    if (lengthBytes > end - r) return Drop.IGMP_TRUNCATED;
    if (!isGroup(recordGroup(b, r))) return Drop.IGMP_BAD_GROUP;
    r += lengthBytes;
  }
  return Drop.NONE;
}

const isGroup = (address: number): boolean => address >>> 28 === 0xe;

export const type = (b: Bytes, at: number): number => u8(b, at + TYPE);
/** Group of a query (0: general) or of a v1/v2 report or leave, int32. */
export const group = (b: Bytes, at: number): number => i32(b, at + GROUP);

/** Version of a query, from its length and its response time (RFC 3376 §7.1). */
export function queryVersion(b: Bytes, at: number, end: number): 1 | 2 | 3 {
  if (end - at >= QUERY_V3_BYTES) return 3;
  return u8(b, at + MAX_RESPONSE) === 0 ? 1 : 2;
}

/** Longest time to wait before answering a query; version 1 has always 10 s. */
export function maxResponseMs(b: Bytes, at: number, end: number): number {
  const code = u8(b, at + MAX_RESPONSE);
  switch (queryVersion(b, at, end)) {
    case 1:
      return 10_000;
    case 2:
      return code * 100;
    default:
      return decodeTime(code) * 100;
  }
}

/** Version 3 query: whether routers shall leave their timers alone (S). */
export const suppressRouterSide = (b: Bytes, at: number): boolean => (u8(b, at + S_QRV) & 8) !== 0;
/** Version 3 query: robustness (QRV); 0 when above 7. */
export const robustness = (b: Bytes, at: number): number => u8(b, at + S_QRV) & 7;
/** Version 3 query: the querier's interval. */
export const queryIntervalSec = (b: Bytes, at: number): number => decodeTime(u8(b, at + QQIC));
/** Version 3 query: how many sources it asks for. */
export const sourceCount = (b: Bytes, at: number): number => u16(b, at + SOURCES);
/** Version 3 query: source `i`, int32. */
export const source = (b: Bytes, at: number, i: number): number =>
  i32(b, at + QUERY_V3_BYTES + 4 * i);

/** Version 3 report: number of records; the first is at `at + HEADER_BYTES`. */
export const recordCount = (b: Bytes, at: number): number => u16(b, at + RECORDS);
export const recordType = (b: Bytes, r: number): number => u8(b, r);
export const recordSourceCount = (b: Bytes, r: number): number => u16(b, r + 2);
export const recordGroup = (b: Bytes, r: number): number => i32(b, r + 4);
export const recordSource = (b: Bytes, r: number, i: number): number =>
  i32(b, r + RECORD_BYTES + 4 * i);
/** Size of the record at `r`: the next one is that much further. */
export const recordBytes = (b: Bytes, r: number): number =>
  RECORD_BYTES + ((u16(b, r + 2) + u8(b, r + 1)) << 2);

/** Whether the checksum over the message, which ends at `end`, is right. */
export function checksumIsValid(b: Bytes, at: number, end: number): boolean {
  return checksums.fold(checksums.sum(b, at, end - at, 0)) === 0xffff;
}

/** A time code of version 3: below 128 itself, else 4 bits of a mantissa and 3 of an exponent. */
export function decodeTime(code: number): number {
  return code < 128 ? code : ((code & 15) | 16) << (((code >>> 4) & 7) + 3);
}

/** The largest code whose time is not above `time`; 255 (31,744) is the limit. */
export function encodeTime(time: number): number {
  if (time < 128) return time;
  if (time >= 31_744) return 255;
  const exponent = 31 - Math.clz32(time) - 7;
  return 0x80 | (exponent << 4) | ((time >>> (exponent + 3)) & 15);
}

/** Writes the eight bytes of a v1/v2 query, report or leave; `maxResponse` is in 1/10 s. */
export function write(
  b: Bytes,
  at: number,
  type: number,
  maxResponse: number,
  group: number,
): void {
  put8(b, at + TYPE, type);
  put8(b, at + MAX_RESPONSE, maxResponse);
  put16(b, at + CHECKSUM, 0);
  put32(b, at + GROUP, group);
}

/** Writes the second part of a version 3 query after {@link write}, without its sources. */
export function writeQueryV3(
  b: Bytes,
  at: number,
  suppressAndRobustness: number,
  intervalSec: number,
  sources: number,
): void {
  put8(b, at + S_QRV, suppressAndRobustness);
  put8(b, at + QQIC, encodeTime(intervalSec));
  put16(b, at + SOURCES, sources);
}

/** Writes the head of a version 3 report; records follow at `at + HEADER_BYTES`. */
export function writeReport(b: Bytes, at: number, records: number): void {
  put32(b, at, REPORT_V3 << 24);
  put32(b, at + 4, records);
}

/** Writes the head of a record; {@link putRecordSource} writes its sources. Returns the end. */
export function putRecord(
  b: Bytes,
  r: number,
  type: number,
  group: number,
  sources: number,
): number {
  put32(b, r, (type << 24) | sources);
  put32(b, r + 4, group);
  return r + RECORD_BYTES + 4 * sources;
}

export const putRecordSource = (b: Bytes, r: number, i: number, source: number): void =>
  put32(b, r + RECORD_BYTES + 4 * i, source);

/** Computes and stores the checksum over the message, which ends at `end`. */
export function fillChecksum(b: Bytes, at: number, end: number): void {
  put16(b, at + CHECKSUM, 0);
  put16(b, at + CHECKSUM, checksums.finish(checksums.sum(b, at, end - at, 0)));
}
