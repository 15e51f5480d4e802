/** The mirror of the kernel's network against the kernel: what `ip` changes is heard, and found. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, beforeEach, test } from "node:test";
import { IpAddress } from "../../src/base/ip-address.js";
import {
  KernelNetwork,
  type KernelNetworkSink,
  LinkFlags,
  type LinkInfo,
  type NeighbourInfo,
  Nud,
  RouteType,
} from "../../src/nic/kernel-network.js";
import { kernelHolds, type PortRequest } from "../../src/nic/kernel-ports.js";
import { enterNamespace, ip } from "../support/namespace.js";
import { runWithInput } from "../support/run-async.js";
import { until } from "../support/until.js";

await enterNamespace(import.meta.url, "ip");

const address = (text: string): IpAddress => IpAddress.parse(text);

/** Writes down what it hears. */
class Heard implements KernelNetworkSink {
  readonly links: (LinkInfo | null)[] = [];
  readonly neighbours: NeighbourInfo[] = [];
  addresses = 0;
  routes = 0;

  linkChanged(_index: number, link: LinkInfo | null): void {
    this.links.push(link);
  }
  addressesChanged(): void {
    this.addresses++;
  }
  routesChanged(): void {
    this.routes++;
  }
  neighbourChanged(neighbour: NeighbourInfo): void {
    this.neighbours.push(neighbour);
  }
}

let network: KernelNetwork;
let heard: Heard;
let a: LinkInfo;

before(() => {
  ip("link", "add", "name", "va", "type", "veth", "peer", "name", "vb");
  ip("link", "set", "vb", "up");
  ip("link", "set", "va", "up");
  ip("address", "add", "10.1.0.1/24", "dev", "va");
  ip("address", "add", "fd01::1/64", "dev", "va", "nodad");
  network = new KernelNetwork();
  a = network.linkByName("va")!;
});
beforeEach(() => {
  network.poll();
  heard = new Heard();
  network.sink = heard;
});
after(() => network?.close());

/** Waits until the news has been heard. */
const hear = (isTrue: () => boolean, what: string): Promise<void> =>
  until(() => {
    network.poll();
    return isTrue();
  }, what);

const has = (text: string): boolean =>
  [...network.addresses()].some((one) => one.address.equals(address(text)));

test("links are known by name and index, with MTU, hardware address and state", () => {
  assert.equal(network.link(a.index), a);
  assert.equal(a.mtuBytes, 1500);
  assert.equal(a.mac.length, 6);
  assert.equal(a.flags & LinkFlags.UP, LinkFlags.UP);
  assert.equal(network.linkByName("absent"), null);
});

test("changes of a link are heard once each, and what is the same is not", async () => {
  ip("link", "set", "va", "mtu", "1400");
  await hear(() => network.link(a.index)!.mtuBytes === 1400, "the MTU");
  ip("link", "set", "vb", "down");
  await hear(() => (network.link(a.index)!.flags & LinkFlags.RUNNING) === 0, "the carrier");
  ip("link", "set", "vb", "up");
  await hear(() => (network.link(a.index)!.flags & LinkFlags.RUNNING) !== 0, "the carrier");
  ip("link", "set", "va", "alias", "something that nobody here looks at");
  network.poll();
  const seen = heard.links.filter((link) => link?.index === a.index).map((link) => link!.mtuBytes);
  assert.ok(seen.length >= 3 && seen.length <= 5, `${seen}`);
  ip("link", "add", "name", "vc", "type", "veth", "peer", "name", "vd");
  await hear(() => network.linkByName("vc") !== null, "a new link");
  ip("link", "del", "vc");
  await hear(() => network.linkByName("vc") === null, "its end");
  assert.equal(heard.links.at(-1), null);
  assert.ok(heard.routes > 0);
});

test("addresses come and go", async () => {
  assert.ok(has("10.1.0.1") && has("fd01::1"));
  ip("address", "add", "10.1.0.9/24", "dev", "va");
  await hear(() => has("10.1.0.9"), "the address");
  ip("address", "del", "10.1.0.9/24", "dev", "va");
  await hear(() => !has("10.1.0.9"), "its end");
  assert.ok(heard.addresses >= 2 && heard.routes >= 2);
});

test("look-ups are the kernel's: next hop, source, metrics, rules, refusals", async () => {
  const lookup = (text: string) => network.lookup(address(text), null, 0);
  assert.equal(lookup("192.0.2.1"), -101, "ENETUNREACH");
  ip("route", "add", "192.0.2.0/24", "via", "10.1.0.2", "mtu", "1280");
  const route = lookup("192.0.2.1");
  assert.ok(typeof route !== "number");
  assert.equal(route.type, RouteType.UNICAST);
  assert.equal(route.gateway!.toString(), "10.1.0.2");
  assert.equal(route.source!.toString(), "10.1.0.1");
  assert.equal(route.linkIndex, a.index);
  assert.equal(route.mtuBytes, 1280);
  await hear(() => heard.routes > 0, "the route");
  ip("route", "replace", "prohibit", "192.0.2.0/24");
  assert.equal(lookup("192.0.2.1"), -13, "EACCES");
  ip("route", "del", "prohibit", "192.0.2.0/24");
  ip("route", "add", "192.0.2.0/24", "via", "inet6", "fd01::2", "dev", "va");
  const via6 = lookup("192.0.2.1");
  assert.ok(typeof via6 !== "number");
  assert.equal(via6.gateway!.toString(), "fd01::2");
  const own = lookup("10.1.0.1");
  assert.ok(typeof own !== "number" && own.type === RouteType.LOCAL);
  const six = lookup("fd01::77");
  assert.ok(typeof six !== "number");
  assert.equal(six.gateway, null);
  assert.equal(six.source!.toString(), "fd01::1");
  ip("-6", "route", "add", "unreachable", "2001:db8::/32");
  assert.equal(lookup("2001:db8::1"), -113, "EHOSTUNREACH");
});

