/** The engine is killed, or asked to end: programs that wait are told at once, and new sockets are the kernel's. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { buildProgram } from "../support/c-program.js";
import { engineAnswers } from "../support/engine-answers.js";
import { enterNamespace } from "../support/namespace.js";
import { until } from "../support/until.js";

await enterNamespace(import.meta.url, "cc", "python3");

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

const EXPECTED = `waiting
recv: ECONNRESET
read: ECONNRESET
recvmsg: ECONNRESET
recvmmsg: ECONNRESET
splice: ECONNRESET
recv of datagrams: ENETDOWN
recvmmsg of datagrams: ENETDOWN
send: ECONNRESET
writev: ECONNRESET
sendfile: ECONNRESET
accept: ECONNRESET
connect: ECONNRESET
close that lingers: 0
poll: 19
ppoll: 19
poll of a listener: 18
poll of datagrams: 18
recv from a peer: ENETDOWN
select: 1
pselect: 1
epoll_wait: 19
epoll_pwait: 19
epoll_pwait2: 19
epoll_wait, nested: 1
recv(a, nothing, 1, 0): ECONNRESET
recv(a, nothing, 1, 0): 0
send(a, "x", 1, MSG_NOSIGNAL): EPIPE
recv(u, nothing, 1, MSG_DONTWAIT): ENETDOWN
sendto(u, "x", 1, 0, at(9), home_bytes): ENETDOWN
close(a): 0
poll(&one, 1, 300): 0
it slept all the time
accept at the wildcard: a connection
poll at the wildcard: 1
accept(calls[i].fd, NULL, NULL) > 0: 1
ppoll at the wildcard: 1
accept(calls[i].fd, NULL, NULL) > 0: 1
select at the wildcard: 1
accept(calls[i].fd, NULL, NULL) > 0: 1
epoll_wait at the wildcard: 1
accept(calls[i].fd, NULL, NULL) > 0: 1
pselect at the wildcard: 1
accept(calls[i].fd, NULL, NULL) > 0: 1
epoll_pwait at the wildcard: 1
accept(calls[i].fd, NULL, NULL) > 0: 1
epoll_pwait2 at the wildcard: 1
accept(calls[i].fd, NULL, NULL) > 0: 1
epoll_wait for edges at the wildcard: 1
accept(calls[i].fd, NULL, NULL) > 0: 1
recv at the wildcard: 1
recvmmsg at the wildcard: 1
poll of datagrams at the wildcard: 1
recv(calls[i].fd, nothing, 10, 0): 1
pselect of datagrams at the wildcard: 1
recv(calls[i].fd, nothing, 10, 0): 1
epoll_pwait of datagrams at the wildcard: 1
recv(calls[i].fd, nothing, 10, 0): 1
epoll_wait for edges of datagrams: 1
recv(calls[i].fd, nothing, 10, 0): 1
poll(&one, 1, 300): 0
it slept all the time
accept(call->fd, NULL, NULL): EAGAIN
setsockopt(call->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout): 0
accept(call->fd, NULL, NULL): EAGAIN
int_option(calls[ALONE].fd, SOL_SOCKET, SO_ERROR): 0
listen(calls[ALONE].fd, 2): 0
poll(&one, 1, 300): 0
it slept all the time
setsockopt(call->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout): 0
recv(call->fd, &byte, 1, 0): EAGAIN
recv(call->fd, &byte, 1, MSG_DONTWAIT): EAGAIN
poll(&one, 1, 0) == 1 && one.revents == POLLOUT: 1
sendto(other, "a", 1, 0, kernels(call->port, false), home_bytes): 1
poll(&one, 1, PATIENCE_MS) == 1 && one.revents == (POLLIN | POLLOUT): 1
recvfrom(call->fd, &byte, 1, 0, (struct sockaddr *)&from, &bytes): 1
sendto(call->fd, "b", 1, 0, (struct sockaddr *)&from, bytes): 1
recv(other, &byte, 1, 0): 1
send(call->fd, "c", 1, 0): EDESTADDRREQ
connect(call->fd, (struct sockaddr *)&from, bytes): 0
send(call->fd, "c", 1, 0): 1
recv(other, &byte, 1, 0): 1
int_option(call->fd, SOL_SOCKET, SO_ERROR): 0
status: 0
status: 0
bind(fresh, kernels(0, false), home_bytes): 0
listen(fresh, 1): 0
connect(to, kernels(port, false), home_bytes): 0
`;

const UNDER = (socket: string, profile: string): NodeJS.ProcessEnv => ({
  ...process.env,
  LD_PRELOAD: join(ROOT, "native", "build", "libmillrace.so"),
  MILLRACE_ENGINE: socket,
  MILLRACE_PROFILE: profile,
});

/** An engine of the test's own; it, and its socket's path. */
async function startEngine(t: TestContext, folder: string) {
  const socket = join(folder, "engine.sock");
  const words = [join(ROOT, "bin", "millrace.js"), "engine", "--keep", "--socket", socket];
  const engine = spawn(process.execPath, words, { stdio: "ignore" });
  t.after(() => engine.kill("SIGKILL"));
  await engineAnswers(engine, socket);
  return { engine, socket };
}

