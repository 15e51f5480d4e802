import assert from "node:assert/strict";
import { test } from "node:test";
import { fold, sum } from "../base/checksum.js";
import { Random } from "../base/random.js";
import { Arena } from "./arena.js";
import { Pool, PoolMemory } from "./pool.js";
import { WORD_COPY_BYTES, WordCopy } from "./word-copy.js";

const SIZE = { smallSlots: 64, bigSlots: 1 };

function newPool(): Pool {
  return new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(SIZE) + 65_536), SIZE));
}

const LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 255, 256, 257, 1_000];

for (const offset of [0, 1, 2, 4, 6]) {
  test(`bytes at offset ${offset} of a program's buffer come and go unchanged`, () => {
    const pool = newPool();
    const random = new Random(7);
    const program = new Uint8Array(new ArrayBuffer(2_048), offset, 2_000);
    for (let i = 0; i < program.length; i++) program[i] = random.int32();
    const copier = new WordCopy(pool);
    const base = pool.base(pool.take());
    for (const n of LENGTHS) {
      for (const at of [0, 1, 4]) {
        for (const to of [base, base + 2, base + 136]) {
          pool.bytes.fill(0xa5, base, base + 2_048);
          copier.toArena(to, program, at, n);
          assert.deepEqual(pool.bytes.slice(to, to + n), program.slice(at, at + n));
          assert.equal(pool.bytes[to + n], 0xa5, "nothing behind it is written");
          const back = new Uint8Array(program.buffer, offset, 2_000);
          const expected = program.slice(at, at + n);
          copier.fromArena(back, at, to, n);
          copier.fromArena(back, at, to, n);
          assert.deepEqual(back.slice(at, at + n), expected);
        }
      }
    }
  });
}

test("the sum of what is copied is the checksum's", () => {
  const pool = newPool();
  const random = new Random(11);
  const program = new Uint8Array(512);
  const copier = new WordCopy(pool);
  const to = pool.base(pool.take()) + 136;
  for (let round = 0; round < 300; round++) {
    for (let i = 0; i < program.length; i++) program[i] = random.int32();
    const n = random.below(WORD_COPY_BYTES + 1);
    const at = random.below(8);
    const partial = copier.toArenaSummed(to, program, at, n);
    assert.equal(fold(partial) % 0xffff, fold(sum(program, at, n, 0)) % 0xffff, `${n} at ${at}`);
    assert.deepEqual(pool.bytes.slice(to, to + n), program.slice(at, at + n));
  }
});

test("a forgotten, another and a shorter buffer are taken as they are", () => {
  const pool = newPool();
  const copier = new WordCopy(pool);
  const to = pool.base(pool.take()) + 136;
  const buffers = [1, 2, 3].map((k) => new Uint8Array(40 + k).fill(k));
  for (let round = 0; round < 50; round++) {
    for (const [i, b] of buffers.entries()) {
      copier.toArena(to, b, 0, b.length);
      copier.toArena(to, b, 0, b.length);
      assert.equal(pool.bytes[to + b.length - 1], i + 1);
    }
    if (round % 10 === 9) copier.forget();
  }
});
