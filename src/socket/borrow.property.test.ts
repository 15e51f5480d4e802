/**
 * Sending from the send queue's own slots through the whole stack: a device that borrows frames,
 * refuses them now and then and gives them back late, with and without offloads of its own, under
 * loss, changes of the MTU, a link that goes down, an abort and the loss of the interface. What
 * arrives is the stream, no frame changes while the device has it, and every slot comes back.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { EAGAIN } from "../base/errno.js";
import { Random } from "../base/random.js";
import { NEVER } from "../base/time.js";
import { Capability, type Device } from "../nic/device.js";
import { DeviceTally } from "../nic/device-tally.js";
import { takeFor } from "../nic/frame-slots.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import { FrameFlags, NO_SLOT, type Pool } from "../ring/pool.js";
import { createPool } from "./create-host.js";
import { Stack } from "./stack.js";
import type { TcpSocket } from "./tcp-socket.js";
import { B4, B6 } from "./two-stacks.js";

interface Held {
  readonly slot: number;
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly untilUs: number;
}

interface Faults {
  readonly loss: number;
  readonly refusal: number;
  readonly holdUs: number;
}

class BorrowingDevice implements Device {
  readonly name: string;
  readonly kind = "borrowing";
  readonly mac: Uint8Array;
  readonly mtuBytes = 1_500;
  readonly wakeFd = -1;
  readonly counters;
  readonly capabilities: number;
  isUp = true;
  peer: BorrowingDevice | null = null;
  private readonly pool: Pool;
  private readonly random: Random;
  private readonly faults: Faults;
  private readonly held: Held[] = [];
  private readonly arriving: { atUs: number; slot: number }[] = [];

  constructor(pool: Pool, n: number, capabilities: number, random: Random, faults: Faults) {
    this.pool = pool;
    this.random = random;
    this.faults = faults;
    this.name = `borrowing${n}`;
    this.mac = Uint8Array.of(2, 0, 0, 0, 0, n);
    this.counters = new DeviceTally(this.name).counters;
    this.capabilities = capabilities;
  }

  receive(nowUs: number, batch: Batch): void {
    this.giveHeld(nowUs);
    while (batch.n < BATCH_FRAMES && this.arriving.length > 0 && this.arriving[0]!.atUs <= nowUs) {
      batch.put(this.arriving.shift()!.slot);
    }
  }

  transmit(nowUs: number, batch: Batch): number {
    if (!this.isUp) return 0;
    for (let i = 0; i < batch.n; i++) {
      if (this.random.chance(this.faults.refusal)) return i;
      this.take(nowUs, batch.slots[i]!);
    }
    return batch.n;
  }

  private take(nowUs: number, slot: number): void {
    const { pool, random } = this;
    const at = pool.at[slot]!;
    const bytes = pool.bytes.slice(at, pool.end[slot]!);
    if (!random.chance(this.faults.loss)) this.peer?.arrive(nowUs + 500, slot, pool);
    const untilUs = nowUs + random.below(this.faults.holdUs);
    this.held.push({ slot, at, bytes, untilUs });
  }

  private arrive(atUs: number, slot: number, from: Pool): void {
    const { pool } = this;
    const n = from.end[slot]! - from.at[slot]!;
    const own = takeFor(pool, n);
    if (own === NO_SLOT) return;
    pool.bytes.set(from.bytes.subarray(from.at[slot]!, from.end[slot]!), pool.at[own]!);
    const flags = from.flags[slot]!;
    const gso = flags & (FrameFlags.GSO_TCP4 | FrameFlags.GSO_TCP6);
    const isPartial = (flags & FrameFlags.CHECKSUM_PARTIAL) !== 0;
    pool.flags[own] = gso | (isPartial ? FrameFlags.CHECKSUM_VALID : 0);
    pool.gsoBytes[own] = gso === 0 ? 0 : from.gsoBytes[slot]!;
    this.arriving.push({ atUs, slot: own });
  }

  /** Nobody has written to the frames that are given back. */
  private giveHeld(nowUs: number): void {
    for (let i = this.held.length - 1; i >= 0; i--) {
      const { slot, at, bytes, untilUs } = this.held[i]!;
      if (untilUs > nowUs) continue;
      const now = this.pool.bytes.subarray(at, at + bytes.length);
      assert.equal(Buffer.compare(now, bytes), 0, "a frame changed while the device held it");
      this.pool.give(slot);
      this.held.splice(i, 1);
    }
  }

  flush(): void {}

  nextDeadlineUs(): number {
    return Math.min(this.arriving[0]?.atUs ?? NEVER, ...this.held.map((h) => h.untilUs));
  }

  close(): void {
    this.giveHeld(NEVER);
    for (const { slot } of this.arriving.splice(0)) this.pool.give(slot);
  }
}

const CHECKSUM = Capability.TX_CHECKSUM;
const OFFLOADS = [
  0,
  CHECKSUM,
  CHECKSUM | Capability.TX_TSO4 | Capability.TX_TSO6 | Capability.RX_COALESCE,
] as const;

class Net {
  readonly pools = [0, 1].map(() => createPool({ smallSlots: 4_096, bigSlots: 128 }));
  readonly stacks: Stack[];
  readonly devices: BorrowingDevice[];
  readonly free: number[];
  /** How often a slot of the first stack's got a second holder. */
  shared = 0;
  nowUs = 1_000_000;

