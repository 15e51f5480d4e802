/** The preload library's core over an engine in the same process, under the sanitizers. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { requireTools } from "../support/tools.js";

requireTools("cc");
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** Files that interpose, and what only they need: the test program has stand-ins for these. */
const INTERPOSES =
  /^(interpose|epoll|poll|select|fork|exec|resolver|signal|copy|process|rights|sandbox|api)|^splice/;

function build(t: TestContext, options: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-shim-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const shim = join(ROOT, "native", "shim");
  const core = readdirSync(shim).filter((file) => file.endsWith(".c") && !INTERPOSES.test(file));
  const tests = ["core-test.c", "fake-engine.c", "stand-ins.c"];
  const program = join(folder, "core-test");
  const common = "-std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -pthread".split(" ");
  const sources = [
    ...core.map((file) => join(shim, file)),
    ...tests.map((file) => join(ROOT, "test", "native", "shim", file)),
  ];
  const args = [...common, ...options, "-o", program, ...sources, "-ldl"];
  const { status, stderr } = spawnSync("cc", args, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return program;
}

function run(program: string, ...names: string[]): void {
  const { status, stdout, stderr } = spawnSync(program, names, {
    encoding: "utf8",
    timeout: 120_000,
  });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /^(ok \w+\n)+$/);
}

test("rings, waiting, locks and messages, under AddressSanitizer and UBSan", (t) => {
  run(build(t, ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]));
});

test("threads, under ThreadSanitizer", (t) => {
  const program = build(t, ["-fsanitize=thread"]);
  run(
    program,
    "sleepers_are_rung",
    "blocking_send_goes_on_as_room_comes",
    "locks_exclude",
    "calls_are_answered",
  );
});
