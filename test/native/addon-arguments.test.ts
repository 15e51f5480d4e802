/** What the addon does with arguments that no wrapper of ours gives: it refuses, and never crashes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { addon, type TapQueueHandle } from "../../src/sys/addon.js";

const EFAULT = -14;
const EINVAL = -22;
const EBADF = -9;

type AnyFunction = (...args: unknown[]) => unknown;
const functions = Object.entries(addon()) as unknown as [string, AnyFunction][];

/** Values of every kind that an argument may be, none of them an open descriptor. */
const ODD = [
  undefined,
  null,
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53,
  1.5,
  "x".repeat(10_000),
  "a\0b",
  {},
  [],
  () => {},
  new Uint8Array(0),
  new Int32Array(0),
  new Float64Array(4),
  new ArrayBuffer(8),
  Symbol("odd"),
  10n,
];

test("every function refuses odd arguments with a number below zero", () => {
  // Those that open, start or ask take none; exceptionThrow takes anything; waiterClose has nothing to do for what is not an open waiter.
  const opens =
    /^(cpuNow|eventCreate|exceptionThrow|loopFd|packetOpen|pollSetCreate|realTimeAhead|switchesNow|waiterClose|watchStart|watchStop|xskOpen)$/;
  const takers = functions.filter(([name]) => !opens.test(name));
  for (const [name, call] of takers) {
    assert.ok(Number(call()) < 0, `${name}()`);
    for (const value of ODD) {
      // Node-API reads numbers that are no integers as 0 or 1: descriptors of this process.
      if (typeof value === "number" && value !== -1) continue;
      // A function is what waiterOpen and loopCallOpen take.
      if (typeof value === "function") continue;
      // Doubles are a place for a clock.
      if (name === "clockOpen" && value instanceof Float64Array) continue;
      const result = call(value, value, value, value, value, value);
      assert.ok(typeof result === "number" && result < 0, `${name}(${String(value)}): ${result}`);
    }
  }
});

test("waiterOpen needs a function, and a waiter is nothing else", () => {
  const { waiterOpen, waiterArm, waiterClose } = addon() as unknown as Record<string, AnyFunction>;
  assert.equal(waiterOpen!(), EINVAL);
  assert.equal(waiterOpen!({}), EINVAL);
  assert.equal(waiterArm!({}, 1), EBADF);
  assert.equal(waiterClose!({}), 0);
});

const memory = new Uint8Array(new WebAssembly.Memory({ initial: 4, maximum: 4 }).buffer);

/** A queue over no descriptor with room for one frame, its arrays to be filled. */
function queueOf(smallAt = 0, bigAt = 0, txAt = 0, txLength = 0) {
  const columns = [smallAt, bigAt, 0, txAt, txLength].map((value) => Int32Array.of(value));
  const [smallAts, bigAts, rxLengths, txAts, txLengths] = columns;
  const queue = addon().tapQueueOpen(
    -1,
    memory,
    smallAts!,
    bigAts!,
    rxLengths!,
    txAts!,
    txLengths!,
  );
  assert.equal(typeof queue, "object");
  return { queue: queue as TapQueueHandle, txLengths: txLengths! };
}

function receive(smallAt: number, bigAt: number, smallRoom: number, bigRoom: number): number {
  return addon().tapReceive(queueOf(smallAt, bigAt).queue, 1, 1, smallRoom, bigRoom);
}

test("frames outside the memory are refused before any is read", () => {
  const end = memory.length;
  assert.equal(receive(100, 4096, 1000, 2000), EBADF, "places in order get as far as the read");
  assert.equal(receive(end - 1000, end - 2000, 1000, 2000), EBADF, "up to the last byte");
  assert.equal(receive(11, 4096, 1000, 2000), EFAULT, "no room for the header");
  assert.equal(receive(-4096, 4096, 1000, 2000), EFAULT);
  assert.equal(receive(end - 999, 4096, 1000, 2000), EFAULT);
  assert.equal(receive(100, end - 1999, 1000, 2000), EFAULT);
  assert.equal(receive(100, 4096, 1000, 0x7fffffff), EFAULT);
  assert.equal(receive(100, 4096, 2000, 1000), EINVAL, "a big place smaller than a small one");
  assert.equal(receive(100, 4096, -1, 1000), EINVAL);
});

test("counts beyond the arrays are refused", () => {
  const { tapReceive, tapTransmit, pollFds } = addon();
  const { queue } = queueOf(100, 4096, 100);
  assert.equal(tapReceive(queue, 1, 1, 10, 20), EBADF);
  assert.equal(tapReceive(queue, 2, 1, 10, 20), EINVAL);
  assert.equal(tapReceive(queue, -1, 1, 10, 20), EINVAL);
  assert.equal(tapReceive(queue, 1, 2, 10, 20), EINVAL);
  assert.equal(tapReceive(queue, 1, 0, 10, 20), EINVAL);
  assert.equal(tapTransmit(queue, 2), EINVAL);
  assert.equal(tapTransmit(queue, -1), EINVAL);
  assert.equal(pollFds(new Int32Array(1), 2, 0), EINVAL);
  assert.equal(pollFds(new Int32Array(1000), 1000, 0), EINVAL);
});

test("a frame outside the memory is refused before any is sent", () => {
  const send = (at: number, length: number) =>
    addon().tapTransmit(queueOf(0, 0, at, length).queue, 1);
  assert.equal(send(11, 60), EFAULT);
  assert.equal(send(100, -1), EFAULT);
  assert.equal(send(memory.length - 59, 60), EFAULT);
  const { queue, txLengths } = queueOf(0, 0, 100, 60);
  assert.equal(addon().tapTransmit(queue, 1), 1);
  assert.equal(txLengths[0], EBADF, "the descriptor was wrong, and the frame says so");
});

test("a closed queue refuses everything, and closing again is nothing", () => {
  const { tapQueueClose, tapReceive, tapTransmit } = addon();
  const { queue } = queueOf(100, 4096, 100, 60);
  assert.equal(tapQueueClose(queue), 0);
  assert.equal(tapQueueClose(queue), 0);
  assert.equal(tapReceive(queue, 1, 1, 10, 20), EBADF);
  assert.equal(tapTransmit(queue, 1), EBADF);
});

test("a queue keeps its arrays, and lets them go when it is collected or closed", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const arrays = Array.from({ length: 200 }, () => new WeakRef(openAndForget()));
  for (let i = 0; i < 10 && arrays.some((array) => array.deref() !== undefined); i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const kept = arrays.filter((array) => array.deref() !== undefined).length;
  assert.ok(kept <= 2, `${kept} of 200 kept; what the stack still mentions may be`);
});

function openAndForget(): Uint8Array {
  const bytes = new Uint8Array(1024);
  const column = new Int32Array(1);
  addon().tapQueueOpen(-1, bytes, column, column, column, column, column);
  return bytes;
}
