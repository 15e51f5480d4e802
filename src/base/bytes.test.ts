import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { copy, copyWithin, equal, i32, put8, put16, put32, u8, u16, u32 } from "./bytes.js";

test("reads are big-endian, and i32 is signed where u32 is not", () => {
  const b = Uint8Array.of(0xff, 0x01, 0x02, 0x03, 0x04);
  assert.equal(u8(b, 0), 0xff);
  assert.equal(u16(b, 0), 0xff01);
  assert.equal(i32(b, 0), 0xff010203 | 0);
  assert.equal(u32(b, 0), 0xff010203);
  assert.equal(i32(b, 1), 0x01020304);
});

test("what put writes the getters read, and nothing beside it changes", () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(4), (value, at) => {
      const b = new Uint8Array(9).fill(0xa5);
      put32(b, at, value);
      assert.equal(i32(b, at), value | 0);
      put16(b, at, value);
      assert.equal(u16(b, at), value & 0xffff);
      put8(b, at, value);
      assert.equal(u8(b, at), value & 0xff);
      assert.ok(b.every((v, i) => (i >= at && i < at + 4) || v === 0xa5));
    }),
  );
});

test("put32 takes unsigned values too", () => {
  const b = new Uint8Array(4);
  put32(b, 0, 0xfffefdfc);
  assert.deepEqual([...b], [0xff, 0xfe, 0xfd, 0xfc]);
});

test("copies of every size, inside a buffer and between two, move exactly n bytes", () => {
  const from = Uint8Array.from({ length: 600 }, (_, i) => i * 7);
  for (const n of [0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 250]) {
    const inside = from.slice();
    copyWithin(inside, 300, 5, n);
    assert.deepEqual(inside.subarray(300, 300 + n), from.subarray(5, 5 + n));
    assert.equal(inside[300 + n], from[300 + n]);
    const other = new Uint8Array(600).fill(0xa5);
    copy(other, 10, from, 5, n);
    assert.deepEqual(other.subarray(10, 10 + n), from.subarray(5, 5 + n));
    assert.equal(other[10 + n], 0xa5);
  }
});

test("a whole array is copied to its place", () => {
  for (const n of [8, 64, 300]) {
    const from = Uint8Array.from({ length: n }, (_, i) => i + 1);
    const to = new Uint8Array(400).fill(0xa5);
    copy(to, 50, from, 0, n);
    assert.deepEqual(to.subarray(50, 50 + n), from);
    assert.equal(to[49], 0xa5);
    assert.equal(to[50 + n], 0xa5);
  }
});

test("copy between two views of one buffer counts each view's own offset", () => {
  const whole = Uint8Array.from({ length: 400 }, (_, i) => i);
  const want = whole.slice(100, 140);
  copy(whole.subarray(200), 10, whole.subarray(90), 10, 40);
  assert.deepEqual(whole.subarray(210, 250), want);
});

test("equal compares exactly n bytes", () => {
  const a = Uint8Array.of(1, 2, 3, 4);
  const b = Uint8Array.of(0, 1, 2, 9);
  assert.equal(equal(a, 0, b, 1, 2), true);
  assert.equal(equal(a, 0, b, 1, 3), false);
  assert.equal(equal(a, 0, b, 0, 0), true);
});
