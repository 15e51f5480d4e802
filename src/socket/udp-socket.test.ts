import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAGAIN,
  EBADF,
  ECONNREFUSED,
  EDESTADDRREQ,
  EINVAL,
  EMSGSIZE,
  ENODEV,
  ENOPROTOOPT,
  ENOTCONN,
  EPERM,
} from "../base/errno.js";
import { ANY4, ANY6, IpAddress } from "../base/ip-address.js";
import { Readiness } from "../tcp/readiness.js";
import { Family, Level, MsgFlags, Shutdown } from "./linux-options.js";
import { ReadyEvents, ReadySet } from "./ready-set.js";
import { A4, A6, B4, B6, TwoStacks } from "./two-stacks.js";
import type { UdpSocket } from "./udp-socket.js";

const text = (s: string): Uint8Array => Buffer.from(s);

/** A socket on b, port 7. */
function receiver(net: TwoStacks): UdpSocket {
  const socket = net.b.udpSocket();
  assert.equal(socket.bind(ANY6, 7), 0);
  return socket;
}

function read(socket: UdpSocket, flags = 0): string {
  const bytes = new Uint8Array(2_000);
  const n = socket.receive(bytes, 0, bytes.length, flags);
  return n < 0 ? `errno ${-n}` : Buffer.from(bytes.subarray(0, n)).toString();
}

test("a dual-stack socket receives from both families and knows from whom", () => {
  const net = new TwoStacks();
  const socket = receiver(net);
  const sender = net.a.udpSocket();
  for (const [to, from] of [
    [B4, A4],
    [B6, A6],
  ] as const) {
    assert.equal(sender.send(text("hello"), 0, 5, to, 7), 5);
    net.settle();
    assert.equal(read(socket), "hello");
    assert.equal(socket.from.toString(), from.toString());
    assert.equal(socket.fromPort, sender.localPort);
    assert.equal(socket.to.toString(), to.toString());
    assert.equal(socket.ttl, 64);
  }
  assert.equal(read(socket), `errno ${EAGAIN}`);
});

test("readiness and ready sets follow the queue", () => {
  const net = new TwoStacks();
  const socket = receiver(net);
  const set = new ReadySet();
  const out = new ReadyEvents();
  set.add(socket, Readiness.IN);
  assert.equal(set.take(out), 0);
  net.a.udpSocket().send(text("x"), 0, 1, B4, 7);
  net.settle();
  assert.equal(socket.readiness(), Readiness.IN | Readiness.OUT);
  assert.equal(set.take(out), 1);
  read(socket);
  assert.equal(socket.readiness(), Readiness.OUT);
});

test("PEEK leaves the datagram, TRUNC tells its length, a short buffer loses the rest", () => {
  const net = new TwoStacks();
  const socket = receiver(net);
  const sender = net.a.udpSocket();
  sender.send(text("0123456789"), 0, 10, B4, 7);
  net.settle();
  assert.equal(socket.readableBytes, 10);
  const bytes = new Uint8Array(4);
  assert.equal(socket.receive(bytes, 0, 4, MsgFlags.PEEK | MsgFlags.TRUNC), 10);
  assert.equal(socket.receive(bytes, 0, 4), 4);
  assert.equal(socket.wasTruncated, true);
  assert.equal(socket.receive(bytes, 0, 4), -EAGAIN);
});

test("takeSlot, sendSlot and receiveSlot move a datagram without a copy by us", () => {
  const net = new TwoStacks();
  const socket = receiver(net);
  const sender = net.a.udpSocket();
  const { pool } = net;
  const slot = sender.takeSlot();
  pool.bytes.set(text("in place"), pool.at[slot]!);
  pool.end[slot] = pool.at[slot]! + 8;
  assert.equal(sender.sendSlot(slot, B4, 7), 8);
  net.settle();
  const got = socket.receiveSlot();
  assert.equal(Buffer.from(pool.bytes.slice(pool.at[got], pool.end[got])).toString(), "in place");
  pool.give(got);
  assert.equal(net.heldSlots, 0);
});

