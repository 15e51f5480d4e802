/**
 * TCP sockets that another process gets bound and no more (uvicorn's workers, Node.js's cluster with SCHED_NONE): they
 * stay with the kernel, serve its programs, and `--debug` says why.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { RunWorld } from "../support/run-world.js";

await enterNamespace(import.meta.url, "python3");
const world = RunWorld.open();
const PYTHON = "/usr/bin/python3";
const WHY = /fd \d+ stays with the kernel: another process passed it on before it was Millrace's\n/;

const LISTENS = `
import socket, sys
with socket.socket(fileno=int(sys.argv[1])) as server:
    server.listen()
    client = socket.create_connection(("127.0.0.1", server.getsockname()[1]))
    server.accept()[0].sendall(b"served")
    print(client.recv(9).decode())
`;

test("over exec", async () => {
  const program = `
import os, socket, sys
server = socket.socket()
server.bind(("", 0))
server.set_inheritable(True)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1], str(server.fileno())])
`;
  const { out, err } = await world.accelerated("--debug", PYTHON, "-c", program, LISTENS).ended;
  assert.equal(out, "served\n", err);
  assert.match(err, WHY);
});

test("by a message", async () => {
  const program = `
import os, socket, sys
one, other = socket.socketpair()
server = socket.socket()
server.bind(("", 0))
if os.fork() == 0:
    sys.argv[1] = str(socket.recv_fds(other, 1, 1)[1][0])
    exec(${JSON.stringify(LISTENS)})
else:
    socket.send_fds(one, [b"x"], [server.fileno()])
    server.close()
    os.wait()
`;
  const { out, err } = await world.accelerated("--debug", PYTHON, "-c", program, "").ended;
  assert.equal(out, "served\n", err);
  assert.match(err, WHY);
});

test("what was accelerated before is not told so", async () => {
  const program = `
import os, socket, sys
server = socket.create_server(("", 0))
server.set_inheritable(True)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1], str(server.fileno())])
`;
  const { out, err } = await world.accelerated("--debug", PYTHON, "-c", program, LISTENS).ended;
  assert.equal(out, "served\n", err);
  assert.doesNotMatch(err, WHY);
});
