/**
 * For tests: IP layers joined by simulated links, in virtual time. Not shipped behaviour.
 */
import assert from "node:assert/strict";
import { IpAddress } from "../base/ip-address.js";
import { Random } from "../base/random.js";
import { type SimDevice, type SimLinkOptions, simLink } from "../nic/sim-link.js";
import { Arena } from "../ring/arena.js";
import { Pool, PoolMemory } from "../ring/pool.js";
import type { DropName } from "../wire/drop.js";
import type { Interface } from "./interface.js";
import { Ip } from "./ip.js";
import type { InterfaceOptions } from "./owned-interface.js";
import { Udp } from "./udp.js";
import type { UdpEndpoint } from "./udp-endpoint.js";

export const ip = (text: string): IpAddress => IpAddress.parse(text);
const SIZE = { smallSlots: 4096, bigSlots: 64 };

/** One host: a pool, an IP layer with UDP, and what it started with. */
export class TestHost {
  readonly pool: Pool;
  readonly ip: Ip;
  readonly udp: Udp;

  constructor(seed: number) {
    this.pool = new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(SIZE)), SIZE));
    this.ip = new Ip({ pool: this.pool, random: new Random(seed) });
    this.udp = new Udp({ ip: this.ip });
    this.ip.register(17, this.udp);
  }

  drops(name: DropName): number {
    return this.ip.drops.get(name);
  }

  /** A bound endpoint. */
  bound(address: string, port: number, family: 4 | 6 = address.includes(":") ? 6 : 4): UdpEndpoint {
    const e = this.udp.open(family);
    assert.equal(e.bind(ip(address), port), 0);
    return e;
  }

  /** Every slot is free again, after closing. */
  assertNothingHeld(): void {
    this.ip.close();
    assert.equal(this.pool.freeSmall, SIZE.smallSlots, "small slots");
    assert.equal(this.pool.freeBig, SIZE.bigSlots, "big slots");
  }
}

/** Hosts a (10.0.0.1, fd00::1) and b (10.0.0.2, fd00::2) on one link, and virtual time. */
export class Pair {
  readonly a: TestHost = new TestHost(1);
  readonly b: TestHost = new TestHost(2);
  readonly ifaceA: Interface;
  readonly ifaceB: Interface;
  readonly linkA: SimDevice;
  readonly linkB: SimDevice;
  nowUs = 1_000_000;

  constructor(link: SimLinkOptions = {}, options: InterfaceOptions = {}) {
    const ends = simLink(this.a.pool, this.b.pool, link);
    this.linkA = ends.a;
    this.linkB = ends.b;
    this.a.ip.nowUs = this.nowUs;
    this.b.ip.nowUs = this.nowUs;
    const a = { addresses: ["10.0.0.1/24", "fd00::1/64"], ...options };
    const b = { addresses: ["10.0.0.2/24", "fd00::2/64"], ...options };
    this.ifaceA = this.a.ip.addInterface(ends.a, a);
    this.ifaceB = this.b.ip.addInterface(ends.b, b);
    this.settle();
  }

  /** Turns until nothing moves any more, without letting time pass. */
  settle(): void {
    for (let quiet = 0; quiet < 3; ) {
      const frames = this.turn();
      quiet = frames === 0 ? quiet + 1 : 0;
    }
  }

  turn(): number {
    let frames = 0;
    for (const host of [this.a, this.b]) {
      frames += host.ip.receiveAll(this.nowUs);
      host.ip.runTimers(this.nowUs);
      host.ip.flush(this.nowUs);
    }
    return frames;
  }

  /** Lets time pass, stopping at every deadline. */
  pass(us: number): void {
    const end = this.nowUs + us;
    for (;;) {
      this.settle();
      const next = Math.min(this.a.ip.nextDeadlineUs(), this.b.ip.nextDeadlineUs());
      if (next > end) break;
      this.nowUs = Math.max(this.nowUs, next);
      this.turn();
    }
    this.nowUs = end;
    this.settle();
  }

  assertNothingHeld(): void {
    this.a.assertNothingHeld();
    this.b.assertNothingHeld();
  }
}
