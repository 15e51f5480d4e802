import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameFlags } from "../ring/pool.js";
import { Capability } from "./device.js";
import { FaultInjector, type FaultInjectorOptions } from "./fault-injector.js";
import type { FaultOptions } from "./fault-path.js";
import {
  assertAllFree,
  batchOf,
  FakeDevice,
  type FrameSpec,
  frame,
  makePool,
  parseSlot,
  pattern,
} from "./frame-fixture.js";

const SEED = 1;

interface Run {
  readonly injector: FaultInjector;
  /** Sequence number and time of each frame that came out. */
  readonly out: readonly (readonly [seq: number, atUs: number])[];
}

/** Sends `n` numbered frames, one each `everyUs`, through the transmit direction. */
function transmit(
  n: number,
  tx: FaultOptions,
  everyUs = 10,
  seed = SEED,
  spec: FrameSpec = {},
): Run {
  const pool = makePool(4096);
  const device = new FakeDevice(pool);
  const injector = new FaultInjector(device, pool, { seed, tx });
  const out: [number, number][] = [];
  const drain = (now: number): void => {
    for (const slot of device.taken.splice(0)) {
      out.push([parseSlot(pool, slot).seq, now]);
      pool.give(slot);
    }
  };
  let now = 0;
  const runUntil = (until: number): void => {
    for (let at = injector.nextDeadlineUs(); at <= until; at = injector.nextDeadlineUs()) {
      now = Math.max(now, at);
      injector.flush(now);
      drain(now);
    }
    now = until;
  };
  for (let i = 0; i < n; i++) {
    runUntil(i * everyUs);
    assert.equal(injector.transmit(now, batchOf(frame(pool, { ...spec, seq: i }))), 1);
    drain(now);
  }
  runUntil(now + 10_000_000);
  injector.close();
  assertAllFree(pool);
  return { injector, out };
}

const seqs = (run: Run): number[] => run.out.map(([seq]) => seq);
const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

test("without faults every frame passes at once, in order", () => {
  const run = transmit(200, {});
  assert.deepEqual(
    run.out,
    count(200).map((i) => [i, i * 10]),
  );
  assert.equal(run.injector.tx.counters.get("passed"), 200);
});

test("loss loses its share, and the counter says how many", () => {
  const run = transmit(4000, { loss: 0.05 });
  const lost = run.injector.tx.counters.get("lost");
  assert.equal(run.out.length, 4000 - lost);
  assert.ok(lost > 150 && lost < 250, `${lost} lost`);
});

test("the same seed loses the same frames, another seed others", () => {
  const lossy = (seed: number): number[] => seqs(transmit(300, { loss: 0.2 }, 10, seed));
  assert.deepEqual(lossy(5), lossy(5));
  assert.notDeepEqual(lossy(5), lossy(6));
});

test("burst loss comes in runs of the length that the model says", () => {
  const run = transmit(20_000, { burst: { toBad: 0.01, toGood: 0.25 } });
  const arrived = new Set(seqs(run));
  let runs = 0;
  for (let i = 1; i < 20_000; i++) if (!arrived.has(i) && arrived.has(i - 1)) runs++;
  const mean = run.injector.tx.counters.get("burstLost") / runs;
  assert.ok(mean > 3.3 && mean < 4.9, `mean run of ${mean}`); // 1 / toGood is 4
});

test("a duplicate follows its original", () => {
  const run = transmit(1000, { duplicate: 0.1 });
  const twice = seqs(run).filter((seq, i, all) => seq === all[i - 1]);
  assert.equal(twice.length, run.injector.tx.counters.get("duplicated"));
  assert.equal(run.out.length, 1000 + twice.length);
  assert.ok(twice.length > 60 && twice.length < 140);
});

test("a reordered frame is overtaken by exactly the gap", () => {
  const { out, injector } = transmit(1000, { reorder: 0.02, reorderGap: 2 });
  const got = out.map(([seq]) => seq);
  const displaced = got.filter(
    (seq, i) => i >= 2 && got[i - 1] === seq + 2 && got[i - 2] === seq + 1,
  );
  assert.equal(displaced.length, injector.tx.counters.get("reordered"));
  assert.ok(displaced.length > 5);
  assert.deepEqual(
    got.toSorted((a, b) => a - b),
    count(1000),
  );
});

test("a reordered frame that nothing follows is released after its wait", () => {
  const { out } = transmit(1, { reorder: 1, reorderWaitUs: 700 });
  assert.deepEqual(out, [[0, 700]]);
});

test("delay is exact, and jitter keeps the order", () => {
  const fixed = transmit(50, { delayUs: 333 });
  assert.deepEqual(
    fixed.out,
    count(50).map((i) => [i, i * 10 + 333]),
  );
  const jittered = transmit(500, { delayUs: 100, jitterUs: 50 });
  assert.deepEqual(seqs(jittered), count(500));
  const delays = jittered.out.map(([seq, at]) => at - seq * 10);
  assert.ok(Math.min(...delays) >= 100 && Math.max(...delays) <= 150);
  assert.ok(new Set(delays).size > 10);
});

