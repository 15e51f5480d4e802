import assert from "node:assert/strict";
import { test } from "node:test";
import { NEVER } from "../base/time.js";
import { FrameFlags } from "../ring/pool.js";
import { assertAllFree, batchOf, frame, makePool, pattern, receiveAll } from "./frame-fixture.js";
import { Loopback } from "./loopback.js";

test("what is transmitted is received, unfinished as it is, and marked as looped", () => {
  const pool = makePool();
  const lo = new Loopback(pool);
  const slot = frame(pool, { payload: pattern(9000), gsoBytes: 1000 });
  const before = pool.flags[slot]!;
  assert.equal(lo.nextDeadlineUs(), NEVER);
  assert.equal(lo.transmit(5, batchOf(slot)), 1);
  assert.ok(lo.nextDeadlineUs() <= 5);
  assert.deepEqual(receiveAll(lo, 6), [slot]);
  assert.equal(pool.flags[slot], before | FrameFlags.LOOPED);
  assert.deepEqual([lo.counters.get("txFrames"), lo.counters.get("rxBytes")], [1, 9054]);
});

test("a full ring leaves the rest with the sender; closing frees the others", () => {
  const pool = makePool(1100);
  const lo = new Loopback(pool);
  let taken = 0;
  let last = -1;
  for (let i = 0; i < 1025; i++) {
    last = frame(pool);
    taken += lo.transmit(0, batchOf(last));
  }
  assert.equal(taken, 1024);
  assert.equal(lo.counters.get("txFull"), 1);
  pool.give(last);
  lo.close();
  lo.close();
  assertAllFree(pool);
});
