/** What the addon's functions do with arguments that they must not believe. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EBADF, EFAULT, EINVAL } from "../base/errno.js";
import { addon } from "./addon.js";

const int32s = (n: number): Int32Array => new Int32Array(n);
/** The functions without their types: any argument may come. */
const raw = (): Record<string, (...args: unknown[]) => unknown> =>
  addon() as unknown as Record<string, (...args: unknown[]) => unknown>;

test("no argument, or one of another kind, is an error and nothing else", () => {
  const odd = [undefined, null, "x", {}, [], -1, Number.NaN, 2 ** 53, new Float64Array(4)];
  for (const name of Object.keys(addon())) {
    // These mean what they say to any number, or name: they would close, change or make what is not
    // theirs. cpuNow, realTimeAhead and switchesNow take none.
    const harmful =
      /^(cpuNow|exceptionThrow|fdClose|fdLock|fdLower|loopFd|fdSilence|eventCreate|eventSignal|eventDrain|packetOpen|pollSetCreate|realTimeAhead|socketKind|switchesNow|unixShut|watchStart|watchStop|xskOpen)$/;
    if (harmful.test(name)) continue;
    for (const value of odd) {
      if (name === "pollFds" && typeof value === "number") continue;
      if (name === "clockOpen" && value instanceof Float64Array) continue;
      const result = raw()[name]!(value, value, value, value, value, value, value);
      assert.ok(typeof result === "number" && result <= 0, `${name}(${String(value)}): ${result}`);
    }
  }
});

test("a handle of one kind is not taken for another's", () => {
  const memory = new Uint8Array(4096);
  const waiter = addon().waiterOpen(() => {});
  const ends = int32s(2);
  assert.equal(addon().pipeCreate(ends), 0);
  const queue = raw().tapQueueOpen!(
    ends[0],
    memory,
    int32s(4),
    int32s(4),
    int32s(4),
    int32s(4),
    int32s(4),
  );
  assert.equal(typeof queue, "object");
  assert.equal(raw().tapReceive!(waiter, 1, 1, 10, 10), -EBADF);
  assert.equal(raw().tapTransmit!(waiter, 1), -EBADF);
  assert.equal(raw().tapQueueClose!(waiter), -EINVAL);
  assert.equal(raw().waiterAdd!(queue, ends[0]), -EBADF);
  assert.equal(raw().waiterArm!(queue, 1), -EBADF);
  assert.equal(raw().waiterClose!(queue), 0);
  assert.equal(raw().tapQueueClose!(queue), 0);
  assert.equal(raw().tapReceive!(queue, 1, 1, 10, 10), -EBADF);
  assert.equal(raw().waiterClose!(waiter), 0);
  for (const fd of ends) addon().fdClose(fd);
});

test("frames outside the memory, and more than the arrays hold, are refused", () => {
  const memory = new Uint8Array(4096);
  const ends = int32s(2);
  addon().pipeCreate(ends);
  const columns = [1, 2, 3, 4, 5].map(() => int32s(2));
  const queue = raw().tapQueueOpen!(ends[0], memory, ...columns);
  const [smallAts, bigAts, , txAts, txLengths] = columns;
  for (const at of [-1, 0, 11, 4096, 4097, 0x7fff_ffff]) {
    smallAts![0] = at;
    bigAts![0] = 12;
    assert.equal(raw().tapReceive!(queue, 1, 1, 100, 100), -EFAULT);
    txAts![0] = at;
    txLengths![0] = 1;
    assert.equal(raw().tapTransmit!(queue, 1), -EFAULT, `at ${at}`);
  }
  smallAts![0] = 12;
  for (const room of [-1, 4085, 0x7fff_ffff]) {
    assert.ok((raw().tapReceive!(queue, 1, 1, room, room) as number) < 0);
  }
  assert.equal(raw().tapReceive!(queue, 3, 1, 10, 10), -EINVAL);
  assert.equal(raw().tapReceive!(queue, 1, 0, 10, 10), -EINVAL);
  assert.equal(raw().tapReceive!(queue, 1, 3, 10, 10), -EINVAL);
  assert.equal(raw().tapTransmit!(queue, 3), -EINVAL);
  raw().tapQueueClose!(queue);
  for (const fd of ends) addon().fdClose(fd);
});
