import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { bytes, type FrameName, frame, hex } from "../../test/vectors/frames.js";
import { IpAddress } from "../base/ip-address.js";
import { Drop } from "./drop.js";
import * as icmpv6 from "./icmpv6.js";
import { CHANGE_TO_EXCLUDE } from "./igmp.js";
import * as ipv6 from "./ipv6.js";
import * as extensions from "./ipv6-extensions.js";
import * as mld from "./mld.js";
import { sum6 } from "./pseudo-header.js";

/** Where the message of a real frame starts. */
function messageAt(b: Uint8Array): number {
  assert.equal(extensions.walk(b, 14, b.length), Drop.NONE);
  return extensions.payloadAtOut;
}

/** An IPv6 packet around a message; the message starts at 40. */
function packet(messageHex: string, src = "fe80::1", hopLimit = 1): Uint8Array {
  const message = bytes(messageHex);
  const b = new Uint8Array(40 + message.length);
  ipv6.write(b, 0, message.length, 58, IpAddress.parse(src), IpAddress.parse("ff02::16"));
  ipv6.setHopLimit(b, 0, hopLimit);
  b.set(message, 40);
  return b;
}

const check = (b: Uint8Array, end = b.length): Drop => mld.check(b, 40, end, 0);

const GROUP = "ff020000000000000000000000000202";
const SOURCE = "20010db8000000000000000000000001";
const UNICAST = "fe800000000000000000000000000202";

for (const name of ["mldV1Report", "mldV2Report", "mldV2Query"] as const satisfies FrameName[]) {
  test(`the real ${name} is valid and its checksum is right`, () => {
    const b = frame(name);
    const at = messageAt(b);
    assert.equal(mld.check(b, at, b.length, 14), Drop.NONE);
    const sum = sum6(b, 14, 58, b.length - at);
    assert.equal(icmpv6.checksumIsValid(b, at, b.length, sum), true);
  });
}

test("a real version 2 query is read", () => {
  const b = frame("mldV2Query");
  const at = messageAt(b);
  assert.equal(mld.queryVersion(b, at, b.length), 2);
  assert.equal(mld.isGeneral(b, at), true);
  assert.equal(mld.maxResponseMs(b, at, b.length), 10_000);
  assert.equal(mld.robustness(b, at), 2);
  assert.equal(mld.suppressRouterSide(b, at), false);
  assert.equal(mld.queryIntervalSec(b, at), 60);
  assert.equal(mld.sourceCount(b, at), 0);
});

test("a real version 2 report is read", () => {
  const b = frame("mldV2Report");
  const at = messageAt(b);
  assert.equal(mld.recordCount(b, at), 1);
  const r = at + mld.REPORT_BYTES;
  assert.equal(mld.recordType(b, r), CHANGE_TO_EXCLUDE);
  assert.equal(mld.recordSourceCount(b, r), 0);
  const group = new IpAddress();
  group.read6(b, r + mld.RECORD_GROUP);
  assert.equal(group.toString(), "ff02::1:ff00:0");
});

test("the four message types are listener discovery, others are not", () => {
  const types = Array.from({ length: 256 }, (_, type) => type);
  assert.deepEqual(types.filter(mld.isType), [130, 131, 132, 143]);
});

test("a message cut short anywhere is MLD_TRUNCATED", () => {
  const query = packet(`82000000 00640000 ${GROUP} 0a7d0001 ${SOURCE}`);
  const report = packet(`8f000000 00000001 05010001 ${GROUP} ${SOURCE} ffffffff`);
  for (let end = 40; end < query.length; end++) {
    const expected = end === 64 ? Drop.NONE : Drop.MLD_TRUNCATED; // 24 bytes are a version 1 query
    assert.equal(check(query, end), expected, `query of ${end - 40}`);
  }
  for (let end = 40; end < report.length; end++) {
    assert.equal(check(report, end), Drop.MLD_TRUNCATED, `report of ${end - 40}`);
  }
  assert.equal(check(query), Drop.NONE);
  assert.equal(mld.suppressRouterSide(query, 40), true);
  assert.equal(hex(query, mld.sourceAt(query, 40, 0)), SOURCE);
  assert.equal(check(report), Drop.NONE);
  assert.equal(hex(report, mld.recordSourceAt(report, 48, 0), report.length - 4), SOURCE);
  assert.equal(mld.recordBytes(report, 48), 40);
});