test("a connected socket hears only its peer, and of its refusals", () => {
  const net = new TwoStacks();
  const socket = net.a.udpSocket();
  assert.equal(socket.connect(B4, 9), 0);
  assert.equal(socket.remotePort, 9);
  const stranger = net.b.udpSocket();
  stranger.send(text("psst"), 0, 4, A4, socket.localPort);
  net.settle();
  assert.equal(socket.readableBytes, 0);
  assert.equal(socket.send(text("anyone?")), 7);
  net.settle();
  assert.equal(socket.readiness() & Readiness.ERR, Readiness.ERR);
  assert.equal(socket.takeError(), ECONNREFUSED);
  assert.equal(socket.disconnect(), 0);
  assert.equal(socket.send(text("x")), -EDESTADDRREQ);
});

test("bind conflicts follow SO_REUSEADDR and SO_REUSEPORT", () => {
  const net = new TwoStacks();
  const first = receiver(net);
  const second = net.b.udpSocket();
  assert.equal(second.bind(ANY6, 7), -EADDRINUSE);
  second.set("SO_REUSEADDR", 1);
  assert.equal(second.bind(ANY6, 7), -EADDRINUSE);
  first.set("SO_REUSEADDR", 1);
  assert.equal(second.bind(ANY6, 7), 0);
  assert.equal(net.b.udpSocket(Family.INET).bind(A4, 8), -EADDRNOTAVAIL);
});

test("broadcast takes permission, and reaches the subnet", () => {
  const net = new TwoStacks();
  const socket = receiver(net);
  const sender = net.a.udpSocket(Family.INET);
  const everyone = IpAddress.parse("10.0.0.255");
  assert.equal(sender.send(text("x"), 0, 1, everyone, 7), -EACCES);
  sender.set("SO_BROADCAST", 1);
  assert.equal(sender.send(text("x"), 0, 1, everyone, 7), 1);
  net.settle();
  assert.equal(read(socket), "x");
  assert.equal(socket.to.toString(), "10.0.0.255");
  sender.set("SO_BROADCAST", 0);
  assert.equal(sender.send(text("x"), 0, 1, everyone, 7), -EACCES, "a path known from before");
});

test("a group reaches members, on this host and others, and not those who left", () => {
  const net = new TwoStacks();
  const group = IpAddress.parse("239.0.0.1");
  const eth0 = net.b.interfaceByName("eth0")!.index;
  const near = net.a.udpSocket();
  near.bind(ANY6, 7);
  near.joinGroup(group, net.a.interfaceByName("eth0")!.index);
  const far = receiver(net);
  assert.equal(far.joinGroup(group, eth0), 0);
  assert.equal(far.joinGroup(group, eth0), -EADDRINUSE);
  const sender = net.a.udpSocket(Family.INET);
  assert.equal(sender.set("IP_MULTICAST_IF", (10 << 24) | 1), 0);
  sender.send(text("one"), 0, 3, group, 7);
  net.settle();
  assert.equal(read(near), "one");
  assert.equal(read(far), "one");
  assert.equal(far.leaveGroup(group, eth0), 0);
  assert.equal(far.leaveGroup(group, eth0), -EADDRNOTAVAIL);
  sender.set("IP_MULTICAST_LOOP", 0);
  sender.send(text("two"), 0, 3, group, 7);
  net.settle();
  assert.equal(read(near), `errno ${EAGAIN}`);
  assert.equal(read(far), `errno ${EAGAIN}`);
});

test("a full receive buffer drops datagrams and counts them", () => {
  const net = new TwoStacks();
  const socket = receiver(net);
  socket.set("SO_RCVBUF", 2_048);
  assert.equal(socket.get("SO_RCVBUF"), 4_096);
  const sender = net.a.udpSocket();
  for (let i = 0; i < 20; i++) sender.send(new Uint8Array(1_000), 0, 1_000, B4, 7);
  net.settle();
  let n = 0;
  while (socket.receive(new Uint8Array(1_000)) === 1_000) n++;
  assert.ok(n >= 2 && n < 6, `${n} datagrams kept`);
  assert.equal(net.b.ip.drops.get("SOCKET_QUEUE_FULL"), 20 - n);
});

