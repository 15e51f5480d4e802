/**
 * Programs that try to make the engine wait for them, for ever or until it faults (programs/hostile.c), while
 * another one's echoes stay right.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { pathsBeside } from "../../src/engine/socket-path.js";
import { buildProgram } from "../support/c-program.js";
import { askPatiently, engineAnswers } from "../support/engine-answers.js";
import { enterNamespace } from "../support/namespace.js";
import { until } from "../support/until.js";
import { Steady } from "./steady.js";

await enterNamespace(import.meta.url, "cc");

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** Patience with loaded machines. */
const LONG_MS = 60_000;
/** Matches nothing. */
const NEVER = /(?!)/;

const folder = mkdtempSync(join(tmpdir(), "millrace-hostile-"));
const socket = join(folder, "engine.sock");
const library = join(folder, "libmillrace.so");
const env = { ...process.env, LD_PRELOAD: library, MILLRACE_ENGINE: socket };
let hostile = "";
let engine: ChildProcess;
let steady: Steady;
let engineSaid = "";

before(async () => {
  copyFileSync(join(ROOT, "native", "build", "libmillrace.so"), library);
  hostile = buildProgram("hostile", folder);
  const words = [join(ROOT, "bin", "millrace.js"), "engine", "--keep", "--socket", socket];
  engine = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [engine.stdout!, engine.stderr!]) {
    stream.on("data", (data: Buffer) => {
      engineSaid += data.toString();
    });
  }
  await engineAnswers(engine, socket);
  steady = new Steady(buildProgram("steady", folder), env);
  await steady.port();
});

after(async () => {
  steady.child.kill("SIGKILL");
  engine.kill("SIGKILL"); // it may stand still
  if (engine.exitCode === null) await once(engine, "exit");
  rmSync(folder, { recursive: true, force: true });
});

/** What a program printed that went one of its ways, to its end or until `isEnough`. */
async function goes(way: string, isEnough = NEVER): Promise<string> {
  const child = spawn(hostile, [way, socket], { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (data: Buffer) => {
    said += data.toString();
  });
  let isOver = false;
  child.on("close", () => {
    isOver = true;
  });
  try {
    await until(() => isOver || isEnough.test(said), `the end of ${way}`, LONG_MS);
    await othersGoOn();
  } finally {
    child.kill("SIGKILL");
    await until(() => isOver, `the death of ${way}`, LONG_MS);
  }
  return said;
}

/** The engine works, and who was there before has not noticed. */
async function othersGoOn(): Promise<void> {
  const late = new Steady(join(folder, "steady"), env);
  await late.port();
  assert.ok((await late.end()) >= 0);
  assert.equal(engine.exitCode, null, engineSaid);
  assert.equal(steady.child.exitCode, null, steady.out);
}

async function counter(name: string): Promise<number> {
  const [first] = (await askPatiently(pathsBeside(socket).stat)) ?? [];
  assert.equal(first?.kind, "engine");
  return first.kind === "engine" ? (first.counters[name] ?? 0) : 0;
}

test("an event that is full and made to block costs its program the session", async () => {
  assert.equal(await goes("ring-at-once"), "the engine hung up\n");
  assert.equal(await counter("engine.troubles.stuck-program"), 1);
  assert.match(engineSaid, /ended the session of hostile \(pid \d+\): it made the event by which/);
  assert.equal(await goes("ring-for-calls"), "the engine hung up\n");
  assert.equal(await counter("engine.troubles.stuck-program"), 2);
});

test("who reads no answers loses its session", async () => {
  assert.equal(await goes("ask-only"), "the engine hung up\n");
});

test("nobody waits for sockets that linger, wherever they come along", async () => {
  assert.equal(await goes("linger", /joined again/), "joined again\n");
});

test("the memory of a session cannot be made smaller", async () => {
  const refused = ["shrink", "grow", "seal", "seal more"].map((how) => `${how}: refused\n`);
  assert.equal(await goes("shrink"), `${refused.join("")}joined again\n`);
});

test("and who was there all the time heard only what is right", async () => {
  assert.ok((await steady.end()) > 0);
  assert.doesNotMatch(engineSaid, /Error|undefined|NaN/);
});
