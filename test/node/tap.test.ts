/** Accelerated programs and the kernel's own sockets, over a TAP. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { enterNamespace, ip } from "../support/namespace.js";
import { runAsync } from "../support/run-async.js";
import { until } from "../support/until.js";
import { ask, datagrams, echoServer, GROUP, KERNEL, PROGRAM } from "./support/tap-peer.js";

await enterNamespace(import.meta.url, "ip", "curl");

const REGISTER = new URL("../../bundle/node/register.js", import.meta.url).href;
const PROGRAM_FILE = fileURLToPath(new URL("programs/over-tap.js", import.meta.url));
const TAP = "mrnode0";

ip("tuntap", "add", TAP, "mode", "tap");
ip("address", "add", `${KERNEL}/24`, "dev", TAP);
ip("link", "set", TAP, "up");

function start(...args: string[]): ChildProcess & { output: string; errors: string } {
  const child = spawn(process.execPath, ["--import", REGISTER, PROGRAM_FILE, ...args], {
    env: {
      ...process.env,
      MILLRACE_NIC: `tap:${TAP}`,
      MILLRACE_ADDRESS: `${PROGRAM}/24`,
      MILLRACE_DEBUG: "1",
    },
    stdio: ["pipe", "pipe", "pipe"],
  }) as unknown as ChildProcess & { output: string; errors: string };
  child.output = "";
  child.errors = "";
  child.stdout!.on("data", (d) => {
    child.output += d;
  });
  child.stderr!.on("data", (d) => {
    child.errors += d;
  });
  after(() => void child.kill("SIGKILL"));
  return child;
}

/** Runs it to its end: what it said on standard output and error. */
async function run(...args: string[]): Promise<{ output: string; errors: string }> {
  const child = start(...args);
  await once(child, "close");
  return { output: child.output.trim(), errors: child.errors };
}

/** Of processor time in a second: housekeeping, and a clock that counts 10 ms at a time. */
const RESTING_MS = 100;
const CARRIED = /enabled bypass on tcp connect .*: the route goes through/;

test("it serves the kernel's clients at its own address and at the kernel's", async () => {
  const child = start("serve");
  await until(() => child.output.includes("\n"), "the program's ports");
  const { tcp, page, udp } = JSON.parse(child.output) as Record<string, number>;
  assert.equal(await ask(tcp!, "question"), `question from ::ffff:${KERNEL}`);
  assert.equal(await runAsync("curl", "-sS", `http://${PROGRAM}:${page}/a`), "page /a");
  assert.equal(await runAsync("curl", "-sS", `http://127.0.0.1:${page}/b`), "page /b");
  assert.equal(await runAsync("curl", "-sS", `http://${KERNEL}:${page}/c`), "page /c");
  const socket = await datagrams();
  const answered = once(socket, "message");
  socket.send("hello", udp!, PROGRAM);
  assert.equal(String((await answered)[0]), "hello answered");
  const toGroup = once(socket, "message");
  socket.setMulticastInterface(KERNEL);
  socket.send("group", udp!, GROUP);
  const [answer, from] = await toGroup;
  assert.equal(String(answer), "group answered");
  assert.ok([PROGRAM, KERNEL].includes(from.address));
  socket.close();
  await comesToRest(child.pid!);
  child.stdin!.end();
  await once(child, "exit");
});

/** A second comes in which it uses next to nothing: what it did before has its end on a busy machine, too. */
async function comesToRest(pid: number): Promise<void> {
  let usedMs = Number.POSITIVE_INFINITY;
  for (let second = 0; usedMs >= RESTING_MS && second < 60; second++) {
    const before = cpuMs(pid);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    usedMs = cpuMs(pid) - before;
  }
  assert.ok(usedMs < RESTING_MS, `an idle program used the processor for ${usedMs} ms of a second`);
}

/** Processor time of a process so far. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

test("it asks the kernel's servers", async () => {
  const server = await echoServer();
  const { port } = server.address() as net.AddressInfo;
  const { output, errors } = await run("echo", KERNEL, String(port));
  assert.equal(output, `1000000 ${PROGRAM}`);
  assert.match(errors, CARRIED);
  server.close();
});

test("what it has written arrives although it leaves at once", async () => {
  let received = 0;
  const server = net.createServer((socket) => {
    socket.on("data", (d) => {
      received += d.length;
    });
    socket.on("error", () => {});
  });
  server.listen(0, KERNEL);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  await run("leave", KERNEL, String(port));
  await until(() => received === 200_000, `all bytes (${received} came)`);
  server.close();
});

test("refused by the kernel, the error is Node's", async () => {
  const { output } = await run("refused", KERNEL, "1");
  assert.equal(output, `connect ECONNREFUSED ${KERNEL}:1`);
});

test("datagrams have Millrace's address", async () => {
  const socket = await datagrams();
  socket.on("message", (m, from) =>
    socket.send(`${m} of ${from.address}`, from.port, from.address),
  );
  const { output } = await run("ask", KERNEL, String(socket.address().port));
  assert.equal(output, `question of ${PROGRAM} ${KERNEL}`);
  socket.close();
});

test("what Millrace has no route to goes by the kernel", async () => {
  const server = net.createServer((socket) => socket.pipe(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const { output, errors } = await run("echo", "127.0.0.1", String(port));
  assert.equal(output, "1000000 127.0.0.1");
  assert.match(errors, /stays with the kernel: loopback is the kernel's/);
  server.close();
});

test("a forked child leaves the device to its parent, and has the one that it is given", async () => {
  const socket = await datagrams("0.0.0.0");
  socket.on("message", (m, from) =>
    socket.send(`${m} of ${from.address}`, from.port, from.address),
  );
  const { port } = socket.address();
  const inherits = await run("fork", KERNEL, String(port), KERNEL);
  const answers = [`question of ${PROGRAM} ${KERNEL}`, `question of ${KERNEL} ${KERNEL}`];
  assert.deepEqual(inherits.output.split("\n"), answers, inherits.errors);
  assert.match(inherits.errors, /stays with the kernel: the device is the parent process's/);

  ip("tuntap", "add", "mrnode1", "mode", "tap");
  ip("address", "add", "10.78.1.1/24", "dev", "mrnode1");
  ip("link", "set", "mrnode1", "up");
  const own = ["MILLRACE_NIC=tap:mrnode1", "MILLRACE_ADDRESS=10.78.1.2/24"];
  const given = await run("fork", KERNEL, String(port), "10.78.1.1", ...own);
  socket.close();
  assert.match(given.output, /of 10\.78\.0\.2 .*\nquestion of 10\.78\.1\.2 /, given.errors);
});
