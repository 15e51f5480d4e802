/**
 * XDP_REDIRECT between memif devices, with peers in processes of their own: two devices are one wire by a program,
 * compiled and as traces, and a host at one end reaches whoever is at the other, another
 * Millrace process or DPDK's testpmd.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { XdpInstance } from "../../src/ebpf/instance.js";
import { parseObject } from "../../src/ebpf/object.js";
import {
  type AttachedProgram,
  type AttachOptions,
  attachProgram,
  createHost,
  createPool,
  type Host,
  openMemif,
} from "../../src/index.js";
import { TracedProgram } from "../../src/xdp/traced-program.js";
import { skipFor } from "../support/skip.js";
import { Testpmd } from "../support/testpmd.js";
import { missingTools } from "../support/tools.js";
import { until } from "../support/until.js";
import { compileExample } from "../support/xdp-objects.js";

const PEER = fileURLToPath(new URL("../support/memif-peer.js", import.meta.url));
const PATIENCE_MS = 60_000;
const BYTES = 60_000;
const object = parseObject(compileExample("wire", "v3"));
const skip = skipFor(missingTools("dpdk-testpmd"));

const newPath = (): string => `@millrace-wire-${process.pid}-${randomBytes(4).toString("hex")}`;
const u32 = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);

interface Wire {
  /** 10.9.0.1 at the near end. */
  readonly near: Host;
  readonly ends: readonly AttachedProgram[];
  /** Where the peer at the far end connects. */
  readonly farPath: string;
}

function openWire(t: TestContext, options: AttachOptions): Wire {
  const pool = createPool({ shared: true, smallSlots: 4_096, bigSlots: 64 });
  const nearPool = createPool({ shared: true, smallSlots: 4_096, bigSlots: 64 });
  const free = [pool.freeSmall, pool.freeBig];
  const [nearPath, farPath] = [newPath(), newPath()];
  const ends = [nearPath, farPath].map((path, n) => {
    const device = openMemif({ path, role: "server", pool, offload: false });
    return attachProgram(device, object, { ...options, pool, index: n + 1 });
  });
  for (const [n, end] of ends.entries()) {
    assert.equal(end.instance.map("other_end").set(u32(0), u32(2 - n)), 0);
  }
  const interfaces = ends.map((device) => ({ device, linkLocal: false }));
  const middle = createHost({ pool, interfaces });
  const device = openMemif({ path: nearPath, role: "client", pool: nearPool, offload: false });
  const near = createHost({ device, pool: nearPool, addresses: ["10.9.0.1/24"] });
  t.after(() => {
    for (const host of [near, middle]) host.close();
    assert.deepEqual([pool.freeSmall, pool.freeBig], free, "every slot is back");
  });
  return { near, ends, farPath };
}

function counted({ ends }: Wire): { redirected: number; others: number } {
  let [redirected, others] = [0, 0];
  for (const { programCounters } of ends) {
    const { xdpRedirect, xdpPass, xdpTx, xdpErrors, xdpNowhere } = programCounters.snapshot();
    redirected += xdpRedirect;
    others += xdpPass + xdpTx + xdpErrors + xdpNowhere;
  }
  return { redirected, others };
}

/** The peer's process, once its link is up. */
async function startPeer(t: TestContext, path: string): Promise<ChildProcess> {
  const peer = spawn(process.execPath, [PEER, path, "client"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  t.after(async () => {
    peer.kill("SIGKILL");
    if (peer.exitCode === null && peer.signalCode === null) await once(peer, "exit");
  });
  await once(peer.stdout!, "data");
  return peer;
}

const tracing = (instance: XdpInstance): TracedProgram =>
  new TracedProgram(instance, { compilesAfter: 4 });
const ENGINES: readonly (readonly [string, AttachOptions])[] = [
  ["wasm", {}],
  ["trace", { wrap: tracing }],
];

for (const [engine, options] of ENGINES) {
  test(`${engine}: a process behind the wire echoes UDP and TCP`, async (t) => {
    const wire = openWire(t, options);
    await startPeer(t, wire.farPath);
    const { replies } = await wire.near.ping("10.9.0.2", {
      count: 10,
      intervalMs: 5,
      timeoutMs: PATIENCE_MS,
    });
    assert.equal(replies.length, 10);
    const connection = await wire.near.connect({ address: "10.9.0.2", port: 7 });
    const sent = randomBytes(BYTES);
    connection.end(sent);
    const parts: Uint8Array[] = [];
    for await (const part of connection) parts.push(part as Uint8Array);
    assert.equal(Buffer.compare(Buffer.concat(parts), sent), 0);
    const { redirected, others } = counted(wire);
    // Every frame has at most 1,514 bytes here, both ways.
    assert.ok(redirected >= 20 + (2 * BYTES) / 1_514, `${redirected} redirected`);
    assert.equal(others, 0);
  });
}

test("testpmd behind the wire answers ARP and ICMP echo", {
  skip,
}, async (t) => {
  const wire = openWire(t, {});
  const ports = [{ path: wire.farPath, role: "client" as const }];
  const testpmd = new Testpmd({ ports, forward: "icmpecho" });
  t.after(() => testpmd.kill());
  await until(() => wire.ends[1]!.isUp, "testpmd to connect", PATIENCE_MS);
  const { replies } = await wire.near.ping("10.9.0.2", {
    count: 20,
    intervalMs: 10,
    timeoutMs: PATIENCE_MS,
  });
  assert.equal(replies.length, 20);
  const { redirected, others } = counted(wire);
  assert.ok(redirected >= 40, `${redirected} redirected`);
  assert.equal(others, 0);
});
