/** How long an engine that `millrace run` started lives, and what it says to launchers. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { StatEngine } from "../../src/engine/stat-message.js";
import { enterNamespace } from "../support/namespace.js";
import { HERE, RunWorld } from "../support/run-world.js";
import { untilAsync } from "../support/until.js";

await enterNamespace(import.meta.url, "python3", "prlimit");

/** Waits for a line, then opens its first socket, then waits for another. */
const LATE = `
import socket, sys
sys.stdin.readline()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("${HERE}", 5000))
print("bound", flush=True)
sys.stdin.readline()
`;

async function engineOf(world: RunWorld): Promise<StatEngine | undefined> {
  return (await world.stat()).find((line): line is StatEngine => line.kind === "engine");
}

const IDLE_S = 1;
/** Long after an engine without programs would have ended. */
const LONG_US = 4_000_000;

const world = RunWorld.open();
const config = join(world.folder, "engine.json");
writeFileSync(config, `{ "idleSeconds": ${IDLE_S} }`);

test("an engine stays for a program that has no socket yet, exec included, and ends after its SIGKILL", async () => {
  const words = ["run", "--debug", "--config", config, "--address", "10.77.0.9"];
  const late = ["sh", "-c", 'exec python3 -c "$1"', "sh", LATE.replaceAll(HERE, "10.77.0.9")];
  const running = world.start([world.millrace, ...words, ...late], null, true);
  await running.said(/started an engine/);
  const upUs = async (): Promise<number> => (await engineOf(world))?.upUs ?? 0;
  await untilAsync(
    async () => (await upUs()) > LONG_US,
    () => `the engine ends: ${running.out}${running.err}`,
    () => running.isOver,
  );
  const { pid, counters } = (await engineOf(world))!;
  assert.equal(counters["engine.programs"], 1);
  assert.equal(counters["engine.sessions"], 0);
  running.child.stdin!.write("go\n");
  await running.said(/bound/);
  assert.match(running.err, /enabled bypass on fd \d+ \(udp 10\.77\.0\.9:5000/);
  running.child.kill("SIGKILL");
  await untilAsync(
    async () => (await engineOf(world)) === undefined,
    () => `the engine (${pid}) outlives its program`,
    () => false,
  );
});

test("a configuration that has changed since the engine has read it is told, and the program runs", async () => {
  const file = join(world.folder, "changing.json");
  writeFileSync(file, "{}");
  const first = await world.accelerated("--config", file, "echo", "one").ended;
  assert.deepEqual([first.status, first.out, first.err], [0, "one\n", ""]);
  const again = await world.accelerated("--config", file, "echo", "two").ended;
  assert.deepEqual([again.status, again.out, again.err], [0, "two\n", ""]);
  writeFileSync(file, '{ "profile": "idle" }');
  const { status, out, err } = await world.accelerated("--config", file, "echo", "three").ended;
  assert.deepEqual([status, out], [0, "three\n"]);
  assert.match(
    err,
    /^millrace: \S*changing\.json has changed since the engine that runs \(pid \d+\)/,
  );
  const engine = (await world.stat()).find((line) => line.kind === "engine")!;
  process.kill(engine.pid);
  while ((await world.stat()).length > 0) {}
});

test("an address that programs cannot have: nothing is started, and why is said", async () => {
  const rows: [string, RegExp][] = [
    ["10.78.0.2", /10\.78\.0\.2: .*expected an address of 10\.77\.0\.0\/16/],
    ["10.77.255.255", /10\.77\.255\.255: .*broadcast/],
    ["fd99::2", /fd99::2\]?: .*expected an address of /],
  ];
  for (const [address, expected] of rows) {
    const refused = world.accelerated("--address", address, "echo", "started");
    const { status, out, err } = await refused.ended;
    assert.deepEqual([status, out], [1, ""], err);
    assert.match(err, expected);
  }
});

/** Opens UDP sockets as often as it is told by lines on its input, and keeps them. */
const MANY = `
import socket, sys
kept = []
for line in sys.stdin:
    if line.startswith("close"):
        for s in kept: s.close()
        kept = []
    for i in range(int(line.split()[1])):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("0.0.0.0", 0))
        kept.append(s)
    print("have", len(kept), flush=True)
`;

test("an engine without descriptors: programs go on with the kernel, and with Millrace once there are some", async () => {
  const world = RunWorld.open();
  const limit = ["--nofile=192:192", process.execPath, `${world.millrace}.js`, "engine"];
  const engine = world.plain("prlimit", ...limit);
  await engine.said(/engine ready/);
  const many = world.start([world.millrace, "run", "python3", "-c", MANY], null, true);
  const counts = async (): Promise<number[]> => {
    const sockets = await world.sockets();
    const carried = sockets.filter(({ accelerated }) => accelerated).length;
    return [carried, sockets.length - carried];
  };
  many.child.stdin!.write("open 200\n");
  await many.said(/have 200/);
  const [carried, kernels] = await counts();
  assert.ok(carried! > 20 && kernels! > 20, `${carried} and ${kernels}`);
  await engine.said(/no descriptors left \(192 at most\)/);
  many.child.stdin!.write("close 0\n");
  await many.said(/have 0/);
  many.child.stdin!.write("open 5\n");
  await many.said(/have 5/);
  assert.equal((await counts())[0], 5);
  // Not one more for anybody, whatever is kept for processes.
  execFileSync("prlimit", ["--pid", String(engine.pid), "--nofile=10:192"]);
  const late = world.accelerated("python3", "-c", LATE.replaceAll("sys.stdin.readline()", "0"));
  await late.ended;
  assert.equal(late.isOver, true);
  execFileSync("prlimit", ["--pid", String(engine.pid), "--nofile=192:192"]);
  await world.run("python3", "-c", LATE.replaceAll("sys.stdin.readline()", "0"));
  assert.equal((await counts())[0], 5);
  await many.stop();
});