test("a limited rate spaces the frames, and its queue drops the newest", () => {
  const spec = { payload: pattern(1000 - 54) };
  const paced = transmit(10, { bitsPerS: 8_000_000 }, 10, SEED, spec); // 1,000 µs a frame
  assert.deepEqual(
    paced.out,
    count(10).map((i) => [i, (i + 1) * 1000]),
  );
  const short = transmit(10, { bitsPerS: 8_000_000, queueFrames: 4 }, 10, SEED, spec);
  assert.deepEqual(seqs(short), [0, 1, 2, 3]);
  assert.equal(short.injector.tx.counters.get("queueDropped"), 6);
});

/** Receives frames of these kinds through the receive direction. */
function receive(specs: FrameSpec[], options: Omit<FaultInjectorOptions, "seed">) {
  const pool = makePool();
  const device = new FakeDevice(pool, Capability.RX_COALESCE | Capability.TX_CHECKSUM);
  const injector = new FaultInjector(device, pool, { seed: SEED, ...options });
  for (const spec of specs) device.arriving.push(frame(pool, spec));
  const batch = batchOf();
  injector.receive(0, batch);
  const slots = [...batch.slots.subarray(0, batch.n)];
  return { pool, injector, slots };
}

test("a corrupted frame has one bit flipped behind the Ethernet header, and no promise left", () => {
  for (const spec of [{ partial: true }, {}, { v6: true, partial: true }]) {
    const { pool, slots } = receive([{ ...spec, payload: pattern(200) }], { rx: { corrupt: 1 } });
    const slot = slots[0]!;
    const clean = frame(pool, { ...spec, partial: false, payload: pattern(200) });
    let bits = 0;
    const n = pool.end[slot]! - pool.at[slot]!;
    for (let i = 0; i < n; i++) {
      let diff = pool.bytes[pool.at[slot]! + i]! ^ pool.bytes[pool.at[clean]! + i]!;
      if (diff !== 0) assert.ok(i >= 14, `byte ${i}`);
      for (; diff !== 0; diff &= diff - 1) bits++;
    }
    assert.equal(bits, 1);
    const promises = FrameFlags.CHECKSUM_PARTIAL | FrameFlags.CHECKSUM_VALID;
    assert.equal(pool.flags[slot]! & promises, 0);
  }
});

test("large segments are split before faults, in both directions", () => {
  const large = { payload: pattern(10_000), gsoBytes: 1000 };
  const { injector, slots, pool } = receive([large], { rx: { loss: 0.3 } });
  const lost = injector.rx.counters.get("lost");
  assert.equal(slots.length + lost, 10);
  assert.ok(lost > 0 && lost < 10);
  for (const slot of slots) assert.equal(parseSlot(pool, slot).checksum, "partial");
  const sent = transmit(1, {}, 10, SEED, large);
  assert.deepEqual(
    seqs(sent),
    count(10).map((i) => i * 1000),
  );
});

test("the capabilities say that large segments may be sent and are never received", () => {
  const pool = makePool();
  const device = new FakeDevice(pool, Capability.RX_COALESCE | Capability.RX_TIMESTAMP);
  assert.equal(
    new FaultInjector(device, pool, { seed: 1 }).capabilities,
    Capability.TX_TSO4 | Capability.TX_TSO6 | Capability.TX_USO | Capability.RX_TIMESTAMP,
  );
});

test("frames whose time has come wait for a device that is full", () => {
  const pool = makePool();
  const device = new FakeDevice(pool);
  const injector = new FaultInjector(device, pool, { seed: 1, tx: { delayUs: 100 } });
  device.accepts = 0;
  for (let i = 0; i < 100; i++) injector.transmit(0, batchOf(frame(pool, { seq: i })));
  injector.flush(100);
  assert.ok(injector.nextDeadlineUs() > 100, "it does not ask to be called at once for ever");
  device.accepts = 100;
  injector.flush(300);
  injector.flush(300);
  assert.deepEqual(
    device.taken.map((slot) => parseSlot(pool, slot).seq),
    count(100),
  );
  injector.close();
  assertAllFree(pool);
});

test("both directions wait apart and are freed by close", () => {
  const pool = makePool();
  const device = new FakeDevice(pool);
  const options = { delayUs: 1000, reorder: 0.5, duplicate: 0.5 };
  const injector = new FaultInjector(device, pool, { seed: 3, rx: options, tx: options });
  for (let i = 0; i < 20; i++) device.arriving.push(frame(pool));
  injector.receive(0, batchOf());
  for (let i = 0; i < 20; i++) injector.transmit(0, batchOf(frame(pool)));
  assert.ok(injector.rx.waiting >= 20 && injector.tx.waiting >= 20);
  assert.equal(injector.nextDeadlineUs(), 1000);
  injector.close();
  assertAllFree(pool);
});
