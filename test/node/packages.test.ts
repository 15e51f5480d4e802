/**
 * Well-known packages, unmodified: with both ends on Millrace, and against servers and clients of the
 * kernel over a TAP. They say what they say on the kernel's sockets.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { enterNamespace, ip } from "../support/namespace.js";
import { runAsync } from "../support/run-async.js";
import { until } from "../support/until.js";
import { runCase } from "./support/run-case.js";
import { startPostgres, startRedis } from "./support/services.js";

if (!existsSync(new URL("../../../test/node-packages/node_modules", import.meta.url))) {
  throw new Error("the packages are missing: npm ci --prefix test/node-packages --ignore-scripts");
}
await enterNamespace(import.meta.url, "ip", "redis-server", "pg_ctlcluster", "wrk");

const FOLDER = fileURLToPath(new URL("../../../test/node-packages/programs/", import.meta.url));
const REGISTER = new URL("../../bundle/node/register.js", import.meta.url).href;
const KERNEL = "10.79.0.1";
const PROGRAM = "10.79.0.2";
const TAP = "mrpkg0";
const OVER_TAP = {
  MILLRACE_LOOPBACK: "",
  MILLRACE_NIC: `tap:${TAP}`,
  MILLRACE_ADDRESS: `${PROGRAM}/24`,
};

ip("tuntap", "add", TAP, "mode", "tap");
ip("address", "add", `${KERNEL}/24`, "dev", TAP);
ip("link", "set", TAP, "up");

async function same(name: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
  const file = `${FOLDER}${name}.mjs`;
  const onKernel = await runCase(file, { accelerated: false, args });
  assert.equal(onKernel.status, 0, onKernel.stderr);
  const onMillrace = await runCase(file, { accelerated: true, args, env });
  assert.equal(onMillrace.stdout, onKernel.stdout, onMillrace.stderr);
  assert.equal(onMillrace.status, 0, onMillrace.stderr);
  assert.match(onMillrace.stderr, /enabled bypass on (tcp connect|udp bind)/);
}

for (const name of ["fastify", "express", "ws", "undici", "socket.io", "grpc", "dns2"]) {
  test(`${name}, both ends on Millrace`, () => same(name));
}

test("ioredis and a redis-server of the kernel's", async () => {
  const redis = await startRedis(KERNEL, 6_379);
  await same("ioredis", [KERNEL, "6379"], OVER_TAP);
  redis.stop();
});

test("pg and a PostgreSQL of the kernel's", async () => {
  const postgres = await startPostgres(KERNEL, 5_432);
  await same("pg", [KERNEL, "5432"], OVER_TAP);
  postgres.stop();
});

test("fastify serves wrk", async () => {
  const child = spawn(process.execPath, ["--import", REGISTER, `${FOLDER}served.mjs`], {
    env: { ...process.env, ...OVER_TAP },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (d) => {
    output += d;
  });
  await until(() => output.includes("ready"), "the server");
  const url = `http://${PROGRAM}:3000/`;
  const said = await runAsync("wrk", "-t1", "-c20", "-d2s", url);
  assert.match(said, /\d+ requests in/);
  assert.doesNotMatch(said, /Socket errors|Non-2xx/);
  assert.ok(Number(/(\d+) requests in/.exec(said)![1]) > 100, said);
  child.kill("SIGKILL");
});
