/** Rules of programs that run: where they come from, what they decide, and that they are the program's own affair. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { RunWorld } from "../support/run-world.js";

await enterNamespace(import.meta.url, "python3", "mkfifo");
const world = RunWorld.open();

function rulesFile(name: string, text: string): string {
  const path = join(world.folder, name);
  writeFileSync(path, text);
  return path;
}

/** Binds two UDP sockets, and goes on as `then` says. */
const binds = (then = ""): string => `
import os, socket
def bind(port):
  s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("", port)); return s
kept = [bind(7101), bind(7102)]
${then}`;

const run = (...words: string[]): Promise<{ status: number | null; err: string }> =>
  world.accelerated("--debug", ...words).ended;

test("--rules and MILLRACE_RULES decide, and the reason names file and line", async () => {
  const rules = rulesFile("own.rules", "# mine\nuse os udp_receiver *:7101\n");
  const stays = new RegExp(`stays with the kernel: ${rules}:2: use os udp_receiver \\*:7101\\n`);
  const python = ["python3", "-c", binds()];
  for (const words of [
    ["--rules", rules, ...python],
    ["env", `MILLRACE_RULES=${rules}`, ...python],
  ]) {
    const { status, err } = await run(...words);
    assert.equal(status, 0, err);
    assert.match(err, stays);
    assert.match(err, /enabled bypass on fd \d+ \(udp 0\.0\.0\.0:7102/);
  }
  const other = await run("--rules", rules, "--", "env", "MILLRACE_RULES=", ...python);
  assert.match(other.err, /enabled bypass on fd \d+ \(udp 0\.0\.0\.0:7101/);
});

test("children have the rules of their parent, also where the file is gone", async () => {
  const rules = rulesFile("gone.rules", "use os udp_receiver *:7103\n");
  const child = `
os.unlink("${rules}")
if os.fork() == 0:
  bind(7103)
  os._exit(0)
os.wait()`;
  const { status, err } = await run("--rules", rules, "python3", "-c", binds(child));
  assert.equal(status, 0, err);
  assert.match(err, /stays with the kernel: .*gone\.rules:1: use os udp_receiver \*:7103\n/);
});

test("a program that overwrites its name, as nginx and postgres do, keeps its rules in its children", async () => {
  const rules = rulesFile("title.rules", "application-id python* *\nuse os udp_receiver *:7103\n");
  const child = `
import ctypes
words = open("/proc/self/stat").read().rpartition(")")[2].split() # from the third on; 48 and 49 bound the arguments
start, end = int(words[45]), int(words[46])
ctypes.memmove(start, b"worker".ljust(end - start, b"\\0"), end - start)
if os.fork() == 0:
  bind(7103)
  os._exit(0)
os.wait()`;
  const { status, err } = await run("--rules", rules, "python3", "-c", binds(child));
  assert.equal(status, 0, err);
  assert.match(err, /stays with the kernel: .*title\.rules:2: use os udp_receiver \*:7103\n/);
});

test("a program that may write no files goes on, without its rules", async () => {
  const limited = `
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))`;
  const rules = rulesFile("limited.rules", "use os udp_receiver *:7101\n");
  const { status, err } = await run("--rules", rules, "python3", "-c", limited + binds());
  assert.equal(status, 0, err);
  assert.match(
    err,
    /limited\.rules: more bytes than .*ulimit -f\); all sockets stay with the kernel/,
  );
});

test("what cannot be had leaves the program's sockets with the kernel, and says why", async () => {
  const fifo = join(world.folder, "fifo");
  assert.equal(spawnSync("mkfifo", [fifo]).status, 0);
  const rows: [string, RegExp][] = [
    [fifo, /rules .*fifo: expected a plain file; all sockets stay with the kernel/],
    [join(world.folder, "none"), /rules .*none: No such file or directory; all sockets/],
    [rulesFile("large", "#".repeat(70_000)), /rules .*large: expected at most 65536 bytes/],
    [rulesFile("wrong", "use os all\n"), /wrong:1:8: expected a role/],
  ];
  for (const [path, expected] of rows) {
    const { status, err } = await run("env", `MILLRACE_RULES=${path}`, "python3", "-c", binds());
    assert.equal(status, 0, err);
    assert.match(err, expected);
    if (path === join(world.folder, "wrong")) continue;
    const before = await run("--rules", path, "true");
    assert.equal(before.status, 1, before.err);
    assert.match(before.err, /plain file|No such file|at most 65536 bytes/);
  }
});
