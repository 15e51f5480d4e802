/** What every driver does alike, against the kernel at the other end, with frames made by hand. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { finish, fold, sum } from "../../src/base/checksum.js";
import type { Device } from "../../src/nic/device.js";
import { openPacket } from "../../src/nic/packet.js";
import { openTap } from "../../src/nic/tap.js";
import { openWaiter } from "../../src/nic/waiter.js";
import { openXdp } from "../../src/nic/xdp.js";
import { FrameFlags, type Pool } from "../../src/ring/pool.js";
import { pollFds } from "../../src/sys/fd.js";
import { interfaceMac } from "../../src/sys/tap.js";
import {
  answerArp,
  askLater,
  type DeviceLink,
  exchangeEcho,
  isArp,
  isEchoReply,
  isIpv4,
  KERNEL,
  OURS,
  resources,
  tapLink,
  UDP_LENGTHS,
  UDP_SEGMENTS,
  vethLink,
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
import { addVeth } from "../support/test-link.js";
import { until } from "../support/until.js";

await enterNamespace(import.meta.url, "ip", "perl", "ethtool");

interface Kind {
  readonly name: string;
  readonly skip?: string | false;
  readonly link: (t: TestContext, mtuBytes?: number) => DeviceLink;
  /** Whether it leaves checksums and segments to its peer, if asked to. */
  readonly offloading?: (t: TestContext, offload: boolean) => DeviceLink;
  /** Opens it on interface "manyn" (a veth whose other end is "manyf", but for a TAP). */
  readonly open: (pool: Pool) => Device;
  /** Mappings of sockets that an open one has. */
  readonly mappings: number;
  readonly fails: (pool: Pool) => void;
}

const onVeth =
  (open: (pool: Pool, name: string) => Device) =>
  (t: TestContext, mtuBytes = 1_500) =>
    vethLink(t, { mtuBytes }, open);

const xdp = (mode: "generic" | "native"): Kind => ({
  name: `xdp-${mode}`,
  skip: needsRoot(), // XDP programs are not for the root of a user namespace
  link: onVeth((pool, name) => openXdp(pool, { interface: name, mode })),
  open: (pool) => openXdp(pool, { interface: "manyn", mode }),
  mappings: 8, // four rings of two queues
  fails: (pool) => {
    assert.throws(() => openXdp(pool, { interface: "manyn", queue: 9 }), { code: "EINVAL" });
    assert.throws(() => openXdp(pool, { interface: "manyn" }), { code: "EBUSY" });
  },
});

const packet = (name: string, offload: boolean): Kind => ({
  name,
  link: onVeth((pool, near) => openPacket(pool, { interface: near, offload })),
  open: (pool) => openPacket(pool, { interface: "manyn", offload }),
  mappings: 1, // both rings at once
  fails: (pool) => {
    assert.throws(() => openPacket(pool, { interface: "nowhere0" }), { code: "ENODEV" });
  },
});

const KINDS: readonly Kind[] = [
  {
    name: "tap",
    link: (t, mtuBytes = 1_500) => tapLink(t, { mtuBytes }),
    offloading: (t, offload) => tapLink(t, { offload }),
    open: (pool) => openTap(pool, { name: "manyt" }),
    mappings: 0,
    fails: (pool) => {
      assert.throws(() => openTap(pool, { name: "manyt" }), { code: "EBUSY" });
      assert.throws(() => openTap(pool, { mtuBytes: 1 }));
    },
  },
  {
    ...packet("packet", true),
    offloading: (t, offload) => {
      const link = vethLink(t, {}, (pool, name) => openPacket(pool, { interface: name, offload }));
      const features = offload
        ? ["tx-udp-segmentation", "on"]
        : ["tx", "off", "tso", "off", "gso", "off"];
      run("ethtool", "-K", link.far, ...features);
      return link;
    },
  },
  packet("packet without offload", false),
  xdp("generic"),
  xdp("native"),
];

// First: what the helpers of other tests leave to be closed would be counted.
for (const { name, skip = false, open, mappings, fails } of KINDS) {
  test(`${name}: opening and closing many, failures included, leaves nothing behind`, {
    skip,
  }, () => {
    addVeth("manyn", "manyf", 1_500, 2);
    const pool = newPool();
    const free = [pool.freeSmall, pool.freeBig];
    const before = resources();
    for (let i = 0; i < 10; i++) {
      const device = open(pool);
      new RawHost(pool, device).poll();
      assert.equal(resources()[0] - before[0], mappings);
      fails(pool);
      device.close();
      device.close();
    }
    assert.deepEqual(resources(), before);
    assert.deepEqual([pool.freeSmall, pool.freeBig], free);
    ip("link", "delete", "manyn");
  });
}

