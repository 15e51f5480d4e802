/**
 * An interface that is shared with the kernel: what is claimed does not reach the kernel's sockets,
 * all else does, and a killed owner gives everything back.
 */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ANY4, IpAddress } from "../../src/base/ip-address.js";
import { attachSteering } from "../../src/nic/xdp-program.js";
import { attachedXdp } from "../../src/sys/xdp-link.js";
import {
  background,
  enterNamespace,
  ip,
  Namespace,
  needsRoot,
  sysctl,
} from "../support/namespace.js";
import { until } from "../support/until.js";

await enterNamespace(import.meta.url, "ip", "bash", "socat", "ping");
const options = { skip: needsRoot() };

const UDP = 17;
const HOST4 = "10.9.0.1";
const HOST6 = "fd09::1";
const holder = fileURLToPath(new URL("../support/steering-holder.js", import.meta.url));

const peer = Namespace.create();
// What is taken goes this way; without IPv6, so that nothing else does.
ip("link", "add", "sink", "type", "veth", "peer", "name", "sinkend");
for (const name of ["sink", "sinkend"]) {
  sysctl(`net.ipv6.conf.${name}.disable_ipv6`, 1);
  ip("link", "set", name, "up");
}
ip("link", "add", "shared", "type", "veth", "peer", "name", "far", "netns", peer.name);
ip("addr", "add", `${HOST4}/24`, "dev", "shared");
ip("-6", "addr", "add", `${HOST6}/64`, "dev", "shared", "nodad");
ip("link", "set", "shared", "up");
peer.run("ip", "addr", "add", "10.9.0.2/24", "dev", "far");
peer.run("ip", "-6", "addr", "add", "fd09::2/64", "dev", "far", "nodad");
peer.run("ip", "link", "set", "far", "up");
after(() => peer.close());

const sunk = (): number =>
  Number(readFileSync("/sys/class/net/sinkend/statistics/rx_packets", "utf8"));

/** What came to a kernel socket of this namespace, as text. */
class Listener {
  readonly heard: string[] = [];
  /** Sending blocks this process: sockets must be bound before. */
  readonly opened: Promise<unknown>;
  private readonly socket: Socket;

  constructor(port: number, family: "udp4" | "udp6") {
    this.socket = createSocket({ type: family, ipv6Only: family === "udp6" });
    this.socket.on("message", (data) => this.heard.push(data.toString("latin1")));
    this.opened = once(this.socket, "listening");
    this.socket.bind(port);
    after(() => this.socket.close());
  }

  async waitFor(text: string): Promise<void> {
    await until(() => this.heard.includes(text), `${text.slice(0, 20)} in ${this.heard}`);
  }
}

const claimed4 = new Listener(7001, "udp4");
const free4 = new Listener(7002, "udp4");
const claimed6 = new Listener(7001, "udp6");
const free6 = new Listener(7002, "udp6");

function send(family: 4 | 6, port: number, text: string): void {
  const host = family === 4 ? HOST4 : `[${HOST6}]`;
  peer.run(
    "bash",
    "-c",
    `printf %s "$1" | socat -u -b 9000 - UDP${family}:${host}:${port}`,
    "-",
    text,
  );
}

before(async () => {
  for (const one of [claimed4, free4, claimed6, free6]) await one.opened;
  // Neighbours are resolved, and everything works without a program.
  send(4, 7001, "before");
  await claimed4.waitFor("before");
  send(6, 7001, "before");
  await claimed6.waitFor("before");
});

