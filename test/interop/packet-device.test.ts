/** The AF_PACKET driver against the kernel at the other end of a veth, with frames made by hand. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { finish, fold, sum } from "../../src/base/checksum.js";
import { openPacket, type PacketDevice, type PacketOptions } from "../../src/nic/packet.js";
import { openWaiter } from "../../src/nic/waiter.js";
import { Batch } from "../../src/ring/batch.js";
import { FrameFlags } from "../../src/ring/pool.js";
import { pollFds } from "../../src/sys/fd.js";
import { interfaceMac } from "../../src/sys/tap.js";
import { background, enterNamespace, ip, run } from "../support/namespace.js";
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
} from "../support/raw-frames.js";
import { addVeth } from "../support/test-link.js";
import { until } from "../support/until.js";

await enterNamespace(import.meta.url, "ip", "ping", "nc", "perl", "ethtool", "setpriv");

const KERNEL = [10, 77, 0, 1];
const OURS = [10, 77, 0, 2];
let links = 0;

interface Link {
  readonly host: RawHost;
  readonly device: PacketDevice;
  /** The kernel's end. */
  readonly far: string;
}

/** A veth with 10.77.0.1 at the kernel's end; closed, its slots counted, when the test ends. */
function openLink(t: TestContext, options: Partial<PacketOptions> = {}, mtuBytes = 1_500): Link {
  const [near, far] = [`kn${links}`, `kf${links++}`];
  addVeth(near, far, mtuBytes);
  ip("address", "add", "10.77.0.1/24", "dev", far);
  const pool = newPool();
  const free = [pool.freeSmall, pool.freeBig];
  const device = openPacket(pool, { interface: near, ...options });
  t.after(() => {
    device.close();
    ip("link", "delete", far);
    assert.deepEqual([pool.freeSmall, pool.freeBig], free, "every slot is back");
  });
  return { host: new RawHost(pool, device), device, far };
}

const isEthertype = (bytes: Uint8Array, type: number) => ((bytes[12]! << 8) | bytes[13]!) === type;
const isArp = (bytes: Uint8Array, operation: number) =>
  isEthertype(bytes, 0x0806) && bytes[21] === operation;
const isIpv4 = (bytes: Uint8Array, protocol: number) =>
  isEthertype(bytes, 0x0800) && bytes[23] === protocol;
const answerArp = (host: RawHost) => (frame: { bytes: Uint8Array }) => {
  if (isArp(frame.bytes, 1)) host.send(arpReply(frame.bytes, host.device.mac));
};

/** Open descriptors, and mappings of sockets. */
const resources = () => [
  readFileSync("/proc/self/maps", "utf8").split("socket:").length - 1,
  readdirSync("/proc/self/fd").length,
];

// First: what the helpers of other tests leave to be closed would be counted.
test("opening and closing many, failures included, leaves no descriptor, mapping or slot", () => {
  addVeth("manyn", "manyf");
  const pool = newPool();
  const free = [pool.freeSmall, pool.freeBig];
  const before = resources();
  for (let i = 0; i < 10; i++) {
    const device = openPacket(pool, { interface: "manyn", offload: i % 2 === 0 });
    new RawHost(pool, device).poll();
    assert.equal(resources()[0], before[0]! + 1, "both rings are mapped at once");
    assert.throws(() => openPacket(pool, { interface: "nowhere0" }), { code: "ENODEV" });
    device.close();
    device.close();
  }
  assert.deepEqual(resources(), before);
  assert.deepEqual([pool.freeSmall, pool.freeBig], free);
  ip("link", "delete", "manyn");
});

for (const offload of [true, false]) {
  for (const payloadBytes of [0, 1, 18, 1_000, 1_472]) {
    test(`an echo of ${payloadBytes} bytes comes back, offload ${offload}`, async (t) => {
      const { host, device, far } = openLink(t, { offload });
      host.onFrame = answerArp(host);
      const payload = Uint8Array.from({ length: payloadBytes }, (_, i) => i * 7);
      host.send(ipv4(interfaceMac(far), device.mac, 1, OURS, KERNEL, icmpEcho(8, 77, payload)));
      const isReply = (b: Uint8Array) => isIpv4(b, 1) && b[34] === 0;
      const answer = await host.expect("echo reply", (f) => isReply(f.bytes));
      assert.deepEqual(answer.bytes.subarray(42, 42 + payloadBytes), payload);
      assert.equal(answer.isBig, false);
      assert.deepEqual([device.counters.get("rxErrors"), device.counters.get("txErrors")], [0, 0]);
    });
  }

  test(`frames of 9,014 bytes pass both ways, offload ${offload}`, async (t) => {
    const { host, device, far } = openLink(t, { offload }, 9_000);
    host.onFrame = answerArp(host);
    const payload = Uint8Array.from({ length: 8_972 }, (_, i) => i * 7);
    host.send(ipv4(interfaceMac(far), device.mac, 1, OURS, KERNEL, icmpEcho(8, 77, payload)));
    const answer = await host.expect("reply", (f) => isIpv4(f.bytes, 1) && f.bytes[34] === 0);
    assert.deepEqual(answer.bytes.subarray(42), payload);
  });
}

