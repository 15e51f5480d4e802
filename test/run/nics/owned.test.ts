/** `millrace run` on interfaces of Millrace's own: TAP, AF_PACKET, AF_XDP; Linux is at the far end. */
import { test } from "node:test";
import { enterNamespace, ip, Namespace, needsRoot } from "../../support/namespace.js";
import {
  accelerated,
  PROGRAMS,
  plain,
  tryHttp,
  tryNc,
  tryPrograms,
} from "../../support/nic-programs.js";
import { RunWorld } from "../../support/run-world.js";

await enterNamespace(import.meta.url, "ip", ...PROGRAMS);

test("--nic tap0: this kernel at the other end of the TAP", async () => {
  const world = RunWorld.open();
  ip("tuntap", "add", "tap0", "mode", "tap", "vnet_hdr");
  ip("address", "add", "10.8.0.1/24", "dev", "tap0");
  ip("address", "add", "fd08::1/64", "dev", "tap0", "nodad");
  ip("link", "set", "tap0", "up");
  const options = ["--nic", "tap0", "--address", "10.8.0.2/24", "--gateway", "10.8.0.1"];
  const near = accelerated(world, "10.8.0.2", ...options);
  const kernel = plain(world, "10.8.0.1", null);
  await tryPrograms(near, kernel);
  // By the gateway, to an address that is on no network of Millrace's.
  ip("address", "add", "192.0.2.1/32", "dev", "lo");
  await tryHttp({ ...kernel, address: "192.0.2.1" }, near, 8090);
  // A second program with an address of its own on the interface, and the kernel's 127.0.0.1.
  const second = accelerated(world, "10.8.0.3", "--nic", "tap0", "--address", "10.8.0.3");
  await tryHttp(second, kernel, 8091);
  await tryHttp(second, near, 8091);
  await tryNc(near, second, 8092);
  await tryHttp({ ...near, address: "127.0.0.1" }, kernel, 8093);
  // Programs of this machine on the host-local network beside it.
  await tryNc({ ...near, address: "10.77.0.1" }, near, 8094);
  await world.end();
});

for (const kind of ["packet", "xdp"] as const) {
  test(`--nic ${kind}:NAME: Linux behind a veth`, { skip: needsRoot() }, async () => {
    const world = RunWorld.open();
    const far = Namespace.create();
    const nic = `veth-${kind}`;
    ip("link", "add", nic, "type", "veth", "peer", "name", "far", "netns", far.name);
    ip("link", "set", nic, "up");
    far.run("ip", "address", "add", "10.9.0.1/24", "dev", "far");
    far.run("ip", "link", "set", "far", "up");
    const near = accelerated(
      ...([world, "10.9.0.2", "--nic", `${kind}:${nic}`, "--address", "10.9.0.2/24"] as const),
    );
    await tryPrograms(near, plain(world, "10.9.0.1", far));
    await world.end();
    far.close();
  });
}
