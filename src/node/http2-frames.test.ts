/** Cuts before and after frames that programs are told of, wherever reads end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Http2Frames } from "./http2-frames.js";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

function frame(type: number, payload: number, stream = 0): Buffer {
  const bytes = Buffer.alloc(9 + payload, 0xee);
  bytes.writeUIntBE(payload, 0, 3);
  bytes[3] = type;
  bytes[4] = 0;
  bytes.writeUInt32BE(stream, 5);
  return bytes;
}

const [DATA, HEADERS, RESET, SETTINGS] = [0, 1, 3, 4];

/** Sizes of the pieces of reads. */
function pieces(reads: readonly Buffer[]): number[] {
  const frames = new Http2Frames();
  const sizes: number[] = [];
  for (const read of reads) {
    for (let at = 0; at < read.length; ) {
      const n = frames.cut(read, at, read.length - at);
      assert.ok(n > 0 && n <= read.length - at);
      sizes.push(n);
      at += n;
    }
  }
  return sizes;
}

test("frames that programs are told of are pieces, data run together", () => {
  const all = [
    PREFACE,
    frame(SETTINGS, 12),
    frame(HEADERS, 20, 1),
    frame(DATA, 100, 1),
    frame(DATA, 50, 1),
    frame(RESET, 4, 1),
    frame(SETTINGS, 0),
    frame(DATA, 1, 3),
  ];
  assert.deepEqual(pieces([Buffer.concat(all)]), [24, 21, 29, 168, 13, 9, 10]);
  assert.deepEqual(pieces([Buffer.concat(all.slice(1))]), [21, 29, 168, 13, 9, 10]); // a client's
});

test("cuts are in the same places whatever the reads are", () => {
  const all = Buffer.concat([
    PREFACE,
    frame(SETTINGS, 6),
    frame(DATA, 30, 1),
    frame(HEADERS, 2, 3),
    frame(RESET, 4, 3),
    frame(DATA, 5, 1),
  ]);
  const ends = (sizes: number[]): number[] => sizes.map((_, i) => sum(sizes.slice(0, i + 1)));
  const wanted = ends(pieces([all]));
  for (let at = 1; at < all.length; at++) {
    const got = ends(pieces([all.subarray(0, at), all.subarray(at)]));
    // A cut within a header comes instead of the one before it.
    const missing = wanted.filter((end) => !got.includes(end));
    assert.ok(
      missing.every((end) => end < at && at < end + 9),
      `read ends at ${at}: ${missing}`,
    );
  }
  const bytewise = Array.from(all, (_, i) => all.subarray(i, i + 1));
  assert.equal(pieces(bytewise).length, all.length);
});

test("what is not HTTP/2 is not cut", () => {
  for (const text of ["GET / HTTP/1.1\r\n\r\n", "\0\0\0\x04\0\0\0\0\x01 and more", "PRI * HTML"]) {
    assert.deepEqual(pieces([Buffer.from(text)]), [text.length]);
  }
});

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
