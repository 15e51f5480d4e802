/**
 * The tests that undici and ioredis publish, on the kernel's sockets and on Millrace's: every test says
 * the same, and holds as many assertions.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { enterNamespace, ip } from "../support/namespace.js";
import { runCase } from "./support/run-case.js";
import { startRedis } from "./support/services.js";

/** A namespace without names: the same answer for those who ask github.com. */
await enterNamespace(import.meta.url, "ip", "redis-server");

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

/** Redis is the kernel's, behind a TAP; the servers of the tests' own are in their process, at loopback. */
const REDIS = "10.79.1.1";
const OVER_TAP = { MILLRACE_NIC: "tap:mrsuites0", MILLRACE_ADDRESS: "10.79.1.2/24" };
/** It depends on whether a connection is there already in the next turn of the event loop. */
const NO_PROMISE = "should clear the timeout when connected";

async function ioredis(accelerated: boolean) {
  const mocha = `${PACKAGES}node_modules/mocha/bin/_mocha`;
  const tests = `${PACKAGES}node_modules/ioredis-published/test/`;
  const nodeArgs = ["--require", `${PACKAGES}tap/redis-host.cjs`];
  const which = ["--grep", NO_PROMISE, "--invert", `${tests}helpers`, `${tests}functional`];
  const args = ["--reporter", "tap", "--timeout", "30000", ...which];
  const env = { REDIS_HOST: REDIS, ...(accelerated ? OVER_TAP : {}) };
  const result = await runCase(mocha, { accelerated, args, nodeArgs, env });
  assert.equal(result.status, 0, `${result.stdout}${result.stderr}`);
  return result;
}

describe("packages' own tests", { concurrency: 3 }, () => {
  test("ioredis", async () => {
    ip("tuntap", "add", "mrsuites0", "mode", "tap");
    ip("address", "add", `${REDIS}/24`, "dev", "mrsuites0");
    ip("link", "set", "mrsuites0", "up");
    const redis = await startRedis(REDIS, 6_379);
    const onKernel = await ioredis(false);
    const onMillrace = await ioredis(true);
    assert.equal(onMillrace.stdout, onKernel.stdout);
    assert.ok((onKernel.stdout.match(/^ok /gm)?.length ?? 0) > 150, onKernel.stdout);
    assert.match(onMillrace.stderr, /enabled bypass on tcp connect .*the route goes/);
    assert.match(onMillrace.stderr, /enabled bypass on tcp listen/);
    redis.stop();
  });

  for (const name of inOrder) {
    test(`undici: ${name}`, async () => {
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
