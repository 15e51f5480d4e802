import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { bytes, frame, hex } from "../../test/vectors/frames.js";
import { Drop } from "./drop.js";
import * as ipv4 from "./ipv4.js";
import * as options from "./ipv4-options.js";

/** A header with these options, which are padded with END. */
function header(optionsHex: string): Uint8Array {
  const list = bytes(optionsHex);
  const size = 20 + ((list.length + 3) & ~3);
  const b = new Uint8Array(size);
  ipv4.write(b, 0, size, 17, 1, 2);
  ipv4.setHeaderBytes(b, 0, size);
  b.set(list, 20);
  return b;
}

test("the router alert of a real IGMP report is found", () => {
  assert.equal(options.check(frame("igmpV2Report"), 14), Drop.NONE);
  assert.equal(options.routerAlertOut, 0);
  assert.equal(options.sourceRouteAtOut, -1);
});

test("a header without options has none", () => {
  assert.equal(options.check(frame("echoRequest"), 14), Drop.NONE);
  assert.equal(options.routerAlertOut, -1);
});

test("record route, timestamp and source routes are found where they stand", () => {
  assert.equal(options.check(header("01 0707 04 00000000 4408 05 00 00000000"), 0), Drop.NONE);
  assert.equal(options.recordRouteAtOut, 21);
  assert.equal(options.timestampAtOut, 28);
  assert.equal(options.check(header("8307 04 0a000001"), 0), Drop.NONE);
  assert.equal(options.sourceRouteAtOut, 20);
  assert.equal(options.check(header("8907 04 0a000001"), 0), Drop.NONE);
  assert.equal(options.sourceRouteAtOut, 20);
});

test("unknown options are passed by their length, and END ends the list", () => {
  assert.equal(options.check(header("5504ffff 94040000 00 8301"), 0), Drop.NONE);
  assert.equal(options.routerAlertOut, 0);
  assert.equal(options.sourceRouteAtOut, -1);
});

for (const [what, list, pointer] of [
  ["length 0", "55000000", 21],
  ["length 1", "55010000", 21],
  ["a length beyond the header", "55050000", 21],
  ["a last byte without room for a length", "01010155", 23],
  ["a record route whose pointer is below 4", "07070300000000", 22],
  ["a second source route", "8307040a0000018907040a000001", 29],
  ["a timestamp without room for its flags", "44030500", 22],
  ["a router alert of 3 bytes", "94030000", 21],
] as const) {
  test(`${what} is refused, and the pointer says where`, () => {
    assert.equal(options.check(header(list), 0), Drop.IP4_BAD_OPTION);
    assert.equal(options.problemPointerOut, pointer);
  });
}

test("putRouterAlert writes four bytes in a dirty buffer", () => {
  const b = new Uint8Array(6).fill(0xa5);
  assert.equal(options.putRouterAlert(b, 1), 5);
  assert.equal(hex(b), "a594040000a5");
});

test("a fragment repeats the options with the copied flag only", () => {
  const b = header("01 0707 04 00000000 94040000 8307 04 0a000001");
  const to = new Uint8Array(40).fill(0xa5);
  const n = options.copyForFragment(to, 0, b, 0);
  assert.equal(hex(to, 0, n), "94040000 8307040a000001 00".replaceAll(" ", ""));
  assert.equal(to[n], 0xa5);
});

test("no list of bytes throws, and what was accepted can be copied", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 40 }), (list) => {
      const b = header(hex(list));
      if (options.check(b, 0) !== Drop.NONE) return true;
      return options.copyForFragment(new Uint8Array(40), 0, b, 0) <= b.length - 20;
    }),
  );
});
