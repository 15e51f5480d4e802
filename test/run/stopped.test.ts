/** While the engine has stopped: threads that wait for it hold up nobody who starts processes. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { enterNamespace } from "../support/namespace.js";
import { until } from "../support/until.js";
import { Comparison } from "./comparison.js";

await enterNamespace(import.meta.url, "cc");

const MILLRACE = fileURLToPath(new URL("../../../bin/millrace", import.meta.url));

let comparison: Comparison;
/** Where other users may go, too. */
let open: string;
before(async () => {
  comparison = await Comparison.begin();
  open = comparison.openToOthers();
});
after(() => comparison.end());

/** What the case says while the engine has stopped, and afterwards. */
async function runStopped(name: string): Promise<string> {
  const program = join(open, "stopped");
  copyFileSync(comparison.build("stopped"), program);
  const child = comparison.start(program, name);
  let said = "";
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const ended = new Promise((resolve) => child.once("exit", (...how) => resolve(how)));
  await until(() => said.includes("ready"), "the program");
  comparison.signalEngine("SIGSTOP");
  try {
    await until(() => comparison.engineHasStopped, "the engine to stop");
    child.stdin!.write("\n");
    await until(() => said.includes("stopped\n") || child.exitCode !== null, "its processes");
  } finally {
    comparison.signalEngine("SIGCONT");
  }
  child.stdin!.write("\n");
  assert.deepEqual(await ended, [0, null], said);
  return said;
}

const STARTED = [
  "status 0",
  "forked while it waits: 1",
  "status 0",
  "spawned while it waits: 1",
  "system: 0",
  "ran while it waits: 1",
  "stopped",
];

const lines = (said: string): string[] =>
  said
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

test("fork, posix_spawn and system do not wait for a thread that joins it", async () => {
  const said = lines(await runStopped("while_joining"));
  assert.deepEqual(said.slice(2), [...STARTED, "a socket: 1"]);
});

test("nor for one that opens a socket; the child has nothing of what that has in hand", async () => {
  const said = lines(await runStopped("while_opening"));
  assert.deepEqual(said.slice(2), [
    "the child sets an option: 0",
    "ends in the child: 0",
    "status 0",
    "forked while it waits: 1",
    ...STARTED,
    "bound: 0, 1",
  ]);
});

test("processes start, however many have been started; when it goes on it serves others", async () => {
  const said = lines(await runStopped("many_starts"));
  assert.deepEqual(said.slice(2), ["stopped", "answer: 1, status 0"]);
});

test("fork does not wait to share a socket that is bound: the kernel has it from then on, in all processes", async () => {
  const begun = performance.now();
  const said = lines(await runStopped("while_sharing"));
  assert.ok(performance.now() - begun < 15_000); // an engine that does not answer is waited for for 20 s
  assert.deepEqual(said.slice(2).sort(), ["answer: 1", "listens", "status 0", "stopped"]);
});

/** What `millrace run true` ends with, and says. */
function runTrue(): Promise<[unknown, string]> {
  const env = { ...process.env, MILLRACE_ENGINE: comparison.enginePath };
  return new Promise((resolve) => {
    execFile(MILLRACE, ["run", "true"], { env }, (error, _out, err) => resolve([error?.code, err]));
  });
}

test("programs that are to be started hear that the engine does not answer, also where there is no more room in its line", async () => {
  comparison.signalEngine("SIGSTOP");
  await until(() => comparison.engineHasStopped, "the engine to stop");
  const many = Array.from({ length: 40 }, runTrue);
  const ended = await Promise.all(many).finally(() => comparison.signalEngine("SIGCONT"));
  for (const [status, said] of ended) {
    assert.match(
      said,
      /^millrace: the engine at \S+ does not answer: no answer within 20 s; is it stopped \(kill -CONT( \d+)?\)\?\n$/,
    );
    assert.equal(status, 1);
  }
});

test("Ctrl-C ends at once who waits for it", async () => {
  comparison.signalEngine("SIGSTOP");
  try {
    await until(() => comparison.engineHasStopped, "the engine to stop");
    const env = { ...process.env, MILLRACE_ENGINE: comparison.enginePath };
    const child = spawn(MILLRACE, ["run", "true"], { env, stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", (...how) => resolve(how)));
    const begun = performance.now();
    const interrupt = setInterval(() => child.kill("SIGINT"), 500);
    assert.deepEqual(await ended, [null, "SIGINT"]);
    clearInterval(interrupt);
    assert.ok(performance.now() - begun < 15_000);
  } finally {
    comparison.signalEngine("SIGCONT");
  }
});
