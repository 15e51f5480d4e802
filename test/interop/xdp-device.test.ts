/** What only the AF_XDP driver does, against the kernel at the other end of a veth. */
import assert from "node:assert/strict";
import { test as anyTest, type TestContext } from "node:test";
import { fold } from "../../src/base/checksum.js";
import { IpAddress } from "../../src/base/ip-address.js";
import { Capability } from "../../src/nic/device.js";
import { openWaiter } from "../../src/nic/waiter.js";
import { openXdp, openXdpQueues, type XdpOptions } from "../../src/nic/xdp.js";
import type { XdpDevice } from "../../src/nic/xdp-device.js";
import { FrameFlags } from "../../src/ring/pool.js";
import { interfaceMac } from "../../src/sys/tap.js";
import {
  acceptTcp,
  answerArp,
  type DeviceLink,
  exchangeEcho,
  introduce,
  isArp,
  isIpv4,
  KERNEL,
  MANY_FLOWS,
  OURS,
  openElsewhere,
  UDP_SEGMENTS,
  type VethOptions,
  vethLink,
} from "../support/device-link.js";
import { background, enterNamespace, ip, Namespace, needsRoot, run } from "../support/namespace.js";
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
import { addVeth } from "../support/test-link.js";
import { until } from "../support/until.js";

await enterNamespace(import.meta.url, "ip", "ping", "nc", "perl", "ethtool", "setpriv");

/** XDP programs are not for the root of a user namespace. */
const test = (name: string, body: (t: TestContext) => void | Promise<void>) =>
  void anyTest(name, { skip: needsRoot() }, body);

interface LinkOptions extends Partial<XdpOptions>, VethOptions {}

/** A veth with 10.77.0.1 at the kernel's end. */
function openLink(t: TestContext, options: LinkOptions = {}): DeviceLink<XdpDevice> {
  const { mtuBytes, queues, ...rest } = options;
  const veth = {
    ...(mtuBytes === undefined ? {} : { mtuBytes }),
    ...(queues === undefined ? {} : { queues }),
  };
  return vethLink(t, veth, (pool, name) => openXdp(pool, { interface: name, ...rest }));
}

for (const mode of ["generic", "native"] as const) {
  test(`${mode} mode: what the kernel does for it is told, and its counts are the device's`, async (t) => {
    const link = openLink(t, { mode });
    const { device } = link;
    assert.equal(device.modes.program, mode);
    assert.equal(device.modes.isZeroCopy, false);
    assert.notEqual(device.modes.copyReason, null, "it says why frames are copied");
    assert.deepEqual(device.mac, interfaceMac(device.name));
    assert.equal(await exchangeEcho(link, 1400), false, "received without a big slot");
    assert.equal(device.kernelCounters.get("txCopied"), 0);
  });

  test(`frames of 9,014 bytes are contiguous in ${mode} mode`, async (t) => {
    const link = openLink(t, { mode, mtuBytes: 9_000 });
    assert.equal(await exchangeEcho(link, 8_972), true, "one contiguous frame, in a big slot");
    assert.equal(link.device.kernelCounters.get("txCopied"), 1);
    assert.equal(link.device.kernelCounters.get("rxJoined"), 1);
    assert.equal(await exchangeEcho(link, 100), false, "a short one in a small slot");
  });

  test(`after it is closed the kernel has the interface again, ${mode} mode`, (t) => {
    const { device } = openLink(t, { mode });
    const shown = () => ip("link", "show", device.name);
    assert.match(shown(), / xdp| xdpgeneric/);
    device.close();
    assert.doesNotMatch(shown(), /xdp/);
  });
}

test("auto prefers native mode, and says so", (t) => {
  const { device } = openLink(t, { mode: "auto" });
  assert.deepEqual([device.modes.program, device.modes.programReason], ["native", null]);
  assert.equal(device.modes.driver, "veth");
});

