import assert from "node:assert/strict";
import { test } from "node:test";
import { finish, fold, sum } from "../base/checksum.js";
import { Arena } from "../ring/arena.js";
import { FrameFlags, Pool, PoolMemory } from "../ring/pool.js";
import { markUnfinished } from "./unfinished-checksum.js";

const size = { smallSlots: 4, bigSlots: 1 };
const pool = new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(size)), size));
const slot = pool.take();

interface Packet {
  readonly protocol?: number;
  readonly payloadBytes?: number;
  /** What is in the checksum field. */
  readonly checksum?: "pseudo" | "whole" | "zero";
  readonly fragment?: number;
  readonly isV6?: boolean;
}

/** Puts a frame into the slot, a byte of dirt behind it; where its transport header starts. */
function put(packet: Packet): number {
  const { protocol = 17, payloadBytes = 10, checksum = "pseudo", fragment = 0 } = packet;
  const headerBytes = protocol === 6 ? 20 : 8;
  const l4Bytes = headerBytes + payloadBytes;
  const ipBytes = packet.isV6 === true ? 40 : 20;
  const b = new Uint8Array(14 + ipBytes + l4Bytes).fill(0x33);
  const view = new DataView(b.buffer);
  const l4 = 14 + ipBytes;
  if (packet.isV6 === true) {
    view.setUint16(12, 0x86dd);
    view.setUint16(14, 0x6000);
    view.setUint16(18, l4Bytes);
    b[20] = protocol;
  } else {
    view.setUint16(12, 0x0800);
    b[14] = 0x45;
    view.setUint16(16, ipBytes + l4Bytes);
    view.setUint16(20, fragment);
    b[23] = protocol;
  }
  const field = l4 + (protocol === 6 ? 16 : 6);
  const [from, n] = packet.isV6 === true ? [22, 32] : [26, 8];
  const pseudo = sum(b, from, n, protocol + l4Bytes);
  view.setUint16(field, checksum === "zero" ? 0 : fold(pseudo));
  if (checksum === "whole") view.setUint16(field, finish(sum(b, l4, l4Bytes, 0)));
  const at = pool.base(slot) + 256;
  pool.bytes.fill(0xa5, at, at + 2_000 - 256);
  pool.bytes.set(b, at);
  pool.at[slot] = at;
  pool.end[slot] = at + b.length;
  pool.flags[slot] = 0;
  return at + l4;
}

const isMarked = (): boolean => (pool.flags[slot]! & FrameFlags.CHECKSUM_PARTIAL) !== 0;

for (const isV6 of [false, true]) {
  for (const [protocol, offset] of [
    [6, 16],
    [17, 6],
  ] as const) {
    test(`protocol ${protocol} over IPv${isV6 ? 6 : 4}: the pseudo-header's sum alone is marked`, () => {
      const l4 = put({ protocol, isV6 });
      markUnfinished(pool, slot);
      assert.equal(isMarked(), true);
      assert.deepEqual([pool.csumStart[slot], pool.csumOffset[slot]], [l4, offset]);
    });

    test(`protocol ${protocol} over IPv${isV6 ? 6 : 4}: a finished checksum and none are not`, () => {
      for (const checksum of ["whole", "zero"] as const) {
        put({ protocol, isV6, checksum });
        markUnfinished(pool, slot);
        assert.equal(isMarked(), false, checksum);
      }
    });
  }
}

test("fragments, other protocols and other frames are left alone", () => {
  for (const packet of [{ fragment: 0x2000 }, { fragment: 100 }, { protocol: 1 }] as const) {
    put(packet);
    markUnfinished(pool, slot);
    assert.equal(isMarked(), false, JSON.stringify(packet));
  }
  put({});
  pool.bytes[pool.at[slot]! + 13] = 6; // ARP
  markUnfinished(pool, slot);
  assert.equal(isMarked(), false);
});

test("a frame cut short anywhere is left alone", () => {
  for (const isV6 of [false, true]) {
    put({ isV6 });
    const whole = pool.end[slot]!;
    for (let end = whole - 1; end >= pool.at[slot]! + 14; end--) {
      pool.end[slot] = end;
      markUnfinished(pool, slot);
      assert.equal(isMarked(), false, `${whole - end} bytes missing`);
    }
  }
});
