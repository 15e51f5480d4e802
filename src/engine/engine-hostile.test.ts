/** Programs that do what native/shim never does: they lose by it, and nobody else notices. */
import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { test } from "node:test";
import { AcceptedAsAt, Kind, Msg, Op, OpenedFor, SocketAt, Status } from "../ring/engine-layout.js";
import { closeFd, createEvent, drainEvent, pollFds } from "../sys/fd.js";
import { KernelSocket, SocketType } from "../sys/kernel-socket.js";
import { connectUnix, sendWithFds, unixPair } from "../sys/unix-socket.js";
import { nowUs } from "./clock.js";
import { type EngineRig, withEngine } from "./engine-fixture.js";
import { acceptTcp, bindUdp, connectTcp, HOST, listenTcp } from "./test-sockets-fixture.js";

const ECONNRESET = 104;
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

/** Two other programs still talk to each other. */
function othersTalk(rig: EngineRig): void {
  const a = bindUdp(rig.client(), 41_000);
  const b = bindUdp(rig.client(), 41_001);
  a.sendTo(bytes("still"), HOST, 41_001);
  assert.equal(Buffer.from(rig.datagram(b).data).toString(), "still");
  a.close();
  b.close();
}

/** Descriptors that are no end of a pair. */
function oddDescriptors(): { name: string; fd: number; close: () => void }[] {
  const stream = KernelSocket.open(true, SocketType.STREAM) as KernelSocket;
  const event = createEvent();
  const file = openSync("/proc/self/exe", "r");
  return [
    { name: "a file", fd: file, close: () => closeSync(file) },
    { name: "an event", fd: event, close: () => closeFd(event) },
    { name: "a TCP socket", fd: stream.fd, close: () => stream.close() },
  ];
}

const UDP = { kind: Kind.UDP, at: OpenedFor.BIND, own: "0.0.0.0", ownPort: 5_000 } as const;

test("what is no end of a pair ends the session of who opens a socket with it", () => {
  withEngine((rig) => {
    for (const { name, fd, close } of oddDescriptors()) {
      const hostile = rig.client();
      assert.throws(() => hostile.open(UDP, fd), /hung up/, name);
      close();
      hostile.close();
    }
    rig.until(() => rig.engine.sessions.length === 0 && rig.engine.sockets.size === 0);
    othersTalk(rig);
  });
});

test("a door that is none ends the session; however many are opened, who comes by himself is let in", () => {
  withEngine((rig) => {
    const door = Uint8Array.of(Msg.DOOR, 0, 0, 0);
    for (const { name, fd, close } of [
      { name: "nothing", fd: -1, close() {} },
      ...oddDescriptors(),
    ]) {
      const hostile = rig.client();
      sendWithFds(hostile.controlFd, door, fd < 0 ? [] : [fd]);
      rig.until(() => rig.engine.sessions.length === 0, name);
      close();
      hostile.close();
    }
    const waiting = connectUnix({ path: rig.engine.paths.control });
    assert.ok(waiting >= 0);
    rig.run();
    const hostile = rig.client();
    const doors: number[] = [];
    for (let i = 0; i < 200; i++) {
      const [mine, theirs] = unixPair();
      sendWithFds(hostile.controlFd, door, [theirs]);
      closeFd(theirs);
      doors.push(mine);
      rig.run();
    }
    assert.equal(pollFds(Int32Array.of(waiting), 1, 0), 0); // still there
    assert.equal(pollFds(Int32Array.of(doors[0]!), 1, 0), 1); // the oldest of 200 was turned away
    for (const fd of [...doors, waiting]) closeFd(fd);
    othersTalk(rig);
  });
});

test("who only tries options needs none", () => {
  withEngine((rig) => {
    const socket = KernelSocket.open(true, SocketType.DATAGRAM) as KernelSocket;
    const client = rig.client();
    const tried = client.open({ kind: Kind.UDP, at: OpenedFor.TRY, options: [] }, socket.fd);
    assert.equal(tried.result, 1);
    socket.close();
    assert.equal(bindUdp(client, 5_000).result, 0);
    assert.equal(rig.engine.sockets.size, 1);
  });
});

