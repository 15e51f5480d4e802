import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Assembler } from "../ebpf/asm.js";
import type { MapDefinition } from "../ebpf/map-definition.js";
import { type BpfObject, parseObject } from "../ebpf/object.js";
import { R0, R1, R2, R3, R10 } from "../ebpf/registers.js";
import { modelsFor } from "./consistency-models.js";
import { findMapUse, isAddOnly, isReadOnly, type MapUse } from "./map-use.js";

const array = (name: string, type = 2): MapDefinition => ({
  name,
  type,
  keyBytes: 4,
  valueBytes: 8,
  maxEntries: 4,
  flags: 0,
  inner: null,
  initial: null,
  entries: [],
  keyType: 0,
  valueType: 0,
});

/** The use of maps by a program that is written by calls. */
function useOf(names: readonly string[], write: (a: Assembler) => void): MapUse[] {
  const assembler = new Assembler();
  write(assembler);
  const { code, maps, labels } = assembler.assemble();
  const starts = [0, ...[...labels].filter(([name]) => name.startsWith("fn")).map(([, at]) => at)];
  const functions = starts.map((at) => ({ name: `f${at}`, at }));
  const program = { name: "p", section: "xdp", problem: null, code, maps, functions, lines: [] };
  const object: BpfObject = {
    programs: [program],
    maps: names.map((name) => array(name)),
    license: "",
    btf: null,
  };
  return findMapUse(object, program);
}

function lookup(a: Assembler, map: string): void {
  a.loadMap(R1, map);
  a.mov(R2, R10);
  a.add(R2, -4);
  a.call("map_lookup_elem");
}

test("a map whose values are only loaded is read only, although another one is written", () => {
  const [config, state] = useOf(["config", "state"], (a) => {
    lookup(a, "config");
    a.load("u64", R3, R0, 0);
    a.store("u64", R10, -16, R3);
    lookup(a, "state");
    a.load("u64", R3, R10, -16);
    a.store("u64", R0, 0, R3);
    a.exit();
  });
  assert.ok(isReadOnly(config!));
  assert.ok(config!.reads);
  assert.ok(!isReadOnly(state!));
  assert.deepEqual(modelsFor(config!)[0], "epochs");
  assert.deepEqual(modelsFor(state!)[0], "flow-owned");
});

test("a pointer that was put on the stack is not lost sight of", () => {
  const [state] = useOf(["state"], (a) => {
    lookup(a, "state");
    a.store("u64", R10, -16, R0);
    a.load("u64", R2, R10, -16);
    a.add(R2, 4);
    a.store("u32", R2, 0, 7);
    a.exit();
  });
  assert.ok(state!.stores);
});

test("a function that is given the pointer writes, too, and what it gives back may be one", () => {
  const [first, second] = useOf(["first", "second"], (a) => {
    lookup(a, "first");
    a.mov(R1, R0);
    a.callLocal("fn_store");
    lookup(a, "second");
    a.mov(R1, R0);
    a.callLocal("fn_same");
    a.store("u8", R0, 0, 1);
    a.exit();
    a.label("fn_store");
    a.store("u8", R1, 0, 1);
    a.mov(R0, 0);
    a.exit();
    a.label("fn_same");
    a.mov(R0, R1);
    a.exit();
  });
  assert.ok(first!.stores);
  assert.ok(second!.stores);
});

test("of two maps that a register may point to, both are written", () => {
  const uses = useOf(["left", "right"], (a) => {
    a.load("u32", R3, R1, 12);
    a.loadMap(R1, "left");
    a.jumpIf(R3, "==", 0, "go");
    a.loadMap(R1, "right");
    a.label("go");
    a.mov(R2, R10);
    a.mov(R3, R10);
    a.call("map_update_elem");
    a.exit();
  });
  assert.deepEqual(
    uses.map((use) => use.updates),
    [true, true],
  );
});

test("counters that are only added to can be summed up", () => {
  const [counters] = useOf(["counters"], (a) => {
    lookup(a, "counters");
    a.mov(R1, 1);
    a.atomic("add", "u64", R0, 0, R1);
    a.exit();
  });
  assert.ok(isAddOnly(counters!));
  assert.equal(modelsFor(counters!)[0], "deltas");
});

test("an object of clang's: what ddos_guard writes", () => {
  const file = new URL("../../../fuzz/corpus/elf/ddos_guard.o", import.meta.url);
  const object = parseObject(readFileSync(file));
  const uses = findMapUse(object, object.programs[0]!);
  const written = uses.filter((use) => !isReadOnly(use)).map(({ name }) => name);
  assert.deepEqual(written.sort(), [".bss", "sources"]);
});
