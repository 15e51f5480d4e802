/** Hand-written packets at IP's gates: options, extension headers, fragments, martians, scopes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../base/random.js";
import { simLink } from "../nic/sim-link.js";
import { TIMEOUT6_US } from "./reassembly.js";
import { ip, TestHost } from "./stack-fixture.js";
import {
  be16,
  be32,
  bytesOf,
  checksummed,
  HOST_MAC,
  icmp4,
  icmp6,
  type Part,
  packet4,
  packet6,
  udp4,
  Wire,
} from "./wire-fixture.js";

const buffer = new Uint8Array(66_000);
const DATA = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
/** IPv4 Parameter Problem; ICMPv6 Parameter Problem, its codes. */
const PROBLEM4 = 12;
const PROBLEM6 = 4;
const BAD_HEADER = 0;
const UNKNOWN_NEXT = 1;
const UNKNOWN_OPTION = 2;

const wire = (): Wire => {
  const w = new Wire();
  w.knowPeer();
  return w;
};
const udp6 = (src = "fd00::2", dst = "fd00::1"): Uint8Array =>
  checksummed(bytesOf(be16(5), be16(9), be16(16), [0, 0], DATA), 6, 17, src, dst);

for (const [name, options, drop, pointer] of [
  ["no-operation and end", [1, 1, 0, 0], null, -1],
  ["record route", [7, 7, 4, 0, 0, 0, 0, 0], null, -1],
  ["timestamp", [68, 8, 5, 0, 0, 0, 0, 0], null, -1],
  ["router alert", [148, 4, 0, 0], null, -1],
  ["an unknown option", [0x5e, 4, 0, 0], null, -1],
  ["loose source route", [131, 7, 4, 10, 0, 0, 9, 0], "IP4_SOURCE_ROUTED", -1],
  ["strict source route", [137, 7, 4, 10, 0, 0, 9, 0], "IP4_SOURCE_ROUTED", -1],
  ["a spent source route", [131, 7, 8, 10, 0, 0, 9, 0], "IP4_SOURCE_ROUTED", -1],
  ["two source routes", [131, 3, 4, 131, 3, 4, 0, 0], "IP4_BAD_OPTION", 25],
  ["an option past the header", [7, 9, 4, 0, 0, 0, 0, 0], "IP4_BAD_OPTION", 21],
  ["an option of length 0", [0x5e, 0, 0, 0], "IP4_BAD_OPTION", 21],
  ["an option of length 1", [0x5e, 1, 0, 0], "IP4_BAD_OPTION", 21],
  ["an option without length", [1, 1, 1, 7], "IP4_BAD_OPTION", 23],
  ["a record route pointer below 4", [7, 7, 3, 0, 0, 0, 0, 0], "IP4_BAD_OPTION", 22],
] as const) {
  test(`IPv4 ${name}: ${drop ?? "passes"} (RFC 791 §3.1, RFC 7126)`, () => {
    const w = wire();
    const e = w.host.bound("10.0.0.1", 9);
    w.v4(packet4(udp4(5, 9, DATA), { options }));
    assert.equal(e.receive(buffer, 0, 100), drop === null ? DATA.length : -11);
    if (drop !== null) assert.equal(w.drops(drop), 1);
    assert.deepEqual(w.errors(), pointer < 0 ? [] : [[PROBLEM4, 0, pointer << 24]]);
    e.close();
    w.assertNothingHeld();
  });
}

const DESTINATION_OPTIONS = 60;
const optionHeader = (type: number): number[] => [17, 0, type, 4, 0, 0, 0, 0];

for (const [action, type, drop, toUnicast, toGroup] of [
  ["00: skip", 0x1e, null, false, false],
  ["01: discard", 0x5e, "IP6_OPTION_DISCARD", false, false],
  ["10: discard and tell", 0x9e, "IP6_OPTION_PROBLEM", true, true],
  ["11: discard and tell, not to groups", 0xde, "IP6_OPTION_PROBLEM_UNICAST", true, false],
] as const) {
  for (const isGroup of [false, true]) {
    const to = isGroup ? "ff02::1" : "fd00::1";
    test(`IPv6 unknown option, action ${action}, to ${to} (RFC 8200 §4.2)`, () => {
      const w = wire();
      const e = w.host.bound("::", 9, 6);
      const packet = packet6(bytesOf(optionHeader(type), udp6("fd00::2", to)), {
        next: DESTINATION_OPTIONS,
        dst: to,
      });
      w.frame(0x86dd, packet, isGroup ? bytesOf([0x33, 0x33, 0, 0, 0, 1]) : HOST_MAC);
      assert.equal(e.receive(buffer, 0, 100), drop === null ? DATA.length : -11);
      if (drop !== null) assert.equal(w.drops(drop), 1);
      const isTold = isGroup ? toGroup : toUnicast;
      assert.deepEqual(w.errors(), isTold ? [[PROBLEM6, UNKNOWN_OPTION, 42]] : []);
      e.close();
      w.assertNothingHeld();
    });
  }
}

