import assert from "node:assert/strict";
import { test } from "node:test";
import { copyIn, copyInside, copyOut } from "./copy.js";

const ARENA = Uint8Array.from({ length: 4_096 }, (_, i) => (i * 7) ^ (i >> 3));
const SIZES = [0, 1, 3, 4, 5, 15, 16, 17, 31, 63, 64, 65, 96, 97, 255, 256, 257, 1_000];

/** An arena with known bytes, and an array in the middle of a larger buffer. */
function sides(): { bytes: Uint8Array; view: DataView; array: Uint8Array } {
  const bytes = ARENA.slice();
  const array = new Uint8Array(new ArrayBuffer(4_000), 13, 3_000).fill(0xa5);
  return { bytes, view: new DataView(bytes.buffer), array };
}

for (const n of SIZES) {
  test(`${n} bytes go out, the first time as the second and third`, () => {
    const { bytes, view, array } = sides();
    for (let time = 0; time < 3; time++) {
      array.fill(0xa5);
      copyOut(array, 5, view, bytes, 101 + time, n);
      assert.deepEqual(array.subarray(5, 5 + n), ARENA.subarray(101 + time, 101 + time + n));
      assert.deepEqual([array[4], array[5 + n]], [0xa5, 0xa5]);
    }
  });

  test(`${n} bytes come in, and nothing around them`, () => {
    const { bytes, view, array } = sides();
    array.set(ARENA.subarray(0, 2_000));
    for (let time = 0; time < 3; time++) {
      bytes.fill(0xa5);
      copyIn(view, bytes, 77, array, 9, n);
      assert.deepEqual(bytes.subarray(77, 77 + n), ARENA.subarray(9, 9 + n));
      assert.deepEqual([bytes[76], bytes[77 + n]], [0xa5, 0xa5]);
    }
  });

  test(`${n} bytes move inside the arena`, () => {
    const { bytes, view } = sides();
    copyInside(view, bytes, 2_001, 3, n);
    assert.deepEqual(bytes.subarray(2_001, 2_001 + n), ARENA.subarray(3, 3 + n));
    assert.equal(bytes[2_001 + n], ARENA[2_001 + n]);
  });
}

test("an array that was detached since takes nothing and does not throw", () => {
  const { bytes, view } = sides();
  const array = new Uint8Array(64);
  for (let time = 0; time < 3; time++) copyOut(array, 0, view, bytes, 0, 32);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  copyOut(array, 0, view, bytes, 0, 32);
  assert.equal(array.length, 0);
});

test("a buffer that is resized between copies is copied to and from as any other", () => {
  const Resizable = ArrayBuffer as unknown as new (
    bytes: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer & { resize(bytes: number): void };
  const arena = Uint8Array.from({ length: 256 }, (_, i) => i);
  const view = new DataView(arena.buffer);
  const buffer = new Resizable(32, { maxByteLength: 128 });
  const program = new Uint8Array(buffer);
  for (const bytes of [32, 32, 32, 128, 128, 48, 48]) {
    buffer.resize(bytes);
    program.fill(0);
    copyOut(program, 0, view, arena, 5, bytes);
    assert.deepEqual(program, arena.slice(5, 5 + bytes));
    copyIn(view, arena, 100, program, 0, bytes);
    assert.deepEqual(arena.slice(100, 100 + bytes), program);
  }
});
