import assert from "node:assert/strict";
import { test } from "node:test";
import { Counters } from "./counters.js";

const DECLARED = { frames: "Frames seen.", bytes: "Bytes seen." } as const;

test("counters keep the order and the sentences of their declaration", () => {
  const c = new Counters("nic", DECLARED);
  assert.deepEqual(c.names, ["frames", "bytes"]);
  assert.deepEqual(c.meanings, ["Frames seen.", "Bytes seen."]);
  assert.deepEqual(c.snapshot(), { frames: 0, bytes: 0 });
});

test("an add shows in the value, the snapshot and the shared block", () => {
  const block = new Float64Array(4);
  const c = new Counters("nic", DECLARED, block);
  c.add(c.index("bytes"), 60);
  c.add(c.index("bytes"), 4);
  assert.equal(c.get("bytes"), 64);
  assert.equal(c.get("frames"), 0);
  assert.equal(block[1], 64);
});

test("an unknown name and a block that is too small are refused with the component's name", () => {
  const c = new Counters<string>("nic", DECLARED);
  assert.throws(() => c.index("packets"), /counters of nic: there is no packets/);
  assert.throws(() => new Counters("nic", DECLARED, new Float64Array(1)), /expected room for 2/);
});
