/**
 * What an engine makes for a short connection is gone by the next collection of V8's young space: nothing old,
 * such as the dead table of a Map or the dead link of a queue, keeps it alive until a collection of everything.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

process.env.MILLRACE_CHECKED = "0"; // assertions make their messages beforehand; so imports come after

const { withEngine } = await import("../../src/engine/engine-fixture.js");
const { claimParked, openParked, park } = await import("../../src/engine/test-parked-fixture.js");
const { connectedPair, HOST, listenTcp } = await import("../../src/engine/test-sockets-fixture.js");
const { Status } = await import("../../src/ring/engine-layout.js");
type Socket = ReturnType<typeof listenTcp>;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as (options: { type: "minor" }) => void;

const PORT = 8_000;
const ROUNDS = 60;
const CONNECTIONS = 25;
/** Of a round at the first quarter of all: V8 compiles in others. */
const MOST_BYTES = 12_000;

test("short connections leave nothing that only a collection of everything finds", () => {
  withEngine((rig) => {
    const [a, b] = [rig.client(), rig.client()];
    const listener = listenTcp(b, PORT, { backlog: 64 });
    let { a: near, b: far } = connectedPair(rig, a, b, listener, PORT);
    const work = (): void => {
      for (let i = 0; i < CONNECTIONS; i++) {
        const theirs = park(b, far, false);
        rig.until(() => (near.status & Status.EOF) !== 0, "the peer's end");
        near = openParked(a, park(a, near, true), HOST, PORT);
        let next: Socket | null = null;
        rig.until(() => {
          next ??= claimParked(b, listener, theirs);
          return next !== null;
        }, "a connection");
        far = next!;
        rig.until(() => (near.status & Status.CONNECTED) !== 0, "the connection");
      }
    };
    const grown: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      work();
      // What is in use survives both, and is old afterwards.
      collect({ type: "minor" });
      collect({ type: "minor" });
      const before = process.memoryUsage().heapUsed;
      work();
      collect({ type: "minor" });
      collect({ type: "minor" });
      grown.push(process.memoryUsage().heapUsed - before);
    }
    grown.sort((x, y) => x - y);
    const bytes = grown[ROUNDS >> 2]!;
    assert.ok(bytes <= MOST_BYTES, `${bytes} bytes of ${CONNECTIONS} connections`);
  });
});
