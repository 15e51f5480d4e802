import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { NEVER } from "../base/time.js";
import { TimingWheel } from "./timing-wheel.js";

const HOUR = 3_600_000_000;

/** Everything that fires at `nowUs`, through a small array so that repeated calls are exercised. */
function fire(wheel: TimingWheel, nowUs: number): number[] {
  const expired = new Int32Array(3);
  const out: number[] = [];
  for (;;) {
    const n = wheel.advance(nowUs, expired);
    out.push(...expired.subarray(0, n));
    if (n < expired.length) return out;
  }
}

test("a timer fires at its microsecond, not before, and once", () => {
  for (const at of [1, 255, 256, 257, 65_536, 1_000_000, 16_777_216, HOUR, 2 * HOUR, 900 * HOUR]) {
    const w = new TimingWheel(4);
    w.arm(2, at);
    assert.equal(w.deadlineUs(2), at);
    assert.deepEqual(fire(w, at - 1), [], `${at} µs`);
    assert.deepEqual(fire(w, at), [2], `${at} µs`);
    assert.deepEqual(fire(w, at + 2 * HOUR), []);
    assert.equal(w.armed, 0);
  }
});

test("a clock that starts far from zero works as one that starts at zero", () => {
  const start = 2 ** 50 + 12_345;
  const w = new TimingWheel(2, start);
  w.arm(0, start + 5);
  w.arm(1, start + 5 * HOUR);
  assert.deepEqual(fire(w, start + 4), []);
  assert.deepEqual(fire(w, start + 5), [0]);
  assert.deepEqual(fire(w, start + 5 * HOUR - 1), []);
  assert.deepEqual(fire(w, start + 5 * HOUR), [1]);
});

test("a deadline in the past is due at once", () => {
  const w = new TimingWheel(2, 1000);
  fire(w, 5000);
  w.arm(0, 10);
  assert.ok(w.nextDeadlineUs() <= 5000);
  assert.deepEqual(fire(w, 5000), [0]);
});

test("re-arming moves a timer, earlier and later, and cancel forgets it", () => {
  const w = new TimingWheel(3);
  w.arm(0, 100);
  w.arm(0, 70_000);
  w.arm(1, 70_000);
  w.arm(1, 50);
  w.arm(2, 60);
  w.cancel(2);
  w.cancel(2);
  assert.equal(w.isArmed(2), false);
  assert.deepEqual(fire(w, 69_999), [1]);
  assert.deepEqual(fire(w, 70_000), [0]);
});

test("timers of one deadline fire in the order in which they were armed", () => {
  const w = new TimingWheel(5);
  w.arm(3, 300_000);
  w.arm(1, 300_000);
  fire(w, 299_990);
  w.arm(4, 300_000);
  w.arm(0, 299_995);
  w.arm(2, 300_000);
  assert.deepEqual(fire(w, 400_000), [0, 3, 1, 4, 2]);
});

test("a timer armed while others fire at the same time fires in the next call", () => {
  const w = new TimingWheel(3);
  const expired = new Int32Array(1);
  w.arm(0, 10);
  w.arm(1, 10);
  assert.equal(w.advance(10, expired), 1);
  w.arm(2, 5);
  assert.deepEqual(fire(w, 10), [1, 2]);
});

test("growing keeps what is armed", () => {
  const w = new TimingWheel(1);
  w.arm(0, 500);
  w.grow(100);
  w.arm(99, 400);
  assert.deepEqual(fire(w, 450), [99]);
  assert.deepEqual(fire(w, 500), [0]);
});

test("with nothing armed the next deadline is NEVER", () => {
  const w = new TimingWheel(2);
  assert.equal(w.nextDeadlineUs(), NEVER);
  w.arm(0, 77);
  assert.equal(w.nextDeadlineUs(), 77);
  w.cancel(0);
  assert.equal(w.nextDeadlineUs(), NEVER);
  w.arm(0, 77);
  fire(w, 78);
  assert.equal(w.nextDeadlineUs(), NEVER);
});

test("who sleeps until nextDeadlineUs wakes a few times and exactly on time", () => {
  const w = new TimingWheel(1);
  w.arm(0, 3 * HOUR + 123);
  let wakes = 0;
  for (let now = 0; w.armed > 0; wakes++) {
    now = w.nextDeadlineUs();
    if (fire(w, now).length > 0) assert.equal(now, 3 * HOUR + 123);
  }
  assert.ok(wakes <= 6, `${wakes} wakes`);
});

type Step =
  | { op: "arm"; id: number; inUs: number }
  | { op: "cancel"; id: number }
  | { op: "pass"; us: number };
const span = fc.oneof(
  fc.nat(10),
  fc.nat(1000),
  fc.nat(100_000),
  fc.nat(40_000_000),
  fc.integer({ min: 0, max: 3 * HOUR }),
);
const id = fc.nat(19);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant("arm" as const), id, inUs: span }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("cancel" as const), id }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("pass" as const), us: span }) },
);

test("any sequence of calls does what a sorted list does", () => {
  const start = fc.constantFrom(0, 2 ** 32 - 500, 2 ** 40 - 7);
  fc.assert(
    fc.property(start, fc.array(step, { maxLength: 80 }), (startUs, steps) => {
      const w = new TimingWheel(20, startUs);
      const model = new Map<number, number>();
      let now = startUs;
      for (const s of steps) {
        if (s.op === "arm") {
          w.arm(s.id, now + s.inUs);
          model.set(s.id, now + s.inUs);
        } else if (s.op === "cancel") {
          w.cancel(s.id);
          model.delete(s.id);
        } else {
          now += s.us;
          const due = [...model].filter(([, at]) => at <= now).map(([i]) => i);
          const fired = fire(w, now);
          assert.deepEqual(fired.toSorted(), due.toSorted());
          const times = fired.map((i) => model.get(i)!);
          assert.deepEqual(
            times,
            times.toSorted((a, b) => a - b),
            "in order of their deadlines",
          );
          for (const i of due) model.delete(i);
        }
        assert.equal(w.armed, model.size);
        assert.ok(w.nextDeadlineUs() <= Math.min(NEVER, ...model.values()), "never late");
      }
    }),
    { numRuns: 400 },
  );
});
