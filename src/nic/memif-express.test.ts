/** Express rings against a hostile peer, who writes any bytes into the memory that both ends see. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../base/random.js";
import { Batch } from "../ring/batch.js";
import { HEADROOM_BYTES } from "../ring/pool.js";
import { INLINE_BYTES, Kind } from "./memif-express-ring.js";
import { type ExpressRig, expressClientRig, expressServerRig } from "./memif-queue-fixture.js";

interface Entry {
  readonly kind?: number;
  readonly length?: number;
  readonly metadata?: number;
  readonly offset?: number;
}

function put(r: ExpressRig, n: number, e: Entry): void {
  const { words } = r.rx;
  const at = r.rx.entryOf(n);
  words[at + 1] = ((e.kind ?? Kind.INLINE) << 24) | (e.length ?? 60);
  words[at + 2] = e.metadata ?? 0;
  words[at + 3] = e.offset ?? 0;
  words[at] = n + 1;
}

/** How many frames come of these entries, and which counters of bad input count. */
function received(r: ExpressRig, ...entries: Entry[]): [number, Record<string, number>] {
  for (const [n, e] of entries.entries()) put(r, n, e);
  const batch = new Batch();
  r.queue.receive(1, batch);
  for (let i = 0; i < batch.n; i++) {
    const slot = batch.slots[i]!;
    assert.ok(r.pool.at[slot]! >= r.pool.base(slot) && r.pool.end[slot]! <= r.pool.limit(slot));
    r.pool.give(slot);
  }
  const counted = Object.entries(r.counters.snapshot()).filter(([, n]) => n > 0);
  return [batch.n, Object.fromEntries(counted)];
}

function close(r: ExpressRig): void {
  r.queue.close();
  assert.equal(r.pool.freeSmall + r.pool.freeBig, r.pool.smallSlots + r.pool.bigSlots);
}

type Case = [string, Entry[], number, Record<string, number>];

const BOTH: Case[] = [
  ["good frames", [{}, { length: INLINE_BYTES }, { length: 14 }], 3, {}],
  ["longer than an entry", [{ length: INLINE_BYTES + 1 }, {}], 1, { badLength: 1 }],
  ["no Ethernet header", [{ length: 13 }, {}], 1, { badLength: 1 }],
  ["a kind that there is none of", [{ kind: 200 }, {}], 1, { badRegion: 1 }],
  ["an offload request outside the frame", [{ metadata: 0xff04 }, {}], 1, { badOffload: 1 }],
];

const SERVER: Case[] = [
  ["a frame in the region", [{ kind: Kind.REGION, length: 60_000, offset: 5536 }], 1, {}],
  ["behind its end", [{ kind: Kind.REGION, length: 60_000, offset: 5537 }, {}], 1, { badRange: 1 }],
  ["an offset above 2^31", [{ kind: Kind.REGION, offset: -1 }, {}], 1, { badRange: 1 }],
  ["longer than any slot", [{ kind: Kind.REGION, length: 0xffffff }, {}], 1, { badLength: 1 }],
  ["a posted buffer, which a server has not", [{ kind: Kind.SMALL }, {}], 1, { badRegion: 1 }],
];

const CLIENT: Case[] = [
  [
    "posted slots",
    [
      { kind: Kind.SMALL, length: 1982 },
      { kind: Kind.BIG, length: 69_566 },
    ],
    2,
    {},
  ],
  ["longer than a small one", [{ kind: Kind.SMALL, length: 1983 }, {}], 1, { badLength: 1 }],
  ["longer than a big one", [{ kind: Kind.BIG, length: 69_567 }, {}], 1, { badLength: 1 }],
  [
    "a place in the region, which a client does not look at",
    [{ kind: Kind.REGION }, {}],
    1,
    { badRegion: 1 },
  ],
];

test("a batch ends with the frame that makes it 256 KiB, and the next look takes the rest", () => {
  const r = expressServerRig();
  for (let n = 0; n < 6; n++) put(r, n, { kind: Kind.REGION, length: 60_000 });
  const batch = new Batch();
  const taken = [1, 2, 3].map((nowUs) => {
    r.queue.receive(nowUs, batch);
    const { n } = batch;
    for (let i = 0; i < n; i++) r.pool.give(batch.slots[i]!);
    batch.n = 0;
    return n;
  });
  assert.deepEqual(taken, [5, 1, 0]);
  close(r);
});

for (const [what, length, metadata, counter] of [
  ["frames that are too short", 13, 0, "badLength"],
  // The payload is left where it is before the word is looked at, which says nothing of the segments' size.
  ["offloads that make no sense", 9_000, 5 | (34 << 7) | (16 << 3), "badOffload"],
] as const) {
  test(`server: ${what}, more than a batch holds: so many a look, and no slot is lost`, () => {
    const r = expressServerRig(256, 256);
    const { view } = r.pool;
    view.setUint16(r.regionAt + 12, 0x0800);
    view.setUint8(r.regionAt + 14, 0x45);
    view.setUint8(r.regionAt + 23, 6);
    for (let n = 0; n < 200; n++) put(r, n, { kind: Kind.REGION, length, metadata });
    const batch = new Batch();
    const counted = [1, 2, 3, 4, 5].map((nowUs) => {
      r.queue.receive(nowUs, batch);
      assert.equal(batch.n, 0);
      return r.counters.get(counter);
    });
    assert.deepEqual(counted, [64, 128, 192, 200, 200]);
    close(r);
    const slots = Array.from({ length: 256 }, () => r.pool.takeBig());
    assert.equal(new Set(slots).size, 256);
    assert.ok(slots.every((slot) => r.pool.isBig(slot)));
  });
}

