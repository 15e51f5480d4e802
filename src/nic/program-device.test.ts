/** Programs in front of devices: where frames and their slots go, in either engine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EOPNOTSUPP } from "../base/errno.js";
import { Assembler } from "../ebpf/asm.js";
import type { EngineName } from "../ebpf/instance.js";
import type { MapDefinition } from "../ebpf/map-definition.js";
import { MapType } from "../ebpf/map-type.js";
import type { BpfObject } from "../ebpf/object.js";
import { assembled, mapDefinition } from "../ebpf/object-fixture.js";
import { R0, R1, R2, R3, R4, R5, R6, R7 } from "../ebpf/registers.js";
import { Arena } from "../ring/arena.js";
import { Batch } from "../ring/batch.js";
import { FrameFlags, Pool, PoolMemory } from "../ring/pool.js";
import { attachProgram } from "./attach-program.js";
import { Capability } from "./device.js";
import { assertAllFree, FakeDevice, frame, parseSlot, pattern } from "./frame-fixture.js";
import { RedirectPorts } from "./redirect-ports.js";

const ENGINES: readonly EngineName[] = ["interp", "wasm"];
const program = (build: (a: Assembler) => void, maps: readonly MapDefinition[] = []): BpfObject => {
  const a = new Assembler();
  build(a);
  return assembled(a, maps);
};

/** A pool with address space for maps. */
function bigPool(): Pool {
  const size = { smallSlots: 256, bigSlots: 16 };
  return new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(size) + (4 << 20)), size));
}

/** The verdict is the first byte of the payload: an IPv4 UDP frame's byte 42. */
const BY_PAYLOAD = program((a) => {
  a.load("u32", R2, R1, 0);
  a.load("u32", R3, R1, 4);
  a.mov(R0, 2);
  a.mov(R4, R2);
  a.add(R4, 43);
  a.jumpIf(R4, ">", R3, "end");
  a.load("u8", R0, R2, 42);
  a.label("end");
  a.exit();
});

function verdictFrame(pool: Pool, verdict: number): number {
  return frame(pool, { protocol: "udp", payload: Uint8Array.of(verdict, 2, 3) });
}

