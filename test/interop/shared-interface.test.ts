/**
 * An interface that Millrace shares with the kernel: both serve on it, what the administrator
 * changes is followed while connections run, and a Millrace that is killed leaves nothing behind.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { IpAddress } from "../../src/base/ip-address.js";
import { openXdp } from "../../src/nic/xdp.js";
import { createHost, sharedPool } from "../../src/socket/create-host.js";
import type { Host } from "../../src/socket/host.js";
import type { TcpConnection } from "../../src/socket/tcp-connection.js";
import { attachedXdp } from "../../src/sys/xdp-link.js";
import { serveEcho } from "../support/echo-services.js";
import { KernelProgram } from "../support/kernel-program.js";
import {
  background,
  enterNamespace,
  ip,
  Namespace,
  needsRoot,
  sysctl,
} from "../support/namespace.js";
import { runAsync } from "../support/run-async.js";
import { PATIENCE_MS, until } from "../support/until.js";

await enterNamespace(import.meta.url, "ip", "ping");
const options = { skip: needsRoot() };

const HERE = "10.7.0.1";
const PEER = "10.7.0.2";
const HERE6 = "fd07::1";
const PEER6 = "fd07::2";
/** A second hardware address of the peer's, as a router. */
const GATEWAY = "10.7.0.3";
/** Behind either. */
const BEYOND = "10.9.0.1";

let far: Namespace;
let host: Host;
/** Kernel sockets at the far end, and beside Millrace. */
let peer: KernelProgram;
let beside: KernelProgram;

before(async () => {
  if (needsRoot() !== false) return;
  far = Namespace.create();
  ip("link", "add", "eth0", "type", "veth", "peer", "name", "far", "netns", far.name);
  ip("address", "add", `${HERE}/24`, "dev", "eth0");
  ip("address", "add", `${HERE6}/64`, "dev", "eth0", "nodad");
  ip("link", "set", "eth0", "up");
  far.run("ip", "address", "add", `${PEER}/24`, "dev", "far");
  far.run("ip", "address", "add", `${PEER6}/64`, "dev", "far", "nodad");
  far.run("ip", "link", "set", "far", "up");
  far.run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_notify=1");
  far.run("ip", "link", "add", "far2", "link", "far", "type", "macvlan", "mode", "private");
  far.run("ip", "address", "add", `${GATEWAY}/32`, "dev", "far2");
  far.run("ip", "link", "set", "far2", "up");
  far.run("sysctl", "-qw", "net.ipv4.conf.far2.rp_filter=0", "net.ipv4.conf.all.rp_filter=0");
  far.run("ip", "address", "add", `${BEYOND}/32`, "dev", "lo");
  ip("route", "add", "10.9.0.0/24", "via", PEER);
  host = createHost({ device: openXdp(sharedPool(), { interface: "eth0", shared: true }) });
  peer = await KernelProgram.start(far);
  beside = await KernelProgram.start(null);
  assert.equal(await beside.call("serve tcp 22"), "ok");
  assert.equal(await beside.call("serve udp 22"), "ok");
  await serveEcho(host, 80);
  assert.equal(await peer.call("serve tcp 7"), "ok");
});
after(() => {
  if (needsRoot() !== false) return;
  host?.close();
  assert.equal(attachedXdp("eth0"), null);
});

const received = (device: string): number =>
  Number(far.run("cat", `/sys/class/net/${device}/statistics/rx_packets`));

/** Of both ends: frames that are longer than the receiver's are lost. */
function setMtu(mtuBytes: number): void {
  ip("link", "set", "eth0", "mtu", `${mtuBytes}`);
  far.run("ip", "link", "set", "far", "mtu", `${mtuBytes}`);
}

/** Says something on a connection to an echo server, and waits for it. */
async function echo(connection: TcpConnection, text: string): Promise<void> {
  let got = "";
  const take = (bytes: Buffer): void => {
    got += bytes.toString();
  };
  connection.on("data", take);
  connection.write(text);
  await until(() => got.length >= text.length, `the echo of ${text.slice(0, 20)}`);
  connection.off("data", take);
  assert.equal(got, text);
}

test(
  "the kernel keeps its address, its ping and its services; Millrace has its own",
  options,
  async () => {
    await runAsync("ip", "netns", "exec", far.name, "ping", "-c", "2", "-W", "10", HERE);
    await runAsync("ip", "netns", "exec", far.name, "ping", "-c", "2", "-W", "10", HERE6);
    assert.equal(host.stack.ip.counters.get("echoAnswered"), 0);
    const framesIn = host.stack.ip.counters.get("framesIn");
    assert.equal(await peer.call(`connect ${HERE} 22`), "ok");
    assert.equal(await peer.call("say by-the-kernel"), "by-the-kernel");
    assert.equal(await peer.call(`ask ${HERE} 22 by-the-kernel`), "by-the-kernel");
    assert.equal(host.stack.ip.counters.get("framesIn"), framesIn, "none of it came here");
    for (const address of [HERE, HERE6]) {
      assert.equal(await peer.call(`connect ${address} 80`), "ok");
      assert.equal(await peer.call("say by-millrace"), "by-millrace");
      assert.equal(await peer.call(`ask ${address} 80 by-millrace`), "by-millrace");
    }
    assert.ok(host.stack.ip.counters.get("framesIn") > framesIn);
    assert.equal(await peer.call(`connect ${HERE} 81`), "ECONNREFUSED", "the kernel's to refuse");
  },
);

