import assert from "node:assert/strict";
import { test } from "node:test";
import { NEVER } from "../base/time.js";
import { BATCH_FRAMES } from "../ring/batch.js";
import { FrameFlags } from "../ring/pool.js";
import { Capability } from "./device.js";
import {
  assertAllFree,
  batchOf,
  frame,
  makePool,
  parseSlot,
  pattern,
  receiveAll,
} from "./frame-fixture.js";
import { SIM_CAPABILITIES, simLink } from "./sim-link.js";

/** A TCP frame of 1,000 bytes on the wire. */
const KILO = { payload: pattern(1000 - 54) };

test("with no delay a frame is there at the time at which it was sent, in the same slot", () => {
  const pool = makePool();
  const { a, b } = simLink(pool, pool);
  const slot = frame(pool);
  assert.equal(b.nextDeadlineUs(), NEVER);
  assert.equal(a.transmit(500, batchOf(slot)), 1);
  assert.equal(b.nextDeadlineUs(), 500);
  assert.deepEqual(receiveAll(a, 500), []);
  assert.deepEqual(receiveAll(b, 500), [slot]);
  assert.equal(pool.rxTimeUs[slot], 500);
});

test("a frame arrives after its transmission and the delay, and both ends count it", () => {
  const pool = makePool();
  const { a, b } = simLink(pool, pool, { delayUs: 100, bitsPerS: 8_000_000 }); // 1 byte per µs
  a.transmit(0, batchOf(frame(pool, KILO), frame(pool, KILO)));
  assert.equal(b.nextDeadlineUs(), 1100);
  assert.equal(receiveAll(b, 1099).length, 0);
  assert.equal(receiveAll(b, 1100).length, 1);
  assert.equal(b.nextDeadlineUs(), 2100);
  const [slot] = receiveAll(b, 9000);
  assert.equal(pool.rxTimeUs[slot!], 2100, "when it arrived, not when it was taken");
  assert.deepEqual([a.counters.get("txFrames"), a.counters.get("txBytes")], [2, 2000]);
  assert.deepEqual([b.counters.get("rxFrames"), b.counters.get("rxBytes")], [2, 2000]);
});

test("each direction has its own settings", () => {
  const pool = makePool();
  const { a, b } = simLink(pool, pool, { delayUs: 100, reverse: { delayUs: 7 } });
  a.transmit(0, batchOf(frame(pool)));
  b.transmit(0, batchOf(frame(pool)));
  assert.deepEqual([b.nextDeadlineUs(), a.nextDeadlineUs()], [100, 7]);
});

test("a full queue drops the newest frames, whether frames or bytes are counted", () => {
  for (const limit of [{ queueFrames: 3 }, { queueBytes: 3500 }]) {
    const pool = makePool();
    const { a, b } = simLink(pool, pool, { bitsPerS: 8_000_000, ...limit });
    const sent = Array.from({ length: 5 }, (_, i) => frame(pool, { ...KILO, seq: i }));
    assert.equal(a.transmit(0, batchOf(...sent)), 5);
    assert.equal(a.counters.get("txErrors"), 2);
    a.transmit(1000, batchOf(frame(pool, { ...KILO, seq: 5 }))); // one has left: there is room
    const seqs = receiveAll(b, 10_000).map((slot) => parseSlot(pool, slot).seq);
    assert.deepEqual(seqs, [0, 1, 2, 5]);
  }
});

test("a link that is long and fast holds any number of frames", () => {
  const pool = makePool(2000);
  const { a, b } = simLink(pool, pool, { delayUs: 1_000_000 });
  for (let i = 0; i < 1500; i++) a.transmit(i, batchOf(frame(pool, { seq: i })));
  const slots = receiveAll(b, 2_000_000);
  assert.deepEqual(
    slots.map((slot) => parseSlot(pool, slot).seq),
    Array.from({ length: 1500 }, (_, i) => i),
  );
});

test("receive stops at a full batch and goes on in the next", () => {
  const pool = makePool();
  const { a, b } = simLink(pool, pool);
  for (let i = 0; i < 100; i++) a.transmit(0, batchOf(frame(pool)));
  const batch = batchOf();
  b.receive(0, batch);
  assert.equal(batch.n, BATCH_FRAMES);
  assert.equal(receiveAll(b, 0).length, 36);
});

