import assert from "node:assert/strict";
import { test } from "node:test";
import { fold, sum } from "../base/checksum.js";
import { Arena, PAGE_BYTES } from "./arena.js";
import { ArenaChecksum } from "./arena-checksum.js";

test("regions are page-aligned, do not overlap, and offset 0 stays unused", () => {
  const a = new Arena(1 << 20);
  assert.equal(a.reserve(1), PAGE_BYTES);
  assert.equal(a.reserve(PAGE_BYTES), 2 * PAGE_BYTES);
  assert.equal(a.reserve(PAGE_BYTES + 1), 3 * PAGE_BYTES);
  assert.equal(a.reserve(1), 5 * PAGE_BYTES);
  assert.equal(a.freeBytes, (1 << 20) - 6 * PAGE_BYTES);
});

test("an arena that is too small says so, and keeps what is free", () => {
  const a = new Arena(65_536);
  assert.throws(() => a.reserve(65_536), /expected 65536 free bytes, got 61440 of 65536/);
  assert.equal(a.reserve(61_440), PAGE_BYTES);
  assert.equal(a.freeBytes, 0);
});

test("columns lie in the arena's own bytes and start zeroed", () => {
  const a = new Arena(1 << 20);
  const ints = a.int32s(3);
  const doubles = a.float64s(2);
  assert.deepEqual([...ints, ...doubles], [0, 0, 0, 0, 0]);
  ints[0] = 0x01020304;
  assert.equal(a.bytes[PAGE_BYTES], 4);
  assert.equal(doubles.byteOffset, 2 * PAGE_BYTES);
});

test("the checksum is the same over WebAssembly memory and over a shared buffer", () => {
  const wasm = new Arena(1 << 18);
  const shared = new Arena(new SharedArrayBuffer(1 << 18));
  for (let i = 0; i < 1 << 18; i++) wasm.bytes[i] = (i * 2_654_435_761) >>> 13;
  shared.bytes.set(wasm.bytes);
  const fast = new ArenaChecksum(wasm);
  const plain = new ArenaChecksum(shared);
  assert.equal(fast.isSimd, true);
  assert.equal(plain.isSimd, false);
  for (const n of [0, 1, 20, 31, 32, 33, 1460, 65_535, 100_000]) {
    const want = fold(sum(wasm.bytes, 4097, n, 0x1234));
    assert.equal(fold(fast.sum(4097, n, 0x1234)), want, `${n} bytes`);
    assert.equal(fold(plain.sum(4097, n, 0x1234)), want, `${n} bytes`);
  }
});

test("lent regions do not overlap, come from the top, and are lent again once taken back", () => {
  const arena = new Arena(1 << 20);
  const top = arena.bytes.length;
  const a = arena.lend(10_000);
  const b = arena.lend(4096);
  const c = arena.lend(1);
  assert.deepEqual([a, b, c], [top - 12_288, top - 16_384, top - 20_480]);
  arena.takeBack(b);
  assert.equal(arena.lend(8192), top - 28_672, "the gap is too small");
  assert.equal(arena.lend(4096), b);
  arena.takeBack(a);
  assert.equal(arena.lend(8192), top - 8192);
  assert.throws(() => arena.takeBack(12_345), RangeError);
});

test("what is kept is lent to those who may have it only, and stays in one piece", () => {
  const arena = new Arena(1 << 20);
  const kept = 65_536;
  const lent: number[] = [];
  for (let at = arena.lend(4096, kept); at >= 0; at = arena.lend(4096, kept)) lent.push(at);
  assert.ok(lent.length > 200);
  const whole = arena.lend(kept);
  assert.ok(whole >= 0);
  assert.equal(arena.lend(4096), -1);
  arena.takeBack(whole);
  assert.equal(arena.lend(4096, kept), -1);
  arena.takeBack(lent[3]!);
  assert.equal(arena.lend(4096, kept), lent[3]);
});

test("what is lent and what is reserved never meet", () => {
  const arena = new Arena(65_536);
  const at = arena.reserve(20_000);
  assert.equal(arena.lend(65_536), -1);
  const lent = arena.lend(32_768);
  assert.ok(lent >= at + 20_000);
  assert.throws(() => arena.reserve(20_000), RangeError);
  assert.equal(arena.lend(20_000), -1);
  arena.takeBack(lent);
  assert.ok(arena.reserve(20_000) > at);
});
