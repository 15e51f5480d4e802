/** Processes around accelerated programs: preloads, threads, children, clusters. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { enterNamespace } from "../support/namespace.js";
import { type CaseResult, runCase } from "./support/run-case.js";

await enterNamespace(import.meta.url);

const program = (name: string): string =>
  fileURLToPath(new URL(`programs/${name}`, import.meta.url));
const PLAIN = fileURLToPath(new URL("../../../test/node/programs/plain.cjs", import.meta.url));
const REGISTER = new URL("../../bundle/node/register.js", import.meta.url);

/** Runs it on both, which must say the same; gives what Millrace's run said. */
async function same(file: string, args: readonly string[] = []): Promise<CaseResult> {
  const onKernel = await runCase(file, { accelerated: false, args });
  const onMillrace = await runCase(file, { accelerated: true, args });
  assert.equal(onKernel.status, 0, onKernel.stderr);
  assert.equal(onMillrace.stdout, onKernel.stdout, onMillrace.stderr);
  assert.equal(onMillrace.status, 0);
  return onMillrace;
}

const ACCELERATED = /enabled bypass on tcp connect/;

test("a program of CommonJS, preloaded by --import, has no new globals", async () => {
  assert.match((await same(PLAIN)).stderr, ACCELERATED);
});

test("--require and NODE_OPTIONS preload it, too", async () => {
  const env = { MILLRACE_LOOPBACK: "1", MILLRACE_DEBUG: "1" };
  const path = fileURLToPath(REGISTER);
  const required = await runCase(PLAIN, {
    accelerated: false,
    env,
    nodeArgs: ["--disable-warning=ExperimentalWarning", "--require", path],
  });
  assert.match(required.stdout, /^answer/);
  assert.match(required.stderr, ACCELERATED);
  const byOptions = await runCase(PLAIN, {
    accelerated: false,
    env: { ...env, NODE_OPTIONS: `--import ${REGISTER.href}` },
  });
  assert.match(byOptions.stdout, /^answer/);
  assert.match(byOptions.stderr, ACCELERATED);
});

test("worker threads are accelerated as the main thread is", async () => {
  const { stderr } = await same(program("threads.js"));
  assert.match(stderr, ACCELERATED);
  assert.match(
    stderr,
    /tcp connect 127\.0\.0\.1 port \d+ stays with the kernel: no socket of this/,
  );
});

test("a cluster serves by the kernel, whichever way connections are spread", async () => {
  for (const policy of ["round-robin", "none"]) await same(program("clustered.js"), [policy]);
});

test("a server can be passed to a child; so can connections of one that pauses them; an accelerated one cannot, and says so", async () => {
  const onKernel = await runCase(program("passing.js"), { accelerated: false });
  const onMillrace = await runCase(program("passing.js"), { accelerated: true });
  assert.equal(onKernel.status, 0, onKernel.stderr);
  assert.match(onKernel.stdout, /socket: passed\nsocket: the child's/);
  assert.equal(onMillrace.status, 0, onMillrace.stderr);
  assert.equal(onMillrace.stdout.match(/server: from the child/g)?.length, 3, onMillrace.stdout);
  assert.match(onMillrace.stdout, /socket: EINVAL\nsocket: \n/);
  for (const { stdout } of [onKernel, onMillrace]) assert.match(stdout, /paused: the child's/);
  assert.match(onMillrace.stderr, /tcp listen port \d+ stays with the kernel: pauseOnConnect/);
});

test("a child with an IPC channel has its own sockets accelerated", async () => {
  const { stderr } = await same(program("forked.js"));
  assert.equal(stderr.match(/enabled bypass on tcp connect/g)?.length, 5, stderr);
  assert.equal(stderr.match(/enabled bypass on udp bind/g)?.length, 4, stderr);
});

test("preloaded after net and dgram it accelerates what is opened then", async () => {
  const net = "data:text/javascript,import%20%22node:net%22;import%20%22node:dgram%22";
  const env = { NODE_OPTIONS: `--import ${net}` };
  const { stdout, stderr, status } = await runCase(PLAIN, { accelerated: true, nodeArgs: [], env });
  assert.equal(status, 0);
  assert.match(stdout, /^answer/);
  assert.match(stderr, ACCELERATED);
});

test("flags of Node's that take things away are no obstacle", async () => {
  const nodeArgs = [
    "--no-deprecation",
    "--frozen-intrinsics",
    "--disable-warning=ExperimentalWarning",
  ];
  const { stdout, stderr, status } = await runCase(PLAIN, { accelerated: true, nodeArgs });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^answer/);
  assert.match(stderr, ACCELERATED);
});

test("without permission for Node's bindings sockets stay with the kernel, and that is said", async () => {
  const name = process.allowedNodeEnvironmentFlags.has("--permission") ? "" : "experimental-";
  const net = process.allowedNodeEnvironmentFlags.has("--allow-net") ? ["--allow-net"] : [];
  const { stdout, stderr, status } = await runCase(PLAIN, {
    accelerated: true,
    nodeArgs: [`--${name}permission`, "--allow-fs-read=*", ...net],
  });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^answer/);
  assert.match(stderr, /millrace: --permission allows no process\.binding; sockets stay with/);
});

test("settings that make no sense are named", async () => {
  const { stderr, status } = await runCase(PLAIN, {
    accelerated: true,
    env: { MILLRACE_PROFILE: "fast" },
  });
  assert.equal(status, 1);
  assert.match(stderr, /MILLRACE_PROFILE: expected latency, balanced or idle, got "fast"/);
});

test("millrace/net and millrace/dgram are used by name", async () => {
  const env = { MILLRACE_LOOPBACK: "1", MILLRACE_DEBUG: "1" };
  const names = ["net.js", "dgram.js"].map(
    (n) => new URL(`../../bundle/node/${n}`, import.meta.url),
  );
  const file = program("named.js");
  const onKernel = await runCase(file, { accelerated: false });
  const byName = await runCase(file, { accelerated: false, env, args: names.map((n) => n.href) });
  assert.equal(onKernel.status, 0, onKernel.stderr);
  assert.equal(byName.stdout, onKernel.stdout, byName.stderr);
  assert.equal(byName.status, 0, byName.stderr);
});
