/**
 * Two ends of a connection on one host that hand data over, and send, read, urge, cork and wait between at
 * random: both streams arrive whole and in order, and neither end ever finds out by a timer that the other knows less.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { EAGAIN, EINPROGRESS } from "../base/errno.js";
import { ANY6, IpAddress } from "../base/ip-address.js";
import { Random } from "../base/random.js";
import { HandOver } from "../tcp/hand-over.js";
import { createPool } from "./create-host.js";
import {
  Family,
  IpOption,
  Level,
  MsgFlags,
  Shutdown,
  So,
  TcpLevelOption,
} from "./linux-options.js";
import { Stack } from "./stack.js";
import type { TcpSocket } from "./tcp-socket.js";

const HERE4 = IpAddress.v4(0x7f000001);
const MOST_BYTES = 300_000;

/** Byte `n` of a stream. */
const byteAt = (n: number): number => (n * 31 + (n >> 8)) & 0xff;

/** One direction. */
class Stream {
  readonly from: TcpSocket;
  readonly to: TcpSocket;
  sent = 0;
  got = 0;
  handed = 0;
  private readonly bytes = new Uint8Array(MOST_BYTES);

  constructor(from: TcpSocket, to: TcpSocket) {
    this.from = from;
    this.to = to;
  }

  send(n: number, flags: number): void {
    for (let i = 0; i < n; i++) this.bytes[i] = byteAt(this.sent + i);
    const result = this.from.send(this.bytes, 0, n, flags);
    if (result !== -EAGAIN) assert.ok(result > 0, `send: ${result}`);
    if (result > 0) this.sent += result;
  }

  /** As the programs' rings do it: what is handed over is read at once. */
  hand(n: number): void {
    const found = this.from.mayHandOver(this.to);
    if (found !== HandOver.YES) return;
    assert.equal(this.sent, this.got, "what was sent before is read");
    this.from.handedOver(this.to, n);
    this.sent += n;
    this.got += n;
    this.handed++;
  }

  read(n: number): void {
    const result = this.to.receive(this.bytes, 0, n);
    if (result === -EAGAIN || (result === 0 && this.got === this.sent)) return;
    assert.ok(result > 0, `receive: ${result}`);
    for (let i = 0; i < result; i++) {
      if (this.bytes[i] !== byteAt(this.got + i)) assert.fail(`byte ${this.got + i} is another`);
    }
    this.got += result;
  }
}

class Pair {
  readonly stack: Stack;
  nowUs = 1_000_000;
  readonly streams: readonly [Stream, Stream];
  readonly client: TcpSocket;
  readonly server: TcpSocket;

  constructor(seed: number, rcvBufBytes: number) {
    const pool = createPool({ smallSlots: 1_024, bigSlots: 64 });
    this.stack = new Stack({ pool, nowUs: this.nowUs, seed });
    const listener = this.stack.tcpSocket()!;
    if (rcvBufBytes > 0) listener.setOption(Level.SOCKET, So.SO_RCVBUF, rcvBufBytes);
    assert.equal(listener.bind(ANY6, 80), 0);
    assert.equal(listener.listen(1), 0);
    this.client = this.stack.tcpSocket(Family.INET)!;
    assert.equal(this.client.connect(HERE4, 80), -EINPROGRESS);
    this.turns(5, 10);
    this.server = listener.accept()!;
    listener.close();
    this.streams = [new Stream(this.client, this.server), new Stream(this.server, this.client)];
  }

  turns(n: number, us: number): void {
    for (let i = 0; i < n; i++) {
      this.nowUs += us;
      this.stack.turn(this.nowUs);
    }
  }

  calm(turns: number): void {
    this.turns(turns, 50);
    for (const stream of this.streams) stream.read(MOST_BYTES);
  }

  /** What is on the way arrives and is read. */
  settle(): void {
    for (let i = 0; i < 400; i++) {
      this.turns(1, 1_000);
      for (const stream of this.streams) stream.read(MOST_BYTES);
    }
    for (const { sent, got } of this.streams) assert.equal(got, sent);
  }

