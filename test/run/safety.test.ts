/**
 * What shares memory with the engine harms only itself: a program writes nonsense over all of it, while
 * another one's echoes stay right and the engine keeps nothing of those that are gone. And programs of
 * another user get nothing at all.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { pathsBeside } from "../../src/engine/socket-path.js";
import { buildProgram } from "../support/c-program.js";
import { askPatiently, engineAnswers } from "../support/engine-answers.js";
import { enterNamespace, needsRoot } from "../support/namespace.js";
import { requireTools } from "../support/tools.js";
import { until } from "../support/until.js";
import { HERE, Steady } from "./steady.js";

await enterNamespace(import.meta.url, "cc");

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** Patience with loaded machines. */
const LONG_MS = 60_000;
const NOBODY = 65_534;
/** How many programs go wild, one after the other, and how often each writes. */
const PROGRAMS = 8;
const ROUNDS = 4_000;

const folder = mkdtempSync(join(tmpdir(), "millrace-safety-"));
const socket = join(folder, "engine.sock");
const library = join(folder, "libmillrace.so");
const env = { ...process.env, LD_PRELOAD: library, MILLRACE_ENGINE: socket };
let engine: ChildProcess;
let engineSaid = "";

before(async () => {
  copyFileSync(join(ROOT, "native", "build", "libmillrace.so"), library);
  const words = [join(ROOT, "bin", "millrace.js"), "engine", "--keep", "--socket", socket];
  engine = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [engine.stdout!, engine.stderr!]) {
    stream.on("data", (data: Buffer) => {
      engineSaid += data.toString();
    });
  }
  await engineAnswers(engine, socket);
});

after(async () => {
  engine.kill("SIGTERM");
  if (engine.exitCode === null) await once(engine, "exit");
  rmSync(folder, { recursive: true, force: true });
});

const descriptors = (): number => readdirSync(`/proc/${engine.pid}/fd`).length;
const mappings = (): number =>
  readFileSync(`/proc/${engine.pid}/maps`, "utf8").split("memfd:millrace").length;
async function isIdle(): Promise<void> {
  const lines = async () => (await askPatiently(pathsBeside(socket).stat)) ?? [];
  const hasSockets = async () => (await lines()).some((line) => line.kind === "socket");
  const endMs = performance.now() + LONG_MS;
  while (await hasSockets()) {
    assert.ok(performance.now() < endMs, "sockets of programs that are gone");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a program that scribbles over all it shares with the engine harms only itself", async (t) => {
  const scribble = buildProgram("scribble", folder);
  const program = buildProgram("steady", folder);
  const first = new Steady(program, env);
  t.after(() => first.child.kill("SIGKILL"));
  await first.port();
  await first.end();
  await isIdle();
  const [descriptorsBefore, mappingsBefore] = [descriptors(), mappings()];
  const steady = new Steady(program, env);
  t.after(() => steady.child.kill("SIGKILL"));
  const port = await steady.port();
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const args = [HERE, port, String(seed), String(ROUNDS)];
    const wild = spawn(scribble, args, { env, stdio: ["ignore", "pipe", "ignore"] });
    let said = "";
    wild.stdout.on("data", (data: Buffer) => {
      said += data.toString();
    });
    // How it ends is its own affair: it may fault, hang until its alarm, or get through.
    await once(wild, "close");
    assert.match(said, /^scribbling over [1-9]\d* mappings\n/, `program ${seed}`);
    assert.equal(engine.exitCode, null, `the engine ended after program ${seed}: ${engineSaid}`);
    assert.equal(steady.child.exitCode, null, `after program ${seed}: ${steady.out}`);
  }
  assert.ok((await steady.end()) > PROGRAMS);
  await isIdle();
  const isBack = () => descriptors() <= descriptorsBefore && mappings() <= mappingsBefore;
  await until(isBack, `what ${descriptors()} descriptors, ${mappings()} mappings are for`, LONG_MS);
  assert.doesNotMatch(engineSaid, /Error|undefined|NaN/);
});

/** As somebody else; what it printed on both streams. */
function asNobody(words: readonly string[]): string {
  const setpriv = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  const args = [...setpriv, "env", `MILLRACE_ENGINE=${socket}`, ...words];
  const { stdout, stderr } = spawnSync("setpriv", args, { encoding: "utf8", timeout: LONG_MS });
  return `${stdout}${stderr}`;
}

const KERNEL_ECHO = `
import socket
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a.bind(("127.0.0.1", 0))
a.sendto(b"hello", a.getsockname()); print(a.recv(9))`;
/** HELLO without a library between: 4 bytes of type are enough to be answered, or not to be. */
const RAW_HELLO = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
  s.connect(sys.argv[1]); s.send(bytes([1] + [0] * 615)); print(s.recvmsg(4096, 4096))
except OSError as error: print(type(error).__name__)`;
const OPEN = `
import sys
for path in sys.argv[1:]:
  try: open(path, "rb").read(1); print("read", path)
  except OSError as error: print(type(error).__name__)`;

test("another user's program neither joins nor reads", { skip: needsRoot() }, async (t) => {
  requireTools("setpriv", "python3");
  const steady = new Steady(buildProgram("steady", folder), env);
  t.after(() => steady.child.kill("SIGKILL"));
  await steady.port();
  // As the engine makes it, the folder is not theirs to enter.
  assert.equal(asNobody(["python3", "-c", RAW_HELLO, socket]), "PermissionError\n");
  const { stat } = pathsBeside(socket);
  assert.match(asNobody(["python3", "-c", OPEN, stat]), /^(OSError|PermissionError)\n$/);
  // And where somebody has opened it to the world, the engine looks who comes.
  chmodSync(folder, 0o755);
  chmodSync(socket, 0o777);
  const answer = asNobody(["python3", "-c", RAW_HELLO, socket]);
  assert.match(answer, /^(ConnectionResetError|BrokenPipeError|\(b'', \[\], \d+, .*\))\n$/);
  const said = asNobody([`LD_PRELOAD=${library}`, "python3", "-c", KERNEL_ECHO]);
  assert.match(said, /^b'hello'\nmillrace: cannot join the engine .*stay with the kernel\n$/m);
  chmodSync(stat, 0o777);
  const launched = asNobody([join(ROOT, "bin", "millrace"), "run", "true"]);
  assert.match(
    launched,
    /^millrace: the engine at .* is another user's \(0\), and serves no others/,
  );
  // The memory itself, by the ways that the kernel has to others' descriptors.
  const pids = [engine.pid, steady.child.pid];
  const paths = pids.flatMap((pid) => {
    const fds = readdirSync(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`);
    return [`/proc/${pid}/mem`, `/proc/${pid}/maps`, ...fds];
  });
  const opened = asNobody(["python3", "-c", OPEN, ...paths]);
  assert.match(opened, /^(PermissionError\n)+$/);
  assert.equal(opened.split("\n").length - 1, paths.length);
  assert.ok((await steady.end()) > 0, "and nobody was disturbed");
});
