import assert from "node:assert/strict";
import { test } from "node:test";
import { TcpScript } from "../../test/support/tcp-script.js";

const MSS = 1_000;

/** A connection that sends segments of up to 8,000 bytes; what it sends stays with the device. */
function holding(): { s: TcpScript; frames: number[] } {
  const s = TcpScript.accepted({ gsoBytes: 8 * MSS + 500, borrows: true });
  const frames: number[] = [];
  s.world.sink = (slot) => void frames.push(slot);
  return { s, frames };
}

test("a segment that is a whole slot of the queue takes no other slot", () => {
  const { s, frames } = holding();
  const free = s.world.pool.freeBig;
  s.app.write(8 * MSS);
  s.at(0);
  assert.equal(frames.length, 1);
  assert.equal(s.world.pool.freeBig, free - 1);
});

test("acknowledged while the device holds it, it is free when the device gives it back", () => {
  const { s, frames } = holding();
  const free = s.world.freeSlots;
  s.app.write(8 * MSS);
  s.at(0);
  s.send(`A 1:1 ack ${8 * MSS + 1}`);
  assert.equal(s.world.freeSlots, free - 1);
  s.world.pool.give(frames[0]!);
  assert.equal(s.world.freeSlots, free);
});

test("given back before it is acknowledged, it stays in the queue and is sent from there again", () => {
  const { s, frames } = holding();
  s.app.write(8 * MSS);
  s.at(0);
  s.world.pool.give(frames[0]!);
  s.at(5_000); // probes and timeouts
  const resent = frames.slice(1).filter((slot) => slot === frames[0]);
  assert.ok(frames.length > 1, "it was sent again");
  for (const slot of resent) s.world.pool.give(slot);
  assert.equal(s.world.pool.isBig(frames[0]!), true);
  const free = s.world.freeSlots;
  s.send(`A 1:1 ack ${8 * MSS + 1}`);
  assert.equal(s.world.freeSlots, free + 1);
});

test("while the device holds it, it is sent again from a copy", () => {
  const { s, frames } = holding();
  s.app.write(8 * MSS);
  s.at(0);
  s.at(5_000);
  assert.ok(frames.length > 1, "it was sent again");
  assert.ok(!frames.slice(1).includes(frames[0]!), "from another slot");
});

test("bytes written behind a segment that is under way do not change it", () => {
  const { s, frames } = holding();
  s.app.write(5 * MSS);
  s.at(0);
  const slot = frames[0]!;
  const { pool } = s.world;
  const before = pool.bytes.slice(pool.at[slot]!, pool.end[slot]!);
  s.app.write(3 * MSS);
  s.at(1);
  assert.equal(frames.length, 2);
  assert.notEqual(frames[1], slot);
  assert.deepEqual(pool.bytes.slice(pool.at[slot]!, pool.end[slot]!), before);
});

test("out of step after a short write, segments are in step with the slots again", () => {
  const { s, frames } = holding();
  s.app.write(300);
  s.at(0);
  s.app.write(20 * MSS);
  s.send("A 1:1 ack 301");
  const { pool } = s.world;
  assert.ok(frames.slice(1).some((slot) => pool.sharers[slot] === 1));
});

test("an early flush sends segments of the largest size, and the rest goes with the next flush", () => {
  const { s, frames } = holding();
  const { world } = s;
  s.app.write(8 * MSS + 300);
  world.tcp.flushEarly(world.nowUs);
  assert.equal(frames.length, 1);
  assert.equal(world.pool.gsoBytes[frames[0]!], MSS);
  world.tcp.flushEarly(world.nowUs);
  assert.equal(frames.length, 1);
  world.tcp.flush(world.nowUs);
  assert.equal(frames.length, 2);
});
