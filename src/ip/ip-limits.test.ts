/** Bounds of IP: reassembly memory, transmit queues, MTUs, interfaces that go away, empty pools. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { EAGAIN, ENETDOWN } from "../base/errno.js";
import { US_PER_S } from "../base/time.js";
import { simLink } from "../nic/sim-link.js";
import type { Batch } from "../ring/batch.js";
import { NO_SLOT, type Pool } from "../ring/pool.js";
import { TX_QUEUE_FRAMES } from "./interface.js";
import { MAX_PER_SOURCE } from "./reassembly.js";
import { SendOptions } from "./send-options.js";
import { ip, Pair, TestHost } from "./stack-fixture.js";
import { UdpReadiness } from "./udp-endpoint.js";
import { be16, bytesOf, icmp4, packet4, udp4, Wire } from "./wire-fixture.js";

const bytes = new Uint8Array(66_000).map((_, i) => (i * 31) & 255);
const buffer = new Uint8Array(66_000);
const MORE = 0x2000;

test("a flood of first fragments leaves most big slots to others, and other sources their turn", () => {
  const w = new Wire();
  const e = w.host.bound("10.0.0.1", 9);
  const big = w.host.pool.freeBig;
  const part = udp4(5, 9, new Uint8Array(24));
  for (let i = 0; i < 2000; i++) {
    w.v4(packet4(part.subarray(0, 8), { src: "10.0.0.66", id: i, fragment: MORE }));
  }
  assert.equal(w.host.ip.reassembly.size, MAX_PER_SOURCE);
  w.v4(packet4(part.subarray(0, 8), { id: 1, fragment: MORE }));
  for (let i = 0; i < 2000; i++) {
    w.v4(packet4(part.subarray(0, 8), { src: "10.0.0.66", id: i, fragment: MORE }));
  }
  w.v4(packet4(part.subarray(8), { id: 1, fragment: 1 }));
  assert.equal(e.receive(buffer, 0, 100), 24);
  for (let i = 0; i < 2000; i++) {
    const src = `10.0.${1 + (i >> 8)}.${i & 255}`;
    w.v4(packet4(part.subarray(0, 8), { src, id: i, fragment: MORE }));
  }
  assert.ok(w.host.pool.freeBig >= big / 2, `${w.host.pool.freeBig} of ${big}`);
  w.pass(31 * US_PER_S);
  w.sent();
  assert.equal(w.host.ip.reassembly.size, 0);
  assert.equal(w.host.pool.freeBig, big);
  e.close();
  w.assertNothingHeld();
});

/** A device that takes nothing while it is stuck. */
function stuck(p: Pair): { isStuck: boolean } {
  const state = { isStuck: true };
  const transmit = p.linkA.transmit.bind(p.linkA);
  p.linkA.transmit = (nowUs: number, batch: Batch): number =>
    state.isStuck ? 0 : transmit(nowUs, batch);
  return state;
}

test("a device that refuses frames for ever costs its queue and nothing more", () => {
  const p = new Pair();
  const e = p.a.bound("10.0.0.1", 4000);
  const other = p.b.bound("10.0.0.2", 9);
  e.send(bytes, 0, 1, ip("10.0.0.2"), 9);
  p.settle();
  const state = stuck(p);
  const path = p.a.ip.resolve(ip("10.0.0.2"), null, 0)!;
  for (let i = 0; i < TX_QUEUE_FRAMES + 500; i++) {
    // As TCP and control messages are sent; datagram sockets would have to wait.
    const slot = e.takeSlot();
    p.a.pool.end[slot] = p.a.pool.at[slot]! + 10;
    p.a.pool.flags[slot] = 0;
    p.a.ip.send(slot, path, 253, new SendOptions());
    if (i % 10 === 0) p.a.ip.flush(p.nowUs);
  }
  assert.ok(p.ifaceA.backlogFrames <= TX_QUEUE_FRAMES + 64);
  assert.ok(p.a.drops("DEVICE_QUEUE_FULL") > 400);
  state.isStuck = false;
  p.settle();
  assert.equal(p.ifaceA.backlogFrames, 0);
  e.close();
  other.close();
  p.assertNothingHeld();
});

