/**
 * `node dist/soak/giving.js [--seconds N] [WAY…]`: threads connect, accept and close while another gives
 * descriptors away (test/run/programs/giving.c), so long each way; nobody may hang, and nothing may be left.
 *
 * Exit status 0 all is well, 1 something is not, 2 usage.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { pathsBeside } from "../src/engine/socket-path.js";
import { type Counts, countsOf, isAtRest, leaksBetween } from "./counts.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CC = "-std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -pthread".split(" ");
const START_MS = 60_000;
const SETTLE_MS = 60_000;
const LOOK_MS = 50;
/** Of a connection in TIME-WAIT: its row, in tables that double. */
const ROW_BYTES = 2_048;
/** Tables grow to the most that there was, memory by what was not used before. */
const SLACK = { heapBytes: 64 << 20, externalBytes: 64 << 20, rssBytes: 256 << 20 } as const;
/** As test/run/programs/giving.c names them. */
const WAYS = "fork fork_exec fork_stay vfork spawn system popen pass".split(" ");
/** Kept for the next session, or not: both are right. */
const KEPT: readonly string[] = ["engine.regions", "engine.sharedBytes", "kernel.sharedMemory"];

/** What went wrong; nothing when all is well. */
export async function giveAway(seconds: number, ways: readonly string[]): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-giving-"));
  const program = build(folder);
  const socket = join(folder, "engine.sock");
  const words = [join(ROOT, "bin/millrace.js"), "engine", "--keep", "--socket", socket];
  const engine = spawn(process.execPath, words, { stdio: "ignore" });
  try {
    const counts = (): Promise<Counts> => countsOf(engine.pid!, pathsBeside(socket).stat);
    const answers = (): Promise<boolean> => counts().then(Boolean, () => false);
    await waitFor("the engine", START_MS, async () => existsSync(socket) && (await answers()));
    const before = await counts();
    const failures = await run(program, socket, seconds, ways, async () => {
      const isEmpty = async (): Promise<boolean> => (await counts())["engine.sockets"] === 0;
      await waitFor("the end of all sockets", SETTLE_MS, isEmpty);
    });
    await waitFor("the end of the program", SETTLE_MS, async () => isAtRest(await counts(), true));
    const now = await counts();
    const rowBytes = ROW_BYTES * (now["stack.tcpRows"] ?? 0);
    const { externalBytes, rssBytes } = SLACK;
    const leaks = leaksBetween(before, now, {
      ...SLACK,
      externalBytes: externalBytes + rowBytes,
      rssBytes: rssBytes + rowBytes,
    });
    return [...failures, ...leaks.filter((leak) => !KEPT.some((name) => leak.startsWith(name)))];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  } finally {
    await end(engine);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs the program, and `look`s when it has come to rest. */
async function run(
  program: string,
  socket: string,
  seconds: number,
  ways: readonly string[],
  look: () => Promise<void>,
): Promise<string[]> {
  const env = {
    ...process.env,
    LD_PRELOAD: join(ROOT, "native/build/libmillrace.so"),
    MILLRACE_ENGINE: socket,
  };
  const child = spawn(program, ["10.77.0.1", `${seconds}`, ...ways], { env });
  let said = "";
  let complained = "";
  child.stdout.on("data", (data: Buffer) => {
    said += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    complained += data.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const isOver = new Promise<void>((resolve) => {
    child.stdout.on("data", () => said.includes("resting\n") && resolve());
    child.once("close", () => resolve());
  });
  const failures: string[] = [];
  try {
    await isOver;
    if (child.exitCode === null) await look();
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  }
  child.stdin.end();
  if (failures.length > 0) child.kill("SIGKILL");
  const status = await ended;
  if (status !== 0) failures.push(`status ${status}: ${complained}`);
  return [...failures, ...said.split("\n").filter((line) => line.endsWith("are left"))];
}

function build(folder: string): string {
  const program = join(folder, "giving");
  const source = join(ROOT, "test/run/programs/giving.c");
  const { status, stderr } = spawnSync("cc", [...CC, "-o", program, source], { encoding: "utf8" });
  if (status !== 0) throw new Error(`cc: ${stderr}`);
  return program;
}

async function waitFor(what: string, limitMs: number, isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`${limitMs} ms passed without ${what}`);
    await sleep(LOOK_MS);
  }
}

async function end(engine: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => engine.once("exit", resolve));
  if (engine.exitCode !== null || engine.signalCode !== null) return;
  engine.kill("SIGTERM");
  await ended;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const command = new Command("giving")
    .description("give descriptors away while other threads connect, accept and close")
    .option("--seconds <n>", "how long, each way", Number, 20)
    .argument("[way...]", WAYS.join(", "))
    .exitOverride((e) => process.exit(e.exitCode === 0 ? 0 : 2));
  command.parse();
  const { seconds } = command.opts<{ seconds: number }>();
  if (!(seconds > 0)) command.error(`giving: --seconds: expected a number above 0, got ${seconds}`);
  const unknown = command.args.find((way) => !WAYS.includes(way));
  if (unknown !== undefined)
    command.error(`giving: no way ${unknown}; there are: ${WAYS.join(", ")}`);
  const failures = await giveAway(seconds, command.args);
  for (const failure of failures) console.error(`giving: ${failure}`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}
