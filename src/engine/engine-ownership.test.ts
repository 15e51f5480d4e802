import assert from "node:assert/strict";
import { test } from "node:test";
import { Kind, Op, OpenedFor, SocketAt, Status } from "../ring/engine-layout.js";
import { closeFd, createEvent } from "../sys/fd.js";
import { KernelSocket, SocketType } from "../sys/kernel-socket.js";
import { SocketKind, socketKind } from "../sys/unix-socket.js";
import { withEngine } from "./engine-fixture.js";
import { acceptTcp, connectTcp, listenTcp } from "./test-sockets-fixture.js";

const ECONNRESET = 104;
const EADDRINUSE = 98;
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

test("a socket is taken over by who has its descriptor, region and companion included", () => {
  withEngine((rig) => {
    const parent = rig.client();
    const companion = KernelSocket.open(true, SocketType.DATAGRAM) as KernelSocket;
    const s = parent.open({
      kind: Kind.UDP,
      at: OpenedFor.BIND,
      own: "0.0.0.0",
      ownPort: 5_000,
      companionFd: companion.fd,
    });
    const child = rig.client();
    const other = child.attach(s.endFd);
    assert.equal(other.result, 0);
    assert.deepEqual(other.name(SocketAt.local), s.name(SocketAt.local));
    assert.equal(socketKind(other.companionFd), SocketKind.DATAGRAM4);
    const sender = child.open({
      kind: Kind.UDP,
      at: OpenedFor.SEND,
      peer: "10.77.0.1",
      peerPort: 1,
    });
    sender.sendTo(bytes("x"), "10.77.0.1", 5_000);
    assert.equal(Buffer.from(rig.datagram(other).data).toString(), "x");
    // The first owner goes; the socket stays while somebody holds the program's end.
    assert.equal(s.call(Op.RELEASE).result, 0);
    rig.run();
    assert.equal(other.status & Status.GONE, 0);
    s.close();
    rig.until(() => (other.status & Status.GONE) !== 0, "the end of the socket");
    companion.close();
    closeFd(other.companionFd);
    const again = child.attach(createEvent());
    assert.ok(again.result < 0);
  });
});

test("processes share a listener; each connection goes to one", () => {
  withEngine((rig) => {
    const master = rig.client();
    const worker = rig.client();
    const listener = listenTcp(master, 80);
    const shared = worker.attach(listener.endFd);
    const client = rig.client();
    const one = connectTcp(client, 80);
    const atWorker = acceptTcp(rig, worker, shared);
    const two = connectTcp(client, 80);
    const atMaster = acceptTcp(rig, master, listener);
    one.send(bytes("1"));
    two.send(bytes("2"));
    assert.equal(Buffer.from(rig.read(atWorker, 1)).toString(), "1");
    assert.equal(Buffer.from(rig.read(atMaster, 1)).toString(), "2");
  });
});

test("SO_REUSEPORT groups reach over programs; without it the port is taken", () => {
  withEngine((rig) => {
    const one = rig.client();
    const two = rig.client();
    const first = listenTcp(one, 80, { reusePort: true });
    const second = listenTcp(two, 80, { reusePort: true });
    assert.deepEqual([first.result, second.result], [0, 0]);
    assert.equal(listenTcp(rig.client(), 80).result, -EADDRINUSE);
    const client = rig.client();
    const counts = [0, 0];
    for (let i = 0; i < 40; i++) connectTcp(client, 80);
    rig.until(() => {
      if (one.accept(first) !== null) counts[0]!++;
      if (two.accept(second) !== null) counts[1]!++;
      return counts[0]! + counts[1]! === 40;
    }, "all connections");
    assert.ok(counts[0]! > 0 && counts[1]! > 0, String(counts));
  });
});

