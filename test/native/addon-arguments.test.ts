/** What the addon does with arguments that no wrapper of ours gives: it refuses, and never crashes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addon } from "../../src/sys/addon.js";

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
  // eventCreate takes none; waiterClose has nothing to do for what is not an open waiter.
  const takers = functions.filter(([name]) => !/^(eventCreate|waiterClose)$/.test(name));
  for (const [name, call] of takers) {
    assert.ok(Number(call()) < 0, `${name}()`);
    for (const value of ODD) {
      // Node-API reads numbers that are no integers as 0 or 1: descriptors of this process.
      if (typeof value === "number" && value !== -1) continue;
      // A function is what waiterOpen takes.
      if (typeof value === "function") continue;
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

function receive(smallAt: number, bigAt: number, smallRoom: number, bigRoom: number): number {
  const sizes = Int32Array.of(1, 1, smallRoom, bigRoom);
  const lengths = new Int32Array(1);
  return addon().tapReceive(
    -1,
    memory,
    Int32Array.of(smallAt),
    Int32Array.of(bigAt),
    lengths,
    sizes,
  );
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
  const one = new Int32Array(1);
  const two = Int32Array.of(2, 1, 10, 20);
  const many = Int32Array.of(1, 2, 10, 20);
  const none = Int32Array.of(1, 0, 10, 20);
  for (const sizes of [two, many, none, new Int32Array(3)]) {
    assert.equal(tapReceive(-1, memory, one, one, one, sizes), EINVAL);
  }
  assert.equal(tapTransmit(-1, memory, one, one, 2), EINVAL);
  assert.equal(tapTransmit(-1, memory, one, one, -1), EINVAL);
  assert.equal(pollFds(one, 2, 0), EINVAL);
  assert.equal(pollFds(new Int32Array(1000), 1000, 0), EINVAL);
});

test("a frame outside the memory is refused before any is sent", () => {
  const send = (at: number, length: number) =>
    addon().tapTransmit(-1, memory, Int32Array.of(at), Int32Array.of(length), 1);
  assert.equal(send(11, 60), EFAULT);
  assert.equal(send(100, -1), EFAULT);
  assert.equal(send(memory.length - 59, 60), EFAULT);
  const lengths = Int32Array.of(60);
  assert.equal(addon().tapTransmit(-1, memory, Int32Array.of(100), lengths, 1), 1);
  assert.equal(lengths[0], EBADF, "the descriptor was wrong, and the frame says so");
});
