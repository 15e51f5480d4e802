import assert from "node:assert/strict";
import { test } from "node:test";
import { Arena } from "../ring/arena.js";
import { Pool, PoolMemory } from "../ring/pool.js";
import { RX_METADATA_BYTES, RxMetadata } from "./xdp-rx-metadata.js";

const MARK = 0x4d52_0000;

/** A slot with a frame of the bytes 0 to 19 and these words in front of it. */
function frameWith(known: number, hash = 0, low = 0, high = 0, tag: readonly number[] = []) {
  const size = { smallSlots: 64, bigSlots: 64 };
  const pool = new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(size)), size));
  const slot = pool.take();
  const at = pool.base(slot) + 256;
  for (let i = 0; i < 20; i++) pool.bytes[at + i] = i;
  for (const [i, word] of [known, hash, low, high].entries()) {
    pool.view.setInt32(at - RX_METADATA_BYTES + 4 * i, word, true);
  }
  pool.bytes.set(tag, at - 4);
  return { pool, slot, at, metadata: new RxMetadata(pool.smallSlots) };
}

test("hash and time are read where the program knew them", () => {
  const { pool, slot, at, metadata } = frameWith(MARK | 3, -5, -1, 0x1234);
  assert.equal(metadata.read(pool, slot, at), at);
  assert.equal(metadata.hash[slot], -5);
  assert.equal(metadata.timeOf(slot), 0x1234_ffff_ffffn);
});

test("a tag goes back between the addresses and the type", () => {
  const { pool, slot, at, metadata } = frameWith(MARK | 4, 9, 9, 9, [0x88, 0xa8, 0x23, 0x41]);
  assert.equal(metadata.read(pool, slot, at), at - 4);
  const frame = pool.bytes.slice(at - 4, at + 16);
  const addresses = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
  assert.deepEqual(
    [...frame],
    [...addresses, 0x88, 0xa8, 0x41, 0x23, 12, 13, 14, 15, 16, 17, 18, 19].slice(0, 20),
  );
  assert.deepEqual([metadata.hash[slot], metadata.timeOf(slot)], [0, 0n], "not known, not read");
});

test("what lay there before is no metadata: no mark, or a posted slot", () => {
  const { pool, slot, at, metadata } = frameWith(7, 9, 9, 9, [0x81, 0, 1, 0]);
  assert.equal(metadata.read(pool, slot, at), at);
  assert.equal(metadata.hash[slot], 0);
  pool.view.setInt32(at - RX_METADATA_BYTES, MARK | 7, true);
  metadata.forget(pool, at);
  assert.equal(metadata.read(pool, slot, at), at);
});
