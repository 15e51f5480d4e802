import assert from "node:assert/strict";
import { test } from "node:test";
import { SipHash } from "./siphash.js";

const KEY = Uint8Array.from({ length: 16 }, (_, i) => i);
const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, "0");
const word = (i: number): number =>
  (4 * i) | ((4 * i + 1) << 8) | ((4 * i + 2) << 16) | ((4 * i + 3) << 24);

// Vectors of the reference implementation: message 00 01 02 …, key 00 01 … 0f.
test("SipHash-2-4 gives the reference values for 0, 4, 8 and 12 bytes", () => {
  const sip = new SipHash(KEY);
  const words = Int32Array.from([word(0), word(1), word(2), word(3)]);
  const hash = (n: number): string => {
    sip.hash(words, n);
    return hex(sip.high) + hex(sip.low);
  };
  assert.equal(hash(0), "726fdb47dd0e0e31");
  assert.equal(hash(1), "cf2794e0277187b7");
  assert.equal(hash(2), "93f5f5799a932462");
  assert.equal(hash(3), "751e8fbc860ee5fb");
  assert.equal(hash(4), "3f2acc7f57c29bdb");
});

test("another key gives another hash", () => {
  const a = new SipHash(KEY).hash(Int32Array.of(1, 2, 3), 3);
  const b = new SipHash(Uint8Array.from(KEY).fill(7)).hash(Int32Array.of(1, 2, 3), 3);
  assert.notEqual(a, b);
});

test("a key of another length is refused", () => {
  assert.throws(() => new SipHash(new Uint8Array(8)), RangeError);
});
