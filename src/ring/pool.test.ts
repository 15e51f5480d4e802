import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import * as fc from "../../test/support/property.js";
import { Arena } from "./arena.js";
import {
  BIG_SLOT_BYTES,
  HEADROOM_BYTES,
  NO_SLOT,
  Pool,
  PoolMemory,
  SMALL_SLOT_BYTES,
} from "./pool.js";

function memoryOf(smallSlots: number, bigSlots: number): PoolMemory {
  const size = { smallSlots, bigSlots };
  return new PoolMemory(new Arena(PoolMemory.sizeBytes(size) + 65_536), size);
}

test("slots of both sizes lie apart, inside the arena, in their numbering", () => {
  const memory = memoryOf(3, 2);
  const pool = new Pool(memory);
  const ranges: [number, number][] = [];
  for (const slot of [pool.take(), pool.take(), pool.take(), pool.takeBig(), pool.takeBig()]) {
    ranges.push([pool.base(slot), pool.limit(slot)]);
    const size = pool.isBig(slot) ? BIG_SLOT_BYTES : SMALL_SLOT_BYTES;
    assert.equal(pool.limit(slot) - pool.base(slot), size);
    assert.equal(pool.roomBytes(slot), size - HEADROOM_BYTES);
  }
  ranges.sort((a, b) => a[0] - b[0]);
  for (let i = 1; i < 5; i++) assert.ok(ranges[i]![0] >= ranges[i - 1]![1]);
  assert.ok(ranges[0]![0] > 0 && ranges[4]![1] <= memory.arena.bytes.length);
});

test("a pool of any size fits into the arena that sizeBytes asks for", () => {
  for (const [s, b] of [
    [0, 0],
    [1, 0],
    [0, 1],
    [1000, 10],
    [4096, 64],
  ] as const) {
    assert.ok(memoryOf(s, b).arena.freeBytes >= 0);
  }
});

test("an empty pool says NO_SLOT, for each size by itself, until a slot comes back", () => {
  const pool = new Pool(memoryOf(2, 1));
  const first = pool.take();
  pool.take();
  assert.equal(pool.take(), NO_SLOT);
  const big = pool.takeBig();
  assert.equal(pool.takeBig(), NO_SLOT);
  pool.give(first);
  assert.equal(pool.take(), first);
  pool.give(big);
  assert.equal(pool.take(), NO_SLOT);
  assert.equal(pool.takeBig(), big);
});

test("giving a slot twice, or one that does not exist, stops the run", () => {
  const pool = new Pool(memoryOf(4, 1));
  const slot = pool.take();
  pool.give(slot);
  assert.throws(() => pool.give(slot), /was held when given back/);
  assert.throws(() => pool.give(99), /exists/);
  assert.throws(() => pool.give(NO_SLOT), /exists/);
});

test("a given slot is poisoned, so that stale reads show", () => {
  const pool = new Pool(memoryOf(1, 0));
  const slot = pool.take();
  pool.bytes.fill(1, pool.base(slot), pool.limit(slot));
  pool.give(slot);
  assert.equal(pool.bytes[pool.base(slot)], 0xa5);
});

test("giveList returns every slot of the list", () => {
  const pool = new Pool(memoryOf(8, 2));
  const slots = [pool.take(), pool.takeBig(), pool.take()];
  for (let i = 0; i < 3; i++) pool.next[slots[i]!] = slots[i + 1] ?? NO_SLOT;
  pool.giveList(slots[0]!);
  pool.giveList(NO_SLOT);
  assert.deepEqual([pool.freeSmall, pool.freeBig], [8, 2]);
});

test("two owners share the slots: what one gives back and closes, the other can take", () => {
  const memory = memoryOf(100, 0);
  const a = new Pool(memory);
  const b = new Pool(memory);
  const held: number[] = [];
  for (let slot = a.take(); slot !== NO_SLOT; slot = a.take()) held.push(slot);
  assert.equal(held.length, 100);
  assert.equal(b.take(), NO_SLOT);
  for (const slot of held) a.give(slot);
  a.close();
  assert.equal(b.freeSmall, 100);
});

