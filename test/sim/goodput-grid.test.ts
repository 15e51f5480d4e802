/**
 * Whole stacks over a bad network in virtual time: buffers times faults. Content is compared byte
 * by byte; goodput is a committed snapshot, so that a change of TCP's behaviour is a reviewed diff:
 *
 *     node dist/test/sim/goodput-grid.test.js --regen
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { US_PER_MS } from "../../src/base/time.js";
import type { FaultOptions } from "../../src/nic/fault-path.js";
import { bulkTransfer } from "../../src/sim/bulk-transfer.js";

const SNAPSHOT = new URL("../../../test/sim/goodput-grid.json", import.meta.url);
const REGEN = process.argv.includes("--regen");
const SEED = 20;

/** 100 Mbit/s with a round trip of 20 ms: the bandwidth-delay product is 250,000 bytes. */
const LINK = { delayUs: 10 * US_PER_MS, bitsPerS: 100e6, queueFrames: 200 };
const BUFFERS: readonly (readonly [name: string, bytes: number | undefined])[] = [
  ["16 KiB", 16 << 10],
  ["128 KiB", 128 << 10],
  ["automatic", undefined],
];
const FAULTS: readonly (readonly [name: string, faults: FaultOptions])[] = [
  ["no faults", {}],
  ["0.1 % loss", { loss: 0.001 }],
  ["1 % loss", { loss: 0.01 }],
  ["5 % loss", { loss: 0.05 }],
  ["5 % reordering", { reorder: 0.05 }],
  ["5 % duplication", { duplicate: 0.05 }],
  ["1 % corruption", { corrupt: 0.01 }],
  ["bursts of loss", { burst: { toBad: 0.002, toGood: 0.3 } }],
  ["everything", { loss: 0.02, reorder: 0.02, duplicate: 0.02, corrupt: 0.002, jitterUs: 500 }],
];

type Snapshot = Record<string, Record<string, number>>;
const committed: Snapshot = REGEN ? {} : JSON.parse(readFileSync(SNAPSHOT, "utf8"));
const measured: Snapshot = {};

for (const [fault, faults] of FAULTS) {
  measured[fault] = {};
  for (const [buffer, bufferBytes] of BUFFERS) {
    test(`${fault}, ${buffer} of buffer: content intact, goodput as committed`, () => {
      const result = bulkTransfer({
        seed: SEED,
        totalBytes: 3_000_000,
        link: LINK,
        faults,
        ...(bufferBytes === undefined ? {} : { bufferBytes }),
      });
      assert.equal(result.leakedSlots, 0);
      const mbitPerS = Math.round(result.goodputBitsPerS / 1e5) / 10;
      measured[fault]![buffer] = mbitPerS;
      if (!REGEN) assert.equal(mbitPerS, committed[fault]?.[buffer], "in Mbit/s; see --regen");
    });
  }
}

if (REGEN) {
  test("the snapshot is written", () => {
    writeFileSync(SNAPSHOT, `${JSON.stringify(measured, null, 2)}\n`);
  });
}

for (let seed = 1; seed <= 25; seed++) {
  test(`seed ${seed}: a transfer over a very bad link arrives intact and leaks nothing`, () => {
    const result = bulkTransfer({
      seed,
      totalBytes: 200_000,
      link: { delayUs: (seed % 5) * 3_000, queueFrames: 20 + seed * 4 },
      faults: {
        loss: 0.004 * seed,
        reorder: 0.01 * (seed % 7),
        duplicate: 0.01 * (seed % 5),
        corrupt: 0.002 * (seed % 3),
      },
    });
    assert.equal(result.leakedSlots, 0);
  });
}