test("datagrams for a device that refuses them wait in their program, and none is lost", () => {
  const p = new Pair();
  const e = p.a.bound("10.0.0.1", 4000);
  const other = p.b.bound("10.0.0.2", 9);
  other.receiveBufferBytes = 1 << 24;
  e.send(bytes, 0, 1, ip("10.0.0.2"), 9);
  p.settle();
  while (other.receive(buffer, 0, 100) >= 0);
  const state = stuck(p);
  const send = (): number => e.send(bytes, 0, 10, ip("10.0.0.2"), 9);
  let sent = 0;
  for (let i = 0; i < TX_QUEUE_FRAMES; i++) {
    const result = send();
    if (result < 0) assert.equal(result, -EAGAIN);
    else sent++;
    p.a.ip.flush(p.nowUs);
  }
  assert.ok(sent >= 256 && sent <= 256 + 64, `${sent} sent`);
  assert.equal(e.sendSlot(e.takeSlot(), ip("10.0.0.2"), 9), -EAGAIN);
  assert.equal(e.readiness & UdpReadiness.OUT, 0);
  const waiting = p.a.bound("10.0.0.1", 4001);
  assert.equal(waiting.send(bytes, 0, 10, ip("10.0.0.2"), 9), -EAGAIN);
  waiting.close();
  state.isStuck = false;
  p.a.ip.flush(p.nowUs);
  assert.equal(e.readiness & UdpReadiness.OUT, UdpReadiness.OUT);
  assert.equal(send(), 10);
  p.settle();
  let received = 0;
  while (other.receive(buffer, 0, 100) >= 0) received++;
  assert.equal(received, sent + 1);
  assert.equal(p.a.drops("DEVICE_QUEUE_FULL"), 0);
  e.close();
  other.close();
  p.assertNothingHeld();
});

test("a device that took nothing for a while goes on in order", () => {
  const p = new Pair();
  const e = p.a.bound("10.0.0.1", 4000);
  const other = p.b.bound("10.0.0.2", 9);
  e.send(bytes, 0, 1, ip("10.0.0.2"), 9);
  p.settle();
  const state = stuck(p);
  for (let i = 0; i < 100; i++) {
    e.send(bytes, 0, 10, ip("10.0.0.2"), 9);
    if (i % 10 === 0) p.a.ip.flush(p.nowUs);
  }
  state.isStuck = false;
  while (other.receive(buffer, 0, 100) >= 0);
  p.settle();
  assert.equal(p.ifaceA.backlogFrames, 0);
  assert.equal(other.receive(buffer, 0, 100), 10);
  e.close();
  other.close();
  p.assertNothingHeld();
});

test("a link that goes down and up: frames are lost meanwhile, then all goes on", () => {
  const p = new Pair();
  const e = p.a.bound("10.0.0.1", 4000);
  const other = p.b.bound("10.0.0.2", 9);
  const send = (): number => e.send(bytes, 0, 10, ip("10.0.0.2"), 9);
  for (let i = 0; i < 3; i++) {
    send();
    p.settle();
    assert.equal(other.receive(buffer, 0, 100), 10);
    p.linkA.setUp(false);
    for (let k = 0; k < 200; k++) send();
    p.settle();
    p.pass(40 * US_PER_S);
    send();
    p.settle();
    assert.equal(other.receive(buffer, 0, 100), -EAGAIN);
    p.linkA.setUp(true);
  }
  assert.ok(p.a.drops("LINK_DOWN") >= 600);
  e.close();
  other.close();
  p.assertNothingHeld();
});

