import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EAGAIN,
  EALREADY,
  EBADF,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENETUNREACH,
  ENOPROTOOPT,
  ENOTCONN,
  EPIPE,
  EPROTO,
} from "../base/errno.js";
import { ANY4, ANY6, IpAddress } from "../base/ip-address.js";
import { simLink } from "../nic/sim-link.js";
import { Readiness } from "../tcp/readiness.js";
import { State } from "../tcp/state.js";
import { Family, Level, MsgFlags, Shutdown, So } from "./linux-options.js";
import { ReadyEvents, ReadySet } from "./ready-set.js";
import type { TcpSocket } from "./tcp-socket.js";
import { A4, A6, B4, B6, TwoStacks } from "./two-stacks.js";

const { IN, OUT, ERR, HUP, RDHUP } = Readiness;
const text = (s: string): Uint8Array => Buffer.from(s);

/** A listener on b, port 80, all addresses. */
function listening(net: TwoStacks): TcpSocket {
  const listener = net.b.tcpSocket()!;
  assert.equal(listener.bind(ANY6, 80), 0);
  assert.equal(listener.listen(16), 0);
  return listener;
}

/** A connection from a to b: [client, server]. */
function connected(net: TwoStacks, to = B4): [TcpSocket, TcpSocket] {
  const listener = listening(net);
  const client = net.a.tcpSocket(to.isV4 ? Family.INET : Family.INET6)!;
  assert.equal(client.connect(to, 80), -EINPROGRESS);
  net.settle();
  const server = listener.accept()!;
  listener.close();
  return [client, server];
}

function readAll(socket: TcpSocket): string {
  const bytes = new Uint8Array(65_536);
  const n = socket.receive(bytes);
  return n < 0 ? `errno ${-n}` : Buffer.from(bytes.subarray(0, n)).toString();
}

for (const [family, to, from] of [
  ["IPv4", B4, A4],
  ["IPv6", B6, A6],
] as const) {
  test(`connect, accept, send, receive over ${family}`, () => {
    const net = new TwoStacks();
    const [client, server] = connected(net, to);
    assert.equal(server.remoteAddress.toString(), from.toString());
    assert.equal(server.remotePort, client.localPort);
    assert.equal(client.localAddress.toString(), from.toString());
    assert.equal(client.send(text("hello")), 5);
    net.settle();
    assert.equal(server.readableBytes, 5);
    assert.equal(readAll(server), "hello");
    assert.equal(server.receive(new Uint8Array(1)), -EAGAIN);
  });
}

test("a closed pair leaves no row, flow, port or slot behind", () => {
  const net = new TwoStacks();
  const [client, server] = connected(net);
  client.send(text("x".repeat(100_000)));
  net.settle();
  assert.ok(readAll(server).length > 0);
  while (server.receive(new Uint8Array(65_536)) > 0);
  client.close();
  net.settle();
  assert.equal(readAll(server), "");
  server.close();
  net.run(120_000_000);
  for (const stack of [net.a, net.b]) {
    assert.equal(stack.tcp.rows, 0);
    assert.equal(stack.flows.size, 0);
    assert.equal(stack.tcpPorts.isFree(80), true);
  }
  assert.equal(net.heldSlots, 0);
});

test("a connection to a port without a listener is refused", () => {
  const net = new TwoStacks();
  const client = net.a.tcpSocket()!;
  assert.equal(client.connect(B4, 81), -EINPROGRESS);
  assert.equal(client.connect(B4, 81), -EALREADY);
  net.settle();
  assert.equal(client.readiness() & ERR, ERR);
  assert.equal(client.takeError(), ECONNREFUSED);
  assert.equal(client.takeError(), 0);
});