test("too long datagrams give EMSGSIZE, with IP_MTU_DISCOVER already at the path MTU", () => {
  const net = new TwoStacks();
  const sender = net.a.udpSocket(Family.INET);
  assert.equal(sender.send(new Uint8Array(65_508), 0, 65_508, B4, 7), -EMSGSIZE);
  sender.set("IP_MTU_DISCOVER", 2);
  assert.equal(sender.send(new Uint8Array(1_473), 0, 1_473, B4, 7), -EMSGSIZE);
  assert.equal(sender.send(new Uint8Array(1_472), 0, 1_472, B4, 7), 1_472);
  assert.equal(sender.get("IP_MTU"), -ENOTCONN);
  sender.connect(B4, 7);
  assert.equal(sender.get("IP_MTU"), 1_500);
});

test("IPV6_MTU sends in pieces of that size what the path would take whole", () => {
  const net = new TwoStacks();
  const far = receiver(net);
  const sender = net.a.udpSocket();
  assert.equal(sender.set("IPV6_MTU", 1_279), -EINVAL);
  assert.equal(sender.set("IPV6_MTU", 1_280), 0);
  assert.equal(sender.send(new Uint8Array(1_300), 0, 1_300, B6, 7), 1_300);
  net.settle();
  assert.equal(net.a.ip.counters.get("fragmentedOut"), 1);
  assert.equal(far.receive(new Uint8Array(2_000)), 1_300);
});

test("an interface's index finds that interface, and no other number does", () => {
  const { a } = new TwoStacks();
  const found = a.ip.interfaces.map((iface) => a.interfaceByIndex(iface.index));
  assert.deepEqual(
    found.map((iface) => iface?.name),
    a.ip.interfaces.map((iface) => iface.name),
  );
  const socket = a.udpSocket();
  const [last] = a.ip.interfaces.slice(-1);
  assert.equal(socket.set("SO_BINDTOIFINDEX", last!.index), 0);
  assert.equal(socket.set("SO_BINDTOIFINDEX", last!.index + 1), -ENODEV);
  socket.close();
});

test("options are set and read as Linux's", () => {
  const net = new TwoStacks();
  const s = net.a.udpSocket();
  for (const name of ["SO_REUSEADDR", "SO_BROADCAST", "IP_RECVERR", "UDP_GRO"] as const) {
    assert.equal(s.get(name), 0, name);
    assert.equal(s.set(name, 1), 0, name);
    assert.equal(s.get(name), 1, name);
  }
  assert.equal(s.get("SO_TYPE"), 2);
  assert.equal(s.get("SO_PROTOCOL"), 17);
  assert.equal(s.get("SO_RCVBUF"), 212_992);
  assert.equal(s.get("IP_MULTICAST_TTL"), 1);
  assert.equal(s.set("IP_MULTICAST_TTL", 256), -EINVAL);
  assert.equal(s.set("IPV6_MULTICAST_IF", 99), -ENODEV);
  assert.equal(s.set("IP_MULTICAST_IF", (192 << 24) | 1), -EADDRNOTAVAIL);
  assert.equal(s.set("SO_MARK", 1), -EPERM);
  assert.equal(s.set("TCP_NODELAY", 1), -ENOPROTOOPT);
  assert.equal(s.setOption(Level.UDP, 9_999, 1), -ENOPROTOOPT);
  assert.equal(s.bindToDevice("none"), -ENODEV);
  assert.equal(s.bindToDevice("eth0"), 0);
});

test("shutdown needs a peer; a closed socket gives EBADF and leaves nothing", () => {
  const net = new TwoStacks();
  const s = net.a.udpSocket(Family.INET);
  assert.equal(s.bind(ANY4, 0), 0);
  assert.equal(s.shutdown(Shutdown.READ), -ENOTCONN);
  s.close();
  s.close();
  assert.equal(s.send(text("x"), 0, 1, B4, 7), -EBADF);
  assert.equal(s.receive(new Uint8Array(1)), -EBADF);
  assert.equal(s.set("SO_BROADCAST", 1), -EBADF);
  assert.equal(net.a.udp.size, 0);
});
