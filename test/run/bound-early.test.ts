/**
 * Servers that bind in one process and listen in others: uvicorn's workers, Node.js's cluster with SCHED_NONE, programs
 * that replace themselves. What each process can do with its copy is compared with the kernel by programs/bound.c.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { HERE, type Running, RunWorld } from "../support/run-world.js";

await enterNamespace(import.meta.url, "python3", "curl");
const world = RunWorld.open();
const PYTHON = "/usr/bin/python3";

function file(name: string, text: string): string {
  const path = join(world.folder, name);
  writeFileSync(path, text);
  return path;
}

/** Once the server has said its port, `processes` have its one listener, and it answers by Millrace and by the kernel. */
async function answers(server: Running, processes: number): Promise<void> {
  await server.said(/port \d+/);
  const port = Number(/port (\d+)/.exec(server.out)![1]);
  await world.has(
    (s) => s.localPort === port && s.state === "LISTEN" && s.holders.length >= processes,
    `a listener on port ${port} with ${processes} holders`,
    server,
  );
  for (let i = 0; i < 4; i++) {
    assert.equal(await world.run("curl", "-sS", `http://${HERE}:${port}/`), "served\n");
  }
  assert.equal(await world.runPlain("curl", "-sS", `http://127.0.0.1:${port}/`), "served\n");
}

test("workers that listen on a socket that they are given, as uvicorn's", async () => {
  const program = file(
    "workers.py",
    `
import multiprocessing, signal, socket, sys

def work(server):
    server.listen(16)
    while True:
        client, _ = server.accept()
        client.recv(4096)
        client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nserved\\n")
        client.close()

if __name__ == "__main__":
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", 0))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=work, args=(server,), daemon=True) for _ in range(2)]
    for worker in workers: worker.start()
    print("port", server.getsockname()[1], flush=True)
    for worker in workers: worker.join()
`,
  );
  const server = world.accelerated(PYTHON, program);
  await answers(server, 3);
  await server.stop();
});

test("Node.js's cluster with SCHED_NONE", async () => {
  const program = file(
    "cluster.cjs",
    `
const cluster = require("node:cluster");
cluster.schedulingPolicy = cluster.SCHED_NONE;
if (cluster.isPrimary) {
  let listening = 0;
  cluster.fork();
  cluster.fork();
  cluster.on("listening", (worker, { port }) => {
    listening++;
    if (listening === 2) console.log("port " + port);
  });
} else {
  const server = require("node:http").createServer((request, response) => response.end("served\\n"));
  server.listen(0, "0.0.0.0");
}
`,
  );
  const server = world.accelerated(process.execPath, program);
  await answers(server, 3);
  await server.stop();
});

test("a program that replaces itself", async () => {
  const program = file(
    "replaced.py",
    `
import os, socket, sys
if len(sys.argv) == 1:
    server = socket.socket()
    server.bind(("", 0))
    server.set_inheritable(True)
    os.execv(sys.executable, [sys.executable, __file__, str(server.fileno())])
with socket.socket(fileno=int(sys.argv[1])) as server:
    server.listen()
    print("port", server.getsockname()[1], flush=True)
    while True:
        client, _ = server.accept()
        client.recv(4096)
        client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nserved\\n")
        client.close()
`,
  );
  const server = world.accelerated(PYTHON, program);
  await answers(server, 1);
  await server.stop();
});

test("the engine ends before anybody listens: the kernel's programs are served, at the same port", async () => {
  const program = file(
    "orphan.py",
    `
import os, signal, socket, sys
def bound():
    made = socket.socket()
    made.bind(("", 0))
    return made
def serves(server, client, port):
    signal.alarm(60)
    server.listen()
    client.connect(("127.0.0.1", port))
    server.accept()[0].sendall(b"served")
    print(client.recv(6).decode(), flush=True)
def sockets():
    server = bound()
    return server, bound(), server.getsockname()[1]
own, childs = sockets(), sockets()
ready, go = os.pipe()
if os.fork() == 0:
    os.read(ready, 1)
    serves(*childs)
    os._exit(0)
print("bound", flush=True)
sys.stdin.readline()
serves(*own)
os.write(go, b"x")
os.wait()
`,
  );
  const words = [world.millrace, "run", "--debug", PYTHON, program];
  const running = world.start(words, "", true);
  await running.said(/bound\n/);
  const engine = (await world.stat()).find(({ kind }) => kind === "engine");
  assert.ok(engine?.kind === "engine");
  process.kill(engine.pid, "SIGKILL");
  running.child.stdin!.end("\n");
  const { out, err } = await running.ended;
  assert.equal(out, "bound\nserved\nserved\n", err);
  assert.match(err, /fd \d+ stays with the kernel: the engine is gone\n/);
});

test("rules: what servers may not clients may, and the other way round", async () => {
  const serves = file(
    "serves.py",
    `
import socket
server = socket.create_server(("", 0))
print("port", server.getsockname()[1], flush=True)
while True:
    client, _ = server.accept()
    client.sendall(b"served")
    client.close()
`,
  );
  const connects = `
import os, socket, sys
client = socket.socket()
client.bind(("", 0))
os.system("true")
client.connect((sys.argv[1], int(sys.argv[2])))
print(client.recv(6).decode())
`;
  const server = world.accelerated(PYTHON, serves);
  await server.said(/port \d+/);
  const port = /port (\d+)/.exec(server.out)![1]!;
  const client = (rules: string) => {
    const words = ["--debug", "--rules", file("early.rules", rules), PYTHON, "-c", connects];
    return world.accelerated(...words, HERE, port).ended;
  };
  const asClient = await client("use os tcp_server *:*\n");
  assert.equal(asClient.out, "served\n", asClient.err);
  const asServer = await client("use os tcp_client *:*\n");
  assert.equal(asServer.out, "");
  assert.match(asServer.err, /fd \d+ stays with the kernel: it was bound and shared, and connects/);
  await server.stop();
});

test("what comes from a program without Millrace stays with the kernel, and says so", async () => {
  const listens = file(
    "listens.py",
    `
import socket, sys
with socket.socket(fileno=int(sys.argv[1])) as server:
    server.listen()
    client = socket.create_connection(("127.0.0.1", server.getsockname()[1]))
    server.accept()[0].sendall(b"served")
    print(client.recv(9).decode())
`,
  );
  const program = `
import os, socket, sys
server = socket.socket()
server.bind(("", 0))
server.set_inheritable(True)
os.execv(sys.argv[1], [*sys.argv[1:], str(server.fileno())])
`;
  const words = [world.millrace, "run", "--debug", PYTHON, listens];
  const { out, err } = await world.plain(PYTHON, "-c", program, ...words).ended;
  assert.equal(out, "served\n", err);
  assert.match(
    err,
    /fd \d+ stays with the kernel: another process passed it on before it was Millrace's\n/,
  );
});
