import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { XdpInstance } from "../ebpf/instance.js";
import { parseObject } from "../ebpf/object.js";
import { AccessLog } from "./access-log.js";
import { AccessKind } from "./consistency.js";
import { findMapUse } from "./map-use.js";

const KINDS = Object.fromEntries(Object.entries(AccessKind).map(([name, kind]) => [kind, name]));

test("what a packet reads and changes of which map, by key", () => {
  const file = new URL("../../../fuzz/corpus/elf/ddos_guard.o", import.meta.url);
  const object = parseObject(readFileSync(file));
  const instance = XdpInstance.open(object, { seed: 1 });
  const log = new AccessLog(instance, findMapUse(object, object.programs[0]!));
  const cells = new Map<number, number>();
  const accessesOf = (source: number): string[] => {
    const packet = new Uint8Array(64);
    packet.set([8, 0, 0x45], 12);
    packet[26] = source;
    log.begin();
    instance.run(packet);
    return log.end().map(({ map, cell, kind }) => {
      if (!cells.has(cell)) cells.set(cell, cells.size);
      return `${instance.runtime.maps[map]!.name} ${cells.get(cell)} ${KINDS[kind]}`;
    });
  };
  const variables = [".rodata 0 READ", ".bss 1 READ"];
  // A source that is new is looked for, then added; one that is known is counted where it is.
  assert.deepEqual(accessesOf(1), [
    ...variables,
    "sources 2 READ",
    "sources 2 WRITE",
    ".bss 1 WRITE",
  ]);
  assert.deepEqual(accessesOf(1), [
    ...variables,
    "sources 2 READ",
    ".bss 1 WRITE",
    "sources 2 WRITE",
  ]);
  assert.deepEqual(accessesOf(2).slice(2, 3), ["sources 3 READ"]);
});
