/**
 * A batch of segments is worked as if each had come by itself: the same answers, rows and counters,
 * whatever flows it mixes and wherever one of them ends or begins.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { IpAddress } from "../base/ip-address.js";
import {
  addressBytes,
  be16,
  be32,
  bytesOf,
  checksummed,
  packet4,
  packet6,
} from "../ip/wire-fixture.js";
import { FakeDevice, SRC_MAC } from "../nic/frame-fixture.js";
import { takeFor } from "../nic/frame-slots.js";
import { Arena } from "../ring/arena.js";
import { Batch } from "../ring/batch.js";
import { Pool, PoolMemory } from "../ring/pool.js";
import { ROW_INT32S } from "../tcp/tcb-row.js";
import { Stack } from "./stack.js";
import type { TcpSocket } from "./tcp-socket.js";

const SIZE = { smallSlots: 1024, bigSlots: 16 };
const PEER_MAC = [2, 0, 0, 0, 0, 0x0b];
const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;

/** The peers' ends: alike in ports or in addresses, so that a sloppy comparison mixes them up. */
const FLOWS = [
  { src: "10.0.0.2", dst: "10.0.0.1", port: 1000 },
  { src: "10.0.0.2", dst: "10.0.0.1", port: 1001 },
  { src: "10.0.0.3", dst: "10.0.0.1", port: 1000 },
  { src: "10.0.0.2", dst: "10.0.0.9", port: 1000 },
  { src: "fd00::2", dst: "fd00::1", port: 1000 },
  { src: "fd00::a00:2", dst: "fd00::a00:1", port: 1000 },
] as const;

/** Both peers' numbers of a flow. */
interface Peer {
  next: number;
  /** What we have of the host's numbers. */
  ack: number;
}

class Side {
  readonly stack: Stack;
  readonly device: FakeDevice;
  private readonly pool: Pool;
  private readonly listener: TcpSocket;
  private readonly accepted: TcpSocket[] = [];
  readonly log: string[] = [];
  nowUs = 1_000_000;
  private readonly isBatched: boolean;

  constructor(isBatched: boolean) {
    this.isBatched = isBatched;
    this.pool = new Pool(new PoolMemory(new Arena(PoolMemory.sizeBytes(SIZE)), SIZE));
    this.stack = new Stack({ pool: this.pool, nowUs: this.nowUs, seed: 7 });
    this.device = new FakeDevice(this.pool);
    const addresses = ["10.0.0.1/24", "10.0.0.9/24", "fd00::1/64", "fd00::a00:1/64"];
    const iface = this.stack.ip.addInterface(this.device, { addresses });
    for (const { src } of FLOWS) {
      this.stack.ip.neighbours.addPermanent(iface, IpAddress.parse(src), 0x0200, 0x0b);
    }
    this.listener = this.stack.tcpSocket()!;
    assert.equal(this.listener.bind(IpAddress.parse("::"), 80), 0);
    assert.equal(this.listener.listen(8), 0);
    this.turn([]);
  }

  /** The frames arrive, then a turn; what the host sends. */
  turn(frames: readonly Uint8Array[]): Uint8Array[] {
    const { stack } = this;
    const batch = new Batch();
    for (const frame of frames) {
      const slot = takeFor(this.pool, frame.length);
      this.pool.bytes.set(frame, this.pool.at[slot]!);
      this.pool.flags[slot] = 0;
      batch.put(slot);
      if (this.isBatched) continue;
      stack.ip.input(stack.ip.interfaces[1]!, batch, this.nowUs);
      stack.tcpInput.drain(this.nowUs);
    }
    if (this.isBatched) stack.ip.input(stack.ip.interfaces[1]!, batch, this.nowUs);
    stack.tcpInput.drain(this.nowUs);
    stack.tcp.flush(this.nowUs);
    stack.turn(this.nowUs);
    return this.device.taken.splice(0).map((slot) => {
      const bytes = this.pool.bytes.slice(this.pool.at[slot]!, this.pool.end[slot]!);
      this.pool.give(slot);
      return bytes;
    });
  }

  act(what: string): void {
    const into = new Uint8Array(4_000);
    if (what === "accept") {
      for (let s = this.listener.accept(); s !== null; s = this.listener.accept()) {
        this.accepted.push(s);
      }
    } else if (what === "read") {
      for (const s of this.accepted) {
        const n = s.receive(into);
        this.log.push(`${n} ${into.subarray(0, Math.max(0, n))}`);
      }
    } else if (what === "write") {
      for (const s of this.accepted) this.log.push(`${s.send(into.subarray(0, 100))}`);
    } else if (what === "close") this.accepted.shift()?.close();
    else if (what === "wait") this.nowUs += 61_000_000;
    else this.nowUs += 50_000;
  }

  get all(): unknown {
    const { tcp, ip, flows } = this.stack;
    const { i } = tcp.tcb;
    const rows: number[][] = [];
    for (let at = 0; at < i.length; at += ROW_INT32S) rows.push([...i.subarray(at, at + 16)]);
    return {
      rows,
      flows: flows.size,
      counters: tcp.counters.snapshot(),
      drops: ip.drops.snapshot(),
      free: this.pool.freeSmall,
      log: this.log,
    };
  }

