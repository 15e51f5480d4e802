import assert from "node:assert/strict";
import { test } from "node:test";
import { EAGAIN } from "../base/errno.js";
import { MsgFlags } from "../socket/linux-options.js";
import { Readiness } from "../tcp/readiness.js";
import { StackStream } from "./stack-stream.js";

/** A stream on a socket that takes `room` bytes and notes what it was given: length and flags. */
function streamWith(room: number): {
  stream: StackStream;
  sent: number[][];
  give: () => void;
  flushes: () => number;
} {
  const sent: number[][] = [];
  let left = room;
  let flushed = 0;
  const socket = {
    isClosed: false,
    send: (_bytes: Uint8Array, at: number, n: number, flags: number): number => {
      const taken = Math.min(n, left);
      if (taken === 0) return -EAGAIN;
      left -= taken;
      sent.push([at, taken, flags]);
      return taken;
    },
  };
  const nothing = (): void => {};
  const host = { attach: nothing, enter: nothing, kick: nothing, setRef: nothing };
  const side = { host, stack: { flushEarly: () => void flushed++ } };
  const stream = new StackStream({} as never, side as never, socket as never);
  const give = (): void => {
    left = Number.POSITIVE_INFINITY;
    stream.onReady(4); // OUT
  };
  return { stream, sent, give, flushes: () => flushed };
}

const bytes = (n: number): Uint8Array => new Uint8Array(n);

test("the last bytes of a write do not wait for more, though an empty chunk follows", () => {
  const { stream, sent } = streamWith(100);
  assert.equal(stream.write([bytes(10), bytes(0), bytes(5), bytes(0), bytes(0)]), true);
  assert.deepEqual(sent, [
    [0, 10, MsgFlags.MORE],
    [0, 5, 0],
  ]);
  assert.equal(stream.write([bytes(0)]), true);
  assert.equal(sent.length, 2);
});

test("nor do those that had to wait for room", () => {
  const { stream, sent, give } = streamWith(4);
  assert.equal(stream.write([bytes(10), bytes(5), bytes(0)]), false);
  assert.equal(stream.queuedBytes, 11);
  give();
  assert.deepEqual(sent.slice(1), [
    [4, 6, MsgFlags.MORE],
    [0, 5, 0],
  ]);
  assert.deepEqual([stream.queuedBytes, stream.bytesWritten], [0, 15]);
});

test("64 KiB that were written are on their way before the turn ends", () => {
  const { stream, flushes } = streamWith(Number.POSITIVE_INFINITY);
  stream.write([bytes(40_000)]);
  assert.equal(flushes(), 0);
  stream.write([bytes(20_000), bytes(5_536)]);
  assert.equal(flushes(), 1);
  stream.write([bytes(65_535)]);
  assert.equal(flushes(), 1);
});

test("a stream reads 320 KiB, and goes on when the stack has had a turn", () => {
  const socket = { readableBytes: 1_000_000, receive: (_b: unknown, _at: number, n: number) => n };
  const again: unknown[] = [];
  const host = { attach() {}, setRef() {}, tellAgain: (one: unknown) => void again.push(one) };
  let given = 0;
  const handle = {
    isTakenNatively: false,
    give: (_b: unknown, _at: number, n: number) => (given += n),
  };
  const stream = new StackStream(handle as never, { host } as never, socket as never);
  stream.readStart();
  again.length = 0;
  stream.onReady(Readiness.IN);
  assert.equal(given, 327_680);
  assert.deepEqual(again, [socket]);
});
