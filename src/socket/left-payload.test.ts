/**
 * A stream over memif whose receiver leaves payload where its sender has put it: it is read at once, or later,
 * in parts, looked at before, taken as slots, or never. The sender's memory is used again meanwhile, and is
 * gone with the sender.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EAGAIN } from "../base/errno.js";
import { Random } from "../base/random.js";
import { type MemifDevice, openMemif } from "../nic/memif.js";
import type { Pool } from "../ring/pool.js";
import { createPool } from "./create-host.js";
import { Family, MsgFlags } from "./linux-options.js";
import { Stack } from "./stack.js";
import type { TcpSocket } from "./tcp-socket.js";
import { A4, A6, B4, B6 } from "./two-stacks.js";

const PORT = 7_000;
const TOTAL_BYTES = 1 << 20;
const WRITE_BYTES = 150_000;
let links = 0;

class End {
  readonly pool: Pool = createPool({ smallSlots: 2_048, bigSlots: 256, peerBytes: 64 << 20 });
  readonly device: MemifDevice;
  readonly stack: Stack;
  private readonly free = this.pool.freeSmall + this.pool.freeBig;

  constructor(path: string, role: "client" | "server", n: number) {
    this.device = openMemif(this.pool, { path, role });
    this.stack = new Stack({ pool: this.pool, seed: n });
    const addresses = [`10.0.0.${n}/24`, `fd00::${n}/64`];
    this.stack.ip.addInterface(this.device, { name: "eth0", addresses });
  }

  close(): void {
    this.stack.close();
    assert.equal(this.pool.freeSmall + this.pool.freeBig, this.free, "slots left");
  }
}

class Link {
  readonly sender: End;
  readonly receiver: End;
  readonly from: TcpSocket;
  readonly to: TcpSocket;
  nowUs = 1_000_000;
  /** Slots whose payload was away after a turn, ever. */
  away = 0;

  constructor(isV6: boolean) {
    const path = `@millrace-left-${process.pid}-${links++}`;
    this.receiver = new End(path, "server", 1);
    this.sender = new End(path, "client", 2);
    this.receiver.device.leavesPayload = true;
    this.until(() => this.sender.device.isUp && this.receiver.device.isUp, 1_000);
    const family = isV6 ? Family.INET6 : Family.INET;
    const listener = this.receiver.stack.tcpSocket(family)!;
    listener.bind(isV6 ? A6 : A4, PORT);
    listener.listen(1);
    this.from = this.sender.stack.tcpSocket(family)!;
    this.from.set("SO_SNDBUF", 100_000); // it is used again before all is read
    this.from.bind(isV6 ? B6 : B4, 0);
    this.from.connect(isV6 ? A6 : A4, PORT);
    let to: TcpSocket | null = null;
    this.until(() => {
      to ??= listener.accept();
      return to !== null;
    });
    this.to = to!;
  }

  turn(stepUs = 20): void {
    this.nowUs += stepUs;
    this.sender.stack.turn(this.nowUs);
    this.receiver.stack.turn(this.nowUs);
    this.away += this.receiver.pool.away.reduce((n, away) => n + (away === 0 ? 0 : 1), 0);
  }

  until(isDone: () => boolean, stepUs = 20): void {
    for (let i = 0; !isDone(); i++) {
      assert.ok(i < 50_000, "it comes to an end");
      this.turn(stepUs);
    }
  }

  close(): void {
    this.sender.close();
    this.receiver.close();
  }
}

const stream = Buffer.alloc(TOTAL_BYTES);
const content = new Random(3);
for (let i = 0; i < TOTAL_BYTES; i += 4) stream.writeInt32LE(content.int32(), i);

/** Reads something, or nothing; what it was. */
type Reader = (link: Link, random: Random) => Uint8Array;
const NOTHING = new Uint8Array(0);
const into = new Uint8Array(300_000);

function read(to: TcpSocket, most: number, flags = 0): Uint8Array {
  const n = to.receive(into, 0, most, flags);
  assert.ok(n > 0 || n === -EAGAIN, `receive: ${n}`);
  return n > 0 ? into.slice(0, n) : NOTHING;
}

function takeSlot({ to, receiver: { pool } }: Link): Uint8Array {
  const slot = to.receiveSlot();
  if (slot < 0) return NOTHING;
  assert.ok(pool.at[slot]! >= pool.base(slot) && pool.end[slot]! <= pool.limit(slot));
  const bytes = pool.bytes.slice(pool.at[slot]!, pool.end[slot]!);
  pool.give(slot);
  return bytes;
}

const READERS: Record<string, Reader> = {
  "at once": ({ to }) => read(to, into.length),
  "in parts": ({ to }, random) => read(to, 1 + random.below(40_000)),
  later: ({ to }, random) => (random.below(12) === 0 ? read(to, into.length) : NOTHING),
  "as slots": takeSlot,
  "after a look": ({ to }, random) => {
    const seen = read(to, 1 + random.below(90_000), MsgFlags.PEEK);
    if (random.below(2) === 0) return NOTHING;
    const bytes = read(to, seen.length);
    assert.equal(Buffer.compare(bytes, seen), 0);
    return bytes;
  },
};

for (const isV6 of [false, true]) {
  for (const [how, reader] of Object.entries(READERS)) {
    test(`a stream over IPv${isV6 ? 6 : 4} that is read ${how} is what was written`, () => {
      const link = new Link(isV6);
      const random = new Random(5);
      let sent = 0;
      let got = 0;
      link.until(() => {
        const n = link.from.send(stream, sent, Math.min(WRITE_BYTES, TOTAL_BYTES - sent));
        if (n > 0) sent += n;
        const bytes = reader(link, random);
        const expected = stream.subarray(got, got + bytes.length);
        assert.equal(Buffer.compare(bytes, expected), 0, `at ${got}`);
        got += bytes.length;
        return got === TOTAL_BYTES;
      });
      assert.ok(link.away > 5, `payload was left ${link.away} times`);
      link.close();
    });
  }
}

test("what was left is there when the sender and its memory are gone", () => {
  const link = new Link(false);
  assert.ok(link.from.send(stream, 0, WRITE_BYTES) > 0);
  link.until(() => link.away > 0);
  const n = link.to.readableBytes;
  link.sender.device.close();
  link.until(() => !link.receiver.device.isUp, 1_000);
  assert.equal(Buffer.compare(read(link.to, n), stream.subarray(0, n)), 0);
  link.close();
});

test("what was left is nobody's when its connection is reset, or the host ends", () => {
  for (const isReset of [true, false]) {
    const link = new Link(false);
    assert.ok(link.from.send(stream, 0, WRITE_BYTES) > 0);
    link.until(() => link.away > 0);
    if (isReset) link.to.abort();
    link.close();
  }
});