test("a listener at a device hears who comes by it, whatever its index is", () => {
  const net = new TwoStacks();
  const link = simLink(net.pool, net.pool);
  const index = 1_000_000_001;
  net.a.ip.addInterface(link.a, { addresses: ["10.9.0.1/24"] });
  net.b.ip.addInterface(link.b, { index, name: "far", addresses: ["10.9.0.2/24"] });
  const listener = net.b.tcpSocket()!;
  assert.equal(listener.bindToDevice("far"), 0);
  assert.equal(listener.bind(IpAddress.parse("0.0.0.0"), 80), 0);
  assert.equal(listener.listen(1), 0);
  const client = net.a.tcpSocket()!;
  client.connect(IpAddress.parse("10.9.0.2"), 80);
  net.settle();
  assert.equal(client.state, State.ESTABLISHED);
});

test("after a refusal the socket can connect again", () => {
  const net = new TwoStacks();
  const client = net.a.tcpSocket()!;
  client.connect(B4, 80);
  net.settle();
  assert.equal(client.takeError(), ECONNREFUSED);
  listening(net);
  assert.equal(client.connect(B4, 80), -EINPROGRESS);
  net.settle();
  assert.equal(client.state, State.ESTABLISHED);
  assert.equal(client.connect(B4, 80), -EISCONN);
});

test("nobody is at port 0, and the peer says so", () => {
  const net = new TwoStacks();
  const client = net.a.tcpSocket()!;
  assert.equal(client.connect(B4, 0), -EINPROGRESS);
  net.settle();
  assert.equal(client.takeError(), ECONNREFUSED);
});

test("disconnect: RST, the options stay, the socket connects or listens again, nothing is left", () => {
  const net = new TwoStacks();
  const [client, server] = connected(net);
  const watched = client.id;
  client.set("TCP_NODELAY", 1);
  client.send(text("unread"));
  assert.equal(client.disconnect(), ECONNRESET);
  assert.equal(client.disconnect(), 0);
  net.settle();
  assert.equal(server.takeError(), ECONNRESET);
  server.close();
  assert.deepEqual([client.readiness(), client.remotePort, client.id], [OUT | HUP, 0, watched]);
  assert.equal(client.get("TCP_NODELAY"), 1);
  const listener = listening(net);
  assert.equal(client.connect(B4, 80), -EINPROGRESS);
  net.settle();
  assert.equal(client.readiness(), OUT);
  assert.equal(listener.disconnect(), 0); // with a connection that nobody has accepted
  net.settle();
  assert.equal(client.takeError(), ECONNRESET);
  assert.equal(net.b.tcpPorts.isFree(80), false); // `bind` named it
  assert.equal(listener.listen(1), 0);
  client.close();
  listener.close();
  net.run(120_000_000);
  for (const stack of [net.a, net.b]) {
    assert.equal(stack.tcp.rows, 0);
    assert.equal(stack.flows.size, 0);
    assert.equal(stack.tcpPorts.size, 0);
  }
  assert.equal(net.heldSlots, 0);
});

test("readiness follows the life of a connection", () => {
  const net = new TwoStacks();
  const listener = listening(net);
  assert.equal(listener.readiness(), 0);
  const client = net.a.tcpSocket()!;
  assert.equal(client.readiness(), OUT | HUP);
  client.connect(B4, 80);
  assert.equal(client.readiness(), 0);
  net.settle();
  assert.equal(client.readiness(), OUT);
  assert.equal(listener.readiness(), IN);
  const server = listener.accept()!;
  assert.equal(listener.readiness(), 0);
  assert.equal(server.shutdown(Shutdown.WRITE), 0);
  net.settle();
  assert.equal(client.readiness(), OUT | IN | RDHUP);
  client.shutdown(Shutdown.WRITE);
  net.settle();
  assert.equal(client.readiness() & HUP, HUP);
});

test("a ready set reports what happened on several sockets", () => {
  const net = new TwoStacks();
  const [client, server] = connected(net);
  const set = new ReadySet();
  const out = new ReadyEvents();
  set.add(client, IN);
  set.add(server, IN);
  assert.equal(set.take(out), 0);
  client.send(text("hi"));
  net.settle();
  assert.equal(set.take(out), 1);
  assert.equal(out.sockets[0], server);
  readAll(server);
  assert.equal(set.take(out), 0);
});

