/** What neighbours may cost: entries, queued frames, time (floods of ARP, ND and bursts of sends). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { US_PER_S } from "../base/time.js";
import { NeighbourState } from "./neighbour.js";
import { MAX_NEIGHBOURS } from "./neighbours.js";
import { ip } from "./stack-fixture.js";
import {
  addressBytes,
  be16,
  bytesOf,
  icmp4,
  icmp6,
  PEER_MAC,
  packet4,
  Wire,
} from "./wire-fixture.js";

const bytes = new Uint8Array(2000);
const macOf = (i: number): Uint8Array => bytesOf([2, 1], be16(i >>> 16), be16(i & 0xffff));

/** A host on a /8 with a neighbour in use, and one permanent. */
function used(): { w: Wire; send: () => number } {
  const w = new Wire({ addresses: ["10.0.0.1/8", "fd00::1/64"] });
  const e = w.host.bound("10.0.0.1", 4000);
  const send = (): number => e.send(bytes, 0, 10, ip("10.0.0.2"), 9);
  send();
  w.arp(2, PEER_MAC, "10.0.0.2");
  w.sent();
  return { w, send };
}

test("a flood of ARP requests does not evict a neighbour in use", () => {
  const { w, send } = used();
  const n = w.host.ip.neighbours.find(w.iface, ip("10.0.0.2"))!;
  assert.equal(n.state, NeighbourState.REACHABLE);
  for (let i = 0; i < 3 * MAX_NEIGHBOURS; i++) {
    w.nowUs += 10;
    w.arp(1, macOf(i), `10.1.${i >> 8}.${i & 255}`);
    w.sent();
  }
  assert.ok(w.host.ip.neighbours.size <= MAX_NEIGHBOURS);
  assert.equal(w.host.ip.neighbours.find(w.iface, ip("10.0.0.2")), n);
  w.sent();
  send();
  assert.equal(w.sent().length, 1);
  w.host.udp.demux.at(4000)[0]!.close();
  w.assertNothingHeld();
});

test("answers to strangers on the link evict no neighbour in use, and cost the same each", () => {
  const { w, send } = used();
  const echo = (i: number): void => {
    const src = `10.2.${(i >> 8) & 255}.${i & 255}`;
    w.v4(packet4(icmp4(8, 0, [0, 1, 0, 1]), { src, protocol: 1 }));
    if (i % 64 === 0) w.sent();
  };
  let next = 0;
  const time = (n: number): number => {
    const from = process.cpuUsage(); // others may have the processor meanwhile
    for (let i = 0; i < n; i++) echo(next++);
    return process.cpuUsage(from).user;
  };
  time(6000);
  const short = Math.min(time(1000), time(1000), time(1000));
  const long = Math.min(time(8000), time(8000));
  assert.ok(Math.log(long / short) / Math.log(8) < 1.6, `${short} µs, then ${long} µs`);
  assert.ok(w.host.ip.neighbours.size <= MAX_NEIGHBOURS);
  w.sent();
  send();
  assert.equal(w.sent().length, 1);
  w.host.udp.demux.at(4000)[0]!.close();
  w.assertNothingHeld();
});

test("neighbour solicitations from strangers evict no neighbour in use", () => {
  const { w, send } = used();
  const group = "ff02::1:ff00:1";
  for (let i = 0; i < 2 * MAX_NEIGHBOURS; i++) {
    const src = `fd00::5:${i.toString(16)}`;
    if (i % 64 === 0) w.sent();
    const body = [[135, 0, 0, 0], [0, 0, 0, 0], addressBytes("fd00::1"), [1, 1], macOf(i)] as const;
    w.frame(0x86dd, icmp6(src, group, 255, ...body), bytesOf([0x33, 0x33, 0xff, 0, 0, 1]));
  }
  w.sent();
  send();
  assert.equal(w.sent().length, 1);
  w.host.udp.demux.at(4000)[0]!.close();
  w.assertNothingHeld();
});

test("a burst of 200 packets waits for one neighbour", () => {
  const w = new Wire();
  const e = w.host.bound("10.0.0.1", 4000);
  for (let i = 0; i < 200; i++) assert.equal(e.send(bytes, 0, 40, ip("10.0.0.2"), 9), 40);
  assert.equal(w.sent().length, 1);
  w.arp(2, PEER_MAC, "10.0.0.2");
  assert.equal(w.sent().length, 200);
  e.close();
  w.assertNothingHeld();
});

test("frames for neighbours that never answer hold a part of the pool, not all of it", () => {
  const w = new Wire();
  const e = w.host.bound("10.0.0.1", 4000);
  const slots = w.host.pool.freeSmall;
  for (let i = 0; i < 5 * slots; i++) {
    e.send(bytes, 0, 10, ip(`10.0.0.${10 + (i % 200)}`), 9);
    w.sent();
  }
  assert.ok(w.host.pool.freeSmall >= slots / 2, `${w.host.pool.freeSmall} of ${slots}`);
  w.pass(10 * US_PER_S);
  w.sent();
  assert.equal(w.host.pool.freeSmall, slots);
  e.close();
  w.assertNothingHeld();
});
