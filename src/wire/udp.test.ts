import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { frame, hex } from "../../test/vectors/frames.js";
import { Drop } from "./drop.js";
import * as pseudo from "./pseudo-header.js";
import * as udp from "./udp.js";

const AT = 34;

test("a real datagram is read and its checksum is right", () => {
  const b = frame("udp");
  assert.equal(udp.check(b, AT, b.length), Drop.NONE);
  assert.equal(udp.srcPort(b, AT), 1985);
  assert.equal(udp.dstPort(b, AT), 1985);
  assert.equal(udp.lengthBytes(b, AT), 28);
  assert.equal(udp.payloadBytes(b, AT), 20);
  assert.equal(udp.payloadAt(b, AT), 42);
  assert.equal(udp.endOf(b, AT), 62);
  assert.equal(udp.checksum(b, AT), 0x2d8d);
  assert.equal(udp.checksumIsValid(b, AT, pseudo.sum4(b, 14, 17, 28)), true);
});

test("a wrong bit makes the checksum wrong", () => {
  const b = frame("udp");
  b[60]! ^= 0x80;
  assert.equal(udp.checksumIsValid(b, AT, pseudo.sum4(b, 14, 17, 28)), false);
});

test("an omitted checksum is seen", () => {
  const b = frame("udpNoChecksum");
  assert.equal(udp.checksumOmitted(b, AT), true);
  assert.equal(udp.checksumOmitted(frame("udp"), AT), false);
});

test("a header or payload cut short anywhere is UDP_TRUNCATED", () => {
  const b = frame("udp");
  for (let n = 0; n < 28; n++) {
    assert.equal(udp.check(b, AT, AT + n), Drop.UDP_TRUNCATED, `${n} bytes`);
  }
  assert.equal(udp.check(b, AT, AT + 28), Drop.NONE);
});

test("a length below 8 is refused, port 0 is not", () => {
  const b = frame("udp").subarray(AT);
  b.set([0, 0], 0);
  assert.equal(udp.check(b, 0, b.length), Drop.NONE);
  b.set([0, 0], 2);
  assert.equal(udp.check(b, 0, b.length), Drop.NONE);
  b.set([0, 7], 4);
  assert.equal(udp.check(b, 0, b.length), Drop.UDP_BAD_LENGTH);
});

test("write and fillChecksum make the bytes of a real datagram, even in a dirty buffer", () => {
  const real = frame("udp");
  const b = new Uint8Array(30).fill(0xa5);
  b.set(real.subarray(42), 9);
  udp.write(b, 1, 1985, 1985, 20);
  assert.equal(hex(b, 0, 9), "a507c107c1001c0000");
  udp.fillChecksum(b, 1, pseudo.sum4(real, 14, 17, 28));
  assert.equal(hex(b), `a5${hex(real, AT)}a5`);
});

test("a checksum that comes out as 0 is sent as ffff, and that is right", () => {
  const b = new Uint8Array(8);
  udp.write(b, 0, 0, 1, 0);
  const pseudoSum = 0xffff - 1 - 8; // all words together sum to ffff, its complement is 0
  udp.fillChecksum(b, 0, pseudoSum);
  assert.equal(udp.checksum(b, 0), 0xffff);
  assert.equal(udp.checksumIsValid(b, 0, pseudoSum), true);
});

test("check accepts exactly the lengths that cover the header and fit the packet", () => {
  const size = fc.integer({ min: 0, max: 40 });
  fc.assert(
    fc.property(size, size, (claimed, held) => {
      const b = Uint8Array.of(0, 0, 0, 53, 0, claimed, 0, 0);
      const accepted = udp.check(b, 0, held) === Drop.NONE;
      return accepted === (claimed >= udp.HEADER_BYTES && claimed <= held);
    }),
  );
});

test("what is filled in is valid, for any payload", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(0xfffff), (payload, pseudoSum) => {
      const b = new Uint8Array(8 + payload.length);
      b.set(payload, 8);
      udp.write(b, 0, 1, 2, payload.length);
      udp.fillChecksum(b, 0, pseudoSum);
      return !udp.checksumOmitted(b, 0) && udp.checksumIsValid(b, 0, pseudoSum);
    }),
  );
});
