/** IGMP and MLD as they leave the host, decoded by hand: RFC 3376 §4, RFC 3810 §5. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { finish, sum } from "../base/checksum.js";
import { US_PER_S } from "../base/time.js";
import { FilterMode } from "./source-filter.js";
import { ip } from "./stack-fixture.js";
import { addressBytes, be16, be32, bytesOf, icmp6, packet4, Wire } from "./wire-fixture.js";

const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");
const ROUTER_ALERT4 = "94040000";
const ROUTER_ALERT6 = "3a00050200000100";

/** IGMP messages sent, each checked for what all have in common: [destination, message]. */
function igmpOf(w: Wire): string[][] {
  return w
    .sent()
    .filter((f) => f[12] === 8 && f[13] === 0 && f[23] === 2)
    .map((f) => {
      assert.equal(f[14], 0x46, "version 4, one option");
      assert.equal(f[15], 0xc0, "internetwork control");
      assert.equal(f[22], 1, "TTL 1");
      assert.equal(hex(f.subarray(34, 38)), ROUTER_ALERT4);
      assert.equal(finish(sum(f, 14, 24, 0)), 0, "header checksum");
      assert.equal(finish(sum(f, 38, f.length - 38, 0)), 0, "IGMP checksum");
      assert.equal(hex(f.subarray(0, 3)), "01005e");
      assert.equal(hex(f.subarray(26, 30)), "0a000001");
      return [
        [...f.subarray(30, 34)].join("."),
        hex(f.subarray(38)).replace(/^(..)(..).{4}/, "$1$2 "),
      ];
    });
}

/** The same of MLD. */
function mldOf(w: Wire): string[][] {
  return w
    .sent()
    .filter((f) => f[12] === 0x86 && f[20] === 0)
    .map((f) => {
      assert.equal(f[21], 1, "hop limit 1");
      assert.equal(hex(f.subarray(54, 62)), ROUTER_ALERT6);
      assert.equal(hex(f.subarray(22, 24)), "fe80", "from a link-local address");
      const n = f.length - 62;
      const pseudo = bytesOf(f.subarray(22, 54), be32(n), be32(58), f.subarray(62));
      assert.equal(finish(sum(pseudo, 0, pseudo.length, 0)), 0, "checksum");
      return [hex(f.subarray(38, 54)), hex(f.subarray(62)).replace(/^(..)(..).{4}/, "$1$2 ")];
    });
}

const quiet = (): Wire => {
  const w = new Wire();
  w.pass(10 * US_PER_S);
  w.sent();
  return w;
};
const query4 = (code: number, group: string, ...sources: string[]): Uint8Array => {
  const list = sources.map(addressBytes);
  const m = bytesOf(0x11, code, [0, 0], addressBytes(group), [2, 125], be16(list.length), ...list);
  m.set(be16(finish(sum(m, 0, m.length, 0))), 2);
  return packet4(m, { protocol: 2, ttl: 1, dst: "224.0.0.1", options: [0x94, 4, 0, 0] });
};
const ALL_SYSTEMS_MAC = Uint8Array.of(1, 0, 0x5e, 0, 0, 1);

test("IGMPv3: a join, a source filter, an answer and a leave, byte by byte", () => {
  const w = quiet();
  const e = w.host.bound("0.0.0.0", 5000);
  e.memberships.join(ip("239.1.2.3"), w.iface.index);
  assert.deepEqual(igmpOf(w), [["224.0.0.22", `2200 00000001${"04000000ef010203"}`]]);
  w.pass(2 * US_PER_S);
  assert.equal(igmpOf(w).length, 1);
  e.memberships.blockSource(ip("239.1.2.3"), ip("10.0.0.9"), w.iface.index);
  assert.deepEqual(igmpOf(w), [["224.0.0.22", "2200 0000000106000001ef0102030a000009"]]);
  w.pass(2 * US_PER_S);
  igmpOf(w);
  w.frame(0x0800, query4(10, "0.0.0.0"), ALL_SYSTEMS_MAC);
  w.pass(US_PER_S);
  assert.deepEqual(igmpOf(w), [["224.0.0.22", "2200 0000000102000001ef0102030a000009"]]);
  e.memberships.leave(ip("239.1.2.3"), w.iface.index);
  assert.deepEqual(igmpOf(w), [["224.0.0.22", "2200 0000000103000000ef010203"]]);
  e.close();
  w.assertNothingHeld();
});

