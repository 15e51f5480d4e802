import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { Arena } from "../ring/arena.js";
import { FrameFlags, Pool, PoolMemory } from "../ring/pool.js";
import * as virtio from "./virtio-header.js";

const SIZE = { smallSlots: 4, bigSlots: 2 };

function newPool(): Pool {
  return new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(SIZE)), SIZE));
}

/** A slot with a frame of `lengthBytes` and dirty columns, its header place dirty too. */
function frame(pool: Pool, lengthBytes: number): { slot: number; headerAt: number } {
  const slot = pool.takeBig();
  pool.at[slot] = pool.base(slot) + 64;
  pool.end[slot] = pool.at[slot]! + lengthBytes;
  pool.bytes.fill(0xa5, pool.base(slot), pool.end[slot]);
  for (const column of [pool.flags, pool.gsoBytes, pool.csumStart, pool.csumOffset]) {
    column[slot] = -1;
  }
  return { slot, headerAt: pool.at[slot]! - virtio.HEADER_BYTES };
}

function readFrom(lengthBytes: number, ...header: number[]) {
  const pool = newPool();
  const { slot, headerAt } = frame(pool, lengthBytes);
  pool.bytes.set(header, headerAt);
  const isUsable = virtio.read(pool, slot, headerAt);
  const start = pool.csumStart[slot]! - pool.at[slot]!;
  return {
    isUsable,
    flags: pool.flags[slot],
    gsoBytes: pool.gsoBytes[slot],
    start,
    offset: pool.csumOffset[slot],
  };
}

test("a header of zeros is a frame that nothing is known about", () => {
  const { isUsable, flags, gsoBytes } = readFrom(60, ...new Array(12).fill(0));
  assert.deepEqual([isUsable, flags, gsoBytes], [true, 0, 0]);
});

test("DATA_VALID becomes CHECKSUM_VALID", () => {
  const { isUsable, flags } = readFrom(60, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0);
  assert.deepEqual([isUsable, flags], [true, FrameFlags.CHECKSUM_VALID]);
});

test("NEEDS_CSUM becomes CHECKSUM_PARTIAL with its place", () => {
  const got = readFrom(100, 1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0);
  assert.deepEqual(got, {
    isUsable: true,
    flags: FrameFlags.CHECKSUM_PARTIAL,
    gsoBytes: 0,
    start: 34,
    offset: 16,
  });
});

test("each kind of segmentation becomes its flag, ECN with TCP only", () => {
  const flagsOf = (gsoType: number) =>
    readFrom(9000, 1, gsoType, 54, 0, 0xb4, 0x05, 34, 0, 16, 0, 0, 0);
  const partial = FrameFlags.CHECKSUM_PARTIAL;
  assert.equal(flagsOf(1).gsoBytes, 1460);
  assert.equal(flagsOf(1).flags, FrameFlags.GSO_TCP4 | partial);
  assert.equal(flagsOf(4).flags, FrameFlags.GSO_TCP6 | partial);
  assert.equal(flagsOf(5).flags, FrameFlags.GSO_UDP | partial);
  assert.equal(flagsOf(0x81).flags, FrameFlags.GSO_TCP4 | FrameFlags.GSO_ECN | partial);
  assert.equal(flagsOf(0x85).isUsable, false);
  assert.equal(flagsOf(3).isUsable, false, "UDP fragmentation was not offered");
  assert.equal(flagsOf(0x21).isUsable, false, "tunnels were not offered");
});

test("a header that names a place outside its frame is refused", () => {
  const usable = (lengthBytes: number, start: number, offset: number) =>
    readFrom(
      lengthBytes,
      1,
      0,
      0,
      0,
      0,
      0,
      start & 255,
      start >> 8,
      offset & 255,
      offset >> 8,
      0,
      0,
    ).isUsable;
  assert.equal(usable(52, 34, 16), true, "the field ends with the frame");
  assert.equal(usable(51, 34, 16), false);
  assert.equal(usable(60, 13, 6), false, "within the Ethernet header");
  assert.equal(usable(60, 0xffff, 0xffff), false);
  assert.equal(usable(65_549, 65_535, 12), true);
});

test("segmentation without a size or with a made checksum is refused", () => {
  assert.equal(readFrom(9000, 1, 1, 54, 0, 0, 0, 34, 0, 16, 0, 0, 0).isUsable, false);
  assert.equal(readFrom(9000, 0, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0, 0, 0).isUsable, false);
});

test("no header makes read throw, and what it accepts lies in the frame", () => {
  const pool = newPool();
  const { slot, headerAt } = frame(pool, 0);
  const header = fc.uint8Array({ minLength: 12, maxLength: 12 });
  const length = fc.integer({ min: 14, max: 66_000 });
  fc.assert(
    fc.property(header, length, (bytes, lengthBytes) => {
      pool.end[slot] = pool.at[slot]! + lengthBytes;
      pool.bytes.set(bytes, headerAt);
      if (!virtio.read(pool, slot, headerAt)) return true;
      if ((pool.flags[slot]! & FrameFlags.CHECKSUM_PARTIAL) === 0) return true;
      return pool.csumStart[slot]! + pool.csumOffset[slot]! + 2 <= pool.end[slot]!;
    }),
  );
});