test("the kernel resolves on request, and says how it went", async () => {
  const there = address("10.1.0.2");
  ip(
    "neighbour",
    "replace",
    "10.1.0.2",
    "lladdr",
    "02:00:00:00:00:02",
    "dev",
    "va",
    "nud",
    "stale",
  );
  await hear(() => network.neighbour(a.index, there)?.state === Nud.STALE, "the neighbour");
  assert.deepEqual([...network.neighbour(a.index, there)!.mac], [2, 0, 0, 0, 0, 2]);
  // Nobody answers: it is asked for and gives up.
  ip("neighbour", "del", "10.1.0.2", "dev", "va");
  assert.equal(network.useNeighbour(a.index, there), 0);
  await hear(() => network.neighbour(a.index, there)?.state === Nud.FAILED, "the failure");
  assert.ok(heard.neighbours.some((n) => n.address.equals(there) && n.state === Nud.FAILED));
});

test("when notifications are lost, everything is read again", async () => {
  const routes = Array.from(
    { length: 10_000 },
    (_, i) => `route add 10.${100 + (i >> 8)}.${i & 255}.0/24 via 10.1.0.2`,
  );
  await runWithInput(`${routes.join("\n")}\n`, "ip", "-batch", "-");
  ip("address", "add", "10.1.0.77/24", "dev", "va");
  ip("link", "set", "va", "mtu", "1450");
  await hear(() => has("10.1.0.77") && network.link(a.index)!.mtuBytes === 1450, "the end of it");
  assert.ok(network.resyncs > 0);
  assert.ok(heard.addresses > 0 && heard.routes > 0);
  assert.ok(heard.links.some((link) => link?.mtuBytes === 1450));
});

test("nothing stays open", () => {
  const openFds = (): number => readdirSync("/proc/self/fd").length;
  const atStart = openFds();
  const another = new KernelNetwork();
  another.close();
  const request = { protocol: 6, address: address("10.1.0.1"), port: 0 };
  const options = { isV6only: false, reuseAddress: false, reusePort: false };
  const held = kernelHolds.holdPort(a.index, { ...request, ...options });
  const group = kernelHolds.holdGroup(a.index, address("239.1.1.1"));
  assert.ok(typeof held !== "number" && typeof group !== "number");
  assert.ok(held.port > 0);
  assert.equal(kernelHolds.holdPort(a.index, { ...request, ...options, port: held.port }), -98);
  held.listen();
  held.unlisten();
  held.close();
  held.close();
  group.setFilter(true, [address("10.1.0.5")]);
  group.close();
  assert.equal(openFds(), atStart);
});

for (const [group, source, file, line] of [
  ["239.1.1.1", "10.1.0.5", "mcfilter", /0xef010101 0x0a010005\s+1\s+0/],
  [
    "ff05::77",
    "fd01::5",
    "mcfilter6",
    /ff050000000000000000000000000077 fd010000000000000000000000000005\s+1\s+0/,
  ],
] as const) {
  test(`the kernel joins ${group} with the sources that are wanted`, () => {
    const held = kernelHolds.holdGroup(a.index, address(group));
    assert.ok(typeof held !== "number");
    held.setFilter(true, [address(source)]);
    const filters = (): string => readFileSync(`/proc/net/${file}`, "utf8");
    assert.match(filters(), line);
    held.setFilter(false, []);
    assert.doesNotMatch(filters(), line);
    assert.match(ip("maddress", "show", "dev", "va"), new RegExp(group));
    held.close();
    assert.doesNotMatch(ip("maddress", "show", "dev", "va"), new RegExp(group));
  });
}

for (const [name, flags, isAllowed] of [
  ["neither sets anything", {}, false],
  ["both set SO_REUSEADDR", { reuseAddress: true }, true],
  ["both set SO_REUSEPORT", { reusePort: true }, true],
] as const) {
  for (const protocol of [6, 17]) {
    test(`a port held twice, protocol ${protocol}, ${name}`, () => {
      const request: PortRequest = {
        protocol,
        address: address("::"),
        port: 7000,
        isV6only: false,
        reuseAddress: false,
        reusePort: false,
        ...flags,
      };
      const first = kernelHolds.holdPort(a.index, request);
      const second = kernelHolds.holdPort(a.index, { ...request, address: address("0.0.0.0") });
      assert.equal(typeof second !== "number", isAllowed);
      for (const held of [first, second]) if (typeof held !== "number") held.close();
    });
  }
}
