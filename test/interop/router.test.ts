/**
 * A Linux router with a smaller MTU between a Millrace host and a Linux server: traceroute both
 * ways, path-MTU discovery by UDP and TCP, both families.
 *
 *     Millrace 10.7.0.2 -- tap -- Linux router 10.7.0.1, 10.8.0.1 -- veth, MTU 1300 -- 10.8.0.2
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { content } from "../support/content.js";
import { enterNamespace, ip, Namespace } from "../support/namespace.js";
import { runAsync } from "../support/run-async.js";
import { HOST4, HOST6, LINUX4, tapHost } from "../support/tap-host.js";

await enterNamespace(import.meta.url, "ip", "traceroute", "tracepath", "python3", "tshark");

const PEER = fileURLToPath(new URL("../../../test/support/linux-tcp.py", import.meta.url));
const FAR4 = "10.8.0.2";
const FAR6 = "fd08::2";
const { host, close } = tapHost();
const far = Namespace.create();
after(() => far.close());
ip(
  "link",
  "add",
  "near",
  "mtu",
  "1300",
  "type",
  "veth",
  "peer",
  "name",
  "far",
  "mtu",
  "1300",
  "netns",
  far.name,
);
ip("address", "add", "10.8.0.1/24", "dev", "near");
ip("address", "add", "fd08::1/64", "dev", "near", "nodad");
ip("link", "set", "near", "up");
far.run("ip", "address", "add", `${FAR4}/24`, "dev", "far");
far.run("ip", "address", "add", `${FAR6}/64`, "dev", "far", "nodad");
far.run("ip", "link", "set", "far", "up");
far.run("ip", "route", "add", "default", "via", "10.8.0.1");
far.run("ip", "-6", "route", "add", "default", "via", "fd08::1");
writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
writeFileSync("/proc/sys/net/ipv6/conf/all/forwarding", "1");

const inFar = (...command: string[]): Promise<string> =>
  runAsync("ip", "netns", "exec", far.name, ...command);
const keepAwake = await host.udp({ port: 1 });
after(() => keepAwake.close());

for (const [far_, near] of [
  [HOST4, "10.8.0.1"],
  [HOST6, "fd08::1"],
] as const) {
  test(`Linux traces the route to ${far_} through the router`, async () => {
    const out = await inFar("traceroute", "-n", "-q", "1", "-w", "2", far_);
    assert.match(out, new RegExp(`1 +${near}`));
    assert.match(out, new RegExp(`2 +${far_}`));
  });
}

test("the host hears where its datagram's time to live ran out", async () => {
  const channel = await host.udp({ address: HOST4, ttl: 1 });
  channel.socket.set("IP_RECVERR", 1);
  channel.connect(FAR4, 33_434);
  await channel.send("probe");
  await assert.rejects(channel.receive({ signal: AbortSignal.timeout(3000) }), {
    code: "EHOSTUNREACH",
  });
  channel.close();
});

for (const [address, port] of [
  [FAR4, 5001],
  [FAR6, 5002],
] as const) {
  test(`a TCP transfer to ${address} finds the path's MTU of 1300`, async () => {
    const { background } = await import("../support/namespace.js");
    const sink = background(
      "ip",
      "netns",
      "exec",
      far.name,
      "python3",
      PEER,
      "sink",
      address,
      `${port}`,
    );
    await sink.waitFor(/ready/);
    const connection = await host.connect({ address, port });
    const digest = createHash("sha256");
    for (const block of content(3_000_000)) {
      digest.update(block);
      connection.write(block);
    }
    connection.end();
    await sink.waitFor(/[0-9a-f]{64} \d+/, 30_000);
    assert.match(sink.output, new RegExp(`${digest.digest("hex")} 3000000`));
  });
}

test("a large datagram that may not be fragmented is refused once the path is known", async () => {
  const channel = await host.udp({ address: HOST4 });
  channel.socket.set("IP_MTU_DISCOVER", 2);
  channel.connect(FAR4, 9);
  await channel.send(new Uint8Array(1400)).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 200));
  await assert.rejects(
    (async () => {
      await channel.send(new Uint8Array(1400));
      await channel.send(new Uint8Array(1400));
    })(),
    { code: "EMSGSIZE" },
  );
  assert.equal(channel.socket.get("IP_MTU"), 1300);
  channel.close();
});

test("Linux finds the MTU of the path to the host with tracepath", async () => {
  const out = await inFar("tracepath", "-n", "-m", "4", HOST4);
  assert.match(out, new RegExp(`${HOST4}|reached`));
});

test("the router's own address answers the host", async () => {
  assert.equal((await host.ping(LINUX4, { count: 1 })).replies.length, 1);
});

after(close); // hooks run in order: sockets first, then the host