test("half-close: the other direction goes on", () => {
  const net = new TwoStacks();
  const [client, server] = connected(net);
  client.send(text("request"));
  client.shutdown(Shutdown.WRITE);
  assert.equal(client.send(text("more")), -EPIPE);
  net.settle();
  assert.equal(readAll(server), "request");
  assert.equal(readAll(server), "");
  server.send(text("answer"));
  net.settle();
  assert.equal(readAll(client), "answer");
});

test("abort resets the peer's connection", () => {
  const net = new TwoStacks();
  const [client, server] = connected(net);
  client.abort();
  net.settle();
  assert.equal(server.receive(new Uint8Array(1)), -ECONNRESET);
  assert.equal(net.a.tcp.rows, 0);
});

test("SO_LINGER of 0 makes close reset the connection", () => {
  const net = new TwoStacks();
  const [client, server] = connected(net);
  assert.equal(client.setLinger(true, 0), 0);
  client.close();
  net.settle();
  assert.equal(server.takeError(), ECONNRESET);
});

test("PEEK leaves the bytes, TRUNC drops them, OOB is out of band", () => {
  const net = new TwoStacks();
  const [client, server] = connected(net);
  client.send(text("abcdef"));
  net.settle();
  const bytes = new Uint8Array(3);
  assert.equal(server.receive(bytes, 0, 3, MsgFlags.PEEK), 3);
  assert.equal(server.receive(bytes, 0, 3, MsgFlags.TRUNC), 3);
  assert.equal(readAll(server), "def");
  client.send(text("!"), 0, 1, MsgFlags.OOB);
  net.settle();
  assert.equal(server.readiness() & Readiness.PRI, Readiness.PRI);
  assert.equal(server.receive(bytes, 0, 1, MsgFlags.OOB), 1);
  assert.equal(bytes[0], 0x21);
});

test("receiveSlot hands out bytes without a copy", () => {
  const net = new TwoStacks();
  const [client, server] = connected(net);
  client.send(text("in place"));
  net.settle();
  const slot = server.receiveSlot();
  const { pool } = net;
  const bytes = pool.bytes.subarray(pool.at[slot]!, pool.end[slot]!);
  assert.equal(Buffer.from(bytes).toString(), "in place");
  pool.give(slot);
  assert.equal(server.receiveSlot(), -EAGAIN);
});

test("a host connects to itself, over loopback and over its own address", () => {
  const net = new TwoStacks();
  for (const address of ["127.0.0.1", "::1", "10.0.0.2"]) {
    const to = IpAddress.parse(address);
    const listener = listening(net);
    const client = net.b.tcpSocket(to.isV4 ? Family.INET : Family.INET6)!;
    client.connect(to, 80);
    net.settle();
    const server = listener.accept()!;
    server.send(text("to myself"));
    net.settle();
    assert.equal(readAll(client), "to myself");
    client.abort();
    listener.close();
    net.run(1_000_000);
  }
});

test("connections to two peers' ports may share a local port; the 4-tuple must be new", () => {
  const net = new TwoStacks();
  listening(net);
  const first = net.a.tcpSocket(Family.INET)!;
  first.bind(A4, 5000);
  first.connect(B4, 80);
  net.settle();
  const second = net.a.tcpSocket(Family.INET)!;
  second.set("SO_REUSEADDR", 1);
  assert.equal(second.bind(A4, 5000), -EADDRINUSE);
  first.set("SO_REUSEADDR", 1);
  assert.equal(second.bind(A4, 5000), 0);
  assert.equal(second.connect(B4, 80), -EADDRNOTAVAIL);
  assert.equal(second.connect(B4, 81), -EINPROGRESS);
});

test("who connects to a port of his own host is never given that port, unless by bind", () => {
  const net = new TwoStacks();
  const to = 40_000;
  const ports = new Set<number>();
  for (let i = 0; i < 30_000; i++) {
    const client = net.a.tcpSocket(Family.INET)!;
    assert.equal(client.connect(A4, to), -EINPROGRESS);
    ports.add(client.localPort);
    client.abort();
  }
  assert.equal(ports.has(to), false);
  assert.ok(ports.has(to - 1) && ports.has(to + 1), "not all ports were tried");
  const other = new TwoStacks();
  const bound = other.a.tcpSocket(Family.INET)!;
  assert.equal(bound.bind(A4, to), 0);
  assert.equal(bound.connect(A4, to), -EINPROGRESS);
  other.settle();
  assert.equal(bound.state, State.ESTABLISHED);
});

