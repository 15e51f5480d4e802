/**
 * The tests that undici publishes, each file on the kernel's sockets and on Millrace's: every test says
 * the same, and holds as many assertions.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { enterNamespace } from "../support/namespace.js";
import { runCase } from "./support/run-case.js";

/** A namespace without names: the same answer for those who ask github.com. */
await enterNamespace(import.meta.url, "ip");

const PACKAGES = fileURLToPath(new URL("../../../test/node-packages/", import.meta.url));
const FOLDER = `${PACKAGES}node_modules/undici-published/test/`;
const NODE_ARGS = ["--expose-gc", "--require", `${PACKAGES}tap/old-parser.cjs`];
/** No IP sockets; certificates that an install script would make; servers of the Internet. */
const NOT_HERE = new Set(
  ["unix.js", "fixed-queue.js", "validations.js"].concat(["https.js"], ["tls.js"]),
);
/** It prints random bytes. */
const DIFFERENT = new Set(["tls-session-reuse.js"]);

const files = readdirSync(FOLDER).filter(
  (f) => f.endsWith(".js") && !NOT_HERE.has(f) && !DIFFERENT.has(f),
);
assert.ok(files.length > 30, "undici's tests are missing");

/** They wait for seconds, without using the processor: others run meanwhile. */
const SLOW = ["client-keep-alive.js", "parser-issues.js", "gc.js", "pool.js", "socket-timeout.js"];
const inOrder = [...SLOW, ...files.filter((f) => !SLOW.includes(f))];

describe("undici's own tests", { concurrency: 3 }, () => {
  for (const name of inOrder) {
    test(name, async () => {
      const file = FOLDER + name;
      const onKernel = await runCase(file, { accelerated: false, nodeArgs: NODE_ARGS });
      const onMillrace = await runCase(file, { accelerated: true, nodeArgs: NODE_ARGS });
      assert.match(onKernel.stdout, /^ok /m, onKernel.stderr);
      assert.equal(onMillrace.stdout, onKernel.stdout, onMillrace.stderr);
      assert.equal(onMillrace.status, onKernel.status);
      if (readFileSync(file, "utf8").includes("listen(")) {
        assert.match(onMillrace.stderr, /enabled bypass on tcp (connect|listen)/);
      }
    });
  }
});
