import assert from "node:assert/strict";
import { test } from "node:test";
import { SequenceWindow } from "./sequence-window.js";

function see(...sequences: number[]): SequenceWindow {
  const window = new SequenceWindow();
  for (const s of sequences) window.see(s);
  return window;
}
const counts = (w: SequenceWindow) => [w.received, w.lost, w.duplicated, w.outOfOrder];

test("messages in order", () => assert.deepEqual(counts(see(1, 2, 3)), [3, 0, 0, 0]));
test("a gap is a loss", () => assert.deepEqual(counts(see(1, 2, 5)), [3, 2, 0, 0]));
test("one that comes late is out of order and not lost", () =>
  assert.deepEqual(counts(see(1, 3, 2)), [3, 0, 0, 1]));
test("one that comes again is a duplicate", () =>
  assert.deepEqual(counts(see(1, 2, 2, 1)), [2, 0, 2, 0]));
test("what was sent before the first one that came is not lost", () =>
  assert.deepEqual(counts(see(100, 101)), [2, 0, 0, 0]));
test("a jump of more than the window is a loss as long", () =>
  assert.deepEqual(counts(see(1, 200_001)), [2, 199_999, 0, 0]));
test("the window's places are used again and again", () => {
  const window = new SequenceWindow();
  for (let s = 1; s <= 200_000; s++) window.see(s);
  assert.deepEqual(counts(window), [200_000, 0, 0, 0]);
});
