import assert from "node:assert/strict";
import { test } from "node:test";
import { Kind, Op, OpenedFor, SocketAt, Status } from "../ring/engine-layout.js";
import { type EngineRig, withEngine } from "./engine-fixture.js";
import type { TestClient } from "./test-client-fixture.js";
import type { TestSocket } from "./test-socket-fixture.js";

const ECONNREFUSED = 111;
const EINPROGRESS = 115;
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

function udp(client: TestClient, port: number, own = "0.0.0.0"): TestSocket {
  return client.open({ kind: Kind.UDP, at: OpenedFor.BIND, own, ownPort: port });
}

/** A listener, a connection to it, and what the listener's program accepted. */
function connect(
  rig: EngineRig,
  server: TestClient,
  client: TestClient,
  port = 8_080,
  address = "10.77.0.1",
): { listener: TestSocket; a: TestSocket; b: TestSocket } {
  const listener = server.open({
    kind: Kind.TCP,
    at: OpenedFor.LISTEN,
    own: "0.0.0.0",
    ownPort: port,
  });
  assert.equal(listener.result, 0, listener.reason);
  assert.equal(listener.call(Op.LISTEN, [16]).result, 0);
  const a = client.open({
    kind: Kind.TCP,
    at: OpenedFor.CONNECT,
    peer: address,
    peerPort: port,
  });
  assert.equal(a.callWith(Op.CONNECT, address, port), -EINPROGRESS);
  let b: TestSocket | null = null;
  rig.until(() => {
    b ??= server.accept(listener);
    return b !== null && (a.status & Status.CONNECTED) !== 0;
  }, "the connection");
  return { listener, a, b: b! };
}

test("a datagram goes from one program to another and back", () => {
  withEngine((rig) => {
    const server = rig.client({ program: "server" });
    const client = rig.client({ program: "client" });
    const s = udp(server, 7_000);
    const c = client.open({
      kind: Kind.UDP,
      at: OpenedFor.SEND,
      peer: "10.77.0.1",
      peerPort: 7_000,
    });
    assert.equal(s.result, 0, s.reason);
    assert.equal(c.result, 0, c.reason);
    c.sendTo(bytes("hello"), "10.77.0.1", 7_000);
    const got = rig.datagram(s);
    assert.equal(Buffer.from(got.data).toString(), "hello");
    assert.equal(got.from, "10.77.0.1");
    s.sendTo(bytes("back"), got.from, got.fromPort);
    const answer = rig.datagram(c);
    assert.equal(Buffer.from(answer.data).toString(), "back");
    assert.equal(answer.fromPort, 7_000);
  });
});

test("a connection between two programs carries bytes both ways, and ends in order", () => {
  withEngine((rig) => {
    const server = rig.client();
    const client = rig.client();
    const { a, b } = connect(rig, server, client);
    assert.deepEqual(b.name(SocketAt.remote), a.name(SocketAt.local));
    assert.deepEqual(a.name(SocketAt.remote), { address: "10.77.0.1", port: 8_080 });
    a.send(bytes("ping"));
    assert.equal(Buffer.from(rig.read(b, 4)).toString(), "ping");
    b.send(bytes("pong"));
    assert.equal(Buffer.from(rig.read(a, 4)).toString(), "pong");
    assert.equal(a.call(Op.SHUTDOWN, [1]).result, 0);
    rig.until(() => (b.status & Status.EOF) !== 0, "the end of data");
    b.send(bytes("last"));
    assert.equal(Buffer.from(rig.read(a, 4)).toString(), "last");
    b.close();
    rig.until(() => (a.status & Status.EOF) !== 0, "the other end of data");
  });
});

