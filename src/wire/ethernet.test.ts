import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { bytes, frame, hex } from "../../test/vectors/frames.js";
import { Drop } from "./drop.js";
import * as ethernet from "./ethernet.js";
import * as vlan from "./vlan.js";

test("an untagged frame's payload starts after 14 bytes", () => {
  const b = frame("arpRequest");
  assert.equal(ethernet.check(b, 0, b.length), Drop.NONE);
  assert.equal(ethernet.etherTypeOut, ethernet.TYPE_ARP);
  assert.equal(ethernet.payloadAtOut, 14);
  assert.equal(ethernet.tagsOut, 0);
  assert.equal(ethernet.isBroadcast(b, 0), true);
  assert.equal(ethernet.isGroup(b, 0), true);
});

test("an 802.1Q tag is passed and readable", () => {
  const b = frame("vlanArp");
  assert.equal(ethernet.check(b, 0, b.length), Drop.NONE);
  assert.equal(ethernet.etherTypeOut, ethernet.TYPE_ARP);
  assert.equal(ethernet.payloadAtOut, 18);
  assert.equal(ethernet.type(b, 0), ethernet.TYPE_VLAN);
  assert.equal(vlan.id(b, vlan.tagAt(0, 0)), 123);
  assert.equal(vlan.control(b, vlan.tagAt(0, 0)), 123);
});

test("two tags, 802.1ad outside, are passed", () => {
  const b = frame("doubleTaggedArp");
  assert.equal(ethernet.check(b, 0, b.length), Drop.NONE);
  assert.equal(ethernet.payloadAtOut, 22);
  assert.equal(ethernet.tagsOut, 2);
  assert.equal(vlan.tpid(b, vlan.tagAt(0, 0)), ethernet.TYPE_SERVICE_VLAN);
  assert.equal(vlan.id(b, vlan.tagAt(0, 0)), 200);
  assert.equal(vlan.id(b, vlan.tagAt(0, 1)), 2001);
});

test("a third tag is refused", () => {
  const b = bytes("ffffffffffff 020000000001 88a80001 81000002 81000003 0800 0000");
  assert.equal(ethernet.check(b, 0, b.length), Drop.ETH_TOO_MANY_TAGS);
});

test("an 802.3 length is no EtherType", () => {
  const b = frame("trunkProtocol");
  assert.equal(ethernet.check(b, 0, b.length), Drop.ETH_LLC);
});

test("a header cut short anywhere is ETH_TRUNCATED", () => {
  const b = frame("doubleTaggedArp");
  for (let end = 0; end < 22; end++) {
    assert.equal(ethernet.check(b, 0, end), Drop.ETH_TRUNCATED, `frame of ${end} bytes`);
  }
  assert.equal(ethernet.check(b, 0, 22), Drop.NONE);
});

test("write overwrites every header byte, even in a dirty buffer", () => {
  const b = new Uint8Array(16).fill(0xa5);
  const dst = ethernet.parseAddress("00:1f:29:da:2d:79");
  ethernet.write(b, 1, dst, ethernet.parseAddress("02-00-00-00-00-FF"), 0x86dd);
  assert.equal(hex(b), "a5001f29da2d790200000000ff86dda5");
});

test("IPv4 groups map to 01:00:5e and 23 bits, IPv6 groups to 33:33 and 32 bits", () => {
  const b = new Uint8Array(12);
  ethernet.putGroup4(b, 0, 0xe1_8a_0a_0a | 0); // 225.138.10.10: the high bit of 138 is lost
  ethernet.putGroup6(b, 6, 0xff46e884 | 0);
  assert.equal(hex(b), "01005e0a0a0a3333ff46e884");
});

test("the broadcast address is six times ff", () => {
  const b = new Uint8Array(6);
  ethernet.putBroadcast(b, 0);
  assert.equal(ethernet.formatAddress(b), "ff:ff:ff:ff:ff:ff");
  assert.equal(ethernet.isBroadcast(b, 0), true);
});

test("addresses as text are what they were, and others are refused", () => {
  assert.equal(
    ethernet.formatAddress(ethernet.parseAddress("02:00:5E:10:00:01")),
    "02:00:5e:10:00:01",
  );
  for (const bad of [
    "",
    "02:00:5e:10:00",
    "02:00:5e:10:00:0g",
    "02:00:5e-10:00:01",
    "0200.5e10.0001",
  ]) {
    assert.throws(() => ethernet.parseAddress(bad), TypeError, bad);
  }
});

test("an address is the same after high, low and putAddress", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (mac) => {
      const b = new Uint8Array(6);
      ethernet.putAddress(b, 0, ethernet.high(mac, 0), ethernet.low(mac, 0));
      return ethernet.sameAddress(b, 0, mac, 0) && hex(b) === hex(mac);
    }),
  );
});

test("opening a tag and stripping it gives the frame back", () => {
  const b = new Uint8Array(24).fill(0xa5);
  const untagged = frame("arpRequest").subarray(0, 20);
  b.set(untagged, 4);
  const start = vlan.open(b, 4);
  vlan.write(b, vlan.tagAt(start, 0), ethernet.TYPE_VLAN, 5, 123);
  assert.equal(hex(b, start), `${hex(untagged, 0, 12)}8100a07b${hex(untagged, 12)}`);
  assert.equal(vlan.priority(b, start + 12), 5);
  assert.equal(vlan.dropEligible(b, start + 12), false);
  const back = vlan.strip(b, start);
  assert.equal(hex(b, back), hex(untagged));
});
