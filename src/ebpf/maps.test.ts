/** Maps beside plain models of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { E2BIG, EEXIST, EINVAL, ENOENT } from "../base/errno.js";
import { Random } from "../base/random.js";
import { EbpfError } from "./ebpf-error.js";
import type { LinearMap } from "./linear-map.js";
import { LinearMemory } from "./linear-memory.js";
import { makeMap, mapMemoryBytes } from "./make-map.js";
import type { MapDefinition } from "./map-definition.js";
import { MapType, UpdateFlag } from "./map-type.js";
import { mapDefinition } from "./object-fixture.js";
import { RingMap } from "./ring-map.js";

function create(fields: Partial<MapDefinition> & Pick<MapDefinition, "type">, cpus = 1): LinearMap {
  const definition = mapDefinition(fields);
  const memory = LinearMemory.create(mapMemoryBytes(definition, cpus) + 64);
  return makeMap(definition, { memory, cpus, seed: 1, index: 0 });
}

const u32 = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);
const u64 = (n: number): Uint8Array => new Uint8Array(BigUint64Array.of(BigInt(n)).buffer);
const key = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

for (const keyBytes of [1, 4, 6, 16]) {
  test(`a hash table with keys of ${keyBytes} bytes is a Map with an end`, () => {
    const random = new Random(keyBytes);
    const map = create({ type: MapType.HASH, keyBytes, maxEntries: 50 });
    const model = new Map<string, string>();
    for (let n = 0; n < 5_000; n++) {
      const k = new Uint8Array(keyBytes).fill(random.below(90));
      const value = u64(random.below(1000));
      const has = model.has(key(k));
      if (random.chance(0.4)) {
        assert.equal(map.remove(k), has ? 0 : -ENOENT);
        model.delete(key(k));
        continue;
      }
      const flags = random.below(3);
      const refusal = has
        ? flags === UpdateFlag.NO_EXIST
          ? -EEXIST
          : 0
        : flags === UpdateFlag.EXIST
          ? -ENOENT
          : model.size === 50
            ? -E2BIG
            : 0;
      assert.equal(map.set(k, value, flags), refusal);
      if (refusal === 0) model.set(key(k), key(value));
      assert.equal(map.count, model.size);
    }
    const entries = map.entries().map((entry) => [key(entry.key), key(entry.value)] as const);
    assert.deepEqual(new Map(entries), model);
  });
}

test("a trie finds the longest of the prefixes that a key begins with", () => {
  const random = new Random(7);
  const map = create({ type: MapType.LPM_TRIE, keyBytes: 8, maxEntries: 60 });
  const model = new Map<string, { bits: number; address: number; value: string }>();
  const mask = (bits: number): number => (bits === 0 ? 0 : -1 << (32 - bits));
  const keyOf = (bits: number, address: number): Uint8Array => {
    const k = new Uint8Array(8);
    new DataView(k.buffer).setUint32(0, bits, true);
    new DataView(k.buffer).setInt32(4, address);
    return k;
  };
  for (let n = 0; n < 6_000; n++) {
    const bits = random.below(33);
    // Few addresses, so that prefixes nest.
    const address = (random.below(4) << 30) | (random.below(4) << 14) | random.below(4);
    const name = `${bits} ${address & mask(bits)}`;
    const what = random.below(3);
    if (what === 0) {
      assert.equal(map.remove(keyOf(bits, address)), model.delete(name) ? 0 : -ENOENT);
    } else if (what === 1 && (model.size < 60 || model.has(name))) {
      assert.equal(map.set(keyOf(bits, address), u64(n)), 0);
      model.set(name, { bits, address: address & mask(bits), value: key(u64(n)) });
    }
    assert.equal(map.count, model.size);
    const found = map.get(keyOf(32, address));
    const best = [...model.values()]
      .filter((one) => one.address === (address & mask(one.bits)))
      .sort((a, b) => b.bits - a.bits)[0];
    assert.equal(found === null ? undefined : key(found), best?.value);
  }
});

test("a full LRU table makes room, and keeps what was used since", () => {
  const definition = mapDefinition({ type: MapType.LRU_HASH, maxEntries: 4 });
  const memory = LinearMemory.create(mapMemoryBytes(definition, 1) + 64);
  const map = makeMap(definition, { memory, cpus: 1, seed: 1, index: 0 });
  const keyAt = memory.take(4, "a key");
  memory.bytes.set(u32(4), keyAt);
  for (let n = 0; n < 4; n++) map.set(u32(n), u64(n));
  map.set(u32(4), u64(4)); // one goes, whichever
  assert.equal(map.count, 4);
  for (let n = 10; n < 1000; n++) {
    assert.notEqual(map.lookup(keyAt), 0, `after ${n}`);
    map.get(u32(n - 1)); // a look from outside is no use
    assert.equal(map.set(u32(n), u64(n)), 0);
  }
  assert.equal(map.count, 4);
});

test("an array has all its entries, and no others", () => {
  const map = create({ type: MapType.ARRAY, valueBytes: 6 });
  assert.deepEqual(map.get(u32(3)), new Uint8Array(6));
  assert.equal(map.get(u32(4)), null);
  assert.equal(map.get(u32(0xffff_ffff)), null);
  assert.equal(map.set(u32(4), new Uint8Array(6)), -E2BIG);
  assert.equal(map.remove(u32(0)), -EINVAL);
});

test("a map of references has entries that were put there", () => {
  const map = create({ type: MapType.DEVMAP, valueBytes: 4 });
  assert.equal(map.get(u32(2)), null);
  assert.equal(map.set(u32(2), u32(7)), 0);
  assert.deepEqual(map.get(u32(2)), u32(7));
  assert.equal(map.remove(u32(2)), 0);
  assert.equal(map.remove(u32(2)), -ENOENT);
});

test("programs see their CPU's value of a per-CPU map, the host all", () => {
  const map = create({ type: MapType.PERCPU_HASH, valueBytes: 4 }, 3);
  const all = Uint8Array.from([
    1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
  ]);
  assert.equal(map.set(u32(9), all), 0);
  map.cpu = 2;
  assert.deepEqual(map.get(u32(9)), all);
  assert.equal(map.entries()[0]!.value[16], 3);
});

test("records of a ring come out in order, also where it wraps, and a full one gives none", () => {
  const definition = mapDefinition({
    type: MapType.RINGBUF,
    keyBytes: 0,
    valueBytes: 0,
    maxEntries: 4096,
  });
  const memory = LinearMemory.create(mapMemoryBytes(definition, 1));
  const map = makeMap(definition, { memory, cpus: 1, seed: 1, index: 0 });
  assert.ok(map instanceof RingMap);
  let sent = 0;
  let received = 0;
  for (let round = 0; round < 50; round++) {
    for (;;) {
      const at = map.reserve(100);
      if (at === 0) break;
      memory.bytes[at] = sent & 255;
      memory.bytes[at + 99] = sent & 255;
      map.commit(at, sent % 3 === 0);
      sent++;
    }
    map.drain((record) => {
      if (received % 3 === 0) received++; // discarded
      assert.deepEqual(
        [record[0], record[99], record.length],
        [received & 255, received & 255, 100],
      );
      received++;
    });
    if (received % 3 === 0) received = sent;
  }
  assert.ok(sent > 1000);
});

test("other kinds, and sizes that cannot be, are refused by name", () => {
  const code = (wanted: string) => (error: unknown) =>
    error instanceof EbpfError && error.code === wanted;
  assert.throws(() => create({ type: 22 }), /type QUEUE, which is not supported/);
  assert.throws(() => create({ type: MapType.HASH, maxEntries: 0 }), /no max_entries/);
  assert.throws(() => create({ type: MapType.ARRAY, keyBytes: 8 }), /a key of 4 bytes, got 8/);
  assert.throws(() => create({ type: MapType.HASH, maxEntries: 2 ** 31 }), code("ENOMEM"));
});
