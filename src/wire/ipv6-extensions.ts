/**
 * IPv6 extension headers, RFC 8200 §4: from the fixed header to what the packet carries.
 *
 * +---------------+---------------+------------------------------+
 * |  next header  | length (x 8)  |  options or type-specific    |   hop-by-hop, destination, routing
 * +---------------+---------------+------------------------------+
 *
 * {@link walk} is for a packet that has arrived at its destination. It passes hop-by-hop options,
 * destination options, routing headers with no segments left, atomic fragments (RFC 6946) and
 * authentication headers (RFC 4302, unverified), and stops at anything else: an upper layer, a true
 * fragment, ESP. What it found is in the `…Out` variables, valid until the next call.
 *
 * Refused on purpose: routing headers with segments left (RFC 5095 for type 0), jumbograms.
 */
import type { Bytes } from "../base/bytes.js";
import { put8, put16, put32, u8, u16 } from "../base/bytes.js";
import { Drop } from "./drop.js";
import * as icmpv6 from "./icmpv6.js";
import * as protocols from "./ip-protocol.js";
import * as ipv6 from "./ipv6.js";
import * as fragments from "./ipv6-fragment.js";

/** Extension headers that are followed in one packet (RFC 8504 §5.3). */
export const MAX_EXTENSIONS = 8;
/** Options other than padding that are followed in one header (RFC 8504 §5.3). */
export const MAX_OPTIONS = 8;

const OPTION_PAD1 = 0;
const OPTION_PADN = 1;
const OPTION_ROUTER_ALERT = 5;

/** Upper-layer protocol, or `ip-protocol.FRAGMENT`: the packet is to be reassembled first. */
export let protocolOut = 0;
/** Offset of the upper-layer header, or of the fragment header. */
export let payloadAtOut = 0;
/** Offset of the next header field that names `protocolOut`; what reassembly has to patch. */
export let nextHeaderAtOut = 0;
/** Value of the router alert option (RFC 2711 §2.1; 0 is MLD), or -1. */
export let routerAlertOut = -1;
/** After a Drop that an ICMPv6 Parameter Problem may answer: its code, or -1 for none. */
export let problemCodeOut = -1;
/** After such a Drop: the offending byte, as an offset from the IPv6 header (the pointer field). */
export let problemPointerOut = 0;

/** Hot path. Follows the headers of the packet at `at`, which ends at `end`; see the file header. */
export function walk(b: Bytes, at: number, end: number): Drop {
  const first = ipv6.nextHeader(b, at);
  protocolOut = first;
  payloadAtOut = at + ipv6.HEADER_BYTES;
  nextHeaderAtOut = at + ipv6.NEXT_HEADER;
  routerAlertOut = -1;
  problemCodeOut = -1;
  if (first === protocols.TCP || first === protocols.UDP || first === protocols.ICMPV6)
    return Drop.NONE;
  return walkExtensions(b, at, end);
}

function walkExtensions(b: Bytes, at: number, end: number): Drop {
  for (let n = 0; ; n++) {
    if (!isExtension(protocolOut)) {
      return protocolOut === protocols.NO_NEXT_HEADER ? Drop.IP6_NO_NEXT_HEADER : Drop.NONE;
    }
    if (n === MAX_EXTENSIONS) return Drop.IP6_TOO_MANY_EXTENSIONS;
    const p = payloadAtOut;
    if (end - p < 8) return Drop.IP6_EXTENSION_TRUNCATED;
    if (protocolOut === protocols.FRAGMENT && !fragments.isAtomic(b, p)) return Drop.NONE;
    const lengthBytes = extensionBytes(b, p, protocolOut);
    if (lengthBytes > end - p) return Drop.IP6_EXTENSION_TRUNCATED;
    const drop = takeExtension(b, at, p, lengthBytes, n);
    if (drop !== Drop.NONE) return drop;
    nextHeaderAtOut = p;
    protocolOut = u8(b, p);
    payloadAtOut = p + lengthBytes;
  }
}

/** Whether a next header value is an extension header that {@link walk} knows. */
export function isExtension(protocol: number): boolean {
  return (
    protocol === protocols.HOP_BY_HOP ||
    protocol === protocols.ROUTING ||
    protocol === protocols.FRAGMENT ||
    protocol === protocols.AH ||
    protocol === protocols.DESTINATION_OPTIONS
  );
}

/** Size of the extension header at `p`; AH counts in 4 bytes less 2, the others in 8 less 1. */
function extensionBytes(b: Bytes, p: number, protocol: number): number {
  if (protocol === protocols.FRAGMENT) return fragments.HEADER_BYTES;
  const units = u8(b, p + 1);
  return protocol === protocols.AH ? (units + 2) << 2 : (units + 1) << 3;
}

function takeExtension(b: Bytes, at: number, p: number, lengthBytes: number, n: number): Drop {
  switch (protocolOut) {
    case protocols.HOP_BY_HOP:
      if (n > 0) {
        return problem(Drop.IP6_HOP_BY_HOP_LATE, icmpv6.UNKNOWN_NEXT_HEADER, nextHeaderAtOut - at);
      }
      return takeOptions(b, at, p, lengthBytes);
    case protocols.DESTINATION_OPTIONS:
      return takeOptions(b, at, p, lengthBytes);
    case protocols.ROUTING:
      if (u8(b, p + 3) === 0) return Drop.NONE; // no segments left: nothing to do (§4.4)
      return problem(Drop.IP6_ROUTING_REFUSED, icmpv6.BAD_HEADER_FIELD, p + 2 - at);
    default:
      return Drop.NONE;
  }
}

