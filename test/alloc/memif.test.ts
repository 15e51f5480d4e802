/** The memif driver allocates nothing per frame, at either end, with express rings and with plain ones. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { MemifDevice } from "../../src/nic/memif.js";
import type { Pool } from "../../src/ring/pool.js";
import { fewestCollections } from "./collections.js";

process.env.MILLRACE_CHECKED = "0"; // the pool's assertions make their messages beforehand
const { openMemif } = await import("../../src/nic/memif.js");
const { Batch } = await import("../../src/ring/batch.js");
const { HEADROOM_BYTES } = await import("../../src/ring/pool.js");
const { createPool } = await import("../../src/socket/create-host.js");

const ROUNDS = 20_000;
const PER_ROUND = 16;
const SIZE = { smallSlots: 2048, bigSlots: 128 };

for (const offload of [true, false]) {
  test(`offload ${offload}: 640,000 frames both ways cause at most two collections`, async (t) => {
    const path = `@millrace-alloc-${process.pid}-${randomBytes(4).toString("hex")}`;
    const [a, b] = [createPool({ ...SIZE, shared: true }), createPool(SIZE)];
    const server = openMemif(b, { path, role: "server", offload });
    const client = openMemif(a, { path, offload });
    t.after(() => {
      client.close();
      server.close();
    });
    const batch = new Batch();
    let nowUs = 0;
    for (let i = 0; i < 100 && !(client.isUp && server.isUp); i++) {
      nowUs += 100_000;
      client.receive(nowUs, batch);
      server.receive(nowUs, batch);
    }
    assert.ok(client.isUp && server.isUp);

    let received = 0;
    const pass = (from: MemifDevice, fromPool: Pool, to: MemifDevice, toPool: Pool): void => {
      batch.n = 0;
      for (let i = 0; i < PER_ROUND; i++) {
        const slot = fromPool.take();
        const at = fromPool.base(slot) + HEADROOM_BYTES - 34;
        fromPool.at[slot] = at;
        fromPool.end[slot] = at + (i === 0 ? 1000 : 100);
        fromPool.flags[slot] = 0;
        batch.put(slot);
      }
      batch.drop(from.transmit(nowUs, batch));
      for (let i = 0; i < batch.n; i++) fromPool.give(batch.slots[i]!);
      batch.n = 0;
      to.receive(nowUs, batch);
      received += batch.n;
      for (let i = 0; i < batch.n; i++) toPool.give(batch.slots[i]!);
    };
    let rounds = 0;
    const n = await fewestCollections(() => {
      for (let i = 0; i < ROUNDS; i++) {
        pass(client, a, server, b);
        pass(server, b, client, a);
      }
      rounds += ROUNDS;
    }, 2);
    assert.ok(n <= 2, `${n} collections`);
    assert.equal(received, rounds * PER_ROUND * 2, "nothing was lost");
  });
}