test("a port has one owner, Millrace or a program of the kernel's", options, async () => {
  await assert.rejects(host.listen({ port: 22 }), { code: "EADDRINUSE" });
  await assert.rejects(host.udp({ port: 22 }), { code: "EADDRINUSE" });
  assert.equal(await beside.call("serve tcp 80"), "EADDRINUSE");
  assert.equal(await beside.call("serve udp 80"), "EADDRINUSE");
  const server = await host.listen({ port: 8080 });
  server.close();
  assert.equal(await beside.call("serve tcp 8080"), "ok", "closed, it is free again");
  const chosen = await host.udp();
  assert.equal(await beside.call(`serve udp ${chosen.address().port}`), "EADDRINUSE");
  chosen.close();
});

test("a listener that closes and opens again on its port finds it free", options, async () => {
  const first = await host.listen({ port: 8081 });
  assert.equal(await peer.call(`connect ${HERE} 8081`), "ok");
  const connection = (await first.accept())!;
  first.close();
  const second = await host.listen({ port: 8081 });
  connection.destroy();
  second.close();
});

for (const [family, address] of [
  ["IPv4", PEER],
  ["IPv6", PEER6],
] as const) {
  test(
    `connects out over ${family} to a neighbour that the kernel must resolve first`,
    options,
    async () => {
      ip("neighbour", "flush", "dev", "eth0");
      if (family === "IPv6") assert.equal(await peer.call("serve tcp6 76"), "ok");
      const connection = await host.connect({ address, port: family === "IPv6" ? 76 : 7 });
      await echo(connection, "hello");
      await echo(connection, "x".repeat(100_000));
      connection.destroy();
      assert.match(ip("neighbour", "show", address), /lladdr/, "in the kernel's table");
    },
  );
}

test("a neighbour that is not there is no route to host", options, async () => {
  await assert.rejects(host.connect({ address: "10.7.0.99", port: 7 }), { code: "EHOSTUNREACH" });
});

test("where the kernel has no route, there is none", options, async () => {
  await assert.rejects(host.connect({ address: "192.0.2.1", port: 7 }), { code: "ENETUNREACH" });
  ip("route", "add", "prohibit", "192.0.2.0/24");
  await assert.rejects(host.connect({ address: "192.0.2.1", port: 7 }), { code: "EACCES" });
  ip("route", "del", "prohibit", "192.0.2.0/24");
});

test(
  "a route that changes under a connection: the new next hop gets its segments",
  options,
  async () => {
    const connection = await host.connect({ address: BEYOND, port: 7 });
    await echo(connection, "by the first gateway");
    const before = received("far2");
    ip("route", "replace", "10.9.0.0/24", "via", GATEWAY);
    await echo(connection, "by the second gateway");
    assert.ok(received("far2") > before);
    ip("route", "replace", "10.9.0.0/24", "via", PEER);
    await echo(connection, "by the first one again");
    connection.destroy();
  },
);

test("policy rules are the kernel's too", options, async () => {
  ip("rule", "add", "to", BEYOND, "table", "77");
  ip("route", "add", "default", "via", GATEWAY, "table", "77");
  const before = received("far2");
  const connection = await host.connect({ address: BEYOND, port: 7 });
  await echo(connection, "by the rule");
  assert.ok(received("far2") > before);
  connection.destroy();
  ip("rule", "del", "to", BEYOND, "table", "77");
});

test(
  "the MTU of the link, and of a route, bounds the segments of a running connection",
  options,
  async () => {
    const connection = await host.connect({ address: BEYOND, port: 7 });
    const text = "0123456789".repeat(5_000);
    const mss = (): number => connection.socket.info()!.sndMss;
    await echo(connection, text);
    assert.equal(mss(), 1448);
    setMtu(1300);
    await echo(connection, text);
    assert.equal(mss(), 1248);
    setMtu(1500);
    ip("route", "replace", "10.9.0.0/24", "via", PEER, "mtu", "1400");
    await echo(connection, text);
    assert.equal(mss(), 1348);
    ip("route", "replace", "10.9.0.0/24", "via", PEER);
    await echo(connection, text);
    assert.equal(mss(), 1448);
    connection.destroy();
  },
);

test("a neighbour that changes its hardware address is followed", options, async () => {
  const connection = await host.connect({ address: PEER, port: 7 });
  await echo(connection, "to the old one");
  far.run("ip", "link", "set", "far", "address", "02:00:00:00:07:77");
  await echo(connection, "to the new one");
  connection.destroy();
});

test("a stale neighbour that is in use is confirmed by the kernel", options, async () => {
  sysctl("net.ipv4.neigh.eth0.delay_first_probe_time", 1);
  const channel = await host.udp();
  ip("neighbour", "change", PEER, "dev", "eth0", "nud", "stale");
  const isReachable = (): boolean => /REACHABLE/.test(ip("neighbour", "show", PEER, "dev", "eth0"));
  assert.equal(isReachable(), false);
  await until(() => {
    void channel.send("to nobody", { address: PEER, port: 9 });
    return isReachable();
  }, "the kernel's confirmation");
  channel.close();
});