  close(): void {
    this.stack.close();
    this.device.close();
    assert.equal(this.pool.freeSmall, SIZE.smallSlots);
    assert.equal(this.pool.freeBig, SIZE.bigSlots);
  }
}

function frameOf(k: number, flags: number, seq: number, ack: number, n: number): Uint8Array {
  const { src, dst, port } = FLOWS[k]!;
  const data = Uint8Array.from({ length: n }, (_, i) => (seq + i + k) & 0xff);
  const header = bytesOf(be16(port), be16(80), be32(seq), be32(ack), [0x50, flags], be16(30_000));
  const segment = checksummed(bytesOf(header, [0, 0, 0, 0], data), 16, 6, src, dst);
  const isV4 = addressBytes(src).length === 4;
  const packet = isV4
    ? packet4(segment, { src, dst, protocol: 6 })
    : packet6(segment, { src, dst, next: 6 });
  return bytesOf(SRC_MAC, PEER_MAC, be16(isV4 ? 0x0800 : 0x86dd), packet);
}

const segment: fc.Arbitrary<Arriving> = fc.record({
  flow: fc.integer({ min: 0, max: FLOWS.length - 1 }),
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constant("data") },
    { weight: 5, arbitrary: fc.constantFrom("syn", "ack", "again", "gap", "fin", "rst") },
  ),
  n: fc.constantFrom(1, 50, 900),
  times: fc.constantFrom(1, 1, 1, 2, 5),
});
interface Arriving {
  readonly flow: number;
  readonly kind: string;
  readonly n: number;
  readonly times: number;
}
const round = fc.oneof(
  { weight: 3, arbitrary: fc.array(segment, { minLength: 1, maxLength: 12 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom("accept", "accept", "read", "write", "close", "wait", "tick"),
  },
);

/** Segments as the peer would number them, one after the other. */
function framesOf(list: readonly Arriving[], peers: Peer[]): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (const g of list) {
    const p = peers[g.flow]!;
    for (let i = 0; i < g.times && frames.length < 64; i++) {
      const put = (flags: number, seq: number, n: number): void => {
        frames.push(frameOf(g.flow, flags, seq, p.ack, n));
      };
      if (g.kind === "syn") {
        p.next = (p.next + 100_000) | 0; // beyond a TIME-WAIT
        put(SYN, p.next, 0);
        p.next = (p.next + 1) | 0;
      } else if (g.kind === "ack") put(ACK, p.next, 0);
      else if (g.kind === "again") put(ACK, (p.next - 10) | 0, 10);
      else if (g.kind === "gap") put(ACK, (p.next + 500) | 0, 10);
      else if (g.kind === "rst") put(RST | ACK, p.next, 0);
      else {
        put(g.kind === "fin" ? FIN | ACK : ACK, p.next, g.n);
        p.next = (p.next + g.n + (g.kind === "fin" ? 1 : 0)) | 0;
      }
    }
  }
  return frames;
}

/** The peers hear what the host sends. */
function hear(sent: readonly Uint8Array[], peers: Peer[]): void {
  for (const f of sent) {
    const isV4 = f[12] === 8;
    const at = isV4 ? 34 : 54;
    const text = isV4 ? f.slice(26, 34) : f.slice(22, 54);
    const half = text.length / 2;
    const k = FLOWS.findIndex(
      (w) =>
        Buffer.compare(addressBytes(w.dst), text.slice(0, half)) === 0 &&
        Buffer.compare(addressBytes(w.src), text.slice(half)) === 0 &&
        w.port === (f[at + 2]! << 8) + f[at + 3]!,
    );
    if (k < 0 || (isV4 ? f[23] : f[20]) !== 6 || (f[at + 13]! & RST) !== 0) continue;
    const view = new DataView(f.buffer, f.byteOffset);
    const total = isV4 ? view.getUint16(16) - 20 : view.getUint16(18);
    const n = total - (f[at + 12]! >>> 4) * 4;
    const syn = (f[at + 13]! & (SYN | FIN)) === 0 ? 0 : 1;
    peers[k]!.ack = (view.getInt32(at + 4) + n + syn) | 0;
  }
}

test("segments in one batch do what they do one by one", () => {
  let predicted = 0;
  fc.assert(
    fc.property(fc.array(round, { minLength: 3, maxLength: 40 }), (rounds) => {
      const batched = new Side(true);
      const single = new Side(false);
      const peers = FLOWS.map((_, k): Peer => ({ next: 0x7fff_0000 + k * 1000, ack: 0 }));
      const each = (kind: string): Arriving[] =>
        FLOWS.map((_, flow) => ({ flow, kind, n: 50, times: 1 }));
      for (const what of [each("syn"), each("ack"), "accept", ...rounds]) {
        let frames: Uint8Array[] = [];
        if (typeof what === "string") {
          batched.act(what);
          single.act(what);
        } else frames = framesOf(what, peers);
        const sent = batched.turn(frames);
        assert.deepEqual(sent, single.turn(frames));
        hear(sent, peers);
        assert.deepEqual(batched.all, single.all);
      }
      predicted += batched.stack.tcp.counters.get("predictedData");
      batched.close();
      single.close();
    }),
    { numRuns: 60 },
  );
  assert.ok(predicted > 100, `${predicted} were the expected ones`);
});
