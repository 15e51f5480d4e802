/** Ends of closed sockets that are used again: MR_OP_PARK, MR_OP_CLAIM, MR_OP_OPEN. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { Op, SOCKETS, SocketAt, Status } from "../ring/engine-layout.js";
import { Family } from "../socket/linux-options.js";
import { closeFd } from "../sys/fd.js";
import { nowUs } from "./clock.js";
import { type EngineRig, withEngine } from "./engine-fixture.js";
import type { TestClient } from "./test-client-fixture.js";
import { claimParked, openParked, park, type TestParked } from "./test-parked-fixture.js";
import type { TestSocket } from "./test-socket-fixture.js";
import { connectedPair, connectTcp, listenTcp } from "./test-sockets-fixture.js";

const EBADF = 9;
const ENETUNREACH = 101;
const ECONNABORTED = 103;
const ECONNRESET = 104;
const ECONNREFUSED = 111;
const PORT = 8_000;
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const text = (data: Uint8Array): string => Buffer.from(data).toString();
const descriptors = (): number => readdirSync("/proc/self/fd").length;

const listen = (client: TestClient): TestSocket => listenTcp(client, PORT, { backlog: 64 });

/** A first connection, by descriptors: both ends. */
function first(rig: EngineRig, a: TestClient, b: TestClient, listener: TestSocket) {
  const { a: near, b: far } = connectedPair(rig, a, b, listener, PORT);
  rig.run();
  return { near, far };
}

function claim(rig: EngineRig, b: TestClient, listener: TestSocket, end: TestParked): TestSocket {
  let far: TestSocket | null = null;
  rig.until(() => {
    far ??= claimParked(b, listener, end);
    return far !== null;
  }, "a connection");
  return far!;
}

test("ends, entries and blocks serve one connection after the other, and nothing is left behind", () => {
  withEngine((rig) => {
    const [a, b] = [rig.client(), rig.client()];
    const listener = listen(b);
    let { near, far } = first(rig, a, b, listener);
    const { sockets } = rig.engine;
    const before = descriptors();
    const used = rig.engine.memory.usedBytes;
    for (let i = 0; i < 100; i++) {
      near.send(bytes(`there ${i}`));
      assert.equal(text(rig.read(far, `there ${i}`.length)), `there ${i}`);
      far.send(bytes(`back ${i}`));
      assert.equal(text(rig.read(near, `back ${i}`.length)), `back ${i}`);
      const theirs = park(b, far, false);
      assert.equal(theirs.result, 0);
      rig.until(() => (near.status & Status.EOF) !== 0, "the peer's end");
      const mine = park(a, near, true);
      assert.equal(mine.result, 2);
      near = openParked(a, mine, "10.77.0.1", PORT);
      assert.equal(near.result, 0);
      far = claim(rig, b, listener, theirs);
      assert.equal(far.result, 0);
      rig.until(() => (near.status & Status.CONNECTED) !== 0, "the connection");
      assert.notEqual(near.name(SocketAt.local).port, 0);
    }
    assert.equal(sockets.size, 3);
    assert.equal(descriptors(), before);
    assert.equal(rig.engine.memory.usedBytes, used);
    // They close by hang-up as others do.
    closeFd(near.endFd);
    rig.until(() => (far.status & Status.EOF) !== 0, "the peer's end");
    closeFd(far.endFd);
    rig.until(() => sockets.size === 1, "the end of both");
  });
});

test("what goes wrong without an answer is an error of the connection", () => {
  withEngine((rig) => {
    const [a, b] = [rig.client(), rig.client()];
    const listener = listen(b);
    const { near } = first(rig, a, b, listener);
    const end = park(a, near, true);
    const other = openParked(a, end, "192.0.2.1", PORT);
    assert.equal(other.status & Status.CONNECTING, 0);
    assert.equal(other.takeError(), ENETUNREACH);
    const next = openParked(a, park(a, other, true), "10.77.0.1", 1);
    rig.until(() => (next.status & Status.CONNECTING) === 0, "the refusal");
    assert.equal(next.takeError(), ECONNREFUSED);
  });
});

test("an end is parked only by who alone has it, and goes with its process or its descriptor", () => {
  withEngine((rig) => {
    const [a, b, c] = [rig.client(), rig.client(), rig.client()];
    const listener = listen(b);
    const { near, far } = first(rig, a, b, listener);
    assert.equal(c.attach(near.endFd).result, 0);
    assert.equal(park(a, near, true).result, 1);
    assert.equal(near.status & Status.GONE, 0);
    const { regions } = rig.engine;
    const before = regions.size;
    const theirs = park(b, far, false);
    closeFd(theirs.endFd);
    rig.run();
    assert.equal(b.call(Op.CLAIM, theirs.local, [1, 1]).result, -EBADF);
    const second = first(rig, a, b, listener);
    assert.equal(park(a, second.near, true).result, 2);
    assert.equal(park(a, second.near, true).result, -EBADF);
    a.close();
    rig.until(() => rig.engine.sessions.length === 2, "the end of the session");
    assert.ok(regions.size <= before);
  });
});

