import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { makePolicy, POLICY_NAMES, type PolicyName } from "./cache-policies.js";
import { CacheSimulator, Fate } from "./cache-simulator.js";
import { FrequencySketch } from "./frequency-sketch.js";

function cacheOf(
  name: PolicyName,
  entries: number,
  packets: readonly number[] = [],
): CacheSimulator {
  return new CacheSimulator({ entries }, makePolicy(name, entries, packets));
}

/** The packets that hit, as a string of 0 and 1. */
function hitsOf(name: PolicyName, entries: number, packets: readonly number[]): string {
  const cache = cacheOf(name, entries, packets);
  return packets.map((trace) => (cache.use(trace) === Fate.HIT ? 1 : 0)).join("");
}

test("FIFO gives up what came first, although it was just used", () => {
  assert.equal(hitsOf("fifo", 2, [0, 1, 0, 2, 0]), "00100");
});

test("LRU keeps what was just used", () => {
  assert.equal(hitsOf("lru", 2, [0, 1, 0, 2, 0]), "00101");
});

test("CLOCK spares what was used since the hand came by", () => {
  assert.equal(hitsOf("clock", 3, [0, 1, 2, 0, 3, 0, 1]), "0001010");
});

test("LFU keeps what was used often, however long ago", () => {
  assert.equal(hitsOf("lfu", 2, [0, 0, 0, 1, 2, 3, 0]), "0110001");
});

test("second-miss lets a scan pass by", () => {
  assert.equal(hitsOf("second-miss", 2, [0, 1, 5, 6, 7, 0, 1, 5, 5, 5]), "0000011011");
});

test("TinyLFU keeps the traces of the traffic while a flood of rare paths comes", () => {
  const cache = cacheOf("tinylfu", 8);
  for (let n = 0; n < 200; n++) cache.use(n % 6);
  for (let n = 0; n < 400; n++) {
    cache.use(100 + n);
    cache.use(n % 6);
  }
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((trace) => cache.has(trace)),
    Array(6).fill(true),
  );
  const lru = cacheOf("lru", 8);
  for (let n = 0; n < 2000; n++) {
    lru.use(100 + n);
    lru.use(200_000 + n);
    lru.use(n % 6);
  }
  assert.equal(lru.hits, 0);
});

/** A step: a packet of a trace, or its invalidation. */
type Step = readonly [trace: number, isInvalidation: boolean];
const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.boolean()), { maxLength: 120 });
const places = fc.integer({ min: 1, max: 6 });

/** What policies do, said with arrays: the traces that are there after each step. */
type Model = (entries: number, steps: readonly Step[]) => string[];

const show = (traces: readonly number[]): string => [...traces].sort((a, b) => a - b).join(" ");

function queueModel(movesOnUse: boolean): Model {
  return (entries, all) => {
    let queue: number[] = [];
    return all.map(([trace, isInvalidation]) => {
      const isThere = queue.includes(trace);
      const others = queue.filter((one) => one !== trace);
      if (isInvalidation) queue = others;
      else if (!isThere) queue = [...queue.slice(queue.length === entries ? 1 : 0), trace];
      else if (movesOnUse) queue = [...others, trace];
      return show(queue);
    });
  };
}

const lfuModel: Model = (entries, all) => {
  let held: { trace: number; uses: number; usedAt: number }[] = [];
  return all.map(([trace, isInvalidation], now) => {
    const found = held.find((one) => one.trace === trace);
    if (isInvalidation) held = held.filter((one) => one.trace !== trace);
    else if (found !== undefined) {
      found.uses++;
      found.usedAt = now;
    } else {
      held.sort((a, b) => a.uses - b.uses || a.usedAt - b.usedAt);
      held = [...held.slice(held.length === entries ? 1 : 0), { trace, uses: 1, usedAt: now }];
    }
    return show(held.map((one) => one.trace));
  });
};

