/**
 * `millrace perf` allocates nothing per message: what it measures is not its own garbage collector.
 * The clock is another one here, because Node.js's leaves 16 bytes at each reading.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EAGAIN } from "../../src/base/errno.js";
import { PerfClient } from "../../src/cli/perf/client.js";
import { Lengths, SteadySchedule } from "../../src/cli/perf/schedule.js";
import { PerfServer } from "../../src/cli/perf/server.js";
import type { Endpoint, Transport } from "../../src/cli/perf/transport.js";
import { fewestCollections } from "./collections.js";

const MESSAGES = 1_000_000;
const WARM_UP = 50_000;
const MAX_COLLECTIONS = 2;
const MESSAGE_BYTES = 64;

/** An end of a wire that holds one message each way. */
class WireEnd implements Endpoint {
  peer: WireEnd = this;
  private readonly held = new Uint8Array(MESSAGE_BYTES);
  private heldBytes = 0;

  send(bytes: Uint8Array, at: number, n: number): number {
    const { peer } = this;
    if (peer.heldBytes > 0) return -EAGAIN;
    for (let i = 0; i < n; i++) peer.held[i] = bytes[at + i]!;
    peer.heldBytes = n;
    return n;
  }
  receive(bytes: Uint8Array, at: number): number {
    const n = this.heldBytes;
    if (n === 0) return -EAGAIN;
    for (let i = 0; i < n; i++) bytes[at + i] = this.held[i]!;
    this.heldBytes = 0;
    return n;
  }
  connectResult(): number {
    return 1;
  }
  senderChanged(): boolean {
    return false;
  }
  sender(): string {
    return "";
  }
  close(): void {}
}

const time = new Float64Array(1);
performance.now = () => {
  time[0]! += 0.001;
  return time[0]!;
};

const nothing = (): never => assert.fail("not for this");
const transport: Transport = {
  name: "wire",
  isReady: true,
  turn: () => {},
  wait: () => {},
  udpServer: nothing,
  udpClient: nothing,
  tcpServer: nothing,
  tcpClient: nothing,
  close: () => {},
};

test("a ping-pong of a million messages, both ends", async () => {
  const [near, far] = [new WireEnd(), new WireEnd()];
  near.peer = far;
  far.peer = near;
  const server = new PerfServer(transport, far, { isSilent: false });
  const client = new PerfClient(transport, near, {
    isTcp: false,
    schedule: new SteadySchedule(Number.POSITIVE_INFINITY, 1, new Lengths(MESSAGE_BYTES)),
    replyEvery: 1,
    waitForReplies: 1,
    warmUpMs: 0,
    timeMs: Number.POSITIVE_INFINITY,
    mostMessages: Number.POSITIVE_INFINITY,
    replyTimeoutMs: Number.POSITIVE_INFINITY,
    log: null,
    isMulticast: false,
  });
  const exchange = (messages: number): void => {
    for (const until = client.received + messages; client.received < until; ) {
      client.step();
      server.step();
    }
  };
  exchange(WARM_UP);
  const n = await fewestCollections(() => exchange(MESSAGES), MAX_COLLECTIONS);
  assert.ok(n <= MAX_COLLECTIONS, `${n} collections`);
  assert.ok(client.result.lost <= 1, "one may be under way");
  assert.equal(server.result.lost, 0);
});
