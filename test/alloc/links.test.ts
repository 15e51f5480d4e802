/** AF_XDP and AF_PACKET allocate nothing per frame: the kernel answers echoes, nobody collects. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Device } from "../../src/nic/device.js";
import { openPacket } from "../../src/nic/packet.js";
import { openXdp } from "../../src/nic/xdp.js";
import { Batch } from "../../src/ring/batch.js";
import { HEADROOM_BYTES, type Pool } from "../../src/ring/pool.js";
import { interfaceMac } from "../../src/sys/tap.js";
import { enterNamespace, ip, needsRoot } from "../support/namespace.js";
import { bytesOf, icmpEcho, ipv4, newPool } from "../support/raw-frames.js";
import { addVeth } from "../support/test-link.js";
import { fewestCollections } from "./collections.js";

process.env.MILLRACE_CHECKED = "0"; // the pool's assertions make their messages beforehand
await enterNamespace(import.meta.url);

const ROUNDS = 10_000;
const PER_ROUND = 16;

const OPENERS: Readonly<Record<string, (pool: Pool, name: string) => Device>> = {
  xdp: (pool, name) => openXdp(pool, { interface: name, mode: "generic" }),
  packet: (pool, name) => openPacket(pool, { interface: name }),
};

for (const [kind, open] of Object.entries(OPENERS)) {
  const skip = kind === "xdp" ? needsRoot() : false;
  test(`160,000 frames out and in cause at most two collections, ${kind}`, { skip }, async (t) => {
    addVeth("near", "far");
    const pool = newPool();
    const device = open(pool, "near");
    t.after(() => {
      device.close();
      ip("link", "delete", "far");
    });
    ip("address", "add", "10.77.0.1/24", "dev", "far");
    const mac = [...device.mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
    ip("neigh", "replace", "10.77.0.2", "lladdr", mac, "dev", "far");
    const echo = icmpEcho(8, 1, bytesOf(1, 2, 3, 4));
    const request = ipv4(interfaceMac("far"), device.mac, 1, [10, 77, 0, 2], [10, 77, 0, 1], echo);
    const batch = new Batch();

    const exchange = (rounds: number): void => {
      for (let round = 0; round < rounds; round++) {
        batch.n = 0;
        for (let i = 0; i < PER_ROUND; i++) {
          const slot = pool.take();
          const at = pool.base(slot) + HEADROOM_BYTES;
          pool.bytes.set(request, at);
          pool.at[slot] = at;
          pool.end[slot] = at + request.length;
          pool.flags[slot] = 0;
          batch.put(slot);
        }
        while (batch.n > 0) {
          batch.drop(device.transmit(round, batch));
          device.flush(round);
        }
        device.receive(round, batch);
        for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
      }
    };

    let rounds = 0;
    const n = await fewestCollections(() => {
      exchange(ROUNDS);
      rounds += ROUNDS;
    }, 2);
    assert.ok(n <= 2, `${n} collections`);
    const sent = rounds * PER_ROUND;
    assert.equal(device.counters.get("txFrames"), sent);
    assert.ok(device.counters.get("rxFrames") > sent / 2, "the kernel answered");
  });
}