const clockModel: Model = (entries, all) => {
  let face: { trace: number; wasUsed: boolean }[] = [];
  return all.map(([trace, isInvalidation]) => {
    const found = face.find((one) => one.trace === trace);
    if (isInvalidation) face = face.filter((one) => one.trace !== trace);
    else if (found !== undefined) found.wasUsed = true;
    else {
      while (face.length === entries) {
        const [under, ...others] = face;
        face = under!.wasUsed ? [...others, { ...under!, wasUsed: false }] : others;
      }
      face = [...face, { trace, wasUsed: false }];
    }
    return show(face.map((one) => one.trace));
  });
};

const MODELS: Partial<Record<PolicyName, Model>> = {
  fifo: queueModel(false),
  lru: queueModel(true),
  lfu: lfuModel,
  clock: clockModel,
};

for (const [name, model] of Object.entries(MODELS)) {
  test(`${name} holds the traces that its plain model holds, after every packet and invalidation`, () => {
    fc.assert(
      fc.property(places, steps, (entries, all) => {
        const cache = cacheOf(name as PolicyName, entries);
        const held = all.map(([trace, isInvalidation]) => {
          if (isInvalidation) cache.invalidate(trace);
          else cache.use(trace);
          return show(cache.traces());
        });
        assert.deepEqual(held, model(entries, all));
      }),
    );
  });
}

for (const name of POLICY_NAMES) {
  test(`${name}: neither entries nor bits are exceeded, and what was installed is there`, () => {
    const packets = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 });
    fc.assert(
      fc.property(places, fc.integer({ min: 10, max: 60 }), packets, (entries, tcamBits, all) => {
        const bitsOf = (trace: number): number => 3 * trace;
        const cache = new CacheSimulator({ entries, tcamBits }, makePolicy(name, entries, all));
        for (const trace of all) {
          const wasThere = cache.has(trace);
          const fate = cache.use(trace, bitsOf(trace));
          assert.equal(fate === Fate.HIT, wasThere);
          assert.equal(cache.has(trace), fate === Fate.HIT || fate === Fate.INSTALLED);
          assert.equal(fate === Fate.TOO_LARGE, bitsOf(trace) > tcamBits);
          const held = cache.traces();
          assert.equal(cache.count, held.length);
          assert.equal(
            cache.usedBits,
            held.reduce((sum, one) => sum + bitsOf(one), 0),
          );
          assert.ok(cache.count <= entries && cache.usedBits <= tcamBits);
        }
        assert.equal(cache.hits + cache.misses, all.length);
        assert.equal(cache.installed - cache.evicted, cache.count);
      }),
    );
  });
}

/** The most hits that any choice gives: every one is tried. */
function bestHits(
  packets: readonly number[],
  at: number,
  held: readonly number[],
  entries: number,
): number {
  if (at === packets.length) return 0;
  const trace = packets[at]!;
  if (held.includes(trace)) return 1 + bestHits(packets, at + 1, held, entries);
  const choices = held.length < entries ? [[...held, trace]] : [held];
  if (held.length === entries) {
    for (const gone of held) choices.push([...held.filter((one) => one !== gone), trace]);
  }
  return Math.max(...choices.map((next) => bestHits(packets, at + 1, next, entries)));
}

test("Belady hits as often as the best of all choices, and no policy more often", () => {
  const packets = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 11 });
  fc.assert(
    fc.property(packets, fc.integer({ min: 1, max: 3 }), (all, entries) => {
      const best = bestHits(all, 0, [], entries);
      const count = (name: PolicyName): number =>
        [...hitsOf(name, entries, all)].filter((c) => c === "1").length;
      assert.equal(count("belady"), best);
      for (const name of POLICY_NAMES) assert.ok(count(name) <= best, name);
    }),
    { numRuns: 60 },
  );
});

test("the sketch never counts less than there was, up to 15, until it halves", () => {
  const sketch = new FrequencySketch(64, 1000);
  for (let n = 0; n < 9; n++) sketch.add(7);
  for (let n = 100; n < 130; n++) sketch.add(n);
  assert.ok(sketch.count(7) >= 9);
  for (let n = 0; n < 20; n++) sketch.add(8);
  assert.equal(sketch.count(8), 15);
  const short = new FrequencySketch(64, 8);
  for (let n = 0; n < 8; n++) short.add(7);
  assert.equal(short.count(7), 4);
});
