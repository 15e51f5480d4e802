import assert from "node:assert/strict";
import { test } from "node:test";
import { copyAligned, type WordsAndBytes } from "./packet-copy.js";

function buffer(fill: (i: number) => number): WordsAndBytes {
  const bytes = Uint8Array.from({ length: 80_000 }, (_, i) => fill(i));
  return { bytes, words: new Int32Array(bytes.buffer) };
}

test("every length is copied whole, and at most three bytes around it are touched", () => {
  for (const n of [1, 2, 3, 4, 5, 14, 60, 61, 62, 63, 64, 1_514, 2_047, 2_048, 2_049, 65_550]) {
    for (const offset of [0, 1, 2, 3]) {
      const from = buffer((i) => i * 31);
      const to = buffer(() => 0xa5);
      const [fromAt, toAt] = [400 + offset, 1_200 + offset];
      copyAligned(to, toAt, from, fromAt, n);
      const copied = Buffer.from(to.bytes.subarray(toAt, toAt + n));
      assert.ok(copied.equals(from.bytes.subarray(fromAt, fromAt + n)), `${n} at ${offset}`);
      assert.equal(to.bytes[toAt - 4], 0xa5);
      assert.equal(to.bytes[toAt + n + 3], 0xa5);
    }
  }
});
