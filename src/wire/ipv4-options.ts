/**
 * IPv4 options, RFC 791 §3.1: end, no-operation, record route, timestamp, loose and strict source
 * route; router alert (RFC 2113); others are passed over by their length.
 *
 * {@link check} walks the list once and notes where each known option stands in the `…Out`
 * variables (-1 when absent), valid until the next call. Record route and timestamp are noted,
 * not filled in: RFC 7126 §4 asks no more of a host.
 */
import type { Bytes } from "../base/bytes.js";
import { put8, put32, u8, u16 } from "../base/bytes.js";
import { Drop } from "./drop.js";
import { HEADER_BYTES, headerBytes } from "./ipv4.js";

export const TYPE_END = 0;
export const TYPE_NOP = 1;
export const TYPE_RECORD_ROUTE = 7;
export const TYPE_TIMESTAMP = 68;
export const TYPE_LOOSE_SOURCE_ROUTE = 131;
export const TYPE_STRICT_SOURCE_ROUTE = 137;
export const TYPE_ROUTER_ALERT = 148;
/** Set in the type of an option that every fragment repeats. */
export const COPIED = 0x80;

/** Offset of the option's type byte, or -1. */
export let recordRouteAtOut = -1;
export let timestampAtOut = -1;
/** Loose or strict source route. */
export let sourceRouteAtOut = -1;
/** Value of the router alert (0: every router shall look), or -1. */
export let routerAlertOut = -1;
/** After `Drop.IP4_BAD_OPTION`: the bad byte's offset from the header, ICMP's pointer. */
export let problemPointerOut = 0;

/** Walks the options of the header at `at`. Precondition: `ipv4.check`. */
export function check(b: Bytes, at: number): Drop {
  recordRouteAtOut = -1;
  timestampAtOut = -1;
  sourceRouteAtOut = -1;
  routerAlertOut = -1;
  const end = at + headerBytes(b, at);
  let o = at + HEADER_BYTES;
  while (o < end) {
    const type = u8(b, o);
    if (type === TYPE_END) return Drop.NONE;
    if (type === TYPE_NOP) {
      o++;
      continue;
    }
    if (end - o < 2) return bad(o - at);
    const lengthBytes = u8(b, o + 1);
    if (lengthBytes < 2 || lengthBytes > end - o) return bad(o + 1 - at);
    const drop = take(b, at, o, type, lengthBytes);
    if (drop !== Drop.NONE) return drop;
    o += lengthBytes;
  }
  return Drop.NONE;
}

/** One whole option; those with a pointer must have a pointer that can be. */
function take(b: Bytes, at: number, o: number, type: number, lengthBytes: number): Drop {
  switch (type) {
    case TYPE_RECORD_ROUTE:
      if (lengthBytes < 3 || u8(b, o + 2) < 4) return bad(o + 2 - at);
      recordRouteAtOut = o;
      return Drop.NONE;
    case TYPE_LOOSE_SOURCE_ROUTE:
    case TYPE_STRICT_SOURCE_ROUTE:
      if (lengthBytes < 3 || u8(b, o + 2) < 4 || sourceRouteAtOut >= 0) return bad(o + 2 - at);
      sourceRouteAtOut = o;
      return Drop.NONE;
    case TYPE_TIMESTAMP:
      if (lengthBytes < 4 || u8(b, o + 2) < 5) return bad(o + 2 - at);
      timestampAtOut = o;
      return Drop.NONE;
    case TYPE_ROUTER_ALERT:
      if (lengthBytes !== 4) return bad(o + 1 - at);
      routerAlertOut = u16(b, o + 2);
      return Drop.NONE;
    default:
      return Drop.NONE;
  }
}

function bad(pointer: number): Drop {
  problemPointerOut = pointer;
  return Drop.IP4_BAD_OPTION;
}

/** Size of what {@link putRouterAlert} writes. */
export const ROUTER_ALERT_BYTES = 4;

/** Writes the router alert with value 0 that IGMP carries (RFC 2113 §2.1); returns the offset after. */
export function putRouterAlert(b: Bytes, at: number): number {
  put32(b, at, (TYPE_ROUTER_ALERT << 24) | (4 << 16));
  return at + ROUTER_ALERT_BYTES;
}

/**
 * Copies those options of the header at `fromAt` that every fragment must repeat (RFC 791 §3.1,
 * the copied flag), padded with END to four bytes. Returns how many bytes were written to `to` at
 * `toAt`. Precondition: {@link check} found nothing wrong.
 */
export function copyForFragment(to: Bytes, toAt: number, from: Bytes, fromAt: number): number {
  const end = fromAt + headerBytes(from, fromAt);
  let o = fromAt + HEADER_BYTES;
  let n = 0;
  while (o < end && u8(from, o) !== TYPE_END) {
    const lengthBytes = u8(from, o) === TYPE_NOP ? 1 : u8(from, o + 1);
    if ((u8(from, o) & COPIED) !== 0) {
      for (let i = 0; i < lengthBytes; i++) put8(to, toAt + n + i, u8(from, o + i));
      n += lengthBytes;
    }
    o += lengthBytes;
  }
  while ((n & 3) !== 0) put8(to, toAt + n++, TYPE_END);
  return n;
}
