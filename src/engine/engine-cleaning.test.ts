/** Sockets of dead programs are closed before others are turned away for the room that they take. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Kind, MESSAGE_BYTES, OpenedAt, OpenedFor } from "../ring/engine-layout.js";
import { createPool } from "../socket/create-host.js";
import { closeFd, createEvent, mostFds, silenceFd } from "../sys/fd.js";
import { receiveWithFds, sendWithFds, unixPair } from "../sys/unix-socket.js";
import { EngineRig } from "./engine-fixture.js";
import { DEFAULT_RINGS } from "./opening.js";
import type { TestClient } from "./test-client-fixture.js";
import { openRequest } from "./test-open-fixture.js";
import type { TestSocket } from "./test-socket-fixture.js";
import { bindUdp, HOST } from "./test-sockets-fixture.js";

const UDP = { kind: Kind.UDP, at: OpenedFor.BIND, own: "0.0.0.0" } as const;
const SMALL = { rxBytes: 8_192, txBytes: 8_192 };
const RINGS = { ...DEFAULT_RINGS, udp: SMALL };
/** What sockets may not take (descriptor-room.ts). */
const FOR_OTHERS = 64;

/**
 * Test and engine share their descriptors. Those that the test opens are kept to its end, and what it closes is
 * replaced, so that only what the engine closes makes room.
 */
class Descriptors {
  private readonly kept: number[] = [];

  keep(fd: number): number {
    this.kept.push(fd);
    return fd;
  }

  /** Takes all numbers below this one. */
  fillTo(most: number): void {
    while (this.keep(createEvent()) < most) {}
    closeFd(this.kept.pop()!);
  }

  /** A program closes its sockets. */
  hangUp(sockets: readonly TestSocket[]): void {
    for (const { endFd } of sockets) silenceFd(this.keep(endFd));
  }

  /** A program dies; its control socket hangs up last. */
  kill(client: TestClient, sockets: readonly TestSocket[]): void {
    this.hangUp(sockets);
    client.close();
  }

  close(): void {
    for (const fd of this.kept) closeFd(fd);
  }
}

/** A program that opens a socket and waits for the answer. */
class Opener {
  /** Of the answer, when there is one. */
  result: number | null = null;
  private readonly client: TestClient;
  private readonly message = new Uint8Array(MESSAGE_BYTES);
  private readonly pair: readonly [number, number];

  constructor(client: TestClient, descriptors: Descriptors) {
    this.client = client;
    this.pair = unixPair();
    for (const fd of this.pair) descriptors.keep(fd);
  }

  open(): void {
    const [mine, theirs] = this.pair;
    sendWithFds(this.client.controlFd, openRequest(UDP, 1_000, mine), [theirs]);
  }

  hear(descriptors: Descriptors): void {
    const fds: number[] = [];
    const n = receiveWithFds(this.client.controlFd, this.message, fds);
    for (const fd of fds) descriptors.keep(fd);
    if (n > 0) this.result = new DataView(this.message.buffer).getInt32(OpenedAt.result, true);
  }
}

/** Many programs open a socket each. How many were turned away. */
function turnedAway(rig: EngineRig, openers: readonly Opener[], descriptors: Descriptors): number {
  for (const opener of openers) opener.open();
  rig.until(() => {
    for (const opener of openers) opener.hear(descriptors);
    return openers.every(({ result }) => result !== null);
  }, "the answers");
  return openers.filter(({ result }) => result !== 0).length;
}

function openMany(client: TestClient, n: number): TestSocket[] {
  return Array.from({ length: n }, () => client.open(UDP));
}

test("many programs open sockets while those of the dead have all descriptors", () => {
  const most = Math.min(mostFds(), 900);
  const rig = new EngineRig({ mostFds: most, rings: RINGS });
  const descriptors = new Descriptors();
  try {
    const dead = Array.from({ length: 2 }, () => rig.client());
    const sockets = dead.map((client) => openMany(client, 40));
    const openers = Array.from({ length: 40 }, () => new Opener(rig.client(), descriptors));
    descriptors.fillTo(most - FOR_OTHERS - 20);
    for (const [i, client] of dead.entries()) descriptors.kill(client, sockets[i]!);
    assert.equal(turnedAway(rig, openers, descriptors), 0);
  } finally {
    rig.close();
    descriptors.close();
  }
});

test("a socket for which there is no descriptor gets that of one that was closed", () => {
  const most = Math.min(mostFds(), 600);
  const rig = new EngineRig({ mostFds: most, rings: RINGS });
  const descriptors = new Descriptors();
  try {
    const client = rig.client();
    const sockets = openMany(client, 4);
    const opener = new Opener(rig.client(), descriptors);
    // None of them looked scarce when it came.
    descriptors.fillTo(most - FOR_OTHERS);
    descriptors.hangUp(sockets);
    assert.equal(turnedAway(rig, [opener], descriptors), 0);
  } finally {
    rig.close();
    descriptors.close();
  }
});

test("many programs open sockets while those of the dead have all memory", () => {
  const pool = createPool({ smallSlots: 1_024, bigSlots: 64, peerBytes: 1 << 27 });
  const rig = new EngineRig({ pool });
  const descriptors = new Descriptors();
  try {
    const openers = Array.from({ length: 40 }, () => new Opener(rig.client(), descriptors));
    const client = rig.client();
    const sockets: TestSocket[] = [];
    for (let s = client.open(UDP); s.result === 0; s = client.open(UDP)) sockets.push(s);
    assert.ok(sockets.length > 100);
    descriptors.kill(client, sockets);
    assert.equal(turnedAway(rig, openers, descriptors), 0);
  } finally {
    rig.close();
    descriptors.close();
  }
});

test("who comes when one program has all memory still gets in, and a socket", () => {
  const pool = createPool({ smallSlots: 1_024, bigSlots: 64, peerBytes: 1 << 27 });
  const rig = new EngineRig({ pool });
  try {
    const greedy = rig.client();
    while (greedy.open(UDP).result === 0) {}
    const late = rig.client();
    const socket = late.open({ ...UDP, ownPort: 7_000 });
    assert.equal(socket.result, 0, socket.reason);
    assert.equal(greedy.open(UDP).result, 2);
  } finally {
    rig.close();
  }
});

test("what others send is not held up until all of the dead are cleaned up", () => {
  const most = Math.min(mostFds(), 1_200);
  const rig = new EngineRig({ mostFds: most, rings: RINGS });
  const descriptors = new Descriptors();
  try {
    const witness = rig.client();
    const from = bindUdp(witness, 5_000);
    const to = bindUdp(witness, 5_001);
    const client = rig.client();
    const sockets = openMany(client, 300);
    descriptors.fillTo(most - FOR_OTHERS - 20);
    assert.equal(witness.open(UDP).result, 0); // it is known now that there is little room
    descriptors.kill(client, sockets);
    from.sendTo(new Uint8Array([7]), HOST, 5_001);
    rig.datagram(to);
    assert.ok(rig.engine.sockets.size > 100, `${rig.engine.sockets.size} sockets`);
  } finally {
    rig.close();
    descriptors.close();
  }
});
