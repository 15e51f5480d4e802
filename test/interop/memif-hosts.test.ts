/** Two processes, a host in each, joined by memif: both roles, asleep and spinning. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { afterEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createHost, createPool, type Host, type MemifDevice, openMemif } from "../../src/index.js";
import { content } from "../support/content.js";
import { PATIENCE_MS, until } from "../support/until.js";

const PEER = fileURLToPath(new URL("../support/memif-peer.js", import.meta.url));
const TOTAL_BYTES = Number(process.env.MILLRACE_MEMIF_BYTES ?? 2 ** 30);
const peers: ChildProcess[] = [];
const hosts: Host[] = [];

const newPath = (): string => `@millrace-test-${process.pid}-${randomBytes(4).toString("hex")}`;

function startPeer(path: string, role: string, ...more: string[]): ChildProcess {
  const peer = spawn(process.execPath, [PEER, path, role, ...more], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  peers.push(peer);
  return peer;
}

afterEach(async () => {
  for (const host of hosts.splice(0)) host.close();
  for (const peer of peers.splice(0)) {
    if (peer.exitCode !== null || peer.signalCode !== null) continue;
    peer.kill("SIGKILL");
    await once(peer, "exit");
  }
});

interface Joined {
  readonly host: Host;
  readonly device: MemifDevice;
  readonly peer: ChildProcess;
  readonly path: string;
}

async function joined(role: "client" | "server", mode: string): Promise<Joined> {
  const path = newPath();
  const pool = createPool({ shared: true });
  const device = openMemif({ path, role, pool });
  const host = createHost({
    pool,
    device,
    addresses: ["10.9.0.1/24", "fd09::1/64"],
    spinUs: mode === "spin" ? 50 : 0,
  });
  hosts.push(host);
  const peer = startPeer(path, role === "client" ? "server" : "client", mode);
  await until(() => device.isUp, "the link to come up");
  return { host, device, peer, path };
}

for (const role of ["client", "server"] as const) {
  for (const mode of ["sleep", "spin"]) {
    test(`${role}, peers ${mode}: datagrams are echoed, over IPv4 and IPv6`, async () => {
      const { host, device } = await joined(role, mode);
      assert.equal(device.isExtended, true);
      for (const address of ["10.9.0.2", "fd09::2"]) {
        const udp = await host.udp({});
        for (const n of [0, 1, 64, 1472, 9000, 60_000]) {
          const data = randomBytes(n);
          await udp.send(data, { address, port: 7 });
          const answer = await udp.receive({ signal: AbortSignal.timeout(PATIENCE_MS) });
          assert.deepEqual(answer?.data, data);
        }
        udp.close();
      }
    });
  }
}

for (const role of ["client", "server"] as const) {
  test(`${role}: ${TOTAL_BYTES} bytes of TCP arrive intact`, async (t) => {
    const { host } = await joined(role, "sleep");
    const connection = await host.connect({ address: "10.9.0.2", port: 9 });
    const digest = createHash("sha256");
    const startMs = performance.now();
    for (const block of content(TOTAL_BYTES)) {
      digest.update(block);
      if (!connection.write(block)) await once(connection, "drain");
    }
    connection.end();
    let answer = "";
    for await (const chunk of connection) answer += chunk;
    const gbitPerS = (TOTAL_BYTES * 8) / (performance.now() - startMs) / 1e6;
    t.diagnostic(`${gbitPerS.toFixed(2)} Gbit/s, hashing included`);
    assert.equal(answer, digest.digest("hex"));
  });
}

for (const role of ["client", "server"] as const) {
  test(`${role}: a peer that is killed and comes back finds the link again, and no slot is lost`, async () => {
    const path = newPath();
    const pool = createPool({ shared: true, smallSlots: 4096, bigSlots: 128 });
    const device = openMemif({ path, role, pool });
    const host = createHost({ pool, device, addresses: ["10.9.0.1/24", "fd09::1/64"] });
    hosts.push(host);
    for (let life = 1; life <= 3; life++) {
      const peer = startPeer(path, role === "client" ? "server" : "client", "sleep");
      await until(() => device.isUp, "the link to come up");
      const connection = await host.connect({ address: "10.9.0.2", port: 9 });
      connection.on("error", () => {}); // its peer dies
      for (let i = 0; i < 20; i++) connection.write(randomBytes(100_000));
      const udp = await host.udp({});
      await udp.send("alive?", { address: "10.9.0.2", port: 7 });
      const answer = await udp.receive({ signal: AbortSignal.timeout(PATIENCE_MS) });
      assert.equal(`${answer?.data}`, "alive?");
      peer.kill("SIGKILL");
      await until(() => !device.isUp, "the link to go down");
      connection.destroy();
      udp.close();
      assert.equal(device.linkCounters.get("connects"), life);
      assert.equal(device.linkCounters.get("disconnects"), life);
    }
    hosts.splice(0);
    host.close();
    assert.equal(pool.freeSmall + pool.freeBig, 4096 + 128);
  });
}
