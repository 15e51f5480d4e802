/**
 * What a hostile peer can write into the memory that both ends see: the rings of a link that is up are
 * overwritten, and the other end must drop, count, or end the link, and never lose a slot.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Counters } from "../base/counters.js";
import { Random } from "../base/random.js";
import { Batch } from "../ring/batch.js";
import { HEADROOM_BYTES, type Pool } from "../ring/pool.js";
import { clientRig, type QueueRig, serverRig } from "./memif-queue-fixture.js";
import { NEXT } from "./memif-ring.js";
import type { MemifCounter } from "./memif-tally.js";

/** A descriptor's words. */
interface Descriptor {
  readonly flags?: number;
  readonly region?: number;
  readonly length?: number;
  readonly offset?: number;
  readonly metadata?: number;
}

function put(r: QueueRig, k: number, d: Descriptor): void {
  const { words, descriptors } = r.rx;
  const at = descriptors + 4 * k;
  words[at] = (d.flags ?? 0) | ((d.region ?? 1) << 16);
  words[at + 1] = d.length ?? 60;
  words[at + 2] = d.offset ?? 0;
  words[at + 3] = d.metadata ?? 0;
}

/** How many frames come of these descriptors, and which counters of bad input count. */
function received(
  r: QueueRig,
  ...descriptors: Descriptor[]
): [number, Partial<Record<string, number>>] {
  for (const [k, d] of descriptors.entries()) put(r, k, d);
  r.publish(descriptors.length);
  const batch = new Batch();
  r.queue.receive(1, batch);
  for (let i = 0; i < batch.n; i++) r.pool.give(batch.slots[i]!);
  return [batch.n, counted(r.counters)];
}

function counted(counters: Counters<MemifCounter>): Partial<Record<string, number>> {
  return Object.fromEntries(Object.entries(counters.snapshot()).filter(([, n]) => n > 0));
}

function close(r: QueueRig): void {
  r.queue.close();
  assert.equal(r.pool.freeSmall + r.pool.freeBig, r.pool.smallSlots + r.pool.bigSlots);
}

const SERVER_CASES: [string, Descriptor[], number, Record<string, number>][] = [
  ["a good frame", [{}], 1, {}],
  ["no such region", [{ region: 7 }, {}], 1, { badRegion: 1 }],
  ["a region beyond the table", [{ region: 0xffff }, {}], 1, { badRegion: 1 }],
  ["behind the region's end", [{ offset: 65_536 - 59 }, {}], 1, { badRange: 1 }],
  ["an offset above 2^31", [{ offset: -16 }, {}], 1, { badRange: 1 }],
  [
    "offset and length that overflow",
    [{ offset: 0x7fffffff, length: 0x7fffffff }],
    0,
    { badRange: 1 },
  ],
  ["a length above 2^31", [{ length: -1 }, {}], 1, { badRange: 1 }],
  ["no Ethernet header", [{ length: 13 }, {}], 1, { badLength: 1 }],
  ["exactly up to the end", [{ offset: 65_536 - 60 }], 1, {}],
  ["a chain", [{ flags: NEXT }, { flags: NEXT }, {}, {}], 2, {}],
  ["a chain without end", [{ flags: NEXT }, { flags: NEXT }], 0, { badChain: 1 }],
  ["a chain into nowhere", [{ flags: NEXT }, { region: 9 }, {}], 1, { badRegion: 1, badChain: 1 }],
  [
    "a chain that is too long",
    [{ flags: NEXT, length: 60_000 }, { length: 60_000 }, {}],
    1,
    { badChain: 1 },
  ],
];

for (const [what, descriptors, frames, counters] of SERVER_CASES) {
  test(`server: ${what}`, () => {
    const r = serverRig();
    assert.deepEqual(received(r, ...descriptors), [frames, counters]);
    assert.equal(r.queue.isBroken, false);
    close(r);
  });
}

