/**
 * Ethernet II frame header, IEEE 802.3 clause 3, with IEEE 802.1Q and 802.1ad tags.
 *
 * +-------------------+-------------------+--------------+- - - -+-----------+
 * |  destination (6)  |    source (6)     | tags (4)* .. | type (2) | payload |
 * +-------------------+-------------------+--------------+- - - -+-----------+
 *
 * {@link check} walks the tags and leaves what it found in `etherTypeOut`, `payloadAtOut` and
 * `tagsOut`. Addresses are handled in place, as text at the edges, or as two integers for tables:
 * the first two bytes (`high`, 16 bits) and the last four (`low`, int32).
 *
 * Not here: the frame check sequence (the device takes it off), IEEE 802.2 LLC payloads.
 */
import type { Bytes } from "../base/bytes.js";
import { i32, put16, put32, u8, u16 } from "../base/bytes.js";
import { Drop } from "./drop.js";

export const HEADER_BYTES = 14;
export const ADDRESS_BYTES = 6;
/** Shortest frame on a wire, without frame check sequence; shorter ones are padded. */
export const MIN_FRAME_BYTES = 60;
/** Tags that {@link check} follows: 802.1ad has two. */
export const MAX_TAGS = 2;

export const DST = 0;
export const SRC = 6;
export const TYPE = 12;

export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const TYPE_IPV6 = 0x86dd;
/** Customer tag, IEEE 802.1Q. */
export const TYPE_VLAN = 0x8100;
/** Service tag, IEEE 802.1ad. */
export const TYPE_SERVICE_VLAN = 0x88a8;
export const TYPE_LLDP = 0x88cc;
/** Smaller values of the type field are IEEE 802.3 lengths. */
export const MIN_TYPE = 0x0600;

const TAG_BYTES = 4;

/** EtherType after all tags. Valid after `check`, until the next one. */
export let etherTypeOut = 0;
/** Offset of the payload, after all tags. Valid after `check`, until the next one. */
export let payloadAtOut = 0;
/** How many tags the frame has; the first is at `at + TYPE`. Valid after `check`. */
export let tagsOut = 0;

/** Hot path. Decides whether the frame has a whole header, and finds type and payload. */
export function check(b: Bytes, at: number, end: number): Drop {
  if (end - at < HEADER_BYTES) return Drop.ETH_TRUNCATED;
  let type = u16(b, at + TYPE);
  let payloadAt = at + HEADER_BYTES;
  let tags = 0;
  while (isTag(type)) {
    if (tags === MAX_TAGS) return Drop.ETH_TOO_MANY_TAGS;
    if (end - payloadAt < TAG_BYTES) return Drop.ETH_TRUNCATED;
    type = u16(b, payloadAt + 2);
    payloadAt += TAG_BYTES;
    tags++;
  }
  if (type < MIN_TYPE) return Drop.ETH_LLC;
  etherTypeOut = type;
  payloadAtOut = payloadAt;
  tagsOut = tags;
  return Drop.NONE;
}

/** Hot path. Whether an EtherType announces a VLAN tag. */
export const isTag = (type: number): boolean => type === TYPE_VLAN || type === TYPE_SERVICE_VLAN;

/** Hot path. The type field as it stands: a tag's if there is one. */
export const type = (b: Bytes, at: number): number => u16(b, at + TYPE);

/** Hot path. Whether the destination is a group (multicast or broadcast) address. */
export const isGroup = (b: Bytes, at: number): boolean => (u8(b, at + DST) & 1) !== 0;

/** Hot path. Whether the destination is ff:ff:ff:ff:ff:ff. */
export const isBroadcast = (b: Bytes, at: number): boolean =>
  u16(b, at + DST) === 0xffff && i32(b, at + DST + 2) === -1;

/** Hot path. First two bytes of the address at `at`. */
export const high = (b: Bytes, at: number): number => u16(b, at);

/** Hot path. Last four bytes of the address at `at`, int32. */
export const low = (b: Bytes, at: number): number => i32(b, at + 2);

/** Hot path. Writes the address that `high` and `low` make. */
export function putAddress(b: Bytes, at: number, high: number, low: number): void {
  put16(b, at, high);
  put32(b, at + 2, low);
}

/** Hot path. Copies the six bytes of an address; the buffers may be the same, the places not. */
export function copyAddress(to: Bytes, toAt: number, from: Bytes, fromAt: number): void {
  put16(to, toAt, u16(from, fromAt));
  put32(to, toAt + 2, i32(from, fromAt + 2));
}

/** Hot path. Whether two addresses are the same. */
export const sameAddress = (a: Bytes, aAt: number, b: Bytes, bAt: number): boolean =>
  i32(a, aAt + 2) === i32(b, bAt + 2) && u16(a, aAt) === u16(b, bAt);

/** Hot path. Writes an untagged header; the addresses are six bytes each, copied. */
export function write(b: Bytes, at: number, dst: Bytes, src: Bytes, type: number): void {
  copyAddress(b, at + DST, dst, 0);
  copyAddress(b, at + SRC, src, 0);
  put16(b, at + TYPE, type);
}

/** Hot path. Writes ff:ff:ff:ff:ff:ff. */
export function putBroadcast(b: Bytes, at: number): void {
  putAddress(b, at, 0xffff, -1);
}

/** Hot path. Writes the address of an IPv4 group: 01:00:5e and its low 23 bits (RFC 1112 §6.4). */
export function putGroup4(b: Bytes, at: number, group: number): void {
  putAddress(b, at, 0x0100, 0x5e000000 | (group & 0x7fffff));
}

/** Hot path. Writes the address of an IPv6 group from its last word: 33:33 and 32 bits (RFC 2464 §7). */
export function putGroup6(b: Bytes, at: number, lastWord: number): void {
  putAddress(b, at, 0x3333, lastWord);
}

/** Parses `02:00:5e:10:00:01` (`-` is allowed too) to six fresh bytes. Throws `TypeError`. */
export function parseAddress(text: string): Bytes {
  if (!/^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i.test(text)) {
    throw new TypeError(
      `expected an Ethernet address like 02:00:5e:10:00:01, got ${JSON.stringify(text)}`,
    );
  }
  return Uint8Array.from(text.split(/[:-]/), (part) => Number.parseInt(part, 16));
}

/** The address at `at` as `02:00:5e:10:00:01`. */
export function formatAddress(b: Bytes, at = 0): string {
  const parts: string[] = [];
  for (let i = 0; i < ADDRESS_BYTES; i++)
    parts.push(
      u8(b, at + i)
        .toString(16)
        .padStart(2, "0"),
    );
  return parts.join(":");
}
