import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { requireTools } from "../../test/support/tools.js";
import { EINTR } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import {
  closeFd,
  createEvent,
  createPipe,
  drainEvent,
  pollFds,
  signalEvent,
  silenceFd,
  unwatchThread,
  wakeByEvent,
  watchThread,
} from "./fd.js";

test("an event is readable from its signal to its drain", () => {
  const fd = createEvent();
  assert.equal(pollFds(Int32Array.of(fd), 1, 0), 0);
  signalEvent(fd);
  signalEvent(fd);
  assert.equal(pollFds(Int32Array.of(fd), 1, -1), 1);
  assert.equal(drainEvent(fd), true);
  assert.equal(drainEvent(fd), false);
  assert.equal(pollFds(Int32Array.of(fd), 1, 0), 0);
  closeFd(fd);
});

test("pollFds returns after its timeout, which may be shorter than a millisecond", () => {
  const fd = createEvent();
  const startMs = performance.now();
  assert.equal(pollFds(Int32Array.of(fd), 1, 200), 0);
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs >= 0.2, `took ${tookMs} ms`); // how much longer is the scheduler's affair
  closeFd(fd);
});

test("pollFds refuses a closed descriptor, which would be ready for ever", () => {
  const fd = createEvent();
  closeFd(fd);
  assert.throws(() => pollFds(Int32Array.of(fd), 1, -1), { code: "EBADF", syscall: "ppoll" });
});

test("a pipe's read end is readable when its other end is closed", () => {
  const { readFd, writeFd } = createPipe();
  assert.equal(pollFds(Int32Array.of(readFd), 1, 0), 0);
  closeFd(writeFd);
  assert.equal(pollFds(Int32Array.of(readFd), 1, 0), 1);
  closeFd(readFd);
});

test("a silenced descriptor keeps its number and is never readable", () => {
  const fd = createEvent();
  signalEvent(fd);
  silenceFd(fd);
  assert.equal(pollFds(Int32Array.of(fd), 1, 0), 0);
  closeFd(fd);
});

test("a failure names the call, the error and its number", () => {
  assert.throws(
    () => closeFd(-1),
    (error: NetError) =>
      error instanceof NetError &&
      error.code === "EBADF" &&
      error.errno === -9 &&
      error.syscall === "close",
  );
});

test("a watched thread rings as any other; watches may be nested, and end", () => {
  const fd = createEvent();
  for (let i = 0; i < 3; i++) {
    watchThread();
    watchThread();
    assert.equal(wakeByEvent(fd), 0);
    assert.equal(drainEvent(fd), true);
    unwatchThread();
    unwatchThread();
  }
  assert.throws(() => unwatchThread(), { code: "EINVAL" });
  closeFd(fd);
  assert.equal(wakeByEvent(fd), -9); // EBADF
});

const FULL_AND_BLOCKING = `
import fcntl, os, struct
fcntl.fcntl(3, fcntl.F_SETFL, 0); os.write(3, struct.pack("Q", 2**64 - 2))`;

test("a ring that does not end by itself is ended, each time, and no handler of anybody's is replaced", () => {
  requireTools("python3");
  const fd = createEvent();
  const made = spawnSync("python3", ["-c", FULL_AND_BLOCKING], { stdio: [0, 1, 2, fd] });
  assert.equal(made.status, 0);
  const handled = (): string => /SigCgt:.*/.exec(readFileSync("/proc/self/status", "utf8"))![0];
  watchThread();
  const before = handled();
  assert.equal(wakeByEvent(fd), -EINTR);
  assert.equal(wakeByEvent(fd), -EINTR);
  assert.equal(handled(), before);
  unwatchThread();
  watchThread(); // the same signal again: one may be on its way
  assert.equal(handled(), before);
  assert.equal(wakeByEvent(fd), -EINTR);
  unwatchThread();
  closeFd(fd);
});