test("IGMPv2 while its querier is heard: report to the group, leave to all routers", () => {
  const w = quiet();
  const m = bytesOf(0x11, 10, [0, 0], addressBytes("0.0.0.0"));
  m.set(be16(finish(sum(m, 0, 8, 0))), 2);
  w.frame(0x0800, packet4(m, { protocol: 2, ttl: 1, dst: "224.0.0.1" }), ALL_SYSTEMS_MAC);
  const e = w.host.bound("0.0.0.0", 5000);
  e.memberships.join(ip("239.1.2.3"), w.iface.index);
  assert.deepEqual(igmpOf(w), [["239.1.2.3", "1600 ef010203"]]);
  e.memberships.leave(ip("239.1.2.3"), w.iface.index);
  assert.deepEqual(igmpOf(w), [["224.0.0.2", "1700 ef010203"]]);
  e.close();
  w.assertNothingHeld();
});

test("MLDv2: a join with sources and a leave, byte by byte", () => {
  const w = quiet();
  const e = w.host.bound("::", 5000, 6);
  e.memberships.setFilter(ip("ff05::77"), w.iface.index, {
    mode: FilterMode.INCLUDE,
    sources: [ip("fd00::9")],
  });
  const group = hex(addressBytes("ff05::77"));
  const source = hex(addressBytes("fd00::9"));
  const routers = hex(addressBytes("ff02::16"));
  assert.deepEqual(mldOf(w), [[routers, `8f00 0000000105000001${group}${source}`]]);
  w.pass(2 * US_PER_S);
  assert.equal(mldOf(w).length, 1);
  e.close();
  assert.deepEqual(mldOf(w), [[routers, `8f00 0000000106000001${group}${source}`]]);
  w.assertNothingHeld();
});

test("MLDv1 while its querier is heard: report to the group, done to all routers", () => {
  const w = quiet();
  const alert = [58, 0, 5, 2, 0, 0, 1, 0];
  const plain = icmp6("fe80::2", "ff02::1", 1, [130, 0, 0, 0, 0, 100, 0, 0], new Uint8Array(16));
  const packet = bytesOf(plain.subarray(0, 40), alert, plain.subarray(40));
  packet[6] = 0;
  packet.set(be16(32), 4);
  w.frame(0x86dd, packet, Uint8Array.of(0x33, 0x33, 0, 0, 0, 1));
  w.pass(US_PER_S);
  mldOf(w);
  const e = w.host.bound("::", 5000, 6);
  e.memberships.join(ip("ff05::77"), w.iface.index);
  const group = hex(addressBytes("ff05::77"));
  assert.deepEqual(mldOf(w), [[group, `8300 00000000${group}`]]);
  e.close();
  assert.deepEqual(mldOf(w), [[hex(addressBytes("ff02::2")), `8400 00000000${group}`]]);
  w.assertNothingHeld();
});

test("queries for ever more sources of a group cost bounded time and memory", () => {
  const w = quiet();
  const e = w.host.bound("0.0.0.0", 5000);
  e.memberships.join(ip("239.1.2.3"), w.iface.index);
  w.pass(5 * US_PER_S);
  w.sent();
  for (let i = 0; i < 200; i++) {
    const sources: string[] = [];
    for (let k = 0; k < 200; k++) sources.push(`172.${i}.${k}.1`);
    w.frame(0x0800, query4(0xff, "239.1.2.3", ...sources), ALL_SYSTEMS_MAC);
  }
  w.pass(3600 * US_PER_S);
  // More than are kept: the answer is about the whole group, in one record.
  assert.deepEqual(igmpOf(w), [["224.0.0.22", "2200 0000000102000000ef010203"]]);
  e.close();
  w.assertNothingHeld();
});
