/**
 * What traces promise: a condition holds exactly for the packets that take its path; no packet meets the
 * conditions of two; what is in the cache, in which order it came and what had to leave never change a result.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/base/random.js";
import { XdpInstance } from "../../src/ebpf/instance.js";
import { BeladyPolicy } from "../../src/xdp/cache-belady.js";
import { FifoPolicy } from "../../src/xdp/cache-fifo.js";
import { LruPolicy } from "../../src/xdp/cache-lru.js";
import type { CachePolicy } from "../../src/xdp/cache-policy.js";
import { conditionHolds, guardsHold } from "../../src/xdp/holds.js";
import { TracedProgram } from "../../src/xdp/traced-program.js";
import { exampleObjects, libxdpObjects, type NamedObject } from "../support/xdp-objects.js";
import { capturedPackets, damagedPackets } from "../support/xdp-packets.js";
import { setupOf } from "../support/xdp-setups.js";

const DAMAGED = 600;
const seed = 20261121;
const captured = capturedPackets();
const packets = [...captured, ...damagedPackets(captured, DAMAGED, seed)];
/** One instruction set is enough here, and one of libxdp's ten filters. */
const objects = [...exampleObjects(), ...libxdpObjects()].filter(
  ({ name }) =>
    !name.endsWith("(v2)") && (!name.startsWith("xdpfilt_") || name.includes("dny_all")),
);

function fill({ name, object }: NamedObject, instance: XdpInstance): void {
  const maps = object.maps.map((map) => map.name);
  for (const { map, key, value } of setupOf(name, maps, captured)) {
    const all = new Uint8Array(instance.map(map).bufferBytes);
    all.set(value);
    instance.map(map).set(key, all);
  }
}

const programsOf = ({ object }: NamedObject): string[] =>
  object.programs.filter(({ section }) => section.startsWith("xdp")).map(({ name }) => name);

/** Programs that ask for what only a call can tell, before their guards: reference evaluation cannot. */
const hasCallsBefore = (traced: TracedProgram): boolean =>
  traced.traces.some((trace) => trace.before.some((op) => op.kind === "call"));

test("a condition holds exactly when its path is taken, and two never do", (t) => {
  let compared = 0;
  for (const named of objects) {
    for (const program of programsOf(named)) {
      const traced = TracedProgram.open(named.object, { program, seed });
      fill(named, traced.instance);
      // All paths first, so that every packet is asked about all of them.
      for (const packet of packets) traced.run(packet);
      if (hasCallsBefore(traced)) continue;
      const { tracer, instance } = traced;
      const { e, values } = tracer;
      for (const packet of packets) {
        instance.place(packet);
        values.begin();
        const held = traced.traces.filter((trace) => guardsHold(values, trace));
        const canonical = traced.traces.filter((trace) =>
          conditionHolds(e, values, trace.condition),
        );
        const known = traced.traces.length;
        traced.run(packet);
        const what = `${named.name} ${program} ${Buffer.from(packet).toString("hex")}`;
        const taken = traced.lastTrace < known ? [traced.lastTrace] : [];
        assert.deepEqual(
          held.map(({ id }) => id),
          taken,
          `${what}: guards`,
        );
        assert.deepEqual(
          canonical.map(({ id }) => id),
          taken,
          `${what}: conditions`,
        );
        compared += known;
      }
      assert.equal(traced.refused, 0);
    }
  }
  t.diagnostic(`${compared} conditions compared with the path taken`);
  assert.ok(compared > 100_000);
});

/** Takes in and throws out whatever comes to its mind. */
class RandomPolicy implements CachePolicy {
  readonly name = "random";
  private readonly members: number[] = [];
  private readonly random: Random;

  constructor(from: number) {
    this.random = new Random(from);
  }

  hit(): void {}

  admits(): boolean {
    return this.random.chance(0.7);
  }

  inserted(id: number): void {
    this.members.push(id);
  }

  victim(): number {
    return this.members[this.random.below(this.members.length)]!;
  }

  removed(id: number): void {
    this.members.splice(this.members.indexOf(id), 1);
  }
}

function shuffled(all: readonly Uint8Array[], random: Random): Uint8Array[] {
  const order = [...all];
  for (let n = order.length - 1; n > 0; n--) {
    const other = random.below(n + 1);
    [order[n], order[other]] = [order[other]!, order[n]!];
  }
  return order;
}

const contents = (instance: XdpInstance): string[] =>
  instance.runtime.maps.flatMap((map) =>
    map.entries().map(({ key, value }) => Buffer.concat([key, value]).toString("hex")),
  );

/** The path of each packet, as every traced program numbers it that meets these packets. */
function pathsOf(named: NamedObject, program: string, order: readonly Uint8Array[]): number[] {
  const traced = TracedProgram.open(named.object, { program, seed });
  fill(named, traced.instance);
  return order.map((packet) => {
    traced.run(packet);
    return traced.lastTrace;
  });
}

test("caches of any size, policy and order give the results of the whole program", () => {
  const random = new Random(seed);
  for (const named of objects) {
    for (const program of programsOf(named)) {
      const order = shuffled(packets, random).slice(0, 400);
      const whole = XdpInstance.open(named.object, { program, seed, engine: "wasm" });
      fill(named, whole);
      const caches = [
        TracedProgram.open(named.object, { program, seed, capacity: { entries: 0 } }),
        TracedProgram.open(named.object, { program, seed, capacity: { entries: 1 } }),
        TracedProgram.open(named.object, {
          program,
          seed,
          capacity: { entries: 3 },
          compilesAfter: 0,
          policy: new FifoPolicy(),
        }),
        TracedProgram.open(named.object, {
          program,
          seed,
          capacity: { entries: 1 + random.below(9), tcamBits: 20_000 },
          policy: new RandomPolicy(random.int32()),
        }),
        TracedProgram.open(named.object, {
          program,
          seed,
          policy: new LruPolicy(),
          compilesAfter: 0,
        }),
        TracedProgram.open(named.object, { program, seed, compilesAfter: 2 }),
        TracedProgram.open(named.object, {
          program,
          seed,
          capacity: { entries: 2 },
          unit: "path",
          policy: new BeladyPolicy(pathsOf(named, program, order)),
        }),
      ];
      for (const { instance } of caches) fill(named, instance);
      for (const packet of order) {
        const expected = whole.run(packet);
        for (const [n, traced] of caches.entries()) {
          assert.deepEqual(traced.run(packet), expected, `${named.name} ${program}, cache ${n}`);
        }
      }
      const expected = contents(whole);
      for (const [n, { instance, cache }] of caches.entries()) {
        assert.deepEqual(contents(instance), expected, `${named.name} ${program}, cache ${n}`);
        if (n === 0) assert.equal(cache.size, 0);
        if (n === 1) assert.ok(cache.size <= 1);
      }
    }
  }
});
