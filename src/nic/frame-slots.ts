/**
 * What drivers and middleware do with a frame in a slot: place, copy, complete its checksum.
 */
import * as bytes from "../base/bytes.js";
import { finish } from "../base/checksum.js";
import type { ArenaChecksum } from "../ring/arena-checksum.js";
import type { Batch } from "../ring/batch.js";
import { FrameFlags, HEADROOM_BYTES, NO_SLOT, type Pool, SMALL_SLOT_BYTES } from "../ring/pool.js";
import * as ethernet from "../wire/ethernet.js";
import * as udp from "../wire/udp.js";
import type { DeviceTally } from "./device-tally.js";

/** Longest frame that a small slot holds behind its headroom. */
export const SMALL_FRAME_BYTES = SMALL_SLOT_BYTES - HEADROOM_BYTES;

/**
 * Hot path. A slot that holds a frame of this length, or NO_SLOT. Placed behind the headroom,
 * flags 0, contents whatever they were.
 */
export function takeFor(pool: Pool, lengthBytes: number): number {
  const slot = lengthBytes <= SMALL_FRAME_BYTES ? pool.take() : pool.takeBig();
  if (slot === NO_SLOT) return NO_SLOT;
  const at = pool.base(slot) + HEADROOM_BYTES;
  pool.at[slot] = at;
  pool.end[slot] = at + lengthBytes;
  pool.flags[slot] = 0;
  return slot;
}

/** Hot path. A copy of a frame and of what is known about it, in `to`'s pool; or NO_SLOT. */
export function copyFrame(from: Pool, slot: number, to: Pool): number {
  const at = from.at[slot]!;
  const lengthBytes = from.end[slot]! - at;
  const copy = takeFor(to, lengthBytes);
  if (copy === NO_SLOT) return NO_SLOT;
  const copyAt = to.at[copy]!;
  bytes.copy(to.bytes, copyAt, from.bytes, at, lengthBytes);
  to.flags[copy] = from.flags[slot]!;
  to.gsoBytes[copy] = from.gsoBytes[slot]!;
  to.csumStart[copy] = from.csumStart[slot]! - at + copyAt;
  to.csumOffset[copy] = from.csumOffset[slot]!;
  to.ifIndex[copy] = from.ifIndex[slot]!;
  to.rxTimeUs[copy] = from.rxTimeUs[slot]!;
  return copy;
}

/** Gives back the frames of a batch, counted as errors, because there is no link; how many. */
export function loseAll(pool: Pool, tally: DeviceTally, batch: Batch): number {
  for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
  tally.txError(batch.n);
  return batch.n;
}

/** Flags of a frame that say how it came over the link. */
const LINK_FLAGS: number = FrameFlags.LINK_BROADCAST | FrameFlags.LINK_MULTICAST;

/** Hot path. Sets the link flags of a received frame from its destination address. */
export function setLinkFlags(pool: Pool, slot: number): void {
  const at = pool.at[slot]!;
  let flags = pool.flags[slot]! & ~LINK_FLAGS;
  if (ethernet.isGroup(pool.bytes, at)) {
    flags |= ethernet.isBroadcast(pool.bytes, at)
      ? FrameFlags.LINK_BROADCAST
      : FrameFlags.LINK_MULTICAST;
  }
  pool.flags[slot] = flags;
}

/** Hot path. Puts the checksum of a CHECKSUM_PARTIAL frame in place; no longer partial afterwards. */
export function completeChecksum(pool: Pool, checksum: ArenaChecksum, slot: number): void {
  const start = pool.csumStart[slot]!;
  const offset = pool.csumOffset[slot]!;
  const value = finish(checksum.sum(start, pool.end[slot]! - start, 0));
  putChecksum(pool.bytes, start + offset, value, offset);
  pool.flags[slot] = pool.flags[slot]! & ~FrameFlags.CHECKSUM_PARTIAL;
}

/** Hot path. Stores a checksum; UDP's 0 becomes its other form, as 0 says "none" (RFC 768). */
export function putChecksum(b: Uint8Array, at: number, value: number, offset: number): void {
  bytes.put16(b, at, value === 0 && offset === udp.CHECKSUM_AT ? 0xffff : value);
}