/** The options of one header, in order (RFC 8200 §4.2). */
function takeOptions(b: Bytes, at: number, p: number, lengthBytes: number): Drop {
  const end = p + lengthBytes;
  let options = 0;
  let o = p + 2;
  while (o < end) {
    const type = u8(b, o);
    if (type === OPTION_PAD1) {
      o++;
      continue;
    }
    if (end - o < 2 || u8(b, o + 1) > end - o - 2) {
      return problem(Drop.IP6_BAD_OPTION, icmpv6.BAD_HEADER_FIELD, o - at);
    }
    if (type !== OPTION_PADN) {
      if (++options > MAX_OPTIONS) return Drop.IP6_TOO_MANY_EXTENSIONS;
      const drop = takeOption(b, at, o, type);
      if (drop !== Drop.NONE) return drop;
    }
    o += 2 + u8(b, o + 1);
  }
  return Drop.NONE;
}

/** One option: known, or treated as the two highest bits of its type say. */
function takeOption(b: Bytes, at: number, o: number, type: number): Drop {
  if (type === OPTION_ROUTER_ALERT && u8(b, o + 1) === 2) {
    routerAlertOut = u16(b, o + 2);
    return Drop.NONE;
  }
  switch (type >>> 6) {
    case 0:
      return Drop.NONE;
    case 1:
      return Drop.IP6_OPTION_DISCARD;
    case 2:
      return problem(Drop.IP6_OPTION_PROBLEM, icmpv6.UNKNOWN_OPTION, o - at);
    default:
      return problem(Drop.IP6_OPTION_PROBLEM_UNICAST, icmpv6.UNKNOWN_OPTION, o - at);
  }
}

function problem(drop: Drop, code: number, pointer: number): Drop {
  problemCodeOut = code;
  problemPointerOut = pointer;
  return drop;
}

/**
 * Checks the hop-by-hop options of the packet at `at` and nothing else: what a router looks at.
 * Sets `routerAlertOut` and the `problem…Out`s.
 */
export function checkHopByHop(b: Bytes, at: number, end: number): Drop {
  routerAlertOut = -1;
  problemCodeOut = -1;
  if (ipv6.nextHeader(b, at) !== protocols.HOP_BY_HOP) return Drop.NONE;
  const p = at + ipv6.HEADER_BYTES;
  if (end - p < 8) return Drop.IP6_EXTENSION_TRUNCATED;
  const lengthBytes = extensionBytes(b, p, protocols.HOP_BY_HOP);
  if (lengthBytes > end - p) return Drop.IP6_EXTENSION_TRUNCATED;
  return takeOptions(b, at, p, lengthBytes);
}

/**
 * Whether all headers up to and with the upper layer's lie between `p`, where a header of this
 * protocol starts, and `end`: what a first fragment must hold (RFC 7112 §5, RFC 8200 §4.5). Of an
 * upper layer that is not known one byte is enough, as for Linux.
 */
export function isChainWhole(b: Bytes, protocol: number, p: number, end: number): boolean {
  let next = protocol;
  let at = p;
  for (let n = 0; n < MAX_EXTENSIONS && isExtension(next); n++) {
    if (end - at < 8) return false;
    const lengthBytes = extensionBytes(b, at, next);
    next = u8(b, at);
    at += lengthBytes;
  }
  return end - at >= upperHeaderBytes(next);
}

/** Protocol that {@link upperLayerAt} found. */
export let upperLayerOut = 0;

/**
 * Offset of the upper layer's header of the packet at `at`, whatever its extension headers ask for;
 * `end` or beyond when the packet ends before. Leaves what {@link walk} found as it is.
 */
export function upperLayerAt(b: Bytes, at: number, end: number): number {
  upperLayerOut = ipv6.nextHeader(b, at);
  let p = at + ipv6.HEADER_BYTES;
  for (let n = 0; n <= MAX_EXTENSIONS && isExtension(upperLayerOut) && end - p >= 8; n++) {
    const lengthBytes = extensionBytes(b, p, upperLayerOut);
    upperLayerOut = u8(b, p);
    p += lengthBytes;
  }
  return p;
}

function upperHeaderBytes(protocol: number): number {
  if (protocol === protocols.TCP) return 20;
  if (protocol === protocols.UDP || protocol === protocols.ICMPV6) return 8;
  return protocol === protocols.NO_NEXT_HEADER ? 0 : 1;
}

/** Size of the header that {@link writeRouterAlert} writes. */
export const ROUTER_ALERT_BYTES = 8;

/** Writes a hop-by-hop header with a router alert and padding (RFC 2711 §2.1); MLD has value 0. */
export function writeRouterAlert(b: Bytes, at: number, nextHeader: number, value: number): void {
  put8(b, at, nextHeader);
  put8(b, at + 1, 0);
  put16(b, at + 2, (OPTION_ROUTER_ALERT << 8) | 2);
  put16(b, at + 4, value);
  put16(b, at + 6, OPTION_PADN << 8);
}

/** Writes a header of `lengthBytes` (a multiple of 8) with padding only: destination or hop-by-hop. */
export function writePadding(b: Bytes, at: number, nextHeader: number, lengthBytes: number): void {
  put32(b, at, (nextHeader << 24) | (((lengthBytes >>> 3) - 1) << 16) | (OPTION_PADN << 8));
  put8(b, at + 3, lengthBytes - 4);
  b.fill(0, at + 4, at + lengthBytes);
}
