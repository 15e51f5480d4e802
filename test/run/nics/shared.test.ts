/**
 * `millrace run --nic eth0`: unmodified programs on an interface that the kernel keeps (AF_XDP), with
 * Linux at the far end and the kernel's programs beside them.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ECHO_CLIENT, ECHO_SERVER } from "../../support/echo-servers.js";
import { enterNamespace, ip, Namespace, needsRoot } from "../../support/namespace.js";
import {
  accelerated,
  output,
  PROGRAMS,
  plain,
  type Side,
  start,
  tryHttp,
  tryNc,
  tryPrograms,
} from "../../support/nic-programs.js";
import { type Running, RunWorld } from "../../support/run-world.js";

await enterNamespace(import.meta.url, "ip", "python3", ...PROGRAMS);
const options = { skip: needsRoot() };
const world = RunWorld.open();

let far: Namespace;
let near: Side;
let peer: Side;
let near6: Side;
let peer6: Side;
/** The kernel's programs beside those under Millrace. */
const beside = plain(world, "10.7.0.1", null);
before(() => {
  if (needsRoot() !== false) return;
  far = Namespace.create();
  ip("link", "add", "eth0", "type", "veth", "peer", "name", "far", "netns", far.name);
  ip("address", "add", "10.7.0.1/24", "dev", "eth0");
  ip("address", "add", "fd07::1/64", "dev", "eth0", "nodad");
  ip("link", "set", "eth0", "up");
  far.run("ip", "address", "add", "10.7.0.2/24", "dev", "far");
  far.run("ip", "address", "add", "fd07::2/64", "dev", "far", "nodad");
  far.run("ip", "link", "set", "far", "up");
  near = accelerated(world, "10.7.0.1", "--nic", "eth0");
  peer = plain(world, "10.7.0.2", far);
  near6 = { ...near, address: "fd07::1" };
  peer6 = { ...peer, address: "fd07::2" };
});
after(() => far?.close());

test("programs and Linux serve each other over the interface", options, async () => {
  await tryPrograms(near, peer);
});

test("the same over IPv6", options, async () => {
  await tryHttp(near6, peer6, 8090);
  await tryHttp(peer6, near6, 8091);
  await tryNc(near6, peer6, 8092);
  await tryNc(peer6, near6, 8093);
});

test("programs under Millrace reach each other at the interface's address", options, async () => {
  await tryHttp(near, near, 8100);
  await tryNc(near, near, 8101);
});

test(
  "the kernel's programs of this machine reach them, and they reach those",
  options,
  async () => {
    await tryHttp(near, beside, 8094);
    await tryHttp(beside, near, 8095);
    await tryNc(near, beside, 8096);
    await tryNc(beside, near, 8097);
  },
);

test(
  "so do programs of this machine over the host-local network beside the interface",
  options,
  async () => {
    const second = accelerated(world, "10.77.0.2", "--nic", "eth0", "--address", "10.77.0.2");
    await tryHttp(second, near, 8098);
    await tryHttp({ ...near, address: "10.77.0.1" }, second, 8098);
    await tryNc(second, near, 8099);
    assert.match(
      await output(near, ["sh", "-c", "MILLRACE_DEBUG=1 curl -sS http://10.77.0.1:9/ 2>&1; true"]),
      /enabled bypass on fd \d+ \(tcp 0\.0\.0\.0:0 to 10\.77\.0\.1:9 on mr0\)/,
    );
  },
);

test(
  "a client that has bound its port first, to the wildcard and to the address",
  options,
  async () => {
    for (const [i, own] of [[], ["-s", "10.7.0.1"]].entries()) {
      const port = `${8110 + i}`;
      const listener = start(peer, ["nc", "-n", "-v", "-l", port]);
      await listener.said(/Listening/);
      const words = ["nc", "-p", `${4100 + i}`, ...own, "-N", peer.address, port];
      await output({ ...near, prefix: [...near.prefix, "--debug"] }, words, "bound\n");
      const { out, err } = await listener.ended;
      assert.equal(out, "bound\n");
      assert.match(err, new RegExp(`Connection received on 10\\.7\\.0\\.1 ${4100 + i}`));
    }
  },
);

const PYTHON = "/usr/bin/python3";

function file(name: string, text: string): string {
  const path = join(world.folder, name);
  writeFileSync(path, text);
  return path;
}

/** A client at the far end, which has had its first echo from a server of that name. */
async function echoClient(address: string, port: number, name: string): Promise<Running> {
  const words = [PYTHON, file("client.py", ECHO_CLIENT), address, `${port}`];
  const client = world.start([...peer.prefix, ...words], null, true);
  await client.said(new RegExp(`greeted by ${name}\\nechoed\\n`));
  return client;
}

async function endClient(client: Running, echoes: number): Promise<void> {
  client.child.stdin!.end();
  const { status, out, err } = await client.ended;
  assert.deepEqual([status, out.split("echoed").length - 1], [0, echoes], err);
  assert.match(out, /over\n$/);
}

for (const [i, [family, bound, address]] of (
  [
    ["4", "0.0.0.0", "10.7.0.1"],
    ["4", "10.7.0.1", "10.7.0.1"],
    ["6", "::", "fd07::1"],
    ["6", "fd07::1", "fd07::1"],
  ] as const
).entries()) {
  test(
    `connections of a server of the kernel's go on when another begins under Millrace at ${bound}`,
    options,
    async () => {
      const port = 8120 + i;
      const words = [PYTHON, file("server.py", ECHO_SERVER), family, bound, `${port}`];
      const older = start(beside, [...words, "old"]);
      await older.said(/listens/);
      const client = await echoClient(address, port, "old");
      const newer = start(near, [...words, "new"]);
      await newer.said(/listens/);
      await world.serves(port, newer);
      client.child.stdin!.write("again\n");
      await client.said(/echoed\nechoed\n/);
      const other = await echoClient(address, port, "new");
      await endClient(client, 2);
      await endClient(other, 1);
      await Promise.all([older.stop(), newer.stop()]);
    },
  );
}

/** Binds, waits until somebody comes, and becomes the program behind the address. */
const MANAGER = `
import os, select, socket, sys
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("waits", flush=True)
select.select([listener], [], [])
os.dup2(listener.fileno(), 100)
os.dup2(100, 3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
`;

test("the connection that starts a program by socket activation is served", options, async () => {
  const port = 8130;
  const program = [PYTHON, file("server.py", ECHO_SERVER), "4", "0.0.0.0", `${port}`, "new"];
  const manager = [PYTHON, file("manager.py", MANAGER), `${port}`, ...near.prefix, ...program];
  const server = start(beside, manager);
  await server.said(/waits/);
  const first = await echoClient(near.address, port, "new");
  await world.serves(port, server);
  const second = await echoClient(near.address, port, "new");
  first.child.stdin!.write("again\n");
  await first.said(/echoed\nechoed\n/);
  await endClient(first, 2);
  await endClient(second, 1);
  await server.stop();
});