async function killed(t: TestContext, profile: string, signal: NodeJS.Signals): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-death-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { engine, socket } = await startEngine(t, folder);
  const program = spawn(buildProgram("orphans", folder), ["10.77.0.1"], {
    env: UNDER(socket, profile),
  });
  t.after(() => program.kill("SIGKILL"));
  let said = "";
  let warned = "";
  program.stdout.on("data", (data: Buffer) => {
    said += data.toString();
    if (said === "waiting\n") engine.kill(signal);
  });
  program.stderr.on("data", (data: Buffer) => {
    warned += data.toString();
  });
  await once(program, "close");
  assert.equal(said, EXPECTED);
  assert.match(warned, /^millrace: the engine has ended; .*\n$/);
}

for (const profile of ["latency", "balanced", "idle"]) {
  test(`${profile}: every call that waits ends with an error, and the program goes on with the kernel`, (t) =>
    killed(t, profile, "SIGKILL"));
}

test("an engine that is asked to end is as one that was killed: nothing looks like the peer's end", (t) =>
  killed(t, "balanced", "SIGTERM"));

/** Processor time of a process, in clock ticks. */
function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

test("a server at the wildcard goes on with the kernel, and rests", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-death-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { engine, socket } = await startEngine(t, folder);
  const server = spawn("python3", ["-u", "-m", "http.server", "0", "--directory", folder], {
    env: UNDER(socket, "balanced"),
  });
  t.after(() => server.kill("SIGKILL"));
  let said = "";
  for (const stream of [server.stdout, server.stderr])
    stream.on("data", (data: Buffer) => {
      said += data.toString();
    });
  await until(() => /port \d+/.test(said), "the server");
  const url = `http://127.0.0.1:${/port (\d+)/.exec(said)![1]}/`;
  const isThere = async (): Promise<boolean> => (await fetch(url)).status === 200;
  assert.ok(await isThere());
  engine.kill("SIGKILL");
  await until(() => said.includes("the engine has ended"), "the news");
  assert.ok(await isThere());
  const before = ticksOf(server.pid!);
  await sleep(1_000);
  assert.ok(ticksOf(server.pid!) - before < 30, "it is busy");
  assert.ok(await isThere());
});

const LISTENER = `
import errno, select, socket, sys
l = socket.socket()
l.bind(("10.77.0.1", 0))
l.listen()
l.setblocking(False)
waiting = socket.create_connection(l.getsockname())
e = select.epoll()
e.register(l, select.EPOLLIN)
print(e.poll(60) == [(l.fileno(), select.EPOLLIN)], flush=True)
sys.stdin.readline()
select.select([waiting], [], []) # until the death is known
for seconds in (60, 1, 0):
    print([hex(events) for _, events in e.poll(seconds)], end=" ")
    try:
        l.accept()
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
`;

test("a listener of Millrace's alone is told once: one that tries again and again would be busy", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-death-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { engine, socket } = await startEngine(t, folder);
  const server = spawn("python3", ["-c", LISTENER], { env: UNDER(socket, "balanced") });
  t.after(() => server.kill("SIGKILL"));
  let said = "";
  server.stdout.on("data", (data: Buffer) => {
    said += data.toString();
  });
  await until(() => said.includes("\n"), "the server");
  engine.kill("SIGKILL");
  await once(engine, "exit");
  server.stdin.end("\n");
  await once(server, "close");
  assert.equal(said, "True\n['0x18'] ECONNRESET\n[] EINVAL\n[] EINVAL\n");
});

const TRYING = `
import errno, select, socket, sys, time
l = socket.socket()
l.bind((sys.argv[1], 0))
l.listen()
s = socket.create_connection(("10.77.0.1", l.getsockname()[1]))
c, _ = l.accept()
l.setblocking(False)
e = select.epoll()
e.register(l, select.EPOLLIN)
print("ready", flush=True)
try:
    print(s.recv(1), end=" ")
except OSError as error:
    print(errno.errorcode[error.errno], end=" ")
tries = 0
until = time.monotonic() + 1
while time.monotonic() < until:
    if e.poll(0.1):
        tries += 1
        try:
            l.accept()
        except OSError:
            pass
print("few" if tries < 5 else tries)
`;

for (const address of ["10.77.0.1", "0.0.0.0"]) {
  test(`a server at ${address} that tries to accept at every readiness has nothing to do while an engine ends`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-death-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const { engine, socket } = await startEngine(t, folder);
    const server = spawn("python3", ["-c", TRYING, address], { env: UNDER(socket, "balanced") });
    t.after(() => server.kill("SIGKILL"));
    let said = "";
    server.stdout.on("data", (data: Buffer) => {
      said += data.toString();
      if (said === "ready\n") engine.kill("SIGTERM");
    });
    await once(server, "close");
    assert.equal(said, "ready\nECONNRESET few\n");
  });
}

