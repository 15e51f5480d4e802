import assert from "node:assert/strict";
import { openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Arena } from "../ring/arena.js";
import { createEvent } from "../sys/fd.js";
import { createMemfd } from "../sys/memory.js";
import { PeerRegions } from "./memif-regions.js";

const openFds = (): number => readdirSync("/proc/self/fd").length;

test("regions are mapped in order, found by their places, and gone after close", () => {
  const before = openFds();
  const arena = new Arena(1 << 20);
  const free = arena.freeBytes;
  const regions = new PeerRegions(arena);
  regions.add(0, 8192, createMemfd("test", 8192));
  regions.add(1, 5000, createMemfd("test", 5000)); // no whole pages, as DPDK's
  assert.equal(regions.placeOf(0, 0, 8192), regions.at[0]);
  assert.equal(regions.placeOf(1, 4000, 1000), regions.at[1]! + 4000);
  assert.equal(regions.placeOf(1, 4000, 1001), -1);
  assert.equal(regions.placeOf(2, 0, 1), -1);
  arena.bytes[regions.at[1]! + 4999] = 1;
  regions.close();
  regions.close();
  assert.equal(arena.freeBytes, free);
  assert.equal(regions.placeOf(0, 0, 1), -1);
  assert.equal(openFds(), before, "descriptors are the callee's");
});

test("memory that could end this process, or that lies about its size, is refused", () => {
  const before = openFds();
  const arena = new Arena(1 << 20);
  const regions = new PeerRegions(arena);
  const file = join(tmpdir(), `millrace-regions-${process.pid}`);
  writeFileSync(file, new Uint8Array(8192));
  const refuse = (index: number, bytes: number, fd: number, message: RegExp): void => {
    assert.throws(() => regions.add(index, bytes, fd), { name: "NetError", message });
  };
  refuse(0, 8192, openSync(file, "r+"), /F_SEAL_SHRINK/);
  refuse(0, 8192, createEvent(), /F_SEAL_SHRINK/);
  refuse(0, 8192, createMemfd("test", 4096), /said to have 8192 bytes, it has 4096/);
  refuse(1, 4096, createMemfd("test", 4096), /region index 1/);
  refuse(0, 0, createMemfd("test", 4096), /region 0 of 0 bytes/);
  refuse(0, 2 ** 40, createMemfd("test", 4096), /region 0 of/);
  refuse(0, 2 << 20, createMemfd("test", 2 << 20), /does not fit/);
  regions.add(0, 4096, createMemfd("test", 4096));
  regions.close();
  rmSync(file);
  assert.equal(openFds(), before);
});