test("an interface taken away with everything in use: nothing stays behind", () => {
  const p = new Pair();
  const e = p.a.bound("10.0.0.1", 4000);
  e.recvErr = true;
  const other = p.b.bound("10.0.0.2", 9);
  e.memberships.join(ip("239.1.2.3"), p.ifaceA.index);
  e.send(bytes, 0, 10, ip("10.0.0.2"), 9);
  p.settle();
  const path = p.a.ip.resolve(ip("10.0.0.2"), null, 0)!;
  // Queued for a neighbour, for the device, in pieces, for the host itself.
  e.send(bytes, 0, 10, ip("10.0.0.99"), 9);
  p.a.ip.resolve(ip("fd00::99"), null, 0);
  stuck(p);
  e.send(bytes, 0, 5000, ip("10.0.0.2"), 9);
  e.send(bytes, 0, 10, ip("239.1.2.3"), 4000);
  p.a.ip.removeInterface(p.ifaceA);
  assert.equal(path.isStale, true);
  assert.equal(p.a.ip.neighbours.size, 0);
  assert.equal(p.a.ip.interfaceAt(p.ifaceA.index), null);
  assert.equal(p.a.ip.resolve(ip("10.0.0.2"), null, 0), null);
  assert.ok(e.send(bytes, 0, 10, ip("10.0.0.2"), 9) < 0);
  const slot = p.a.ip.nd.takePacket();
  p.a.pool.end[slot] = p.a.pool.at[slot]! + 8;
  assert.equal(p.a.ip.send(slot, path, 17, new SendOptions()), -ENETDOWN); // the path was kept
  e.memberships.leave(ip("239.1.2.3"), p.ifaceA.index);
  p.pass(200 * US_PER_S);
  e.close();
  other.close();
  p.assertNothingHeld();
});

for (const mtuBytes of [0, 67, -1, 1.5, Number.NaN]) {
  test(`an interface MTU of ${mtuBytes} is refused`, () => {
    const host = new TestHost(1);
    const ends = simLink(host.pool, host.pool);
    assert.throws(() => host.ip.addInterface(ends.a, { mtuBytes }), RangeError);
    assert.equal(host.ip.interfaces.length, 1);
    ends.a.close();
    host.assertNothingHeld();
  });
}

test("a link below IPv6's smallest MTU carries IPv4 only, as on Linux", () => {
  const p = new Pair({ mtuBytes: 600 }, { addresses: ["10.0.0.1/24"] });
  assert.equal(p.ifaceA.linkLocal6(), null);
  assert.throws(() => p.a.ip.addAddress(p.ifaceA, "fd00::1/64"), /1280/);
  p.assertNothingHeld();
});

for (const mtuBytes of [68, 576, 1280, 9000, 65_535, 70_000]) {
  test(`datagrams of all sizes pass a link with an MTU of ${mtuBytes}`, () => {
    const options = mtuBytes < 1280 ? { addresses: [] } : {};
    const p = new Pair({ mtuBytes }, options);
    if (mtuBytes < 1280) {
      p.a.ip.addAddress(p.ifaceA, "10.0.0.1/24");
      p.b.ip.addAddress(p.ifaceB, "10.0.0.2/24");
    }
    const families =
      mtuBytes < 1280
        ? [["10.0.0.1", "10.0.0.2"]]
        : [
            ["10.0.0.1", "10.0.0.2"],
            ["fd00::1", "fd00::2"],
          ];
    for (const [from, to] of families) {
      const a = p.a.bound(from!, 4000);
      const b = p.b.bound(to!, 9);
      const sizes = mtuBytes === 68 ? [0, 40, 41, 3000] : [0, 1000, 1473, 9000, 65_507];
      for (const n of sizes) {
        assert.equal(a.send(bytes, 0, n, ip(to!), 9), n);
        p.settle();
        assert.equal(b.receive(buffer, 0, buffer.length), n);
        assert.deepEqual(buffer.subarray(0, n), bytes.subarray(0, n));
      }
      a.close();
      b.close();
    }
    p.assertNothingHeld();
  });
}

test("what a host sends to itself: every size of ping and datagram, both families", () => {
  const p = new Pair();
  for (const [family, self, limit] of [
    [4, "10.0.0.1", 65_507],
    [6, "fd00::1", 65_527],
  ] as const) {
    const socket = p.a.ip.echo.open(family)!;
    const path = p.a.ip.resolve(ip(self), null, 0)!;
    for (let n = limit - 3; n <= limit + 30; n++) {
      const result = socket.send(path, 1, bytes, 0, n);
      p.settle();
      assert.equal(result === 0, n <= limit, `ping of ${n}: ${result}`);
      assert.equal(socket.receive(buffer, 0, buffer.length), n <= limit ? n : -EAGAIN);
    }
    socket.close();
    const e = p.a.bound(self, 7000);
    for (const n of [0, 1472, 60_000, limit, limit + 1]) {
      const result = e.send(bytes, 0, n, ip(self), 7000);
      assert.equal(result === n, n <= limit, `datagram of ${n}: ${result}`);
      p.settle();
      assert.equal(e.receive(buffer, 0, buffer.length), n <= limit ? n : -EAGAIN);
    }
    e.close();
  }
  p.assertNothingHeld();
});

