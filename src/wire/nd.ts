/**
 * Neighbour discovery for IPv6, RFC 4861 §4, with the DNS server option of RFC 8106 §5.1.
 *
 *   solicitation 135, advertisement 136        router advertisement 134
 * +------+------+-----------------+          +------+------+-----------------+
 * | type |  0   |    checksum     |          | type |  0   |    checksum     |
 * +------+------+-----------------+          +------+------+-----------------+
 * | R S O |       reserved        |          | hops | M O  | router lifetime |
 * +-------------------------------+          +-------------------------------+
 * |          target (16)          |          | reachable ms, retransmit ms   |
 * +-------------------------------+          +-------------------------------+
 * | options: type, length x 8, .. |          |            options            |
 * +-------------------------------+          +-------------------------------+
 *
 * {@link check} applies all of RFC 4861's validity rules that need only the packet (§6.1, §7.1,
 * §8.1), so it takes the offset of the IPv6 header too. Checksums are `icmpv6.ts`'s.
 * Not here: SEND (RFC 3971), proxies.
 */
import type { Bytes } from "../base/bytes.js";
import { i32, put8, put16, put32, u8, u16, u32 } from "../base/bytes.js";
import type { IpAddress } from "../base/ip-address.js";
import { Drop } from "./drop.js";
import { copyAddress } from "./ethernet.js";
import * as icmpv6 from "./icmpv6.js";
import * as ipv6 from "./ipv6.js";

/** Every message comes from the link itself: routers take from the hop limit (RFC 4861 §11.2). */
export const HOP_LIMIT = 255;

export const OPTION_SOURCE_LINK_ADDRESS = 1;
export const OPTION_TARGET_LINK_ADDRESS = 2;
export const OPTION_PREFIX = 3;
export const OPTION_REDIRECTED = 4;
export const OPTION_MTU = 5;
export const OPTION_RDNSS = 25;

/** Flags of a neighbour advertisement, first byte of the second word. */
export const ROUTER = 0x80;
export const SOLICITED = 0x40;
export const OVERRIDE = 0x20;
/** Flags of a router advertisement. */
export const MANAGED = 0x80;
export const OTHER_CONFIG = 0x40;
/** Flags of a prefix option. */
export const ON_LINK = 0x80;
export const AUTONOMOUS = 0x40;

/** Size of a solicitation or advertisement without options, and offset of its target address. */
export const NEIGHBOR_BYTES = 24;
export const TARGET = 8;
export const ROUTER_SOLICITATION_BYTES = 8;
export const ROUTER_ADVERTISEMENT_BYTES = 16;
export const REDIRECT_BYTES = 40;
/** Offset of the address that a redirect is about; the better next hop is at {@link TARGET}. */
export const REDIRECT_DESTINATION = 24;
export const LINK_ADDRESS_OPTION_BYTES = 8;
export const PREFIX_OPTION_BYTES = 32;
export const MTU_OPTION_BYTES = 8;

/** Whether an ICMPv6 type is a neighbour discovery message. */
export const isType = (type: number): boolean =>
  type >= icmpv6.ROUTER_SOLICITATION && type <= icmpv6.REDIRECT;

/** Offset of the options of a message of this type, from its start. */
export function optionsOffset(type: number): number {
  if (type === icmpv6.ROUTER_SOLICITATION) return ROUTER_SOLICITATION_BYTES;
  if (type === icmpv6.ROUTER_ADVERTISEMENT) return ROUTER_ADVERTISEMENT_BYTES;
  return type === icmpv6.REDIRECT ? REDIRECT_BYTES : NEIGHBOR_BYTES;
}

/**
 * Decides whether the message at `at`, in the packet whose IPv6 header is at `ipAt`, is valid.
 * Precondition: its type is one of {@link isType}'s.
 */
