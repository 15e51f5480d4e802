/** "Too big" as packets: true ones, and those that must not be believed (RFC 1191, RFC 8201). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EMSGSIZE } from "../base/errno.js";
import { MIN_PATH_MTU4 } from "./path-mtu.js";
import { DontFragment } from "./send-options.js";
import { ip } from "./stack-fixture.js";
import type { UdpEndpoint } from "./udp-endpoint.js";
import { be16, be32, bytesOf, icmp4, icmp6, packet4, packet6, udp4, Wire } from "./wire-fixture.js";

const bytes = new Uint8Array(3000);
const DATA = new Uint8Array(40);

/** A host with a UDP socket from port 9 to the peer's port 5. */
function connected(family: 4 | 6): { w: Wire; e: UdpEndpoint; mtu: () => number } {
  const w = new Wire();
  w.knowPeer();
  const [from, to] = family === 4 ? ["10.0.0.1", "10.0.0.2"] : ["fd00::1", "fd00::2"];
  const e = w.host.bound(from!, 9);
  assert.equal(e.connect(ip(to!), 5), 0);
  const mtu = (): number => w.host.ip.resolve(ip(to!), ip(from!), 0)!.mtuBytes;
  return { w, e, mtu };
}

const udp6 = (from: number, to: number): Uint8Array =>
  bytesOf(be16(from), be16(to), be16(48), [1, 1], DATA);

const tooBig4 = (mtuBytes: number, port = 9, protocol = 17): Uint8Array => {
  const quoted = packet4(udp4(port, 5, DATA), { src: "10.0.0.1", dst: "10.0.0.2", protocol });
  return packet4(icmp4(3, 4, [0, 0], be16(mtuBytes), quoted), { protocol: 1, src: "10.0.0.254" });
};
const tooBig6 = (mtuBytes: number, port = 9, next = 17): Uint8Array => {
  const quoted = packet6(udp6(port, 5), { src: "fd00::1", dst: "fd00::2", next });
  return icmp6("fd00::fe", "fd00::1", 64, [2, 0, 0, 0], be32(mtuBytes), quoted);
};

test("UDP over IPv4: too big lowers the path, the socket hears once, then it fragments", () => {
  const { w, e, mtu } = connected(4);
  w.v4(tooBig4(1400));
  assert.equal(mtu(), 1400);
  assert.equal(e.send(bytes, 0, 1472, null, 0), -EMSGSIZE);
  assert.equal(e.send(bytes, 0, 1472, null, 0), 1472);
  const frames = w.sent();
  assert.deepEqual(
    frames.map((f) => f.length - 14),
    [1396, 124],
  );
  e.pmtuDiscover = DontFragment.ALWAYS;
  assert.equal(e.send(bytes, 0, 1472, null, 0), -EMSGSIZE);
  e.pmtuDiscover = DontFragment.NEVER;
  w.v4(tooBig4(1300));
  assert.equal(mtu(), 1300);
  assert.equal(e.takeError(), 0);
  e.close();
  w.assertNothingHeld();
});

test("UDP over IPv6: too big lowers the path; with IPV6_PMTUDISC_DONT the socket hears nothing", () => {
  const { w, e, mtu } = connected(6);
  w.v6(tooBig6(1400));
  assert.equal(mtu(), 1400);
  assert.equal(e.takeError(), EMSGSIZE);
  assert.equal(e.send(bytes, 0, 1400, null, 0), 1400);
  assert.equal(w.sent().length, 2);
  e.pmtuDiscover = DontFragment.NEVER;
  w.v6(tooBig6(1300));
  assert.equal(mtu(), 1300);
  assert.equal(e.takeError(), 0);
  e.close();
  w.assertNothingHeld();
});

for (const mtuBytes of [0, 68, 1279]) {
  test(`an IPv6 path MTU of ${mtuBytes} is ignored (RFC 8201 §4)`, () => {
    const { w, e, mtu } = connected(6);
    w.v6(tooBig6(mtuBytes));
    assert.equal(mtu(), 1500);
    assert.equal(w.drops("ICMP_BAD_QUOTE"), 1);
    assert.equal(e.takeError(), 0);
    e.close();
    w.assertNothingHeld();
  });
}

test("an IPv4 path MTU below the smallest that is believed counts as that", () => {
  const { w, e, mtu } = connected(4);
  w.v4(tooBig4(20));
  assert.equal(mtu(), MIN_PATH_MTU4);
  e.close();
  w.assertNothingHeld();
});

test("larger than the path is no news", () => {
  const { w, e, mtu } = connected(4);
  w.v4(tooBig4(1500));
  w.v4(tooBig4(9000));
  assert.equal(mtu(), 1500);
  e.close();
  w.assertNothingHeld();
});

for (const [name, port, protocol] of [
  ["a UDP port that nobody has", 10, 17],
  ["a protocol that nobody speaks", 9, 200],
] as const) {
  test(`too big about ${name} changes nothing`, () => {
    const four = connected(4);
    four.w.v4(tooBig4(1000, port, protocol));
    assert.equal(four.mtu(), 1500);
    assert.equal(four.w.drops("ICMP_BAD_QUOTE"), 1);
    four.e.close();
    four.w.assertNothingHeld();
    const six = connected(6);
    six.w.v6(tooBig6(1300, port, protocol));
    assert.equal(six.mtu(), 1500);
    assert.equal(six.w.drops("ICMP_BAD_QUOTE"), 1);
    six.e.close();
    six.w.assertNothingHeld();
  });
}

test("a quoted packet that is not ours, or cut short, changes nothing", () => {
  const { w, e, mtu } = connected(4);
  const whole = tooBig4(1000);
  const other = packet4(udp4(9, 5, DATA), { src: "10.0.0.7", dst: "10.0.0.2" });
  w.v4(packet4(icmp4(3, 4, [0, 0], be16(1000), other), { protocol: 1 }));
  const quoted = whole.subarray(28);
  for (const n of [0, 10, 20, 27]) {
    w.v4(packet4(icmp4(3, 4, [0, 0], be16(1000), quoted.subarray(0, n)), { protocol: 1 }));
  }
  assert.equal(mtu(), 1500);
  assert.equal(w.drops("ICMP_BAD_QUOTE"), 5);
  e.close();
  w.assertNothingHeld();
});