for (const engine of ENGINES) {
  test(`${engine}: each verdict's frame goes its way, and is counted`, () => {
    const pool = bigPool();
    const inner = new FakeDevice(pool);
    const device = attachProgram(inner, pool, BY_PAYLOAD, { engine, index: 3 });
    const slots = [2, 1, 3, 0, 4, 9, 2].map((verdict) => verdictFrame(pool, verdict));
    inner.arriving.push(...slots);
    const batch = new Batch();
    device.receive(1_000, batch);
    assert.deepEqual([...batch.slots.subarray(0, batch.n)], [slots[0], slots[6]]);
    assert.deepEqual(inner.taken, [slots[2]]);
    assert.deepEqual(device.programCounters.snapshot(), {
      xdpPass: 2,
      xdpDrop: 1,
      xdpTx: 1,
      xdpRedirect: 0,
      xdpAborted: 2,
      xdpErrors: 0,
      xdpFull: 0,
      xdpNowhere: 1,
    });
    for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
    device.close();
    device.close();
    assertAllFree(pool);
  });

  test(`${engine}: a frame that was lengthened in front and rewritten is what goes on`, () => {
    const pool = bigPool();
    const inner = new FakeDevice(pool);
    const object = program((a) => {
      a.mov(R6, R1);
      a.mov(R2, -20);
      a.call("xdp_adjust_head");
      a.load("u32", R2, R6, 0);
      a.load("u32", R3, R6, 4);
      a.mov(R0, 1);
      a.mov(R4, R2);
      a.add(R4, 14);
      a.jumpIf(R4, ">", R3, "end");
      for (let at = 0; at < 6; at++) a.store("u8", R2, at, 0xff);
      a.mov(R0, 2);
      a.label("end");
      a.exit();
    });
    const device = attachProgram(inner, pool, object, { engine });
    const slot = frame(pool, { payload: pattern(100) });
    const [at, end] = [pool.at[slot]!, pool.end[slot]!];
    pool.flags[slot] = FrameFlags.CHECKSUM_VALID;
    inner.arriving.push(slot);
    const batch = new Batch();
    device.receive(0, batch);
    assert.equal(batch.n, 1);
    assert.deepEqual([pool.at[slot], pool.end[slot]], [at - 20, end]);
    assert.equal(pool.flags[slot], FrameFlags.LINK_BROADCAST, "nobody vouches for the checksum");
    pool.give(slot);
    device.close();
    assertAllFree(pool);
  });

  test(`${engine}: a frame is redirected to the interface in a map of devices`, () => {
    const pool = bigPool();
    const [inner, other] = [new FakeDevice(pool), new FakeDevice(pool)];
    const ports = mapDefinition({ name: "ports", type: MapType.DEVMAP, valueBytes: 4 });
    const object = program(
      (a) => {
        a.loadMap(R1, "ports");
        a.mov(R2, 1);
        a.mov(R3, 0);
        a.call("redirect_map");
        a.exit();
      },
      [ports],
    );
    const device = attachProgram(inner, pool, object, { engine, index: 3 });
    RedirectPorts.of(pool).add(7, other);
    const take = (n: number): number => {
      for (let i = 0; i < n; i++) inner.arriving.push(verdictFrame(pool, 2));
      const batch = new Batch();
      device.receive(0, batch);
      assert.equal(batch.n, 0);
      return other.taken.length;
    };
    assert.equal(take(2), 0, "no entry: XDP_ABORTED");
    device.instance.map("ports").set(Uint8Array.of(1, 0, 0, 0), Uint8Array.of(7, 0, 0, 0));
    assert.equal(take(64), 64);
    other.accepts = 10;
    assert.equal(take(30), 74);
    const { xdpAborted, xdpRedirect, xdpFull } = device.programCounters.snapshot();
    assert.deepEqual([xdpAborted, xdpRedirect, xdpFull], [2, 94, 20]);
    device.close();
    other.close();
    assertAllFree(pool);
  });

  test(`${engine}: a verdict alone does not send a frame where one before it went`, () => {
    const pool = bigPool();
    const [inner, other] = [new FakeDevice(pool), new FakeDevice(pool)];
    const object = program((a) => {
      a.load("u32", R2, R1, 0);
      a.load("u32", R3, R1, 4);
      a.mov(R0, 4);
      a.mov(R4, R2);
      a.add(R4, 43);
      a.jumpIf(R4, ">", R3, "end");
      a.load("u8", R5, R2, 42);
      a.jumpIf(R5, "!=", 9, "end");
      a.mov(R1, 2);
      a.mov(R2, 0);
      a.call("redirect");
      a.label("end");
      a.exit();
    });
    const device = attachProgram(inner, pool, object, { engine, index: 1 });
    RedirectPorts.of(pool).add(2, other);
    const slots = [4, 9, 4, 4, 9].map((how) => verdictFrame(pool, how));
    inner.arriving.push(...slots);
    device.receive(0, new Batch());
    assert.deepEqual(other.taken, [slots[1], slots[4]]);
    assert.equal(device.programCounters.get("xdpNowhere"), 3);
    device.close();
    other.close();
    assertAllFree(pool);
  });

  test(`${engine}: a broadcast is a copy to each interface but the one that it came from`, () => {
    const pool = bigPool();
    const devices = [new FakeDevice(pool), new FakeDevice(pool), new FakeDevice(pool)];
    const ports = mapDefinition({ name: "ports", type: MapType.DEVMAP, valueBytes: 4 });
    const object = program(
      (a) => {
        a.loadMap(R1, "ports");
        a.mov(R2, 0);
        a.mov(R3, 8 | 16);
        a.call("redirect_map");
        a.exit();
      },
      [ports],
    );
    const device = attachProgram(devices[0]!, pool, object, { engine, index: 1 });
    RedirectPorts.of(pool).add(2, devices[1]!);
    RedirectPorts.of(pool).add(3, devices[2]!);
    for (let n = 0; n < 3; n++) {
      device.instance.map("ports").set(Uint8Array.of(n, 0, 0, 0), Uint8Array.of(n + 1, 0, 0, 0));
    }
    devices[0]!.arriving.push(frame(pool, { payload: pattern(50) }));
    device.receive(0, new Batch());
    assert.deepEqual(
      devices.map(({ taken }) => taken.map((slot) => parseSlot(pool, slot).payload)),
      [[], [pattern(50)], [pattern(50)]],
    );
    for (const one of devices) one.close();
    device.close();
    assertAllFree(pool);
  });
}

const PASS_ALL = program((a) => {
  a.mov(R0, 2);
  a.exit();
});

test("an unmade checksum is made before the program sees it", () => {
  const pool = bigPool();
  const inner = new FakeDevice(pool);
  const device = attachProgram(inner, pool, PASS_ALL);
  const whole = frame(pool, { payload: pattern(40) });
  const partial = frame(pool, { payload: pattern(40), partial: true });
  inner.arriving.push(partial);
  device.receive(0, new Batch());
  const bytesOf = (slot: number): Uint8Array => pool.bytes.slice(pool.at[slot]!, pool.end[slot]!);
  assert.deepEqual(bytesOf(partial), bytesOf(whole));
});

