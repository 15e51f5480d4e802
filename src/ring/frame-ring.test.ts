import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BATCH_FRAMES, Batch } from "./batch.js";
import { FrameRing } from "./frame-ring.js";

test("a capacity that is no power of two is refused", () => {
  for (const n of [0, 3, 1000, -4, 2 ** 25, 1.5]) assert.throws(() => new FrameRing(n), RangeError);
});

test("any sequence of puts and takes does what an array does", () => {
  const step = fc.oneof(fc.record({ put: fc.nat() }), fc.record({ take: fc.nat(5) }));
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 8), fc.array(step), (capacity, steps) => {
      const ring = new FrameRing(capacity);
      const model: number[] = [];
      for (const s of steps) {
        if ("put" in s) {
          assert.equal(ring.put(s.put), model.length < capacity);
          if (model.length < capacity) model.push(s.put);
        } else {
          const n = Math.min(s.take, ring.ready);
          for (let i = 0; i < n; i++) assert.equal(ring.slotAt(i), model[i]);
          ring.take(n);
          model.splice(0, n);
        }
        assert.equal(ring.ready, model.length);
        assert.equal(ring.room, capacity - model.length);
      }
    }),
  );
});

test("takeBatch stops at the end of the ring and of the batch", () => {
  const ring = new FrameRing(128);
  for (let i = 0; i < 100; i++) ring.put(i);
  const batch = new Batch();
  assert.equal(ring.takeBatch(batch), BATCH_FRAMES);
  assert.equal(ring.takeBatch(batch), 0);
  assert.deepEqual([batch.slots[0], batch.slots[63], ring.ready], [0, 63, 36]);
  batch.drop(60);
  assert.deepEqual([...batch.slots.subarray(0, batch.n)], [60, 61, 62, 63]);
  assert.equal(ring.takeBatch(batch), 36);
  assert.equal(batch.slots[4], 64);
  assert.equal(batch.n, 40);
});