export function check(b: Bytes, at: number, end: number, ipAt: number): Drop {
  if (end - at < icmpv6.HEADER_BYTES) return Drop.ND_TRUNCATED;
  const type = icmpv6.type(b, at);
  const optionsAt = at + optionsOffset(type);
  if (ipv6.hopLimit(b, ipAt) !== HOP_LIMIT) return Drop.ND_BAD_HOP_LIMIT;
  if (icmpv6.code(b, at) !== 0) return Drop.ND_BAD_CODE;
  if (optionsAt > end) return Drop.ND_TRUNCATED;
  const drop = checkOptions(b, optionsAt, end);
  if (drop !== Drop.NONE) return drop;
  return addressesAreValid(b, at, end, ipAt, type) ? Drop.NONE : Drop.ND_BAD_ADDRESS;
}

/** Options have a length, fit, and those that are known are as long as they must be. */
function checkOptions(b: Bytes, optionsAt: number, end: number): Drop {
  let o = optionsAt;
  while (o < end) {
    if (end - o < 8) return Drop.ND_BAD_OPTION;
    const lengthBytes = optionBytes(b, o);
    if (lengthBytes === 0 || lengthBytes > end - o) return Drop.ND_BAD_OPTION;
    const type = u8(b, o);
    if (type === OPTION_PREFIX && lengthBytes !== PREFIX_OPTION_BYTES) return Drop.ND_BAD_OPTION;
    if (type === OPTION_RDNSS && lengthBytes < 24) return Drop.ND_BAD_OPTION;
    o += lengthBytes;
  }
  return Drop.NONE;
}

function addressesAreValid(b: Bytes, at: number, end: number, ipAt: number, type: number): boolean {
  const src = ipAt + ipv6.SRC;
  const dst = ipAt + ipv6.DST;
  switch (type) {
    case icmpv6.ROUTER_SOLICITATION:
      return !isUnspecified(b, src) || !hasOption(b, at, end, OPTION_SOURCE_LINK_ADDRESS);
    case icmpv6.ROUTER_ADVERTISEMENT:
      return isLinkLocal(b, src);
    case icmpv6.NEIGHBOR_SOLICITATION:
      if (isMulticast(b, at + TARGET)) return false;
      if (!isUnspecified(b, src)) return true;
      return isSolicitedNode(b, dst) && !hasOption(b, at, end, OPTION_SOURCE_LINK_ADDRESS);
    case icmpv6.NEIGHBOR_ADVERTISEMENT:
      if (isMulticast(b, at + TARGET)) return false;
      return !isMulticast(b, dst) || (flags(b, at) & SOLICITED) === 0;
    default:
      if (!isLinkLocal(b, src) || isMulticast(b, at + REDIRECT_DESTINATION)) return false;
      return isLinkLocal(b, at + TARGET) || sameWords(b, at + TARGET, at + REDIRECT_DESTINATION);
  }
}

const isMulticast = (b: Bytes, at: number): boolean => u8(b, at) === 0xff;
const isLinkLocal = (b: Bytes, at: number): boolean => (u16(b, at) & 0xffc0) === 0xfe80;
const isUnspecified = (b: Bytes, at: number): boolean =>
  i32(b, at) === 0 && i32(b, at + 4) === 0 && i32(b, at + 8) === 0 && i32(b, at + 12) === 0;
const isSolicitedNode = (b: Bytes, at: number): boolean =>
  i32(b, at) === (0xff02_0000 | 0) &&
  i32(b, at + 4) === 0 &&
  i32(b, at + 8) === 1 &&
  u8(b, at + 12) === 0xff;
const sameWords = (b: Bytes, x: number, y: number): boolean =>
  i32(b, x) === i32(b, y) &&
  i32(b, x + 4) === i32(b, y + 4) &&
  i32(b, x + 8) === i32(b, y + 8) &&
  i32(b, x + 12) === i32(b, y + 12);

/** Size of the option at `o`; 0 in a malformed one. */
export const optionBytes = (b: Bytes, o: number): number => u8(b, o + 1) << 3;

