import assert from "node:assert/strict";
import { test } from "node:test";
import type { Calls } from "./calls.js";
import type { Session } from "./session.js";
import { Submissions } from "./submissions.js";

/** A process that submits without end, or so often. */
class Busy {
  isClosed = false;
  taken = 0;
  left: number;

  constructor(left = Number.POSITIVE_INFINITY) {
    this.left = left;
  }

  get hasSubmission(): boolean {
    return this.left > 0;
  }

  takeSubmission(): number {
    if (this.left === 0) return -1;
    this.left--;
    this.taken++;
    return 5;
  }

  publishSubmitHead(): void {}
}

function taking(sessions: readonly Busy[]): Submissions {
  return new Submissions({
    sessions: sessions as unknown as readonly Session[],
    calls: {} as Calls,
    socketFor: () => null,
    wantControl: () => {},
  });
}

test("a turn takes so many submissions, and everybody has a turn after a few", () => {
  const busy = Array.from({ length: 50 }, () => new Busy());
  const submissions = taking(busy);
  let before = 0;
  for (let i = 0; i < 7; i++) {
    assert.equal(submissions.take(), true);
    const all = busy.reduce((n, { taken }) => n + taken, 0);
    assert.ok(all - before <= 512 + 63, `${all - before} in a turn`);
    before = all;
  }
  for (const [i, { taken }] of busy.entries()) assert.ok(taken >= 64, `session ${i}: ${taken}`);
});

test("a few are all taken, and then there is nothing to do", () => {
  const sessions = [new Busy(3), new Busy(0), new Busy(60)];
  const submissions = taking(sessions);
  assert.equal(submissions.take(), true);
  assert.deepEqual(
    sessions.map(({ left }) => left),
    [0, 0, 0],
  );
  assert.equal(submissions.take(), false);
  assert.equal(taking([]).take(), false);
});
