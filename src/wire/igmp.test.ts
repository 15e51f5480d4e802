import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { bytes, type FrameName, frame, hex } from "../../test/vectors/frames.js";
import { IpAddress } from "../base/ip-address.js";
import { Drop } from "./drop.js";
import * as igmp from "./igmp.js";
import * as ipv4 from "./ipv4.js";

/** The IGMP message of a real frame. */
function message(name: FrameName): Uint8Array {
  const b = frame(name);
  return b.slice(ipv4.payloadAt(b, 14), ipv4.endOf(b, 14));
}

const word = (text: string): number => IpAddress.parse(text).w3;
const check = (b: Uint8Array): Drop => igmp.check(b, 0, b.length);

for (const [name, type, group] of [
  ["igmpV1Report", igmp.REPORT_V1, "224.0.0.252"],
  ["igmpV2Report", igmp.REPORT_V2, "225.10.10.10"],
  ["igmpLeave", igmp.LEAVE, "224.0.0.251"],
] as const) {
  test(`the real ${name} is read`, () => {
    const b = message(name);
    assert.equal(check(b), Drop.NONE);
    assert.equal(igmp.type(b, 0), type);
    assert.equal(igmp.group(b, 0), word(group));
    assert.equal(igmp.checksumIsValid(b, 0, b.length), true);
  });
}

test("a real version 3 query is read", () => {
  const b = message("igmpV3Query");
  assert.equal(check(b), Drop.NONE);
  assert.equal(igmp.queryVersion(b, 0, b.length), 3);
  assert.equal(igmp.maxResponseMs(b, 0, b.length), 10_000);
  assert.equal(igmp.robustness(b, 0), 2);
  assert.equal(igmp.suppressRouterSide(b, 0), false);
  assert.equal(igmp.queryIntervalSec(b, 0), 125);
  assert.equal(igmp.sourceCount(b, 0), 0);
  assert.equal(igmp.checksumIsValid(b, 0, b.length), true);
});

test("a real version 3 report is read", () => {
  const b = message("igmpV3Report");
  assert.equal(check(b), Drop.NONE);
  assert.equal(igmp.recordCount(b, 0), 1);
  assert.equal(igmp.recordType(b, 8), igmp.CHANGE_TO_EXCLUDE);
  assert.equal(igmp.recordGroup(b, 8), word("239.255.255.250"));
  assert.equal(igmp.recordSourceCount(b, 8), 0);
  assert.equal(igmp.checksumIsValid(b, 0, b.length), true);
  b[15]! ^= 1;
  assert.equal(igmp.checksumIsValid(b, 0, b.length), false);
});

test("the version of a query follows from length and response time (RFC 3376 §7.1)", () => {
  const v1 = bytes("1100 0000 00000000");
  const v2 = bytes("1164 0000 00000000");
  assert.equal(igmp.queryVersion(v1, 0, 8), 1);
  assert.equal(igmp.maxResponseMs(v1, 0, 8), 10_000);
  assert.equal(igmp.queryVersion(v2, 0, 8), 2);
  assert.equal(igmp.maxResponseMs(v2, 0, 8), 10_000);
});

test("a message cut short anywhere is IGMP_TRUNCATED", () => {
  const query = bytes("1100 0000 e1010203 0200 0001 0a000001");
  const report = bytes("2200 0000 0000 0002 01000001 e1010203 0a000001 02010000 e1010204 ffffffff");
  for (let end = 0; end < query.length; end++) {
    const expected = end === 8 ? Drop.NONE : Drop.IGMP_TRUNCATED; // 8 bytes are a version 1 query
    assert.equal(igmp.check(query, 0, end), expected, `query of ${end}`);
  }
  for (let end = 0; end < report.length; end++) {
    assert.equal(igmp.check(report, 0, end), Drop.IGMP_TRUNCATED, `report of ${end}`);
  }
  assert.equal(check(query), Drop.NONE);
  assert.equal(igmp.source(query, 0, 0), word("10.0.0.1"));
  assert.equal(check(report), Drop.NONE);
  assert.equal(igmp.recordSource(report, 8, 0), word("10.0.0.1"));
  assert.equal(igmp.recordBytes(report, 8), 12);
  assert.equal(igmp.recordGroup(report, 20), word("225.1.2.4"));
  assert.equal(igmp.recordBytes(report, 20), 12); // auxiliary data counts
});

