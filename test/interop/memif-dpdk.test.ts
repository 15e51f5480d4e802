/**
 * memif against DPDK's driver in both roles: whole stacks through a testpmd that forwards between two
 * of its ports, and its own ARP and ICMP echo.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { afterEach, test } from "node:test";
import { createHost, createPool, type Host, type MemifDevice, openMemif } from "../../src/index.js";
import { content } from "../support/content.js";
import { Testpmd } from "../support/testpmd.js";
import { missingTools } from "../support/tools.js";
import { until } from "../support/until.js";

const missing = missingTools("dpdk-testpmd");
if (missing !== null && process.env.CI !== undefined) throw new Error(missing);
const skip = missing ?? false;
const LIMIT_MS = 60_000;
const BULK_BYTES = 64 << 20;
const hosts: Host[] = [];
const running: Testpmd[] = [];

const newPath = (): string => `@millrace-test-${process.pid}-${randomBytes(4).toString("hex")}`;
const poolOf = () => createPool({ shared: true, smallSlots: 16_384, bigSlots: 512 });

afterEach(async () => {
  for (const testpmd of running.splice(0)) await testpmd.kill();
  for (const host of hosts.splice(0)) host.close();
});

function start(options: ConstructorParameters<typeof Testpmd>[0]): Testpmd {
  const testpmd = new Testpmd(options);
  running.push(testpmd);
  return testpmd;
}

interface End {
  readonly host: Host;
  readonly device: MemifDevice;
}

function hostAt(address: string, path: string, role: "client" | "server", queuePairs = 1): End {
  const pool = poolOf();
  const device = openMemif({ path, role, pool, queuePairs });
  const host = createHost({ pool, device, addresses: [`${address}/24`] });
  hosts.push(host);
  return { host, device };
}

for (const role of ["client", "server"] as const) {
  test(`${role}: testpmd answers ARP and ICMP echo`, { skip }, async () => {
    const path = newPath();
    const { host, device } = hostAt("10.9.0.1", path, role);
    const theirs = role === "client" ? "server" : "client";
    start({ ports: [{ path, role: theirs }], forward: "icmpecho" });
    await until(() => device.isUp, "the link to come up", LIMIT_MS);
    assert.equal(device.isExtended, false);
    assert.match(device.peer.name, /^DPDK/);
    const summary = await host.ping("10.9.0.2", { count: 20, intervalMs: 10, timeoutMs: LIMIT_MS });
    assert.equal(summary.replies.length, 20);
  });
}

for (const queues of [1, 2]) {
  test(`${queues} queues: two hosts, a client and a server, reach each other through testpmd`, {
    skip,
  }, async (t) => {
    const [pathA, pathB] = [newPath(), newPath()];
    const a = hostAt("10.9.0.1", pathA, "client", queues);
    const b = hostAt("10.9.0.2", pathB, "server", queues);
    const ports = [
      { path: pathA, role: "server" },
      { path: pathB, role: "client" },
    ] as const;
    start({ ports, forward: "io", queues });
    await until(() => a.device.isUp && b.device.isUp, "both links to come up", LIMIT_MS);

    const echo = await b.host.udp({ port: 7 });
    void (async () => {
      for await (const m of echo) await echo.send(m.data, m);
    })();
    const udp = await a.host.udp({});
    for (const n of [0, 1, 64, 1472, 9000, 30_000]) {
      const data = randomBytes(n);
      await udp.send(data, { address: "10.9.0.2", port: 7 });
      const answer = await udp.receive({ signal: AbortSignal.timeout(LIMIT_MS) });
      assert.deepEqual(answer?.data, data);
    }
    for (const [from, to, address] of [
      [a.host, b.host, "10.9.0.2"],
      [b.host, a.host, "10.9.0.1"],
    ] as const) {
      const startMs = performance.now();
      await bulk(from, to, address);
      const gbitPerS = (BULK_BYTES * 8) / (performance.now() - startMs) / 1e6;
      t.diagnostic(`${gbitPerS.toFixed(2)} Gbit/s, both hosts in one process, hashing included`);
    }
    for (const { device } of [a, b]) {
      const { rxErrors, txErrors } = device.counters.snapshot();
      assert.deepEqual({ rxErrors, txErrors }, { rxErrors: 0, txErrors: 0 });
      assert.ok(device.counters.get("rxFrames") > 10_000);
    }
  });
}

/** Moves {@link BULK_BYTES} over TCP and compares them. */
async function bulk(from: Host, to: Host, address: string): Promise<void> {
  const server = await to.listen({ port: 5001 });
  const received = (async () => {
    const digest = createHash("sha256");
    const connection = await server.accept();
    for await (const chunk of connection!) digest.update(chunk);
    connection!.end();
    return digest.digest("hex");
  })();
  const connection = await from.connect({ address, port: 5001 });
  const digest = createHash("sha256");
  for (const block of content(BULK_BYTES)) {
    digest.update(block);
    if (!connection.write(block)) await once(connection, "drain");
  }
  connection.end();
  assert.equal(await received, digest.digest("hex"));
  server.close();
}

test("testpmd is killed and started again: the link goes down and comes back", {
  skip,
}, async () => {
  const path = newPath();
  const { host, device } = hostAt("10.9.0.1", path, "client");
  for (let life = 1; life <= 2; life++) {
    const testpmd = start({ ports: [{ path, role: "server" }], forward: "icmpecho" });
    await until(() => device.isUp, "the link to come up", LIMIT_MS);
    const summary = await host.ping("10.9.0.2", { count: 3, intervalMs: 10, timeoutMs: LIMIT_MS });
    assert.equal(summary.replies.length, 3);
    await testpmd.kill();
    await until(() => !device.isUp, "the link to go down", LIMIT_MS);
    assert.equal(device.linkCounters.get("connects"), life);
    assert.equal(device.linkCounters.get("disconnects"), life);
  }
});
