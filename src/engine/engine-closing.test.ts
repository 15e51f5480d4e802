/** How sockets end whose programs have gone, or have closed them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Op, SocketAt, Status } from "../ring/engine-layout.js";
import { type EngineRig, withEngine } from "./engine-fixture.js";
import type { TestSocket } from "./test-socket-fixture.js";
import {
  acceptTcp,
  bindUdp,
  connectedPair,
  connectTcp,
  listenTcp,
} from "./test-sockets-fixture.js";

const ECONNRESET = 104;
const TIME_WAIT = 6;
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

/** A connection and nothing else. */
function pair(rig: EngineRig): { a: TestSocket; b: TestSocket; listener: TestSocket } {
  const server = rig.client();
  const listener = listenTcp(server, 80);
  return { ...connectedPair(rig, rig.client(), server, listener, 80), listener };
}

/** Sends until nothing moves any more. */
function fill(rig: EngineRig, s: TestSocket): void {
  const chunk = new Uint8Array(65_536);
  for (let idle = 0; idle < 500; idle++) {
    if (s.send(chunk) > 0) idle = 0;
    rig.run();
  }
}

const wasReset = (s: TestSocket): boolean => (s.status & Status.ERROR) !== 0;

test("a program that dies with both directions full resets its connection", () => {
  withEngine((rig) => {
    const { a, b } = pair(rig);
    fill(rig, a);
    fill(rig, b);
    b.close();
    rig.until(() => wasReset(a), "the reset");
    assert.equal(a.takeError(), ECONNRESET);
  });
});

test("what comes for a program that has gone resets, though something is still to be sent", () => {
  withEngine((rig) => {
    const { a, b } = pair(rig);
    fill(rig, b);
    b.close();
    for (let i = 0; i < 50; i++) rig.run();
    assert.equal(wasReset(a), false);
    a.send(bytes("anybody there?"));
    rig.until(() => wasReset(a), "the reset");
  });
});

test("a peer that takes nothing any more is given up after a while; one that does gets everything", () => {
  withEngine((rig) => {
    const { a, b, listener } = pair(rig);
    fill(rig, b);
    const waiting = rig.engine.sockets.size;
    b.close();
    for (let i = 0; i < 100; i++) {
      rig.run();
      rig.aheadUs += 1_000_000;
    }
    assert.equal(rig.engine.sockets.size, waiting);
    rig.until(() => {
      rig.aheadUs += 1_000_000;
      return wasReset(a);
    }, "its end");

    const second = connectedPair(rig, rig.client(), listener.client, listener, 80);
    fill(rig, second.b);
    const sent = second.b.word(SocketAt.txTail);
    second.b.close();
    let got = 0;
    rig.until(() => {
      got += second.a.receive(10_000).length;
      return (second.a.status & Status.EOF) !== 0 && got === sent;
    }, "everything and its end");
  });
});

test("a connection is not over for a program before the last of it is in its ring", () => {
  withEngine((rig) => {
    const { a, b } = pair(rig);
    fill(rig, b);
    assert.equal(a.call(Op.SHUTDOWN, [1]).result, 0);
    const sent = b.word(SocketAt.txTail);
    b.close();
    let got = 0;
    let isThere = false;
    rig.until(() => {
      got += a.receive(a.rxBytes).length;
      // The ring is empty now, and the engine has not looked yet.
      if (got < sent) assert.equal(a.status & (Status.CONNECTED | Status.EOF), Status.CONNECTED);
      // All has come to this stack: now TIME-WAIT ends, too, before it is read.
      if (!isThere && a.word(SocketAt.tcpState) === TIME_WAIT) {
        isThere = true;
        rig.aheadUs += 61_000_000;
        for (let i = 0; i < 50; i++) rig.run();
        assert.ok(sent - got > 2 * a.rxBytes);
      }
      return (a.status & Status.EOF) !== 0;
    }, "its end");
    assert.equal(got, sent);
    assert.ok(isThere);
  });
});

test("what was sent before a close with unread data comes before the reset", () => {
  withEngine((rig) => {
    const server = rig.client();
    const listener = listenTcp(server, 80);
    for (const isParked of [false, true]) {
      const { a, b } = connectedPair(rig, rig.client(), server, listener, 80);
      a.send(bytes("never read"));
      rig.run();
      b.send(bytes("answer"));
      if (isParked) server.call(Op.PARK, b.local, [0]);
      else b.close();
      rig.until(() => wasReset(a), "the reset");
      assert.equal(Buffer.from(a.receive()).toString(), "answer");
    }
  });
});

test("SO_LINGER of 0 resets at once, with data that could still be sent", () => {
  withEngine((rig) => {
    const { a, b } = pair(rig);
    const linger = new Uint8Array(Int32Array.of(1, 0).buffer);
    assert.equal(b.call(Op.SETSOCKOPT, [1, 13], linger).result, 0);
    fill(rig, b);
    b.close();
    rig.until(() => wasReset(a), "the reset");
  });
});

test("a close that lingers ends with the acknowledgment, not some time later", () => {
  withEngine((rig) => {
    const { a, b } = pair(rig);
    b.send(bytes("last words"));
    const { engine } = rig;
    const nowUs = engine.stack.nowUs + 1_000_000;
    b.client.startCall(1, Op.CLOSING, b.local, [10]);
    // Time stands still but for the ACK's delay: nothing that is done now and then comes again.
    for (let i = 0; i < 20; i++) engine.turn(nowUs);
    for (let i = 0; i < 20 && !b.client.isDone(1); i++) engine.turn(nowUs + 5_000);
    assert.equal(b.client.isDone(1), true);
    assert.equal(b.client.callResult(1).result, 0);
    assert.equal(Buffer.from(a.receive()).toString(), "last words");
  });
});

test("a close that lingers gives up in time", () => {
  withEngine((rig) => {
    const { b } = pair(rig);
    fill(rig, b);
    b.client.startCall(1, Op.CLOSING, b.local, [3]);
    rig.run();
    assert.ok(rig.engine.nextDeadlineUs() <= rig.engine.stack.nowUs + 3_000_000);
    rig.aheadUs += 3_100_000;
    rig.until(() => b.client.isDone(1), "the end of the call");
  });
});

test("who dies between submitting and submitting leaves the others' sending as it was", () => {
  withEngine((rig) => {
    const server = rig.client();
    const listener = listenTcp(server, 80);
    const victim = rig.client();
    const own = connectTcp(victim, 80);
    const b = acceptTcp(rig, server, listener);
    const other = rig.client().attach(own.endFd);
    // As the shim does it: the word first, then the ring.
    Atomics.store(own.words, own.at(SocketAt.submitted), 1);
    victim.close();
    other.send(bytes("from the other"));
    assert.equal(Buffer.from(rig.read(b, 14)).toString(), "from the other");
  });
});

test("a port is free for who has closed its socket, though many others have died just now", () => {
  withEngine((rig) => {
    const victim = rig.client();
    const many = Array.from({ length: 200 }, (_, i) => bindUdp(victim, 10_000 + i));
    const client = rig.client();
    const s = bindUdp(client, 5_000);
    for (const socket of many) socket.close();
    s.close();
    client.startCall(1, Op.RELEASE, s.local, []);
    // A turn, without a look at the control socket.
    rig.engine.turn(rig.engine.stack.nowUs);
    assert.equal(client.isDone(1), true);
    assert.equal(bindUdp(client, 5_000).result, 0);
    victim.close();
  });
});