test("between two pools a frame is copied with what is known about it", () => {
  const from = makePool();
  const to = makePool();
  to.take(); // so that slot numbers differ
  const { a, b } = simLink(from, to);
  a.transmit(0, batchOf(frame(from, { payload: pattern(30_000), gsoBytes: 1000, v6: true })));
  const [slot] = receiveAll(b, 0);
  assertAllFree(from);
  assert.equal(to.isBig(slot!), true);
  const parsed = parseSlot(to, slot!);
  assert.deepEqual(parsed.payload, pattern(30_000));
  assert.equal(parsed.checksum, "partial");
  assert.equal(to.flags[slot!], FrameFlags.GSO_TCP6 | FrameFlags.CHECKSUM_PARTIAL);
  assert.deepEqual([to.gsoBytes[slot!], to.csumOffset[slot!]], [1000, 16]);
  assert.equal(to.csumStart[slot!]! - to.at[slot!]!, 54);
});

test("a receiver without a slot leaves the frame in the link", () => {
  const from = makePool();
  const to = makePool(1, 0);
  const { a, b } = simLink(from, to);
  a.transmit(0, batchOf(frame(from), frame(from)));
  const batch = batchOf();
  b.receive(0, batch);
  assert.equal(batch.n, 1);
  assert.equal(b.counters.get("rxNoSlot"), 1);
  to.give(batch.slots[0]!);
  assert.equal(receiveAll(b, 0).length, 1);
});

test("frames that the link does not claim to carry are refused and counted", () => {
  const pool = makePool();
  const plain = simLink(pool, pool, { capabilities: 0 }).a;
  const whole = simLink(pool, pool).a;
  const large = { payload: pattern(3000) };
  plain.transmit(
    0,
    batchOf(frame(pool, { partial: true }), frame(pool, { ...large, gsoBytes: 9 })),
  );
  assert.equal(plain.counters.get("txErrors"), 2);
  whole.transmit(0, batchOf(frame(pool, large)));
  assert.equal(whole.counters.get("txErrors"), 1, "larger than the MTU");
  whole.transmit(0, batchOf(frame(pool, { ...large, gsoBytes: 900 })));
  assert.equal(whole.counters.get("txErrors"), 1);
  plain.close();
  whole.close();
  assertAllFree(pool);
});

test("an end that is down loses what it is given", () => {
  const pool = makePool();
  const { a, b } = simLink(pool, pool);
  a.setUp(false);
  assert.equal(a.isUp, false);
  assert.equal(a.transmit(0, batchOf(frame(pool))), 1);
  assert.equal(a.counters.get("txErrors"), 1);
  a.setUp(true);
  a.transmit(0, batchOf(frame(pool)));
  assert.equal(receiveAll(b, 0).length, 1);
});

test("group frames are marked, and a link that checks checksums vouches for them", () => {
  const pool = makePool();
  const { a, b } = simLink(pool, pool, { capabilities: SIM_CAPABILITIES | Capability.RX_CHECKSUM });
  const slots = [frame(pool), frame(pool), frame(pool)];
  pool.bytes.fill(0xff, pool.at[slots[1]!]!, pool.at[slots[1]!]! + 6);
  pool.bytes[pool.at[slots[2]!]!] = 0x33;
  a.transmit(0, batchOf(...slots));
  const flags = receiveAll(b, 0).map((slot) => pool.flags[slot]! & ~FrameFlags.CHECKSUM_VALID);
  assert.deepEqual(flags, [0, FrameFlags.LINK_BROADCAST, FrameFlags.LINK_MULTICAST]);
  assert.ok((pool.flags[slots[0]!]! & FrameFlags.CHECKSUM_VALID) !== 0);
});

test("closing gives back what is on its way, twice is once", () => {
  const pool = makePool();
  const { a, b } = simLink(pool, pool, { delayUs: 1000 });
  a.transmit(0, batchOf(frame(pool), frame(pool)));
  b.transmit(0, batchOf(frame(pool)));
  a.close();
  b.close();
  a.close();
  assertAllFree(pool);
});