test("bind refuses what Linux refuses", () => {
  const net = new TwoStacks();
  const v4 = net.a.tcpSocket(Family.INET)!;
  assert.equal(v4.bind(A6, 80), -EAFNOSUPPORT);
  assert.equal(v4.bind(B4, 80), -EADDRNOTAVAIL);
  assert.equal(v4.bind(A4, 65_536), -EINVAL);
  assert.equal(v4.bind(A4, 80), 0);
  assert.equal(v4.bind(A4, 81), -EINVAL);
  const v6 = net.a.tcpSocket(Family.INET6)!;
  assert.equal(v6.set("IPV6_V6ONLY", 1), 0);
  assert.equal(v6.bind(A4, 81), -EINVAL);
  assert.equal(v6.connect(B4, 81), -ENETUNREACH);
  assert.equal(v6.bind(IpAddress.parse("fe80::1"), 81), -EINVAL);
});

test("IP_FREEBIND binds to an address that is not there yet", () => {
  const net = new TwoStacks();
  const socket = net.a.tcpSocket(Family.INET)!;
  socket.set("IP_FREEBIND", 1);
  assert.equal(socket.bind(IpAddress.parse("192.0.2.1"), 80), 0);
});

test("a bind to port 0 and a listen without bind choose ephemeral ports", () => {
  const net = new TwoStacks();
  const bound = net.a.tcpSocket(Family.INET)!;
  assert.equal(bound.bind(ANY4, 0), 0);
  const listener = net.a.tcpSocket(Family.INET)!;
  assert.equal(listener.listen(1), 0);
  for (const s of [bound, listener]) assert.ok(s.localPort >= 32_768 && s.localPort <= 60_999);
  assert.notEqual(bound.localPort, listener.localPort);
});

test("only one of two sockets bound with SO_REUSEADDR may listen", () => {
  const net = new TwoStacks();
  const sockets = [0, 1].map(() => {
    const s = net.a.tcpSocket(Family.INET)!;
    s.set("SO_REUSEADDR", 1);
    assert.equal(s.bind(A4, 80), 0);
    return s;
  });
  assert.equal(sockets[0]!.listen(1), 0);
  assert.equal(sockets[1]!.listen(1), -EADDRINUSE);
  sockets[0]!.close();
  assert.equal(sockets[1]!.listen(1), 0);
});

test("listeners with SO_REUSEPORT share the connections", () => {
  const net = new TwoStacks();
  const listeners = [0, 1].map(() => {
    const s = net.b.tcpSocket()!;
    s.set("SO_REUSEPORT", 1);
    assert.equal(s.bind(ANY6, 80), 0);
    assert.equal(s.listen(64), 0);
    return s;
  });
  for (let i = 0; i < 40; i++) net.a.tcpSocket()!.connect(B4, 80);
  net.settle();
  const counts = listeners.map((l) => {
    let n = 0;
    while (l.accept() !== null) n++;
    return n;
  });
  assert.equal(counts[0]! + counts[1]!, 40);
  assert.ok(counts[0]! > 5 && counts[1]! > 5, `shares of ${counts.join(" and ")}`);
});

test("a port in TIME-WAIT can be bound with SO_REUSEADDR only", () => {
  const net = new TwoStacks();
  const listener = net.b.tcpSocket()!;
  listener.set("SO_REUSEADDR", 1);
  listener.bind(ANY6, 80);
  listener.listen(1);
  const client = net.a.tcpSocket()!;
  client.connect(B4, 80);
  net.settle();
  const server = listener.accept()!;
  server.close();
  net.settle();
  client.close();
  listener.close();
  net.settle();
  const again = net.b.tcpSocket()!;
  assert.equal(again.bind(ANY6, 80), -EADDRINUSE);
  again.set("SO_REUSEADDR", 1);
  assert.equal(again.bind(ANY6, 80), 0);
});