for (const [what, list, drop] of [
  ["another type", "1300 0000 e1010203", Drop.IGMP_BAD_TYPE],
  ["a query for a unicast address", "1164 0000 0a000001", Drop.IGMP_BAD_GROUP],
  ["a report for a unicast address", "1600 0000 0a000001", Drop.IGMP_BAD_GROUP],
  ["a record for a unicast address", "2200 0000 0000 0001 04000000 0a000001", Drop.IGMP_BAD_GROUP],
] as const) {
  test(`${what} is refused`, () => {
    assert.equal(check(bytes(list)), drop);
  });
}

test("the writers make the bytes of real messages, even in a dirty buffer", () => {
  const v2 = new Uint8Array(10).fill(0xa5);
  igmp.write(v2, 1, igmp.REPORT_V2, 0, word("225.10.10.10"));
  igmp.fillChecksum(v2, 1, 9);
  assert.equal(hex(v2), `a5${hex(message("igmpV2Report"))}a5`);

  const v3 = new Uint8Array(18).fill(0xa5);
  igmp.writeReport(v3, 1, 1);
  const end = igmp.putRecord(v3, 9, igmp.CHANGE_TO_EXCLUDE, word("239.255.255.250"), 0);
  igmp.fillChecksum(v3, 1, end);
  assert.equal(hex(v3), `a5${hex(message("igmpV3Report"))}a5`);

  const query = new Uint8Array(14).fill(0xa5);
  igmp.write(query, 1, igmp.QUERY, 100, 0);
  igmp.writeQueryV3(query, 1, 2, 125, 0);
  igmp.fillChecksum(query, 1, 13);
  assert.equal(hex(query), `a5${hex(message("igmpV3Query"))}a5`);
});

test("the sources of a record are written one by one", () => {
  const b = new Uint8Array(16).fill(0xa5);
  assert.equal(igmp.putRecord(b, 0, igmp.ALLOW_NEW_SOURCES, word("225.1.2.3"), 2), 16);
  igmp.putRecordSource(b, 0, 0, word("10.0.0.1"));
  igmp.putRecordSource(b, 0, 1, word("10.0.0.2"));
  assert.equal(hex(b), "05000002e10102030a0000010a000002");
});

test("time codes are those of RFC 3376 §4.1.1", () => {
  for (const [code, time] of [
    [0, 0],
    [127, 127],
    [128, 128],
    [0x8f, 248],
    [0x90, 256],
    [0xff, 31_744],
  ] as const) {
    assert.equal(igmp.decodeTime(code), time);
    assert.equal(igmp.encodeTime(time), code);
  }
});

test("encodeTime gives the largest code that is not above the time", () => {
  fc.assert(
    fc.property(fc.nat(40_000), (time) => {
      const code = igmp.encodeTime(time);
      const isBelow = igmp.decodeTime(code) <= time;
      return isBelow && (code === 255 || igmp.decodeTime(code + 1) > time);
    }),
  );
});

test("no bytes throw, and the records of what was accepted stay inside", () => {
  const type = fc.constantFrom(0x11, 0x12, 0x16, 0x17, 0x22);
  const tail = fc.array(fc.oneof(fc.constantFrom(0, 1, 2, 0xe1), fc.nat(255)), { maxLength: 60 });
  fc.assert(
    fc.property(type, tail, (t, rest) => {
      const b = Uint8Array.from([t, ...rest]);
      if (check(b) !== Drop.NONE || t !== igmp.REPORT_V3) return true;
      let r = 8;
      for (let n = igmp.recordCount(b, 0); n > 0; n--) r += igmp.recordBytes(b, r);
      return r <= b.length;
    }),
  );
});