/**
 * Offset of the next option of this type at or after `from` (the first is at `at +
 * optionsOffset(type)`), or -1. Precondition: {@link check}.
 */
export function findOption(b: Bytes, from: number, end: number, type: number): number {
  for (let o = from; o < end; o += optionBytes(b, o)) if (u8(b, o) === type) return o;
  return -1;
}

/** Offset of the first option of this type in the message at `at`, or -1. */
export function option(b: Bytes, at: number, end: number, type: number): number {
  return findOption(b, at + optionsOffset(icmpv6.type(b, at)), end, type);
}

const hasOption = (b: Bytes, at: number, end: number, type: number): boolean =>
  option(b, at, end, type) >= 0;

/** Offset of the six bytes of the link-layer address that a message carries, or -1. */
export function linkAddressAt(b: Bytes, at: number, end: number, optionType: number): number {
  const o = option(b, at, end, optionType);
  return o < 0 ? -1 : o + 2;
}

/** Flags of an advertisement: {@link ROUTER}, {@link SOLICITED}, {@link OVERRIDE}. */
export const flags = (b: Bytes, at: number): number => u8(b, at + 4);

/** Router advertisement: hop limit to use, 0 when unsaid. */
export const routerHopLimit = (b: Bytes, at: number): number => u8(b, at + 4);
/** Router advertisement: {@link MANAGED}, {@link OTHER_CONFIG}. */
export const routerFlags = (b: Bytes, at: number): number => u8(b, at + 5);
/** Router advertisement: how long it is a default router; 0 is not at all. */
export const routerLifetimeSec = (b: Bytes, at: number): number => u16(b, at + 6);
/** Router advertisement: 0 when unsaid. */
export const reachableTimeMs = (b: Bytes, at: number): number => u32(b, at + 8);
/** Router advertisement: 0 when unsaid. */
export const retransTimerMs = (b: Bytes, at: number): number => u32(b, at + 12);

/** Fields of a prefix option at `o`. Lifetime 0xffffffff is for ever. */
export const prefixBits = (b: Bytes, o: number): number => u8(b, o + 2);
/** {@link ON_LINK}, {@link AUTONOMOUS}. */
export const prefixFlags = (b: Bytes, o: number): number => u8(b, o + 3);
export const prefixValidSec = (b: Bytes, o: number): number => u32(b, o + 4);
export const prefixPreferredSec = (b: Bytes, o: number): number => u32(b, o + 8);
/** Offset of the prefix in a prefix option. */
export const PREFIX_ADDRESS = 16;
export const mtuBytes = (b: Bytes, o: number): number => u32(b, o + 4);
export const rdnssLifetimeSec = (b: Bytes, o: number): number => u32(b, o + 4);
/** How many server addresses an RDNSS option has; they start at `o + 8`. */
export const rdnssCount = (b: Bytes, o: number): number => (optionBytes(b, o) - 8) >>> 4;

/** Sets `into` to the solicited-node group of an address (RFC 4291 §2.7.1). */
export function solicitedNode(address: IpAddress, into: IpAddress): void {
  into.set(0xff02_0000 | 0, 0, 1, 0xff00_0000 | (address.w3 & 0xffffff));
}

/** Writes a neighbour solicitation, checksum 0; returns the offset after it. */
export function writeSolicitation(
  b: Bytes,
  at: number,
  target: IpAddress,
  sourceMac: Bytes | null,
): number {
  icmpv6.write(b, at, icmpv6.NEIGHBOR_SOLICITATION, 0, 0);
  target.write6(b, at + TARGET);
  return putLinkAddress(b, at + NEIGHBOR_BYTES, OPTION_SOURCE_LINK_ADDRESS, sourceMac);
}

