/** Groups between Linux and a Millrace host over TAP: both directions, both families, filters. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { background, enterNamespace, ip, run } from "../support/namespace.js";
import { HOST4, HOST6, LINUX4, LINUX6, tapHost } from "../support/tap-host.js";
import { PATIENCE_MS } from "../support/until.js";

await enterNamespace(import.meta.url, "ip", "python3", "tshark");

const PEER = fileURLToPath(new URL("../../../test/support/linux-multicast.py", import.meta.url));
const GROUP4 = "239.1.2.3";
const GROUP6 = "ff15::1:2";
const { host, close, tapName, recording } = tapHost();
ip("route", "add", "239.0.0.0/8", "dev", tapName);

const send = (group: string, port: number, text: string): string =>
  run("python3", PEER, "send", group, `${port}`, tapName, text);

for (const [group, hostAddress, linuxAddress, port] of [
  [GROUP4, HOST4, LINUX4, 6004],
  [GROUP6, HOST6, LINUX6, 6104],
] as const) {
  test(`a member hears what Linux sends to ${group}, a former member does not`, async () => {
    const channel = await host.udp({ port });
    channel.join(group, { interfaceAddress: hostAddress });
    await sleep(50);
    send(group, port, "hello group");
    const heard = await channel.receive({ signal: AbortSignal.timeout(PATIENCE_MS) });
    assert.equal(Buffer.from(heard!.data).toString(), "hello group");
    channel.leave(group, { interfaceAddress: hostAddress });
    await sleep(50);
    send(group, port, "gone");
    await assert.rejects(channel.receive({ signal: AbortSignal.timeout(300) }), {
      code: "ECANCELED",
    });
    channel.close();
  });

  test(`a Linux member hears what the host sends to ${group}`, async () => {
    const member = background("python3", PEER, "receive", group, `${port + 1}`, tapName);
    await member.waitFor(/ready/);
    const channel = await host.udp({ address: hostAddress });
    await channel.send("from the host", { address: group, port: port + 1 });
    await member.waitFor(/from the host/);
    channel.close();
  });

  test(`a source filter of Linux on ${group} lets the host through, or not`, async () => {
    const join = (source: string) =>
      background("python3", PEER, "receive-from", group, `${port + 3}`, tapName, source);
    const wanted = join(hostAddress);
    const unwanted = join(linuxAddress);
    await Promise.all([wanted.waitFor(/ready/), unwanted.waitFor(/ready/)]);
    const channel = await host.udp({ address: hostAddress });
    await channel.send("from the host", { address: group, port: port + 3 });
    await wanted.waitFor(/from the host/);
    assert.doesNotMatch(unwanted.output, /from the host/);
    channel.close();
    await unwanted.stop();
  });

  test(`a source filter on ${group} lets only the wanted sender through`, async () => {
    const wanted = await host.udp({ port: port + 2, reuseAddress: true });
    const unwanted = await host.udp({ port: port + 2, reuseAddress: true });
    const other = group === GROUP4 ? "10.7.0.99" : "fd07::99";
    wanted.join(group, { interfaceAddress: hostAddress, sources: [linuxAddress] });
    unwanted.join(group, { interfaceAddress: hostAddress, sources: [other] });
    await sleep(50);
    send(group, port + 2, "filtered");
    const heard = await wanted.receive({ signal: AbortSignal.timeout(PATIENCE_MS) });
    assert.equal(Buffer.from(heard!.data).toString(), "filtered");
    await assert.rejects(unwanted.receive({ signal: AbortSignal.timeout(300) }), {
      code: "ECANCELED",
    });
    wanted.close();
    unwanted.close();
  });
}

test("the host's own members hear what it sends, unless loop is off", async () => {
  const member = await host.udp({ port: 6010 });
  member.join(GROUP4, { interfaceAddress: HOST4 });
  const sender = await host.udp({ address: HOST4, multicastLoop: true });
  await sender.send("looped", { address: GROUP4, port: 6010 });
  const heard = await member.receive({ signal: AbortSignal.timeout(PATIENCE_MS) });
  assert.equal(Buffer.from(heard!.data).toString(), "looped");
  const quiet = await host.udp({ address: HOST4, multicastLoop: false });
  await quiet.send("not looped", { address: GROUP4, port: 6010 });
  await assert.rejects(member.receive({ signal: AbortSignal.timeout(300) }), { code: "ECANCELED" });
  for (const channel of [member, sender, quiet]) channel.close();
});

test("memberships were reported with IGMPv3 and MLDv2", async () => {
  await sleep(200); // reports leave after a short random delay
  const reported4 = recording.fieldOf("igmp.maddr", "igmp.type == 0x22 && ip.src == 10.7.0.2");
  assert.ok(
    reported4.some((groups) => groups.includes(GROUP4)),
    reported4.join(),
  );
  const ours6 = "icmpv6.type == 143 && ipv6.src == fe80::/64";
  const reported6 = recording.fieldOf("icmpv6.mldr.mar.multicast_address", ours6);
  assert.ok(
    reported6.some((groups) => groups.includes(GROUP6)),
    reported6.join(),
  );
});

after(close); // hooks run in order: sockets first, then the host
