/** Packets that are placed are the same, byte by byte, as those sent step by step. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Device } from "../nic/device.js";
import type { Lane } from "../nic/lane.js";
import { FrameFlags, HEADROOM_BYTES } from "../ring/pool.js";
import { SendOptions } from "./send-options.js";
import { ip } from "./stack-fixture.js";
import { Wire } from "./wire-fixture.js";

const TCP = 6;
const PEER = ip("10.0.0.2");
const HEADERS = 34;

/** A lane onto a slot that is kept. */
class TestLane implements Lane {
  readonly frames: string[] = [];
  isFull = false;
  private readonly slotAt: number;
  private lengthBytes = 0;
  private readonly wire: Wire;

  constructor(wire: Wire) {
    const { pool } = wire.host;
    this.wire = wire;
    this.slotAt = pool.base(pool.take()) + 2;
    const device = wire.iface.device as Device & { lane: Lane | null };
    device.lane = this;
  }

  place(lengthBytes: number): number {
    this.lengthBytes = lengthBytes;
    return this.isFull ? -1 : this.slotAt;
  }

  sendPlaced(csumStart: number, csumOffset: number): void {
    assert.deepEqual([csumStart, csumOffset], [HEADERS, 16]);
    const { bytes } = this.wire.host.pool;
    const end = this.slotAt + this.lengthBytes;
    this.frames.push(Buffer.from(bytes.subarray(this.slotAt, end)).toString("hex"));
  }
}

function known(): Wire {
  const wire = new Wire();
  wire.knowPeer();
  return wire;
}

const fill = (bytes: Uint8Array, at: number, n: number): void => {
  for (let i = 0; i < n; i++) bytes[at + i] = i * 37 + n;
};

test("headers are what they are step by step, packet after packet", () => {
  const wire = known();
  const twin = known();
  const lane = new TestLane(wire);
  for (const n of [20, 21, 84, 200]) {
    const path = wire.host.ip.resolve(PEER, null, 0)!;
    const at = wire.host.ip.placed.place(path, TCP, n);
    assert.ok(at >= 0);
    fill(wire.host.pool.bytes, at, n);
    wire.host.ip.placed.send(16);
    const { pool } = twin.host;
    const slot = pool.take();
    pool.at[slot] = pool.base(slot) + HEADROOM_BYTES;
    pool.end[slot] = pool.at[slot]! + n;
    pool.flags[slot] = FrameFlags.CHECKSUM_PARTIAL;
    pool.csumStart[slot] = pool.at[slot]!;
    pool.csumOffset[slot] = 16;
    fill(pool.bytes, pool.at[slot]!, n);
    const twinPath = twin.host.ip.resolve(PEER, null, 0)!;
    twinPath.nextId = (path.nextId - 1) & 0xffff;
    const options = new SendOptions();
    assert.equal(twin.host.ip.send(slot, twinPath, TCP, options), 0);
    const hex = Buffer.from(twin.sent()[0]!).toString("hex");
    const placed = lane.frames.shift()!;
    assert.equal(placed.length, hex.length);
    // The twin's device has made the checksum behind the headers.
    assert.equal(placed.slice(0, 2 * HEADERS), hex.slice(0, 2 * HEADERS), `${n} bytes`);
  }
});

test("what waits goes first, and what is not plain goes the usual way", () => {
  const wire = known();
  const lane = new TestLane(wire);
  const { ip: layer, pool } = wire.host;
  const path = layer.resolve(PEER, null, 0)!;
  assert.ok(layer.placed.place(path, TCP, 100) >= 0);
  assert.equal(layer.placed.place(path, TCP, path.mtuBytes), -1, "longer than the path takes");
  const stranger = layer.resolve(ip("10.0.0.77"), null, 0)!;
  assert.equal(layer.placed.place(stranger, TCP, 100), -1, "its hardware address is not known");
  lane.isFull = true;
  assert.equal(layer.placed.place(path, TCP, 100), -1, "the device has no place");
  lane.isFull = false;
  const slot = pool.take();
  pool.at[slot] = pool.base(slot) + HEADROOM_BYTES;
  pool.end[slot] = pool.at[slot]! + 60;
  pool.flags[slot] = 0;
  wire.iface.put(slot);
  assert.equal(layer.placed.place(path, TCP, 100), -1, "a frame waits for the turn's end");
  layer.flush(wire.nowUs);
  assert.ok(layer.placed.place(path, TCP, 100) >= 0);
});
