/**
 * memif against DPDK's driver in both roles: whole stacks through a testpmd that forwards between two
 * of its ports, and its own ARP and ICMP echo.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { afterEach, test } from "node:test";
import {
  createHost,
  createPool,
  type Host,
  type MemifDevice,
  openMemif,
  type Pool,
} from "../../src/index.js";
import { BATCH_FRAMES, Batch } from "../../src/ring/batch.js";
import { content } from "../support/content.js";
import { skipFor } from "../support/skip.js";
import { Testpmd } from "../support/testpmd.js";
import { missingTools } from "../support/tools.js";
import { until } from "../support/until.js";

const skip = skipFor(missingTools("dpdk-testpmd"));
const LIMIT_MS = 60_000;
const BULK_BYTES = 64 << 20;
const FRAMES = 400_000;
/** Frames under way at most, each way: testpmd drops what does not fit its rings. */
const WINDOW = 256;
/** As no other frame. */
const PROBE_BYTES = 1_600;
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

test(`${FRAMES} raw frames pass through testpmd intact, whatever their length`, {
  skip,
}, async () => {
  const [pathA, pathB] = [newPath(), newPath()];
  const pools = { a: poolOf(), b: poolOf() };
  const a = openMemif({ path: pathA, role: "client", pool: pools.a });
  const b = openMemif({ path: pathB, role: "server", pool: pools.b });
  const ports = [
    { path: pathA, role: "server" },
    { path: pathB, role: "client" },
  ] as const;
  start({ ports, forward: "io" });
  try {
    const none = new Batch();
    await until(
      () => {
        for (const device of [a, b]) device.receive(performance.now() * 1000, none);
        return a.isUp && b.isUp;
      },
      "both links to come up",
      LIMIT_MS,
    );
    const ways = [new Stream(a, pools.a, b, pools.b), new Stream(b, pools.b, a, pools.a)];
    for (const way of ways) await until(() => way.leads(), "testpmd to forward", LIMIT_MS);
    const endMs = performance.now() + LIMIT_MS;
    while (ways.some((way) => way.received < FRAMES / 2)) {
      assert.ok(performance.now() < endMs, ways.map((w) => `${w.received}/${w.sent}`).join(" "));
      const nowUs = performance.now() * 1000;
      for (const way of ways) way.step(nowUs);
      await new Promise(setImmediate); // testpmd needs a core too
    }
  } finally {
    a.close();
    b.close();
  }
  for (const pool of [pools.a, pools.b]) {
    assert.equal(pool.freeSmall + pool.freeBig, pool.smallSlots + pool.bigSlots);
  }
});

/** Frames one way: sent so that few are under way, checked byte by byte where they arrive. */
class Stream {
  sent = 0;
  received = 0;
  private readonly batch = new Batch();
  private readonly from: MemifDevice;
  private readonly fromPool: Pool;
  private readonly to: MemifDevice;
  private readonly toPool: Pool;

  constructor(from: MemifDevice, fromPool: Pool, to: MemifDevice, toPool: Pool) {
    this.from = from;
    this.fromPool = fromPool;
    this.to = to;
    this.toPool = toPool;
  }

  /** Whether a probe has come through. What testpmd gets before it has its other link, it drops. */
  leads(): boolean {
    const { batch } = this;
    const nowUs = performance.now() * 1000;
    batch.n = 0;
    this.to.receive(nowUs, batch);
    for (let i = 0; i < batch.n; i++) this.toPool.give(batch.slots[i]!);
    if (batch.n > 0) return true;
    const slot = this.make(0);
    this.fromPool.end[slot] = this.fromPool.at[slot]! + PROBE_BYTES;
    batch.put(slot);
    if (this.from.transmit(nowUs, batch) === 0) this.fromPool.give(slot);
    this.from.flush(nowUs);
    return false;
  }

  step(nowUs: number): void {
    const { batch } = this;
    const room = Math.min(BATCH_FRAMES, WINDOW - (this.sent - this.received));
    batch.n = 0;
    for (let i = 0; i < room; i++) batch.put(this.make(this.sent + i));
    const n = this.from.transmit(nowUs, batch);
    this.from.flush(nowUs);
    this.sent += n;
    for (let i = n; i < batch.n; i++) this.fromPool.give(batch.slots[i]!);
    batch.n = 0;
    this.to.receive(nowUs, batch);
    for (let i = 0; i < batch.n; i++) this.check(batch.slots[i]!);
  }

  private make(number: number): number {
    const slot = this.fromPool.take();
    const at = this.fromPool.base(slot) + 94;
    const end = at + lengthOf(number);
    this.fromPool.at[slot] = at;
    this.fromPool.end[slot] = end;
    this.fromPool.flags[slot] = 0;
    for (let i = at; i < end; i++) this.fromPool.bytes[i] = byteOf(number, i - at);
    return slot;
  }

  private check(slot: number): void {
    const { bytes } = this.toPool;
    const at = this.toPool.at[slot]!;
    const lengthBytes = this.toPool.end[slot]! - at;
    if (lengthBytes === PROBE_BYTES) {
      this.toPool.give(slot);
      return;
    }
    const number = this.received++;
    assert.equal(lengthBytes, lengthOf(number), `length of frame ${number}`);
    for (let i = 0; i < lengthBytes; i++) {
      if (bytes[at + i] !== byteOf(number, i)) assert.fail(`byte ${i} of frame ${number}`);
    }
    this.toPool.give(slot);
  }
}

/** Mostly short, up to 1,514 bytes. */
const lengthOf = (number: number): number =>
  number % 16 === 0 ? 60 + (number % 1455) : 60 + (number % 99);
/** Group addresses are avoided by an even first byte. */
const byteOf = (number: number, i: number): number => (number * 31 + i * 7 + (number >> 8)) & 0xfe;

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
