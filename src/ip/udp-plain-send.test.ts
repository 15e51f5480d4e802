/** Datagrams that are sent in one pass are the same, byte by byte, as those sent step by step. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EINVAL, ENOBUFS } from "../base/errno.js";
import type { Device } from "../nic/device.js";
import type { Lane } from "../nic/lane.js";
import { NO_SLOT } from "../ring/pool.js";
import type { Path } from "./path.js";
import { DontFragment } from "./send-options.js";
import { ip, Pair } from "./stack-fixture.js";
import type { UdpEndpoint } from "./udp-endpoint.js";
import { Wire } from "./wire-fixture.js";

const PEER = ip("10.0.0.2");
const LENGTHS = [0, 1, 2, 3, 17, 63, 64, 65, 255, 256, 257];

function slotWith(wire: Wire, e: UdpEndpoint, bytes: Uint8Array): number {
  const { pool } = wire.host;
  const slot = e.takeSlot();
  pool.bytes.set(bytes, pool.at[slot]!);
  pool.end[slot] = pool.at[slot]! + bytes.length;
  return slot;
}

/** What the short ways leave out. */
interface Steps {
  pathTo(dst: null, port: number, ifIndex: number): Path | null;
  transmit(slot: number, path: Path, port: number): number;
}

/** By the general path. */
function sendSlowly(wire: Wire, e: UdpEndpoint, bytes: Uint8Array): number {
  const slot = slotWith(wire, e, bytes);
  const steps = e as unknown as Steps;
  const result = steps.transmit(slot, steps.pathTo(null, 0, 0)!, e.remotePort);
  return result < 0 ? result : bytes.length;
}

const sendSlot = (wire: Wire, e: UdpEndpoint, bytes: Uint8Array): number =>
  e.sendSlot(slotWith(wire, e, bytes), null, 0);

/** A lane onto a slot that is kept; like the wire, it leaves checksums unmade. */
class TestLane implements Lane {
  readonly frames: Uint8Array[] = [];
  private readonly slotAt: number;
  private lengthBytes = 0;
  private readonly bytes: Uint8Array;

  constructor({ host, iface }: Wire) {
    this.bytes = host.pool.bytes;
    this.slotAt = host.pool.base(host.pool.take()) + 2;
    (iface.device as Device & { lane: Lane | null }).lane = this;
  }

  place(lengthBytes: number): number {
    this.bytes.fill(0xa5, this.slotAt, this.slotAt + lengthBytes);
    this.lengthBytes = lengthBytes;
    return lengthBytes > 238 ? -1 : this.slotAt;
  }

  sendPlaced(csumStart: number, csumOffset: number): void {
    const frame = this.bytes.slice(this.slotAt, this.slotAt + this.lengthBytes);
    assert.deepEqual([csumStart, csumOffset], [34, 6]);
    this.frames.push(frame);
  }
}

function connected(set: (e: UdpEndpoint) => void): { wire: Wire; e: UdpEndpoint } {
  const wire = new Wire();
  wire.knowPeer();
  const e = wire.host.udp.open(4);
  set(e);
  assert.equal(e.bind(ip("10.0.0.1"), 4000), 0);
  assert.equal(e.connect(PEER, 53), 0);
  return { wire, e };
}

const CASES: Record<string, (e: UdpEndpoint) => void> = {
  "with the defaults": () => {},
  "with TOS and TTL": (e) => {
    e.tos = 0xb8;
    e.ttl = 3;
  },
  "without DF": (e) => {
    e.pmtuDiscover = DontFragment.NEVER;
  },
  "without checksum": (e) => {
    e.checksumOff = true;
  },
  "with UDP_SEGMENT": (e) => {
    e.gsoBytes = 64;
  },
};

for (const [name, set] of Object.entries(CASES)) {
  test(`${name}, short datagrams are what they are step by step`, () => {
    const fast = connected(set);
    const slow = connected(set);
    for (const n of LENGTHS) {
      const bytes = Uint8Array.from({ length: n }, (_, i) => i * 37 + n);
      for (let round = 0; round < 3; round++) {
        const result =
          round === 1 ? sendSlot(fast.wire, fast.e, bytes) : fast.e.send(bytes, 0, n, null, 0);
        assert.equal(result, n);
        assert.equal(sendSlowly(slow.wire, slow.e, bytes), n);
        assert.deepEqual(fast.wire.sent(), slow.wire.sent(), `${n} bytes`);
      }
    }
    fast.wire.assertNothingHeld();
    slow.wire.assertNothingHeld();
  });
}

