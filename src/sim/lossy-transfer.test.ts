/** Goodput of a bulk transfer over short paths with faults, in virtual time and from seeds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type LossyTransfer, lossyTransfer, type TransferResult } from "./lossy-transfer.js";

const ONE_PERCENT = { loss: 0.01, reorder: 0.01, duplicate: 0.01 };
const FIVE_PERCENT = { loss: 0.05, reorder: 0.02, duplicate: 0.02 };
/** As over a TAP: 0.1 ms there and back, and no queue to speak of. */
const SHORT = { delayUs: 50, bitsPerS: 1e10 };
const SEEDS = [1, 2, 3, 4, 5, 6];

function runs(o: Omit<LossyTransfer, "seed" | "limitUs">): readonly TransferResult[] {
  const results = SEEDS.map((seed) => lossyTransfer({ ...o, seed, limitUs: 60_000_000 }));
  for (const r of results) assert.equal(r.receivedBytes, o.bytes);
  return results;
}

const sum = (results: readonly TransferResult[], of: (r: TransferResult) => number): number =>
  results.reduce((all, r) => all + of(r), 0);

test("1 % loss, reordering and duplication: no timeout, and over 1 Gbit/s at 0.1 ms", () => {
  const results = runs({ link: SHORT, faults: ONE_PERCENT, bytes: 10_000_000 });
  assert.equal(
    sum(results, (r) => r.timeouts),
    0,
  );
  for (const r of results) assert.ok(r.mbitPerS > 1_000, `${r.mbitPerS} Mbit/s`);
});

test("5 %: what is lost again in recovery is probed for, so that timeouts are rare", () => {
  const results = runs({ link: SHORT, faults: FIVE_PERCENT, bytes: 4_000_000 });
  const timeouts = sum(results, (r) => r.timeouts);
  assert.ok(timeouts <= 3, `${timeouts} timeouts in 24 MB`);
  const sorted = results.map((r) => r.mbitPerS).sort((a, b) => a - b);
  assert.ok(sorted[2]! > 300, `median of ${sorted[2]} Mbit/s`);
});

test("no faults: the rate of the link", () => {
  const results = runs({ link: SHORT, faults: {}, bytes: 5_000_000 });
  for (const r of results) assert.ok(r.mbitPerS > 7_500, `${r.mbitPerS} Mbit/s`);
});
