import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { adjust, finish, fold, sum, sumView } from "./checksum.js";
import { MAX_BYTES, sumKernel } from "./checksum-simd.js";
import { Random } from "./random.js";

/** RFC 1071 §4.1 as it stands there, over bytes. */
function obvious(b: Uint8Array, at: number, n: number): number {
  let s = 0;
  for (let i = 0; i < n; i++) {
    s += i % 2 === 0 ? b[at + i]! * 256 : b[at + i]!;
    if (s > 0xffff) s -= 0xffff;
  }
  return s;
}

const memory = new WebAssembly.Memory({ initial: 4, maximum: 4 });
const bytes = new Uint8Array(memory.buffer);
const view = new DataView(memory.buffer);
const random = new Random(1);
for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
const kernel = sumKernel(memory);

function compareAll(at: number, n: number): void {
  const want = obvious(bytes, at, n);
  assert.equal(fold(sum(bytes, at, n, 0)), want, `sum of ${n} bytes at ${at}`);
  assert.equal(fold(sumView(view, at, n, 0)), want, `sumView of ${n} bytes at ${at}`);
  if (kernel !== null) assert.equal(kernel(at, n), want, `kernel over ${n} bytes at ${at}`);
}

test("the example of RFC 1071 §3 sums to ddf2", () => {
  const b = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  assert.equal(fold(sum(b, 0, 8, 0)), 0xddf2);
  assert.equal(finish(sum(b, 0, 8, 0)), 0x220d);
});

test("the SIMD kernel exists on every supported Node", () => {
  assert.notEqual(kernel, null);
});

test("all versions agree with the byte loop at every length to 200 and many offsets", () => {
  for (let n = 0; n <= 200; n++) for (let at = 4096; at < 4096 + 17; at++) compareAll(at, n);
});

test("all versions agree on long ranges", () => {
  for (const n of [1460, 1461, 4095, 9000, 65_535, 65_536, 65_537, 65_600, 100_001]) {
    for (const at of [0, 1, 8, 4099]) compareAll(at, n);
  }
});

test("all versions agree on ranges of ff and of zero, where carries and zero are hardest", () => {
  const saved = bytes.slice();
  for (const value of [0xff, 0]) {
    bytes.fill(value);
    for (const n of [1, 2, 3, 15, 16, 64, 79, 1460, 65_536, 131_071]) compareAll(3, n);
  }
  bytes.set(saved);
});

test("the kernel takes ranges up to its limit", () => {
  const big = new WebAssembly.Memory({ initial: 17, maximum: 17 });
  const b = new Uint8Array(big.buffer).fill(0xff);
  assert.equal(sumKernel(big)!(1, MAX_BYTES), 0xffff);
  b.fill(0);
  b[MAX_BYTES - 1] = 7;
  assert.equal(sumKernel(big)!(0, MAX_BYTES), 7);
});

test("pieces of even length may be summed one after the other", () => {
  const cut = fc.integer({ min: 0, max: 700 });
  fc.assert(
    fc.property(cut, cut, (words, rest) => {
      const n = words * 2;
      const partial = sum(bytes, 100, n, 0);
      const whole = obvious(bytes, 100, n + rest);
      return (
        fold(sum(bytes, 100 + n, rest, partial)) === whole &&
        fold(sumView(view, 100 + n, rest, partial)) === whole
      );
    }),
  );
});

test("fold is the value modulo 65,535, and zero only for zero", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 }), (partial) => {
      const f = fold(partial);
      return f <= 0xffff && f % 0xffff === partial % 0xffff && (f === 0) === (partial === 0);
    }),
  );
});

test("adjust gives the checksum that a new sum would, short of the two zeros", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 4, maxLength: 40 }),
      fc.nat(1),
      fc.nat(0xffff),
      (data, word, value) => {
        const b = data.slice(0, data.length & ~1);
        const before = finish(sum(b, 0, b.length, 0));
        const old = (b[word * 2]! << 8) | b[word * 2 + 1]!;
        b[word * 2] = value >>> 8;
        b[word * 2 + 1] = value;
        return adjust(before, old, value) % 0xffff === finish(sum(b, 0, b.length, 0)) % 0xffff;
      },
    ),
  );
});
