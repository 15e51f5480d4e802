/**
 * `millrace run --nic eth0`: unmodified programs on an interface that the kernel keeps (AF_XDP), with
 * Linux at the far end and the kernel's programs beside them.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
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
import { RunWorld } from "../../support/run-world.js";

await enterNamespace(import.meta.url, "ip", ...PROGRAMS);
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
