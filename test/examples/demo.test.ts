/** The demo and the first example, as a newcomer runs them. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { formatTable } from "../../examples/demo/table.js";

const demo = fileURLToPath(new URL("../../examples/demo/main.js", import.meta.url));
const hello = fileURLToPath(new URL("../../examples/hello-tcp.js", import.meta.url));

const KERNEL = {
  name: "kernel",
  udpRoundTripUs: 20,
  polledUdpRoundTripUs: null,
  tcpGbitPerS: 5,
  httpRequestUs: 200,
};

test("the table says how many times faster or slower than its first row", () => {
  const ours = {
    name: "Millrace",
    udpRoundTripUs: 8,
    polledUdpRoundTripUs: 2,
    tcpGbitPerS: 2.5,
    httpRequestUs: 198,
  };
  assert.equal(
    formatTable([KERNEL, ours], false),
    [
      "                             UDP round trip        TCP transfer              HTTP request",
      "                             64 bytes              bulk, one way             GET, kept alive",
      "kernel                       20 us                 5.0 Gbit/s                200 us",
      "Millrace                     8.0 us  2.5x faster   2.5 Gbit/s  2.0x slower   198 us  the same",
      "  the same, polled sockets   2.0 us  10x faster",
    ].join("\n"),
  );
});

test("colours change no width", () => {
  const ours = { ...KERNEL, name: "Millrace", udpRoundTripUs: 8, tcpGbitPerS: 2.5 };
  const painted = formatTable([KERNEL, ours], true);
  const paint = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g");
  assert.equal(painted.replaceAll(paint, ""), formatTable([KERNEL, ours], false));
  assert.ok(painted.includes("\u001b[32m8.0 us  2.5x faster\u001b[0m"));
});

test("npm run demo -- --json --quick: every contestant, or why not", () => {
  const { status, stdout, stderr } = run(demo, "--json", "--quick");
  assert.equal(stderr, "");
  assert.equal(status, 0);
  const { results, tapLeftOut } = JSON.parse(stdout);
  const names = results.map((r: { name: string }) => r.name);
  assert.deepEqual(names.slice(0, 2), ["Linux to Linux, loopback", "Millrace to Millrace, memif"]);
  if (tapLeftOut === null) assert.equal(names[2], "Linux to Millrace, over TAP");
  else assert.match(tapLeftOut, /^[^\n]+$/);
  for (const r of results) assert.ok(r.httpRequestUs < 100_000, `${r.name}: nothing waits`);
});

test("the demo explains a wrong option and ends with status 2", () => {
  const { status, stderr } = run(demo, "--wrong");
  assert.equal(status, 2);
  assert.match(stderr, /usage: npm run demo/);
});

test("hello-tcp prints what its peer echoed", () => {
  const { status, stdout } = run(hello);
  assert.equal(status, 0);
  assert.equal(stdout, "Hello over my own TCP/IP stack!\n");
});

function run(file: string, ...args: string[]) {
  return spawnSync(process.execPath, [file, ...args], { encoding: "utf8", timeout: 180_000 });
}

test("the feed handler loses nothing", () => {
  const file = fileURLToPath(new URL("../../examples/feed-handler.js", import.meta.url));
  const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: "utf8" });
  assert.match(stdout, /^10000 messages, 0 lost, .* orders entered$/m, stderr);
});
