import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { frame, hex } from "../../test/vectors/frames.js";
import { Drop } from "./drop.js";
import * as pseudo from "./pseudo-header.js";
import * as tcp from "./tcp.js";

const AT = 34;

test("a real SYN is read and its checksum is right", () => {
  const b = frame("syn");
  assert.equal(tcp.check(b, AT, b.length), Drop.NONE);
  assert.equal(tcp.srcPort(b, AT), 42741);
  assert.equal(tcp.dstPort(b, AT), 179);
  assert.equal(tcp.seq(b, AT), 0x8afa6c32 | 0);
  assert.equal(tcp.ack(b, AT), 0);
  assert.equal(tcp.headerBytes(b, AT), 40);
  assert.equal(tcp.payloadAt(b, AT), 74);
  assert.equal(tcp.flags(b, AT), tcp.SYN);
  assert.equal(tcp.window(b, AT), 29_200);
  assert.equal(tcp.checksum(b, AT), 0x9871);
  assert.equal(tcp.urgentPointer(b, AT), 0);
  assert.equal(tcp.checksumIsValid(b, AT, b.length, pseudo.sum4(b, 14, 6, 40)), true);
});

test("the flags of RFC 3168 are read", () => {
  assert.equal(tcp.flags(frame("synAccEcn"), AT), tcp.SYN | tcp.ECE | tcp.CWR);
});

test("the checksum over IPv6 is right in a real segment, and wrong after one bit", () => {
  const b = frame("tcp6");
  assert.equal(tcp.checksumIsValid(b, 54, b.length, pseudo.sum6(b, 14, 6, 32)), true);
  b[60]! ^= 4;
  assert.equal(tcp.checksumIsValid(b, 54, b.length, pseudo.sum6(b, 14, 6, 32)), false);
});

test("a header cut short anywhere is TCP_TRUNCATED", () => {
  const b = frame("syn");
  for (let n = 0; n < 40; n++) {
    assert.equal(tcp.check(b, AT, AT + n), Drop.TCP_TRUNCATED, `${n} bytes`);
  }
});

for (const [what, at, value, drop] of [
  ["a data offset of 4 words", 12, 0x4f, Drop.TCP_BAD_HEADER_LENGTH],
  ["a data offset beyond the packet", 12, 0xb0, Drop.TCP_TRUNCATED],
  ["a SYN from port 0", 0, [0, 0], Drop.TCP_BAD_PORT],
] as const) {
  test(`${what} is refused`, () => {
    const b = frame("syn").subarray(AT);
    b.set([value].flat(), at);
    assert.equal(tcp.check(b, 0, b.length), drop);
  });
}

test("a SYN to port 0 and a refusal from there are none of that", () => {
  const b = frame("syn").subarray(AT);
  b.set([0, 0], 2);
  assert.equal(tcp.check(b, 0, b.length), Drop.NONE);
  b.set([0, 0, 0x30, 0x39], 0);
  b[13] = tcp.RST | tcp.ACK;
  assert.equal(tcp.check(b, 0, b.length), Drop.NONE);
});

test("the three parts write every byte of a real header, even in a dirty buffer", () => {
  const real = frame("sack");
  const b = new Uint8Array(46).fill(0xa5);
  tcp.writePorts(b, 1, 22, 62146);
  tcp.writeNumbers(b, 1, 0x9257b836, 0xf352059a);
  tcp.writeControl(b, 1, 44, tcp.ACK, 340);
  assert.equal(hex(b, 0, 22), "a50016f2c29257b836f352059ab010015400000000a5");
  b.set(real.subarray(54), 21);
  tcp.fillChecksum(b, 1, 45, pseudo.sum4(real, 14, 6, 44));
  assert.equal(hex(b), `a5${hex(real, AT)}a5`);
});

test("a checksum and an urgent pointer are stored where they belong", () => {
  const b = new Uint8Array(20).fill(0xa5);
  tcp.setChecksum(b, 0, 0x1234);
  tcp.setUrgentPointer(b, 0, 0x5678);
  assert.equal(hex(b, 14), "a5a512345678");
});

test("a record is written and read back as it was", () => {
  const header = fc.record({
    srcPort: fc.integer({ min: 1, max: 65_535 }),
    dstPort: fc.integer({ min: 1, max: 65_535 }),
    seq: fc.nat(0xffff_ffff),
    ack: fc.nat(0xffff_ffff),
    flags: fc.nat(255),
    window: fc.nat(65_535),
    urgentPointer: fc.nat(65_535),
  });
  const headerBytes = fc.integer({ min: 5, max: 15 }).map((words) => words * 4);
  fc.assert(
    fc.property(header, headerBytes, fc.nat(0xfffff), (h, size, pseudoSum) => {
      const b = new Uint8Array(60).fill(0xa5);
      tcp.write(b, 0, size, h);
      assert.equal(tcp.checksum(b, 0), 0);
      tcp.fillChecksum(b, 0, 60, pseudoSum);
      assert.deepEqual(tcp.parse(b, 0), { ...h });
      assert.equal(tcp.headerBytes(b, 0), size);
      assert.equal(tcp.check(b, 0, size), Drop.NONE);
      assert.equal(tcp.checksumIsValid(b, 0, 60, pseudoSum), true);
    }),
  );
});
