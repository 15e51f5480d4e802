import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { NEVER } from "../base/time.js";
import { monotonicUs } from "../nic/clock.js";
import { type Driven, Runner } from "./runner.js";

/** A host with a fixed number of turns of work. */
class FakeHost implements Driven {
  readonly wakeFds = [];
  keepsAlive = true;
  turns = 0;
  workTurns = 0;
  deadlineUs = NEVER;
  spinUs = 0;
  onTurn: (nowUs: number) => void = () => {};
  onSleep: () => void = () => {};

  poll(nowUs: number): boolean {
    this.turns++;
    this.onTurn(nowUs);
    return this.workTurns-- > 0;
  }
  nextDeadlineUs(): number {
    return this.deadlineUs;
  }
  prepareSleep(): boolean {
    this.onSleep();
    return true;
  }
  tell(): boolean {
    return false;
  }
}

/** Far longer than anything takes, on however busy a machine. */
const PATIENCE_MS = 60_000;

function start(t: TestContext, host: FakeHost): Runner {
  const runner = new Runner();
  runner.add(host);
  t.after(() => runner.remove(host));
  return runner;
}

async function iterations(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await setImmediate();
}

async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await setImmediate();
}

test("an idle runner sleeps: it makes no turns at all", async (t) => {
  const host = new FakeHost();
  const runner = start(t, host);
  await until(() => runner.isSleeping);
  const before = host.turns;
  await iterations(20);
  assert.equal(host.turns, before);
});

test("a kick wakes a sleeping runner", async (t) => {
  const host = new FakeHost();
  const runner = start(t, host);
  await until(() => runner.isSleeping);
  const before = host.turns;
  runner.kick();
  await iterations(1);
  assert.ok(host.turns > before);
});

test("it does not sleep while there is work", async (t) => {
  const host = new FakeHost();
  host.workTurns = 1_000;
  const runner = start(t, host);
  await until(() => runner.isSleeping);
  assert.ok(host.workTurns <= 0);
});

test("a sleeping runner makes a turn at the deadline", async (t) => {
  const host = new FakeHost();
  const dueUs = monotonicUs() + 3_000;
  let firedAtUs = 0;
  host.deadlineUs = dueUs;
  host.onTurn = (nowUs) => {
    if (firedAtUs !== 0 || nowUs < dueUs) return;
    firedAtUs = nowUs;
    host.deadlineUs = NEVER;
  };
  start(t, host);
  await until(() => firedAtUs !== 0);
  assert.ok(firedAtUs >= dueUs);
});

test("with spinUs Infinity it never sleeps, and the event loop goes on", async (t) => {
  const host = new FakeHost();
  host.spinUs = Number.POSITIVE_INFINITY;
  const runner = start(t, host);
  const before = host.turns;
  for (let i = 0; i < 10; i++) {
    await iterations(1);
    assert.equal(runner.isSleeping, false);
  }
  assert.ok(host.turns > before + 10);
});

test("a host that keeps nothing alive gets its turns without help from other events", async (t) => {
  const host = new FakeHost();
  host.keepsAlive = false;
  start(t, host);
  await new Promise<void>((resolve, reject) => {
    // Nothing else happens on the event loop in this time: an iteration must not wait for it.
    const waited = new Error("the runner waits for another event");
    const timer = setTimeout(() => reject(waited), PATIENCE_MS);
    host.onSleep = () => {
      clearTimeout(timer);
      resolve();
    };
  });
});

test("a removed host gets no more turns", async (t) => {
  const host = new FakeHost();
  const runner = start(t, host);
  runner.remove(host);
  const before = host.turns;
  runner.kick();
  await iterations(5);
  assert.equal(host.turns, before);
});

test("runUntil polls without the event loop until the claim holds", (t) => {
  const host = new FakeHost();
  const runner = start(t, host);
  assert.equal(
    runner.runUntil(() => host.turns >= 10),
    true,
  );
  assert.equal(host.turns, 10);
  assert.equal(
    runner.runUntil(() => false, 1),
    false,
  );
});