test("a train of datagrams with an absurd segment size is refused", () => {
  const w = new Wire();
  const e = w.host.bound("10.0.0.1", 9);
  const { pool } = w.host;
  const receive = w.device.receive.bind(w.device);
  for (const gsoBytes of [0, -1, 1, 65_535]) {
    w.device.receive = (nowUs, batch) => {
      receive(nowUs, batch);
      for (let i = 0; i < batch.n; i++) {
        const slot = batch.slots[i]!;
        pool.flags[slot] = 2 | 16; // unmade checksum, GSO_UDP
        pool.gsoBytes[slot] = gsoBytes;
        pool.csumStart[slot] = 0x7fff_ffff;
      }
    };
    w.v4(packet4(udp4(5, 9, new Uint8Array(1400))));
    assert.equal(e.receive(buffer, 0, 2000), gsoBytes === 65_535 ? 1400 : -EAGAIN);
  }
  assert.equal(w.drops("DEVICE_BAD_METADATA"), 3);
  e.close();
  w.assertNothingHeld();
});

/** Makes a pool refuse slots at random. */
function starve(pool: Pool, refuses: () => boolean): void {
  const take = pool.take.bind(pool);
  const takeBig = pool.takeBig.bind(pool);
  pool.take = () => (refuses() ? NO_SLOT : take());
  pool.takeBig = () => (refuses() ? NO_SLOT : takeBig());
}

test("pools that are empty now and then: nothing throws, nothing leaks, traffic recovers", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 5, max: 90 }), (seed, percent) => {
      const p = new Pair();
      let isStarved = true;
      let state = seed | 1;
      const refuses = (): boolean => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) | 0;
        return isStarved && ((state >>> 8) & 0xffff) % 100 < percent;
      };
      const all = [
        "10.0.0.1",
        "10.0.0.2",
        "fd00::1",
        "fd00::2",
        "239.1.1.1",
        "10.0.0.255",
        "10.0.0.50",
      ];
      const a = p.a.bound("::", 4000, 6);
      const b = p.b.bound("::", 9, 6);
      a.broadcast = true;
      starve(p.a.pool, refuses);
      starve(p.b.pool, refuses);
      a.memberships.join(ip("239.1.1.1"), p.ifaceA.index);
      const ping = p.a.ip.echo.open(4)!;
      for (let i = 0; i < 60; i++) {
        const to = ip(all[Math.abs(state >> 4) % all.length]!);
        a.send(bytes, 0, [0, 100, 1500, 9000, 60_000][i % 5]!, to, i % 3 === 0 ? 4000 : 9);
        const path = p.a.ip.resolve(ip("10.0.0.2"), null, 0);
        if (path !== null) ping.send(path, i, bytes, 0, 3000);
        p.pass(i % 7 === 0 ? US_PER_S : 1000);
        b.receive(buffer, 0, buffer.length);
        a.receive(buffer, 0, buffer.length);
        ping.receive(buffer, 0, buffer.length);
      }
      isStarved = false;
      p.pass(70 * US_PER_S);
      while (b.receive(buffer, 0, buffer.length) !== -EAGAIN);
      for (let i = 0; i < 3; i++) a.send(bytes, 0, 9000, ip("10.0.0.2"), 9);
      p.settle();
      assert.equal(b.receive(buffer, 0, buffer.length), 9000);
      ping.close();
      a.close();
      b.close();
      p.assertNothingHeld();
    }),
    { numRuns: 30 },
  );
});

test("a packet of options only, of padding only, of nothing", () => {
  const w = new Wire();
  w.v4(packet4(new Uint8Array(0), { protocol: 1 }));
  w.v4(packet4(icmp4(8, 0, be16(1)), { protocol: 1 }));
  w.frame(0x0800, bytesOf(new Uint8Array(46)));
  w.frame(0x86dd, bytesOf(new Uint8Array(46)));
  w.assertNothingHeld();
});
