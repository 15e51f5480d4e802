import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../../test/support/property.js";
import { Histogram } from "./histogram.js";

test("an empty histogram is all zeros", () => {
  const h = new Histogram();
  assert.deepEqual(
    [h.minNs, h.maxNs, h.meanNs, h.deviationNs, h.percentileNs(50)],
    [0, 0, 0, 0, 0],
  );
  assert.deepEqual(h.buckets(), []);
});

test("small values are exact", () => {
  const h = new Histogram();
  for (let ns = 1; ns <= 1_000; ns++) h.record(ns);
  assert.equal(h.count, 1_000);
  assert.equal(h.minNs, 1);
  assert.equal(h.maxNs, 1_000);
  assert.equal(h.meanNs, 500.5);
  assert.equal(h.percentileNs(50), 500.5);
  assert.equal(h.percentileNs(99.9), 999.5);
  assert.equal(h.percentileNs(100), 1_000);
});

test("percentiles are within 0.2 % of those of the sorted values", () => {
  const value = fc.integer({ min: 0, max: 2 ** 45 });
  const scaled = fc
    .tuple(value, fc.integer({ min: 0, max: 40 }))
    .map(([v, k]) => Math.floor(v / 2 ** k));
  fc.assert(
    fc.property(fc.array(scaled, { minLength: 1, maxLength: 200 }), (values) => {
      const h = new Histogram();
      for (const v of values) h.record(v);
      const sorted = values.toSorted((a, b) => a - b);
      for (const p of [1, 25, 50, 90, 99, 99.9, 100]) {
        const exact = sorted[Math.max(1, Math.ceil((p / 100) * sorted.length)) - 1]!;
        assert.ok(Math.abs(h.percentileNs(p) - exact) <= Math.max(0.5, exact * 0.002), `p${p}`);
      }
    }),
  );
});

test("buckets hold every observation, in order, each in its bounds", () => {
  const h = new Histogram();
  for (const v of [0, 1, 511, 512, 1023, 1024, 1025, 2 ** 30 - 1, 2 ** 30, 2 ** 45]) h.record(v);
  const buckets = h.buckets();
  assert.equal(
    buckets.reduce((sum, b) => sum + b.count, 0),
    10,
  );
  for (const [i, b] of buckets.entries()) {
    assert.ok(b.fromNs < b.toNs);
    if (i > 0) assert.ok(buckets[i - 1]!.toNs <= b.fromNs);
  }
});

test("what is beyond its range, or negative, counts at the edge", () => {
  const h = new Histogram();
  h.record(2 ** 52);
  h.record(-5);
  assert.equal(h.count, 2);
  assert.equal(h.minNs, 0);
  assert.equal(h.maxNs, 2 ** 52);
});
