import assert from "node:assert/strict";
import { test } from "node:test";
import { Arena } from "../ring/arena.js";
import { withEngine } from "./engine-fixture.js";
import { type Block, RegionPool, Regions } from "./region.js";
import { SharedMemory } from "./shared-memory.js";
import { bindUdp } from "./test-sockets-fixture.js";

const SIZES = { rxBytes: 16_384, txBytes: 16_384 };

function withRegions(bytes: number, body: (regions: Regions) => void): void {
  const memory = new SharedMemory(new Arena(bytes));
  body(new Regions(memory));
  assert.equal(memory.usedBytes, 0);
}

test("a socket that comes and goes at the edge of a region does not map one each time", () => {
  withRegions(1 << 26, (regions) => {
    const pool = new RegionPool(regions);
    const kept = [1, 2, 3, 4].map((id) => pool.take(id, 1, 2, SIZES));
    const first = pool.take(5, 1, 2, SIZES);
    pool.give(first);
    for (let i = 0; i < 100; i++) {
      const block = pool.take(6 + i, 1, 2, SIZES);
      assert.equal(block.region, first.region);
      pool.give(block);
    }
    for (const block of kept) pool.give(block);
    pool.retire();
    assert.equal(regions.size, 0);
  });
});

test("what waves of sockets need is kept, and of large regions one", () => {
  const wave = (ringBytes: number): number => {
    let kept = 0;
    withRegions(1 << 26, (regions) => {
      const pool = new RegionPool(regions);
      const sizes = { rxBytes: ringBytes, txBytes: ringBytes };
      const ids = Array.from({ length: 12 }, (_, id) => id);
      for (const block of ids.map((id) => pool.take(id, 1, 2, sizes))) pool.give(block);
      kept = regions.size;
      pool.retire();
    });
    return kept;
  };
  assert.ok(wave(4_096) > 1);
  assert.equal(wave(1 << 20), 1);
});

test("a block that is used again has another generation", () => {
  withRegions(1 << 24, (regions) => {
    const pool = new RegionPool(regions);
    const one = pool.take(1, 1, 2, SIZES);
    pool.give(one);
    const two = pool.take(2, 1, 2, SIZES);
    assert.equal(two.at, one.at);
    assert.notEqual(two.generation, one.generation);
    pool.give(two);
    pool.retire();
  });
});

test("many programs share what there is: none takes much more than it uses", () => {
  withRegions(1 << 26, (regions) => {
    const pools = Array.from({ length: 64 }, () => new RegionPool(regions));
    const blocks: { pool: RegionPool; block: Block }[] = [];
    let wanted = 0;
    // Four fifths of all, by turns.
    while (wanted < ((1 << 26) * 4) / 5) {
      const pool: RegionPool = pools[blocks.length % pools.length]!;
      blocks.push({ pool, block: pool.take(blocks.length, 1, 2, SIZES) });
      wanted += SIZES.rxBytes + SIZES.txBytes;
    }
    assert.ok(blocks.length > 1_600);
    for (const { pool, block } of blocks) pool.give(block);
    for (const pool of pools) pool.retire();
  });
});

test("what one only keeps goes to who needs it", () => {
  withRegions(1 << 22, (regions) => {
    const idle = new RegionPool(regions);
    idle.give(idle.take(1, 1, 2, { rxBytes: 131_072, txBytes: 131_072 }));
    assert.equal(regions.size, 1);
    const busy = new RegionPool(regions);
    const blocks: Block[] = [];
    try {
      for (;;) blocks.push(busy.take(blocks.length, 1, 2, SIZES));
    } catch (error) {
      assert.equal((error as { code?: string }).code, "ENOMEM");
    }
    assert.ok(blocks.length * 32_768 > (1 << 22) * 0.9, `${blocks.length} blocks`);
    for (const block of blocks) busy.give(block);
    busy.retire();
    idle.retire();
  });
});

test("a program hears of a region once, and of another that comes in its place", () => {
  withEngine((rig) => {
    const client = rig.client();
    const sockets = Array.from({ length: 12 }, (_, i) => bindUdp(client, 2_000 + i));
    for (const s of sockets) s.close();
    rig.until(() => rig.engine.sockets.size === 0);
    const again = Array.from({ length: 30 }, (_, i) => bindUdp(client, 2_000 + i));
    assert.deepEqual(
      again.map((s) => s.result),
      new Array(30).fill(0),
    );
  });
});