  constructor(seed: number, offloads: number, faults: Faults) {
    this.free = this.pools.map((p) => p.freeSmall + p.freeBig);
    const pool = this.pools[0]!;
    const share = pool.share.bind(pool);
    pool.share = (slot) => {
      this.shared++;
      share(slot);
    };
    const random = new Random(seed);
    const can = Capability.TX_BORROWS | offloads;
    this.devices = this.pools.map((p, n) => new BorrowingDevice(p, n + 1, can, random, faults));
    this.devices[0]!.peer = this.devices[1]!;
    this.devices[1]!.peer = this.devices[0]!;
    this.stacks = this.pools.map((pool, n) => {
      const stack = new Stack({ pool, nowUs: this.nowUs, seed: n + 1 });
      const addresses = [`10.0.0.${n + 1}/24`, `fd00::${n + 1}/64`];
      stack.ip.addInterface(this.devices[n]!, { name: "eth0", addresses });
      return stack;
    });
  }

  /** Turns until `isDone`, or for so long; `each` is what the programs do. */
  run(us: number, isDone: () => boolean, each: () => void): boolean {
    const end = this.nowUs + us;
    while (!isDone()) {
      each();
      let next = NEVER;
      for (const stack of this.stacks) next = Math.min(next, stack.turn(this.nowUs));
      if (this.nowUs >= end) return false;
      this.nowUs = Math.min(Math.max(next, this.nowUs + 50), end);
    }
    return true;
  }

  close(): void {
    for (const stack of this.stacks) stack.close();
    for (const device of this.devices) device.close();
    const free = this.pools.map((p) => p.freeSmall + p.freeBig);
    assert.deepEqual(free, this.free, "slots left");
  }
}

const event = fc.record({
  atBytes: fc.integer({ min: 0, max: 1_500_000 }),
  what: fc.constantFrom("mtu", "down", "pause", "invalidate"),
});

const scenario = fc.record({
  seed: fc.integer({ min: 1, max: 1_000_000 }),
  offloads: fc.constantFrom(...OFFLOADS),
  isV6: fc.boolean(),
  loss: fc.constantFrom(0, 0.002, 0.02),
  refusal: fc.constantFrom(0, 0.1, 0.7),
  holdUs: fc.constantFrom(1, 2_000, 60_000),
  writeBytes: fc.constantFrom(3_000, 64_000, 200_000),
  bytes: fc.constantFrom(20_000, 700_000, 1_500_000),
  events: fc.array(event, { maxLength: 4 }),
  end: fc.constantFrom("close", "abort", "remove", "abortPeer"),
  endAt: fc.constantFrom(0.3, 1, 1),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

const byteAt = (i: number): number => (i * 7 + (i >>> 9) * 13) & 0xff;

function play(o: Scenario): number {
  const net = new Net(o.seed, o.offloads, o);
  const [a, b] = net.stacks as [Stack, Stack];
  const listener = b.tcpSocket()!;
  const to = o.isV6 ? B6 : B4;
  assert.equal(listener.bind(to, 80), 0);
  assert.equal(listener.listen(4), 0);
  const client = a.tcpSocket()!;
  client.connect(to, 80);
  let server: TcpSocket | null = null;
  let sent = 0;
  let got = 0;
  let upAtUs = 0;
  const data = Uint8Array.from({ length: o.bytes }, (_, i) => byteAt(i));
  const into = new Uint8Array(100_000);
  const events = [...o.events].sort((x, y) => x.atBytes - y.atBytes);
  const goal = Math.floor(o.bytes * o.endAt);
  const each = (): void => {
    net.devices[0]!.isUp = net.nowUs >= upAtUs;
    while (sent < data.length) {
      const n = client.send(data.subarray(sent, sent + o.writeBytes));
      if (n <= 0) {
        assert.ok(n === -EAGAIN || sent === 0, `send gave ${n}`);
        break;
      }
      sent += n;
    }
    server ??= listener.accept();
    if (server === null) return;
    for (let n = server.receive(into); n > 0; n = server.receive(into)) {
      const part = into.subarray(0, n);
      assert.equal(Buffer.compare(part, data.subarray(got, got + n)), 0, `bytes at ${got}`);
      got += n;
    }
    while (events.length > 0 && events[0]!.atBytes <= got) happen(events.shift()!.what);
  };
  const happen = (what: string): void => {
    if (what === "mtu") {
      const iface = a.interfaceByName("eth0")!;
      iface.setMtu(iface.mtuBytes === 1_500 ? 1_300 : 1_500);
      a.ip.invalidatePaths();
    } else if (what === "invalidate") a.ip.invalidatePaths();
    else if (what === "down") upAtUs = net.nowUs + 300_000;
    else net.nowUs += 2_000_000;
  };
  const arrived = net.run(600_000_000, () => got >= goal, each);
  assert.ok(arrived, `${got} of ${o.bytes} bytes arrived`);
  if (o.end === "abort") client.abort();
  else if (o.end === "abortPeer") (server as TcpSocket | null)?.abort();
  else if (o.end === "remove") a.ip.removeInterface(a.interfaceByName("eth0")!);
  else client.close();
  net.run(
    2_000,
    () => false,
    () => {},
  );
  net.close();
  return net.shared;
}

test("frames that share the send queue's slots: the stream is whole, no frame changes, no slot is lost", () => {
  // Always the same ones, so that it is certain that frames are shared; then others each time.
  const always = fc.sample(scenario, { seed: 3, numRuns: 12 });
  const shared = always.reduce((sum, o) => sum + play(o), 0);
  assert.ok(shared > 0, "frames share slots");
  fc.assert(
    fc.property(scenario, (o) => void play(o)),
    { numRuns: 13 },
  );
});
