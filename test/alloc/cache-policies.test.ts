/** The trace cache allocates nothing per packet, hits and misses alike: at most two collections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makePolicy, POLICY_NAMES } from "../../src/xdp/cache-policies.js";
import { CacheSimulator } from "../../src/xdp/cache-simulator.js";
import { fewestCollections } from "./collections.js";

const PACKETS = 1_000_000;
const ENTRIES = 16;

for (const name of POLICY_NAMES.filter((one) => one !== "belady")) {
  test(`${name}: nothing is allocated`, async () => {
    const cache = new CacheSimulator({ entries: ENTRIES }, makePolicy(name, ENTRIES));
    const n = await fewestCollections(() => {
      for (let i = 0; i < PACKETS; i++) cache.use((Math.imul(i, 0x9e3779b1) >>> 24) % 20);
    }, 2);
    assert.ok(n <= 2, `${n} collections`);
  });
}