test("time and interface are what the receive call and the options say", () => {
  const pool = bigPool();
  const inner = new FakeDevice(pool);
  const seen = mapDefinition({ name: "seen", type: MapType.ARRAY, valueBytes: 16 });
  const object = program(
    (a) => {
      a.load("u32", R6, R1, 12);
      a.load("u32", R7, R1, 16);
      a.call("ktime_get_ns");
      a.loadMapValue(R1, "seen", 0);
      a.store("u64", R1, 0, R0);
      a.store("u32", R1, 8, R6);
      a.store("u32", R1, 12, R7);
      a.mov(R0, 1);
      a.exit();
    },
    [seen],
  );
  const device = attachProgram(inner, pool, object, { index: 9, queue: 2 });
  inner.arriving.push(frame(pool));
  const nowUs = 123_456_789_012_345;
  device.receive(nowUs, new Batch());
  const value = device.instance.map("seen").get(new Uint8Array(4))!;
  const view = new DataView(value.buffer, value.byteOffset);
  assert.equal(view.getBigUint64(0, true), BigInt(nowUs) * 1000n);
  assert.deepEqual([view.getUint32(8, true), view.getUint32(12, true)], [9, 2]);
});

test("a frame's own time is there where the device knows it", () => {
  const seen = mapDefinition({ name: "seen", type: MapType.ARRAY, valueBytes: 16 });
  const object = program(
    (a) => {
      a.loadMapValue(R2, "seen", 0);
      a.mov(R6, R2);
      a.callBtf(RX_TIMESTAMP);
      a.store("u32", R6, 8, R0);
      a.mov(R0, 1);
      a.exit();
    },
    [seen],
  );
  for (const [capabilities, time, result] of [
    [Capability.RX_TIMESTAMP, 1_700_000_000_123_456_000n, 0],
    [0, 0n, -EOPNOTSUPP],
  ] as const) {
    const pool = bigPool();
    const inner = new FakeDevice(pool, capabilities);
    const device = attachProgram(inner, pool, object);
    const slot = frame(pool);
    pool.rxTimeUs[slot] = 1_700_000_000_123_456;
    inner.arriving.push(slot);
    device.receive(5, new Batch());
    const value = device.instance.map("seen").get(new Uint8Array(4))!;
    const view = new DataView(value.buffer, value.byteOffset);
    assert.deepEqual([view.getBigUint64(0, true), view.getInt32(8, true)], [time, result]);
    device.close();
  }
});

/** This engine's number of `bpf_xdp_metadata_rx_timestamp`. */
const RX_TIMESTAMP = 250;

test("what a verified program does not do costs the frame, and is told", () => {
  const pool = bigPool();
  const inner = new FakeDevice(pool);
  const object = program((a) => {
    a.mov(R5, 0);
    a.load("u64", R0, R5, -8);
    a.exit();
  });
  const device = attachProgram(inner, pool, object, { verifies: false, engine: "wasm" });
  inner.arriving.push(frame(pool));
  const batch = new Batch();
  device.receive(0, batch);
  assert.equal(batch.n, 0);
  assert.equal(device.programCounters.get("xdpErrors"), 1);
  assert.match(device.lastError!.message, /main: memory access out of bounds/);
  assertAllFree(pool);
});

test("what cannot be attached is refused, and the arena has its room back", () => {
  const pool = bigPool();
  const inner = new FakeDevice(pool);
  const { freeBytes } = pool.memory.arena;
  const reads = program((a) => {
    a.load("u32", R2, R1, 0);
    a.load("u8", R0, R2, 0);
    a.exit();
  });
  assert.throws(() => attachProgram(inner, pool, reads), { code: "EACCES" });
  assert.equal(pool.memory.arena.freeBytes, freeBytes);
  const huge = mapDefinition({ name: "huge", type: MapType.ARRAY, maxEntries: 2 ** 24 });
  const object = program(
    (a) => {
      a.mov(R0, 2);
      a.exit();
    },
    [huge],
  );
  assert.throws(() => attachProgram(inner, pool, object), {
    code: "EINVAL",
    message: /attach to fake EINVAL.*more peerBytes/s,
  });
  attachProgram(inner, pool, PASS_ALL).close();
  assert.equal(pool.memory.arena.freeBytes, freeBytes);
});
