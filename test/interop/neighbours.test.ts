/**
 * Who is on the link: neighbours that change their address or age, a host with IPv6 only, duplicate
 * addresses; Linux's view and the host's.
 */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { assertLinuxPings } from "../support/linux-ping.js";
import { background, enterNamespace, ip, sysctl } from "../support/namespace.js";
import { HOST4, HOST6, LINUX4, LINUX6, type TapHost, tapHost } from "../support/tap-host.js";
import { PATIENCE_MS, until } from "../support/until.js";

await enterNamespace(import.meta.url, "ip", "ping", "nc", "tshark");

const FAMILIES = [
  [4, LINUX4, HOST4],
  [6, LINUX6, HOST6],
] as const;
let link: TapHost;
afterEach(() => link.close());

/** Linux pings the host three times; the host stays awake meanwhile. */
async function pingFromLinux(address: string): Promise<void> {
  const awake = await link.host.udp();
  await assertLinuxPings(address);
  awake.close();
}

const neighbour = (address: string): string =>
  ip("neighbour", "show", address, "dev", link.tapName);

test("a host with IPv6 alone is reached by its own and its link-local address", async () => {
  link = tapHost({ host: { addresses: [`${HOST6}/64`], gateway: LINUX6 } });
  await pingFromLinux(HOST6);
  assert.equal((await link.host.ping(LINUX6)).replies.length, 1);
  const [linkLocal] = link.host.stack.ip.interfaces[1]!.addresses.filter(
    (a) => a.address.isLinkLocal,
  );
  await pingFromLinux(`${linkLocal!.address}%${link.tapName}`);
  const server = await link.host.listen({ port: 7 });
  const nc = background("nc", "-6", "-n", "-N", HOST6, "7");
  const connection = (await server.accept())!;
  connection.end("over IPv6");
  nc.write();
  await nc.waitFor(/over IPv6/);
  await assert.rejects(link.host.connect({ address: LINUX4, port: 1 }), { code: "ENETUNREACH" });
  server.close();
});

for (const [family, linux, host] of FAMILIES) {
  test(`Linux's new hardware address is learnt when it solicits over IPv${family}`, async () => {
    link = tapHost();
    assert.equal((await link.host.ping(linux)).replies.length, 1);
    ip("link", "set", link.tapName, "address", "02:00:00:00:be:ef");
    await pingFromLinux(host);
    assert.equal((await link.host.ping(linux)).replies.length, 1);
    assert.match(neighbour(host), /lladdr/);
  });

  test(`the host confirms that it is there when Linux asks over IPv${family}`, async () => {
    link = tapHost();
    sysctl(`net.ipv${family}.neigh.${link.tapName}.delay_first_probe_time`, 1);
    await pingFromLinux(host);
    ip("neighbour", "change", host, "dev", link.tapName, "nud", "stale");
    await pingFromLinux(host);
    const awake = await link.host.udp();
    assert.match(neighbour(host), /DELAY|PROBE|REACHABLE/);
    await until(() => neighbour(host).includes("REACHABLE"), "confirmation");
    awake.close();
  });
}

test("a silent change of Linux's hardware address is noticed when its entry has aged", async () => {
  link = tapHost();
  for (const [, linux] of FAMILIES) {
    assert.equal((await link.host.ping(linux)).replies.length, 1);
  }
  // Half a minute passes in the host's books: the entries are stale from now on.
  for (const entry of link.host.stack.ip.neighbours) entry.reachableUntilUs = 0;
  ip("link", "set", link.tapName, "address", "02:00:00:00:be:ef");
  const startedMs = performance.now();
  await Promise.all(
    FAMILIES.map(async ([, linux]) => {
      const answers = async (): Promise<boolean> =>
        (await link.host.ping(linux, { timeoutMs: 300 })).replies.length === 1;
      while (!(await answers())) assert.ok(performance.now() - startedMs < PATIENCE_MS, linux);
    }),
  );
});

test("a host that comes back with another hardware address is found again", async () => {
  ip("tuntap", "add", "dev", "kept0", "mode", "tap", "vnet_hdr");
  const macs = new Set<string>();
  for (const isFirst of [true, false]) {
    link = tapHost({ tapName: "kept0", addresses: isFirst });
    for (const address of [HOST4, HOST6]) await pingFromLinux(address);
    macs.add(/lladdr (\S+)/.exec(neighbour(HOST4))![1]!);
    if (isFirst) link.close();
  }
  ip("link", "delete", "kept0");
  assert.equal(macs.size, 2);
});

test("an address that Linux has already is given up when duplicates are looked for", async () => {
  const addresses = [`${HOST6}/64`, `${LINUX6}/64`];
  link = tapHost({ host: { detectDuplicates: true, addresses, gateway: [] } });
  const awake = await link.host.udp();
  const { ip: stack } = link.host.stack;
  const has = (text: string): boolean =>
    stack.interfaces[1]!.addresses.some((a) => a.address.toString() === text && !a.isTentative);
  await until(() => has(HOST6), "the other address");
  assert.equal(has(LINUX6), false);
  assert.equal(stack.counters.get("duplicateAddresses"), 1);
  awake.close();
});
