import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { frame, hex } from "../../test/vectors/frames.js";
import { IpAddress } from "../base/ip-address.js";
import { Drop } from "./drop.js";
import * as ipv6 from "./ipv6.js";

test("a real header is read", () => {
  const b = frame("tcp6");
  assert.equal(ipv6.check(b, 14, b.length), Drop.NONE);
  assert.equal(ipv6.version(b, 14), 6);
  assert.equal(ipv6.trafficClass(b, 14), 0);
  assert.equal(ipv6.flowLabel(b, 14), 0x26f68);
  assert.equal(ipv6.payloadLengthBytes(b, 14), 32);
  assert.equal(ipv6.endOf(b, 14), 86);
  assert.equal(ipv6.nextHeader(b, 14), 6);
  assert.equal(ipv6.hopLimit(b, 14), 58);
  const a = new IpAddress();
  a.read6(b, 14 + ipv6.SRC);
  assert.equal(a.toString(), "2400:cb00:2048:1::6813:c266");
  a.read6(b, 14 + ipv6.DST);
  assert.equal(a.toString(), "2001:16d8:ffce:10:aca8:353c:291d:a9b3");
});

test("a packet cut short anywhere is IP6_TRUNCATED", () => {
  const b = frame("tcp6");
  for (let n = 0; n < 72; n++) {
    assert.equal(ipv6.check(b, 14, 14 + n), Drop.IP6_TRUNCATED, `${n} bytes`);
  }
  assert.equal(ipv6.check(b, 14, 14 + 72), Drop.NONE);
});

test("another version is refused", () => {
  const b = frame("tcp6").subarray(14);
  b[0] = 0x40;
  assert.equal(ipv6.check(b, 0, b.length), Drop.IP6_BAD_VERSION);
});

test("write makes the bytes of a real header, even in a dirty buffer", () => {
  const b = new Uint8Array(42).fill(0xa5);
  const src = IpAddress.parse("2400:cb00:2048:1::6813:c266");
  ipv6.write(b, 1, 32, 6, src, IpAddress.parse("2001:16d8:ffce:10:aca8:353c:291d:a9b3"));
  ipv6.setClassAndFlow(b, 1, 0, 0x26f68);
  ipv6.setHopLimit(b, 1, 58);
  assert.equal(hex(b), `a5${hex(frame("tcp6"), 14, 54)}a5`);
});

test("setters change their field and no other", () => {
  const b = new Uint8Array(40);
  ipv6.write(b, 0, 0, 59, new IpAddress(), new IpAddress());
  ipv6.setClassAndFlow(b, 0, 0xb8, 0xfffff);
  ipv6.setPayloadLength(b, 0, 0x1234);
  ipv6.setNextHeader(b, 0, 17);
  ipv6.setHopLimit(b, 0, 255);
  assert.equal(hex(b, 0, 8), "6b8fffff123411ff");
  ipv6.markCongestion(b, 0);
  assert.equal(ipv6.trafficClass(b, 0), 0xbb);
  assert.equal(ipv6.ecn(b, 0), 3);
  assert.equal(ipv6.flowLabel(b, 0), 0xfffff);
});

test("traffic class and flow label are read as written", () => {
  const b = new Uint8Array(40);
  fc.assert(
    fc.property(fc.nat(255), fc.nat(0xfffff), (trafficClass, label) => {
      ipv6.setClassAndFlow(b, 0, trafficClass, label);
      return (
        ipv6.trafficClass(b, 0) === trafficClass &&
        ipv6.flowLabel(b, 0) === label &&
        ipv6.version(b, 0) === 6
      );
    }),
  );
});

test("a quoted header needs no more than itself", () => {
  const quoted = frame("packetTooBig").subarray(62);
  assert.equal(ipv6.checkQuoted(quoted, 0, 40), Drop.NONE);
  for (let end = 0; end < 40; end++) {
    assert.equal(ipv6.checkQuoted(quoted, 0, end), Drop.ICMP_BAD_QUOTE);
  }
});
