/**
 * LRU tables note which entries are looked up, and programs cannot see that: only what leaves a full table
 * later. So random programs look up, update and delete in tables that are always full, interpreted, compiled and
 * as traces, and after every packet the tables must hold the same, in the same order, with the same marks.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/base/random.js";
import { Assembler } from "../../src/ebpf/asm.js";
import { HashMap } from "../../src/ebpf/hash-map.js";
import { XdpInstance } from "../../src/ebpf/instance.js";
import { MapType } from "../../src/ebpf/map-type.js";
import type { BpfObject } from "../../src/ebpf/object.js";
import { assembled, mapDefinition } from "../../src/ebpf/object-fixture.js";
import { R0, R1, R2, R3, R4, R6, R7, R8, R9, R10 } from "../../src/ebpf/registers.js";
import { TracedProgram } from "../../src/xdp/traced-program.js";

const PROGRAMS = 48;
const PACKETS = 60;
const ENTRIES = 4;
/** More than there is room for. */
const KEYS = 7;
const HEADER_BYTES = 14;
const FIELDS = 6;
/** Longer keys than compiled lookups take go through memory. */
const KEY_BYTES = [4, 8, 52] as const;
const ANY = 0;
const NO_EXIST = 1;
const EXIST = 2;

/** Reads its keys from the packet; what it is told decides where it goes, now and then. */
function randomProgram(random: Random): BpfObject {
  const keyBytes = KEY_BYTES[random.below(KEY_BYTES.length)]!;
  const type = random.chance(0.3) ? MapType.LRU_PERCPU_HASH : MapType.LRU_HASH;
  const a = new Assembler();
  a.load("u32", R7, R1, 0);
  a.load("u32", R3, R1, 4);
  a.mov(R0, R7);
  a.add(R0, HEADER_BYTES + FIELDS);
  a.mov(R9, 0);
  a.jumpIf(R0, ">", R3, "end");
  for (let at = keyBytes; at > 0; at -= 4) a.store("u32", R10, -at, 0);
  const steps = 1 + random.below(5);
  for (let n = 0; n < steps; n++) {
    if (random.chance(0.3)) {
      a.load("u8", R6, R7, HEADER_BYTES + random.below(FIELDS));
      a.jumpIf(R6, random.chance(0.5) ? "==" : "!=", random.below(KEYS), `past ${n}`);
    }
    if (random.chance(0.8)) a.load("u8", R6, R7, HEADER_BYTES + random.below(FIELDS));
    else a.mov(R6, random.below(KEYS));
    a.store("u8", R10, -keyBytes, R6);
    a.mov(R2, R10);
    a.add(R2, -keyBytes);
    a.loadMap(R1, "table");
    step(a, random, n);
    a.label(`past ${n}`);
  }
  a.label("end");
  a.mov(R0, R9);
  a.exit();
  const table = { name: "table", type, keyBytes, valueBytes: 8, maxEntries: ENTRIES };
  return assembled(a, [mapDefinition(table)]);
}

function step(a: Assembler, random: Random, n: number): void {
  const what = random.below(5);
  if (what < 2) {
    a.call("map_lookup_elem");
    const use = random.below(3);
    if (use === 0) return;
    a.jumpIf(R0, "==", 0, `past ${n}`);
    a.add(R9, 1 << n);
    if (use === 1) return;
    a.load("u64", R8, R0, 0);
    a.add(R8, 1);
    a.store("u64", R0, 0, R8);
    return;
  }
  if (what < 4) {
    a.store("u64", R10, -64, n);
    a.mov(R3, R10);
    a.add(R3, -64);
    a.mov(R4, [ANY, ANY, NO_EXIST, EXIST][random.below(4)]!);
    a.call("map_update_elem");
  } else {
    a.call("map_delete_elem");
  }
  if (!random.chance(0.4)) return;
  a.jumpIf(R0, "!=", 0, `past ${n}`);
  a.add(R9, 1 << n);
}

/** Entries in their order, and which are marked. */
function stateOf(instance: XdpInstance): unknown {
  const table = instance.map("table");
  assert.ok(table instanceof HashMap);
  const { usedAt } = table;
  return [table.entries(), [...instance.runtime.bytes.subarray(usedAt, usedAt + ENTRIES)]];
}

test("full LRU tables lose the same entries, whatever runs the program", (t) => {
  const random = new Random(20261122);
  let hits = 0;
  for (let n = 0; n < PROGRAMS; n++) {
    const object = randomProgram(random);
    const options = { seed: n, verifies: false };
    const whole = XdpInstance.open(object, options);
    const compiled = XdpInstance.open(object, { ...options, engine: "wasm" });
    const traced = [
      TracedProgram.open(object, { ...options, compilesAfter: 0 }),
      TracedProgram.open(object, { ...options, compilesAfter: 3, capacity: { entries: 3 } }),
    ];
    for (let packet = 0; packet < PACKETS; packet++) {
      const frame = new Uint8Array(60);
      for (let at = 0; at < FIELDS; at++) frame[HEADER_BYTES + at] = random.below(KEYS);
      const expected = whole.run(frame);
      const state = stateOf(whole);
      const what = `program ${n}, packet ${packet}`;
      assert.deepEqual(compiled.run(frame), expected, `${what}, compiled`);
      assert.deepEqual(stateOf(compiled), state, `${what}, compiled`);
      for (const [cache, one] of traced.entries()) {
        assert.deepEqual(one.run(frame), expected, `${what}, cache ${cache}`);
        assert.deepEqual(stateOf(one.instance), state, `${what}, cache ${cache}`);
        // Asking which trace a packet takes is no use either.
        if (packet !== PACKETS >> 1) continue;
        const { runtime } = one;
        one.matcher()(runtime.dataAt, runtime.dataEnd, runtime.hardStart, runtime.hardEnd);
        assert.deepEqual(stateOf(one.instance), state, `${what}, cache ${cache}, asked`);
      }
    }
    hits += traced[0]!.counters.hits;
  }
  t.diagnostic(`${hits} of ${PROGRAMS * PACKETS} packets by a trace`);
  assert.ok(hits > (PROGRAMS * PACKETS) / 4);
});
