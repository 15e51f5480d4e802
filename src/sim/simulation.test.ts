import assert from "node:assert/strict";
import { test } from "node:test";
import { NEVER } from "../base/time.js";
import { type Simulated, Simulation } from "./simulation.js";

/** Wants a turn at each of the given times, and is busy then. */
class Ticker implements Simulated {
  isBusy = false;
  readonly seenUs: number[] = [];
  readonly times: number[];

  constructor(...times: number[]) {
    this.times = times;
  }

  turn(nowUs: number): number {
    this.isBusy = this.times[0] !== undefined && this.times[0] <= nowUs;
    if (this.isBusy) {
      this.times.shift();
      this.seenUs.push(nowUs);
    }
    return this.times[0] ?? NEVER;
  }
}

test("time jumps to the next deadline of any stack", () => {
  const simulation = new Simulation(0);
  const [a, b] = [new Ticker(5, 1_000_000), new Ticker(7)];
  simulation.add(a, b);
  simulation.runUntil(2_000_000);
  assert.deepEqual(a.seenUs, [5, 1_000_000]);
  assert.deepEqual(b.seenUs, [7]);
  assert.equal(simulation.nowUs, 2_000_000);
});

test("what is due later than the end is left for the next run", () => {
  const simulation = new Simulation(0);
  const a = new Ticker(10, 20);
  simulation.add(a);
  simulation.run(15);
  assert.deepEqual(a.seenUs, [10]);
  simulation.run(5);
  assert.deepEqual(a.seenUs, [10, 20]);
});

test("a condition ends the run at the time at which it became true", () => {
  const simulation = new Simulation(0);
  const a = new Ticker(10, 20, 30);
  simulation.add(a);
  assert.equal(
    simulation.runUntil(100, () => a.seenUs.length === 2),
    true,
  );
  assert.equal(simulation.nowUs, 20);
});

test("what the condition itself causes is done before time moves on", () => {
  const simulation = new Simulation(0);
  const a = new Ticker(10);
  simulation.add(a);
  let asked = false;
  simulation.runUntil(100, () => {
    if (a.seenUs.length === 1 && !asked) {
      asked = true;
      a.times.push(simulation.nowUs);
    }
    return false;
  });
  assert.deepEqual(a.seenUs, [10, 10]);
});