test("checksums that a kernel left to its veth are recognised, and other frames' are not", async (t) => {
  const { host } = openLink(t);
  host.onFrame = answerArp(host);
  const sender = background("perl", "-e", UDP_DATAGRAM);
  const frame = await host.expect("datagram", (f) => isIpv4(f.bytes, 17));
  await sender.ended;
  assert.equal(frame.flags & FrameFlags.CHECKSUM_PARTIAL, FrameFlags.CHECKSUM_PARTIAL);
  assert.deepEqual([frame.csumStart, frame.csumOffset], [34, 6]);
  const length = frame.bytes.length - 34;
  assert.equal(
    (frame.bytes[40]! << 8) | frame.bytes[41]!,
    fold(pseudoSum(KERNEL, OURS, 17, length)),
  );
});

test("checksums that the kernel has made are not marked", async (t) => {
  const { host, far } = openLink(t);
  run("ethtool", "-K", far, "tx", "off");
  host.onFrame = answerArp(host);
  const sender = background("perl", "-e", UDP_DATAGRAM);
  const frame = await host.expect("datagram", (f) => isIpv4(f.bytes, 17));
  await sender.ended;
  assert.equal(frame.flags & FrameFlags.CHECKSUM_PARTIAL, 0);
});

const UDP_DATAGRAM = `
  use Socket; socket(S, AF_INET, SOCK_DGRAM, 17) or die;
  send(S, "u" x 1000, 0, pack_sockaddr_in(9, inet_aton("10.77.0.2"))) or die "send: $!";`;

test("a kernel's unsplit TCP segments arrive whole in generic mode", async (t) => {
  const { host } = openLink(t, { mode: "generic" });
  host.onFrame = acceptTcp(host);
  const nc = background("nc", "10.77.0.2", "9999");
  nc.write("x".repeat(100_000));
  const segment = await host.expect("unsplit segment", (f) => f.bytes.length > 2 * 1460);
  nc.kill();
  const length = (segment.bytes[16]! << 8) | segment.bytes[17]!;
  assert.equal(segment.bytes.length, 14 + length, "the IP length covers the frame");
  assert.equal(segment.flags, FrameFlags.CHECKSUM_PARTIAL);
  assert.deepEqual([segment.csumStart, segment.csumOffset], [34, 16]);
  assert.deepEqual(segment.bytes.subarray(54), new Uint8Array(length - 40).fill(0x78));
});

test("datagrams that their sender left unsplit are lost and counted, not merged", async (t) => {
  const { host, device, far } = openLink(t, { mode: "generic" });
  run("ethtool", "-K", far, "tx-udp-segmentation", "on");
  host.onFrame = answerArp(host);
  const sender = background("perl", "-e", UDP_SEGMENTS);
  assert.equal(await sender.ended, 0, sender.output);
  await host.expect("a lost frame", () => device.counters.get("rxErrors") > 0);
  assert.equal(host.frames.filter((f) => isIpv4(f.bytes, 17)).length, 0);
});

/** A datagram to 10.77.0.2, port 9 or another. */
const datagramTo = (port: number) => `
  use Socket; socket(S, AF_INET, SOCK_DGRAM, 17) or die;
  send(S, "to ${port}", 0, pack_sockaddr_in(${port}, inet_aton("10.77.0.2"))) or die "send: $!";`;

test("a shared interface gives claimed flows to the device and the rest to the kernel", async () => {
  const far = Namespace.create();
  ip("link", "add", "sh0", "type", "veth", "peer", "name", "sh1", "netns", far.name);
  ip("address", "add", "10.77.0.2/24", "dev", "sh0");
  far.run("ip", "address", "add", "10.77.0.1/24", "dev", "sh1");
  ip("link", "set", "sh0", "up");
  far.run("ip", "link", "set", "sh1", "up");
  const pool = newPool();
  const device = openXdp(pool, { interface: "sh0", shared: true, mode: "generic" });
  const host = new RawHost(pool, device);
  const ours = IpAddress.parse("10.77.0.2")!;
  assert.equal(device.filter!.addPort(17, ours, 9), 0);
  far.run("ping", "-c", "1", "-W", "10", "10.77.0.2");
  far.run("perl", "-e", datagramTo(8));
  far.run("perl", "-e", datagramTo(9));
  const frame = await host.expect("claimed datagram", (f) => isIpv4(f.bytes, 17));
  assert.equal(Buffer.from(frame.bytes.subarray(42, 46)).toString(), "to 9");
  assert.equal(host.frames.length, 1, "and nothing else");
  device.filter!.removePort(17, ours, 9);
  device.close();
  far.close();
});

