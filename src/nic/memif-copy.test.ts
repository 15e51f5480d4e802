import assert from "node:assert/strict";
import { test } from "node:test";
import { copyInArena } from "./memif-copy.js";

test("exactly the bytes asked for are copied, at every alignment and length", () => {
  const bytes = new Uint8Array(2048);
  const words = new Int32Array(bytes.buffer);
  for (let from = 0; from < 5; from++) {
    for (let to = 1024; to < 1029; to++) {
      for (const n of [0, 1, 2, 3, 4, 5, 7, 8, 9, 14, 60, 63, 64, 65, 190, 192, 193, 194, 500]) {
        bytes.fill(0xa5);
        for (let i = 0; i < n; i++) bytes[from + i] = (i * 7 + 1) & 0x7f;
        copyInArena(bytes, words, to, from, n);
        for (let i = 0; i < n; i++) assert.equal(bytes[to + i], (i * 7 + 1) & 0x7f);
        assert.equal(bytes[to - 1], 0xa5, `before, ${from} ${to} ${n}`);
        assert.equal(bytes[to + n], 0xa5, `after, ${from} ${to} ${n}`);
      }
    }
  }
});
