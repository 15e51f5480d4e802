/** `millrace engine` as a process: it starts, serves, answers, sleeps, and ends. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { askEngine } from "../../src/cli/stat-client.js";
import { TestClient } from "../../src/engine/test-client-fixture.js";
import { Kind, OpenedFor } from "../../src/ring/engine-layout.js";

const SCRIPT = fileURLToPath(new URL("../../../bin/millrace.js", import.meta.url));

interface Running {
  readonly child: ChildProcess;
  readonly socket: string;
  readonly out: () => string;
}

async function withEngineProcess(
  args: readonly string[],
  body: (engine: Running) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-engine-process-"));
  const socket = join(folder, "e.sock");
  const child = spawn(process.execPath, [SCRIPT, "engine", "--socket", socket, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout!.setEncoding("utf8");
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout!.on("data", (part: string) => {
      text += part;
      if (text.includes("\n")) resolve();
    });
    child.on("exit", () => reject(new Error("the engine ended before it was ready")));
  });
  try {
    await ready;
    await body({ child, socket, out: () => text });
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Ticks of processor time that a process has used. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("it says where it is, serves, answers statistics, and ends at SIGTERM with status 0", async () => {
  await withEngineProcess(["--keep"], async ({ child, socket, out }) => {
    assert.equal(out(), `millrace: engine ready on ${socket}\n`);
    const client = new TestClient(socket, { program: "prog", run: () => {} });
    const u = client.open({ kind: Kind.UDP, at: OpenedFor.BIND, own: "0.0.0.0", ownPort: 5_000 });
    assert.equal(u.result, 0);
    const lines = (await askEngine(`${socket}.stat`, {}))!;
    const sockets = lines.filter((line) => line.kind === "socket");
    assert.deepEqual(
      sockets.map((s) => [s.protocol, s.localPort, s.accelerated, s.holders[0]!.program]),
      [["udp", 5_000, true, "prog"]],
    );
    const second = spawnSync(process.execPath, [SCRIPT, "engine", "--socket", socket], {
      encoding: "utf8",
    });
    assert.equal(second.status, 1);
    assert.match(second.stderr, /already runs/);
    child.kill("SIGTERM");
    const [status] = await once(child, "exit");
    assert.equal(status, 0);
    assert.equal(existsSync(socket), false);
    u.close();
    client.close();
  });
});

test("it uses no processor while nothing happens, and hears of what does", async () => {
  await withEngineProcess(["--keep", "--profile", "balanced"], async ({ child, socket }) => {
    const client = new TestClient(socket, { run: () => {} });
    const u = client.open({ kind: Kind.UDP, at: OpenedFor.BIND, own: "0.0.0.0", ownPort: 5_000 });
    // It may be busy compiling for a while: a second in which it hardly ran must come.
    let ticks = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 20 && ticks > 2; i++) {
      const before = cpuTicks(child.pid!);
      await pause(1_000);
      ticks = cpuTicks(child.pid!) - before;
    }
    assert.ok(ticks <= 2, `${ticks} ticks in a second`);
    u.sendTo(new Uint8Array([1]), "10.77.0.1", 5_000);
    for (let i = 0; i < 1_000; i++) {
      if (u.receiveFrom() !== null) break;
      assert.ok(i < 999, "a datagram wakes it");
      await pause(10);
    }
    u.close();
    client.close();
  });
});

test("without programs it ends after the time that the configuration says", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-engine-config-"));
  const config = join(folder, "engine.json");
  writeFileSync(config, '{ "idleSeconds": 0 }');
  await withEngineProcess(["--config", config, "--json-log"], async ({ child, out }) => {
    assert.equal((JSON.parse(out().split("\n")[0]!) as { event: string }).event, "ready");
    if (child.exitCode === null) await once(child, "exit");
    assert.equal(child.exitCode, 0);
  });
  rmSync(folder, { recursive: true });
});

test("wrong usage is told, with status 2", () => {
  for (const [args, words] of [
    [["--profile", "fast"], /expected latency, balanced or idle/],
    [["--address", "10.0.0.1/24"], /expected --nic/],
    [["--nic", "nothing:x", "--socket", "/tmp/millrace-none.sock"], /expected a device like/],
  ] as const) {
    const run = spawnSync(process.execPath, [SCRIPT, "engine", ...args], { encoding: "utf8" });
    assert.equal(run.status, 2, run.stderr);
    assert.match(run.stderr, words);
  }
});
