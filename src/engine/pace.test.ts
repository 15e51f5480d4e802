import assert from "node:assert/strict";
import { test } from "node:test";
import { Doing, Pace } from "./pace.js";
import { Troubles } from "./troubles.js";

test("what takes longer than 100 ms is counted, and told once a minute for each kind", () => {
  const told: string[] = [];
  const troubles = new Troubles((event, text) => told.push(`${event}: ${text}`));
  const pace = new Pace(troubles);
  pace.note(Doing.WORK, 0, 100_000);
  assert.equal(pace.late, 0);
  pace.note(Doing.CONTROL, 1_000_000, 1_250_000);
  pace.note(Doing.CONTROL, 2_000_000, 2_150_000);
  pace.note(Doing.WORK, 3_000_000, 3_200_000);
  assert.deepEqual([pace.late, pace.lateUs, pace.longestUs], [3, 600_000, 250_000]);
  assert.equal(told.length, 2);
  assert.match(told[0]!, /^late-control: 250 ms without a turn \(control\)/);
  assert.match(told[1]!, /^late-work: 200 ms/);
  pace.note(Doing.CONTROL, 70_000_000, 71_000_000);
  assert.equal(told.length, 3);
  assert.deepEqual(troubles.counts, { "late-control": 3, "late-work": 1 });
});