test("calls on a closed socket give EBADF", () => {
  const net = new TwoStacks();
  const socket = net.a.tcpSocket()!;
  socket.close();
  socket.close();
  assert.equal(socket.bind(ANY6, 80), -EBADF);
  assert.equal(socket.connect(B4, 80), -EBADF);
  assert.equal(socket.send(text("x")), -EBADF);
  assert.equal(socket.shutdown(Shutdown.BOTH), -EBADF);
  assert.equal(socket.set("TCP_NODELAY", 1), -EBADF);
  assert.equal(net.a.tcp.rows, 0);
});

test("shutdown before a connection gives ENOTCONN, connect elsewhere the route's error", () => {
  const net = new TwoStacks();
  const socket = net.a.tcpSocket()!;
  assert.equal(socket.shutdown(Shutdown.WRITE), -ENOTCONN);
  assert.equal(socket.connect(IpAddress.parse("192.0.2.1"), 80), -ENETUNREACH);
  assert.equal(socket.connect(IpAddress.parse("224.0.0.1"), 80), -ENETUNREACH);
});

test("options are set and read as Linux's", () => {
  const net = new TwoStacks();
  const s = net.a.tcpSocket(Family.INET6)!;
  for (const name of ["SO_REUSEADDR", "SO_KEEPALIVE", "TCP_NODELAY", "SO_OOBINLINE"] as const) {
    assert.equal(s.get(name), 0, name);
    assert.equal(s.set(name, 1), 0, name);
    assert.equal(s.get(name), 1, name);
  }
  assert.equal(s.get("SO_TYPE"), 1);
  assert.equal(s.get("SO_DOMAIN"), 10);
  assert.equal(s.set("SO_TYPE", 1), -ENOPROTOOPT);
  assert.equal(s.set("IP_TTL", 0), -EINVAL);
  assert.equal(s.set("IP_TTL", 7), 0);
  assert.equal(s.get("IP_TTL"), 7);
  assert.equal(s.set("IP_TTL", -1), 0);
  assert.equal(s.get("IP_TTL"), 64);
  assert.equal(s.set("IP_TOS", 0xbb), 0);
  assert.equal(s.get("IP_TOS"), 0xb8);
  assert.equal(s.get("IP_MTU_DISCOVER"), 1);
  assert.equal(s.get("IP_MTU"), -ENOTCONN);
  assert.equal(s.set("IP_ADD_MEMBERSHIP", 0), -EPROTO);
  assert.equal(s.setOption(Level.SOCKET, 9999, 1), -ENOPROTOOPT);
  assert.equal(s.setOption(Level.SOCKET, So.SO_LINGER, 1), -EINVAL);
  const v4 = net.a.tcpSocket(Family.INET)!;
  assert.equal(v4.set("IPV6_V6ONLY", 1), -ENOPROTOOPT);
});

test("IP_TTL and IP_TOS are in the packets, IP_MINTTL drops those from too far", () => {
  const net = new TwoStacks();
  const listener = listening(net);
  listener.set("IP_MINTTL", 64);
  const near = net.a.tcpSocket(Family.INET)!;
  near.connect(B4, 80);
  const far = net.a.tcpSocket(Family.INET)!;
  far.set("IP_TTL", 63);
  far.connect(B4, 80);
  net.settle();
  assert.equal(near.state, State.ESTABLISHED);
  assert.equal(far.state, State.SYN_SENT);
  assert.equal(net.b.ip.drops.get("IP_TTL_TOO_LOW"), 1);
});

