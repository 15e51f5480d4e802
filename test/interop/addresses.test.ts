/**
 * A Millrace host with two interfaces and several addresses beside Linux: which address and which
 * interface is used for what; broadcast.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openTap } from "../../src/nic/tap.js";
import { createHost, createPool } from "../../src/socket/create-host.js";
import type { UdpMessage } from "../../src/socket/udp-channel.js";
import { assertLinuxPings } from "../support/linux-ping.js";
import { background, enterNamespace, ip } from "../support/namespace.js";
import { runWithInput } from "../support/run-async.js";
import { quietInterfaces, Recording } from "../support/tap-host.js";
import { PATIENCE_MS } from "../support/until.js";

await enterNamespace(import.meta.url, "ip", "ping", "nc", "socat", "tshark");

/** Interface, Linux's address, the host's, in several networks. */
const NETWORKS = [
  { at: 0, linux: "10.7.0.1", host: "10.7.0.2", bits: 24 },
  { at: 0, linux: "10.7.64.1", host: "10.7.64.2", bits: 18 },
  { at: 0, linux: "fd07::1", host: "fd07::2", bits: 64 },
  { at: 1, linux: "10.8.0.1", host: "10.8.0.2", bits: 24 },
  { at: 1, linux: "fd08::1", host: "fd08::2", bits: 64 },
] as const;

const pool = createPool();
quietInterfaces();
const taps = [openTap(pool), openTap(pool)];
for (const { at, linux, bits } of NETWORKS) {
  const isV6 = linux.includes(":");
  ip("address", "add", `${linux}/${bits}`, "dev", taps[at]!.name, ...(isV6 ? ["nodad"] : []));
}
const recordings = taps.map(() => new Recording());
const host = createHost({
  pool,
  interfaces: taps.map((tap, i) => ({
    name: `if${i}`,
    device: recordings[i]!.of(tap, pool),
    addresses: NETWORKS.filter(({ at }) => at === i).map((n) => `${n.host}/${n.bits}`),
  })),
});
after(() => {
  host.close();
  for (const recording of recordings) recording.end();
});

const familyOf = (address: string): "4" | "6" => (address.includes(":") ? "6" : "4");
const bracketed = (address: string): string => (address.includes(":") ? `[${address}]` : address);

async function heard(channel: { receive(o: object): Promise<UdpMessage | null> }, what: string) {
  const message = await channel.receive({ signal: AbortSignal.timeout(PATIENCE_MS) });
  assert.notEqual(message, null, what);
  return message!;
}

for (const { at, linux, host: address } of NETWORKS) {
  test(`Linux pings ${address}`, async () => {
    const awake = await host.udp();
    await assertLinuxPings(address);
    awake.close();
  });

  test(`a datagram to ${linux} leaves from ${address}`, async () => {
    const socat = `UDP${familyOf(linux)}-RECVFROM:7000,bind=${bracketed(linux)},fork`;
    const server = background("socat", "-d", "-d", socat, "EXEC:cat");
    await server.waitFor(/starting|receiving on/);
    const channel = await host.udp();
    const answer = heard(channel, "the echo");
    await channel.send("echo", { address: linux, port: 7000 });
    const { data, destination, ifIndex } = await answer;
    assert.equal(data.toString(), "echo");
    assert.equal(destination, address);
    assert.equal(host.stack.interfaceByIndex(ifIndex)?.name, `if${at}`);
    channel.close();
    await server.stop();
  });

  test(`a connection to ${linux} has ${address} as its own`, async () => {
    const nc = background("nc", "-n", "-l", "-v", "-N", linux, "7001");
    await nc.waitFor(/Listening/);
    const connection = await host.connect({ address: linux, port: 7001 });
    assert.equal(connection.localAddress, address);
    connection.end();
    nc.write();
    await nc.ended;
    assert.match(nc.output, new RegExp(`received on ${address.replaceAll(".", "\\.")}`));
  });
}

test("a connection may be given another local address", async () => {
  const nc = background("nc", "-n", "-l", "-v", "-N", "10.7.0.1", "7002");
  await nc.waitFor(/Listening/);
  const to = { address: "10.7.0.1", port: 7002, localAddress: "10.7.64.2" };
  const connection = await host.connect(to);
  connection.end();
  nc.write();
  await nc.ended;
  assert.match(nc.output, /received on 10\.7\.64\.2/);
  await assert.rejects(host.connect({ ...to, localAddress: "10.9.9.9" }), {
    code: "EADDRNOTAVAIL",
  });
});

for (const broadcast of ["10.7.0.255", "255.255.255.255", "10.7.127.255"]) {
  test(`the host hears what Linux broadcasts to ${broadcast}`, async () => {
    const channel = await host.udp({ port: 7003 });
    const message = heard(channel, "the broadcast");
    const device = taps[0]!.name;
    const target = `UDP4-DATAGRAM:${broadcast}:7003,broadcast,so-bindtodevice=${device}`;
    await runWithInput("to all", "socat", "-t", "0", "-", target);
    assert.deepEqual(
      [(await message).data.toString(), (await message).destination],
      ["to all", broadcast],
    );
    channel.close();
  });
}

for (const broadcast of ["10.7.0.255", "10.7.127.255"]) {
  test(`Linux hears what the host broadcasts to ${broadcast}`, async () => {
    const listener = background("socat", "-u", "-d", "-d", "UDP4-RECV:7004", "STDOUT");
    await listener.waitFor(/starting/);
    const channel = await host.udp({ broadcast: true });
    await channel.send("from the host to all\n", { address: broadcast, port: 7004 });
    await listener.waitFor(/from the host to all/);
    channel.close();
    await listener.stop();
  });
}

test("the limited broadcast leaves where the socket is bound", async () => {
  const listener = background("socat", "-u", "-d", "-d", "UDP4-RECV:7005", "STDOUT");
  await listener.waitFor(/starting/);
  const channel = await host.udp({ broadcast: true });
  channel.socket.bindToDevice("if1");
  await channel.send("to if1\n", { address: "255.255.255.255", port: 7005 });
  await listener.waitFor(/to if1/);
  const count = (i: number): number =>
    recordings[i]!.packets("ip.dst == 255.255.255.255 && udp.dstport == 7005").length;
  assert.deepEqual([count(0), count(1)], [0, 1]);
  channel.close();
  await listener.stop();
});

test("broadcasting takes the option for it", async () => {
  const channel = await host.udp();
  await assert.rejects(channel.send("x", { address: "10.7.0.255", port: 1 }), { code: "EACCES" });
  channel.close();
});
