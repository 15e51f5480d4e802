/** A short turn of soak/giving.ts: descriptors are given away while other threads connect, accept and close. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { giveAway } from "../../soak/giving.js";
import { buildProgram } from "../support/c-program.js";

test("the kernel's sockets: nobody hangs", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-giving-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const program = buildProgram("giving", folder);
  const { status, stderr } = spawnSync(program, ["127.0.0.1", "0.1"], {
    encoding: "utf8",
    input: "",
  });
  assert.equal(status, 0, stderr);
});

test("Millrace's: nobody hangs, and nothing is left", async () => {
  assert.deepEqual(await giveAway(0.5, []), []);
});
