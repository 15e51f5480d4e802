import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Lengths,
  PlaybackSchedule,
  parsePlayback,
  type Schedule,
  SteadySchedule,
} from "./schedule.js";

const dues = (schedule: Schedule, n: number): number[] =>
  Array.from({ length: n }, () => {
    const due = schedule.dueMs;
    schedule.advance();
    return due;
  });

test("a rate spaces messages evenly", () => {
  assert.deepEqual(dues(new SteadySchedule(1_000, 1, new Lengths(64)), 4), [0, 1, 2, 3]);
});

test("bursts go out together, at the same rate of messages", () => {
  assert.deepEqual(dues(new SteadySchedule(1_000, 3, new Lengths(64)), 7), [0, 0, 0, 3, 3, 3, 6]);
});

test("without a rate everything is due at once", () => {
  const endless = new SteadySchedule(Number.POSITIVE_INFINITY, 1, new Lengths(64));
  assert.deepEqual(dues(endless, 3), [0, 0, 0]);
});

test("lengths vary within the range, and reach its ends", () => {
  const lengths = new Lengths(20, 3);
  const drawn = new Set(Array.from({ length: 1_000 }, () => lengths.next()));
  assert.deepEqual([...drawn].sort(), [17, 18, 19, 20, 21, 22, 23]);
  assert.equal(new Lengths(14).next(), 14);
});

test("a playback file is read as sockperf reads it", () => {
  const items = parsePlayback("# a comment\n0.1, 64\n\n0.25,1400\n 1e0 , 14 \n");
  assert.deepEqual(items, [
    { atS: 0.1, lengthBytes: 64 },
    { atS: 0.25, lengthBytes: 1400 },
    { atS: 1, lengthBytes: 14 },
  ]);
  const schedule = new PlaybackSchedule(items);
  assert.equal(schedule.lengthBytes, 64);
  assert.deepEqual(dues(schedule, 4), [100, 250, 1_000, Number.POSITIVE_INFINITY]);
});

test("what is wrong with a playback file is said with its line", () => {
  const wrong: [string, RegExp][] = [
    ["0.1, 64\nx, 64\n", /^line 2: expected seconds, a comma and a length/],
    ["0.2, 64\n0.1, 64\n", /^line 2: expected a time of 0.2 or later, got "0.1, 64"/],
    ["0.1, 13\n", /^line 1: expected a length from 14 to 65507/],
    ["# nothing\n", /^there is no message in it/],
  ];
  for (const [text, message] of wrong) {
    assert.throws(
      () => parsePlayback(text),
      (e: Error) => message.test(e.message),
      text,
    );
  }
});
