import assert from "node:assert/strict";
import { test } from "node:test";
import { EntryAt, Op, SessionAt, SocketAt, Status, WaiterState } from "../ring/engine-layout.js";
import { closeFd } from "../sys/fd.js";
import { type EngineRig, withEngine } from "./engine-fixture.js";
import type { TestClient } from "./test-client-fixture.js";
import type { TestSocket } from "./test-socket-fixture.js";
import { bindUdp, connectedPair, listenTcp } from "./test-sockets-fixture.js";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

function pair(rig: EngineRig): { client: TestClient; a: TestSocket; b: TestSocket } {
  const client = rig.client();
  return { client, a: bindUdp(client, 1_000), b: bindUdp(client, 2_000) };
}

test("a watched socket is hinted once until the program has looked", () => {
  withEngine((rig) => {
    const { client, a, b } = pair(rig);
    Atomics.store(client.session, client.entryAt(b.local, EntryAt.watched), 1);
    assert.equal(client.takeHint(), -1);
    a.sendTo(bytes("1"), "10.77.0.1", 2_000);
    a.sendTo(bytes("2"), "10.77.0.1", 2_000);
    rig.until(() => b.word(SocketAt.rxTail) === 256, "both datagrams");
    assert.equal(client.takeHint(), b.local);
    assert.equal(client.takeHint(), -1);
    a.sendTo(bytes("3"), "10.77.0.1", 2_000);
    rig.until(() => b.word(SocketAt.rxTail) === 384, "the third");
    assert.equal(client.takeHint(), b.local);
  });
});

test("waiters are rung when they sleep, those of the socket's classes only, and once", () => {
  withEngine((rig) => {
    const { client, a, b } = pair(rig);
    const fds = [1, 33, 2].map((n) => client.addWaiter(n));
    const sleep = (n: number): void => {
      Atomics.store(client.session, client.waiterAt(n), WaiterState.SLEEPS);
    };
    Atomics.store(client.session, client.entryAt(b.local, EntryAt.waiters), 1 << 1);
    for (const n of [33, 2]) sleep(n);
    rig.run();
    a.sendTo(bytes("1"), "10.77.0.1", 2_000);
    rig.until(() => b.word(SocketAt.rxTail) !== 0, "the datagram");
    assert.deepEqual(
      fds.map((fd) => client.wasRung(fd)),
      [false, true, false],
    );
    assert.equal(client.session[client.waiterAt(33)], WaiterState.RANG);
    assert.equal(client.session[client.waiterAt(2)], WaiterState.SLEEPS);
    a.sendTo(bytes("2"), "10.77.0.1", 2_000);
    rig.until(() => b.word(SocketAt.rxTail) === 256, "the second");
    assert.equal(client.wasRung(fds[1]!), false);
    for (const fd of fds) closeFd(fd);
  });
});

test("a full ring holds the rest back until there is room, in both directions", () => {
  withEngine((rig) => {
    const { a, b } = pair(rig);
    const big = new Uint8Array(60_000).fill(7);
    let sent = 0;
    for (let i = 0; i < 200; i++) {
      if (a.sendTo(big, "10.77.0.1", 2_000)) sent++;
      rig.run();
    }
    assert.ok(sent > 4, `${sent} were sent`);
    assert.notEqual(b.word(SocketAt.rxBlocked), 0);
    let received = 0;
    rig.until(() => {
      while (b.receiveFrom() !== null) received++;
      return received >= 4;
    }, "what was held back");
  });
});

test("a writer that found no room is told when there is", () => {
  withEngine((rig) => {
    const server = rig.client();
    const { a, b } = connectedPair(rig, server, server, listenTcp(server, 9), 9);
    const chunk = new Uint8Array(65_536);
    let sent = 0;
    // Until nothing moves any more: the stack's buffers and both rings are full.
    for (let idle = 0; idle < 2_000; idle++) {
      const n = a.send(chunk);
      sent += n;
      if (n > 0) idle = 0;
      rig.run();
    }
    assert.equal(a.word(SocketAt.noSpace), 1);
    const before = a.word(SocketAt.txEvents);
    let received = 0;
    rig.until(() => {
      received += b.receive().length;
      return received === sent;
    }, "everything");
    assert.ok(a.word(SocketAt.txEvents) > before);
    assert.equal(a.word(SocketAt.noSpace), 0);
  });
});

test("urgent data: the byte by a call, the mark in the stream", () => {
  withEngine((rig) => {
    const client = rig.client();
    const { a, b } = connectedPair(rig, client, client, listenTcp(client, 9), 9);
    a.send(bytes("ab"));
    assert.equal(a.call(Op.SEND_OOB, [], bytes("!")).result, 1);
    a.send(bytes("cd"));
    rig.until(() => (b.status & Status.URGENT) !== 0 && b.word(SocketAt.rxTail) === 4, "the byte");
    assert.notEqual(b.status & Status.MARK, 0);
    assert.equal(b.word(SocketAt.urgentAt), 2);
    const oob = b.call(Op.RECV_OOB, [1, 0]);
    assert.deepEqual([oob.result, Buffer.from(oob.data).toString()], [1, "!"]);
    assert.equal(b.status & Status.URGENT, 0);
    assert.equal(Buffer.from(rig.read(b, 4)).toString(), "abcd");
  });
});

test("programs hear that routes have changed", () => {
  withEngine((rig) => {
    const { client } = pair(rig);
    const routes = SessionAt.routes >> 2;
    const before = client.session[routes];
    rig.run();
    assert.equal(client.session[routes], before);
    const other = rig.client({ address: "10.77.0.8" });
    rig.run();
    assert.notEqual(client.session[routes], before);
    assert.equal(other.session[routes], client.session[routes]);
  });
});

test("programs are told on which processor the engine is", () => {
  withEngine((rig) => {
    const early = rig.client();
    const told = (client: TestClient): number => client.session[SessionAt.engineCpu >> 2]!;
    assert.equal(told(early), 0);
    rig.engine.setCpu(3);
    assert.equal(told(early), 4);
    assert.equal(told(rig.client()), 4);
    rig.engine.setCpu(-38);
    assert.equal(told(early), 0);
  });
});
