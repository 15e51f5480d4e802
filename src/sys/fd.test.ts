import assert from "node:assert/strict";
import { test } from "node:test";
import { NetError } from "../base/errors.js";
import {
  closeFd,
  createEvent,
  createPipe,
  drainEvent,
  pollFds,
  signalEvent,
  silenceFd,
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
