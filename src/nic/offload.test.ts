import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { FrameFlags } from "../ring/pool.js";
import * as tcp from "../wire/tcp.js";
import { Capability } from "./device.js";
import {
  assertAllFree,
  batchOf,
  FakeDevice,
  type FrameSpec,
  frame,
  makePool,
  type Parsed,
  parseSlot,
  pattern,
} from "./frame-fixture.js";
import { Offload } from "./offload.js";

const TIMESTAMPS = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];

/** Sends one frame through an Offload over a device with these capabilities. */
function send(
  spec: FrameSpec,
  capabilities = 0,
): { pieces: Parsed[]; flags: number[]; split: number } {
  const pool = makePool();
  const device = new FakeDevice(pool, capabilities);
  const offload = new Offload(device, pool);
  assert.equal(offload.transmit(0, batchOf(frame(pool, spec))), 1);
  const pieces = device.taken.map((slot) => parseSlot(pool, slot));
  const flags = device.taken.map((slot) => pool.flags[slot]!);
  const split = offload.offloads.get("split");
  offload.close();
  assertAllFree(pool);
  return { pieces, flags, split };
}

test("a large TCP segment becomes segments in sequence, FIN and PSH last, CWR first", () => {
  const payload = pattern(3500);
  const all = tcp.FIN | tcp.PSH | tcp.CWR | tcp.ACK;
  for (const v6 of [false, true]) {
    const spec = {
      v6,
      payload,
      seq: -100,
      flags: all,
      options: TIMESTAMPS,
      id: 0xffff,
      gsoBytes: 1400,
    };
    const { pieces, flags } = send(spec);
    assert.deepEqual(
      pieces.map((p) => [p.seq, p.payload.length, p.flags]),
      [
        [-100, 1400, tcp.CWR | tcp.ACK],
        [1300, 1400, tcp.ACK],
        [2700, 700, tcp.FIN | tcp.PSH | tcp.ACK],
      ],
    );
    assert.deepEqual(Buffer.concat(pieces.map((p) => p.payload)), Buffer.from(payload));
    for (const p of pieces) {
      assert.equal(p.checksum, "good");
      assert.deepEqual(p.options, TIMESTAMPS);
    }
    assert.deepEqual(
      pieces.map((p) => p.id),
      v6 ? [0, 0, 0] : [0xffff, 0, 1],
    );
    assert.deepEqual(flags, [0, 0, 0]);
  }
});

test("a large UDP payload becomes datagrams of their own", () => {
  for (const v6 of [false, true]) {
    const { pieces } = send({ v6, protocol: "udp", payload: pattern(2501), gsoBytes: 1000 });
    assert.deepEqual(
      pieces.map((p) => p.payload.length),
      [1000, 1000, 501],
    );
    assert.ok(pieces.every((p) => p.checksum === "good" && !p.isTcp));
    assert.deepEqual(Buffer.concat(pieces.map((p) => p.payload)), Buffer.from(pattern(2501)));
  }
});

test("an unmade checksum is completed, and one that is made stays", () => {
  for (const protocol of ["tcp", "udp"] as const) {
    for (const partial of [true, false]) {
      const { pieces, flags } = send({ protocol, partial, payload: pattern(333) });
      assert.deepEqual([pieces[0]!.checksum, flags[0]], ["good", 0]);
    }
  }
});

test("what the device can do is left to it", () => {
  const spec = { payload: pattern(3000), gsoBytes: 1000 };
  const whole = send(spec, Capability.TX_CHECKSUM | Capability.TX_TSO4);
  assert.equal(whole.pieces.length, 1);
  assert.equal(whole.flags[0], FrameFlags.CHECKSUM_PARTIAL | FrameFlags.GSO_TCP4);
  const split = send(spec, Capability.TX_CHECKSUM | Capability.TX_TSO6);
  assert.equal(split.pieces.length, 3);
  assert.ok(split.pieces.every((p) => p.checksum === "partial"));
  assert.ok(split.flags.every((f) => f === FrameFlags.CHECKSUM_PARTIAL));
});

