/** nc (OpenBSD) under `millrace run`: TCP and UDP, with each other and with the kernel's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { enterNamespace } from "../../support/namespace.js";
import { HERE, RunWorld } from "../../support/run-world.js";

await enterNamespace(import.meta.url, "nc");
const world = RunWorld.open();

test("TCP: what one side reads is what the other side writes, and both ends are accelerated", async () => {
  const server = world.accelerated("nc", "-l", "1234");
  await world.serves(1234, server);
  const table = await world.statText("-e", "-l");
  assert.match(table, /\| 0\.0\.0\.0:1234 .*\| LISTEN .*\| millrace \|.*\| nc$/m);
  await world.runWithInput("hello\n", "nc", "-N", HERE, "1234");
  const { status, out } = await server.ended;
  assert.deepEqual([status, out], [0, "hello\n"]);
});

test("a program without Millrace reaches the server by 127.0.0.1, on the same descriptor", async () => {
  const server = world.accelerated("nc", "-l", "1235");
  await world.serves(1235, server);
  const client = world.start(["nc", "-N", "127.0.0.1", "1235"], "from the kernel\n");
  assert.equal((await client.ended).status, 0);
  assert.equal((await server.ended).out, "from the kernel\n");
});

test("UDP: `nc -u -l` hears what `nc -u` says", async () => {
  const server = world.accelerated("nc", "-u", "-l", "1236");
  await world.serves(1236, server);
  const client = world.start([...["bin/millrace", "run", "nc", "-u"], HERE, "1236"], "datagram\n");
  await server.said(/datagram/);
  await Promise.all([client.stop(), server.stop()]);
});

test("a connection that nobody waits for is refused", async () => {
  const { status, err } = await world.accelerated("nc", "-v", HERE, "9").ended;
  assert.equal(status, 1);
  assert.match(err, /Connection refused/);
});
