/**
 * Programs in C that say what the socket calls do, run on the kernel and under Millrace: they must say the
 * same, line for line. `PROGRAM ADDRESS` has both ends at that address.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildProgram } from "../support/c-program.js";
import { engineAnswers } from "../support/engine-answers.js";
import { enterNamespace } from "../support/namespace.js";

await enterNamespace(import.meta.url, "cc");

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const PROGRAMS = [
  "all-options",
  "both",
  "connecting",
  "datagrams",
  "holding",
  "messages",
  "options",
  "port-zero",
  "reuse",
  "sandbox",
  "states",
  "streams",
  "urgent",
  "waiting",
];
/** The machine's addresses for the kernel, and on the network among its programs. */
const ADDRESSES = [
  ["127.0.0.1", "10.77.0.1"],
  ["::1", "fd77::1"],
] as const;

const folder = mkdtempSync(join(tmpdir(), "millrace-compared-"));
const engineSocket = join(folder, "engine.sock");
let engine: ChildProcess;

before(async () => {
  const words = [join(ROOT, "bin", "millrace.js"), "engine", "--keep", "--socket", engineSocket];
  engine = spawn(process.execPath, words, { stdio: "ignore" });
  await engineAnswers(engine, engineSocket);
});

after(async () => {
  engine.kill("SIGTERM");
  if (engine.exitCode === null) await once(engine, "exit"); // it has files of its own there
  rmSync(folder, { recursive: true, force: true });
});

function run(program: string, address: string, env: NodeJS.ProcessEnv): string {
  const { status, signal, stdout, stderr } = spawnSync(program, [address], {
    encoding: "utf8",
    env: { ...process.env, ...env },
    timeout: 240_000,
  });
  return `${stdout}${stderr}status ${status}, signal ${signal}\n`;
}

const UNDER_MILLRACE = {
  LD_PRELOAD: join(ROOT, "native", "build", "libmillrace.so"),
  MILLRACE_ENGINE: engineSocket,
};

for (const name of PROGRAMS) {
  test(`${name}: the same under Millrace as on the kernel`, () => {
    const program = buildProgram(name, folder);
    for (const [ofKernel, here] of ADDRESSES) {
      const onKernel = run(program, ofKernel, {});
      assert.match(onKernel, /status 0,/);
      assert.equal(run(program, here, UNDER_MILLRACE), onKernel);
    }
  });
}
