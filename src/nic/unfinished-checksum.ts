/**
 * Received frames whose TCP or UDP checksum their sender left to a device that was never there.
 *
 * A Linux kernel at the other end of a veth writes the sum of the pseudo-header into the checksum
 * field and leaves the rest to a NIC; AF_XDP receives the bytes and not the note that goes with them.
 * Such a frame is recognised by that sum. It never left memory, so it is taken as intact. A frame
 * from a wire has that value by chance once in 65,536 times, and only then would its checksum go
 * unchecked; so this is for virtual links only.
 */
import { type Bytes, u16 } from "../base/bytes.js";
import { fold, foldSmall, sum } from "../base/checksum.js";
import { FrameFlags, type Pool } from "../ring/pool.js";
import * as ethernet from "../wire/ethernet.js";
import * as ipv4 from "../wire/ipv4.js";
import * as ipv6 from "../wire/ipv6.js";

const TCP = 6;
const UDP = 17;
const TCP_CHECKSUM_AT = 16;
const UDP_CHECKSUM_AT = 6;

/** Hot path. Marks the frame CHECKSUM_PARTIAL when its checksum is the pseudo-header's alone. */
export function markUnfinished(pool: Pool, slot: number): void {
  const at = pool.at[slot]!;
  const end = pool.end[slot]!;
  const l3 = at + ethernet.HEADER_BYTES;
  const type = u16(pool.bytes, at + ethernet.TYPE);
  if (type === ethernet.TYPE_IPV4) markIpv4(pool, slot, l3, end);
  else if (type === ethernet.TYPE_IPV6) markIpv6(pool, slot, l3, end);
}

/** Hot path. Fragments have no checksum of their own. */
function markIpv4(pool: Pool, slot: number, l3: number, end: number): void {
  const { bytes: b, view } = pool;
  if (l3 + ipv4.HEADER_BYTES > end || ipv4.isFragment(b, l3)) return;
  const l4 = ipv4.payloadAt(b, l3);
  const l4Bytes = ipv4.endOf(b, l3) - l4;
  const protocol = ipv4.protocol(b, l3);
  if (!hasChecksum(protocol, l4, l4Bytes, end)) return;
  const src = view.getInt32(l3 + ipv4.SRC);
  const dst = view.getInt32(l3 + ipv4.DST);
  const addresses = (src >>> 16) + (src & 0xffff) + (dst >>> 16) + (dst & 0xffff);
  mark(pool, slot, protocol, l4, foldSmall(addresses + protocol + l4Bytes));
}

/** Hot path. Packets with extension headers are left to the stack. */
function markIpv6(pool: Pool, slot: number, l3: number, end: number): void {
  const b: Bytes = pool.bytes;
  const l4 = l3 + ipv6.HEADER_BYTES;
  if (l4 > end) return;
  const l4Bytes = ipv6.payloadLengthBytes(b, l3);
  const protocol = b[l3 + ipv6.NEXT_HEADER]!;
  if (!hasChecksum(protocol, l4, l4Bytes, end)) return;
  mark(pool, slot, protocol, l4, fold(sum(b, l3 + ipv6.SRC, 32, protocol + l4Bytes)));
}

/** Hot path. */
function hasChecksum(protocol: number, l4: number, l4Bytes: number, end: number): boolean {
  const leastBytes = protocol === TCP ? 20 : protocol === UDP ? 8 : 65_536;
  return l4Bytes >= leastBytes && l4 + l4Bytes <= end;
}

/** Hot path. */
function mark(pool: Pool, slot: number, protocol: number, l4: number, pseudo: number): void {
  const offset = protocol === TCP ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT;
  if (u16(pool.bytes, l4 + offset) !== pseudo) return;
  pool.flags[slot] = pool.flags[slot]! | FrameFlags.CHECKSUM_PARTIAL;
  pool.csumStart[slot] = l4;
  pool.csumOffset[slot] = offset;
}
