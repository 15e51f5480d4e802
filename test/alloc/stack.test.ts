/**
 * The data path allocates nothing, from device to socket and back: two million packets cause at most
 * two collections.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fewestCollections } from "./collections.js";

process.env.MILLRACE_CHECKED = "0"; // assertions make their messages beforehand; so imports come after

const { put16, put32, u16 } = await import("../../src/base/bytes.js");
const { finish } = await import("../../src/base/checksum.js");
const { simLink } = await import("../../src/nic/sim-link.js");
const { Batch } = await import("../../src/ring/batch.js");
const { HEADROOM_BYTES } = await import("../../src/ring/pool.js");
const { createPool } = await import("../../src/socket/create-host.js");
const { Family } = await import("../../src/socket/linux-options.js");
const wire = await import("../../src/wire/tcp.js");
const { FAR, HOST, L4_AT, udpFrame } = await import("../../bench/frames.js");
const { BATCH, NO_OPTIONS, PORT, Rig, segment } = await import("../../bench/rig.js");

const PACKETS = 2_000_000;
const WARM_UP = 100_000;
const PAYLOAD_BYTES = 64;
const SEGMENT_BYTES = 1_460;
const WRITE_BYTES = 40 * SEGMENT_BYTES;
const WRITES = 4;
const FAR_PORT = 5_000;
const TURN_US = 20;
const MAX_COLLECTIONS = 2;

/** Runs `work` to compile it, then in earnest, and fails when that collected garbage. */
async function assertAllocatesNothing(work: (packets: number) => void): Promise<void> {
  work(WARM_UP);
  const n = await fewestCollections(() => work(PACKETS), MAX_COLLECTIONS);
  assert.ok(n <= MAX_COLLECTIONS, `${n} collections`);
}

test("UDP datagrams in", async () => {
  const rig = new Rig();
  const { pool, device } = rig;
  const socket = rig.stack.udpSocket(Family.INET);
  assert.equal(socket.bind(HOST, PORT), 0);
  device.load(udpFrame(FAR_PORT, PORT, PAYLOAD_BYTES));
  let taken = 0;
  await assertAllocatesNothing((packets) => {
    for (let left = packets; left > 0; left -= BATCH) {
      device.pending = BATCH;
      rig.turn(TURN_US);
      for (let slot = socket.receiveSlot(); slot >= 0; slot = socket.receiveSlot()) {
        pool.give(slot);
        taken++;
      }
    }
  });
  assert.ok(taken >= PACKETS + WARM_UP);
});

test("UDP datagrams out", async () => {
  const rig = new Rig();
  const socket = rig.stack.udpSocket(Family.INET);
  assert.equal(socket.connect(FAR, PORT), 0);
  const payload = new Uint8Array(PAYLOAD_BYTES);
  await assertAllocatesNothing((packets) => {
    for (let left = packets; left > 0; left -= BATCH) {
      for (let i = 0; i < BATCH; i++) socket.send(payload);
      rig.turn(TURN_US);
    }
  });
  assert.ok(rig.device.transmitted >= PACKETS + WARM_UP);
});

test("TCP segments in, ACKs out", async () => {
  const rig = new Rig({ rmemDefaultBytes: 1 << 20 });
  const { pool, device } = rig;
  const [socket, peer] = rig.establish(rig.listen(PORT), FAR, FAR_PORT);
  const frame = segment({ ...peer, seq: 0 }, PORT, wire.ACK, NO_OPTIONS, SEGMENT_BYTES);
  const checksumAt = L4_AT + wire.CHECKSUM_AT;
  const restSum = ~u16(frame, checksumAt) & 0xffff;
  device.load(frame, (bytes, at) => {
    const seq = peer.seq;
    put32(bytes, at + L4_AT + 4, seq);
    put16(bytes, at + checksumAt, finish(restSum + (seq >>> 16) + (seq & 0xffff)));
    peer.seq = (seq + SEGMENT_BYTES) | 0;
  });
  let taken = 0;
  const turn = (segments: number): void => {
    device.pending = segments;
    rig.turn(TURN_US);
    for (let slot = socket.receiveSlot(); slot >= 0; slot = socket.receiveSlot()) {
      pool.give(slot);
      taken++;
    }
  };
  turn(16); // the first window is a SYN's, which is not scaled
  await assertAllocatesNothing((packets) => {
    for (let left = packets; left > 0; left -= BATCH) turn(BATCH);
  });
  assert.ok(taken >= PACKETS + WARM_UP);
});

test("TCP segments out, ACKs in", async () => {
  const rig = new Rig();
  const { pool, device, stack } = rig;
  const [socket, peer] = rig.establish(rig.listen(PORT), FAR, FAR_PORT);
  const frame = segment({ ...peer, ack: 0 }, PORT, wire.ACK, NO_OPTIONS, 0);
  const checksumAt = L4_AT + wire.CHECKSUM_AT;
  const restSum = ~u16(frame, checksumAt) & 0xffff;
  device.load(frame, (bytes, at) => {
    bytes.set(frame, at); // segments have been written over it
    put32(bytes, at + L4_AT + 8, peer.ack);
    put16(bytes, at + checksumAt, finish(restSum + (peer.ack >>> 16) + (peer.ack & 0xffff)));
  });
  // What is sent from the arena needs no view (base/bytes.ts, `copy`).
  const from = pool.base(pool.takeBig());
  const start = device.transmitted;
  await assertAllocatesNothing((packets) => {
    const end = device.transmitted + packets;
    while (device.transmitted < end) {
      // A turn boxes a few numbers (its deadlines): it is packets that must cost nothing.
      for (let i = 0; i < WRITES; i++) socket.send(pool.bytes, from, WRITE_BYTES);
      rig.turn(TURN_US);
      peer.ack = stack.tcp.tcb.select(socket.row).sndNxt;
      device.pending = 1;
      rig.turn(TURN_US);
    }
  });
  assert.ok(device.transmitted - start >= PACKETS + WARM_UP);
});

test("frames through a virtual link", async () => {
  const pool = createPool({ smallSlots: 1_024, bigSlots: 64 });
  const { a, b } = simLink(pool, pool, {});
  const batch = new Batch();
  let nowUs = 1_000_000;
  let passed = 0;
  await assertAllocatesNothing((packets) => {
    for (let left = packets; left > 0; left -= BATCH) {
      for (let i = 0; i < BATCH; i++) {
        const slot = pool.take();
        pool.at[slot] = pool.base(slot) + HEADROOM_BYTES;
        pool.end[slot] = pool.at[slot]! + L4_AT + PAYLOAD_BYTES;
        pool.flags[slot] = 0;
        batch.put(slot);
      }
      batch.drop(a.transmit(nowUs, batch));
      a.flush();
      nowUs += TURN_US;
      b.receive(nowUs, batch);
      for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
      passed += batch.n;
      batch.n = 0;
    }
  });
  assert.ok(passed >= PACKETS + WARM_UP - BATCH, `${passed} frames passed`);
});