test("every segmentation and checksum is claimed", () => {
  const pool = makePool();
  const wanted =
    Capability.TX_CHECKSUM | Capability.TX_TSO4 | Capability.TX_TSO6 | Capability.TX_USO;
  assert.equal(new Offload(new FakeDevice(pool), pool).capabilities, wanted);
  const coalescing = new Offload(new FakeDevice(pool), pool, { coalesce: true });
  assert.equal(coalescing.capabilities, wanted | Capability.RX_COALESCE);
});

test("any size splits into pieces that make the payload again", () => {
  const sizes = fc.record({
    n: fc.integer({ min: 1, max: 20_000 }),
    gsoBytes: fc.integer({ min: 200, max: 3000 }),
    v6: fc.boolean(),
    protocol: fc.constantFrom("tcp" as const, "udp" as const),
  });
  fc.assert(
    fc.property(sizes, ({ n, ...spec }) => {
      const { pieces } = send({ ...spec, payload: pattern(n) });
      assert.equal(pieces.length, Math.ceil(n / spec.gsoBytes));
      assert.ok(pieces.every((p) => p.checksum === "good"));
      assert.deepEqual(Buffer.concat(pieces.map((p) => p.payload)), Buffer.from(pattern(n)));
    }),
    { numRuns: 60 },
  );
});

test("a device that takes a few frames at a time gets all pieces in order, and then the next frame", () => {
  const pool = makePool();
  const device = new FakeDevice(pool);
  const offload = new Offload(device, pool);
  device.accepts = 0;
  const large = frame(pool, { payload: pattern(60_000), gsoBytes: 500, seq: 0 });
  const next = frame(pool, { payload: pattern(1), seq: 60_000 });
  assert.equal(offload.transmit(0, batchOf(large, next)), 1, "the second one stays the caller's");
  assert.ok(offload.nextDeadlineUs() <= 1000, "it asks for another turn");
  for (let now = 100; device.taken.length < 120; now += 100) {
    device.accepts = 7;
    offload.flush(now);
    assert.ok(now < 5000);
  }
  device.accepts = 100;
  assert.equal(offload.transmit(5000, batchOf(next)), 1);
  const seqs = device.taken.map((slot) => parseSlot(pool, slot).seq);
  assert.deepEqual(
    seqs,
    Array.from({ length: 121 }, (_, i) => i * 500),
  );
  offload.close();
  assertAllFree(pool);
});

test("a pool without a slot delays the pieces and loses none", () => {
  const pool = makePool(5, 2);
  const device = new FakeDevice(pool);
  const offload = new Offload(device, pool);
  offload.transmit(0, batchOf(frame(pool, { payload: pattern(10_000), gsoBytes: 1000, seq: 0 })));
  assert.equal(device.taken.length, 5);
  assert.ok(offload.nextDeadlineUs() <= 1000);
  const seqs: number[] = [];
  for (let now = 100; now < 1000; now += 100) {
    for (const slot of device.taken.splice(0)) {
      seqs.push(parseSlot(pool, slot).seq);
      pool.give(slot);
    }
    offload.flush(now);
  }
  assert.deepEqual(
    seqs,
    Array.from({ length: 10 }, (_, i) => i * 1000),
  );
  offload.close();
  assertAllFree(pool);
});

test("closing in the middle of a frame gives back all slots", () => {
  const pool = makePool();
  const device = new FakeDevice(pool);
  device.accepts = 3;
  const offload = new Offload(device, pool);
  offload.transmit(0, batchOf(frame(pool, { payload: pattern(60_000), gsoBytes: 500 })));
  offload.close();
  assertAllFree(pool);
});

test("a segmentation request that makes no sense is refused and counted", () => {
  const pool = makePool();
  const offload = new Offload(new FakeDevice(pool), pool);
  const spoil: ((slot: number) => void)[] = [
    (s) => (pool.gsoBytes[s] = 0),
    (s) => (pool.csumStart[s] = pool.at[s]!),
    (s) => (pool.csumStart[s] = pool.end[s]! + 10),
    (s) => (pool.end[s] = pool.at[s]! + 30),
    (s) => (pool.bytes[pool.at[s]! + 12] = 0x12),
  ];
  for (const f of spoil) {
    const slot = frame(pool, { payload: pattern(100), gsoBytes: 50 });
    f(slot);
    assert.equal(offload.transmit(0, batchOf(slot)), 1);
  }
  assert.equal(offload.offloads.get("refused"), spoil.length);
  assertAllFree(pool);
});
