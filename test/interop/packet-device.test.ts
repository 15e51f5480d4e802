/** What only the AF_PACKET driver does, against the kernel at the other end of a veth. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { openPacket, type PacketOptions } from "../../src/nic/packet.js";
import { interfaceMac } from "../../src/sys/tap.js";
import {
  answerArp,
  introduce,
  isArp,
  isEthertype,
  isIpv4,
  KERNEL,
  MANY_FLOWS,
  OURS,
  openElsewhere,
  vethLink,
} from "../support/device-link.js";
import { background, enterNamespace, ip, run } from "../support/namespace.js";
import { arpRequest, bytesOf, newPool, RawHost, u16 } from "../support/raw-frames.js";
import { until } from "../support/until.js";

await enterNamespace(import.meta.url, "ip", "perl", "setpriv");

/** A veth with 10.77.0.1 at the kernel's end. */
const openLink = (t: TestContext, options: Partial<PacketOptions> = {}) =>
  vethLink(t, {}, (pool, name) => openPacket(pool, { interface: name, ...options }));

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

test("devices of one fanout group share the flows", async (t) => {
  const first = openLink(t, { fanoutGroup: 7 });
  const pool = newPool();
  const second = openPacket(pool, { interface: first.device.name, fanoutGroup: 7 });
  t.after(() => second.close());
  introduce(first);
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
  assert.match(other.warnings[0]!, /the kernel has 10.80.0.1\/24 on dn\d+/);
});

test("frames that found the ring full are counted", async (t) => {
  const link = openLink(t);
  const { host, device } = link;
  introduce(link);
  for (let i = 0; i < 3; i++) assert.equal(await background("perl", "-e", MANY_FLOWS).ended, 0);
  device.check(0);
  assert.ok(device.kernelCounters.get("rxRingFull") > 0);
  for (let i = 0; i < 3; i++) host.poll();
  // A frame of the kernel's own may have come between two looks.
  assert.ok(host.frames.length >= 128 && host.frames.length < 192, "what had a place is there");
  host.send(arpRequest(device.mac, OURS, KERNEL));
  await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
});

test("without privilege the error names the call and the capability", (t) => {
  const { device } = openLink(t);
  const node = openElsewhere("packet", `openPacket(newPool(), { interface: "${device.name}" })`);
  const said = run("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", ...node);
  assert.match(said, /^socket AF_PACKET EPERM.*CAP_NET_RAW/);
});
