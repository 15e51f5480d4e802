import assert from "node:assert/strict";
import { test } from "node:test";
import { EPROTO } from "../../base/errno.js";
import * as message from "./message.js";
import { StreamBuffer } from "./stream-buffer.js";

function stream(...lengths: number[]): Uint8Array {
  const all = new Uint8Array(lengths.reduce((sum, n) => sum + n, 0));
  let at = 0;
  lengths.forEach((length, i) => {
    message.write(all, at, i + 1, 1, length);
    at += length;
  });
  return all;
}

/** Feeds the bytes in pieces and returns the sequence numbers that came out. */
function feed(bytes: Uint8Array, pieceBytes: number): number[] {
  const buffer = new StreamBuffer();
  const out: number[] = [];
  for (let from = 0; from < bytes.length; from += pieceBytes) {
    const piece = bytes.subarray(from, from + pieceBytes);
    assert.ok(buffer.roomBytes >= piece.length);
    buffer.bytes.set(piece, buffer.end);
    buffer.added(piece.length);
    for (let at = buffer.next(); at !== -1; at = buffer.next()) {
      out.push(message.sequence(buffer.bytes, at));
    }
  }
  return out;
}

test("messages come out whole however the stream is cut", () => {
  const bytes = stream(14, 100, 14, 65_507, 64, 1_472);
  for (const piece of [1, 13, 14, 15, 1_000, 60_000, 100_000]) {
    assert.deepEqual(feed(bytes, piece), [1, 2, 3, 4, 5, 6], `pieces of ${piece}`);
  }
});

test("the largest messages do not fill the buffer up", () => {
  const lengths = Array.from({ length: 40 }, () => message.MAX_BYTES);
  assert.equal(feed(stream(...lengths), 40_000).length, 40);
});

test("a length that cannot be ends the stream", () => {
  const buffer = new StreamBuffer();
  buffer.bytes.set(stream(14));
  message.write(buffer.bytes, 14, 2, 1, 13);
  buffer.added(28);
  assert.equal(buffer.next(), 0);
  assert.equal(buffer.next(), -EPROTO);
});
