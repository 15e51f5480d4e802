import assert from "node:assert/strict";
import test from "node:test";
import { NumberMap } from "./number-map.js";
import { Random } from "./random.js";

test("does what Map does, whatever the order of additions and removals", () => {
  const random = new Random(7);
  const map = new NumberMap<{ n: number }>();
  const model = new Map<number, { n: number }>();
  for (let k = 0; k < 50_000; k++) {
    // Few keys, so that they meet; some beyond 32 bits, as inodes may be.
    const key = (random.int32() & 0x1ff) + ((k & 1) === 0 ? 0 : 2 ** 40);
    if ((random.int32() & 3) < 2) {
      const value = { n: k };
      map.set(key, value);
      model.set(key, value);
    } else {
      assert.equal(map.delete(key), model.delete(key));
    }
    const other = (random.int32() & 0x1ff) + 2 ** 40;
    assert.equal(map.get(other), model.get(other));
    assert.equal(map.size, model.size);
  }
  const byNumber = (a: { n: number }, b: { n: number }): number => a.n - b.n;
  assert.deepEqual(map.values().sort(byNumber), [...model.values()].sort(byNumber));
  map.clear();
  assert.equal(map.size, 0);
  assert.deepEqual(map.values(), []);
  for (const key of model.keys()) assert.equal(map.get(key), undefined);
});

test("numbers that follow one another, as sockets have", () => {
  const map = new NumberMap<{ n: number }>();
  for (let n = 1; n < 200_000; n++) {
    map.set(n, { n });
    if (n > 50) assert.ok(map.delete(n - 50));
    assert.equal(map.get(n)?.n, n);
  }
  assert.equal(map.size, 50);
});