test("with txChecksum the kernel makes the checksums", async (t) => {
  const { host, device, far } = openLink(t, { txChecksum: true });
  assert.equal(device.capabilities & Capability.TX_CHECKSUM, Capability.TX_CHECKSUM);
  const server = background(
    "perl",
    "-e",
    `
    use Socket; $| = 1; socket(S, AF_INET, SOCK_DGRAM, 17) or die;
    bind(S, pack_sockaddr_in(7777, INADDR_ANY)) or die; print "ready\\n";
    recv(S, $_, 65536, 0); print length($_), "\\n";`,
  );
  await server.waitFor(/ready/);
  const datagram = bytesOf(u16(9), u16(7777), u16(1008), u16(0), new Uint8Array(1000).fill(0x75));
  datagram.set(u16(fold(pseudoSum(OURS, KERNEL, 17, 1008))), 6);
  const frame = ipv4(interfaceMac(far), device.mac, 17, OURS, KERNEL, datagram);
  host.send(frame, (slot, at) => {
    host.pool.flags[slot] = FrameFlags.CHECKSUM_PARTIAL;
    host.pool.csumStart[slot] = at + 34;
    host.pool.csumOffset[slot] = 6;
  });
  await server.waitFor(/1000\n/);
});

test("a device has every queue of its interface", async (t) => {
  const link = openLink(t, { queues: 2 });
  const { host } = link;
  introduce(link);
  const isFlow = (f: { bytes: Uint8Array }) => isIpv4(f.bytes, 17);
  const sender = background("perl", "-e", MANY_FLOWS);
  await host.expect("64 flows", () => host.frames.filter(isFlow).length === 64);
  assert.equal(await sender.ended, 0, sender.output);
});

test("each queue can be a device of its own; they share the flows", async (t) => {
  addVeth("qn", "qf", 1_500, 2);
  ip("address", "add", "10.77.0.1/24", "dev", "qf");
  const pool = newPool({ smallSlots: 1024, bigSlots: 64 });
  const free = [pool.freeSmall, pool.freeBig];
  const devices = openXdpQueues(pool, { interface: "qn" });
  t.after(() => ip("link", "delete", "qf"));
  const hosts = devices.map((device) => new RawHost(pool, device));
  introduce({ host: hosts[0]!, device: devices[0]!, far: "qf" });
  const sender = background("perl", "-e", MANY_FLOWS);
  const counts = () =>
    hosts.map((host) => host.frames.filter((f) => isIpv4(f.bytes, 17)).length) as [number, number];
  await until(() => {
    for (const host of hosts) host.poll();
    return counts()[0] + counts()[1] === 64;
  }, "64 flows");
  await sender.ended;
  assert.ok(counts()[0] > 0 && counts()[1] > 0, `${counts()}`);
  for (const host of hosts) {
    host.send(arpRequest(host.device.mac, OURS, KERNEL));
  }
  devices[0]!.close();
  assert.match(ip("link", "show", "qn"), /xdp/, "the other device goes on");
  devices[1]!.close();
  assert.doesNotMatch(ip("link", "show", "qn"), /xdp/);
  assert.deepEqual([pool.freeSmall, pool.freeBig], free);
});

test("a waiter sleeps until a frame arrives on one of several queues", async (t) => {
  const { host, device } = openLink(t, { queues: 2 });
  host.poll();
  const waiter = openWaiter();
  waiter.add(device.wakeFd);
  const woken = new Promise<void>((resolve) => waiter.arm(resolve));
  host.send(arpRequest(device.mac, OURS, KERNEL));
  await woken;
  await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
  waiter.close();
});

test("frames that find no slot are the kernel's to count, and are in the device's counters", async (t) => {
  const link = openLink(t, { ringEntries: 64 });
  const { host, device } = link;
  introduce(link);
  for (let i = 0; i < 3; i++) assert.equal(await background("perl", "-e", MANY_FLOWS).ended, 0);
  await until(() => {
    device.check(0);
    return device.counters.get("rxNoSlot") > 0;
  }, "lost frames");
  assert.equal(device.counters.get("rxErrors"), 0, "they are counted once");
  host.poll();
  assert.equal(host.frames.length, 64, "what had a slot is there");
  host.poll();
  host.send(arpRequest(device.mac, OURS, KERNEL));
  await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
});

