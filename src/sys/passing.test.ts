import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { EAGAIN } from "../base/errno.js";
import { closeFd, createEvent, drainEvent, lockFile, signalEvent } from "./fd.js";
import { PollBits, PollSet } from "./poll-set.js";
import { peerOf, receiveWithFds, sendWithFds, unixPair } from "./unix-socket.js";

test("several descriptors pass with a message, in their order", () => {
  const [a, b] = unixPair();
  const events = [createEvent(), createEvent(), createEvent()];
  const got: number[] = [];
  const message = new Uint8Array(8);
  assert.equal(sendWithFds(a, Uint8Array.of(1, 2, 3), events), 3);
  assert.equal(receiveWithFds(b, message, got), 3);
  assert.equal(got.length, 3);
  signalEvent(got[1]!);
  assert.deepEqual(
    events.map((fd) => drainEvent(fd)),
    [false, true, false],
  );
  assert.equal(sendWithFds(a, Uint8Array.of(4), []), 1);
  const passed = [...got];
  assert.equal(receiveWithFds(b, message, got), 1);
  assert.deepEqual(got, []);
  assert.equal(receiveWithFds(b, message, got), -EAGAIN);
  assert.deepEqual(peerOf(a), { pid: process.pid, uid: process.getuid!() });
  for (const fd of [a, b, ...events, ...passed]) closeFd(fd);
});

test("a set names its members that are readable or have hung up", () => {
  const [a, b] = unixPair();
  const event = createEvent();
  const set = new PollSet();
  set.add(a);
  set.add(event);
  const out = new Int32Array(16);
  assert.equal(set.take(out, 8), 0);
  signalEvent(event);
  assert.equal(set.take(out, 8), 1);
  assert.deepEqual([...out.subarray(0, 2)], [event, PollBits.IN]);
  drainEvent(event);
  closeFd(b);
  assert.equal(set.take(out, 8), 1);
  assert.equal(out[0], a);
  assert.notEqual(out[1]! & PollBits.HUP, 0);
  set.close();
  closeFd(a);
  closeFd(event);
});

test("a lock is one descriptor's until it is closed", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-lock-"));
  const path = join(folder, "lock");
  const first = lockFile(path);
  assert.ok(first >= 0);
  assert.equal(lockFile(path), -EAGAIN);
  closeFd(first);
  const second = lockFile(path);
  assert.ok(second >= 0);
  closeFd(second);
  rmSync(folder, { recursive: true });
});
