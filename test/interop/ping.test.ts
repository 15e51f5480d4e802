/** Echo between Linux and a Millrace host over TAP, both ways, small and in many fragments. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { assertLinuxPings } from "../support/linux-ping.js";
import { enterNamespace, run } from "../support/namespace.js";
import { HOST4, HOST6, LINUX4, LINUX6, tapHost } from "../support/tap-host.js";

await enterNamespace(import.meta.url, "ip", "ping", "tshark");

const { host, close } = tapHost();
const listener = await host.udp({ port: 1 }); // keeps the host awake for the whole file
after(() => listener.close());

/** Bytes of payload: none, the default, an MTU exactly, one more, several fragments, the largest. */
const SIZES = [0, 56, 1452, 1472, 1473, 8000, 65_000];

for (const [family, address] of [
  ["IPv4", HOST4],
  ["IPv6", HOST6],
] as const) {
  for (const size of SIZES) {
    test(`Linux pings the host over ${family} with ${size} bytes`, async () => {
      await assertLinuxPings(address, size);
    });
  }
}

for (const [family, address] of [
  ["IPv4", LINUX4],
  ["IPv6", LINUX6],
] as const) {
  for (const size of SIZES) {
    test(`the host pings Linux over ${family} with ${size} bytes`, async () => {
      const summary = await host.ping(address, { count: 3, bytes: size, intervalMs: 20 });
      assert.equal(summary.replies.length, 3);
    });
  }
}

test("the kernel knows the host as a reachable neighbour", () => {
  assert.match(run("ip", "neighbour", "show", HOST4), /lladdr/);
});

after(close); // hooks run in order: sockets first, then the host