/** Writes a neighbour advertisement, checksum 0; returns the offset after it. */
export function writeAdvertisement(
  b: Bytes,
  at: number,
  flags: number,
  target: IpAddress,
  targetMac: Bytes | null,
): number {
  icmpv6.write(b, at, icmpv6.NEIGHBOR_ADVERTISEMENT, 0, flags << 24);
  target.write6(b, at + TARGET);
  return putLinkAddress(b, at + NEIGHBOR_BYTES, OPTION_TARGET_LINK_ADDRESS, targetMac);
}

/** Writes a router solicitation, checksum 0; returns the offset after it. */
export function writeRouterSolicitation(b: Bytes, at: number, sourceMac: Bytes | null): number {
  icmpv6.write(b, at, icmpv6.ROUTER_SOLICITATION, 0, 0);
  return putLinkAddress(b, at + 8, OPTION_SOURCE_LINK_ADDRESS, sourceMac);
}

/** What a router says of itself; for simulated routers. */
export interface RouterAdvertisement {
  readonly hopLimit: number;
  readonly flags: number;
  readonly lifetimeSec: number;
  readonly reachableTimeMs: number;
  readonly retransTimerMs: number;
}

/** Writes a router advertisement without options, checksum 0; returns the offset after it. */
export function writeRouterAdvertisement(b: Bytes, at: number, ra: RouterAdvertisement): number {
  const rest = (ra.hopLimit << 24) | (ra.flags << 16) | ra.lifetimeSec;
  icmpv6.write(b, at, icmpv6.ROUTER_ADVERTISEMENT, 0, rest);
  put32(b, at + 8, ra.reachableTimeMs);
  put32(b, at + 12, ra.retransTimerMs);
  return at + ROUTER_ADVERTISEMENT_BYTES;
}

/** Writes a redirect without options, checksum 0; returns the offset after it. */
export function writeRedirect(
  b: Bytes,
  at: number,
  target: IpAddress,
  destination: IpAddress,
): number {
  icmpv6.write(b, at, icmpv6.REDIRECT, 0, 0);
  target.write6(b, at + TARGET);
  destination.write6(b, at + REDIRECT_DESTINATION);
  return at + REDIRECT_BYTES;
}

/** Writes a link-layer address option, or nothing for null; returns the offset after it. */
export function putLinkAddress(b: Bytes, o: number, type: number, mac: Bytes | null): number {
  if (mac === null) return o;
  put16(b, o, (type << 8) | 1);
  copyAddress(b, o + 2, mac, 0);
  return o + LINK_ADDRESS_OPTION_BYTES;
}

/** A prefix option's fields. */
export interface Prefix {
  readonly address: IpAddress;
  readonly bits: number;
  readonly flags: number;
  readonly validSec: number;
  readonly preferredSec: number;
}

/** Writes a prefix option; returns the offset after it. */
export function putPrefix(b: Bytes, o: number, prefix: Prefix): number {
  put16(b, o, (OPTION_PREFIX << 8) | 4);
  put8(b, o + 2, prefix.bits);
  put8(b, o + 3, prefix.flags);
  put32(b, o + 4, prefix.validSec);
  put32(b, o + 8, prefix.preferredSec);
  put32(b, o + 12, 0);
  prefix.address.write6(b, o + PREFIX_ADDRESS);
  return o + PREFIX_OPTION_BYTES;
}

/** Writes an MTU option; returns the offset after it. */
export function putMtu(b: Bytes, o: number, mtuBytes: number): number {
  put32(b, o, (OPTION_MTU << 24) | (1 << 16));
  put32(b, o + 4, mtuBytes);
  return o + MTU_OPTION_BYTES;
}

/** Writes an RDNSS option; returns the offset after it. */
export function putRdnss(
  b: Bytes,
  o: number,
  lifetimeSec: number,
  servers: readonly IpAddress[],
): number {
  put32(b, o, (OPTION_RDNSS << 24) | ((1 + 2 * servers.length) << 16));
  put32(b, o + 4, lifetimeSec);
  for (const [i, server] of servers.entries()) server.write6(b, o + 8 + 16 * i);
  return o + 8 + 16 * servers.length;
}
