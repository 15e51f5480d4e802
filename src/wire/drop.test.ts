import assert from "node:assert/strict";
import { test } from "node:test";
import { Counters } from "../base/counters.js";
import { DROP_COUNT, DROP_MEANINGS, Drop, type DropName, dropName } from "./drop.js";

test("reasons are numbered from 0 without gaps, in the order of their meanings", () => {
  const names = Object.keys(Drop) as DropName[];
  assert.deepEqual(
    names.map((name) => Drop[name]),
    names.map((_, i) => i),
    "run node scripts/renumber-drops.js",
  );
  assert.deepEqual(Object.keys(DROP_MEANINGS), names);
  assert.equal(DROP_COUNT, names.length);
});

test("a reason is the index of its counter", () => {
  const counters = new Counters("drop", DROP_MEANINGS);
  counters.add(Drop.UDP_NO_SOCKET, 1);
  assert.equal(counters.get("UDP_NO_SOCKET"), 1);
  assert.equal(counters.index("TCP_PAWS"), Drop.TCP_PAWS);
});

test("every meaning is one sentence", () => {
  for (const [name, meaning] of Object.entries(DROP_MEANINGS)) {
    assert.match(meaning, /^[A-Z].*[^.]\.$/, name);
  }
});

test("no reason is code 0 and has a name", () => {
  assert.equal(Drop.NONE, 0);
  assert.equal(dropName(Drop.NONE), "NONE");
  assert.equal(dropName(Drop.POOL_EMPTY), "POOL_EMPTY");
});