test("more frames than a ring holds pass in order, each ring many times round", async (t) => {
  const { host, device, far } = openLink(t);
  host.onFrame = answerArp(host);
  const mac = interfaceMac(far);
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 16; i++) {
      const echo = icmpEcho(8, round * 16 + i, bytesOf(round, i));
      assert.equal(host.send(ipv4(mac, device.mac, 1, OURS, KERNEL, echo)), true);
    }
    const replies = () => host.frames.filter((f) => isIpv4(f.bytes, 1) && f.bytes[34] === 0);
    await host.expect("16 more replies", () => replies().length === (round + 1) * 16);
  }
  const ids = host.frames
    .filter((f) => isIpv4(f.bytes, 1) && f.bytes[34] === 0)
    .map((f) => (f.bytes[38]! << 8) | f.bytes[39]!);
  assert.deepEqual(
    ids,
    Array.from({ length: 640 }, (_, i) => i),
  );
});

const UDP_SEGMENTS = `
  use Socket; socket(S, AF_INET, SOCK_DGRAM, 17) or die;
  setsockopt(S, 17, 103, pack("i", 1000)) or die "UDP_SEGMENT: $!";
  send(S, "u" x 20000, 0, pack_sockaddr_in(9, inet_aton("10.77.0.2"))) or die "send: $!";`;

test("a sender's datagrams arrive unsplit, their checksum unmade", async (t) => {
  const { host, far } = openLink(t);
  run("ethtool", "-K", far, "tx-udp-segmentation", "on");
  host.onFrame = answerArp(host);
  const sender = background("perl", "-e", UDP_SEGMENTS);
  const frame = await host.expect("unsplit datagrams", (f) => f.gsoBytes > 0);
  assert.equal(await sender.ended, 0, sender.output);
  assert.equal(frame.flags, FrameFlags.CHECKSUM_PARTIAL | FrameFlags.GSO_UDP);
  assert.deepEqual([frame.gsoBytes, frame.bytes.length], [1000, 14 + 20 + 8 + 20_000]);
  assert.deepEqual([frame.csumStart, frame.csumOffset], [34, 6]);
  assert.deepEqual(frame.bytes.subarray(42), new Uint8Array(20_000).fill(0x75));
});

test("without offload, and with the sender's off, every frame is as on a wire", async (t) => {
  const { host, device, far } = openLink(t, { offload: false });
  assert.equal(device.capabilities, 0);
  run("ethtool", "-K", far, "tx", "off", "tso", "off", "gso", "off");
  host.onFrame = answerArp(host);
  const sender = background("perl", "-e", UDP_SEGMENTS);
  const isDatagram = (f: { bytes: Uint8Array }) => isIpv4(f.bytes, 17);
  await host.expect("20 datagrams", () => host.frames.filter(isDatagram).length === 20);
  assert.equal(await sender.ended, 0, sender.output);
  for (const { bytes, gsoBytes } of host.frames.filter(isDatagram)) {
    assert.deepEqual([gsoBytes, bytes.length], [0, 14 + 20 + 8 + 1000]);
    assert.equal(finish(sum(bytes, 34, 1008, pseudoSum(KERNEL, OURS, 17, 1008))), 0);
  }
});

