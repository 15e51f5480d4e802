/** Lists of interfaces: a program sees Millrace's behind the kernel's, with the addresses that it may use. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { enterNamespace, ip, Namespace, needsRoot, sysctl } from "../support/namespace.js";
import { RunWorld } from "../support/run-world.js";
import { until } from "../support/until.js";
import { Comparison } from "./comparison.js";

await enterNamespace(import.meta.url, "ip", "cc");

/** No interface of the kernel's has it, nor the index of one that a stack counts by itself. */
const KERNELS_INDEX = "42";

let comparison: Comparison;
let program: string;
before(async () => {
  comparison = await Comparison.begin();
  program = comparison.build("interfaces");
});
after(() => comparison.end());

function linesOf(args: readonly string[], env: NodeJS.ProcessEnv): string[] {
  const ended = spawnSync(program, args, { encoding: "utf8", env: { ...process.env, ...env } });
  assert.equal(ended.status, 0, `${ended.stdout}${ended.stderr}`);
  return ended.stdout.split("\n").filter((line) => line !== "");
}

const accelerated = (env: NodeJS.ProcessEnv = {}, ...args: string[]): string[] =>
  linesOf(args, {
    LD_PRELOAD: comparison.preload,
    MILLRACE_ENGINE: comparison.enginePath,
    ...env,
  });

const ours = (lines: readonly string[]): string[] =>
  lines.filter((line) => line.startsWith("  mr0: ")).map((line) => line.slice(7));
const others = (lines: readonly string[]): string[] =>
  lines.filter((line) => !line.startsWith("  mr0: "));

/** What is said of the host-local network for a program that has these addresses there. */
const expected = (address: string, address6: string): string[] => [
  "flags 11043, link 1000000001 type 1 024d52000001, mask none, " +
    "broadcast link 1000000001 type 1 ffffffffffff, data 1",
  `flags 11043, ${address}, mask 255.255.0.0, broadcast 10.77.255.255, data 0`,
  `flags 11043, ${address6}, mask ffff:ffff:ffff:ffff::, broadcast none, data 0`,
  "index 1000000001",
  `SIOCGIFCONF: ${address}`,
  `ioctl: index 1000000001, MTU 65536, address ${address}, mask 255.255.0.0, flags 1043`,
];

test("Millrace's interface is in every list, behind the kernel's, and known by its name", () => {
  const lines = accelerated();
  assert.deepEqual(others(lines), linesOf([], {}));
  assert.deepEqual(ours(lines), expected("10.77.0.1", "fd77::1"));
});

test("a server that binds to each address of the list is reached at Millrace's, too", () => {
  const lines = accelerated({}, "serve");
  assert.deepEqual(others(lines), linesOf(["serve"], {}));
  assert.deepEqual(ours(lines), ["served at 10.77.0.1", "served at fd77::1"]);
});

test("a program with an address of its own sees that one alone, and others do not", () => {
  const env = { MILLRACE_ADDRESS: "10.77.0.9" };
  assert.deepEqual(ours(accelerated(env)), expected("10.77.0.9", "fd77::9"));
  assert.deepEqual(ours(accelerated()), expected("10.77.0.1", "fd77::1"));
});

test("programs whose sockets stay with the kernel see the kernel's interfaces alone", () => {
  const kernels = linesOf([], {});
  assert.deepEqual(accelerated({ MILLRACE_DEFAULT_DISABLE: "1" }), kernels);
  const rules = join(comparison.folder, "os.rules");
  writeFileSync(rules, "use os tcp_server *:*\nuse os udp_receiver *:*\n");
  assert.deepEqual(accelerated({ MILLRACE_RULES: rules }).slice(0, 4), kernels.slice(0, 4));
});

test("nobody waits long for an engine that has stopped, nor at all for one that is dead", async () => {
  const own = await Comparison.begin();
  const child = own.start(program, "wait");
  let said = "";
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const ask = async (): Promise<string[]> => {
    said = "";
    child.stdin!.write("\n");
    await until(() => said.includes("child"), "its child's answer");
    return said.trim().split(/\n */);
  };
  const answers = (n: number): string[] => [
    `the process: ${n} addresses, soon`,
    `its child: ${n} addresses, soon`,
  ];
  const all = linesOf(["serve"], {}).filter((line) => /\d\.\d/.test(line)).length;
  assert.deepEqual(await ask(), answers(all + 1));
  own.signalEngine("SIGSTOP");
  assert.deepEqual(await ask(), answers(all));
  await own.engineGoesOn(); // a program waits for a second at most
  assert.deepEqual(await ask(), answers(all + 1));
  own.signalEngine("SIGKILL");
  await own.end();
  assert.deepEqual(await ask(), answers(all));
  child.stdin!.end();
});

test("what the kernel lists is listed once: an interface that it shares", {
  skip: needsRoot(),
}, async () => {
  const world = RunWorld.open();
  const far = Namespace.create();
  const pair = ["type", "veth", "peer", "name", "far", "netns", far.name];
  ip("link", "add", "name", "eth0", "index", KERNELS_INDEX, ...pair);
  ip("address", "add", "10.7.0.1/24", "dev", "eth0");
  ip("address", "add", "fd07::1/64", "dev", "eth0", "nodad");
  ip("link", "set", "eth0", "up");
  far.run("ip", "link", "set", "far", "up");
  const options = ["--nic", "eth0"];
  const kernels = linesOf([], {});
  const lines = (await world.run(...options, program)).split("\n").filter((line) => line !== "");
  assert.deepEqual(others(lines), kernels);
  assert.deepEqual(ours(lines), expected("10.77.0.1", "fd77::1"));
  const own = await world.run(...options, "--address", "10.7.0.1", program);
  assert.deepEqual(
    own.split("\n").filter((line) => line !== ""),
    kernels,
  );
  await world.end();
  far.close();
});

test("an interface of Millrace's alone has its addresses under the name of the kernel's end", {
  skip: needsRoot(),
}, async () => {
  const world = RunWorld.open();
  sysctl("net.ipv6.conf.default.disable_ipv6", 1); // the kernel's address takes a while to be one
  const options = ["--nic", "tap0", "--address", "10.8.0.2/24"];
  const out = await world.run(...options, program, "serve");
  const [linkLocal, ...rest] = out.split("\n").filter((line) => line.includes("tap0: "));
  assert.match(linkLocal!, /^ {2}tap0: served at fe80::\S+%1000000001$/);
  assert.deepEqual(rest, ["  tap0: served at 10.8.0.2"]);
  await world.end();
});
