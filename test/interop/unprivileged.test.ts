/**
 * Without root: a whole test file as a user with no privilege, in a user and network namespace of
 * his own; and a host on a TAP interface that root has made for him.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { background, enterNamespace, ip, needsRoot } from "../support/namespace.js";
import { runAsync } from "../support/run-async.js";

await enterNamespace(import.meta.url, "ip", "ping", "curl", "tshark", "setpriv");

const PACKAGE = fileURLToPath(new URL("../../../", import.meta.url));
/**
 * /dev/net/tun as distributions have it, open to all, whatever this machine has; and the package at
 * a place that everybody can reach.
 */
const OPEN_TO_ALL = `mount --bind "$0" /mnt && mount -t tmpfs tmpfs /dev/net &&
  mknod -m 666 /dev/net/tun c 10 200 && chmod 666 /dev/net/tun && cd / && exec "$@"`;
const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const CLEAN = ["env", "-u", "MILLRACE_TEST_NAMESPACE", "-u", "NODE_TEST_CONTEXT", "CI=true"];

/** The command line of a compiled script of this package, as nobody. */
const asNobody = (script: string, ...args: string[]): string[] => [
  ...["-m", "sh", "-c", OPEN_TO_ALL, PACKAGE],
  ...[...AS_NOBODY, ...CLEAN, "HOME=/tmp", process.execPath, `/mnt/dist/${script}`, ...args],
];

test("the ping tests pass for a user without any privilege", { skip: needsRoot() }, async () => {
  const out = await runAsync("unshare", ...asNobody("test/interop/ping.test.js"));
  assert.match(out, /^(#|ℹ) fail 0$/m);
  assert.match(out, /^(#|ℹ) skipped 0$/m);
  assert.match(out, /^(#|ℹ) pass [1-9]\d*$/m);
});

test("a user serves HTTP on a TAP that root made for him", { skip: needsRoot() }, async (t) => {
  ip("tuntap", "add", "dev", "user0", "mode", "tap", "user", "65534", "vnet_hdr");
  t.after(() => ip("link", "delete", "user0"));
  ip("address", "add", "10.77.0.1/24", "dev", "user0");
  ip("link", "set", "user0", "up");
  const server = background("unshare", ...asNobody("examples/http-server.js", "--tap", "user0"));
  await server.waitFor(/listening on port 80/);
  const page = await runAsync("curl", "-sS", "--max-time", "60", "http://10.77.0.2/");
  assert.equal(page, "Hello 10.77.0.1 from a stack of my own!\n");
  await server.stop();
});
