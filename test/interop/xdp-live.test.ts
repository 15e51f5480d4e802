/**
 * XDP programs in the receive path of real devices, seen by real peers: what is passed reaches the host,
 * what is dropped does not, what is sent back or redirected arrives. TAP, AF_XDP, AF_PACKET, memif.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { parseObject } from "../../src/ebpf/object.js";
import {
  type AttachedProgram,
  type AttachOptions,
  attachProgram,
  createHost,
  createPool,
  type Device,
  openMemif,
  openTap,
} from "../../src/index.js";
import { background, enterNamespace, ip, Namespace, needsRoot } from "../support/namespace.js";
import { type LinkKind, openTestLink } from "../support/test-link.js";
import { until } from "../support/until.js";
import { compileExample } from "../support/xdp-objects.js";

await enterNamespace(import.meta.url, "ip", "ping", "clang");

const acl = parseObject(compileExample("acl", "v3"));
const echo = parseObject(compileExample("echo", "v3"));
const wire = parseObject(compileExample("wire", "v3"));
let names = 0;

const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

/** One echo request, from the namespace if given; whether the answer came. */
async function pings(address: string, more: string[] = [], from?: Namespace): Promise<boolean> {
  const words = ["-c", "1", "-n", "-W", "1", ...more, address];
  const ping =
    from === undefined ? background("ping", ...words) : from.background("ping", ...words);
  return (await ping.ended) === 0;
}

/** The first answer needs ARP and a loaded machine's patience; the last of some tries is what counts. */
async function answers(address: string, more: string[] = [], from?: Namespace): Promise<void> {
  for (let n = 0; n < 20; n++) if (await pings(address, more, from)) return;
  assert.fail(`no answer from ${address}`);
}

interface Live {
  readonly attached: AttachedProgram;
  readonly linuxName: string;
}

/** A link with a program in front of Millrace's end, on which a host has 10.7.0.2. */
function live(
  t: TestContext,
  kind: LinkKind,
  object: typeof acl,
  options: AttachOptions = {},
): Live {
  const pool = createPool({ smallSlots: 1_024, bigSlots: 64 });
  const free = [pool.freeSmall, pool.freeBig];
  const name = kind === "tap" ? `mrl${names++}` : undefined;
  const link = openTestLink(
    pool,
    { offload: false, ...(name === undefined ? {} : { name }) },
    kind,
  );
  ip("address", "add", "10.7.0.1/24", "dev", link.linuxName);
  const attached = attachProgram(link.device, object, { ...options, pool });
  const host = createHost({ device: attached, pool, addresses: ["10.7.0.2/24"] });
  t.after(() => {
    host.close();
    if (kind !== "tap") ip("link", "delete", link.linuxName); // a TAP goes by itself
    assert.deepEqual([pool.freeSmall, pool.freeBig], free, "every slot is back");
  });
  return { attached, linuxName: link.linuxName };
}

const KINDS: readonly (readonly [LinkKind, AttachOptions])[] = [
  ["tap", { engine: "interp" }],
  ["tap", { engine: "wasm" }],
  ["xdp-generic", {}],
  ["packet", {}],
];

for (const [kind, options] of KINDS) {
  const skip = kind === "tap" ? false : needsRoot();
  const what = `${kind}, ${options.engine ?? "wasm"}`;

  test(`${what}: what an access list drops is not answered, the rest is`, { skip }, async (t) => {
    const { attached, linuxName } = live(t, kind, acl, options);
    ip("address", "add", "10.7.0.7/24", "dev", linuxName);
    await answers("10.7.0.2");
    await answers("10.7.0.2", ["-I", "10.7.0.7"]);
    const key = Uint8Array.of(32, 0, 0, 0, 10, 7, 0, 7);
    assert.equal(attached.instance.map("sources4").set(key, u32(1, 0, 0, 0)), 0);
    assert.equal(await pings("10.7.0.2", ["-I", "10.7.0.7"]), false);
    await answers("10.7.0.2");
    const { xdpDrop, xdpPass } = attached.programCounters.snapshot();
    const hits = new DataView(attached.instance.map("sources4").get(key)!.buffer).getUint32(
      8,
      true,
    );
    assert.ok(xdpDrop >= 1 && xdpDrop === hits, `${xdpDrop} dropped, ${hits} hits`);
    assert.ok(xdpPass >= 3);
    attached.instance.map("sources4").remove(key);
    await answers("10.7.0.2", ["-I", "10.7.0.7"]);
  });

  test(`${what}: a program answers pings to an address that nobody has`, { skip }, async (t) => {
    const { attached, linuxName } = live(t, kind, echo, options);
    const mac = "02:00:00:00:00:99";
    ip("neighbour", "replace", "10.7.0.99", "lladdr", mac, "dev", linuxName);
    await answers("10.7.0.99");
    await answers("10.7.0.99", ["-s", "1200"]); // comes back shorter, which ping takes as an answer
    assert.ok(attached.programCounters.get("xdpTx") >= 2);
  });
}