test(
  "claimed ports are taken, others and connections of the kernel are not; SIGKILL ends it",
  options,
  async () => {
    const server = createServer((socket) => socket.pipe(socket)).listen(0, HOST4);
    await once(server, "listening");
    const port = (server.address() as AddressInfo).port;
    const client = peer.background("socat", "-", `TCP4:${HOST4}:${port}`);
    client.write("one\n");
    await client.waitFor(/one/);

    const owner = background(
      process.execPath,
      holder,
      "shared",
      "sink",
      `port:${UDP}:0.0.0.0:7001`,
      `port:${UDP}:${HOST6.replaceAll(":", "/")}:7001`,
    );
    await owner.waitFor(/ready/);
    const sunkBefore = sunk();

    for (const [family, claimed, free] of [
      [4, claimed4, free4],
      [6, claimed6, free6],
    ] as const) {
      const long = "L".repeat(4000); // in three fragments
      for (const [name, text] of [
        ["short", "short"],
        ["long", long],
      ] as const) {
        send(family, 7001, text);
        send(family, 7002, text);
        await free.waitFor(text);
        assert.ok(!claimed.heard.includes(text), `IPv${family}: the kernel got a ${name} datagram`);
      }
    }
    // The other end of the sink counts a little later.
    await until(() => sunk() - sunkBefore >= 2 * (1 + 3), "all that was taken");
    assert.equal(sunk() - sunkBefore, 2 * (1 + 3));

    client.write("two\n");
    await client.waitFor(/two/);
    peer.run("ping", "-c", "1", "-W", "10", HOST4);

    owner.write("\n");
    await owner.waitFor(/\{.*\}/);
    const counters = JSON.parse(/\{.*\}/.exec(owner.output)![0]);
    assert.equal(counters.ports, 4);
    assert.equal(counters.fragments, 4);
    assert.ok(counters.unclaimed >= 5 && counters.unknownFragments === 4, JSON.stringify(counters));

    assert.equal(await owner.stop("SIGKILL"), null);
    assert.equal(attachedXdp("shared"), null);
    send(4, 7001, "after");
    send(6, 7001, "after");
    await claimed4.waitFor("after");
    await claimed6.waitFor("after");
    await client.stop();
    server.close();
  },
);

test("a claimed connection is taken by its 5-tuple alone", options, async () => {
  const echo = createServer((socket) => socket.pipe(socket)).listen(0, HOST4);
  await once(echo, "listening");
  const port = (echo.address() as AddressInfo).port;
  const flow = `flow:6:${HOST4}:${port}:10.9.0.2:40001`;
  const owner = background(process.execPath, holder, "shared", "sink", flow);
  await owner.waitFor(/ready/);
  const taken = peer.background("socat", "-", `TCP4:${HOST4}:${port},sourceport=40001`);
  await until(() => readCount(owner.output) > 0 || askAgain(owner), "a frame of the flow");
  const other = peer.background("socat", "-", `TCP4:${HOST4}:${port},sourceport=40002`);
  other.write("other\n");
  await other.waitFor(/other/);
  // The SYN is sent again; without the program the kernel answers it.
  await owner.stop("SIGKILL");
  taken.write("mine\n");
  await taken.waitFor(/mine/);
  await taken.stop();
  await other.stop();
  echo.close();
});

/** Frames of claimed connections, as the holder last said. */
function readCount(output: string): number {
  return Number(/.*"flows":(\d+)/s.exec(output)?.[1] ?? 0);
}

function askAgain(owner: { write(text: string): void }): false {
  owner.write("\n");
  return false;
}

for (const mode of ["native", "generic"] as const) {
  test(
    `${mode}: claimed frames reach the kernel while no socket is there, and are counted`,
    options,
    async () => {
      const fds = readdirSync("/proc/self/fd").length;
      const program = attachSteering({ interface: "shared", mode, hasFrags: mode === "native" });
      assert.equal(program.mode, mode);
      assert.equal(program.filter.addPort(UDP, ANY4, 7001), 0);
      send(4, 7001, `${mode} 1`);
      await claimed4.waitFor(`${mode} 1`);
      assert.equal(program.readCounters().get("noSocket"), 1);
      program.setLocalAddresses([IpAddress.parse("10.9.0.7")]);
      send(4, 7001, `${mode} 2`);
      await claimed4.waitFor(`${mode} 2`);
      assert.equal(program.readCounters().get("noSocket"), 1, "not an address of the host");
      program.close();
      program.close();
      assert.equal(program.counters.get("noSocket"), 1);
      assert.equal(program.readCounters().get("noSocket"), 1, "as last read");
      assert.equal(program.filter.addPort(UDP, ANY4, 7005), -9);
      program.filter.removePort(UDP, ANY4, 7001);
      assert.equal(attachedXdp("shared"), null);
      assert.equal(readdirSync("/proc/self/fd").length, fds);
    },
  );
}
