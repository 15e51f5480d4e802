import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { bytes, frame, hex } from "../../test/vectors/frames.js";
import { IpAddress } from "../base/ip-address.js";
import { Drop } from "./drop.js";
import * as ipv4 from "./ipv4.js";

const word = (text: string): number => IpAddress.parse(text).w3;

test("a real header is read, and the packet ends before the frame's padding", () => {
  const b = frame("echoRequest");
  const at = 14;
  assert.equal(ipv4.check(b, at, b.length), Drop.NONE);
  assert.equal(ipv4.version(b, at), 4);
  assert.equal(ipv4.headerBytes(b, at), 20);
  assert.equal(ipv4.hasOptions(b, at), false);
  assert.equal(ipv4.totalLengthBytes(b, at), 48);
  assert.equal(ipv4.endOf(b, at), 62);
  assert.equal(ipv4.id(b, at), 0x61b4);
  assert.equal(ipv4.dontFragment(b, at), true);
  assert.equal(ipv4.isFragment(b, at), false);
  assert.equal(ipv4.ttl(b, at), 64);
  assert.equal(ipv4.protocol(b, at), 1);
  assert.equal(ipv4.src(b, at), word("10.40.2.3"));
  assert.equal(ipv4.dst(b, at), word("10.30.4.4"));
  assert.equal(ipv4.checksum(b, at), 0xbecc);
  assert.equal(ipv4.checksumIsValid(b, at), true);
  assert.equal(ipv4.payloadAt(b, at), 34);
});

test("traffic class bits are read apart", () => {
  const b = frame("portUnreachable");
  assert.equal(ipv4.tos(b, 14), 0xc0);
  assert.equal(ipv4.dscp(b, 14), 48);
  assert.equal(ipv4.ecn(b, 14), 0);
});

test("a fragment says where it belongs", () => {
  const b = frame("fragment");
  assert.equal(ipv4.check(b, 14, b.length), Drop.NONE);
  assert.equal(ipv4.isFragment(b, 14), true);
  assert.equal(ipv4.moreFragments(b, 14), true);
  assert.equal(ipv4.fragmentOffsetBytes(b, 14), 0);
});

test("a packet cut short anywhere is IP4_TRUNCATED", () => {
  const b = frame("igmpV2Report");
  for (let n = 0; n < 32; n++) {
    assert.equal(ipv4.check(b, 14, 14 + n), Drop.IP4_TRUNCATED, `${n} bytes`);
  }
  assert.equal(ipv4.check(b, 14, 14 + 32), Drop.NONE);
});

for (const [what, at, value, drop] of [
  ["version 6", 0, 0x65, Drop.IP4_BAD_VERSION],
  ["a header of 16 bytes", 0, 0x44, Drop.IP4_BAD_HEADER_LENGTH],
  ["a total length below the header", 3, 19, Drop.IP4_BAD_TOTAL_LENGTH],
  ["a header beyond the total length", 0, 0x4f, Drop.IP4_BAD_TOTAL_LENGTH],
  ["a total length beyond the frame", 2, 1, Drop.IP4_TRUNCATED],
] as const) {
  test(`${what} is refused`, () => {
    const b = frame("echoRequest").subarray(14);
    b[at] = value;
    assert.equal(ipv4.check(b, 0, b.length), drop);
  });
}

test("one wrong bit makes the checksum wrong", () => {
  const b = frame("echoRequest");
  b[20]! ^= 0x01;
  assert.equal(ipv4.checksumIsValid(b, 14), false);
});

test("write and fillChecksum make the bytes of a real header, even in a dirty buffer", () => {
  const b = new Uint8Array(22).fill(0xa5);
  ipv4.write(b, 1, 48, 1, word("10.40.2.3"), word("10.30.4.4"));
  ipv4.setId(b, 1, 0x61b4);
  ipv4.fillChecksum(b, 1);
  assert.equal(hex(b), `a5${hex(frame("echoRequest"), 14, 34)}a5`);
});

test("write alone leaves no byte of what was there before", () => {
  const b = new Uint8Array(20).fill(0xa5);
  ipv4.write(b, 0, 20, 17, 0x01020304, 0x05060708);
  assert.equal(hex(b), "4500001400004000401100000102030405060708");
});

test("setters change their field and no other", () => {
  const b = new Uint8Array(24);
  ipv4.write(b, 0, 24, 2, 1, 2);
  ipv4.setHeaderBytes(b, 0, 24);
  ipv4.setTos(b, 0, 0xc0);
  ipv4.setTtl(b, 0, 1);
  ipv4.setDontFragment(b, 0, false);
  assert.equal(hex(b, 0, 20), "46c0001800000000010200000000000100000002");
  ipv4.setFragment(b, 0, 1480, true);
  ipv4.setTotalLength(b, 0, 1500);
  assert.equal(hex(b, 0, 8), "46c005dc000020b9");
  assert.equal(ipv4.fragmentOffsetBytes(b, 0), 1480);
  ipv4.setDontFragment(b, 0, true);
  assert.equal(hex(b, 0, 8), "46c005dc00004000");
});

test("the adjusted checksums of decrementTtl and markCongestion are what a full sum gives", () => {
  const field = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), field, (header, tos) => {
      const b = Uint8Array.from(header);
      b[0] = 0x45;
      b[1] = tos;
      b[8] = Math.max(1, b[8]!);
      ipv4.fillChecksum(b, 0);
      ipv4.decrementTtl(b, 0);
      assert.equal(ipv4.checksumIsValid(b, 0), true);
      ipv4.markCongestion(b, 0);
      assert.equal(ipv4.checksumIsValid(b, 0), true);
      assert.equal(ipv4.ecn(b, 0), 3);
    }),
  );
});

test("check accepts exactly the lengths that cover the header and fit the frame", () => {
  const length = fc.integer({ min: 0, max: 100 });
  fc.assert(
    fc.property(length, length, fc.integer({ min: 5, max: 15 }), (total, held, ihl) => {
      const b = new Uint8Array(100);
      b[0] = 0x40 | ihl;
      b[3] = total;
      const accepted = ipv4.check(b, 0, held) === Drop.NONE;
      return accepted === (held >= 20 && total >= ihl * 4 && total <= held);
    }),
  );
});

test("a quoted header needs no more than itself", () => {
  const quoted = frame("timeExceeded").subarray(42);
  assert.equal(ipv4.checkQuoted(quoted, 0, quoted.length), Drop.NONE);
  assert.equal(ipv4.checkQuoted(quoted, 0, 20), Drop.NONE);
  for (let end = 0; end < 20; end++) {
    assert.equal(ipv4.checkQuoted(quoted, 0, end), Drop.ICMP_BAD_QUOTE);
  }
  assert.equal(ipv4.checkQuoted(bytes(`46${hex(quoted, 1)}`), 0, 20), Drop.ICMP_BAD_QUOTE);
  assert.equal(ipv4.checkQuoted(bytes(`65${hex(quoted, 1)}`), 0, 20), Drop.ICMP_BAD_QUOTE);
});
