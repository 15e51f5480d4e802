import assert from "node:assert/strict";
import { test } from "node:test";
import { Arena } from "../ring/arena.js";
import { NO_SLOT, Pool, PoolMemory } from "../ring/pool.js";
import { DeviceTally } from "./device-tally.js";
import { frame, pattern } from "./frame-fixture.js";
import { FrameJoiner } from "./xdp-frame-joiner.js";

const MTU_BYTES = 9_000;

class Rig {
  readonly pool: Pool;
  readonly tally = new DeviceTally("test");
  readonly joiner: FrameJoiner;
  private readonly free: readonly number[];

  constructor(bigSlots = 2) {
    const size = { smallSlots: 8, bigSlots };
    this.pool = new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(size)), size));
    this.joiner = new FrameJoiner(this.pool, this.tally, MTU_BYTES);
    this.free = [this.pool.freeSmall, this.pool.freeBig];
  }

  /** Hands on a frame in pieces, and gives its own slot back; its bytes. */
  append(slot: number, pieceBytes: number): Uint8Array {
    const { pool } = this;
    const at = pool.at[slot]!;
    const end = pool.end[slot]!;
    for (let from = at; from < end; from += pieceBytes) {
      this.joiner.append(from, Math.min(pieceBytes, end - from));
    }
    const bytes = pool.bytes.slice(at, end);
    pool.give(slot);
    return bytes;
  }

  assertNothingHeld(): void {
    assert.deepEqual([this.pool.freeSmall, this.pool.freeBig], this.free);
  }
}

test("the pieces lie one behind the other in the end, and nothing is busy any more", () => {
  const rig = new Rig();
  const { pool, joiner } = rig;
  const sent = rig.append(frame(pool, { protocol: "udp", payload: pattern(5_000) }), 1_792);
  assert.equal(joiner.isBusy, true);
  const slot = joiner.finish();
  assert.deepEqual(pool.bytes.slice(pool.at[slot], pool.end[slot]), sent);
  assert.equal(joiner.isBusy, false);
  pool.give(slot);
  rig.assertNothingHeld();
});

for (const v6 of [false, true]) {
  test(`longer than the link's: TCP is kept, datagrams are lost; IPv6 ${v6}`, () => {
    const rig = new Rig();
    const { pool, joiner, tally } = rig;
    const payload = pattern(20_000);
    rig.append(frame(pool, { v6, payload }), 2_000);
    const slot = joiner.finish();
    assert.notEqual(slot, NO_SLOT);
    pool.give(slot);
    rig.append(frame(pool, { v6, protocol: "udp", payload }), 2_000);
    assert.equal(joiner.finish(), NO_SLOT);
    assert.equal(tally.counters.get("rxErrors"), 1);
    rig.assertNothingHeld();
  });
}

test("what is longer than a big slot is lost to its end, and the next frame is whole", () => {
  const rig = new Rig();
  const { pool, joiner, tally } = rig;
  const long = frame(pool, { payload: pattern(60_000) });
  joiner.append(pool.at[long]!, 60_000);
  rig.append(long, 6_000);
  assert.equal(joiner.finish(), NO_SLOT);
  assert.equal(tally.counters.get("rxErrors"), 1);
  const sent = rig.append(frame(pool, { payload: pattern(3_000) }), 2_000);
  const slot = joiner.finish();
  assert.deepEqual(pool.bytes.slice(pool.at[slot], pool.end[slot]), sent);
  pool.give(slot);
  rig.assertNothingHeld();
});

test("without a big slot the frame is lost, and counted once", () => {
  const rig = new Rig(1);
  const { pool, joiner, tally } = rig;
  rig.append(frame(pool, { payload: pattern(3_000) }), 500);
  assert.equal(joiner.finish(), NO_SLOT);
  assert.equal(tally.counters.get("rxNoSlot"), 1);
  rig.assertNothingHeld();
});

test("closed in the middle of a frame, it gives back what it holds", () => {
  const rig = new Rig();
  rig.append(frame(rig.pool, { payload: pattern(3_000) }), 2_000);
  rig.joiner.close();
  assert.equal(rig.joiner.isBusy, false);
  rig.assertNothingHeld();
});