for (const { name, skip = false, link } of KINDS) {
  test(`${name}: the kernel answers ARP and echo requests of every size`, { skip }, async (t) => {
    const { host, device, far } = link(t);
    host.send(arpRequest(device.mac, OURS, KERNEL));
    const reply = await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
    assert.deepEqual(reply.bytes.slice(6, 12), interfaceMac(far));
    for (const bytes of [0, 1, 18, 1_000, 1_400, 1_472]) {
      assert.equal(await exchangeEcho({ host, device, far }, bytes), false, "in a small slot");
    }
    assert.deepEqual([device.counters.get("rxErrors"), device.counters.get("txErrors")], [0, 0]);
  });

  test(`${name}: frames of 9,014 bytes pass both ways`, { skip }, async (t) => {
    const jumbo = link(t, 9_000);
    assert.equal(jumbo.device.mtuBytes, 9_000);
    assert.equal(await exchangeEcho(jumbo, 8_972), true, "in a big slot");
  });

  test(`${name}: more frames than a ring holds pass in order`, { skip }, async (t) => {
    const { host, device, far } = link(t);
    host.onFrame = answerArp(host);
    const mac = interfaceMac(far);
    const replies = () => host.frames.filter((f) => isEchoReply(f.bytes));
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 16; i++) {
        const echo = icmpEcho(8, round * 16 + i, bytesOf(round, i));
        assert.equal(host.send(ipv4(mac, device.mac, 1, OURS, KERNEL, echo)), true);
      }
      await host.expect("16 more replies", () => replies().length === (round + 1) * 16);
    }
    const ids = replies().map(({ bytes }) => (bytes[38]! << 8) | bytes[39]!);
    const sent = Array.from({ length: 640 }, (_, i) => i);
    assert.deepEqual(ids, sent);
  });

  test(`${name}: a waiter sleeps until a frame arrives`, { skip }, async (t) => {
    const { host, device } = link(t);
    host.poll();
    const waiter = openWaiter();
    waiter.add(device.wakeFd);
    const woken = new Promise<void>((resolve) => waiter.arm(resolve));
    host.send(arpRequest(device.mac, OURS, KERNEL));
    await woken;
    await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
    waiter.close();
  });

  test(`${name}: frames to an interface that is down are lost and counted`, { skip }, async (t) => {
    const { host, device } = link(t);
    assert.equal(device.isUp, true);
    ip("link", "set", device.name, "down");
    askLater(host);
    assert.equal(host.send(arpRequest(device.mac, OURS, KERNEL)), true, "taken and lost");
    assert.equal(device.isUp, false);
    assert.deepEqual([device.counters.get("txErrors"), device.counters.get("txFrames")], [1, 0]);
    ip("link", "set", device.name, "up");
    await until(() => device.isUp, "the link up");
    host.send(arpRequest(device.mac, OURS, KERNEL));
    await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
  });

  test(`${name}: a deleted interface is down, and does not keep its host awake`, {
    skip,
  }, (t) => {
    // Made here: what ends a link's test deletes the interface.
    if (name !== "tap") addVeth("manyn", "manyf");
    const pool = newPool();
    const free = [pool.freeSmall, pool.freeBig];
    const device = KINDS.find((kind) => kind.name === name)!.open(pool);
    t.after(() => device.close());
    const host = new RawHost(pool, device);
    host.poll();
    ip("link", "delete", device.name);
    askLater(host);
    assert.equal(device.isUp, false);
    assert.equal(pollFds(Int32Array.of(device.wakeFd), 1, 0), 0);
    host.send(arpRequest(device.mac, OURS, KERNEL));
    assert.equal(device.counters.get("txErrors"), 1);
    device.close();
    assert.deepEqual([pool.freeSmall, pool.freeBig], free);
  });
}

test("a carrier counts, though the kernel does not say yet that the interface runs", async (t) => {
  const { host, device, far } = vethLink(t, {}, (pool, name) => {
    // IFF_RUNNING stays away as it does until the kernel's linkwatch comes to a new carrier.
    ip("link", "set", name, "mode", "dormant");
    ip("link", "set", name, "down");
    ip("link", "set", name, "up");
    return openPacket(pool, { interface: name });
  });
  assert.match(ip("link", "show", device.name), /LOWER_UP.*state DORMANT/);
  assert.equal(device.isUp, true);
  host.send(arpRequest(device.mac, OURS, KERNEL));
  await host.expect("ARP reply", (f) => isArp(f.bytes, 2));
  ip("link", "set", far, "down");
  device.check(0);
  assert.equal(device.isUp, false, "no carrier any more");
});

for (const { name, offloading } of KINDS) {
  if (offloading === undefined) continue;

  test(`${name}: a sender's datagrams arrive unsplit, their checksum unmade`, async (t) => {
    const { host } = offloading(t, true);
    host.onFrame = answerArp(host);
    const sender = background("perl", "-e", UDP_SEGMENTS);
    const frame = await host.expect("unsplit datagrams", (f) => f.gsoBytes > 0);
    assert.equal(await sender.ended, 0, sender.output);
    assert.equal(frame.flags, FrameFlags.CHECKSUM_PARTIAL | FrameFlags.GSO_UDP);
    assert.deepEqual([frame.gsoBytes, frame.bytes.length], [1000, 14 + 20 + 8 + 20_000]);
    assert.deepEqual([frame.csumStart, frame.csumOffset], [34, 6]);
    assert.deepEqual(frame.bytes.subarray(42), new Uint8Array(20_000).fill(0x75));
  });

  test(`${name}: without offload every frame is as on a wire`, async (t) => {
    const { host } = offloading(t, false);
    host.onFrame = answerArp(host);
    const sender = background("perl", "-e", UDP_SEGMENTS);
    const isDatagram = (f: { bytes: Uint8Array }) => isIpv4(f.bytes, 17);
    await host.expect("20 datagrams", () => host.frames.filter(isDatagram).length === 20);
    assert.equal(await sender.ended, 0, sender.output);
    for (const { bytes, flags, gsoBytes } of host.frames.filter(isDatagram)) {
      assert.deepEqual([flags & FrameFlags.CHECKSUM_PARTIAL, gsoBytes], [0, 0]);
      assert.equal(bytes.length, 14 + 20 + 8 + 1000);
      assert.equal(finish(sum(bytes, 34, 1008, pseudoSum(KERNEL, OURS, 17, 1008))), 0);
    }
  });

  test(`${name}: the kernel splits what it is sent unsplit, and finishes its checksums`, async (t) => {
    const { host, device, far } = offloading(t, true);
    const server = background("perl", "-e", UDP_LENGTHS);
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
}