test("what was said before an end hung up is done before that is seen", () => {
  withEngine((rig) => {
    const [a, b] = [rig.client(), rig.client()];
    const listener = listen(b);
    const { near, far } = first(rig, a, b, listener);
    const theirs = park(b, far, false);
    const next = openParked(a, park(a, near, true), "10.77.0.1", PORT);
    rig.until(() => (next.status & Status.CONNECTED) !== 0, "the connection");
    rig.run();
    const claimed = claimParked(b, listener, theirs, false)!;
    claimed.send(bytes("answer"));
    closeFd(theirs.endFd);
    rig.engine.control.service(nowUs()); // before a turn takes the call
    assert.equal(text(rig.read(next, 6)), "answer");
    rig.until(() => (next.status & Status.EOF) !== 0, "the end");
    assert.equal(next.takeError(), 0);
  });
});

test("however many parked ends hang up at once, all of them go, and so does a socket behind them", () => {
  withEngine((rig) => {
    const [a, b] = [rig.client(), rig.client()];
    const listener = listen(b);
    const pairs = Array.from({ length: 32 }, () => first(rig, a, b, listener));
    const { near, far } = first(rig, a, b, listener);
    const parked = pairs.flatMap((p) => [park(a, p.near, true), park(b, p.far, false)]);
    const { ends } = rig.engine;
    const before = ends.size;
    // In the order in which they are told: half of them, the socket, the other half but one.
    for (const { endFd } of parked.slice(0, 32)) closeFd(endFd);
    closeFd(far.endFd);
    for (const { endFd } of parked.slice(33)) closeFd(endFd);
    rig.until(() => (near.status & Status.EOF) !== 0, "the socket's end");
    rig.until(() => ends.size === before - 64, "the ends' end");
  });
});

test("who connects in the block of an end that is gone hears of it", () => {
  withEngine((rig) => {
    const [a, b] = [rig.client(), rig.client()];
    const listener = listen(b);
    const { near, far } = first(rig, a, b, listener);
    const end = park(a, near, true);
    closeFd(end.endFd);
    rig.run();
    const next = openParked(a, end, "10.77.0.1", PORT);
    assert.equal(next.result, -EBADF);
    assert.notEqual(next.status & Status.GONE, 0);
    assert.equal(next.takeError(), ECONNABORTED);
    // And a connection that nobody can hang up is not left open.
    const theirs = park(b, far, false);
    closeFd(theirs.endFd);
    const other = connectTcp(a, PORT);
    rig.until(() => (other.status & Status.CONNECTED) !== 0, "the connection");
    rig.run();
    assert.equal(claim(rig, b, listener, theirs).result, -EBADF);
    rig.until(() => other.takeError() === ECONNRESET, "a reset");
  });
});

test("messages without sense cost their own socket", () => {
  withEngine((rig) => {
    const [a, b] = [rig.client(), rig.client()];
    const listener = listen(b);
    const { near, far } = first(rig, a, b, listener);
    assert.equal(a.call(Op.OPEN, near.local).result, -EBADF);
    assert.equal(a.call(Op.CLAIM, near.local, [1, 1]).result, -EBADF);
    assert.equal(a.call(Op.PARK, 9_999, [1]).result, -EBADF);
    // Entries that are none, in the engine's memory and past it.
    for (const local of [SOCKETS, 123_456, 0xffff_ffff]) {
      assert.equal(a.call(Op.CLAIM, local, [1, 1]).result, -EBADF);
      assert.equal(a.call(Op.OPEN, local).result, -EBADF);
    }
    assert.equal(listener.call(Op.PARK, [0]).result, 1);
    const end = park(a, near, true);
    assert.equal(a.call(Op.CLAIM, end.local, [1, 1]).result, -EBADF);
    assert.ok(openParked(a, end, "fd77::1", PORT, Family.INET6).result < 0);
    assert.ok(openParked(a, end, "10.77.0.1", PORT).result < 0);
    const theirs = park(b, far, false);
    assert.ok(b.call(Op.CLAIM, theirs.local, [123_456, 1]).result < 0);
    assert.equal(b.call(Op.OPEN, theirs.local).result, -EBADF);
    assert.equal(rig.engine.sessions.length, 2);
  });
});