const fragment = (next: number, offset: number, more: boolean, id: number): Uint8Array =>
  bytesOf(next, 0, be16(offset | (more ? 1 : 0)), be32(id));
const piece = (next: number, offset: number, more: boolean, ...payload: Part[]): Uint8Array =>
  packet6(bytesOf(fragment(next, offset, more, 7), ...payload), { next: 44 });

test("IPv6 fragments that overlap end the datagram without a word (RFC 8200 §4.5)", () => {
  const w = wire();
  const e = w.host.bound("fd00::1", 9);
  const u = udp6();
  w.v6(piece(17, 0, true, u.subarray(0, 8)));
  w.v6(piece(17, 0, true, u)); // 16 bytes from 0: overlaps the first 8
  assert.equal(w.drops("FRAG_OVERLAP"), 1);
  w.v6(piece(17, 8, false, u.subarray(8)));
  w.pass(TIMEOUT6_US + 1);
  assert.equal(e.receive(buffer, 0, 100), -11);
  assert.deepEqual(w.errors(), []);
  e.close();
  w.assertNothingHeld();
});

test("an exact copy of an IPv6 fragment is no overlap", () => {
  const w = wire();
  const e = w.host.bound("fd00::1", 9);
  const u = udp6();
  for (let i = 0; i < 2; i++) w.v6(piece(17, 0, true, u.subarray(0, 8)));
  w.v6(piece(17, 8, false, u.subarray(8)));
  assert.equal(e.receive(buffer, 0, 100), DATA.length);
  e.close();
  w.assertNothingHeld();
});

for (const [name, next, payload] of [
  ["ends in a destination options header", 60, Uint8Array.of(17, 1, 1, 4, 0, 0, 0, 0)],
  ["ends before the TCP header does", 6, new Uint8Array(16)],
  ["ends before the UDP header", 60, Uint8Array.of(17, 0, 1, 4, 0, 0, 0, 0)],
] as const) {
  test(`a first IPv6 fragment that ${name} is refused and told (RFC 7112 §5)`, () => {
    const w = wire();
    w.v6(piece(next, 0, true, payload));
    assert.equal(w.drops("IP6_BAD_FRAGMENT"), 1);
    assert.deepEqual(w.errors(), [[PROBLEM6, 3, 0]]);
    w.assertNothingHeld();
  });
}

test("what a fragment must not be is told by its pointer (RFC 8200 §4.5)", () => {
  const w = wire();
  w.v6(piece(17, 0, true, new Uint8Array(13)));
  assert.deepEqual(w.errors(), [[PROBLEM6, BAD_HEADER, 4]]);
  w.v6(piece(17, 65_528, false, new Uint8Array(16)));
  assert.deepEqual(w.errors(), [[PROBLEM6, BAD_HEADER, 42]]);
  w.assertNothingHeld();
});

test("an unknown next header is told, an ICMPv6 error behind options is not answered", () => {
  const w = wire();
  w.v6(packet6(DATA, { next: 200 }));
  assert.deepEqual(w.errors(), [[PROBLEM6, UNKNOWN_NEXT, 6]]);
  // RFC 4443 §2.4 (e.1): never about an error, wherever its header is.
  const unreachable = bytesOf([1, 0, 0, 0, 0, 0, 0, 0], new Uint8Array(48));
  const header = [58, 0, 0x9e, 4, 0, 0, 0, 0];
  w.v6(packet6(bytesOf(header, unreachable), { next: DESTINATION_OPTIONS }));
  assert.equal(w.drops("IP6_OPTION_PROBLEM"), 1);
  assert.deepEqual(w.errors(), []);
  w.assertNothingHeld();
});

for (const src of [
  "10.0.0.255", // our subnet's broadcast address: an answer would go to everybody
  "255.255.255.255",
  "224.0.0.5",
  "240.0.0.1",
  "127.0.0.1",
  "0.0.0.0",
  "0.1.2.3",
  "10.0.0.1",
]) {
  test(`an IPv4 packet from ${src} is a martian (RFC 1122 §3.2.1.3)`, () => {
    const w = wire();
    w.v4(packet4(icmp4(8, 0, [0, 1, 0, 1]), { src, protocol: 1 }));
    assert.equal(w.drops("IP_MARTIAN_SOURCE"), 1);
    assert.deepEqual(w.sent(), []);
    w.assertNothingHeld();
  });
}

for (const src of ["::1", "::ffff:10.0.0.9", "ff02::1", "fd00::1"]) {
  test(`an IPv6 packet from ${src} is a martian`, () => {
    const w = wire();
    const m = checksummed(bytesOf([128, 0, 0, 0, 0, 1, 0, 1]), 2, 58, "fd00::2", "fd00::1");
    const p = packet6(m, { next: 58 });
    const b = new Uint8Array(16);
    ip(src).write6(b, 0);
    p.set(b, 8);
    w.v6(p);
    assert.equal(w.drops("IP_MARTIAN_SOURCE"), 1);
    assert.deepEqual(w.sent(), []);
    w.assertNothingHeld();
  });
}

