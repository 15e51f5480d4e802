/**
 * `millrace run --loopback`: 127.0.0.1 and ::1 go through Millrace; without it they are the kernel's, and a
 * socket that is bound to a wildcard hears both sides under its one descriptor.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { accelerated, output, PROGRAMS, plain, tryHttp, tryNc } from "../support/nic-programs.js";
import { HERE, RunWorld } from "../support/run-world.js";

await enterNamespace(import.meta.url, "python3", ...PROGRAMS);
const PYTHON = "/usr/bin/python3";

test("--loopback: programs meet at 127.0.0.1 and ::1 in Millrace", async () => {
  const world = RunWorld.open();
  const four = accelerated(world, "127.0.0.1", "--loopback");
  const six = { ...four, address: "::1" };
  await tryHttp(four, four, 8080);
  await tryHttp(six, six, 8081);
  await tryNc(four, four, 8082);
  await tryNc(six, six, 8083);
  const server = world.accelerated("--loopback", "nc", "-l", "127.0.0.1", "8084");
  await world.serves(8084, server);
  const client = world.start(
    [world.millrace, "run", "--loopback", "--debug", "nc", "127.0.0.1", "8084"],
    null,
    true,
  );
  await client.said(/enabled bypass on fd \d+ \(tcp 0\.0\.0\.0:0 to 127\.0\.0\.1:8084 on lo\)/);
  await world.has(
    ({ remotePort, state }) => remotePort === 8084 && state === "ESTAB",
    "the connection",
  );
  await world.allAccelerated();
  await client.stop();
  await server.stop();
  // The kernel's programs still come to 127.0.0.1, and those under Millrace to the kernel's.
  const kernel = plain(world, "127.0.0.1", null);
  await tryHttp(four, kernel, 8085);
  await tryHttp(kernel, four, 8086);
  await world.end();
});

test("without it: the kernel's, for programs under Millrace and others", async () => {
  const world = RunWorld.open();
  const ours = accelerated(world, "127.0.0.1");
  await tryHttp(ours, ours, 8080);
  const said = await output(ours, ["sh", "-c", "curl -s http://127.0.0.1:9/; true"]);
  assert.equal(said, "");
  const debug = world.accelerated("--debug", "curl", "-s", "http://127.0.0.1:9/");
  const { err } = await debug.ended;
  assert.match(
    err,
    /fd \d+ stays with the kernel: loopback address 127\.0\.0\.1 \(see --loopback\)/,
  );
  await world.end();
});

/** Echoes whatever comes, with the address that it came to, on a UDP and a TCP socket of one family. */
const ECHO = `
import socket, selectors, sys
family = socket.AF_INET6 if sys.argv[1] != "4" else socket.AF_INET
def bound(kind):
    s = socket.socket(family, kind)
    if sys.argv[1] == "6": s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if sys.argv[1] == "46": s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("", int(sys.argv[2]))); s.setblocking(False)
    return s
u, t = bound(socket.SOCK_DGRAM), bound(socket.SOCK_STREAM)
t.listen()
chosen = selectors.DefaultSelector()
chosen.register(u, selectors.EVENT_READ); chosen.register(t, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in chosen.select():
        if key.fileobj is u:
            data, peer = u.recvfrom(100); u.sendto(data + b" udp", peer)
        else:
            c, _ = t.accept(); c.setblocking(True); c.sendall(c.recv(100) + b" tcp"); c.close()
`;

const ASK = `
import socket, sys
for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
    for info in socket.getaddrinfo(sys.argv[1], int(sys.argv[2]), type=kind):
        s = socket.socket(info[0], kind); s.settimeout(20); s.connect(info[4]); s.sendall(b"asked")
        print(s.recv(100).decode())
`;

for (const [family, port, addresses] of [
  ["4", "7004", ["127.0.0.1", HERE]],
  ["6", "7006", ["::1", "fd77::1"]],
  ["46", "7046", ["127.0.0.1", "::1", HERE, "fd77::1"]],
] as const) {
  test(`a server at the wildcard of family ${family} hears the kernel's interfaces and Millrace's`, async () => {
    const world = RunWorld.open();
    const server = world.accelerated(PYTHON, "-c", ECHO, family, port);
    await server.said(/^ready/m);
    for (const address of addresses) {
      const isKernels = address === "127.0.0.1" || address === "::1";
      const answers = "asked udp\nasked tcp\n";
      assert.equal(await world.run(PYTHON, "-c", ASK, address, port), answers, address);
      if (isKernels) assert.equal(await world.runPlain(PYTHON, "-c", ASK, address, port), answers);
    }
    const other = family === "4" ? "::1" : family === "6" ? "127.0.0.1" : null;
    if (other !== null) {
      const refused = await world.plain(PYTHON, "-c", ASK, other, port).ended;
      assert.match(refused.err, /refused/);
    }
    await server.stop();
    await world.end();
  });
}
