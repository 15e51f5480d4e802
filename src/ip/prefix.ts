/**
 * Prefixes of addresses in the stack's 128-bit form. An IPv4 prefix of n bits is one of 96 + n bits
 * in the mapped form, so tables need no second path.
 */
import { IpAddress } from "../base/ip-address.js";

/** Bits that the mapped form puts before an IPv4 address. */
export const MAPPED_BITS = 96;

/** One word's mask when `bits` of the whole prefix start at this word; bits outside 0 to 32 clamp. */
const wordMask = (bits: number): number => (bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits));

/** Sets `into` to the first `bits` (0 to 128) of `a`. */
export function maskTo(a: IpAddress, bits: number, into: IpAddress): void {
  into.set(
    a.w0 & wordMask(bits),
    a.w1 & wordMask(bits - 32),
    a.w2 & wordMask(bits - 64),
    a.w3 & wordMask(bits - 96),
  );
}

/** Whether two addresses agree in their first `bits` (0 to 128). */
export function samePrefix(a: IpAddress, b: IpAddress, bits: number): boolean {
  return (
    ((a.w0 ^ b.w0) & wordMask(bits)) === 0 &&
    ((a.w1 ^ b.w1) & wordMask(bits - 32)) === 0 &&
    ((a.w2 ^ b.w2) & wordMask(bits - 64)) === 0 &&
    ((a.w3 ^ b.w3) & wordMask(bits - 96)) === 0
  );
}

/** How many leading bits two addresses share, 0 to 128. */
export function commonBits(a: IpAddress, b: IpAddress): number {
  if (a.w0 !== b.w0) return Math.clz32(a.w0 ^ b.w0);
  if (a.w1 !== b.w1) return 32 + Math.clz32(a.w1 ^ b.w1);
  if (a.w2 !== b.w2) return 64 + Math.clz32(a.w2 ^ b.w2);
  return 96 + Math.clz32(a.w3 ^ b.w3);
}

export interface Prefix {
  readonly address: IpAddress;
  /** 0 to 32 for IPv4, 0 to 128 for IPv6. */
  readonly bits: number;
}

/**
 * Parses `10.0.0.1/24`, `fd00::1/64`, or an address alone (all its bits). IPv4 in its mapped form counts all
 * bits: `::ffff:10.0.0.1/120` is the first one. Throws `TypeError`.
 */
export function parsePrefix(text: string): Prefix {
  const slash = text.indexOf("/");
  const host = slash < 0 ? text : text.slice(0, slash);
  const address = IpAddress.parse(host);
  const least = address.isV4 && host.includes(":") ? MAPPED_BITS : 0;
  const most = address.isV4 && least === 0 ? 32 : 128;
  const digits = slash < 0 ? String(most) : text.slice(slash + 1);
  const bits = /^\d{1,3}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(bits >= least && bits <= most)) {
    throw new TypeError(
      `expected an address and a prefix length of ${least} to ${most}, got ${JSON.stringify(text)}`,
    );
  }
  return { address, bits: bits - least };
}

/** The same; null for what is none, and without a prefix length. */
export function tryParsePrefix(text: string): Prefix | null {
  try {
    return text.includes("/") ? parsePrefix(text) : null;
  } catch {
    return null;
  }
}

/** Bits in the 128-bit form. */
export const fullBits = (prefix: Prefix): number =>
  prefix.address.isV4 ? prefix.bits + MAPPED_BITS : prefix.bits;
