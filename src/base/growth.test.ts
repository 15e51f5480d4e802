import assert from "node:assert/strict";
import { test } from "node:test";
import { grown } from "./growth.js";

test("a table grows by an eighth, by 16 when it is small, and to what is needed", () => {
  assert.equal(grown(1_000), 1_125);
  assert.equal(grown(0), 16);
  assert.equal(grown(1_000, 5_000), 5_000);
});
