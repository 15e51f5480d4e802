/** Lookups of compiled programs: keys of any length, tables of every kind, each CPU's own values. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Assembler } from "./asm.js";
import { type EngineName, XdpInstance } from "./instance.js";
import { MapType } from "./map-type.js";
import { assembled, mapDefinition } from "./object-fixture.js";
import { R0, R1, R2, R3, R6, R7, R10 } from "./registers.js";

const KEY_AT = -56;
const MAX_KEY_BYTES = 52;
const LOOKUP = 1;

/** Looks up the packet's first bytes, and adds 1 to the value; returns whether there was one. */
function counts(keyBytes: number): Assembler {
  const a = new Assembler();
  a.load("u32", R6, R1, 0);
  a.load("u32", R7, R1, 4);
  a.mov(R0, R6);
  a.add(R0, MAX_KEY_BYTES);
  a.jumpIf(R0, ">", R7, "none");
  for (let n = 0; n < keyBytes; n++) {
    a.load("u8", R3, R6, n);
    a.store("u8", R10, KEY_AT + n, R3);
  }
  a.loadMap(R1, "map");
  a.mov(R2, R10);
  a.add(R2, KEY_AT);
  a.call(LOOKUP);
  a.jumpIf(R0, "==", 0, "none");
  a.load("u64", R3, R0, 0);
  a.add(R3, 1);
  a.store("u64", R0, 0, R3);
  a.mov(R0, 1);
  a.exit();
  a.label("none");
  a.mov(R0, 0);
  a.exit();
  return a;
}

const KINDS = [
  { type: MapType.HASH, keys: [1, 2, 3, 5, 6, 7, 16, 48, 51] },
  { type: MapType.PERCPU_HASH, keys: [4, 6] },
  { type: MapType.LRU_HASH, keys: [3, 8] },
  { type: MapType.LRU_PERCPU_HASH, keys: [10] },
  { type: MapType.ARRAY, keys: [4] },
  { type: MapType.PERCPU_ARRAY, keys: [4] },
];

function results(engine: EngineName, type: number, keyBytes: number): unknown[] {
  const map = mapDefinition({ name: "map", type, keyBytes, valueBytes: 8, maxEntries: 8 });
  const instance = XdpInstance.open(assembled(counts(keyBytes), [map]), {
    engine,
    cpus: 2,
    seed: 1,
  });
  const packets = Array.from({ length: 12 }, (_, n) => {
    const packet = new Uint8Array(60);
    // Keys differ in their last byte, which is in a word of its own at times.
    packet[keyBytes - 1] = type === MapType.ARRAY || type === MapType.PERCPU_ARRAY ? 0 : n;
    packet[0] = packet[0]! | (keyBytes > 1 ? n : 0);
    return packet;
  });
  for (const packet of packets.slice(0, 8)) {
    const key = packet.slice(0, keyBytes);
    instance.map("map").set(key, new Uint8Array(instance.map("map").bufferBytes));
  }
  const verdicts = [0, 1, 1].flatMap((cpu) => {
    instance.runtime.setCpu(cpu);
    return packets.map((packet) => instance.run(packet).verdict);
  });
  const values = packets.map((packet) => instance.map("map").get(packet.slice(0, keyBytes)));
  return [verdicts, values];
}

for (const { type, keys } of KINDS) {
  test(`a map of kind ${type}: compiled programs find what the interpreter finds`, () => {
    for (const keyBytes of keys) {
      const [verdicts, values] = results("interp", type, keyBytes);
      assert.ok((verdicts as number[]).includes(0) && (verdicts as number[]).includes(1));
      assert.deepEqual(results("wasm", type, keyBytes), [verdicts, values], `${keyBytes} bytes`);
    }
  });
}