test("more than the rings hold arrives whole, and close right after sending loses nothing", () => {
  withEngine((rig) => {
    const server = rig.client();
    const client = rig.client();
    const { a, b } = connect(rig, server, client);
    const total = 3_000_000;
    const data = new Uint8Array(total);
    for (let i = 0; i < total; i++) data[i] = (i * 31 + (i >> 8)) & 0xff;
    const got = new Uint8Array(total);
    let sent = 0;
    let received = 0;
    rig.until(() => {
      if (sent < total) {
        sent += a.send(data.subarray(sent, sent + 50_000));
        if (sent === total) a.close();
      }
      const part = b.receive();
      got.set(part, received);
      received += part.length;
      return received === total;
    }, "all bytes");
    assert.deepEqual(got, data);
    rig.until(() => (b.status & Status.EOF) !== 0, "the end");
    assert.equal(rig.engine.sockets.size, 2);
  });
});

test("a refused connection is an error, and a route that is not there stays with the kernel", () => {
  withEngine((rig) => {
    const client = rig.client();
    const a = client.open({
      kind: Kind.TCP,
      at: OpenedFor.CONNECT,
      peer: "10.77.0.1",
      peerPort: 1,
    });
    assert.equal(a.callWith(Op.CONNECT, "10.77.0.1", 1), -EINPROGRESS);
    rig.until(() => (a.status & Status.ERROR) !== 0, "the refusal");
    assert.equal(a.takeError(), ECONNREFUSED);
    const far = client.open({
      kind: Kind.TCP,
      at: OpenedFor.CONNECT,
      peer: "1.2.3.4",
      peerPort: 1,
    });
    assert.equal(far.result, 1);
    assert.equal(far.reason, "no Millrace route to 1.2.3.4");
    const near = client.open({ kind: Kind.UDP, at: OpenedFor.BIND, own: "127.0.0.1" });
    assert.equal(near.result, 1);
    assert.match(near.reason, /^loopback address 127\.0\.0\.1/);
    const reasons = [...rig.engine.kernelSockets].map((k) => k.reason);
    assert.ok(reasons.includes(near.reason));
  });
});

test("two programs with addresses of their own have the same port", () => {
  withEngine((rig) => {
    const one = rig.client({ address: "10.77.0.2" });
    const two = rig.client({ address: "10.77.0.3" });
    const third = rig.client();
    const a = udp(one, 5_000);
    const b = udp(two, 5_000);
    const c = udp(third, 5_000);
    assert.deepEqual([a.result, b.result, c.result], [0, 0, 0]);
    c.sendTo(bytes("to two"), "10.77.0.3", 5_000);
    const got = rig.datagram(b);
    assert.equal(got.from, "10.77.0.1");
    b.sendTo(bytes("to one"), "10.77.0.2", 5_000);
    const other = rig.datagram(a);
    assert.equal(other.from, "10.77.0.3");
    assert.equal(c.receiveFrom(), null);
    const tcp = connect(rig, one, two, 80, "10.77.0.2");
    const other80 = connect(rig, two, third, 80, "10.77.0.3");
    assert.equal(tcp.b.name(SocketAt.remote).address, "10.77.0.3");
    assert.equal(other80.b.name(SocketAt.remote).address, "10.77.0.1");
  });
});

test("addresses that no host can have are refused, with why, and leave nothing behind", () => {
  withEngine((rig) => {
    const rows: [string, RegExp][] = [
      ["127.0.0.1", /HELLO: -22 .*it is a loopback address/],
      ["224.0.0.1", /HELLO: -22 .*it is a multicast address/],
      ["10.77.0.0", /HELLO: -22 .*it is the network address of 10\.77\.0\.0\/16/],
      ["10.77.255.255", /HELLO: -22 .*it is a broadcast address/],
      ["fd77::", /HELLO: -22 .*it is the routers' anycast address of fd77::\/64/],
      ["10.78.0.1", /HELLO: -99 .*expected an address of 10\.77\.0\.0\/16, fd77::\/64/],
    ];
    for (const [address, expected] of rows) assert.throws(() => rig.client({ address }), expected);
    rig.client({ address: "10.77.0.2" });
    assert.throws(() => rig.client({ address: "10.78.0.1" }), /of 10\.77\.0\.0\/16, fd77::\/64/);
  });
});
