/** A short soak (soak/): programs of an engine are killed at random, and nothing of them is left. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { enterNamespace } from "../support/namespace.js";
import { runAsync } from "../support/run-async.js";

await enterNamespace(import.meta.url);

const SOAK = fileURLToPath(new URL("../../soak/run.js", import.meta.url));

test("an engine survives that its programs are killed, and leaks nothing", async () => {
  const size = ["--minutes", "0.15", "--programs", "8", "--sockets", "400", "--kills", "5"];
  const words = [SOAK, ...size, "--no-time-wait", "--json"];
  const stdout = await runAsync(process.execPath, ...words);
  const { failures, kills, meanSockets, witness } = JSON.parse(stdout);
  assert.deepEqual(failures, []);
  assert.ok(kills > 10 && meanSockets > 200 && witness.rounds > 20, stdout);
});
