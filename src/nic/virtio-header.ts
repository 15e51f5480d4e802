/**
 * The virtio-net header (VIRTIO 1.2 §5.1.6), which TAP puts in front of each frame, from and to the
 * pool's columns. Little-endian, 12 bytes, directly before the frame:
 *
 *  0      1        2         4          6            8             10            12
 * +------+--------+---------+----------+------------+-------------+-------------+------
 * | flags|gso_type| hdr_len | gso_size | csum_start | csum_offset | num_buffers | frame
 * +------+--------+---------+----------+------------+-------------+-------------+------
 *
 * The other end is not trusted: `read` refuses every header that names a place outside its frame.
 * num_buffers is for receive buffers that are merged, which a TAP does not do: 0 out, ignored in.
 */
import type { Bytes } from "../base/bytes.js";
import { FrameFlags, GSO_MASK, type Pool } from "../ring/pool.js";

export const HEADER_BYTES = 12;

const GSO_TYPE = 1;
const HDR_LEN = 2;
const GSO_SIZE = 4;
const CSUM_START = 6;
const CSUM_OFFSET = 8;
const NUM_BUFFERS = 10;

const NEEDS_CSUM = 1;
const DATA_VALID = 2;

const GSO_NONE = 0;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const GSO_UDP_L4 = 5;
const GSO_ECN = 0x80;

const ETHERNET_BYTES = 14;
const UDP_HEADER_BYTES = 8;
/** Offset in a TCP header of the byte whose upper half counts its 32-bit words. */
const TCP_DATA_OFFSET = 12;

function u16le(b: Bytes, at: number): number {
  return b[at]! | (b[at + 1]! << 8);
}

function setU16le(b: Bytes, at: number, value: number): void {
  b[at] = value & 0xff;
  b[at + 1] = value >>> 8;
}

/**
 * Hot path. Sets the slot's flags, `gsoBytes`, `csumStart` and `csumOffset` from the header at
 * `headerAt`; false when it is not usable, and the frame must be dropped. Precondition: the slot's
 * `at` and `end` are set.
 */
export function read(pool: Pool, slot: number, headerAt: number): boolean {
  const b = pool.bytes;
  const headerFlags = b[headerAt]!;
  const gsoType = b[headerAt + GSO_TYPE]!;
  let flags = (headerFlags & DATA_VALID) !== 0 ? FrameFlags.CHECKSUM_VALID : 0;
  if ((headerFlags & NEEDS_CSUM) !== 0) {
    const start = u16le(b, headerAt + CSUM_START);
    const offset = u16le(b, headerAt + CSUM_OFFSET);
    const lengthBytes = pool.end[slot]! - pool.at[slot]!;
    if (start < ETHERNET_BYTES || start + offset + 2 > lengthBytes) return false;
    pool.csumStart[slot] = pool.at[slot]! + start;
    pool.csumOffset[slot] = offset;
    flags |= FrameFlags.CHECKSUM_PARTIAL;
  }
  pool.gsoBytes[slot] = 0;
  if (gsoType !== GSO_NONE) {
    const gso = gsoFlags(gsoType);
    const gsoBytes = u16le(b, headerAt + GSO_SIZE);
    // A frame to be split has its checksum unmade: the pieces' checksums are not known yet.
    if (gso === 0 || gsoBytes === 0 || (headerFlags & NEEDS_CSUM) === 0) return false;
    pool.gsoBytes[slot] = gsoBytes;
    flags |= gso;
  }
  pool.flags[slot] = flags;
  return true;
}

/** Hot path. Frame flags of a gso_type, 0 for one that we did not offer to take. */
function gsoFlags(gsoType: number): number {
  const ecn = (gsoType & GSO_ECN) !== 0 ? FrameFlags.GSO_ECN : 0;
  const type = gsoType & ~GSO_ECN;
  if (type === GSO_TCPV4) return FrameFlags.GSO_TCP4 | ecn;
  if (type === GSO_TCPV6) return FrameFlags.GSO_TCP6 | ecn;
  return type === GSO_UDP_L4 && ecn === 0 ? FrameFlags.GSO_UDP : 0;
}

/**
 * Hot path. Writes the header at `headerAt` from the slot's columns; false when they contradict
 * each other or the frame, and it cannot be sent.
 */
export function write(pool: Pool, slot: number, headerAt: number): boolean {
  const b = pool.bytes;
  const flags = pool.flags[slot]!;
  if ((flags & (FrameFlags.CHECKSUM_PARTIAL | GSO_MASK)) === 0) {
    for (let i = 0; i < HEADER_BYTES; i++) b[headerAt + i] = 0;
    return true;
  }
  const at = pool.at[slot]!;
  const start = pool.csumStart[slot]! - at;
  const offset = pool.csumOffset[slot]!;
  const lengthBytes = pool.end[slot]! - at;
  const isPartial = (flags & FrameFlags.CHECKSUM_PARTIAL) !== 0;
  if (!isPartial || start < ETHERNET_BYTES || start + offset + 2 > lengthBytes) return false;
  b[headerAt] = NEEDS_CSUM;
  b[headerAt + GSO_TYPE] = GSO_NONE;
  setU16le(b, headerAt + HDR_LEN, 0);
  setU16le(b, headerAt + GSO_SIZE, 0);
  setU16le(b, headerAt + CSUM_START, start);
  setU16le(b, headerAt + CSUM_OFFSET, offset);
  setU16le(b, headerAt + NUM_BUFFERS, 0);
  return (flags & GSO_MASK) === 0 || writeGso(pool, slot, headerAt, start);
}

/** Hot path. The segmentation fields; false when the frame has nothing to split. */
function writeGso(pool: Pool, slot: number, headerAt: number, l4: number): boolean {
  const b = pool.bytes;
  const at = pool.at[slot]!;
  const flags = pool.flags[slot]!;
  const lengthBytes = pool.end[slot]! - at;
  const isUdp = (flags & FrameFlags.GSO_UDP) !== 0;
  if (!isUdp && l4 + TCP_DATA_OFFSET >= lengthBytes) return false;
  const l4Bytes = isUdp ? UDP_HEADER_BYTES : (b[at + l4 + TCP_DATA_OFFSET]! >> 4) * 4;
  const gsoBytes = pool.gsoBytes[slot]!;
  if (gsoBytes <= 0 || gsoBytes > 0xffff || l4 + l4Bytes > lengthBytes) return false;
  // What fits one segment is sent as one: the kernel refuses to split it.
  if (lengthBytes - l4 - l4Bytes <= gsoBytes) return true;
  b[headerAt + GSO_TYPE] = gsoTypeOf(flags);
  setU16le(b, headerAt + HDR_LEN, l4 + l4Bytes);
  setU16le(b, headerAt + GSO_SIZE, gsoBytes);
  return true;
}

function gsoTypeOf(flags: number): number {
  if ((flags & FrameFlags.GSO_UDP) !== 0) return GSO_UDP_L4;
  const ecn = (flags & FrameFlags.GSO_ECN) !== 0 ? GSO_ECN : 0;
  return ((flags & FrameFlags.GSO_TCP4) !== 0 ? GSO_TCPV4 : GSO_TCPV6) | ecn;
}
