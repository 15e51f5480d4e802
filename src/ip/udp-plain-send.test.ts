/** Datagrams that are sent in one pass are the same, byte by byte, as those sent step by step. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EINVAL, ENOBUFS } from "../base/errno.js";
import { NO_SLOT } from "../ring/pool.js";
import { DontFragment } from "./send-options.js";
import { ip, Pair } from "./stack-fixture.js";
import type { UdpEndpoint } from "./udp-endpoint.js";
import { Wire } from "./wire-fixture.js";

const PEER = ip("10.0.0.2");
const LENGTHS = [0, 1, 2, 3, 17, 63, 64, 65, 255, 256, 257];

/** `sendSlot` goes through the general path. */
function sendSlowly(wire: Wire, e: UdpEndpoint, bytes: Uint8Array): number {
  const { pool } = wire.host;
  const slot = e.takeSlot();
  pool.bytes.set(bytes, pool.at[slot]!);
  pool.end[slot] = pool.at[slot]! + bytes.length;
  return e.sendSlot(slot, null, 0);
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
        assert.equal(fast.e.send(bytes, 0, n, null, 0), n);
        assert.equal(sendSlowly(slow.wire, slow.e, bytes), n);
        assert.deepEqual(fast.wire.sent(), slow.wire.sent(), `${n} bytes`);
      }
    }
    fast.wire.assertNothingHeld();
    slow.wire.assertNothingHeld();
  });
}

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
