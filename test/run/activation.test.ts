/** systemd's socket activation (sd_listen_fds(3)): a manager without Millrace binds, and starts the program when somebody comes. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { HERE, type Running, RunWorld } from "../support/run-world.js";

await enterNamespace(import.meta.url, "python3", "curl");
const world = RunWorld.open();
const PYTHON = "/usr/bin/python3";

/** Binds what the words before "--" say, says the ports, awaits a connection, and becomes the program behind it. */
const MANAGER = `
import fcntl, os, select, socket, sys
at = sys.argv.index("--")
sockets = [eval(word) for word in sys.argv[1:at]]
copies = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 100) for s in sockets]
print("ports", *[s.getsockname()[1] for s in sockets], flush=True)
select.select(sockets, [], [])
for i, fd in enumerate(copies): os.dup2(fd, 3 + i, True)
os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()))
os.closerange(3 + len(sockets), 200)
os.execv(sys.argv[at + 1], sys.argv[at + 1:])
`;
const TCP = 'socket.create_server(("0.0.0.0", 0), backlog=7)';
const UDP = '[s := socket.socket(type=socket.SOCK_DGRAM), s.bind(("0.0.0.0", 0))][0]';
const TCP6 = 'socket.create_server(("::", 0), family=socket.AF_INET6)';
/** On port 0: what no program may have twice. */
const UNBOUND = "socket.socket()";

function file(name: string, text: string): string {
  const path = join(world.folder, name);
  writeFileSync(path, text);
  return path;
}

/** Serves HTTP on all that it is given, until it is told to end. */
const SERVER = `
import os, selectors, socket
selector = selectors.DefaultSelector()
for fd in range(3, 3 + int(os.environ["LISTEN_FDS"])):
    s = socket.socket(fileno=fd)
    if s.type != socket.SOCK_STREAM or s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN): selector.register(s, 1)
while True:
    for key, _ in selector.select():
        if key.fileobj.type == socket.SOCK_DGRAM:
            data, peer = key.fileobj.recvfrom(100)
            key.fileobj.sendto(b"served " + data, peer)
            continue
        try: client, _ = key.fileobj.accept()
        except BlockingIOError: continue # another process was faster
        client.recv(4096)
        client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nserved\\n")
        client.close()
`;
const ASK = `
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
s.settimeout(30)
s.sendto(b"you", (sys.argv[1], int(sys.argv[2])))
print(s.recv(100).decode())
`;

async function started(...sockets: string[]): Promise<{ server: Running; ports: number[] }> {
  const program = [world.millrace, "run", "--debug", PYTHON, file("server.py", SERVER)];
  const server = world.plain(PYTHON, file("manager.py", MANAGER), ...sockets, "--", ...program);
  await server.said(/ports .*\n/);
  return { server, ports: /ports (.*)\n/.exec(server.out)![1]!.split(" ").map(Number) };
}

const curl = (host: string, port: number): string[] => ["curl", "-sS", `http://${host}:${port}/`];

test("listeners and UDP sockets are reached by Millrace and by the kernel", async () => {
  const { server, ports } = await started(TCP, UDP, TCP6);
  const [tcp, udp, tcp6] = ports as [number, number, number];
  // It is what starts the program, and waits in the kernel's queue until then.
  assert.equal(await world.runPlain(...curl("127.0.0.1", tcp)), "served\n", server.err);
  const listener = await world.has(
    (s) => s.localPort === tcp && s.state === "LISTEN",
    "the listener",
    server,
  );
  assert.equal(listener.sendQ, 7, "the backlog that the manager has set");
  assert.equal(await world.run(...curl(HERE, tcp)), "served\n");
  assert.equal(await world.runPlain(...curl("[::1]", tcp6)), "served\n");
  await world.serves(tcp6);
  await world.serves(udp);
  const ask = file("ask.py", ASK);
  assert.equal(await world.run(PYTHON, ask, HERE, String(udp)), "served you\n");
  assert.equal(await world.runPlain(PYTHON, ask, "127.0.0.1", String(udp)), "served you\n");
  await server.stop();
});

test("another that is given the same listener stays with the kernel, and says why", async () => {
  const manager = file(
    "manager.py",
    MANAGER.replace(
      "os.execv",
      "os.setpgrp()\nos.fork()\nos.environ['LISTEN_PID'] = str(os.getpid())\nos.execv",
    ),
  );
  const program = [world.millrace, "run", "--debug", PYTHON, file("server.py", SERVER)];
  const server = world.plain(PYTHON, manager, TCP, "--", ...program);
  await server.said(/ports .*\n/);
  const port = Number(/ports (\d+)/.exec(server.out)![1]);
  assert.equal(await world.runPlain(...curl("127.0.0.1", port)), "served\n", server.err);
  await server.said(/fd 3 stays with the kernel: Address already in use\n/);
  assert.equal(await world.run(...curl(HERE, port)), "served\n", server.err);
  process.kill(-server.pid, "SIGTERM");
  await server.ended;
});

test("variables that are for another process, or name what is no socket, change nothing", async () => {
  const program = "import socket; print(socket.socket(fileno=3))";
  const words = [world.millrace, "run", "--debug", PYTHON, "-c", program];
  const manager = file(
    "other.py",
    MANAGER.replace("os.getpid()", "1").replace("select.select", "(lambda *_: 0)"),
  );
  const other = await world.plain(PYTHON, manager, TCP, "--", ...words).ended;
  assert.match(other.out, /laddr=/);
  assert.match(
    other.err,
    /fd 3 stays with the kernel: another process passed it on before it was Millrace's\n/,
  );
  const binds = "import socket; socket.socket(fileno=3).bind(('', 0))";
  const at = file("at.py", MANAGER.replace("select.select", "(lambda *_: 0)"));
  const datagrams = "socket.socket(type=socket.SOCK_DGRAM)";
  const own = [world.millrace, "run", "--debug", PYTHON, "-c", binds];
  const free = await world.plain(PYTHON, at, datagrams, "--", ...own).ended;
  assert.match(free.err, /enabled bypass on fd 3 \(udp 0\.0\.0\.0:/, "not bound before");
  const pipes = `
import os, sys
os.dup2(os.open("/dev/null", os.O_RDWR), 3, True)
os.environ.update(LISTEN_FDS="99999999999", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
`;
  const none = [world.millrace, "run", "--debug", PYTHON, "-c", "print('runs')"];
  const { out, err } = await world.plain(PYTHON, "-c", pipes, ...none).ended;
  assert.equal(out, "runs\n", err);
  const unbound = await started(UNBOUND, TCP);
  assert.equal(
    await world.runPlain(...curl("127.0.0.1", unbound.ports[1]!)),
    "served\n",
    unbound.server.err,
  );
  assert.equal(await world.run(...curl(HERE, unbound.ports[1]!)), "served\n", unbound.server.err);
  await unbound.server.stop();
});
