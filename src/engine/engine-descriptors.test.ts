/** An engine that may have no more descriptors: it stays, serves who is there, says so, and recovers. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { NetError } from "../base/errors.js";
import { Kind, OpenedFor } from "../ring/engine-layout.js";
import { createPool } from "../socket/create-host.js";
import { EngineRig } from "./engine-fixture.js";
import { Regions } from "./region.js";
import { type Program, Session } from "./session.js";
import { SharedMemory } from "./shared-memory.js";
import { bindUdp, HOST } from "./test-sockets-fixture.js";

const descriptors = (): number => readdirSync("/proc/self/fd").length;
const UDP = { kind: Kind.UDP, at: OpenedFor.BIND, own: "0.0.0.0" } as const;

test("sockets that have no room stay with the kernel, and come back when there is some", () => {
  const told: string[] = [];
  // Test and engine share their descriptors; some hundred are there, and some more are enough.
  const mostFds = descriptors() + 150;
  const rig = new EngineRig({ mostFds, tell: (event, text) => told.push(`${event}: ${text}`) });
  try {
    const client = rig.client();
    const first = bindUdp(client, 5_000);
    const opened = [];
    let refused = "";
    for (let port = 6_000; refused === "" && port < 6_200; port++) {
      const socket = client.open({ ...UDP, ownPort: port });
      if (socket.result === 0) opened.push(socket);
      else refused = socket.reason;
    }
    assert.match(refused, /no descriptors left/);
    assert.ok(opened.length > 10);
    assert.match(told.join(), /^no-descriptors: no descriptors left \(\d+ at most\).*ulimit -n/);
    assert.equal(rig.engine.sessions.length, 1);
    first.sendTo(new Uint8Array([7]), HOST, 6_000);
    assert.deepEqual([...rig.datagram(opened[0]!).data], [7]);
    for (const socket of opened) socket.close();
    rig.until(() => rig.engine.sockets.size === 1);
    assert.equal(client.open({ ...UDP, ownPort: 6_500 }).result, 0);
    assert.equal(told.length, 1);
  } finally {
    rig.close();
  }
});

test("a process for which there is no room is told so, and those that are there go on", () => {
  const rig = new EngineRig({ mostFds: descriptors() + 90 });
  try {
    const client = rig.client();
    assert.throws(() => {
      for (let i = 0; i < 100; i++) rig.client();
    }, /no descriptors|hung up/);
    assert.ok(rig.engine.sessions.length > 1);
    assert.equal(client.open({ ...UDP, ownPort: 6_000 }).result, 2); // EMFILE
  } finally {
    rig.close();
  }
});

test("a program without descriptors hears what would have been decided, and gets no socket", () => {
  const rig = new EngineRig({});
  try {
    const client = rig.client();
    const lacking = "the program has no descriptors left (ulimit -n)";
    const ask = (at: number, place: object): [number, string] => {
      const { result, reason } = client.open({
        kind: Kind.TCP,
        at,
        nothingComes: lacking,
        ...place,
      });
      return [result, reason];
    };
    const kept = (): string[] => [...rig.engine.kernelSockets].map(({ reason }) => reason);
    assert.deepEqual(ask(OpenedFor.CONNECT, { peer: HOST, peerPort: 7 }), [3, lacking]);
    assert.deepEqual(ask(OpenedFor.CONNECT, { peer: "10.77.9.9", peerPort: 7 }), [3, lacking]);
    assert.deepEqual(ask(OpenedFor.BIND, { own: HOST, ownPort: 8 }), [3, lacking]);
    assert.deepEqual(kept(), []); // what is nobody's is not the kernel's
    assert.deepEqual(ask(OpenedFor.LISTEN, { own: "0.0.0.0", ownPort: 8 }), [2, lacking]);
    assert.deepEqual(kept(), [lacking]);
    const unreachable = "no Millrace route to 1.2.3.4";
    assert.deepEqual(ask(OpenedFor.CONNECT, { peer: "1.2.3.4", peerPort: 7 }), [1, unreachable]);
    assert.equal(rig.engine.sockets.size, 0);
  } finally {
    rig.close();
  }
});

test("a session that cannot be made leaves nothing behind", () => {
  const pool = createPool({ smallSlots: 64, bigSlots: 64, peerBytes: 1 << 20 });
  const regions = new Regions(new SharedMemory(pool.memory.arena));
  const program: Program = {
    pid: 1,
    uid: 0,
    name: "",
    applicationId: "",
    address: "",
    rules: "",
    profile: "",
  };
  const settings = { spinUs: 0, yields: true, flags: 0, onStuck: () => {} };
  const made: Session[] = [];
  let before = [0, 0];
  assert.throws(
    () => {
      for (;;) {
        before = [descriptors(), regions.memory.usedBytes];
        made.push(new Session(1, program, -1, regions, null, settings, null as never));
      }
    },
    (error: unknown) => error instanceof NetError && error.code === "ENOMEM",
  );
  assert.deepEqual([descriptors(), regions.memory.usedBytes], before);
  for (const session of made) session.close();
  pool.close();
});