test("and of who accepts a connection with it; the connection is reset when nobody claims it", () => {
  for (const { name, fd, close } of oddDescriptors()) {
    withEngine((rig) => {
      const hostile = rig.client();
      const listener = listenTcp(hostile, 80);
      const a = connectTcp(rig.client(), 80);
      rig.until(() => listener.word(SocketAt.rxTail) !== 0);
      hostile.takeWithoutClaim(listener);
      const message = new Uint8Array(32);
      const view = new DataView(message.buffer);
      view.setUint32(AcceptedAsAt.type, Msg.ACCEPTED, true);
      view.setUint32(AcceptedAsAt.local, 9, true);
      view.setUint32(AcceptedAsAt.connection, listener.view.getUint32(listener.rxAt, true), true);
      sendWithFds(hostile.controlFd, message, [fd]);
      rig.until(() => rig.engine.sessions.length === 1, `the end of who gave ${name}`);
      listener.close();
      rig.until(() => {
        rig.aheadUs += 500_000;
        return (a.status & Status.ERROR) !== 0;
      }, "the reset");
      othersTalk(rig);
    });
    close();
  }
});

test("a companion is a socket of IP", () => {
  withEngine((rig) => {
    const companionFd = createEvent();
    const hostile = rig.client();
    assert.throws(() => hostile.open({ ...UDP, companionFd }), /hung up/);
    closeFd(companionFd);
    rig.until(() => rig.engine.sockets.size === 0);
    othersTalk(rig);
  });
});

test("descriptors beyond those that a message has are thrown away", () => {
  withEngine((rig) => {
    const { controlFd } = rig.client();
    const event = createEvent();
    const message = new Uint8Array([Msg.KERNEL, 0, 0, 0]);
    for (let i = 0; i < 100; i++) {
      sendWithFds(controlFd, message, new Array(8).fill(event));
      rig.run();
    }
    closeFd(event);
    othersTalk(rig);
  });
});

test("the engine sleeps and wakes, whatever a program does with the descriptor that wakes it", () => {
  withEngine((rig) => {
    const { engine } = rig;
    const client = rig.client();
    const fds = Int32Array.from(engine.wakeFds);
    const isWoken = (): boolean => pollFds(fds, fds.length, 0) > 0;
    rig.until(() => !isWoken(), "silence");
    assert.equal(engine.prepareSleep(), true);
    client.submit(1);
    assert.equal(isWoken(), true);
    engine.endSleep();
    assert.equal(isWoken(), false);
    // It is not read: its state, which the program may change, does not matter.
    assert.equal(drainEvent(client.wakeFd), true);
    rig.run();
    assert.equal(engine.prepareSleep(), true);
    client.submit(1);
    assert.equal(isWoken(), true);
    engine.endSleep();
  });
});

test("silent strangers do not keep others out", () => {
  withEngine((rig) => {
    const strangers: number[] = [];
    for (let i = 0; i < 200; i++) {
      strangers.push(connectUnix({ path: rig.engine.paths.control }));
      rig.run();
    }
    othersTalk(rig);
    for (const fd of strangers) closeFd(fd);
  });
});

test("a connection is claimed by who had its listener, and by nobody else", () => {
  withEngine((rig) => {
    const server = rig.client();
    const listener = listenTcp(server, 80);
    const thief = rig.client();
    const a = connectTcp(rig.client(), 80);
    rig.until(() => listener.word(SocketAt.rxTail) !== 0);
    const connection = listener.view.getUint32(listener.rxAt, true);
    const [mine, theirs] = unixPair();
    const message = new Uint8Array(32);
    const view = new DataView(message.buffer);
    view.setUint32(AcceptedAsAt.type, Msg.ACCEPTED, true);
    view.setUint32(AcceptedAsAt.connection, connection, true);
    sendWithFds(thief.controlFd, message, [theirs]);
    for (let i = 0; i < 5; i++) rig.run();
    closeFd(mine);
    closeFd(theirs);
    const b = acceptTcp(rig, server, listener);
    b.send(bytes("mine"));
    assert.equal(Buffer.from(rig.read(a, 4)).toString(), "mine");
  });
});