test("a segment with a wrong checksum is dropped and counted", () => {
  const net = new TwoStacks({ capabilities: 0 });
  const [client, server] = connected(net);
  client.send(text("damaged"));
  net.a.turn(net.nowUs);
  const slot = [...net.pool.end.keys()].find((s) => {
    const bytes = net.pool.bytes.subarray(net.pool.end[s]! - 7, net.pool.end[s]!);
    return Buffer.from(bytes).toString() === "damaged" && net.pool.at[s]! < net.pool.l4At[s]!;
  });
  assert.notEqual(slot, undefined);
  for (const s of net.pool.end.keys()) {
    const at = net.pool.end[s]! - 7;
    if (Buffer.from(net.pool.bytes.subarray(at, at + 7)).toString() === "damaged") {
      net.pool.bytes[at] = 0x44;
    }
  }
  net.settle();
  assert.equal(server.readableBytes, 0);
  assert.equal(net.b.ip.drops.get("TCP_BAD_CHECKSUM"), 1);
});

test("a thousand connections at once, opened and closed, leave nothing behind", () => {
  const net = new TwoStacks();
  const listener = net.b.tcpSocket()!;
  listener.bind(ANY6, 80);
  listener.listen(2_000);
  const clients: TcpSocket[] = [];
  for (let i = 0; i < 1_000; i++) {
    const c = net.a.tcpSocket()!;
    assert.equal(c.connect(B4, 80), -EINPROGRESS);
    clients.push(c);
    if (i % 100 === 99) net.settle();
  }
  const servers: TcpSocket[] = [];
  for (let s = listener.accept(); s !== null; s = listener.accept()) servers.push(s);
  assert.equal(servers.length, 1_000);
  for (const c of clients) c.send(text("x"));
  net.settle();
  for (const s of servers) assert.equal(s.readableBytes, 1);
  for (const s of servers) readAll(s);
  for (const c of clients) c.close();
  net.settle();
  for (const s of servers) s.close();
  listener.close();
  net.run(120_000_000);
  assert.equal(net.a.tcp.rows + net.b.tcp.rows, 0);
  assert.equal(net.a.flows.size + net.b.flows.size, 0);
  assert.equal(net.heldSlots, 0);
});

test("shutdown of a listener ends listening, and it can listen again, as in Linux", () => {
  const net = new TwoStacks();
  const listener = listening(net);
  const [waiting, refused] = [net.a.tcpSocket()!, net.a.tcpSocket()!];
  waiting.connect(B4, 80);
  net.settle();
  assert.equal(listener.shutdown(Shutdown.WRITE), 0);
  assert.equal(listener.state, State.LISTEN);
  assert.equal(listener.shutdown(Shutdown.BOTH), 0);
  assert.equal(listener.readiness(), OUT | HUP);
  assert.equal(listener.accept(), null);
  assert.equal(listener.acceptErrno, -EINVAL);
  refused.connect(B4, 80);
  net.settle();
  assert.equal(waiting.takeError(), ECONNRESET);
  assert.equal(refused.takeError(), ECONNREFUSED);
  assert.equal(listener.listen(1), 0);
  const again = net.a.tcpSocket()!;
  again.connect(B4, 80);
  net.settle();
  assert.ok(listener.accept() !== null);
});

test("shutdown of an attempt to connect ends it, as in Linux", () => {
  const net = new TwoStacks();
  const socket = net.a.tcpSocket()!;
  socket.connect(IpAddress.parse("10.0.0.77"), 80);
  assert.equal(socket.shutdown(Shutdown.WRITE), 0);
  assert.equal(socket.readiness(), OUT | ERR | HUP);
  assert.equal(socket.takeError(), ECONNRESET);
  assert.equal(socket.connect(B4, 80), -EINPROGRESS);
});

test("a socket whose connection has ended can neither connect nor listen again", () => {
  const net = new TwoStacks();
  const [client, server] = connected(net);
  server.send(text("unread"));
  net.settle();
  server.abort();
  net.settle();
  assert.equal(client.connect(B4, 80), -EISCONN);
  assert.equal(client.listen(1), -EINVAL);
  assert.equal(readAll(client), "unread");
  assert.equal(readAll(client), `errno ${ECONNRESET}`);
  assert.equal(readAll(client), "");
});

test("sending on a socket without a connection gives EPIPE, as in Linux", () => {
  const net = new TwoStacks();
  assert.equal(net.a.tcpSocket()!.send(text("x")), -EPIPE);
  assert.equal(listening(net).send(text("x")), -EPIPE);
});
