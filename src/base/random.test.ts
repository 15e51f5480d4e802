import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "./random.js";

const draw = (seed: number, n: number): number[] => {
  const r = new Random(seed);
  return Array.from({ length: n }, () => r.int32());
};

test("the same seed gives the same numbers, another seed others", () => {
  assert.deepEqual(draw(7, 20), draw(7, 20));
  assert.notDeepEqual(draw(7, 20), draw(8, 20));
});

test("the numbers of seed 1 never change, so recorded runs stay repeatable", () => {
  assert.deepEqual(draw(1, 4), [287317652, -450203498, -1569842414, -688031872]);
});

test("every bit is set about half of the time", () => {
  const r = new Random(3);
  const ones = new Array<number>(32).fill(0);
  for (let i = 0; i < 4000; i++) {
    const v = r.int32();
    for (let bit = 0; bit < 32; bit++) ones[bit]! += (v >>> bit) & 1;
  }
  for (const n of ones) assert.ok(n > 1800 && n < 2200, String(ones));
});

test("below stays below its bound and reaches every value", () => {
  const r = new Random(5);
  const seen = new Set<number>();
  for (let i = 0; i < 500; i++) seen.add(r.below(10));
  assert.deepEqual(
    [...seen].sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
});

test("chance is certain at 0 and 1, and fair between", () => {
  const r = new Random(9);
  let hits = 0;
  for (let i = 0; i < 2000; i++) {
    assert.equal(r.chance(0), false);
    assert.equal(r.chance(1), true);
    if (r.chance(0.25)) hits++;
  }
  assert.ok(hits > 420 && hits < 580, String(hits));
});
