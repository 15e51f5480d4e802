import assert from "node:assert/strict";
import { test } from "node:test";
import { Assembler } from "../ebpf/asm.js";
import { assembled } from "../ebpf/object-fixture.js";
import { R0, R1, R2, R3, R6 } from "../ebpf/registers.js";
import { FifoPolicy } from "./cache-fifo.js";
import { LruPolicy } from "./cache-lru.js";
import type { CachePolicy } from "./cache-policy.js";
import { tcamSize } from "./tcam.js";
import { TracedProgram, type TracingOptions } from "./traced-program.js";

const BYTES = 40;

/** By its byte 14 a packet's byte 0 becomes: 1: its byte 20; 2: its byte 24; 3: its byte 20 and one; else nothing. */
function program(): Assembler {
  const a = new Assembler();
  a.load("u32", R2, R1, 0);
  a.load("u32", R3, R1, 4);
  a.mov(R0, R2);
  a.add(R0, BYTES);
  a.jumpIf(R0, ">", R3, "end");
  a.load("u8", R6, R2, 14);
  a.jumpIf(R6, "==", 1, "first");
  a.jumpIf(R6, "==", 2, "second");
  a.jumpIf(R6, "==", 3, "third");
  a.label("end");
  a.mov(R0, 2);
  a.exit();
  a.label("first");
  a.load("u8", R3, R2, 20);
  a.jump("store");
  a.label("second");
  a.load("u8", R3, R2, 24);
  a.jump("store");
  a.label("third");
  a.load("u8", R3, R2, 20);
  a.add(R3, 1);
  a.label("store");
  a.store("u8", R2, 0, R3);
  a.mov(R0, 3);
  a.exit();
  return a;
}

function packetOf(kind: number): Uint8Array {
  const packet = new Uint8Array(BYTES);
  packet[14] = kind;
  packet[20] = 77;
  packet[24] = 99;
  return packet;
}

const open = (options: TracingOptions): TracedProgram =>
  TracedProgram.open(assembled(program()), { compilesAfter: 0, ...options });

/** Which kinds of packets hit, in order. */
function hitsOf(traced: TracedProgram, kinds: readonly number[]): string {
  const bytes = [0, 77, 99, 78];
  return kinds
    .map((kind) => {
      const { hits } = traced.counters;
      assert.equal(traced.run(packetOf(kind)).packet[0], bytes[kind]);
      return traced.counters.hits - hits;
    })
    .join("");
}

test("paths that do the same with other fields are one entry, and come and go together", () => {
  const traced = open({ capacity: { entries: 1 } });
  //  first and second are one action: the second path misses once, then both hit
  assert.equal(hitsOf(traced, [1, 2, 1, 2]), "0011");
  assert.equal(traced.cache.size, 1);
  // the third is another
  assert.equal(hitsOf(traced, [3, 3, 1, 2, 3]), "01010");
  assert.equal(traced.cache.evictions, 3);
});

test("an entry a path: each has its own", () => {
  const traced = open({ capacity: { entries: 1 }, unit: "path" });
  assert.equal(hitsOf(traced, [1, 2, 1, 1, 2]), "00010");
});

test("bits of TCAM are those of all conditions of the entries that are in", () => {
  for (const policy of [(): CachePolicy => new FifoPolicy(), (): CachePolicy => new LruPolicy()]) {
    const all = open({});
    for (const kind of [0, 1, 2, 3]) all.run(packetOf(kind));
    const bits = all.traces.map(({ condition }) => tcamSize(all.tracer.e, condition).bits);
    const [, first, second] = bits as [number, number, number, number];
    for (let room = Math.max(...bits) - 1; room < 3 * Math.max(...bits); room++) {
      const traced = open({ capacity: { tcamBits: room }, policy: policy() });
      hitsOf(traced, [0, 1, 2, 3, 2, 1, 0, 3, 1, 2, 2, 1]);
      const inside = traced.traces.filter(({ id }) => traced.cache.has(id));
      const used = inside.reduce((sum, { id }) => sum + bits[id]!, 0);
      assert.ok(used <= room, `${used} of ${room}`);
      if (room >= first + second) assert.ok(traced.cache.has(1) && traced.cache.has(2));
    }
  }
});

test("forgetting everything begins anew", () => {
  const traced = open({ capacity: { entries: 2 } });
  hitsOf(traced, [1, 2, 3]);
  traced.flush();
  assert.equal(traced.cache.size, 0);
  assert.equal(hitsOf(traced, [3, 2, 1, 3, 2, 1]), "000111");
});
