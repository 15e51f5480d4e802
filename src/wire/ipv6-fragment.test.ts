import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { bytes, hex } from "../../test/vectors/frames.js";
import * as fragment from "./ipv6-fragment.js";

test("the last fragment of a real datagram is read", () => {
  const b = bytes("11000b5000000001"); // from zeek/ipv6-fragmented-dns.pcap
  assert.equal(fragment.nextHeader(b, 0), 17);
  assert.equal(fragment.offsetBytes(b, 0), 2896);
  assert.equal(fragment.moreFragments(b, 0), false);
  assert.equal(fragment.id(b, 0), 1);
  assert.equal(fragment.isAtomic(b, 0), false);
});

test("a fragment at offset 0 with nothing after it is atomic, whatever its reserved bits (RFC 6946)", () => {
  assert.equal(fragment.isAtomic(bytes("06ff000600000007"), 0), true);
  assert.equal(fragment.isAtomic(bytes("0600000100000007"), 0), false);
  assert.equal(fragment.isAtomic(bytes("0600000800000007"), 0), false);
});

test("write leaves no byte of what was there before", () => {
  const b = new Uint8Array(10).fill(0xa5);
  fragment.write(b, 1, 17, 2896, false, 1);
  assert.equal(hex(b), "a511000b5000000001a5");
});

test("what is written is read back", () => {
  const offset = fc.nat(8191).map((units) => units * 8);
  fc.assert(
    fc.property(fc.nat(255), offset, fc.boolean(), fc.integer(), (next, at, more, id) => {
      const b = new Uint8Array(8).fill(0xa5);
      fragment.write(b, 0, next, at, more, id);
      return (
        fragment.nextHeader(b, 0) === next &&
        fragment.offsetBytes(b, 0) === at &&
        fragment.moreFragments(b, 0) === more &&
        fragment.id(b, 0) === id &&
        fragment.isAtomic(b, 0) === (at === 0 && !more)
      );
    }),
  );
});