for (const [role, make, own] of [
  ["server", expressServerRig, SERVER],
  ["client", expressClientRig, CLIENT],
] as const) {
  for (const [what, entries, frames, counters] of [...BOTH, ...own]) {
    test(`${role}: ${what}`, () => {
      const r = make();
      assert.deepEqual(received(r, ...entries), [frames, counters]);
      assert.equal(r.queue.isBroken, false);
      close(r);
    });
  }

  test(`${role}: an entry of another round is not there`, () => {
    const r = make();
    put(r, 0, {});
    r.rx.words[r.rx.entryOf(0)] = 1 + r.rx.size;
    const batch = new Batch();
    r.queue.receive(1, batch);
    assert.equal(batch.n, 0);
    assert.equal(r.queue.hasFrames, false);
    close(r);
  });

  test(`${role}: the sender hears of a frame that was taken at the next look, or before a sleep`, () => {
    const r = make();
    received(r, {});
    assert.equal(r.rx.loadConsumed(), 0);
    r.queue.receive(2, new Batch());
    assert.equal(r.rx.loadConsumed(), 1);
    put(r, 1, {});
    const batch = new Batch();
    r.queue.receive(3, batch);
    r.pool.give(batch.slots[0]!);
    assert.equal(r.rx.loadConsumed(), 1);
    r.queue.setMask(false);
    assert.equal(r.rx.loadConsumed(), 2);
    close(r);
  });

  test(`${role}: the sender hears of many frames at once`, () => {
    const r = make();
    const many = Array.from({ length: r.rx.size >> 2 }, () => ({}));
    assert.equal(received(r, ...many)[0], many.length);
    assert.equal(r.rx.loadConsumed(), many.length);
    close(r);
  });

  test(`${role}: a frame that waits for a slot does not keep back the count of those before`, () => {
    const r = make();
    const batch = new Batch();
    put(r, 0, {});
    r.queue.receive(1, batch);
    const held: number[] = [];
    for (let slot = r.pool.take(); slot >= 0; slot = r.pool.take()) held.push(slot);
    put(r, 1, {});
    r.queue.receive(2, batch);
    assert.equal(batch.n, 1);
    assert.equal(r.rx.loadConsumed(), 1);
    for (const slot of [...held, batch.slots[0]!]) r.pool.give(slot);
    close(r);
  });

  test(`${role}: an entry holds the frame and nothing else of the slot`, () => {
    for (const lengthBytes of [60, 61, 62, 63, 106, INLINE_BYTES]) {
      for (const shift of [2, 3]) {
        const r = make();
        const { bytes } = r.pool;
        const entryAt = r.tx.entryOf(0) << 2;
        bytes.fill(0, entryAt, entryAt + 256);
        const slot = frameOf(r, lengthBytes);
        bytes.fill(0xa5, r.pool.base(slot), r.pool.limit(slot));
        const at = r.pool.at[slot]! + shift;
        for (let i = 0; i < lengthBytes; i++) bytes[at + i] = i & 0x7f;
        r.pool.at[slot] = at;
        r.pool.end[slot] = at + lengthBytes;
        const batch = new Batch();
        batch.put(slot);
        assert.equal(r.queue.transmit(batch, 0, 1), 1);
        const entry = bytes.subarray(entryAt, entryAt + 256);
        assert.equal(entry.indexOf(0xa5), -1, "nothing of the slot around the frame");
        const frame = Array.from({ length: lengthBytes }, (_, i) => i & 0x7f);
        assert.deepEqual([...entry.subarray(18, 18 + lengthBytes)], frame);
        close(r);
      }
    }
  });

  test(`${role}: a count of frames that were never sent ends the link`, () => {
    for (const count of [1, -1, 0x7fffffff]) {
      const r = make();
      r.tx.storeConsumed(count);
      const batch = new Batch();
      for (let i = 0; i < 64; i++) batch.put(frameOf(r, 60));
      batch.drop(r.queue.transmit(batch, 0, batch.n));
      assert.equal(r.queue.isBroken, true);
      assert.equal(r.counters.get("badIndex"), 1);
      for (let i = 0; i < batch.n; i++) r.pool.give(batch.slots[i]!);
      close(r);
    }
  });

  test(`${role}: random bytes, over and over: no slot is lost, nothing is thrown`, () => {
    const random = new Random(11);
    for (let round = 0; round < 200; round++) {
      const r = make();
      const places = [...r.sharedWords()];
      for (let step = 0; step < 30; step++) {
        for (let i = 0; i < 400; i++) {
          r.rx.words[places[random.below(places.length)]!] = sometimesSane(random);
        }
        put(r, r.taken, {
          kind: random.below(5),
          length: random.below(70_000),
          offset: random.below(70_000),
        });
        const batch = new Batch();
        r.queue.receive(step, batch);
        r.taken += batch.n;
        for (let i = 0; i < batch.n; i++) r.pool.give(batch.slots[i]!);
        batch.n = 0;
        batch.put(frameOf(r, 14 + random.below(1800)));
        if (batch.slots[0]! >= 0 && r.queue.transmit(batch, 0, 1) === 0)
          r.pool.give(batch.slots[0]!);
      }
      close(r);
    }
  });
}

function sometimesSane(random: Random): number {
  const word = random.int32();
  return (word & 1) === 0 ? word : (word >>> 4) & 0xffff;
}

function frameOf({ pool }: ExpressRig, lengthBytes: number): number {
  const slot = pool.take();
  assert.ok(slot >= 0, "slots are left");
  pool.at[slot] = pool.base(slot) + HEADROOM_BYTES;
  pool.end[slot] = pool.at[slot]! + lengthBytes;
  pool.flags[slot] = 0;
  return slot;
}