test("a program that dies closes its connections: in order when it had read all, else with a reset", () => {
  withEngine((rig) => {
    const server = rig.client();
    const listener = listenTcp(server, 80);
    const client = rig.client();
    const a = connectTcp(client, 80);
    const b = acceptTcp(rig, server, listener);
    const c = connectTcp(client, 80);
    const d = acceptTcp(rig, server, listener);
    c.send(bytes("never read"));
    rig.until(() => d.word(SocketAt.rxTail) === 10);
    b.send(bytes("last words"));
    // What SIGKILL does: all descriptors go at once.
    b.close();
    d.close();
    server.close();
    rig.until(() => (a.status & Status.EOF) !== 0 && (c.status & Status.ERROR) !== 0, "both ends");
    assert.equal(Buffer.from(rig.read(a, 10)).toString(), "last words");
    assert.equal(c.takeError(), ECONNRESET);
  });
});

test("connections that nobody takes end with their listener", () => {
  withEngine((rig) => {
    const server = rig.client();
    const listener = listenTcp(server, 80);
    const client = rig.client();
    const a = connectTcp(client, 80);
    rig.until(() => listener.word(SocketAt.rxTail) !== 0);
    listener.close();
    rig.until(() => (a.status & Status.ERROR) !== 0, "the reset");
    rig.until(() => rig.engine.sockets.size === 1);
  });
});

test("sessions that come and go leave nothing behind", () => {
  withEngine((rig) => {
    for (let i = 0; i < 30; i++) {
      const client = rig.client({ address: `10.77.1.${i + 1}` });
      const listener = listenTcp(client, 80);
      const a = client.open({
        kind: Kind.TCP,
        at: OpenedFor.CONNECT,
        peer: "10.77.0.9",
        peerPort: 1,
      });
      const u = client.open({ kind: Kind.UDP, at: OpenedFor.BIND, own: "0.0.0.0" });
      for (const s of [listener, a, u]) s.close();
      client.close();
      rig.until(() => rig.engine.sessions.length === 0 && rig.engine.sockets.size === 0);
    }
    // Their addresses go at the next housekeeping, when no socket of theirs closes any more.
    rig.until(() => !rig.engine.network.hasLeft);
    assert.equal(rig.engine.memory.usedBytes, 0);
    assert.equal(rig.engine.stack.udp.size, 0);
    assert.deepEqual(
      rig.engine.network.iface.addresses.map((a) => a.address.toString()),
      ["10.77.0.1", "fd77::1"],
    );
  });
});

test("one address, however it is written, and its twin are one's until the last program has gone", () => {
  withEngine((rig) => {
    const names = ["10.77.0.9", "::ffff:10.77.0.9", "fd77::9", "fd77:0::9"];
    const clients = names.map((address) => rig.client({ address }));
    const addresses = (): string[] =>
      rig.engine.network.iface.addresses.map((a) => a.address.toString());
    const all = ["10.77.0.1", "fd77::1", "10.77.0.9", "fd77::9"];
    assert.deepEqual(addresses(), all);
    for (const client of clients.slice(0, 3)) {
      client.close();
      rig.until(() => !rig.engine.network.hasLeft);
      assert.deepEqual(addresses(), all);
    }
    clients[3]!.close();
    rig.until(() => addresses().length === 2, "the end of the addresses");
    rig.client({ address: "fd77::9" });
    assert.deepEqual(addresses(), ["10.77.0.1", "fd77::1", "fd77::9"]);
  });
});

test("who accepts may use the connection at once, before the engine has heard of it", () => {
  withEngine((rig) => {
    const server = rig.client();
    const listener = listenTcp(server, 80);
    const a = connectTcp(rig.client(), 80);
    rig.until(() => listener.word(SocketAt.rxTail) !== 0);
    const b = server.accept(listener)!;
    b.send(bytes("at once"));
    server.startCall(3, Op.SETSOCKOPT, b.local, [6, 1], new Uint8Array([1, 0, 0, 0]));
    // A turn, without a look at the control socket.
    rig.engine.turn(rig.engine.stack.nowUs);
    assert.equal(server.isDone(3), true);
    assert.equal(server.callResult(3).result, 0);
    assert.equal(Buffer.from(rig.read(a, 7)).toString(), "at once");
  });
});
