/**
 * Millrace's interfaces as a program meets them beside lists: zones of link-local addresses, sockets that are bound to
 * one, and ioctl. The kernel says the same of a veth pair's end that has the same addresses and number.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { FIRST_OWN_INDEX } from "../../src/engine/interface-list.js";
import { enterNamespace, Namespace, needsRoot, sysctl } from "../support/namespace.js";
import { HERE, RunWorld } from "../support/run-world.js";
import { Comparison } from "./comparison.js";

await enterNamespace(import.meta.url, "ip", "cc");

let comparison: Comparison;
let program: string;
before(async () => {
  comparison = await Comparison.begin();
  program = comparison.build("devices");
});
after(() => comparison.end());

/** What it says of a kernel's interface with this address. */
function ofKernel(address: string, ...cases: string[]): string {
  const kernel = Namespace.create();
  const index = String(FIRST_OWN_INDEX);
  kernel.run("ip", "link", "add", "veth0", "index", index, "type", "veth", "peer", "name", "far");
  kernel.run("ip", "address", "add", address, "brd", "+", "dev", "veth0");
  for (const at of ["all", "veth0", "far"]) {
    kernel.run("sysctl", "-qw", `net.ipv6.conf.${at}.accept_dad=0`);
  }
  kernel.run("ip", "link", "set", "veth0", "up");
  kernel.run("ip", "link", "set", "far", "up");
  const said = kernel.run(program, "veth0", address.split("/")[0]!, ...cases);
  kernel.close();
  return said;
}

test("sockets that are bound to it, and ioctl: as of a kernel's interface", {
  skip: needsRoot(),
}, async () => {
  const world = RunWorld.open();
  const said = await world.run(program, "mr0", HERE, "bound", "ioctls");
  assert.equal(said, ofKernel(`${HERE}/16`, "bound", "ioctls"));
  await world.end();
});

test("link-local addresses and zones: as at a kernel's interface", {
  skip: needsRoot(),
}, async () => {
  sysctl("net.ipv6.conf.default.disable_ipv6", 1); // the kernel's end of it
  const world = RunWorld.open();
  const options = ["--nic", "tap0", "--address", "10.8.0.2/24"];
  const said = await world.run(...options, program, "tap0", "10.8.0.2", "link_local");
  const kernels = ofKernel("10.8.0.2/24", "link_local");
  assert.match(kernels, /tcp connect own, no zone: EINVAL/);
  assert.equal(said, kernels);
  await world.end();
});