test("without big slots a long frame is lost and counted, and short ones still pass", async (t) => {
  const link = openLink(t, { mtuBytes: 9_000 });
  const { host, device } = link;
  const held: number[] = [];
  host.onFrame = answerArp(host);
  const request = icmpEcho(8, 77, new Uint8Array(8_000));
  const far = interfaceMac(link.far);
  host.send(arpRequest(device.mac, OURS, KERNEL));
  await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
  host.send(ipv4(far, device.mac, 1, OURS, KERNEL, request));
  for (let slot = host.pool.takeBig(); slot >= 0; slot = host.pool.takeBig()) held.push(slot);
  await until(() => {
    host.poll();
    return device.counters.get("rxNoSlot") === 1;
  }, "a lost frame");
  host.send(arpRequest(device.mac, OURS, KERNEL));
  const replies = () => host.frames.filter((f) => isArp(f.bytes, 2)).length;
  await host.expect("ARP reply", () => replies() === 2);
  for (const slot of held) host.pool.give(slot);
});

test("preferred busy polling receives, too", async (t) => {
  const { host, device } = openLink(t, { busyPollUs: 20, mode: "native" });
  host.poll();
  host.send(arpRequest(device.mac, OURS, KERNEL));
  await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
  assert.ok(device.kernelCounters.get("rxWakes") > 0);
});

test("what cannot be opened says why and what to do", (t) => {
  const { host, device } = openLink(t);
  const open = (options: Partial<XdpOptions>) => () =>
    openXdp(host.pool, { interface: device.name, ...options });
  assert.throws(open({}), { code: "EBUSY", message: /has another XDP program already/ });
  assert.throws(open({ interface: "nowhere0" }), { code: "ENODEV", message: /nowhere0/ });
  assert.throws(open({ queue: 7 }), { code: "EINVAL", message: /from 0 to 0 of dn\d+, got 7/ });
  assert.throws(open({ ringEntries: 1000 }), RangeError);
  device.close();
  assert.throws(open({ zeroCopy: true, mode: "native" }), { message: /leave out zeroCopy/ });
  assert.doesNotMatch(ip("link", "show", device.name), /xdp/, "a failure leaves nothing behind");
});

const openXdpElsewhere = (name: string, end?: string) =>
  openElsewhere("xdp", `openXdp(newPool(), { interface: "${name}" })`, end);

test("without privilege the error names the call and the capability", () => {
  addVeth("pn", "pf");
  const node = openXdpElsewhere("pn");
  for (const [dropped, named] of [
    ["net_raw", /^socket AF_XDP EPERM.*CAP_NET_RAW/],
    ["net_admin", /^bpf .*EPERM.*CAP_NET_ADMIN/],
  ] as const) {
    // CAP_SYS_ADMIN stands for some of the others.
    const caps = `-${dropped},-sys_admin`;
    assert.match(run("setpriv", `--bounding-set=${caps}`, `--inh-caps=${caps}`, ...node), named);
  }
  ip("link", "delete", "pn");
});

test("a process that is killed leaves the interface to the kernel at once", async () => {
  const far = Namespace.create();
  ip("link", "add", "kill0", "type", "veth", "peer", "name", "kill1", "netns", far.name);
  ip("address", "add", "10.79.0.1/24", "dev", "kill0");
  far.run("ip", "address", "add", "10.79.0.2/24", "dev", "kill1");
  ip("link", "set", "kill0", "up");
  far.run("ip", "link", "set", "kill1", "up");
  run("ping", "-c", "1", "-W", "10", "10.79.0.2");
  const [program, ...words] = openXdpElsewhere("kill1", "setInterval(() => {}, 1000);");
  const owner = far.background(program!, ...words);
  await owner.waitFor(/opened/);
  assert.throws(() => run("ping", "-c", "1", "-W", "1", "10.79.0.2"), /100% packet loss/);
  await owner.stop("SIGKILL");
  run("ping", "-c", "1", "-W", "10", "10.79.0.2");
  assert.doesNotMatch(far.run("ip", "link", "show", "kill1"), /xdp/);
  far.close();
});