test(
  "an address that is taken away: the connection waits, and goes on when it is back",
  options,
  async () => {
    const connection = await host.connect({ address: PEER, port: 7 });
    await echo(connection, "with an address");
    ip("address", "del", `${HERE}/24`, "dev", "eth0");
    const own = IpAddress.parse(HERE);
    await until(() => !host.stack.ip.isLocal(own), "news of the address");
    await assert.rejects(host.udp({ address: HERE }), { code: "EADDRNOTAVAIL" });
    ip("address", "add", `${HERE}/24`, "dev", "eth0");
    ip("route", "replace", "10.9.0.0/24", "via", PEER);
    await echo(connection, "with it again");
    connection.destroy();
  },
);

test("an address that is added serves at once", options, async () => {
  ip("address", "add", "10.7.0.11/24", "dev", "eth0");
  const bound = await host.udp({ address: "10.7.0.11" });
  bound.close();
  assert.equal(await peer.call("connect 10.7.0.11 80"), "ok");
  assert.equal(await peer.call("say on-the-new-address"), "on-the-new-address");
  ip("address", "del", "10.7.0.11/24", "dev", "eth0");
});

test("a link that goes down and comes up again", options, async () => {
  const connection = await host.connect({ address: PEER, port: 7 });
  ip("link", "set", "eth0", "down");
  const iface = host.stack.interfaceByName("eth0")!;
  await until(() => !iface.isUp, "news of the link");
  await assert.rejects(host.connect({ address: PEER, port: 7 }), /ENETUNREACH|ENETDOWN/);
  connection.write("written while it was down");
  ip("link", "set", "eth0", "up");
  ip("address", "add", `${HERE6}/64`, "dev", "eth0", "nodad");
  ip("route", "replace", "10.9.0.0/24", "via", PEER);
  let got = "";
  connection.on("data", (bytes: Buffer) => {
    got += bytes.toString();
  });
  await until(() => got === "written while it was down", "the echo");
  connection.destroy();
});

test("groups are joined by the kernel and claimed by port", options, async () => {
  const channel = await host.udp({ port: 5007, address: "0.0.0.0" });
  channel.join("239.7.7.7");
  assert.match(ip("maddress", "show", "dev", "eth0"), /inet {2}239\.7\.7\.7/);
  far.run("ip", "route", "replace", "239.0.0.0/8", "dev", "far");
  const waiting = channel.receive({ signal: AbortSignal.timeout(PATIENCE_MS) });
  assert.equal(await peer.call("send 239.7.7.7 5007 to-the-group"), "ok");
  assert.equal(Buffer.from((await waiting)!.data).toString(), "to-the-group");
  channel.close();
  assert.doesNotMatch(ip("maddress", "show", "dev", "eth0"), /239\.7\.7\.7/);
});

test("closed, a host leaves no descriptor, claim or program", options, async () => {
  host.close();
  const openFds = (): number => readdirSync("/proc/self/fd").length;
  const round = async (): Promise<void> => {
    const device = openXdp(sharedPool(), { interface: "eth0", shared: true });
    const another = createHost({ device });
    await serveEcho(another, 80);
    const channel = await another.udp({ port: 5008, address: "0.0.0.0" });
    channel.join("239.7.7.8");
    const connection = await another.connect({ address: PEER, port: 7 });
    await echo(connection, "hello");
    another.close();
  };
  await round(); // what is made once
  const before = openFds();
  await round();
  assert.equal(openFds(), before);
  assert.equal(attachedXdp("eth0"), null);
  assert.doesNotMatch(ip("maddress", "show", "dev", "eth0"), /239\.7\.7\.8/);
  assert.equal(await beside.call("serve tcp 81"), "ok");
});

test("killed, it leaves nothing: the kernel answers at once", options, async () => {
  assert.equal(attachedXdp("eth0"), null);
  const script = fileURLToPath(new URL("../support/shared-server.js", import.meta.url));
  const victim = background(process.execPath, script, "eth0", "80");
  await victim.waitFor(/ready/);
  assert.equal(await peer.call(`connect ${HERE} 80`), "ok");
  assert.equal(await peer.call("say alive"), "alive");
  assert.equal(await peer.call(`ask ${HERE} 80 alive`), "alive");
  assert.notEqual(attachedXdp("eth0"), null);
  await victim.stop("SIGKILL");
  assert.equal(attachedXdp("eth0"), null);
  assert.equal(await peer.call("say anybody"), "ECONNRESET");
  assert.equal(await peer.call(`connect ${HERE} 80`), "ECONNREFUSED");
  assert.equal(await peer.call(`ask ${HERE} 80 anybody`), "ECONNREFUSED");
  assert.doesNotMatch(ip("-d", "link", "show", "eth0"), /xdp/);
  assert.equal(await beside.call("serve tcp 80"), "ok", "the port is free");
});
