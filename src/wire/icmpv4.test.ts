import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { bytes, frame, hex } from "../../test/vectors/frames.js";
import { Drop } from "./drop.js";
import * as icmpv4 from "./icmpv4.js";

const AT = 34;

test("a real echo request is read and its checksum is right", () => {
  const b = frame("echoRequest");
  assert.equal(icmpv4.check(b, AT, b.length), Drop.NONE);
  assert.equal(icmpv4.type(b, AT), icmpv4.ECHO_REQUEST);
  assert.equal(icmpv4.code(b, AT), 0);
  assert.equal(icmpv4.echoId(b, AT), 0x4024);
  assert.equal(icmpv4.echoSequence(b, AT), 0);
  assert.equal(icmpv4.checksum(b, AT), 0xb7db);
  assert.equal(icmpv4.checksumIsValid(b, AT, b.length), true);
  b[50] = 1;
  assert.equal(icmpv4.checksumIsValid(b, AT, b.length), false);
});

test("a real port unreachable is an error and quotes a packet", () => {
  const b = frame("portUnreachable");
  assert.equal(icmpv4.type(b, AT), icmpv4.UNREACHABLE);
  assert.equal(icmpv4.code(b, AT), icmpv4.PORT_UNREACHABLE);
  assert.equal(icmpv4.payloadAt(b, AT), 42);
  assert.equal(icmpv4.isError(icmpv4.type(b, AT)), true);
  assert.equal(icmpv4.isError(icmpv4.ECHO_REQUEST), false);
});

test("next-hop MTU, gateway and pointer are read from the second word", () => {
  const b = bytes("0304 0000 0000 05dc");
  assert.equal(icmpv4.nextHopMtuBytes(b, 0), 1500);
  assert.equal(icmpv4.rest(b, 0), 1500);
  assert.equal(icmpv4.gateway(bytes("0501 0000 0a000001"), 0), 0x0a000001);
  assert.equal(icmpv4.pointer(bytes("0c00 0000 14000000"), 0), 20);
});

test("a message cut short anywhere is ICMP4_TRUNCATED", () => {
  for (let n = 0; n < 8; n++) {
    assert.equal(icmpv4.check(frame("echoRequest"), AT, AT + n), Drop.ICMP4_TRUNCATED);
  }
});

test("write leaves no byte of what was there before", () => {
  const b = new Uint8Array(10).fill(0xa5);
  icmpv4.write(b, 1, icmpv4.UNREACHABLE, icmpv4.FRAGMENTATION_NEEDED, 1280);
  assert.equal(hex(b), "a50304000000000500a5");
});

test("writeEcho and fillChecksum make the bytes of a real echo, and turnEcho its reply", () => {
  const real = frame("echoRequest");
  const b = new Uint8Array(28);
  icmpv4.writeEcho(b, 0, icmpv4.ECHO_REQUEST, 0x4024, 0);
  icmpv4.fillChecksum(b, 0, 28);
  assert.equal(hex(b), hex(real, AT));
  icmpv4.turnEcho(b, 0);
  assert.equal(hex(b, 0, 8), "0000bfdb40240000");
  assert.equal(icmpv4.checksumIsValid(b, 0, 28), true);
});

test("a turned echo's checksum is right for any data", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), fc.nat(0xffff), (data, id) => {
      const b = new Uint8Array(8 + data.length);
      b.set(data, 8);
      icmpv4.writeEcho(b, 0, icmpv4.ECHO_REQUEST, id, 7);
      icmpv4.fillChecksum(b, 0, b.length);
      icmpv4.turnEcho(b, 0);
      return icmpv4.checksumIsValid(b, 0, b.length) && icmpv4.echoId(b, 0) === id;
    }),
  );
});