test("a file of the same number as a socket's end is not the socket", () => {
  withEngine((rig) => {
    const s = bindUdp(rig.client(), 5_000);
    const other = rig.client();
    const file = openSync("/proc/self/exe", "r");
    assert.ok(other.attach(file).result < 0);
    assert.equal(s.status & Status.GONE, 0);
  });
});

test("a datagram before nonsense is told to its receiver", () => {
  withEngine((rig) => {
    const a = bindUdp(rig.client(), 1_000);
    const b = bindUdp(rig.client(), 2_000);
    assert.equal(a.callWith(Op.CONNECT, HOST, 2_000), 0);
    const before = b.word(SocketAt.rxEvents);
    a.sendTo(bytes("sense"), null);
    // Behind it the header of one that is longer than what lies in the ring.
    const tail = a.word(SocketAt.txTail);
    a.view.setUint32(a.txAt + tail, 60_000, true);
    Atomics.store(a.words, a.at(SocketAt.txTail), tail + 64);
    rig.until(() => (a.status & Status.GONE) !== 0, "the end of the sender");
    assert.notEqual(b.word(SocketAt.rxEvents), before);
    assert.equal(Buffer.from(b.receiveFrom()!.data).toString(), "sense");
  });
});

test("a session ends in the middle of everything: what it has submitted is looked at once", () => {
  withEngine((rig) => {
    const client = rig.client();
    const sockets = [1, 2, 3].map((i) => bindUdp(client, 6_000 + i));
    // An entry that nobody knows makes the engine look at the control socket, which is over.
    for (let i = 0; i < 200; i++) client.submit(7_000);
    for (const s of sockets) client.startCall(s.local, Op.RELEASE, s.local, []);
    for (const s of sockets) s.close();
    client.close();
    rig.until(() => rig.engine.sessions.length === 0 && rig.engine.sockets.size === 0);
    othersTalk(rig);
  });
});

test("a connection that was taken and never claimed is reset", () => {
  withEngine((rig) => {
    const server = rig.client();
    const listener = listenTcp(server, 80);
    const a = connectTcp(rig.client(), 80);
    rig.until(() => listener.word(SocketAt.rxTail) !== 0);
    server.takeWithoutClaim(listener);
    assert.ok(rig.engine.nextDeadlineUs() < Number.MAX_SAFE_INTEGER);
    rig.until(() => {
      rig.aheadUs += 500_000;
      return (a.status & Status.ERROR) !== 0;
    }, "the reset");
    assert.equal(a.takeError(), ECONNRESET);
  });
});

test("a connection that was claimed just before its listener closed stays", () => {
  withEngine((rig) => {
    const server = rig.client();
    const listener = listenTcp(server, 80);
    const a = connectTcp(rig.client(), 80);
    const b = acceptTcp(rig, server, listener);
    listener.close();
    for (let i = 0; i < 20; i++) {
      rig.run();
      rig.aheadUs += 500_000;
    }
    b.send(bytes("here"));
    assert.equal(Buffer.from(rig.read(a, 4)).toString(), "here");
  });
});

test("who connects and says nothing is turned away, and keeps nobody out", () => {
  withEngine((rig) => {
    const { control } = rig.engine.paths;
    const silent = Array.from({ length: 200 }, () => {
      const fd = connectUnix({ path: control });
      rig.run();
      return fd;
    });
    othersTalk(rig);
    const isOver = (fd: number): boolean => pollFds(Int32Array.of(fd), 1, 0) > 0;
    assert.ok(isOver(silent[0]!), "the oldest went when there were many");
    assert.ok(!isOver(silent.at(-1)!));
    rig.aheadUs += 4_000_000;
    rig.run();
    assert.ok(!isOver(silent.at(-1)!));
    rig.aheadUs += 2_000_000;
    rig.until(() => silent.every(isOver), "the end of all that are silent");
    assert.ok(rig.engine.nextDeadlineUs() > nowUs() + rig.aheadUs + 4_000_000);
    for (const fd of silent) closeFd(fd);
  });
});
