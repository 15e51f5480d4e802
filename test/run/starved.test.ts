/** A program that has no descriptors, or memory, left: what Millrace cannot take fails, or is the kernel's; never somebody else's. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { after, before, test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { Comparison } from "./comparison.js";

await enterNamespace(import.meta.url, "cc", "ip");

let comparison: Comparison;
let program: string;
before(async () => {
  comparison = await Comparison.begin();
  program = comparison.build("starved");
  // As where a default route leads somewhere: the kernel answers at Millrace's addresses, too.
  execFileSync("ip", ["route", "add", "local", "10.77.0.0/16", "dev", "lo"]);
});
after(() => comparison.end());

const run = (address: string, env: NodeJS.ProcessEnv, ...more: string[]) => {
  const options = { encoding: "utf8", env: { ...process.env, ...env }, timeout: 60_000 } as const;
  const { status, stdout, stderr } = spawnSync(program, [address, ...more], options);
  assert.equal(status, 0, `${stdout}${stderr}`);
  return { lines: stdout.split("\n").map((line) => line.trim()), stderr };
};

const underMillrace = (): NodeJS.ProcessEnv => ({
  LD_PRELOAD: comparison.preload,
  MILLRACE_ENGINE: comparison.enginePath,
  MILLRACE_DEBUG: "1",
});

const WITH_THE_KERNEL = [
  "connect to the kernel's: ECONNREFUSED",
  "bind: 0",
  "listen: 0",
  "bind: 0",
  "connected: 1",
  "sendto again: 1",
  "heard",
  "",
];

test("on the kernel sockets of before need no descriptors", () => {
  assert.deepEqual(run("127.0.0.1", {}).lines, [
    "one more: EMFILE",
    "socket: EMFILE",
    "connect: 0",
    "sendto: 1",
    "sendmmsg: 1",
    ...WITH_THE_KERNEL,
  ]);
});

test("under Millrace it is EMFILE where only Millrace leads, until there are some; the rest is the kernel's", () => {
  const { lines, stderr } = run("10.77.0.1", underMillrace());
  assert.deepEqual(lines, [
    "one more: EMFILE",
    "socket: EMFILE",
    "connect: EMFILE",
    "sendto: EMFILE",
    "sendmmsg: EMFILE",
    ...WITH_THE_KERNEL,
  ]);
  const lacking = stderr.match(/^.*the program has no descriptors left \(ulimit -n\)$/gm) ?? [];
  const kept = lacking.filter((line) => line.includes("stays with the kernel"));
  assert.deepEqual([lacking.length - kept.length, kept.length], [3, 2], stderr);
});

test("what is left of descriptors is too little for a socket: that is no want of memory", () => {
  const again = ["connect again: ECONNREFUSED", ""];
  const two = (result: string): string[] => [
    "one more: EMFILE",
    `connect: ${result}`,
    `connect another: ${result}`,
  ];
  assert.deepEqual(run("127.0.0.1", {}, "few").lines, [...two("ECONNREFUSED"), ...again]);
  const { lines, stderr } = run("10.77.0.1", underMillrace(), "few");
  assert.deepEqual(lines, [...two("EMFILE"), ...again], stderr);
});

test("without address space it is ENOMEM where only Millrace leads, and the rest is the kernel's", () => {
  const rest = ["bind: 0", "listen: 0", "bind: 0", "connect again: ECONNREFUSED", ""];
  assert.deepEqual(run("127.0.0.1", {}, "memory").lines, ["connect: ECONNREFUSED", ...rest]);
  const { lines, stderr } = run("10.77.0.1", underMillrace(), "memory");
  assert.deepEqual(lines, ["connect: ENOMEM", ...rest], stderr);
  const kept = stderr.match(/stays with the kernel: the program has no memory left for it/g) ?? [];
  assert.equal(kept.length, 2, stderr);
});
