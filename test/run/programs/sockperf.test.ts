/** sockperf under `millrace run`: its modes, its ways to wait, UDP and TCP. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { enterNamespace } from "../../support/namespace.js";
import { HERE, RunWorld } from "../../support/run-world.js";

await enterNamespace(import.meta.url, "sockperf");
const world = RunWorld.open();
let port = 3000;

/** Server and client of one mode; the client's words. */
async function measure(
  protocol: "tcp" | "udp",
  mode: string,
  more: readonly string[],
  serverMore: readonly string[] = [],
): Promise<string> {
  const at = String(++port);
  const tcp = protocol === "tcp" ? ["--tcp"] : [];
  const server = world.accelerated("sockperf", "server", "-p", at, ...tcp, ...serverMore);
  await world.serves(port, server);
  const words = ["sockperf", mode, "-i", HERE, "-p", at, "-t", "1", ...tcp, ...more];
  const out = await world.run(...words);
  await world.allAccelerated();
  await server.stop();
  return out;
}

for (const protocol of ["udp", "tcp"] as const) {
  test(`${protocol}: ping-pong, under-load and throughput`, async () => {
    assert.match(await measure(protocol, "ping-pong", []), /Summary: Latency is \d/);
    assert.match(
      await measure(protocol, "under-load", ["--mps", "2000", "--reply-every", "10"]),
      /Summary: Latency is \d/,
    );
    assert.match(await measure(protocol, "throughput", ["-m", "1000"]), /Message Rate is [1-9]/);
  });

  for (const type of ["s", "p", "e"]) {
    test(`${protocol}: a server that waits by --iomux-type ${type} on two sockets`, async () => {
      const file = join(world.folder, `feed-${protocol}-${type}`);
      const ports = [++port, ++port];
      const prefix = protocol === "tcp" ? "T" : "U";
      writeFileSync(file, ports.map((one) => `${prefix}:${HERE}:${one}\n`).join(""));
      const server = world.accelerated("sockperf", "server", "-f", file, "-F", type);
      await world.serves(ports[1]!, server);
      const out = await world.run("sockperf", "ping-pong", "-f", file, "-F", type, "-t", "1");
      assert.match(out, /Summary: Latency is \d/);
      await world.allAccelerated();
      await server.stop();
    });
  }

  test(`${protocol}: both ends poll without blocking`, async () => {
    const out = await measure(protocol, "ping-pong", ["--nonblocked"], ["--nonblocked"]);
    assert.match(out, /Summary: Latency is \d/);
  });
}