const CLIENT_CASES: [string, Descriptor[], number, Record<string, number>][] = [
  ["a good frame; region and offset are not looked at", [{ region: 9, offset: -5 }], 1, {}],
  ["longer than the slot", [{ length: 1983 }, {}], 1, { badLength: 1 }],
  ["a length above 2^31", [{ length: -1 }, {}], 1, { badLength: 1 }],
  ["no Ethernet header", [{ length: 0 }, {}], 1, { badLength: 1 }],
  ["a chain", [{ flags: NEXT, length: 1982 }, { length: 1982 }, {}], 2, {}],
  ["a chain without end", [{ flags: NEXT }], 0, { badChain: 1 }],
  ["a chain of impossible lengths", [{ flags: NEXT, length: -1 }, {}, {}], 1, { badChain: 1 }],
];

for (const [what, descriptors, frames, counters] of CLIENT_CASES) {
  test(`client: ${what}`, () => {
    const r = clientRig();
    assert.deepEqual(received(r, ...descriptors), [frames, counters]);
    assert.equal(r.queue.isBroken, false);
    close(r);
  });
}

for (const [role, make] of [
  ["server", serverRig],
  ["client", clientRig],
] as const) {
  test(`${role}: an index that no ring could have ends the link, for good`, () => {
    const r = make();
    r.publish(r.rx.size + 1);
    const batch = new Batch();
    r.queue.receive(1, batch);
    assert.equal(batch.n, 0);
    assert.equal(r.queue.isBroken, true);
    assert.deepEqual(counted(r.counters), { badIndex: 1 });
    r.publish(1);
    r.queue.receive(1, batch);
    assert.equal(batch.n, 0);
    close(r);
  });

  test(`${role}: an impossible index of the other ring ends the link too, when it sends`, () => {
    const r = make();
    r.publishTx(-1);
    const batch = new Batch();
    for (let i = 0; i < 64; i++) batch.put(frameOf(r.pool));
    for (let round = 0; round < 3 && !r.queue.isBroken; round++) {
      batch.drop(r.queue.transmit(batch, 0, batch.n));
      while (batch.n < 64) batch.put(frameOf(r.pool));
    }
    assert.equal(r.queue.isBroken, true);
    for (let i = 0; i < batch.n; i++) r.pool.give(batch.slots[i]!);
    close(r);
  });

  test(`${role}: rings of random bytes, over and over: no slot is lost, nothing is thrown`, () => {
    const random = new Random(7);
    for (let round = 0; round < 300; round++) {
      const r = make();
      for (let step = 0; step < 20 && !r.queue.isBroken; step++) {
        for (const at of r.sharedWords()) {
          if ((random.int32() & 3) === 0) r.rx.words[at] = sometimesSane(random);
        }
        if ((random.int32() & 1) === 0) r.publish((r.published + (random.int32() & 15)) | 0);
        const batch = new Batch();
        r.queue.receive(step, batch);
        for (let i = 0; i < batch.n; i++) r.pool.give(batch.slots[i]!);
        batch.n = 0;
        batch.put(frameOf(r.pool));
        if (r.queue.transmit(batch, 0, 1) === 0) r.pool.give(batch.slots[0]!);
      }
      close(r);
    }
  });
}

/** Words that get past some of the checks. */
function sometimesSane(random: Random): number {
  const word = random.int32();
  switch (word & 3) {
    case 0:
      return word | 0;
    case 1:
      return (word >>> 8) & 0xffff;
    case 2:
      return 0x0001_0000 | ((word >>> 8) & 1);
    default:
      return (word >>> 8) & 0x7ff;
  }
}

function frameOf(pool: Pool): number {
  const slot = pool.take();
  pool.at[slot] = pool.base(slot) + HEADROOM_BYTES;
  pool.end[slot] = pool.at[slot]! + 60;
  pool.flags[slot] = 0;
  return slot;
}
