/** What only the TAP driver does, against the kernel, with frames made by hand. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { finish, fold, sum } from "../../src/base/checksum.js";
import { Capability } from "../../src/nic/device.js";
import { openTap, type TapOptions } from "../../src/nic/tap.js";
import { Batch } from "../../src/ring/batch.js";
import { FrameFlags, type Pool } from "../../src/ring/pool.js";
import { interfaceMac } from "../../src/sys/tap.js";
import {
  acceptTcp,
  answerArp,
  isArp,
  isIpv4,
  KERNEL,
  OURS,
  openElsewhere,
  tapLink,
  UDP_SEGMENTS,
} from "../support/device-link.js";
import { background, enterNamespace, ip, needsRoot, run } from "../support/namespace.js";
import {
  arpRequest,
  bytesOf,
  icmpEcho,
  ipv4,
  newPool,
  pseudoSum,
  RawHost,
  u16,
} from "../support/raw-frames.js";

await enterNamespace(import.meta.url, "ping", "nc", "perl", "setpriv");

test("the kernel's ping is answered by a responder on the device", async (t) => {
  const { host, device } = tapLink(t);
  host.onFrame = (frame) => {
    answerArp(host)(frame);
    if (!isIpv4(frame.bytes, 1) || frame.bytes[34] !== 8) return;
    const body = frame.bytes.subarray(42);
    const id = (frame.bytes[38]! << 8) | frame.bytes[39]!;
    const reply = icmpEcho(0, id, body);
    reply.set(frame.bytes.subarray(40, 42), 6); // its sequence number
    reply.set(u16(0), 2);
    reply.set(u16(finish(sum(reply, 0, reply.length, 0))), 2);
    host.send(ipv4(frame.bytes.slice(6, 12), device.mac, 1, OURS, KERNEL, reply));
  };
  const ping = background(
    "ping",
    "-n",
    "-c",
    "3",
    "-w",
    "60",
    "-i",
    "0.02",
    "-s",
    "1000",
    "10.77.0.2",
  );
  let status: number | null = -1;
  void ping.ended.then((code) => {
    status = code;
  });
  await host.expect("third request", () => {
    return host.frames.filter((f) => isIpv4(f.bytes, 1)).length >= 3;
  });
  await ping.ended;
  assert.equal(status, 0, ping.output);
  assert.match(ping.output, / ([3-9]|\d\d+) received/);
});

test("a TCP sender's segments arrive unsplit, its checksums unmade", async (t) => {
  const { host } = tapLink(t);
  host.onFrame = acceptTcp(host);
  const nc = background("nc", "10.77.0.2", "9999");
  nc.write("x".repeat(100_000));
  const segment = await host.expect("unsplit segment", (f) => f.gsoBytes > 0);
  nc.kill();
  assert.equal(segment.flags, FrameFlags.CHECKSUM_PARTIAL | FrameFlags.GSO_TCP4);
  assert.equal(segment.gsoBytes, 1460);
  assert.equal(segment.isBig, true);
  assert.ok(segment.bytes.length > 2 * 1460, `${segment.bytes.length} bytes`);
  const length = (segment.bytes[16]! << 8) | segment.bytes[17]!;
  assert.equal(segment.bytes.length, 14 + length, "the IP length covers the frame");
  assert.deepEqual([segment.csumStart, segment.csumOffset], [34, 16]);
  // The bytes after the copied beginning are where they belong.
  assert.deepEqual(segment.bytes.subarray(54), new Uint8Array(length - 40).fill(0x78));
  const pseudo = fold(pseudoSum(KERNEL, OURS, 6, length - 20));
  assert.equal((segment.bytes[50]! << 8) | segment.bytes[51]!, pseudo);
});

test("without offload the device is offered nothing unfinished", (t) => {
  assert.equal(tapLink(t, { offload: false }).device.capabilities, Capability.TX_BORROWS);
});

test("a renamed interface still tells whether it is up", (t) => {
  const { host, device } = tapLink(t);
  ip("link", "set", device.name, "down");
  host.send(arpRequest(device.mac, OURS, KERNEL));
  ip("link", "set", device.name, "name", "renamed0");
  assert.equal(device.isUp, false);
  ip("link", "set", "renamed0", "up");
  assert.equal(device.isUp, true);
});

test("a frame whose columns contradict each other is lost alone", (t) => {
  const { host, device } = tapLink(t);
  const good = arpRequest(device.mac, OURS, KERNEL);
  const batch = new Batch();
  for (const flags of [0, FrameFlags.GSO_TCP4, 0]) batch.put(slotWith(host.pool, good, flags));
  for (let calls = 0; batch.n > 0; calls++) {
    assert.ok(calls < 4, "every call takes frames");
    batch.drop(device.transmit(0, batch));
  }
  assert.deepEqual([device.counters.get("txFrames"), device.counters.get("txErrors")], [2, 1]);
  assert.equal(host.frames.length, 0);
});

function slotWith(pool: Pool, bytes: Uint8Array, flags: number): number {
  const slot = pool.take();
  pool.at[slot] = pool.base(slot) + 128;
  pool.end[slot] = pool.at[slot]! + bytes.length;
  pool.bytes.set(bytes, pool.at[slot]!);
  pool.flags[slot] = flags;
  return slot;
}

test("without big slots what needs one is lost and counted, and small frames still pass", async (t) => {
  const pool = newPool({ smallSlots: 64, bigSlots: 1 });
  const device = openTap(pool, { name: "mrtsmall" });
  ip("addr", "add", "10.77.0.1/24", "dev", device.name);
  t.after(() => device.close());
  const host = new RawHost(pool, device);
  host.onFrame = answerArp(host);
  const sender = background("perl", "-e", UDP_SEGMENTS);
  await sender.ended;
  await host.expect("ARP request", (f) => isArp(f.bytes, 1));
  host.send(arpRequest(device.mac, OURS, KERNEL));
  await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
  assert.equal(device.counters.get("rxNoSlot"), 1, "the unsplit datagrams");
});

test("while the pool is empty frames wait in the kernel", async (t) => {
  const { host, device } = tapLink(t);
  for (let i = 0; i < 3; i++) host.send(arpRequest(device.mac, OURS, KERNEL));
  const held: number[] = [];
  for (let slot = host.pool.take(); slot >= 0; slot = host.pool.take()) held.push(slot);
  host.poll();
  assert.deepEqual([host.frames.length, device.counters.get("rxNoSlot")], [0, 1]);
  for (const slot of held) host.pool.give(slot);
  const replies = () => host.frames.filter((f) => isArp(f.bytes, 2)).length;
  await host.expect("three replies", () => replies() === 3);
});

test("options: names, addresses, MTU", (t) => {
  const pool = newPool();
  const mac = bytesOf(2, 0, 0, 0, 0, 9);
  const kernelMac = bytesOf(2, 0, 0, 0, 0, 10);
  const device = openTap(pool, { name: "mrtopt%d", mac, kernelMac, mtuBytes: 9000 });
  t.after(() => device.close());
  assert.equal(device.name, "mrtopt0");
  assert.deepEqual([device.mac, interfaceMac("mrtopt0")], [mac, kernelMac]);
  assert.equal(device.mtuBytes, 9000);
  assert.match(ip("link", "show", "mrtopt0"), /[<,]UP[,>].* mtu 9000/);
  const other = openTap(pool, { bringUp: false });
  assert.match(other.name, /^tap\d+$/);
  assert.equal(other.mac[0]! & 3, 2, "locally administered, not a group");
  other.close();
});

test("what cannot be opened says why and what to do", (t) => {
  const { host, device } = tapLink(t);
  const open = (options: TapOptions) => () => openTap(host.pool, options);
  assert.throws(open({ name: device.name }), { code: "EBUSY", message: /another process has/ });
  assert.throws(open({ name: "lo" }), { code: "EINVAL", message: /is no TAP interface/ });
  assert.throws(open({ name: "a-name-that-is-too-long" }), { message: /up to 15 bytes/ });
  assert.throws(open({ name: "a/b" }), { code: "EINVAL", message: /expected an interface name/ });
  assert.throws(open({ mtuBytes: 10 }), { message: /expected an MTU from 68 to 65521, got 10/ });
  assert.throws(open({ mac: bytesOf(1, 2, 3, 4, 5, 6) }), RangeError);
});

/** Opens a TAP in another process. */
const openTapElsewhere = (options: TapOptions, dist?: string) =>
  openElsewhere("tap", `openTap(newPool(), ${JSON.stringify(options)})`, undefined, dist);

