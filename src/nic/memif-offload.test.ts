import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { Arena } from "../ring/arena.js";
import { FrameFlags, Pool, PoolMemory } from "../ring/pool.js";
import { read, UNSAYABLE, write } from "./memif-offload.js";

const SIZE = { smallSlots: 64, bigSlots: 1 };
const pool = new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(SIZE)), SIZE));
const slot = pool.take();
const PARTIAL = FrameFlags.CHECKSUM_PARTIAL;

interface Request {
  readonly flags: number;
  readonly lengthBytes?: number;
  readonly start?: number;
  readonly offset?: number;
  readonly gsoBytes?: number;
}

function request(r: Request): number {
  pool.at[slot] = pool.base(slot) + 100;
  pool.end[slot] = pool.at[slot]! + (r.lengthBytes ?? 1000);
  pool.flags[slot] = r.flags;
  pool.csumStart[slot] = pool.at[slot]! + (r.start ?? 34);
  pool.csumOffset[slot] = r.offset ?? 16;
  pool.gsoBytes[slot] = r.gsoBytes ?? 0;
  pool.bytes[pool.at[slot]! + (r.start ?? 34) + 12] = 0x50; // a TCP header of 20 bytes
  return write(pool, slot);
}

/** What a receiver of the word learns, about a frame of 1,000 bytes somewhere else. */
function received(word: number, lengthBytes = 1000): Record<string, number> | null {
  pool.at[slot] = pool.base(slot) + 66;
  pool.end[slot] = pool.at[slot]! + lengthBytes;
  if (!read(pool, slot, word)) return null;
  return {
    flags: pool.flags[slot]!,
    start: pool.csumStart[slot]! - pool.at[slot]!,
    offset: pool.csumOffset[slot]!,
    gsoBytes: pool.gsoBytes[slot]!,
  };
}

test("a plain frame says nothing", () => {
  assert.equal(request({ flags: FrameFlags.CHECKSUM_VALID }), 0);
  assert.equal(received(0)?.flags, 0);
});

test("every request arrives as it was made", () => {
  const kinds = [0, FrameFlags.GSO_TCP4, FrameFlags.GSO_TCP6, FrameFlags.GSO_UDP];
  for (const kind of kinds) {
    for (const ecn of kind === FrameFlags.GSO_TCP4 ? [0, FrameFlags.GSO_ECN] : [0]) {
      for (const [start, offset] of [
        [34, 16],
        [54, 6],
        [510, 30],
      ] as const) {
        const gsoBytes = kind === 0 ? 0 : 100;
        const flags = PARTIAL | kind | ecn;
        const word = request({ flags, start, offset, gsoBytes });
        assert.deepEqual(received(word), { flags, start, offset, gsoBytes });
      }
    }
  }
});

test("what fits one segment is no longer to be split", () => {
  const word = request({ flags: PARTIAL | FrameFlags.GSO_TCP4, gsoBytes: 946 });
  assert.deepEqual(received(word), { flags: PARTIAL, start: 34, offset: 16, gsoBytes: 0 });
});

test("columns that contradict each other or the frame cannot be said", () => {
  const wrong: Request[] = [
    { flags: FrameFlags.GSO_TCP4, gsoBytes: 100 },
    { flags: PARTIAL, start: 13 },
    { flags: PARTIAL, start: 35 },
    { flags: PARTIAL, start: 512 },
    { flags: PARTIAL, offset: 32 },
    { flags: PARTIAL, start: 34, lengthBytes: 51 },
    { flags: PARTIAL | FrameFlags.GSO_TCP4, gsoBytes: 0 },
    { flags: PARTIAL | FrameFlags.GSO_TCP4, gsoBytes: 70_000 },
    { flags: PARTIAL | FrameFlags.GSO_UDP, gsoBytes: 10, offset: 6, lengthBytes: 41 },
  ];
  for (const r of wrong) assert.equal(request(r), UNSAYABLE, JSON.stringify(r));
});

test("a hostile word never leads outside the frame", () => {
  assert.equal(received(UNSAYABLE), null);
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 14, max: 600 }), (word, lengthBytes) => {
      const r = received(word, lengthBytes);
      if (r === null || r.flags === 0) return true;
      return r.start! >= 14 && r.start! + r.offset! + 2 <= lengthBytes;
    }),
    { numRuns: 2000 },
  );
});
