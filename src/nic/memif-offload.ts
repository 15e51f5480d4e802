/**
 * The metadata word of a descriptor between two Millrace ends (`Feature.OFFLOAD`): what the frame's
 * checksum and segmentation need, as a virtio-net header says it. 0: nothing.
 *
 *  31          16 15        8 7         4 3     2     1   0
 * +--------------+-----------+-----------+-----+-----+-------+
 * | segment size | csumStart | csumOffset| ECN | CSUM| type  |   start and offset in steps of 2 bytes
 * +--------------+-----------+-----------+-----+-----+-------+
 *
 * type: 0 none, 1 TCP over IPv4, 2 TCP over IPv6, 3 UDP. The peer is not trusted: `read` refuses what
 * lies outside the frame.
 */
import { FrameFlags, GSO_MASK, type Pool } from "../ring/pool.js";

const CSUM = 4;
const ECN = 8;
/** What a word says besides start and offset: type, CSUM, ECN, segment size. */
const NOT_START: number = 0xffff_000f | 0;
const UNMADE = FrameFlags.CHECKSUM_PARTIAL;
const ETHERNET_BYTES = 14;
const UDP_HEADER_BYTES = 8;
/** Offset in a TCP header of the byte whose upper half counts its 32-bit words. */
const TCP_DATA_OFFSET = 12;
const TYPE_FLAGS = [0, FrameFlags.GSO_TCP4, FrameFlags.GSO_TCP6, FrameFlags.GSO_UDP];

/** `write` when the columns cannot be said in a word, or contradict the frame. */
export const UNSAYABLE = -1;

/** Hot path. The word for a frame, or {@link UNSAYABLE} (which no frame has: its type would be 3 with ECN). */
export function write(pool: Pool, slot: number): number {
  const flags = pool.flags[slot]!;
  if ((flags & (FrameFlags.CHECKSUM_PARTIAL | GSO_MASK)) === 0) return 0;
  const at = pool.at[slot]!;
  const lengthBytes = (pool.end[slot]! - at) | 0;
  const start = (pool.csumStart[slot]! - at) | 0;
  const offset = pool.csumOffset[slot]!;
  if ((flags & FrameFlags.CHECKSUM_PARTIAL) === 0 || ((start | offset) & 1) !== 0) return UNSAYABLE;
  if (start < ETHERNET_BYTES || start > 510 || offset < 0 || offset > 30) return UNSAYABLE;
  if (start + offset + 2 > lengthBytes) return UNSAYABLE;
  const word = CSUM | (start << 7) | (offset << 3);
  return (flags & GSO_MASK) === 0 ? word : withGso(pool, slot, word, start, lengthBytes);
}

/** Hot path. The word for a frame of one segment whose checksum is unmade: see `Lane.sendPlaced`. */
export const unmade = (csumStart: number, csumOffset: number): number =>
  CSUM | (csumStart << 7) | (csumOffset << 3);

/** Hot path. Whether a received word is of TCP segments that were not split. */
export const isTcp = (word: number): boolean => {
  const type = word & 3;
  return (word & CSUM) !== 0 && (type === 1 || type === 2);
};

/** Hot path. Adds the segmentation, if there is more than one segment. */
function withGso(pool: Pool, slot: number, word: number, l4: number, lengthBytes: number): number {
  const flags = pool.flags[slot]!;
  const isUdp = (flags & FrameFlags.GSO_UDP) !== 0;
  if (!isUdp && l4 + TCP_DATA_OFFSET >= lengthBytes) return UNSAYABLE;
  const l4Bytes = isUdp
    ? UDP_HEADER_BYTES
    : (pool.bytes[pool.at[slot]! + l4 + TCP_DATA_OFFSET]! >> 4) * 4;
  const gsoBytes = pool.gsoBytes[slot]!;
  if (gsoBytes <= 0 || gsoBytes > 0xffff || l4 + l4Bytes > lengthBytes) return UNSAYABLE;
  if (lengthBytes - l4 - l4Bytes <= gsoBytes) return word;
  const type = isUdp ? 3 : (flags & FrameFlags.GSO_TCP4) !== 0 ? 1 : 2;
  const ecn = !isUdp && (flags & FrameFlags.GSO_ECN) !== 0 ? ECN : 0;
  return word | type | ecn | (gsoBytes << 16);
}

/**
 * Hot path. As {@link read}, for a frame of `lengthBytes` at `at` to whose checksum alone there is something
 * to say, as for nearly all; false, with nothing decided, for others.
 */
export function readUnmade(
  pool: Pool,
  slot: number,
  at: number,
  lengthBytes: number,
  word: number,
): boolean {
  const start = (word >>> 7) & 0x1fe;
  const offset = (word >>> 3) & 0x1e;
  const isUnmade = (word & NOT_START) === CSUM;
  if (!isUnmade || start < ETHERNET_BYTES || start + offset + 2 > lengthBytes) return false;
  pool.flags[slot] = UNMADE;
  pool.gsoBytes[slot] = 0;
  pool.csumStart[slot] = at + start;
  pool.csumOffset[slot] = offset;
  return true;
}

/**
 * Hot path. Sets flags, `gsoBytes`, `csumStart` and `csumOffset` of a received frame whose `at` and
 * `end` are set; false when the word makes no sense for it, and the frame must be dropped.
 */
export function read(pool: Pool, slot: number, word: number): boolean {
  pool.flags[slot] = 0;
  pool.gsoBytes[slot] = 0;
  if (word === 0) return true;
  const type = word & 3;
  const gsoBytes = word >>> 16;
  const start = (word >>> 7) & 0x1fe;
  const offset = (word >>> 3) & 0x1e;
  const at = pool.at[slot]!;
  if ((word & CSUM) === 0 || start < ETHERNET_BYTES) return false;
  if (start + offset + 2 > pool.end[slot]! - at) return false;
  if ((type === 0) !== (gsoBytes === 0) || ((word & ECN) !== 0 && (type === 0 || type === 3))) {
    return false;
  }
  pool.csumStart[slot] = at + start;
  pool.csumOffset[slot] = offset;
  pool.gsoBytes[slot] = gsoBytes;
  const ecn = (word & ECN) !== 0 ? FrameFlags.GSO_ECN : 0;
  pool.flags[slot] = FrameFlags.CHECKSUM_PARTIAL | TYPE_FLAGS[type]! | ecn;
  return true;
}