test("two TAPs are one wire: namespaces at its ends ping each other", async (t) => {
  const pool = createPool({ smallSlots: 1_024, bigSlots: 64 });
  const free = [pool.freeSmall, pool.freeBig];
  const ends = [0, 1].map((n) => {
    const namespace = Namespace.create();
    const device = openTap({ name: `mrw${n}`, offload: false, pool });
    const attached = attachProgram(device, wire, { pool, index: n + 1 });
    ip("link", "set", device.name, "netns", namespace.name);
    namespace.run("ip", "address", "add", `10.6.0.${n + 1}/24`, "dev", device.name);
    namespace.run("ip", "link", "set", device.name, "up");
    return { namespace, attached };
  });
  const [near, far] = ends as [(typeof ends)[0], (typeof ends)[0]];
  near.attached.instance.map("other_end").set(u32(0), u32(2));
  far.attached.instance.map("other_end").set(u32(0), u32(1));
  const interfaces = ends.map(({ attached }) => ({ device: attached, linkLocal: false }));
  const host = createHost({ pool, interfaces });
  t.after(() => {
    host.close();
    for (const { namespace } of ends) namespace.close();
    assert.deepEqual([pool.freeSmall, pool.freeBig], free, "every slot is back");
  });
  await answers("10.6.0.2", ["-s", "1000"], near.namespace);
  await answers("10.6.0.1", [], far.namespace);
  const { xdpRedirect, xdpPass } = near.attached.programCounters.snapshot();
  assert.ok(xdpRedirect >= 2 && xdpPass === 0, `${xdpRedirect} redirected, ${xdpPass} passed`);
  const counted = near.attached.instance.map("lengths").entries();
  const sum = counted.reduce((all, { value }) => all + value[0]! + 256 * value[1]!, 0);
  assert.equal(sum, xdpRedirect + near.attached.programCounters.get("xdpDrop"));
});

test("memif: a peer's pings pass, are dropped, or are answered by the program", async (t) => {
  const path = `@millrace-live-${process.pid}-${randomBytes(4).toString("hex")}`;
  const pools = [createPool({ smallSlots: 1_024, bigSlots: 64 }), createPool({ shared: true })];
  const [pool, peerPool] = pools as [(typeof pools)[0], (typeof pools)[0]];
  const server: Device = openMemif({ path, role: "server", pool, offload: false });
  const client = openMemif({ path, role: "client", pool: peerPool, offload: false });
  const attached = attachProgram(server, acl, { pool });
  const host = createHost({ device: attached, pool, addresses: ["10.5.0.1/24"] });
  const peer = createHost({ device: client, pool: peerPool, addresses: ["10.5.0.2/24"] });
  t.after(() => {
    for (const one of [host, peer]) one.close();
  });
  await until(() => client.isUp && attached.isUp, "the link to come up");
  const received = async (): Promise<number> =>
    (await peer.ping("10.5.0.1", { count: 3, intervalMs: 10, timeoutMs: 500 })).replies.length;
  assert.ok((await received()) > 0);
  const key = Uint8Array.of(24, 0, 0, 0, 10, 5, 0, 0);
  attached.instance.map("sources4").set(key, u32(1, 0, 0, 0));
  assert.equal(await received(), 0);
  assert.ok(attached.programCounters.get("xdpDrop") >= 3);
  attached.instance.map("sources4").remove(key);
  assert.ok((await received()) > 0);
});