test("without privilege the error names the call and the ways to get on", () => {
  const node = openTapElsewhere({ name: "nope0" });
  const said = run("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", ...node);
  assert.match(said, /^ioctl TUNSETIFF EPERM: operation not permitted; needs CAP_NET_ADMIN/);
  assert.match(said, /unshare -Urn.*ip tuntap add dev nope0 mode tap user \$USER vnet_hdr/);
});

const AS_NOBODY = [
  "setpriv",
  "--reuid=65534",
  "--regid=65534",
  "--clear-groups",
  "--inh-caps=-all",
];
/**
 * /dev/net/tun as distributions have it, open to all, whatever this machine has; and the package at
 * a place that everybody can reach.
 */
const OPEN_TO_ALL = `mount --bind "$0" /mnt && mount -t tmpfs tmpfs /dev/net &&
  mknod -m 666 /dev/net/tun c 10 200 && cd / && exec "$@"`;
const PACKAGE = fileURLToPath(new URL("../../../", import.meta.url));

/** Runs the script as a user with no privilege at all. */
function openAsNobody(inside: string[], options: TapOptions): string {
  const node = openTapElsewhere(options, "file:///mnt/dist/");
  const all = ["-m", "sh", "-c", OPEN_TO_ALL, PACKAGE, ...AS_NOBODY, ...inside, ...node];
  const { stdout, stderr } = spawnSync("unshare", all, { encoding: "utf8" });
  return `${stdout}${stderr}`;
}

test("a user with no privilege opens a TAP in a user and network namespace", {
  skip: needsRoot(),
}, () => {
  assert.equal(openAsNobody(["unshare", "-Urn"], { name: "user0" }), "opened user0\n");
});

test("a user with no privilege opens a TAP that root made for him", { skip: needsRoot() }, (t) => {
  ip("tuntap", "add", "dev", "made0", "mode", "tap", "user", "65534", "vnet_hdr");
  t.after(() => ip("link", "delete", "made0"));
  assert.match(openAsNobody([], { name: "made0" }), /have root run: ip link set made0 up/);
  ip("link", "set", "made0", "up");
  assert.equal(openAsNobody([], { name: "made0" }), "opened made0\n");
});