const BUSY = `
import ctypes, errno, select, socket, sys
what = sys.argv[1]
there = ("10.77.0.1", 9)
is_listener = what == "listener" or "accept" in what
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if is_listener else socket.SOCK_DGRAM)
s.bind(("10.77.0.1" if what == "accept" else "0.0.0.0", 0))
if is_listener: s.listen(32)
if "accept" in what: waiting = [socket.create_connection(("10.77.0.1", s.getsockname()[1])) for _ in range(20)]
s.setblocking(False)
if what == "send where it went before": s.sendto(b"x", there)
if what in ("connect again", "disconnect"): s.connect(("10.77.0.1", 8))
print("ready", flush=True)
sys.stdin.readline()
p = select.poll()
p.register(s, select.POLLIN | select.POLLOUT)
def accept():
    try: return s.accept()
    except OSError as error: return errno.errorcode[error.errno]
try:
    if "accept" in what: print(accept(), accept())
    elif what in ("listener", "datagrams"): print([hex(events) for _, events in p.poll(0)])
    elif what == "disconnect": print(ctypes.CDLL(None).connect(s.fileno(), bytes(16), 16))
    elif what == "sendmsg": print(s.sendmsg([b"x"], [], 0, there))
    elif "connect" in what: print(s.connect(there))
    else: print(s.sendto(b"x", there))
except OSError as error:
    print(errno.errorcode[error.errno])
`;

/** Of sockets that nobody has used since the engine's end: as the kernel has those at the wildcard. */
const FIRST_USES = [
  ["listener", "[]"],
  ["accept at the wildcard", "EAGAIN EAGAIN"],
  ["accept", "ECONNRESET EINVAL"],
  ["datagrams", "['0x4']"],
  ["send", "ENETUNREACH"],
  ["sendmsg", "ENETUNREACH"],
  ["connect", "ENETUNREACH"],
  ["connect again", "ENETUNREACH"],
  ["disconnect", "0"],
  ["send where it went before", "ENETUNREACH"],
] as const;

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  test(`${signal}: who was busy while the engine ended finds the kernel's socket at the first use`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-death-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const { engine, socket } = await startEngine(t, folder);
    const programs = FIRST_USES.map(([what, expected]) => {
      const program = spawn("python3", ["-c", BUSY, what], { env: UNDER(socket, "balanced") });
      t.after(() => program.kill("SIGKILL"));
      const run = { what, expected, program, said: "" };
      program.stdout.on("data", (data: Buffer) => {
        run.said += data.toString();
      });
      return run;
    });
    await until(() => programs.every((run) => run.said === "ready\n"), "the programs");
    engine.kill(signal);
    await once(engine, "exit");
    for (const { program } of programs) program.stdin.end("\n");
    await Promise.all(programs.map(({ program }) => once(program, "close")));
    for (const { what, expected, said } of programs) {
      // Of an engine that was killed nobody is told before a call asks it: the datagram is lost, as others in its rings.
      const isLost = signal === "SIGKILL" && what === "send where it went before";
      assert.equal(said, `ready\n${isLost ? "1" : expected}\n`, what);
    }
  });
}

const ECHO = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 0))
print(s.getsockname()[1], flush=True)
while True:
    try:
        data, peer = s.recvfrom(100)
        s.sendto(data, peer)
    except OSError as error:
        print(error, flush=True)
`;

/** What the kernel's server at the port answers; asks again, as datagrams may be lost with the engine. */
async function echo(port: number, text: string): Promise<string> {
  const client = createSocket("udp4");
  let answer = "";
  client.on("message", (data) => {
    answer = data.toString();
  });
  await until(() => {
    client.send(text, port, "127.0.0.1");
    return answer !== "";
  }, "an answer");
  client.close();
  return answer;
}

test("a server of datagrams at the wildcard goes on with the kernel, and rests", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-death-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { engine, socket } = await startEngine(t, folder);
  const server = spawn("python3", ["-c", ECHO], { env: UNDER(socket, "balanced") });
  t.after(() => server.kill("SIGKILL"));
  let said = "";
  let warned = "";
  server.stdout.on("data", (data: Buffer) => {
    said += data.toString();
  });
  server.stderr.on("data", (data: Buffer) => {
    warned += data.toString();
  });
  await until(() => said.includes("\n"), "the server");
  const port = Number(said);
  assert.equal(await echo(port, "before"), "before");
  engine.kill("SIGKILL");
  await until(() => warned.includes("the engine has ended"), "the news");
  assert.equal(await echo(port, "after"), "after");
  const before = ticksOf(server.pid!);
  await sleep(1_000);
  assert.ok(ticksOf(server.pid!) - before < 30, "it is busy");
  assert.equal(await echo(port, "again"), "again");
  assert.equal(said, `${port}\n`);
});
