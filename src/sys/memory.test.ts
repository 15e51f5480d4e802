import assert from "node:assert/strict";
import { ftruncateSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { closeFd } from "./fd.js";
import {
  copyPast,
  createMemfd,
  fdBytes,
  isSealed,
  mapShared,
  requireSealed,
  unmapShared,
} from "./memory.js";

const PAGE = 4096;

function memoryOf(pages: number): { memory: WebAssembly.Memory; bytes: Uint8Array } {
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  return { memory, bytes: new Uint8Array(memory.buffer) };
}

test("a memfd is as large as asked and can neither shrink nor grow", () => {
  const fd = createMemfd("millrace-test", 3 * PAGE);
  assert.equal(fdBytes(fd), 3 * PAGE);
  assert.equal(isSealed(fd), true);
  assert.throws(() => ftruncateSync(fd, PAGE), { code: "EPERM" });
  assert.throws(() => ftruncateSync(fd, 9 * PAGE), { code: "EPERM" });
  closeFd(fd);
});

test("a mapped range shows the file's bytes both ways, and the rest of the memory is untouched", () => {
  const fd = createMemfd("millrace-test", 2 * PAGE);
  const { memory, bytes } = memoryOf(1);
  bytes.fill(0xa5);
  mapShared(memory, { at: 4 * PAGE, lengthBytes: 2 * PAGE, fd });
  assert.equal(bytes[4 * PAGE], 0);
  assert.equal(bytes[4 * PAGE - 1], 0xa5);
  assert.equal(bytes[6 * PAGE], 0xa5);
  bytes[5 * PAGE] = 7;
  const read = Buffer.alloc(1);
  readSync(fd, read, 0, 1, PAGE);
  assert.equal(read[0], 7);
  writeSync(fd, Uint8Array.of(9), 0, 1, 0);
  assert.equal(bytes[4 * PAGE], 9);
  closeFd(fd);
  assert.equal(bytes[5 * PAGE], 7, "the mapping outlives the descriptor");
});

test("two memories that map one file share it, at different places", () => {
  const fd = createMemfd("millrace-test", PAGE);
  const a = memoryOf(1);
  const b = memoryOf(2);
  mapShared(a.memory, { at: 0, lengthBytes: PAGE, fd });
  mapShared(b.memory, { at: 7 * PAGE, lengthBytes: PAGE, fd });
  a.bytes[12] = 34;
  assert.equal(b.bytes[7 * PAGE + 12], 34);
  closeFd(fd);
});

test("unmapping leaves fresh zeroed memory and the file as it was", () => {
  const fd = createMemfd("millrace-test", PAGE);
  const { memory, bytes } = memoryOf(1);
  mapShared(memory, { at: PAGE, lengthBytes: PAGE, fd });
  bytes[PAGE] = 1;
  unmapShared(memory, PAGE, PAGE);
  assert.equal(bytes[PAGE], 0);
  bytes[PAGE] = 2;
  const read = Buffer.alloc(1);
  readSync(fd, read, 0, 1, 0);
  assert.equal(read[0], 1);
  closeFd(fd);
});

test("what does not fit the memory, the pages or the file is refused, and says what was expected", () => {
  const fd = createMemfd("millrace-test", PAGE);
  const { memory } = memoryOf(1);
  const map = (at: number, lengthBytes: number, fdAt = 0) =>
    mapShared(memory, { at, lengthBytes, fd, fdAt });
  assert.throws(() => map(16 * PAGE, PAGE), {
    code: "EFAULT",
    message: /65536 bytes, got 4096 at/,
  });
  assert.throws(() => map(2 ** 53, PAGE), { code: "EFAULT" });
  assert.throws(() => map(1, PAGE), { code: "EINVAL", message: /page-aligned/ });
  assert.throws(() => map(0, 100), { code: "EINVAL" });
  assert.throws(() => map(0, 0), { code: "EINVAL" });
  assert.throws(() => map(-PAGE, PAGE), { code: "EINVAL" });
  assert.throws(() => map(0, 2 * PAGE), { code: "ENXIO", message: /fewer than 8192 bytes/ });
  assert.throws(() => map(0, PAGE, PAGE), { code: "ENXIO" });
  assert.throws(() => unmapShared(memory, PAGE, 16 * PAGE), { code: "EFAULT" });
  closeFd(fd);
});

test("memory from a peer must be sealed", () => {
  const path = join(tmpdir(), `millrace-unsealed-${process.pid}`);
  const unsealed = openSync(path, "w+");
  rmSync(path);
  assert.throws(() => requireSealed(unsealed), { code: "EPERM", message: /F_SEAL_SHRINK/ });
  closeFd(unsealed);
  const fd = createMemfd("millrace-test", PAGE);
  requireSealed(fd);
  closeFd(fd);
});

test("a copy past the caches is a copy, wherever it begins and ends, and nothing beside it changes", () => {
  const from = Uint8Array.from({ length: 1_000 }, (_, i) => 1 + (i % 251));
  for (let at = 0; at < 70; at += 3) {
    for (const n of [0, 1, 15, 63, 64, 65, 127, 200, 700]) {
      const to = new Uint8Array(1_000);
      assert.equal(copyPast(to, at, from, 7, n), 0);
      assert.deepEqual(to.subarray(at, at + n), from.subarray(7, 7 + n));
      to.fill(0, at, at + n);
      assert.ok(to.every((byte) => byte === 0));
    }
  }
});

test("a copy past the caches beyond either array is refused", () => {
  const [to, from] = [new Uint8Array(100), new Uint8Array(50).fill(1)];
  assert.equal(copyPast(to, 60, from, 0, 41), -14);
  assert.equal(copyPast(to, 0, from, 10, 41), -14);
  assert.equal(copyPast(to, 101, from, 0, 0), -14);
  assert.ok(to.every((byte) => byte === 0));
});
