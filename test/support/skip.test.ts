/** What a machine cannot run is skipped with its reason, and fails where CI is set. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { requireTools } from "./tools.js";

requireTools("unshare");

const NAMESPACE = JSON.stringify(new URL("./namespace.js", import.meta.url).href);

/** What a test file without privilege, but for the root of a user namespace, says its `skip` is. */
function skipOf(reason: string, CI: string | undefined): { status: number | null; said: string } {
  const { CI: _, ...env } = process.env;
  const script = `import { needsRoot } from ${NAMESPACE}; console.log(${reason});`;
  const words = ["-Ur", process.execPath, "--input-type=module", "-e", script];
  const { status, stdout, stderr } = spawnSync("unshare", words, {
    encoding: "utf8",
    env: CI === undefined ? env : { ...env, CI },
  });
  return { status, said: `${stdout}${stderr}` };
}

test("a test that needs root is skipped without it", () => {
  const { status, said } = skipOf("needsRoot()", undefined);
  assert.deepEqual([status, said], [0, "needs to be root, not only of a user namespace\n"]);
});

test("where CI is set it fails, and only the file that needs root", () => {
  const { status, said } = skipOf("needsRoot()", "true");
  assert.equal(status, 1);
  assert.match(said, /needs to be root.*; nothing is skipped where CI is set/);
  assert.deepEqual(skipOf('"needs none"', "true"), { status: 0, said: "needs none\n" });
});
