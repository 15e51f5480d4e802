/** The examples say how they are used, and the smallest one runs anywhere. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const EXAMPLES = ["hello-tcp", "http-server", "tcp-sink", "tcp-source", "udp-echo", "ping"];

function run(example: string, ...args: string[]): { status: number | null; stdout: string } {
  const file = fileURLToPath(new URL(`../../examples/${example}.js`, import.meta.url));
  return spawnSync(process.execPath, [file, ...args], { encoding: "utf8", timeout: 120_000 });
}

for (const example of EXAMPLES) {
  test(`${example} --help prints its usage`, () => {
    const { status, stdout } = run(example, "--help");
    assert.equal(status, 0);
    assert.match(stdout, /^usage: /);
  });
}

test("the unit test of an XDP program passes, without privilege", () => {
  const file = fileURLToPath(new URL("../../examples/xdp/firewall.test.js", import.meta.url));
  // Inside of another test run, node --test would only report to that.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, ["--test", file], {
    encoding: "utf8",
    env,
  });
  assert.equal(status, 0, stdout);
});

test("hello-tcp needs no privilege and ends by itself", () => {
  const { status, stdout } = run("hello-tcp");
  assert.equal(stdout, "Hello over my own TCP/IP stack!\n");
  assert.equal(status, 0);
});
