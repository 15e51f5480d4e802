/** Streams that go from ring to ring, and what becomes of them when the receiver's is full. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Op, SocketAt, Status } from "../ring/engine-layout.js";
import { type EngineRig, withEngine } from "./engine-fixture.js";
import type { TestClient } from "./test-client-fixture.js";
import type { TestSocket } from "./test-socket-fixture.js";
import { connectedPair, listenTcp } from "./test-sockets-fixture.js";

/** Longer than a full ring is waited for. */
const LONG_US = 1_000;
const SOL_TCP = 6;
const TCP_CORK = 3;

/** Byte `n` of a stream. */
const byteAt = (n: number): number => (n * 7 + (n >> 8)) & 0xff;

class Streams {
  readonly rig: EngineRig;
  readonly client: TestClient;
  readonly a: TestSocket;
  readonly b: TestSocket;
  sent = 0;
  got = 0;
  private nowUs: number;

  constructor(rig: EngineRig, port = 80) {
    this.rig = rig;
    this.client = rig.client();
    const server = rig.client();
    const listener = listenTcp(server, port);
    const { a, b } = connectedPair(rig, this.client, server, listener, port);
    this.a = a;
    this.b = b;
    for (let i = 0; i < 10; i++) rig.run();
    this.nowUs = rig.engine.stack.nowUs;
  }

  /** Turns at times of its own: how long one takes on this machine is of no interest. */
  turn(us: number): void {
    this.nowUs += us;
    this.rig.engine.turn(this.nowUs);
    this.rig.engine.control.service(this.nowUs);
  }

  /** Frames that have gone the long way, through the stack. */
  get looped(): number {
    return this.rig.engine.stack.ip.loopback.counters.get("rxFrames");
  }

  get handed(): number {
    return this.rig.engine.stack.tcp.counters.get("handedBytes");
  }

  /** As much as there is room for; how many bytes. */
  send(most = 50_000): number {
    const length = Math.min(most, this.a.room);
    const n = this.a.send(Uint8Array.from({ length }, (_, i) => byteAt(this.sent + i)));
    this.sent += n;
    return n;
  }

  read(most = 1 << 20): void {
    for (const byte of this.b.receive(most)) {
      if (byte !== byteAt(this.got)) assert.fail(`byte ${this.got} is another`);
      this.got++;
    }
  }

  readAll(): void {
    for (let i = 0; i < 2_000 && this.got < this.sent; i++) {
      this.turn(1_000);
      this.read();
    }
    assert.equal(this.got, this.sent);
  }
}

test("requests and answers of two programs go from ring to ring", () => {
  withEngine((rig) => {
    const s = new Streams(rig);
    const before = s.looped;
    for (let i = 0; i < 100; i++) {
      s.send(100);
      s.turn(3);
      s.read();
      assert.equal(s.got, s.sent);
      s.b.send(Uint8Array.of(i));
      s.turn(3);
      assert.deepEqual([...s.a.receive()], [i]);
    }
    assert.equal(s.looped, before, "frames went through the stack");
    assert.equal(s.handed, 100 * 101);
  });
});

test("a stream whose receiver always reads goes from ring to ring, however much it is", () => {
  withEngine((rig) => {
    const s = new Streams(rig);
    const before = s.looped;
    for (let i = 0; i < 300; i++) {
      s.send();
      s.turn(10);
      s.read();
    }
    s.readAll();
    assert.ok(s.sent > 10_000_000, `${s.sent} were sent`);
    assert.equal(s.looped, before, "frames went through the stack");
  });
});

test("a sender whose receiver sleeps goes the long way, and back when it reads", () => {
  withEngine((rig) => {
    const s = new Streams(rig);
    for (let i = 0; i < 40; i++) {
      s.send();
      s.turn(LONG_US);
    }
    assert.ok(s.sent > s.a.txBytes + s.b.rxBytes, "the stack's buffers are not used");
    s.readAll();
    const before = s.looped;
    for (let i = 0; i < 100; i++) {
      s.send();
      s.turn(10);
      s.read();
    }
    s.readAll();
    assert.ok(s.looped - before <= 4, `${s.looped - before} frames went through the stack`);
  });
});

test("a sender that never pauses goes back to the short way when its receiver reads again", () => {
  withEngine((rig) => {
    const s = new Streams(rig);
    for (let i = 0; i < 40; i++) {
      s.send();
      s.turn(LONG_US);
    }
    for (let i = 0; i < 200; i++) {
      while (s.send() > 0) {}
      s.turn(10);
      s.read();
    }
    const before = s.looped;
    const { sent } = s;
    for (let i = 0; i < 200; i++) {
      while (s.send() > 0) {}
      s.turn(10);
      s.read();
    }
    assert.ok(s.sent - sent > 1_000_000);
    assert.ok(s.looped - before <= 4, `${s.looped - before} frames went through the stack`);
    s.readAll();
  });
});

test("what waits for a reader is with it before a reset, and before the end of the stream", () => {
  withEngine((rig) => {
    for (const isReset of [false, true]) {
      const s = new Streams(rig, isReset ? 80 : 81);
      while (s.send() > 0) s.turn(1);
      const linger = new Uint8Array(new Int32Array([1, 0]).buffer);
      if (isReset) assert.equal(s.a.call(Op.SETSOCKOPT, [1, 13], linger).result, 0);
      s.a.close();
      s.readAll();
      for (let i = 0; i < 10; i++) s.turn(100);
      const end = isReset ? Status.ERROR : Status.EOF;
      assert.notEqual(s.b.status & end, 0);
    }
  });
});

test("a shutdown goes behind what waits for its reader", () => {
  withEngine((rig) => {
    const s = new Streams(rig);
    while (s.send() > 0) s.turn(1);
    assert.equal(s.a.call(Op.SHUTDOWN, [1]).result, 0);
    for (let i = 0; i < 10; i++) s.turn(100);
    assert.equal(s.b.status & Status.EOF, 0);
    s.readAll();
    for (let i = 0; i < 10; i++) s.turn(100);
    assert.notEqual(s.b.status & Status.EOF, 0);
  });
});

test("what is corked is not handed over, and what follows goes behind it", () => {
  withEngine((rig) => {
    const s = new Streams(rig);
    const on = new Uint8Array(new Int32Array([1]).buffer);
    assert.equal(s.a.call(Op.SETSOCKOPT, [SOL_TCP, TCP_CORK], on).result, 0);
    s.send(100);
    for (let i = 0; i < 10; i++) s.turn(100);
    s.read();
    assert.equal(s.got, 0);
    assert.equal(s.a.call(Op.SETSOCKOPT, [SOL_TCP, TCP_CORK], new Uint8Array(4)).result, 0);
    s.send(100);
    s.readAll();
  });
});

test("a receiver whose positions make no sense ends, and its sender goes on", () => {
  withEngine((rig) => {
    const s = new Streams(rig);
    s.send(1_000);
    s.turn(3);
    Atomics.store(s.b.words, s.b.at(SocketAt.rxHead), 0x4000_0000);
    for (let i = 0; i < 20; i++) {
      s.send();
      s.turn(100);
    }
    assert.notEqual(s.b.status & Status.GONE, 0);
    assert.notEqual(s.a.status & Status.ERROR, 0);
    const other = new Streams(rig, 81);
    other.send();
    other.readAll();
  });
});