test("the kernel splits what it is sent unsplit, and finishes its checksums", async (t) => {
  const { host, device, far } = openLink(t);
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
  const frame = ipv4(interfaceMac(far), device.mac, 17, OURS, KERNEL, datagram);
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

test("VLAN tags, which the kernel takes out of frames, are in them again", async (t) => {
  const { host, far } = openLink(t);
  const pool = newPool();
  const farHost = new RawHost(pool, openPacket(pool, { interface: far }));
  t.after(() => farHost.device.close());
  const untagged = arpRequest(farHost.device.mac, KERNEL, OURS);
  const addresses = untagged.subarray(0, 12);
  const tagged = bytesOf(addresses, [0x81, 0x00], u16(0x602a), untagged.subarray(12));
  farHost.send(tagged);
  const frame = await host.expect("tagged frame", (f) => isEthertype(f.bytes, 0x8100));
  assert.deepEqual(frame.bytes, tagged);
});

const MANY_FLOWS = `
  use Socket;
  for my $port (20000..20063) {
    socket(S, AF_INET, SOCK_DGRAM, 17) or die;
    bind(S, pack_sockaddr_in($port, inet_aton("10.77.0.1"))) or die;
    send(S, "flow", 0, pack_sockaddr_in(9, inet_aton("10.77.0.2"))) or die "send: $!";
  }`;

test("devices of one fanout group share the flows", async (t) => {
  const first = openLink(t, { fanoutGroup: 7 });
  const pool = newPool();
  const second = openPacket(pool, { interface: first.device.name, fanoutGroup: 7 });
  t.after(() => second.close());
  const mac = [...first.device.mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  ip("neighbour", "replace", "10.77.0.2", "lladdr", mac, "dev", first.far);
  const hosts = [first.host, new RawHost(pool, second)];
  const sender = background("perl", "-e", MANY_FLOWS);
  const counts = () => hosts.map((h) => h.frames.filter((f) => isIpv4(f.bytes, 17)).length);
  await until(() => {
    for (const host of hosts) host.poll();
    return counts()[0]! + counts()[1]! === 64;
  }, "64 flows");
  assert.equal(await sender.ended, 0, sender.output);
  assert.ok(counts()[0]! > 0 && counts()[1]! > 0, `${counts()}`);
});

test("an address of its own receives what is sent to it", async (t) => {
  const mac = bytesOf(2, 0, 0, 0, 0, 9);
  const { host, device, far } = openLink(t, { mac });
  host.onFrame = answerArp(host);
  host.send(arpRequest(device.mac, OURS, KERNEL));
  const reply = await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
  assert.deepEqual([reply.bytes.slice(0, 6), reply.bytes.slice(6, 12)], [mac, interfaceMac(far)]);
});

test("the device warns when the kernel has addresses there", (t) => {
  const { host, device } = openLink(t);
  assert.deepEqual(device.warnings, []);
  ip("address", "add", "10.80.0.1/24", "dev", device.name);
  const other = openPacket(host.pool, { interface: device.name });
  other.close();
  assert.match(other.warnings[0]!, /the kernel has 10.80.0.1\/24 on kn\d+/);
});

test("frames that found the ring full are counted", async (t) => {
  const { host, device, far } = openLink(t);
  const mac = [...device.mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  ip("neighbour", "replace", "10.77.0.2", "lladdr", mac, "dev", far);
  for (let i = 0; i < 3; i++) assert.equal(await background("perl", "-e", MANY_FLOWS).ended, 0);
  device.check(0);
  assert.ok(device.kernelCounters.get("rxRingFull") > 0);
  for (let i = 0; i < 3; i++) host.poll();
  assert.equal(host.frames.length, 128, "what had a place is there");
  host.send(arpRequest(device.mac, OURS, KERNEL));
  await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
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

/** A receive long after the others, which asks about the link. */
function askLater({ device, pool }: RawHost): void {
  const batch = new Batch();
  device.receive(10_000_000, batch);
  for (let i = 0; i < batch.n; i++) pool.give(batch.slots[i]!);
}

test("an interface that goes down and up is noticed, and frames to it are lost and counted", async (t) => {
  const { host, device } = openLink(t);
  ip("link", "set", device.name, "down");
  askLater(host);
  assert.equal(device.isUp, false);
  host.send(arpRequest(device.mac, OURS, KERNEL));
  assert.equal(device.counters.get("txErrors"), 1);
  ip("link", "set", device.name, "up");
  await until(() => device.isUp, "the link up");
  host.send(arpRequest(device.mac, OURS, KERNEL));
  await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
});

test("a deleted interface is down, and does not keep its host awake", () => {
  addVeth("gone", "gonefar");
  const pool = newPool();
  const device = openPacket(pool, { interface: "gone" });
  const host = new RawHost(pool, device);
  ip("link", "delete", "gone");
  askLater(host);
  assert.equal(device.isUp, false);
  assert.equal(pollFds(Int32Array.of(device.wakeFd), 1, 0), 0);
  host.send(arpRequest(device.mac, OURS, KERNEL));
  assert.equal(device.counters.get("txErrors"), 1);
  device.close();
});

const OPEN_PACKET = (name: string, dist = new URL("../../", import.meta.url).href) => `
  import { openPacket } from "${dist}src/nic/packet.js";
  import { newPool } from "${dist}test/support/raw-frames.js";
  try {
    console.log("opened", openPacket(newPool(), { interface: "${name}" }).name);
  } catch (error) { console.log(error.message); }
  process.exit(0);`;

test("without privilege the error names the call and the capability", (t) => {
  const { device } = openLink(t);
  const node = [process.execPath, "--input-type=module", "-e", OPEN_PACKET(device.name)];
  const said = run("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", ...node);
  assert.match(said, /^socket AF_PACKET EPERM.*CAP_NET_RAW/);
});
