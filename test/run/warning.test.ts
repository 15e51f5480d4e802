/** What the library says on a program's stderr does the program no harm. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "../support/until.js";

const LIBRARY = fileURLToPath(new URL("../../../native/build/libmillrace.so", import.meta.url));

const MILLRACE = fileURLToPath(new URL("../../../bin/millrace.js", import.meta.url));

const UNHEARD = `
import os, signal, socket, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
if sys.argv[1] == "pipe":
    reads, writes = os.pipe()
    os.dup2(writes, 2)
    os.close(reads)
else:
    ours, theirs = socket.socketpair()
    os.dup2(ours.fileno(), 2)
    theirs.close()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print("it lives")
`;

for (const kind of ["pipe", "socket"]) {
  test(`a program whose stderr is a ${kind} that nobody reads is not ended by a warning`, () => {
    const env = {
      ...process.env,
      LD_PRELOAD: LIBRARY,
      MILLRACE_ENGINE: "/nowhere/engine.sock",
    };
    const { stdout, signal } = spawnSync("python3", ["-c", UNHEARD, kind], { env });
    assert.deepEqual([stdout.toString(), signal], ["it lives\n", null]);
  });
}

test("a warning reaches who reads", () => {
  const env = { ...process.env, LD_PRELOAD: LIBRARY, MILLRACE_ENGINE: "/nowhere/engine.sock" };
  const code =
    "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(('127.0.0.1', 0))";
  const { stderr } = spawnSync("python3", ["-c", code], { env });
  assert.match(
    stderr.toString(),
    /^millrace: cannot connect the engine at \/nowhere\/engine\.sock: /,
  );
});

/** Processes that each have a socket, and wait for what comes. */
const FAMILY = `
import os, socket, sys
children = []
for i in range(4):
    pid = os.fork()
    if pid == 0:
        children = []
        break
    children.append(pid)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.77.0.1", 0))
print("waits", flush=True)
try: s.recv(1)
except OSError: pass
for pid in children: os.waitpid(pid, 0)
`;

test("that the engine has ended is said once for all processes that have come by fork", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-warning-"));
  const socket = join(folder, "engine.sock");
  const words = [MILLRACE, "engine", "--keep", "--socket", socket];
  const engine = spawn(process.execPath, words, { stdio: "ignore" });
  try {
    await until(() => existsSync(socket), "an engine");
    const env = { ...process.env, LD_PRELOAD: LIBRARY, MILLRACE_ENGINE: socket };
    const family = spawn("python3", ["-c", FAMILY], { env });
    let out = "";
    let err = "";
    family.stdout.on("data", (data: Buffer) => {
      out += data.toString();
    });
    family.stderr.on("data", (data: Buffer) => {
      err += data.toString();
    });
    await until(() => out.split("\n").length === 6, "all five");
    const ended = new Promise((resolve) => family.once("close", resolve));
    engine.kill("SIGKILL");
    assert.equal(await ended, 0);
    const news =
      "millrace: the engine has ended; its sockets are dead, new ones stay with the kernel\n";
    assert.equal(err, news);
  } finally {
    engine.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
});
