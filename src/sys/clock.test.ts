import assert from "node:assert/strict";
import { test } from "node:test";
import { addon } from "./addon.js";
import { clockUs, readClock, realTimeAheadUs } from "./clock.js";

const kernelUs = (): number => Number(process.hrtime.bigint()) / 1e3;

test("the clock lies between two readings of the kernel's, from the first call on", () => {
  // Longer than the counter's rate is measured, and than one answer of the kernel's is good for.
  const endUs = kernelUs() + 60_000;
  let readings = 0;
  let outside = 0;
  for (let beforeUs = kernelUs(); beforeUs < endUs; beforeUs = kernelUs()) {
    readClock();
    const afterUs = kernelUs();
    // A microsecond for the rate's error and the doubles of a long uptime.
    if (clockUs[0]! < beforeUs - 1 || clockUs[0]! > afterUs + 1) outside++;
    readings++;
  }
  assert.equal(outside, 0, `${outside} of ${readings} readings were wrong`);
});

test("the clock never goes back", () => {
  readClock();
  let last = clockUs[0]!;
  for (let i = 0; i < 200_000; i++) {
    readClock();
    assert.ok(clockUs[0]! >= last);
    last = clockUs[0]!;
  }
});

test("the real time is this clock and the distance between the two", () => {
  for (let i = 0; i < 100; i++) {
    const beforeMs = Date.now();
    const aheadUs = realTimeAheadUs();
    readClock();
    const realUs = clockUs[0]! + aheadUs;
    // Date.now() leaves out the microseconds; two for what is rounded and halved.
    assert.ok(realUs > beforeMs * 1_000 - 2, `${beforeMs} ms before ${realUs} us`);
    assert.ok(realUs < (Date.now() + 1) * 1_000 + 2, `${realUs} us, ${Date.now()} ms after`);
  }
});

test("a clock without a place of doubles is refused", () => {
  const EINVAL = 22;
  const places = [new Float64Array(0), new Int32Array(2), undefined];
  for (const place of places) {
    assert.equal(addon().clockOpen(place as unknown as Float64Array), -EINVAL);
  }
});

test("clocks are independent, and keep their place", () => {
  const open = (): { read: () => void; place: Float64Array } => {
    const place = new Float64Array(1);
    const read = addon().clockOpen(place);
    if (typeof read !== "function") throw new Error(`clockOpen: ${read}`);
    return { read, place };
  };
  const [a, b] = [open(), open()];
  a.read();
  assert.ok(a.place[0]! > 0);
  assert.equal(b.place[0], 0);
});