for (const [name, set] of Object.entries(CASES)) {
  test(`${name}, the first datagram of a turn is the same on a lane`, () => {
    const fast = connected(set);
    const slow = connected(set);
    const lane = new TestLane(fast.wire);
    for (const n of [...LENGTHS, 196, 197]) {
      const bytes = Uint8Array.from({ length: n }, (_, i) => i * 37 + n);
      for (let round = 0; round < 2; round++) {
        const result =
          round === 0 ? sendSlot(fast.wire, fast.e, bytes) : fast.e.send(bytes, 0, n, null, 0);
        assert.equal(result, n);
        assert.equal(sendSlowly(slow.wire, slow.e, bytes), n);
        const sent = [...lane.frames.splice(0), ...fast.wire.sent()];
        assert.deepEqual(sent, slow.wire.sent(), `${n} bytes`);
      }
    }
  });
}

test("of a turn's datagrams only the first takes the lane: the others go together, and after it", () => {
  const { wire, e } = connected(() => {});
  const lane = new TestLane(wire);
  const { pool } = wire.host;
  const free = pool.freeSmall;
  for (let turn = 0; turn < 3; turn++) {
    for (let i = 0; i < 4; i++) assert.equal(e.send(Uint8Array.of(i), 0, 1, null, 0), 1);
    assert.deepEqual(
      lane.frames.splice(0).map((frame) => frame[42]),
      [0],
    );
    assert.deepEqual(
      wire.sent().map((frame) => frame[42]),
      [1, 2, 3],
    );
    assert.equal(pool.freeSmall, free);
  }
});

test("with UDP_SEGMENT beyond the path's MTU, a short datagram is sent both ways", () => {
  const { wire, e } = connected((endpoint) => {
    endpoint.gsoBytes = 1_000;
  });
  wire.iface.setMtu(500);
  wire.host.ip.invalidatePaths();
  assert.equal(e.send(new Uint8Array(100), 0, 100, null, 0), 100);
  assert.equal(sendSlowly(wire, e, new Uint8Array(100)), 100);
  assert.equal(sendSlowly(wire, e, new Uint8Array(600)), -EINVAL);
  assert.equal(wire.sent().length, 2);
  wire.assertNothingHeld();
});

for (const capabilities of [undefined, 0]) {
  const how = capabilities === undefined ? "left unmade" : "made in software";
  test(`checksums ${how} arrive as right`, () => {
    const p = new Pair(capabilities === undefined ? {} : { capabilities });
    const server = p.b.bound("10.0.0.2", 53);
    const client = p.a.bound("10.0.0.1", 4000);
    const into = new Uint8Array(300);
    for (let n = 0; n <= 256; n++) {
      const bytes = Uint8Array.from({ length: 257 }, (_, i) => (i * n * 31) ^ n);
      assert.equal(client.send(bytes, 1, n, PEER, 53), n);
      p.settle();
      assert.equal(server.receive(into, 0, into.length), n);
      assert.deepEqual(into.slice(0, n), bytes.slice(1, n + 1));
    }
    assert.equal(p.b.drops("UDP_BAD_CHECKSUM"), 0);
    p.assertNothingHeld();
  });
}

test("an empty pool is ENOBUFS, and a lost neighbour is asked for again", () => {
  const { wire, e } = connected(() => {});
  const { pool } = wire.host;
  const taken: number[] = [];
  for (let slot = pool.take(); slot !== NO_SLOT; slot = pool.take()) taken.push(slot);
  assert.equal(e.send(new Uint8Array(8), 0, 8, null, 0), -ENOBUFS);
  for (const slot of taken) pool.give(slot);
  wire.host.ip.neighbours.remove(wire.iface, PEER);
  assert.equal(e.send(new Uint8Array(8), 0, 8, null, 0), 8);
  const types = wire.sent().map((f) => (f[12]! << 8) | f[13]!);
  assert.deepEqual(types, [0x0806]);
  wire.assertNothingHeld();
});
