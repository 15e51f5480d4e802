import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, frame, hex } from "../../test/vectors/frames.js";
import { Drop } from "./drop.js";
import * as icmpv6 from "./icmpv6.js";
import * as pseudo from "./pseudo-header.js";

const AT = 54;

test("a real echo request is read and its checksum is right", () => {
  const b = frame("echoRequest6");
  const sum = pseudo.sum6(b, 14, 58, 16);
  assert.equal(icmpv6.check(b, AT, b.length), Drop.NONE);
  assert.equal(icmpv6.type(b, AT), icmpv6.ECHO_REQUEST);
  assert.equal(icmpv6.echoId(b, AT), 0x7620);
  assert.equal(icmpv6.echoSequence(b, AT), 0);
  assert.equal(icmpv6.checksum(b, AT), 0xa572);
  assert.equal(icmpv6.checksumIsValid(b, AT, b.length, sum), true);
  b[60]! ^= 1;
  assert.equal(icmpv6.checksumIsValid(b, AT, b.length, sum), false);
});

test("a real packet too big is an error and names the MTU", () => {
  const b = frame("packetTooBig");
  assert.equal(icmpv6.type(b, AT), icmpv6.PACKET_TOO_BIG);
  assert.equal(icmpv6.code(b, AT), 0);
  assert.equal(icmpv6.rest(b, AT), 1280);
  assert.equal(icmpv6.mtuBytes(b, AT), 1280);
  assert.equal(icmpv6.payloadAt(b, AT), 62);
  assert.equal(icmpv6.isError(icmpv6.type(b, AT)), true);
  assert.equal(icmpv6.isError(icmpv6.ECHO_REQUEST), false);
});

test("a pointer of 32 bits is not negative", () => {
  assert.equal(icmpv6.pointer(bytes("0400 0000 fffffff0"), 0), 0xfffffff0);
});

test("a message cut short anywhere is ICMP6_TRUNCATED", () => {
  for (let n = 0; n < 8; n++) {
    assert.equal(icmpv6.check(frame("echoRequest6"), AT, AT + n), Drop.ICMP6_TRUNCATED);
  }
});

test("write and fillChecksum make the bytes of a real echo, even in a dirty buffer", () => {
  const real = frame("echoRequest6");
  const b = new Uint8Array(18).fill(0xa5);
  b.set(real.subarray(62), 9);
  icmpv6.writeEcho(b, 1, icmpv6.ECHO_REQUEST, 0x7620, 0);
  assert.equal(hex(b, 0, 9), "a58000000076200000");
  icmpv6.fillChecksum(b, 1, 17, pseudo.sum6(real, 14, 58, 16));
  assert.equal(hex(b), `a5${hex(real, AT)}a5`);
});
