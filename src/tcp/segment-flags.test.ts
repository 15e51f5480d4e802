import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameFlags } from "../ring/pool.js";
import { SegmentFlags } from "./segment-flags.js";

test("segment flags below 512 are the pool's", () => {
  assert.equal(SegmentFlags.CHECKSUM_PARTIAL, FrameFlags.CHECKSUM_PARTIAL);
  assert.equal(SegmentFlags.GSO_TCP4, FrameFlags.GSO_TCP4);
  assert.equal(SegmentFlags.GSO_TCP6, FrameFlags.GSO_TCP6);
  assert.equal(SegmentFlags.GSO_ECN, FrameFlags.GSO_ECN);
  const pool: number = Object.values(FrameFlags).reduce((mask: number, bit) => mask | bit, 0);
  assert.equal(pool & (SegmentFlags.ECT | SegmentFlags.FIN), 0);
});
