import assert from "node:assert/strict";
import { test } from "node:test";
import { batchOf, FakeDevice, frame, makePool, receiveAll } from "./frame-fixture.js";
import { Tracer } from "./tracer.js";

test("every frame is shown with its direction and time, and passes unchanged", () => {
  const pool = makePool();
  const device = new FakeDevice(pool);
  const seen: unknown[] = [];
  const tracer = new Tracer(device, pool, (direction, p, slot, nowUs) =>
    seen.push([direction, slot, p.end[slot]! - p.at[slot]!, nowUs]),
  );
  const [a, b] = [frame(pool), frame(pool)];
  device.arriving.push(a);
  assert.deepEqual(receiveAll(tracer, 1), [a]);
  assert.equal(tracer.transmit(2, batchOf(b)), 1);
  assert.deepEqual(device.taken, [b]);
  assert.deepEqual(seen, [
    ["rx", a, 64, 1],
    ["tx", b, 64, 2],
  ]);
  assert.deepEqual([tracer.name, tracer.mtuBytes, tracer.isUp], ["fake", 1500, true]);
});