/** What is written for a frame with these columns, or null when it cannot be sent. */
function written(
  lengthBytes: number,
  flags: number,
  start = 0,
  offset = 0,
  gsoBytes = 0,
  tcpWords = 5,
): number[] | null {
  const pool = newPool();
  const { slot, headerAt } = frame(pool, lengthBytes);
  pool.flags[slot] = flags;
  pool.csumStart[slot] = pool.at[slot]! + start;
  pool.csumOffset[slot] = offset;
  pool.gsoBytes[slot] = gsoBytes;
  pool.bytes[pool.at[slot]! + start + 12] = tcpWords << 4;
  if (!virtio.write(pool, slot, headerAt)) return null;
  return [...pool.bytes.subarray(headerAt, headerAt + virtio.HEADER_BYTES)];
}

test("a finished frame has a header of zeros, whatever was there", () => {
  const flags = FrameFlags.CHECKSUM_VALID | FrameFlags.LINK_BROADCAST;
  assert.deepEqual(written(60, flags), new Array(12).fill(0));
});

test("an unmade checksum is asked for at its place", () => {
  const got = written(60, FrameFlags.CHECKSUM_PARTIAL, 34, 6);
  assert.deepEqual(got, [1, 0, 0, 0, 0, 0, 34, 0, 6, 0, 0, 0]);
});

test("segments are asked for with the length of all headers, TCP options included", () => {
  const partial = FrameFlags.CHECKSUM_PARTIAL;
  const tcp = written(9000, partial | FrameFlags.GSO_TCP4, 34, 16, 1448, 8);
  assert.deepEqual(tcp, [1, 1, 66, 0, 0xa8, 0x05, 34, 0, 16, 0, 0, 0]);
  const ecn = FrameFlags.GSO_TCP6 | FrameFlags.GSO_ECN;
  const tcp6 = written(9000, partial | ecn, 54, 16, 1440, 5);
  assert.deepEqual(tcp6, [1, 0x84, 74, 0, 0xa0, 0x05, 54, 0, 16, 0, 0, 0]);
  const udp = written(9000, partial | FrameFlags.GSO_UDP, 34, 6, 1000);
  assert.deepEqual(udp, [1, 5, 42, 0, 0xe8, 0x03, 34, 0, 6, 0, 0, 0]);
});

test("what fits one segment is sent as one", () => {
  const flags = FrameFlags.CHECKSUM_PARTIAL | FrameFlags.GSO_TCP4;
  assert.deepEqual(written(54 + 1460, flags, 34, 16, 1460), [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0]);
  const udp = FrameFlags.CHECKSUM_PARTIAL | FrameFlags.GSO_UDP;
  assert.deepEqual(written(43, udp, 34, 6, 1000), [1, 0, 0, 0, 0, 0, 34, 0, 6, 0, 0, 0]);
});

test("columns that contradict each other or the frame are refused", () => {
  const { CHECKSUM_PARTIAL, GSO_TCP4 } = FrameFlags;
  assert.equal(written(60, CHECKSUM_PARTIAL, 34, 60), null);
  assert.equal(written(60, CHECKSUM_PARTIAL, -20, 16), null);
  assert.equal(written(9000, GSO_TCP4, 34, 16, 1448), null, "segments need an unmade checksum");
  assert.equal(written(9000, CHECKSUM_PARTIAL | GSO_TCP4, 34, 16, 0), null);
  assert.equal(written(9000, CHECKSUM_PARTIAL | GSO_TCP4, 34, 16, 70_000), null);
  assert.equal(written(60, CHECKSUM_PARTIAL | GSO_TCP4, 34, 16, 1448, 15), null);
});

test("what is written reads back as the same columns", () => {
  const pool = newPool();
  const { slot, headerAt } = frame(pool, 40_000);
  const flags = FrameFlags.CHECKSUM_PARTIAL | FrameFlags.GSO_TCP6 | FrameFlags.GSO_ECN;
  const csumStart = pool.at[slot]! + 54;
  pool.flags[slot] = flags;
  pool.csumStart[slot] = csumStart;
  pool.csumOffset[slot] = 16;
  pool.gsoBytes[slot] = 1440;
  pool.bytes[csumStart + 12] = 5 << 4;
  assert.equal(virtio.write(pool, slot, headerAt), true);
  pool.flags[slot] = pool.csumStart[slot] = pool.csumOffset[slot] = pool.gsoBytes[slot] = 0;
  assert.equal(virtio.read(pool, slot, headerAt), true);
  assert.deepEqual(
    [pool.flags[slot], pool.csumStart[slot], pool.csumOffset[slot], pool.gsoBytes[slot]],
    [flags, csumStart, 16, 1440],
  );
});
