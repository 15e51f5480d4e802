/**
 * An engine's data path allocates nothing: what programs send each other goes from ring to ring without
 * garbage. The programs here only move positions; what lies in their rings was written before.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fewestCollections } from "./collections.js";

process.env.MILLRACE_CHECKED = "0"; // assertions make their messages beforehand; so imports come after

const { EngineRig } = await import("../../src/engine/engine-fixture.js");
const { bindUdp, connectedPair, HOST, listenTcp } = await import(
  "../../src/engine/test-sockets-fixture.js"
);
const { Op, Report, SocketAt } = await import("../../src/ring/engine-layout.js");
type Socket = ReturnType<typeof bindUdp>;

const WARM_UP = 100_000;
const MESSAGES = 3_000_000;
/** A box for each message would be 45 of them; one for each turn, which the clock of these tests makes, is 3. */
const MAX_COLLECTIONS = 12;
const BATCH = 16;
const PAYLOAD_BYTES = 64;
const SPACE_BYTES = 128;
const TURN_US = 20;

async function assertAllocatesNothing(work: (messages: number) => void): Promise<void> {
  work(WARM_UP);
  const n = await fewestCollections(() => work(MESSAGES), MAX_COLLECTIONS);
  assert.ok(n <= MAX_COLLECTIONS, `${n} collections`);
}

/** Moves the end of what the program has sent, and submits. */
function sendMore(s: Socket, tailAt: number, bytes: number): void {
  Atomics.store(s.words, tailAt, (s.words[tailAt]! + bytes) | 0);
  s.submit();
}

/** Reads all there is; how many bytes. */
function readAll(s: Socket, headAt: number, tailAt: number): number {
  const tail = Atomics.load(s.words, tailAt);
  const n = (tail - s.words[headAt]!) | 0;
  if (n > 0) s.setHead(tail);
  return n;
}

/** A sender and a receiver of datagrams whose ring to the engine is full of the same one. */
function datagramPair(rig: InstanceType<typeof EngineRig>): { a: Socket; b: Socket } {
  const a = bindUdp(rig.client(), 1_000);
  const b = bindUdp(rig.client(), 2_000);
  assert.equal(a.callWith(Op.CONNECT, HOST, 2_000), 0);
  for (let at = 0; at < a.txBytes; at += SPACE_BYTES) {
    a.view.setUint32(a.txAt + at, PAYLOAD_BYTES, true);
  }
  return { a, b };
}

async function datagrams(reports: number): Promise<void> {
  const rig = new EngineRig();
  const { a, b } = datagramPair(rig);
  Atomics.store(b.words, b.at(SocketAt.reports), reports);
  const sentAt = a.at(SocketAt.txTail);
  const headAt = b.at(SocketAt.rxHead);
  const tailAt = b.at(SocketAt.rxTail);
  let { nowUs } = rig.engine.stack;
  let received = 0;
  await assertAllocatesNothing((messages) => {
    for (let left = messages; left > 0; left -= BATCH) {
      nowUs += TURN_US;
      sendMore(a, sentAt, BATCH * SPACE_BYTES);
      rig.engine.turn(nowUs);
      received += readAll(b, headAt, tailAt) / SPACE_BYTES;
    }
  });
  assert.ok(received >= MESSAGES + WARM_UP, `${received} were received`);
  rig.close();
}

test("datagrams from ring to ring", () => datagrams(0));

test("datagrams with what recvmsg tells beside the data, the time included", () =>
  datagrams(Report.PKTINFO | Report.TIMESTAMPNS));

test("streams", async () => {
  const rig = new EngineRig();
  const [server, client] = [rig.client(), rig.client()];
  const listener = listenTcp(server, 80);
  const pairs = Array.from({ length: BATCH }, () =>
    connectedPair(rig, client, server, listener, 80),
  );
  const ends = pairs.map(({ a, b }) => ({
    a,
    b,
    sentAt: a.at(SocketAt.txTail),
    headAt: b.at(SocketAt.rxHead),
    tailAt: b.at(SocketAt.rxTail),
  }));
  let { nowUs } = rig.engine.stack;
  let received = 0;
  await assertAllocatesNothing((messages) => {
    for (let left = messages; left > 0; left -= BATCH) {
      nowUs += TURN_US;
      for (let i = 0; i < BATCH; i++) sendMore(ends[i]!.a, ends[i]!.sentAt, PAYLOAD_BYTES);
      rig.engine.turn(nowUs);
      rig.engine.turn(nowUs);
      for (let i = 0; i < BATCH; i++) {
        received += readAll(ends[i]!.b, ends[i]!.headAt, ends[i]!.tailAt);
      }
    }
  });
  assert.ok(received > MESSAGES * PAYLOAD_BYTES * 0.9, `${received} bytes`);
  rig.close();
});
