/** The TAP driver against the kernel, with frames made by hand. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { finish, fold, sum } from "../../src/base/checksum.js";
import { Capability } from "../../src/nic/device.js";
import { openTap, type TapDevice, type TapOptions } from "../../src/nic/tap.js";
import { openWaiter } from "../../src/nic/waiter.js";
import { Batch } from "../../src/ring/batch.js";
import { FrameFlags, type Pool } from "../../src/ring/pool.js";
import { pollFds } from "../../src/sys/fd.js";
import { interfaceMac } from "../../src/sys/tap.js";
import { background, enterNamespace, ip, NEEDS_ROOT, run } from "../support/namespace.js";
import {
  arpReply,
  arpRequest,
  bytesOf,
  icmpEcho,
  ipv4,
  newPool,
  pseudoSum,
  RawHost,
  u16,
  u32,
} from "../support/raw-frames.js";

await enterNamespace(import.meta.url, "ping", "nc", "perl", "setpriv");

const KERNEL = [10, 77, 0, 1];
const OURS = [10, 77, 0, 2];
let interfaces = 0;

/** A TAP with 10.77.0.1 on the kernel's end; closed, its slots counted, when the test ends. */
function openLink(t: TestContext, options: TapOptions = {}): { host: RawHost; device: TapDevice } {
  const pool = newPool();
  const free = [pool.freeSmall, pool.freeBig];
  const device = openTap(pool, { name: `mrt${interfaces++}`, ...options });
  ip("addr", "add", "10.77.0.1/24", "dev", device.name);
  t.after(() => {
    device.close();
    assert.deepEqual([pool.freeSmall, pool.freeBig], free, "every slot is back");
  });
  return { host: new RawHost(pool, device), device };
}

const isEthertype = (bytes: Uint8Array, type: number) => ((bytes[12]! << 8) | bytes[13]!) === type;
const isArp = (bytes: Uint8Array, operation: number) =>
  isEthertype(bytes, 0x0806) && bytes[21] === operation;
const isIpv4 = (bytes: Uint8Array, protocol: number) =>
  isEthertype(bytes, 0x0800) && bytes[23] === protocol;
const answerArp = (host: RawHost) => (frame: { bytes: Uint8Array }) => {
  if (isArp(frame.bytes, 1)) host.send(arpReply(frame.bytes, host.device.mac));
};

test("the kernel answers an ARP request and an echo request sent through the device", async (t) => {
  const { host, device } = openLink(t);
  host.send(arpRequest(device.mac, OURS, KERNEL));
  const reply = await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
  const kernelMac = reply.bytes.slice(6, 12);
  assert.deepEqual(kernelMac, interfaceMac(device.name));
  assert.notDeepEqual(kernelMac, device.mac, "each end has its own address");

  const payload = new Uint8Array(1400).fill(0x42);
  const echo = icmpEcho(8, 77, payload);
  host.onFrame = answerArp(host);
  host.send(ipv4(kernelMac, device.mac, 1, OURS, KERNEL, echo));
  const answer = await host.expect("echo reply", (f) => isIpv4(f.bytes, 1) && f.bytes[34] === 0);
  assert.deepEqual(answer.bytes.subarray(42), payload);
  assert.equal(answer.isBig, false, "it was received without a big slot");
  assert.equal(device.counters.get("txFrames") >= 2, true);
  assert.equal(device.counters.get("rxErrors"), 0);
});

test("the kernel's ping is answered by a responder on the device", async (t) => {
  const { host, device } = openLink(t);
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
    "5",
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
  assert.match(ping.output, /\b([3-9]) packets transmitted, \1 received/);
});