for (const [what, message, src, hopLimit, drop] of [
  ["a hop limit of 64", `83000000 00000000 ${GROUP}`, "fe80::1", 64, Drop.ND_BAD_HOP_LIMIT],
  ["a global source", `83000000 00000000 ${GROUP}`, "2001:db8::1", 1, Drop.MLD_BAD_GROUP],
  ["a query from ::", `82000000 00000000 ${GROUP}`, "::", 1, Drop.MLD_BAD_GROUP],
  ["a report from ::", `83000000 00000000 ${GROUP}`, "::", 1, Drop.NONE],
  [
    "a done for a unicast address",
    `84000000 00000000 ${UNICAST}`,
    "fe80::1",
    1,
    Drop.MLD_BAD_GROUP,
  ],
  [
    "a query for a unicast address",
    `82000000 00000000 ${UNICAST}`,
    "fe80::1",
    1,
    Drop.MLD_BAD_GROUP,
  ],
  [
    "a record for a unicast address",
    `8f000000 00000001 04000000 ${UNICAST}`,
    "fe80::1",
    1,
    Drop.MLD_BAD_GROUP,
  ],
] as const) {
  test(`${what}: ${drop === Drop.NONE ? "accepted" : "refused"}`, () => {
    assert.equal(check(packet(message, src, hopLimit)), drop);
  });
}

test("a version 1 query's delay is taken as it stands", () => {
  const b = packet(`82000000 fa000000 ${GROUP}`);
  assert.equal(mld.queryVersion(b, 40, b.length), 1);
  assert.equal(mld.maxResponseMs(b, 40, b.length), 64_000);
  assert.equal(mld.isGeneral(b, 40), false);
});

test("the writers make the bytes of real messages, even in a dirty buffer", () => {
  const real = frame("mldV2Report");
  const at = messageAt(real);
  const report = new Uint8Array(30).fill(0xa5);
  mld.writeReport(report, 1, 1);
  const end = mld.putRecord(report, 9, CHANGE_TO_EXCLUDE, IpAddress.parse("ff02::1:ff00:0"), 0);
  icmpv6.fillChecksum(report, 1, end, sum6(real, 14, 58, 28));
  assert.equal(hex(report), `a5${hex(real, at)}a5`);

  const realQuery = frame("mldV2Query");
  const query = new Uint8Array(30).fill(0xa5);
  mld.write(query, 1, icmpv6.MLD_QUERY, mld.encodeTime(10_000), new IpAddress());
  mld.writeQueryV2(query, 1, 2, 60, 0);
  icmpv6.fillChecksum(query, 1, 29, sum6(realQuery, 14, 58, 28));
  assert.equal(hex(query), `a5${hex(realQuery, messageAt(realQuery))}a5`);
});

test("time codes are those of RFC 3810 §5.1.3", () => {
  for (const [code, timeMs] of [
    [0, 0],
    [32_767, 32_767],
    [0x8000, 32_768],
    [0x8fff, 65_528],
    [0x9000, 65_536],
    [0xffff, 8_387_584],
  ] as const) {
    assert.equal(mld.decodeTime(code), timeMs);
    assert.equal(mld.encodeTime(timeMs), code);
  }
});

test("encodeTime gives the largest code that is not above the time", () => {
  fc.assert(
    fc.property(fc.nat(9_000_000), (timeMs) => {
      const code = mld.encodeTime(timeMs);
      const isBelow = mld.decodeTime(code) <= timeMs;
      return isBelow && (code === 0xffff || mld.decodeTime(code + 1) > timeMs);
    }),
  );
});

test("no bytes throw, and the records of what was accepted stay inside", () => {
  const type = fc.constantFrom(130, 131, 132, 143);
  const tail = fc.array(fc.oneof(fc.constantFrom(0, 1, 2, 0xff), fc.nat(255)), { maxLength: 90 });
  fc.assert(
    fc.property(type, tail, (t, rest) => {
      const b = packet(hex(Uint8Array.from([t, ...rest])));
      if (check(b) !== Drop.NONE || t !== icmpv6.MLD_REPORT_V2) return true;
      let r = 48;
      for (let n = mld.recordCount(b, 40); n > 0; n--) r += mld.recordBytes(b, r);
      return r <= b.length;
    }),
  );
});
