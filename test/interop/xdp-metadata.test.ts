/** What a NIC knows beside the bytes: veth's driver knows the hash of a kernel's frame. */
import assert from "node:assert/strict";
import { test as anyTest, type TestContext } from "node:test";
import { openXdp, type XdpOptions } from "../../src/nic/xdp.js";
import type { XdpDevice } from "../../src/nic/xdp-device.js";
import { Batch } from "../../src/ring/batch.js";
import type { Pool } from "../../src/ring/pool.js";
import { enterNamespace, ip, needsRoot, run } from "../support/namespace.js";
import { newPool } from "../support/raw-frames.js";
import { addVeth } from "../support/test-link.js";
import { until } from "../support/until.js";

await enterNamespace(import.meta.url, "ip", "perl", "ethtool");

const test = (name: string, body: (t: TestContext) => void | Promise<void>) =>
  void anyTest(name, { skip: needsRoot() }, body);

let links = 0;

function openLink(t: TestContext, options: Partial<XdpOptions>): [Pool, XdpDevice, string] {
  const [near, far] = [`mn${links}`, `mf${links++}`];
  addVeth(near, far);
  t.after(() => ip("link", "delete", far));
  const pool = newPool({ smallSlots: 1024, bigSlots: 64 });
  const device = openXdp(pool, { interface: near, ...options });
  t.after(() => device.close());
  return [pool, device, far];
}

interface Seen {
  readonly bytes: Uint8Array;
  readonly hash: number;
  readonly timeNs: bigint;
}

/** Datagrams that have arrived at port 9. */
async function datagrams(pool: Pool, device: XdpDevice, n: number): Promise<Seen[]> {
  const seen: Seen[] = [];
  const batch = new Batch();
  await until(() => {
    batch.n = 0;
    device.receive(1, batch);
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      const bytes = pool.bytes.slice(pool.at[slot]!, pool.end[slot]!);
      const metadata = device.rxMetadata?.[0];
      const hash = metadata?.hash[slot] ?? 0;
      if (bytes[14] === 0x45 && bytes[23] === 17 && bytes[37] === 9) {
        seen.push({ bytes, hash, timeNs: metadata?.timeOf(slot) ?? 0n });
      }
      pool.give(slot);
    }
    return seen.length >= n;
  }, "datagrams");
  return seen;
}

/** Datagrams to 10.78.0.2 port 9, so many from each of two ports. */
function send(far: string, each: number): void {
  const neighbour = "02:00:00:00:00:02";
  ip("address", "add", "10.78.0.1/24", "dev", far);
  ip("neighbour", "replace", "10.78.0.2", "lladdr", neighbour, "dev", far);
  run(
    "perl",
    "-e",
    `use Socket;
     for my $port (4001, 4002) {
       socket(S, AF_INET, SOCK_DGRAM, 17) or die;
       bind(S, pack_sockaddr_in($port, INADDR_ANY)) or die;
       for (1 .. ${each}) { send(S, "x" x 100, 0, pack_sockaddr_in(9, inet_aton("10.78.0.2"))) or die "$!"; }
     }`,
  );
}

test("frames come with the NIC's hash: one for a flow, different ones for two", async (t) => {
  const [pool, device, far] = openLink(t, { rxMetadata: true });
  assert.deepEqual([device.modes.program, device.modes.metadataReason], ["native", null]);
  send(far, 3);
  const seen = await datagrams(pool, device, 6);
  const hashes = seen.map((s) => s.hash);
  assert.notEqual(hashes[0], 0);
  assert.deepEqual([hashes[1], hashes[2]], [hashes[0], hashes[0]]);
  assert.notEqual(hashes[3], hashes[0]);
  assert.deepEqual([hashes[4], hashes[5]], [hashes[3], hashes[3]]);
  for (const { timeNs } of seen) assert.equal(timeNs, 0n, "a veth has no clock");
});

test("where there is none, auto says why and true fails", (t) => {
  const [, device] = openLink(t, { rxMetadata: "auto", mode: "generic" });
  assert.match(device.modes.metadataReason!, /generic mode/);
  assert.equal(device.rxMetadata, null);
  const [near, far] = ["mnx", "mfx"];
  addVeth(near, far);
  t.after(() => ip("link", "delete", far));
  const open = () => openXdp(newPool(), { interface: near, mode: "generic", rxMetadata: true });
  assert.throws(open, { code: "EOPNOTSUPP" });
});