  count(name: "retransSegs" | "timeouts" | "windowProbes" | "outRsts" | "tailLossProbes"): number {
    return this.stack.tcp.counters.get(name);
  }
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("hand"), n: fc.integer({ min: 1, max: 200_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("send"), n: fc.integer({ min: 1, max: 100_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("send"), n: fc.integer({ min: 1, max: 200 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("more"), n: fc.integer({ min: 1, max: 2_000 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("read"), n: fc.integer({ min: 1, max: MOST_BYTES }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("calm"), n: fc.integer({ min: 1, max: 100_000 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("turn"), n: fc.integer({ min: 1, max: 400 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("turn"),
      n: fc.integer({ min: 1_000, max: 300_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("cork"), n: fc.integer({ min: 0, max: 1 }) }),
  },
);

function take(pair: Pair, way: number, kind: string, n: number): void {
  const stream = pair.streams[way]!;
  if (kind === "hand") stream.hand(n);
  else if (kind === "send") stream.send(n, 0);
  else if (kind === "more") stream.send(n, MsgFlags.MORE);
  else if (kind === "read") stream.read(n);
  else if (kind === "cork") stream.from.setOption(Level.TCP, TcpLevelOption.TCP_CORK, n);
  else if (kind === "calm") {
    pair.calm(3);
    stream.hand(n);
  } else {
    // What is on the way has time to arrive before a pause in which timers fire.
    if (n > 1_000) pair.turns(4, 1);
    pair.turns(1, n);
  }
}

test("whatever goes as segments and whatever is handed over, both streams arrive whole", () => {
  let handed = 0;
  fc.assert(
    fc.property(
      fc.integer(),
      fc.constantFrom(0, 4_096, 65_536),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 1 }), step), { minLength: 5, maxLength: 80 }),
      (seed, rcvBufBytes, steps) => {
        const pair = new Pair(seed, rcvBufBytes);
        for (const [way, { kind, n }] of steps) take(pair, way, kind, n);
        for (const { from } of pair.streams) from.setOption(Level.TCP, TcpLevelOption.TCP_CORK, 0);
        pair.settle();
        assert.deepEqual([pair.count("timeouts"), pair.count("outRsts")], [0, 0]);
        for (const { handed: n } of pair.streams) handed += n;
        // The end comes behind all of it.
        for (const stream of pair.streams) stream.send(10, 0);
        assert.equal(pair.client.shutdown(Shutdown.WRITE), 0);
        pair.settle();
        assert.equal(pair.server.receive(new Uint8Array(1)), 0);
        pair.server.close();
        pair.client.close();
        pair.turns(5, 100);
        assert.equal(pair.count("outRsts"), 0);
        pair.stack.close();
      },
    ),
    { numRuns: 100 },
  );
  assert.ok(handed > 200, `${handed} were handed over`);
});

test("requests and answers in turn are handed over from the second on, whichever way the first went", () => {
  for (const first of ["send", "hand"]) {
    const pair = new Pair(1, 0);
    for (let i = 0; i < 10; i++) {
      for (const stream of pair.streams) {
        if (i === 0 && first === "send") stream.send(64, 0);
        else stream.hand(64);
        pair.turns(3, 5);
        stream.read(64);
      }
    }
    const expected = first === "send" ? 9 : 10;
    for (const { handed } of pair.streams) assert.equal(handed, expected, first);
    pair.stack.close();
  }
});

test("figures of both ends are as if segments had been sent", () => {
  const pair = new Pair(1, 0);
  const [there, back] = pair.streams;
  const before = [pair.client.info()!, pair.server.info()!] as const;
  there.hand(100_000);
  pair.turns(1, 5_000);
  back.hand(10);
  pair.turns(1, 7_000);
  const client = pair.client.info()!;
  const server = pair.server.info()!;
  assert.equal(client.bytesSent, before[0].bytesSent + 100_000);
  assert.equal(client.bytesAcked, before[0].bytesAcked + 100_000);
  assert.equal(server.bytesReceived, before[1].bytesReceived + 100_000);
  assert.equal(client.bytesReceived, before[0].bytesReceived + 10);
  assert.equal(client.dataSegsOut, server.dataSegsIn);
  assert.ok(client.dataSegsOut > 1);
  assert.equal(client.segsOut - before[0].segsOut, client.dataSegsOut);
  assert.equal(server.segsIn - before[1].segsIn, server.dataSegsIn);
  assert.equal(client.delivered - before[0].delivered, client.dataSegsOut);
  // The first was sent 12 ms ago, its answer came 7 ms ago.
  assert.deepEqual([client.lastDataSentUs, client.lastDataRecvUs], [12_000, 7_000]);
  assert.deepEqual([server.lastDataRecvUs, server.lastDataSentUs], [12_000, 7_000]);
  assert.deepEqual([client.lastAckRecvUs, server.lastAckRecvUs], [7_000, 7_000]);
  assert.deepEqual([client.unacked, server.unacked], [0, 0]);
  pair.stack.close();
});

test("data behind an end of the stream, a shut reader, urgent data and the like are not handed over", () => {
  const shut = new Pair(1, 0);
  shut.server.shutdown(Shutdown.READ);
  assert.equal(shut.client.mayHandOver(shut.server), HandOver.NO);
  const ended = new Pair(2, 0);
  ended.server.shutdown(Shutdown.WRITE);
  ended.turns(3, 10);
  assert.notEqual(ended.client.mayHandOver(ended.server), HandOver.YES);
  assert.equal(ended.server.mayHandOver(ended.client), HandOver.NO);
  const urgent = new Pair(3, 0);
  urgent.client.send(Uint8Array.of(1), 0, 1, MsgFlags.OOB);
  assert.notEqual(urgent.client.mayHandOver(urgent.server), HandOver.YES);
  urgent.turns(3, 10);
  assert.notEqual(urgent.client.mayHandOver(urgent.server), HandOver.YES);
  const gone = new Pair(4, 0);
  gone.server.abort();
  assert.equal(gone.client.mayHandOver(gone.server), HandOver.NO);
  const picky = new Pair(5, 0);
  picky.server.setOption(Level.IP, IpOption.IP_MINTTL, 255);
  assert.equal(picky.client.mayHandOver(picky.server), HandOver.NO);
  assert.equal(picky.server.mayHandOver(picky.client), HandOver.YES);
  const early = new Pair(6, 0);
  early.server.view().oooHead = 1; // what somebody has forged
  assert.equal(early.client.mayHandOver(early.server), HandOver.NO);
  early.server.view().oooHead = -1;
  for (const { stack } of [shut, ended, urgent, gone, picky, early]) stack.close();
});

test("no sequence number falls half of all behind while nothing goes as segments", () => {
  const pair = new Pair(1, 0);
  const random = new Random(1);
  const [there, back] = pair.streams;
  const stale = (socket: TcpSocket): number => {
    const c = socket.view();
    const sent = [c.sndWl2, c.sndSml, c.cwndUsageSeq, c.roundEndSeq, c.fackSeq, c.rackEndSeq];
    const received = [c.sndWl1, c.rcvAcked, c.rcvCopied];
    const ages = [
      ...sent.map((seq) => (c.sndUna - seq) | 0),
      ...received.map((seq) => (c.rcvNxt - seq) | 0),
    ];
    return Math.max(...ages.map(Math.abs));
  };
  for (let i = 0; i < 40; i++) {
    for (const stream of pair.streams) stream.hand(60_000_000);
    if (random.chance(0.1)) pair.turns(1, 100);
  }
  assert.deepEqual([there.handed, back.handed], [40, 40]);
  for (const socket of [pair.client, pair.server]) {
    assert.ok(stale(socket) < 2 ** 30, `${stale(socket)}`);
  }
  for (let i = 0; i < 20; i++) {
    there.send(100_000, 0);
    back.send(1_000, 0);
    pair.settle();
  }
  assert.deepEqual([pair.count("retransSegs"), pair.count("timeouts")], [0, 0]);
  pair.stack.close();
});

test("both ends know the other's window and clock afterwards", () => {
  const pair = new Pair(1, 65_536);
  const [there, back] = pair.streams;
  // A window that was used up, whose opening is on its way when an answer is handed over.
  there.send(MOST_BYTES, 0);
  pair.turns(3, 10);
  there.read(MOST_BYTES);
  for (let i = 0; i < 600; i++) {
    back.hand(10);
    pair.turns(1, 1_000_000);
    there.read(MOST_BYTES);
  }
  assert.ok(back.handed > 500);
  for (const [from, to] of [
    [pair.client, pair.server],
    [pair.server, pair.client],
  ] as const) {
    assert.equal(from.info()!.sndWndBytes, to.info()!.rcvWndBytes);
  }
  back.send(10, 0);
  there.send(10, 0);
  pair.settle();
  const after = [pair.client.info()!.rcvRttUs, pair.server.info()!.rcvRttUs];
  assert.ok(Math.max(...after) < 5_000_000, `an old timestamp was taken for new: ${after}`);
  pair.stack.close();
});
