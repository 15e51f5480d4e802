/** UDP over the whole IP layer: two hosts, virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EACCES, EAGAIN, ECONNREFUSED, EMSGSIZE } from "../base/errno.js";
import { ErrorEntry, ErrorOrigin } from "./error-queue.js";
import { DontFragment } from "./send-options.js";
import { ip, Pair } from "./stack-fixture.js";
import { type UdpEndpoint, UdpReadiness } from "./udp-endpoint.js";
import { ReceiveFlags } from "./udp-receiver.js";

const buffer = new Uint8Array(66_000);
const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const sendText = (e: UdpEndpoint, s: string, to: string | null, port: number): number =>
  e.send(text(s), 0, s.length, to === null ? null : ip(to), port);
function received(e: UdpEndpoint): string {
  const n = e.receive(buffer, 0, buffer.length);
  return n < 0 ? `error ${n}` : new TextDecoder().decode(buffer.subarray(0, n));
}

for (const [family, from, to] of [
  ["IPv4", "10.0.0.1", "10.0.0.2"],
  ["IPv6", "fd00::1", "fd00::2"],
] as const) {
  test(`a datagram and its answer pass over ${family}, the first waiting for its neighbour`, () => {
    const p = new Pair();
    const server = p.b.bound(to, 53);
    const client = p.a.bound(from, 4000);
    assert.equal(sendText(client, "ping", to, 53), 4);
    p.settle();
    assert.equal(received(server), "ping");
    assert.equal(server.from.toString(), from);
    assert.equal(server.fromPort, 4000);
    assert.equal(server.to.toString(), to);
    assert.equal(server.receivedTtl, 64);
    sendText(server, "pong", from, server.fromPort);
    p.settle();
    assert.equal(received(client), "pong");
    assert.equal(received(client), `error ${-EAGAIN}`);
    p.assertNothingHeld();
  });

  test(`a datagram of 60,000 bytes is fragmented and put together over ${family}`, () => {
    const p = new Pair();
    const server = p.b.bound(to, 53);
    const client = p.a.bound(from, 4000);
    const data = Uint8Array.from({ length: 60_000 }, (_, i) => (i * 7) & 255);
    assert.equal(client.send(data, 0, data.length, ip(to), 53), 60_000);
    p.settle();
    assert.equal(server.receive(buffer, 0, buffer.length), 60_000);
    assert.deepEqual(buffer.subarray(0, 60_000), data);
    assert.equal(p.b.ip.counters.get("reassembled"), 1);
    p.assertNothingHeld();
  });

  test(`a connected socket hears over ${family} that nobody has the port`, () => {
    const p = new Pair();
    const client = p.a.udp.open(family === "IPv4" ? 4 : 6);
    assert.equal(client.connect(ip(to), 53), 0);
    assert.equal(client.localAddress.toString(), from);
    sendText(client, "x", null, 0);
    p.settle();
    assert.equal(client.readiness & UdpReadiness.ERR, UdpReadiness.ERR);
    assert.equal(sendText(client, "y", null, 0), -ECONNREFUSED);
    assert.equal(client.takeError(), 0);
    assert.equal(p.b.drops("UDP_NO_SOCKET"), 1);
    p.assertNothingHeld();
  });

  test(`a host talks to itself over ${family}`, () => {
    const p = new Pair();
    const server = p.a.bound(from, 53);
    const client = p.a.udp.open(family === "IPv4" ? 4 : 6);
    sendText(client, "self", from, 53);
    p.settle();
    assert.equal(received(server), "self");
    assert.equal(p.linkB.counters.get("rxFrames") > 0, true);
    p.assertNothingHeld();
  });

  test(`a send of many segments (UDP_SEGMENT) arrives as datagrams over ${family}`, () => {
    for (const capabilities of [undefined, 0]) {
      const p = new Pair(capabilities === undefined ? {} : { capabilities });
      const server = p.b.bound(to, 53);
      const client = p.a.bound(from, 4000);
      client.gsoBytes = 1000;
      assert.equal(client.send(buffer, 0, 2500, ip(to), 53), 2500);
      p.settle();
      const sizes = [0, 0, 0].map(() => server.receive(buffer, 0, 9000));
      assert.deepEqual(sizes, [1000, 1000, 500]);
      p.assertNothingHeld();
    }
  });
}

test("MSG_PEEK leaves the datagram, MSG_TRUNC tells its length, a short buffer loses the rest", () => {
  const p = new Pair();
  const server = p.b.bound("0.0.0.0", 53);
  sendText(p.a.bound("10.0.0.1", 4000), "hello", "10.0.0.2", 53);
  p.settle();
  assert.equal(server.receive(buffer, 0, 2, ReceiveFlags.PEEK), 2);
  assert.equal(server.truncated, true);
  assert.equal(server.nextBytes, 5);
  assert.equal(server.receive(buffer, 0, 2, ReceiveFlags.TRUNC), 5);
  assert.equal(server.receive(buffer, 0, 2), -EAGAIN);
  p.assertNothingHeld();
});

test("a full receive buffer drops and counts", () => {
  const p = new Pair();
  const server = p.b.bound("10.0.0.2", 53);
  server.receiveBufferBytes = 1200;
  const client = p.a.bound("10.0.0.1", 4000);
  for (let i = 0; i < 5; i++) sendText(client, "x", "10.0.0.2", 53);
  p.settle();
  assert.equal(server.queue.n, 2);
  assert.equal(server.dropped, 3);
  assert.equal(p.b.drops("SOCKET_QUEUE_FULL"), 3);
  server.close();
  assert.equal(p.b.drops("SOCKET_CLOSED"), 2);
  p.assertNothingHeld();
});

test("a broadcast needs SO_BROADCAST, and reaches the others and the sender's own sockets", () => {
  const p = new Pair();
  const there = p.b.bound("0.0.0.0", 9);
  const here = p.a.bound("0.0.0.0", 9);
  const client = p.a.bound("10.0.0.1", 4000);
  assert.equal(sendText(client, "x", "10.0.0.255", 9), -EACCES);
  client.broadcast = true;
  for (const to of ["10.0.0.255", "255.255.255.255"]) {
    assert.equal(sendText(client, to, to, 9), to.length);
    p.settle();
    assert.equal(received(there), to);
    assert.equal(received(here), to);
  }
  p.assertNothingHeld();
});

test("multicast reaches every member, with a copy each, and members on this host if looped", () => {
  const p = new Pair();
  for (const [group, any] of [
    ["239.1.2.3", "0.0.0.0"],
    ["ff02::77", "::"],
  ] as const) {
    const members = [0, 1, 2].map(() => {
      const e = p.b.udp.open(group.includes(":") ? 6 : 4);
      e.reuseAddress = true;
      assert.equal(e.bind(ip(any), 9), 0);
      assert.equal(e.memberships.join(ip(group), p.ifaceB.index), 0);
      return e;
    });
    const own = p.a.bound(any, 9);
    own.memberships.join(ip(group), p.ifaceA.index);
    const client = p.a.udp.open(group.includes(":") ? 6 : 4);
    client.multicastIf = p.ifaceA.index;
    sendText(client, "all", group, 9);
    p.settle();
    for (const e of members) {
      assert.equal(received(e), "all");
      assert.equal(e.receivedTtl, 1);
    }
    assert.equal(received(own), "all");
    client.multicastLoop = false;
    sendText(client, "away", group, 9);
    p.settle();
    assert.equal(received(own), `error ${-EAGAIN}`);
    assert.equal(received(members[0]!), "away");
    for (const e of [...members, own, client]) e.close();
  }
  p.assertNothingHeld();
});

test("a source filter lets only its sources pass, per socket and per interface", () => {
  const p = new Pair();
  const e = p.b.bound("0.0.0.0", 9);
  const group = ip("232.1.1.1");
  assert.equal(e.memberships.joinSource(group, ip("10.0.0.9"), p.ifaceB.index), 0);
  const client = p.a.bound("10.0.0.1", 4000);
  client.multicastIf = p.ifaceA.index;
  sendText(client, "no", "232.1.1.1", 9);
  p.settle();
  assert.equal(p.b.drops("IP_SOURCE_FILTERED"), 1);
  assert.equal(e.memberships.joinSource(group, ip("10.0.0.1"), p.ifaceB.index), 0);
  sendText(client, "yes", "232.1.1.1", 9);
  p.settle();
  assert.equal(received(e), "yes");
  assert.equal(e.memberships.leave(group, 0), 0);
  p.settle();
  const before = p.b.drops("IP_NOT_JOINED"); // reports to routers' groups count here too
  sendText(client, "gone", "232.1.1.1", 9);
  p.settle();
  assert.equal(p.b.drops("IP_NOT_JOINED"), before + 1);
  p.assertNothingHeld();
});

test("the error queue tells what an ICMP error was about (IP_RECVERR)", () => {
  const p = new Pair();
  const client = p.a.bound("10.0.0.1", 4000);
  client.recvErr = true;
  sendText(client, "lost", "10.0.0.2", 7);
  p.settle();
  const entry = new ErrorEntry();
  assert.equal(client.takeErrorEntry(entry), true);
  assert.equal(entry.errno, ECONNREFUSED);
  assert.equal(entry.origin, ErrorOrigin.ICMP);
  assert.equal(`${entry.to}:${entry.toPort}`, "10.0.0.2:7");
  assert.equal(entry.offender.toString(), "10.0.0.2");
  assert.equal(new TextDecoder().decode(entry.data), "lost");
  assert.equal(client.takeErrorEntry(entry), false);
  p.assertNothingHeld();
});

test("what must not be fragmented and is too long is refused with EMSGSIZE", () => {
  const p = new Pair();
  const client = p.a.bound("10.0.0.1", 4000);
  client.pmtuDiscover = DontFragment.ALWAYS;
  assert.equal(client.send(buffer, 0, 1473, ip("10.0.0.2"), 9), -EMSGSIZE);
  assert.equal(client.send(buffer, 0, 1472, ip("10.0.0.2"), 9), 1472);
  assert.equal(client.send(buffer, 0, 65_508, ip("10.0.0.2"), 9), -EMSGSIZE);
  p.settle();
  p.assertNothingHeld();
});

test("a dual-stack socket receives and sends IPv4 with mapped addresses", () => {
  const p = new Pair();
  const server = p.b.bound("::", 53);
  const client = p.a.bound("10.0.0.1", 4000);
  sendText(client, "four", "10.0.0.2", 53);
  p.settle();
  assert.equal(received(server), "four");
  assert.equal(sendText(server, "back", "10.0.0.1", 4000), 4);
  p.settle();
  assert.equal(received(client), "back");
  p.assertNothingHeld();
});
