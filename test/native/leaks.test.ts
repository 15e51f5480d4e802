/** Nothing is left behind: memory, descriptors and threads after many calls of each function. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { BpfMap, MapType } from "../../src/sys/bpf-map.js";
import { closeFd, createEvent, createPipe } from "../../src/sys/fd.js";
import { Mapping } from "../../src/sys/mapping.js";
import { createMemfd, mapShared, unmapShared } from "../../src/sys/memory.js";
import { FdWaiter } from "../../src/sys/waiter.js";
import { needsRoot } from "../support/namespace.js";

function residentBytes(): number {
  const pages = Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]);
  return pages * 4096;
}

const resources = () => [
  readdirSync("/proc/self/fd").length,
  readdirSync("/proc/self/task").length,
  readFileSync("/proc/self/maps", "utf8").split("memfd:millrace").length,
];

async function leaves(work: () => void, times: number): Promise<number> {
  for (let i = 0; i < times / 4; i++) work();
  await nextTurn();
  await nextTurn();
  const before = resources();
  const startBytes = residentBytes();
  for (let i = 0; i < times; i++) {
    work();
    if (i % 64 === 0) await nextTurn(); // finalisers run between turns
  }
  await nextTurn();
  assert.deepEqual(resources(), before, "descriptors, threads, mappings");
  return residentBytes() - startBytes;
}

test("descriptors and mappings", async () => {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 16 });
  const grown = await leaves(() => {
    const { readFd, writeFd } = createPipe();
    const event = createEvent();
    const fd = createMemfd("millrace", 65_536);
    mapShared(memory, { at: 65_536, lengthBytes: 65_536, fd });
    new Uint8Array(memory.buffer).fill(1, 65_536, 131_072);
    for (const open of [readFd, writeFd, event, fd]) closeFd(open);
    unmapShared(memory, 65_536, 65_536);
  }, 1_000);
  assert.ok(grown < 16e6, `${grown} bytes more; 1,000 leaked mappings would be 65 MB`);
});

test("mappings outside the arena, closed and forgotten", async () => {
  const grown = await leaves(() => {
    const fd = createMemfd("millrace", 65_536);
    const closed = new Mapping(fd, 0, 65_536);
    const view = new Int32Array(closed.buffer);
    view[0] = 7;
    closed.close();
    closed.close();
    assert.equal(view.length, 0, "a view of it is empty, and reaches nothing");
    closeFd(fd);
  }, 1_000);
  assert.ok(grown < 16e6, `${grown} bytes more`);
});

test("maps of bpf(2), closed or forgotten", { skip: needsRoot() }, async () => {
  const key = new Uint8Array(4);
  const create = (): BpfMap => {
    const type = MapType.HASH;
    return BpfMap.create({ type, keyBytes: 4, valueBytes: 4, maxEntries: 8, name: "mr_leak" });
  };
  const grown = await leaves(() => {
    const map = create();
    map.update(key, key);
    map.lookup(key, key);
    map.close();
  }, 1_000);
  assert.ok(grown < 16e6, `${grown} bytes more after 1,000 maps`);
  const before = resources();
  await forgetMaps(create);
  assert.deepEqual(resources(), before, "collected maps are closed");
});

/** Makes maps that nothing refers to, until they are collected. */
async function forgetMaps(create: () => BpfMap): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 100; i++) create();
  for (let i = 0; i < 10; i++) {
    collect();
    await nextTurn();
  }
}

test("waiters", async () => {
  const grown = await leaves(() => {
    const waiter = new FdWaiter();
    const event = createEvent();
    waiter.add(event);
    waiter.arm(() => {});
    waiter.close();
    closeFd(event);
  }, 1_000);
  assert.ok(grown < 24e6, `${grown} bytes more after 1,000 waiters`);
});