test("a TCP sender's segments arrive unsplit, its checksums unmade", async (t) => {
  const { host, device } = openLink(t);
  const synAck = (syn: Uint8Array) => {
    const seq = ((syn[38]! << 24) | (syn[39]! << 16) | (syn[40]! << 8) | syn[41]!) + 1;
    const ports = [...syn.subarray(36, 38), ...syn.subarray(34, 36)];
    const options = [2, 4, ...u16(1460), 1, 3, 3, 7];
    const header = [...ports, ...u32(1), ...u32(seq), 0x70, 0x12, 0xff, 0xff, 0, 0, 0, 0];
    const segment = bytesOf(header, options);
    const pseudo = pseudoSum(OURS, KERNEL, 6, segment.length);
    segment.set(u16(finish(sum(segment, 0, segment.length, pseudo))), 16);
    return ipv4(syn.slice(6, 12), device.mac, 6, OURS, KERNEL, segment);
  };
  host.onFrame = (frame) => {
    answerArp(host)(frame);
    const isSyn = isIpv4(frame.bytes, 6) && frame.bytes[47] === 2;
    if (isSyn) host.send(synAck(frame.bytes));
  };
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

const UDP_SEGMENTS = `
  use Socket; socket(S, AF_INET, SOCK_DGRAM, 17) or die;
  setsockopt(S, 17, 103, pack("i", 1000)) or die "UDP_SEGMENT: $!";
  send(S, "u" x 20000, 0, pack_sockaddr_in(9, inet_aton("10.77.0.2"))) or die "send: $!";`;

test("a UDP sender's datagrams arrive unsplit", async (t) => {
  const { host } = openLink(t);
  host.onFrame = answerArp(host);
  const sender = background("perl", "-e", UDP_SEGMENTS);
  const frame = await host.expect("unsplit datagrams", (f) => f.gsoBytes > 0);
  assert.equal(await sender.ended, 0, sender.output);
  assert.equal(frame.flags, FrameFlags.CHECKSUM_PARTIAL | FrameFlags.GSO_UDP);
  assert.deepEqual([frame.gsoBytes, frame.bytes.length], [1000, 14 + 20 + 8 + 20_000]);
});

test("without offload every frame is as on a wire", async (t) => {
  const { host, device } = openLink(t, { offload: false });
  assert.equal(device.capabilities, Capability.TX_BORROWS);
  host.onFrame = answerArp(host);
  const sender = background("perl", "-e", UDP_SEGMENTS);
  const isDatagram = (f: { bytes: Uint8Array }) => isIpv4(f.bytes, 17);
  await host.expect("20 datagrams", () => host.frames.filter(isDatagram).length === 20);
  assert.equal(await sender.ended, 0, sender.output);
  for (const { bytes, flags } of host.frames.filter(isDatagram)) {
    assert.deepEqual([flags, bytes.length], [0, 14 + 20 + 8 + 1000]);
    assert.equal(finish(sum(bytes, 34, 1008, pseudoSum(KERNEL, OURS, 17, 1008))), 0);
  }
});

test("the kernel splits what it is sent unsplit, and finishes its checksums", async (t) => {
  const { host, device } = openLink(t);
  const server = background(
    "perl",
    "-e",
    `
    use Socket; $| = 1; socket(S, AF_INET, SOCK_DGRAM, 17) or die;
    bind(S, pack_sockaddr_in(7777, INADDR_ANY)) or die; print "ready\\n";
    for (1..5) { recv(S, $_, 65536, 0); print length($_), substr($_, -1), "\\n"; }`,
  );
  await server.waitFor(/ready/);
  const payload = new Uint8Array(4500).fill(0x75);
  const datagram = bytesOf(u16(9), u16(7777), u16(4508), u16(0), payload);
  datagram.set(u16(fold(pseudoSum(OURS, KERNEL, 17, 4508))), 6);
  const frame = ipv4(interfaceMac(device.name), device.mac, 17, OURS, KERNEL, datagram);
  host.send(frame, (slot, at) => {
    const { pool } = host;
    pool.flags[slot] = FrameFlags.CHECKSUM_PARTIAL | FrameFlags.GSO_UDP;
    pool.gsoBytes[slot] = 1000;
    pool.csumStart[slot] = at + 34;
    pool.csumOffset[slot] = 6;
  });
  await server.waitFor(/1000u\n1000u\n1000u\n1000u\n500u\n/);
  assert.equal(device.counters.get("txErrors"), 0);
});

test("a waiter sleeps until a frame arrives", async (t) => {
  const { host, device } = openLink(t);
  host.poll();
  const waiter = openWaiter();
  waiter.add(device.wakeFd);
  const woken = new Promise<void>((resolve) => waiter.arm(resolve));
  host.send(arpRequest(device.mac, OURS, KERNEL));
  await woken;
  await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
  waiter.close();
});

test("frames to an interface that is down are lost and counted, and it is noticed when it is up", (t) => {
  const { host, device } = openLink(t);
  assert.equal(device.isUp, true);
  ip("link", "set", device.name, "down");
  assert.equal(host.send(arpRequest(device.mac, OURS, KERNEL)), true, "taken and lost");
  assert.equal(device.counters.get("txErrors"), 1);
  assert.equal(device.counters.get("txFrames"), 0);
  assert.equal(device.isUp, false);
  ip("link", "set", device.name, "up");
  assert.equal(device.isUp, true);
  host.send(arpRequest(device.mac, OURS, KERNEL));
  assert.equal(device.counters.get("txFrames"), 1);
});

test("a deleted interface is down, and does not keep its host awake", (t) => {
  const { host, device } = openLink(t);
  ip("link", "delete", device.name);
  host.poll();
  assert.equal(device.isUp, false);
  assert.equal(pollFds(Int32Array.of(device.wakeFd), 1, 0), 0);
  host.send(arpRequest(device.mac, OURS, KERNEL));
  assert.equal(device.counters.get("txErrors"), 1);
});

test("a renamed interface still tells whether it is up", (t) => {
  const { host, device } = openLink(t);
  ip("link", "set", device.name, "down");
  host.send(arpRequest(device.mac, OURS, KERNEL));
  ip("link", "set", device.name, "name", "renamed0");
  assert.equal(device.isUp, false);
  ip("link", "set", "renamed0", "up");
  assert.equal(device.isUp, true);
});

test("a frame whose columns contradict each other is lost alone", (t) => {
  const { host, device } = openLink(t);
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
  const { host, device } = openLink(t);
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
  const { host, device } = openLink(t);
  const open = (options: TapOptions) => () => openTap(host.pool, options);
  assert.throws(open({ name: device.name }), { code: "EBUSY", message: /another process has/ });
  assert.throws(open({ name: "lo" }), { code: "EINVAL", message: /is no TAP interface/ });
  assert.throws(open({ name: "a-name-that-is-too-long" }), { message: /up to 15 bytes/ });
  assert.throws(open({ name: "a/b" }), { code: "EINVAL", message: /expected an interface name/ });
  assert.throws(open({ mtuBytes: 10 }), { message: /expected an MTU from 68 to 65521, got 10/ });
  assert.throws(open({ mac: bytesOf(1, 2, 3, 4, 5, 6) }), RangeError);
});

/** A script that opens a TAP in another process and prints its name, or the error's message. */
const OPEN_TAP = (options: TapOptions, dist = new URL("../../", import.meta.url).href) => `
  import { openTap } from "${dist}src/nic/tap.js";
  import { newPool } from "${dist}test/support/raw-frames.js";
  try {
    console.log("opened", openTap(newPool(), ${JSON.stringify(options)}).name);
  } catch (error) { console.log(error.message); }
  process.exit(0);`;

test("without privilege the error names the call and the ways to get on", () => {
  const node = [process.execPath, "--input-type=module", "-e", OPEN_TAP({ name: "nope0" })];
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
  const script = OPEN_TAP(options, "file:///mnt/dist/");
  const node = [process.execPath, "--input-type=module", "-e", script];
  const all = ["-m", "sh", "-c", OPEN_TO_ALL, PACKAGE, ...AS_NOBODY, ...inside, ...node];
  const { stdout, stderr } = spawnSync("unshare", all, { encoding: "utf8" });
  return `${stdout}${stderr}`;
}

test("a user with no privilege opens a TAP in a user and network namespace", {
  skip: NEEDS_ROOT,
}, () => {
  assert.equal(openAsNobody(["unshare", "-Urn"], { name: "user0" }), "opened user0\n");
});

test("a user with no privilege opens a TAP that root made for him", { skip: NEEDS_ROOT }, (t) => {
  ip("tuntap", "add", "dev", "made0", "mode", "tap", "user", "65534", "vnet_hdr");
  t.after(() => ip("link", "delete", "made0"));
  assert.match(openAsNobody([], { name: "made0" }), /have root run: ip link set made0 up/);
  ip("link", "set", "made0", "up");
  assert.equal(openAsNobody([], { name: "made0" }), "opened made0\n");
});

test("opening and closing many, failures included, leaves no descriptor and no slot behind", () => {
  const pool = newPool();
  const free = [pool.freeSmall, pool.freeBig];
  const before = readdirSync("/proc/self/fd").length;
  for (let i = 0; i < 20; i++) {
    const device = openTap(pool, { name: "mrtmany" });
    new RawHost(pool, device).poll();
    assert.throws(() => openTap(pool, { name: "mrtmany" }), { code: "EBUSY" });
    assert.throws(() => openTap(pool, { mtuBytes: 1 }));
    device.close();
    device.close();
  }
  assert.equal(readdirSync("/proc/self/fd").length, before);
  assert.deepEqual([pool.freeSmall, pool.freeBig], free);
});
