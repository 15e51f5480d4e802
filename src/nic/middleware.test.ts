import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { Random } from "../base/random.js";
import { NEVER } from "../base/time.js";
import { CaptureWriter } from "./capture-writer.js";
import type { Device } from "./device.js";
import { FaultInjector } from "./fault-injector.js";
import { assertAllFree, batchOf, frame, makePool, parseSlot, pattern } from "./frame-fixture.js";
import { Offload } from "./offload.js";
import { simLink } from "./sim-link.js";
import { Tracer } from "./tracer.js";

const NO_SINK = { isReady: true, write: (): void => {} };
const BAD = {
  loss: 0.1,
  burst: { toBad: 0.02, toGood: 0.3 },
  duplicate: 0.1,
  corrupt: 0.1,
  reorder: 0.1,
  delayUs: 50,
  jitterUs: 30,
  bitsPerS: 100_000_000,
  queueFrames: 40,
};

test("no slot is lost by any stack of middleware under random traffic and faults", () => {
  const layer = fc.constantFrom("offload", "coalesce", "faults", "capture", "tracer");
  const setup = fc.record({
    seed: fc.nat(),
    layers: fc.array(layer, { maxLength: 4 }),
    small: fc.integer({ min: 8, max: 200 }),
    capabilities: fc.constantFrom(0, 1, 0x7f),
    twoPools: fc.boolean(),
  });
  fc.assert(
    fc.property(setup, ({ seed, layers, small, capabilities, twoPools }) => {
      const random = new Random(seed);
      const pool = makePool(small, 4);
      const peerPool = twoPools ? makePool(small, 4) : pool;
      const { a, b } = simLink(pool, peerPool, {
        capabilities,
        delayUs: 20,
        bitsPerS: 50_000_000,
        queueFrames: 30,
      });
      let top: Device = a;
      for (const kind of layers) {
        if (kind === "faults") top = new FaultInjector(top, pool, { seed, rx: BAD, tx: BAD });
        else if (kind === "capture") top = new CaptureWriter(top, pool, NO_SINK);
        else if (kind === "tracer") top = new Tracer(top, pool, () => {});
        else top = new Offload(top, pool, { coalesce: kind === "coalesce" });
      }
      const peer = new Offload(b, peerPool);
      for (let now = 0; now < 3000; now += random.below(60)) {
        traffic(random, top, pool, now);
        traffic(random, peer, peerPool, now);
      }
      top.close();
      peer.close();
      top.close();
      assertAllFree(pool);
      assertAllFree(peerPool);
    }),
    { numRuns: 60 },
  );
});

/** One turn of a host that sends at random and throws away what it receives. */
function traffic(
  random: Random,
  device: Device,
  pool: ReturnType<typeof makePool>,
  now: number,
): void {
  const batch = batchOf();
  device.receive(now, batch);
  for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
  batch.n = 0;
  for (let n = random.below(5); n > 0 && pool.freeSmall > 4; n--) {
    const large = random.chance(0.2) && pool.freeBig > 0;
    const payload = pattern(large ? random.below(20_000) + 1 : random.below(1400) + 1);
    const isGso = payload.length > 1400;
    batch.put(
      frame(pool, { payload, v6: random.chance(0.5), ...(isGso ? { gsoBytes: 1000 } : {}) }),
    );
  }
  batch.drop(device.transmit(now, batch));
  for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
  device.flush(now);
}

test("a host that sleeps until the next deadline gets every frame through all layers", () => {
  const pool = makePool(2000);
  const faults = { delayUs: 700, reorder: 0.1, jitterUs: 100 };
  const { a, b } = simLink(pool, pool, { delayUs: 100, bitsPerS: 20_000_000, queueFrames: 2000 });
  const sender = new Offload(new FaultInjector(a, pool, { seed: 2, tx: faults }), pool);
  const receiver = new Offload(new FaultInjector(b, pool, { seed: 3, rx: faults }), pool);
  for (let i = 0; i < 20; i++) {
    const spec = { payload: pattern(14_000), gsoBytes: 1400, seq: i * 14_000 };
    assert.equal(sender.transmit(0, batchOf(frame(pool, spec))), 1);
  }
  const seqs: number[] = [];
  let turns = 0;
  for (let now = 0; now < NEVER; turns++) {
    const batch = batchOf();
    receiver.receive(now, batch);
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      seqs.push(parseSlot(pool, slot).seq);
      pool.give(slot);
    }
    sender.flush(now);
    receiver.flush(now);
    const next = Math.min(sender.nextDeadlineUs(), receiver.nextDeadlineUs());
    if (next < NEVER) now = Math.max(now, next);
    else break;
  }
  assert.deepEqual(
    seqs.toSorted((x, y) => x - y),
    Array.from({ length: 200 }, (_, i) => i * 1400),
  );
  assert.ok(turns < 2000, `${turns} turns`);
  assertAllFree(pool);
});

test("a device's own words show through the layers", () => {
  const pool = makePool();
  const { a } = simLink(pool, pool);
  const top = new Tracer(new Offload(a, pool), pool, () => {});
  assert.deepEqual(
    [top.name, top.mtuBytes, top.wakeFd, top.isUp, top.mac, top.counters],
    [a.name, a.mtuBytes, -1, true, a.mac, a.counters],
  );
});
