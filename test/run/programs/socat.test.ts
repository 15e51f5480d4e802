/** socat under `millrace run`: a forking server, IPv6, UDP. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { enterNamespace } from "../../support/namespace.js";
import { HERE, RunWorld } from "../../support/run-world.js";

await enterNamespace(import.meta.url, "socat");
const world = RunWorld.open();
const HERE6 = "[fd77::1]";

test("a server that forks for each connection: ten clients, a megabyte each way", async () => {
  const server = world.accelerated("socat", "TCP-LISTEN:2000,fork,reuseaddr", "EXEC:cat");
  await world.serves(2000, server);
  const text = "socat ".repeat(170_000);
  const clients = Array.from({ length: 10 }, (_, i) =>
    world.runWithInput(`${i} ${i === 0 ? text : ""}`, "socat", "-t", "30", "-", `TCP:${HERE}:2000`),
  );
  for (const [i, out] of (await Promise.all(clients)).entries())
    assert.equal(out, `${i} ${i === 0 ? text : ""}`);
  await server.stop();
});

test("IPv6, and IPv4 to a dual-stack server", async () => {
  const server = world.accelerated("socat", "TCP6-LISTEN:2001,fork,reuseaddr", "EXEC:cat");
  await world.serves(2001, server);
  for (const address of [`TCP6:${HERE6}:2001`, `TCP4:${HERE}:2001`]) {
    assert.equal(await world.runWithInput("six", "socat", "-t", "30", "-", address), "six");
  }
  await server.stop();
});

test("UDP both ways", async () => {
  const server = world.accelerated("socat", "UDP-RECVFROM:2002,fork", "EXEC:cat");
  await world.serves(2002, server);
  const answer = await world.runWithInput("ping", "socat", "-t", "5", "-", `UDP:${HERE}:2002`);
  assert.equal(answer, "ping");
  await server.stop();
});

test("a group of IPv6, joined before the socket is bound at the interface that a name stands for", async () => {
  const server = world.accelerated(
    "socat",
    "-u",
    "UDP6-RECV:2003,ipv6-join-group=[ff15::9]:mr0",
    "-",
  );
  await world.serves(2003, server);
  await world.runWithInput("to the group\n", "socat", "-u", "-", "UDP6-SENDTO:[ff15::9]:2003");
  await server.said(/^to the group$/m);
  await server.stop();
});
