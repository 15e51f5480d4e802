/** Neighbours, ICMP, path MTU, groups: whole hosts in virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ECONNREFUSED, EHOSTUNREACH, ENETDOWN } from "../base/errno.js";
import { US_PER_S } from "../base/time.js";
import { ErrorEntry } from "./error-queue.js";
import { NeighbourState, REACHABLE_TIME_US } from "./neighbour.js";
import { DELAY_FIRST_PROBE_US, Heard, QUEUE_FRAMES } from "./neighbours.js";
import { PATH_MTU_AGE_US } from "./path-mtu.js";
import { ip, Pair } from "./stack-fixture.js";

const bytes = new Uint8Array(66_000).map((_, i) => (i * 31) & 255);
const buffer = new Uint8Array(66_000);

for (const [family, from, to, nobody] of [
  ["IPv4", "10.0.0.1", "10.0.0.2", "10.0.0.77"],
  ["IPv6", "fd00::1", "fd00::2", "fd00::77"],
] as const) {
  test(`a neighbour goes through its states over ${family} (RFC 4861 §7.3)`, () => {
    const p = new Pair();
    const e = p.a.bound(from, 4000);
    p.b.bound(to, 9);
    e.send(bytes, 0, 1, ip(to), 9);
    const n = p.a.ip.neighbours.find(p.ifaceA, ip(to))!;
    assert.equal(n.state, NeighbourState.INCOMPLETE);
    p.settle();
    assert.equal(n.state, NeighbourState.REACHABLE);
    p.pass(REACHABLE_TIME_US + 1);
    e.send(bytes, 0, 1, ip(to), 9);
    assert.equal(n.state, NeighbourState.DELAY);
    p.pass(DELAY_FIRST_PROBE_US + 1);
    assert.equal(n.state, NeighbourState.REACHABLE); // probed, and it answered
    p.b.udp.demux.at(9)[0]!.close();
    p.assertNothingHeld();
  });

  test(`what waits for a neighbour that never answers is lost, and told over ${family}`, () => {
    const p = new Pair();
    const e = p.a.bound(from, 4000);
    e.recvErr = true;
    e.recvErr6 = true;
    for (let i = 0; i < QUEUE_FRAMES + 2; i++) e.send(bytes, 0, 10, ip(nobody), 9);
    assert.equal(p.a.drops("NEIGHBOUR_QUEUE_FULL"), 2);
    p.pass(4 * US_PER_S);
    assert.equal(p.a.drops("NO_NEIGHBOUR"), QUEUE_FRAMES);
    const entry = new ErrorEntry();
    assert.equal(e.takeErrorEntry(entry), true);
    assert.equal(entry.errno, EHOSTUNREACH);
    p.assertNothingHeld();
  });

  test(`echo is answered over ${family}, of any size, fragmented or not`, () => {
    const p = new Pair();
    const socket = p.a.ip.echo.open(family === "IPv4" ? 4 : 6)!;
    const path = p.a.ip.resolve(ip(to), null, 0)!;
    for (const [i, n] of [0, 56, 1472, 1473, 65_000].entries()) {
      assert.equal(socket.send(path, i, bytes, 0, n), 0);
      p.settle();
      assert.equal(socket.receive(buffer, 0, buffer.length), n);
      assert.equal(socket.sequence, i);
      assert.equal(socket.from.toString(), to);
      assert.deepEqual(buffer.subarray(0, n), bytes.subarray(0, n));
    }
    socket.close();
    p.assertNothingHeld();
  });

  test(`routers' word about the path MTU counts for ten minutes over ${family}`, () => {
    const p = new Pair();
    const path = p.a.ip.resolve(ip(to), null, 0)!;
    assert.equal(path.mtuBytes, 1500);
    assert.equal(p.a.ip.pathMtu.learn(ip(to), 1300, p.nowUs), 1300);
    assert.equal(path.mtuBytes, 1300);
    assert.equal(p.a.ip.pathMtu.learn(ip(to), 1400, p.nowUs), 0);
    p.a.ip.invalidatePaths();
    assert.equal(path.isStale, true);
    assert.equal(p.a.ip.path(path.id), null);
    assert.equal(p.a.ip.resolve(ip(to), null, 0)!.mtuBytes, 1300);
    p.pass(PATH_MTU_AGE_US + 1);
    assert.equal(p.a.ip.resolve(ip(to), null, 0)!.mtuBytes, 1500);
    p.assertNothingHeld();
  });
}

for (const [family, from, to] of [
  ["IPv4", "10.0.0.1", "10.0.0.2"],
  ["IPv6", "fd00::1", "fd00::2"],
] as const) {
  test(`behind a new link may be another peer: neighbours are asked again over ${family}`, () => {
    const p = new Pair();
    const e = p.a.bound(from, 4000);
    const other = p.b.bound(to, 9);
    const send = (): number => e.send(bytes, 0, 1, ip(to), 9);
    send();
    p.settle();
    assert.equal(other.receive(buffer, 0, 10), 1);
    // As if the peer had another hardware address when it came again.
    p.a.ip.neighbours.heard(p.ifaceA, ip(to), 0x0200, 0x77, Heard.ANSWER);
    p.linkA.setUp(false);
    p.settle();
    assert.equal(send(), -ENETDOWN);
    p.linkA.setUp(true);
    send();
    p.settle();
    assert.equal(other.receive(buffer, 0, 10), 1);
    e.close();
    other.close();
    p.assertNothingHeld();
  });

  test(`who has a link again tells everybody its addresses over ${family}`, () => {
    const p = new Pair();
    p.linkB.setUp(false);
    p.settle();
    const n = p.a.ip.neighbours.lookup(p.ifaceA, ip(to))!;
    p.a.ip.neighbours.heard(p.ifaceA, ip(to), 0x0200, 0x77, Heard.ANSWER);
    p.linkB.setUp(true);
    p.settle();
    assert.deepEqual([n.macHigh, n.macLow], [p.ifaceB.macHigh, p.ifaceB.macLow]);
    p.assertNothingHeld();
  });
}

test("a group is joined before the link is there", () => {
  const p = new Pair();
  p.linkB.setUp(false);
  p.settle();
  for (const [group, any] of [
    ["239.1.1.1", "0.0.0.0"],
    ["ff05::1:3", "::"],
  ] as const) {
    const member = p.b.bound(any, 9);
    assert.equal(member.memberships.join(ip(group), 0), 0);
    p.linkB.setUp(true);
    const sender = p.a.bound(any, 4000);
    assert.equal(sender.send(bytes, 0, 3, ip(group), 9), 3);
    p.settle();
    assert.equal(member.receive(buffer, 0, 10), 3);
    p.linkB.setUp(false);
    p.settle();
    assert.equal(member.memberships.leave(ip(group), 0), 0);
    sender.close();
    member.close();
  }
  p.assertNothingHeld();
});

test("what the user said of a neighbour outlives the link", () => {
  const p = new Pair();
  p.a.ip.neighbours.addPermanent(p.ifaceA, ip("10.0.0.9"), 0x0200, 9);
  p.a.ip.neighbours.lookup(p.ifaceA, ip("10.0.0.8"));
  p.linkA.setUp(false);
  p.settle();
  assert.deepEqual(
    [...p.a.ip.neighbours].map((n) => n.address.toString()),
    ["10.0.0.9"],
  );
  p.assertNothingHeld();
});

test("ICMP errors are limited to six at once for one destination", () => {
  const p = new Pair();
  const e = p.a.bound("10.0.0.1", 4000);
  for (let i = 0; i < 10; i++) e.send(bytes, 0, 1, ip("10.0.0.2"), 9);
  p.settle();
  assert.equal(p.b.drops("UDP_NO_SOCKET"), 10);
  assert.equal(p.b.ip.counters.get("icmpErrorsOut"), 6);
  assert.equal(p.b.drops("ICMP_RATE_LIMITED"), 4);
  p.assertNothingHeld();
});

test("another station with our address is noticed, and told once in ten seconds (RFC 5227 §2.4)", () => {
  const p = new Pair();
  for (let i = 0; i < 3; i++) {
    p.b.ip.arp.announce(p.ifaceB, ip("10.0.0.1"));
    p.settle();
  }
  assert.equal(p.a.ip.counters.get("addressConflicts"), 3);
  p.assertNothingHeld();
});

test("an address that another station has is given up by duplicate detection", () => {
  const p = new Pair();
  const clone = new Pair({}, { detectDuplicates: true });
  clone.pass(2 * US_PER_S);
  assert.equal(clone.a.ip.isLocal(ip("fd00::1")), true);
  clone.b.ip.addAddress(clone.ifaceB, "fd00::1/64");
  clone.pass(2 * US_PER_S);
  assert.equal(clone.b.ip.isLocal(ip("fd00::1")), false);
  assert.equal(clone.b.ip.counters.get("duplicateAddresses"), 1);
  clone.assertNothingHeld();
  p.assertNothingHeld();
});

test("joins and leaves are reported twice (IGMPv3, MLDv2 robustness)", () => {
  const p = new Pair();
  p.pass(3 * US_PER_S);
  for (const [group, any] of [
    ["239.1.1.1", "0.0.0.0"],
    ["ff05::1:3", "::"],
  ] as const) {
    const e = p.b.bound(any, 9);
    const reports = (): number => p.b.ip.counters.get("groupReportsOut");
    const before = reports();
    assert.equal(e.memberships.join(ip(group), p.ifaceB.index), 0);
    assert.equal(reports(), before + 1);
    p.pass(3 * US_PER_S);
    assert.equal(reports(), before + 2);
    e.memberships.leave(ip(group), 0);
    p.pass(3 * US_PER_S);
    assert.equal(reports(), before + 4);
    e.close();
  }
  p.assertNothingHeld();
});

test("routes: no route, a gateway, a better one, and away again", () => {
  const p = new Pair();
  const far = ip("192.0.2.1");
  assert.equal(p.a.ip.resolve(far, null, 0), null);
  assert.equal(p.a.ip.addRoute({ destination: "0.0.0.0/0", gateway: "10.0.0.2" }), 0);
  assert.equal(p.a.ip.resolve(far, null, 0)!.nextHop.toString(), "10.0.0.2");
  p.a.ip.addRoute({ destination: "192.0.2.0/24", gateway: "10.0.0.3" });
  assert.equal(p.a.ip.resolve(far, null, 0)!.nextHop.toString(), "10.0.0.3");
  assert.equal(p.a.ip.removeRoute("192.0.2.0/24"), 1);
  assert.equal(p.a.ip.removeRoute("0.0.0.0/0"), 1);
  assert.equal(p.a.ip.resolve(far, null, 0), null);
  assert.equal(p.a.ip.sourceFor(ip("10.0.0.2"))!.toString(), "10.0.0.1");
  p.assertNothingHeld();
});

test("a refusal on loopback reaches the connected socket", () => {
  const p = new Pair();
  const e = p.a.udp.open(4);
  assert.equal(e.connect(ip("127.0.0.1"), 9), 0);
  e.send(bytes, 0, 1, null, 0);
  p.settle();
  assert.equal(e.takeError(), ECONNREFUSED);
  p.assertNothingHeld();
});