test("any sequence of takes and gives by two owners does what a set does", () => {
  const step = fc.record({
    owner: fc.nat(1),
    big: fc.boolean(),
    n: fc.integer({ min: -90, max: 90 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const memory = memoryOf(150, 120);
      const pools = [new Pool(memory), new Pool(memory)];
      const held = [new Set<number>(), new Set<number>()]; // by size
      for (const { owner, big, n } of steps) {
        const pool = pools[owner]!;
        const set = held[big ? 1 : 0]!;
        for (let i = 0; i < n; i++) {
          const slot = big ? pool.takeBig() : pool.take();
          if (slot === NO_SLOT) {
            // The other owner may cache at most 64: nothing else may be missing.
            assert.ok(set.size >= (big ? 120 : 150) - 64);
            break;
          }
          assert.ok(!set.has(slot) && pool.isBig(slot) === big);
          set.add(slot);
        }
        for (const slot of [...set].slice(0, Math.max(0, -n))) {
          pool.give(slot);
          set.delete(slot);
        }
      }
      for (const set of held) for (const slot of set) pools[0]!.give(slot);
      for (const pool of pools) pool.close();
      assert.deepEqual([pools[0]!.freeSmall, pools[0]!.freeBig], [150, 120]);
    }),
    { numRuns: 60 },
  );
});

test("two threads hammering one pool never hold the same slot, and lose none", async () => {
  const size = { smallSlots: 160, bigSlots: 96 };
  const shared = new SharedArrayBuffer(
    Math.ceil(PoolMemory.sizeBytes(size) / 65_536) * 65_536 + 65_536,
  );
  const memory = new PoolMemory(new Arena(shared), size);
  const urls = ["arena.js", "pool.js"].map((f) => JSON.stringify(new URL(f, import.meta.url).href));
  const source = `
    import { parentPort, workerData } from "node:worker_threads";
    import { Arena } from ${urls[0]};
    import { NO_SLOT, Pool, PoolMemory } from ${urls[1]};
    const memory = new PoolMemory(new Arena(workerData.shared), workerData.size, false);
    const pool = new Pool(memory);
    const mine = [];
    let clashes = 0;
    let random = workerData.id;
    for (let i = 0; i < 60000; i++) {
      random = (Math.imul(random, 1103515245) + 12345) | 0;
      if ((random >>> 16) % 100 < 52) {
        const slot = random & 0x40000000 ? pool.take() : pool.takeBig();
        if (slot === NO_SLOT) continue;
        if (Atomics.compareExchange(pool.mark, slot, 0, workerData.id) !== 0) clashes++;
        mine.push(slot);
      } else if (mine.length > 0) {
        const slot = mine.splice((random >>> 8) % mine.length, 1)[0];
        if (Atomics.compareExchange(pool.mark, slot, workerData.id, 0) !== workerData.id) clashes++;
        pool.give(slot);
      }
    }
    for (const slot of mine) { Atomics.store(pool.mark, slot, 0); pool.give(slot); }
    pool.close();
    parentPort.postMessage(clashes);`;
  const run = (id: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
      const worker = new Worker(url, { workerData: { shared, size, id } });
      worker.once("message", resolve).once("error", reject);
    });
  assert.deepEqual(await Promise.all([run(1), run(2)]), [0, 0]);
  const pool = new Pool(memory);
  assert.deepEqual([pool.freeSmall, pool.freeBig], [160, 96]);
  const slots = new Set<number>();
  for (let slot = pool.take(); slot !== NO_SLOT; slot = pool.take()) slots.add(slot);
  for (let slot = pool.takeBig(); slot !== NO_SLOT; slot = pool.takeBig()) slots.add(slot);
  assert.equal(slots.size, 256);
});