test("frames that are shorter or longer than their headers say", () => {
  const w = wire();
  const e = w.host.bound("10.0.0.1", 9);
  const p = packet4(udp4(5, 9, DATA));
  for (let n = 0; n < p.length; n++) w.v4(p.subarray(0, n));
  assert.equal(w.drops("IP4_TRUNCATED"), p.length);
  w.v4(bytesOf(p, new Uint8Array(30)));
  assert.equal(e.receive(buffer, 0, 100), DATA.length);
  const six = packet6(udp6());
  const e6 = w.host.bound("fd00::1", 9);
  for (let n = 0; n < six.length; n++) w.v6(six.subarray(0, n));
  assert.equal(w.drops("IP6_TRUNCATED"), six.length);
  w.v6(bytesOf(six, new Uint8Array(30)));
  assert.equal(e6.receive(buffer, 0, 100), DATA.length);
  for (let n = 0; n < 28; n++) w.frame(0x0806, new Uint8Array(n));
  e.close();
  e6.close();
  w.assertNothingHeld();
});

test("a priority tag (VLAN 0) is taken off, any other VLAN is not ours", () => {
  const w = wire();
  const e = w.host.bound("10.0.0.1", 9);
  const tagged = (vlan: number): Uint8Array =>
    bytesOf(be16((5 << 13) | vlan), be16(0x0800), packet4(udp4(5, 9, DATA)));
  w.frame(0x8100, tagged(0));
  assert.equal(e.receive(buffer, 0, 100), DATA.length);
  w.frame(0x8100, tagged(7));
  assert.equal(w.drops("ETH_VLAN_UNKNOWN"), 1);
  w.frame(0x8100, bytesOf(be16(0), be16(0x8100), tagged(0)));
  w.frame(0x8100, bytesOf(be16(0)));
  assert.equal(e.receive(buffer, 0, 100), -11);
  e.close();
  w.assertNothingHeld();
});

test("link-local addresses belong to their link (RFC 4007 §9)", () => {
  const w = wire();
  const ends = simLink(w.host.pool, w.host.pool, { name: "second" });
  const second = w.host.ip.addInterface(ends.a, { addresses: ["fe80::99/64"], linkLocal: false });
  const echo = (src: string, dst: string): Uint8Array =>
    icmp6(src, dst, 64, [128, 0, 0, 0, 0, 1, 0, 1]);
  // The second link's address is no address of the first link's.
  w.v6(echo("fe80::2", "fe80::99"));
  assert.equal(w.drops("IP_NOT_FOR_US"), 1);
  assert.deepEqual(w.sent(), []);
  // A peer here may have the address that we have there.
  w.host.ip.neighbours.addPermanent(w.iface, ip("fe80::99"), 0x0200, 0x0b);
  w.v6(echo("fe80::99", w.iface.linkLocal6()!.address.toString()));
  assert.equal(w.drops("IP_MARTIAN_SOURCE"), 0);
  assert.equal(w.sent().length, 1);
  assert.equal(w.host.ip.resolve(ip("fe80::99"), null, second.index)!.iface, w.host.ip.lo);
  assert.equal(w.host.ip.resolve(ip("fe80::99"), null, w.iface.index)!.iface, w.iface);
  ends.b.close();
  w.assertNothingHeld();
});

test("an ICMP error to a group or broadcast is not believed", () => {
  const w = wire();
  const quoted = packet4(udp4(9, 5, DATA), { src: "10.0.0.1", dst: "10.0.0.2" });
  const e = w.host.bound("10.0.0.1", 9);
  e.connect(ip("10.0.0.2"), 5);
  const unreachable = icmp4(3, 3, [0, 0, 0, 0], quoted);
  const broadcast = Uint8Array.of(255, 255, 255, 255, 255, 255);
  w.frame(0x0800, packet4(unreachable, { dst: "10.0.0.255", protocol: 1 }), broadcast);
  assert.equal(e.takeError(), 0);
  w.v4(packet4(unreachable, { protocol: 1 }));
  assert.notEqual(e.takeError(), 0);
  e.close();
  w.assertNothingHeld();
});

for (const [family, self] of [
  ["IPv4", "10.0.0.1"],
  ["IPv6", "fd00::1"],
] as const) {
  test(`errors to this host itself know no rate limit, as on Linux, over ${family}`, () => {
    const host = new TestHost(new Random(3).int32());
    const ends = simLink(host.pool, host.pool);
    host.ip.addInterface(ends.a, { addresses: ["10.0.0.1/24", "fd00::1/64"] });
    const e = host.bound(self, 4000);
    e.connect(ip(self), 4001);
    for (let i = 0; i < 20; i++) {
      assert.equal(e.send(DATA, 0, 8, null, 0), 8, `datagram ${i}`);
      for (let turn = 0; turn < 4; turn++) {
        host.ip.receiveAll(1);
        host.ip.flush(1);
      }
      assert.equal(e.takeError(), 111, `error ${i}`);
    }
    e.close();
    ends.b.close();
    host.assertNothingHeld();
  });
}
