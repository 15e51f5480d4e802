/** A sender over a lossy link in virtual time, against a receiver that is correct and simple. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../base/random.js";
import { NEVER } from "../base/time.js";
import { AckInfo } from "./ack-info.js";
import { AckResult, Algorithm, PeerOption, Recovery, TimerResult } from "./recovery.js";
import { RecoveryRow } from "./recovery-row.js";
import { advance, type Seq, seqOf } from "./seq.js";
import { ROW_INT32S } from "./tcb-row.js";

const MSS = 1000;
const ISS = 0x7fff_f000 | 0; // sequence numbers wrap early on

interface Event {
  atUs: number;
  order: number;
  run: (nowUs: number) => void;
}

class Clock {
  nowUs = 1_000_000;
  private order = 0;
  private readonly heap: Event[] = [];

  at(atUs: number, run: (nowUs: number) => void): void {
    const h = this.heap;
    h.push({ atUs, order: this.order++, run });
    let n = h.length - 1;
    while (n > 0 && Clock.isBefore(h[n]!, h[(n - 1) >> 1]!)) {
      const up = (n - 1) >> 1;
      [h[n], h[up]] = [h[up]!, h[n]!];
      n = up;
    }
  }

  step(): boolean {
    const h = this.heap;
    if (h.length === 0) return false;
    const first = h[0]!;
    const last = h.pop()!;
    if (h.length > 0) {
      h[0] = last;
      let n = 0;
      for (;;) {
        let least = n;
        for (const m of [2 * n + 1, 2 * n + 2]) {
          if (m < h.length && Clock.isBefore(h[m]!, h[least]!)) least = m;
        }
        if (least === n) break;
        [h[n], h[least]] = [h[least]!, h[n]!];
        n = least;
      }
    }
    this.nowUs = first.atUs;
    first.run(first.atUs);
    return true;
  }

  private static isBefore(a: Event, b: Event): boolean {
    return a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order);
  }
}

/** A bottleneck that several senders share: rate, queue in bytes, tail drop. */
class Bottleneck {
  freeAtUs = 0;
  drops = 0;
  readonly rateBytesPerUs: number;
  readonly queueBytes: number;
  constructor(mbitPerSec: number, queueBytes: number) {
    this.rateBytesPerUs = mbitPerSec / 8;
    this.queueBytes = queueBytes;
  }
  /** When a packet of this size has passed, or -1 when the queue is full. */
  pass(nowUs: number, bytes: number): number {
    const startUs = Math.max(nowUs, this.freeAtUs);
    if ((startUs - nowUs) * this.rateBytesPerUs > this.queueBytes) {
      this.drops++;
      return -1;
    }
    this.freeAtUs = startUs + bytes / this.rateBytesPerUs;
    return this.freeAtUs;
  }
}

interface Options {
  totalSegments: number;
  lossRate?: number;
  reorderRate?: number;
  reorderUs?: number;
  duplicateRate?: number;
  delayUs?: number;
  seed?: number;
  sack?: boolean;
  timestamps?: boolean;
  algorithm?: number;
  gsoSegments?: number;
  /** Losses to make on purpose: n-th data segment on the wire. */
  drop?: Set<number>;
}

/** A sender with unlimited data and its receiver, joined by a bottleneck and a faulty link. */
class Flow {
  readonly recovery = new Recovery(1, { detectsBlackHoles: false }); // segments keep their size here
  readonly c: RecoveryRow;
  rtos = 0;
  probes = 0;
  undos = 0;
  recoveries = 0;
  doneAtUs = 0;
  private readonly ack = new AckInfo();
  private readonly clock: Clock;
  private readonly link: Bottleneck;
  private readonly o: Options;
  private readonly random: Random;
  private wire = 0;
  private armedUs = NEVER;
  // The receiver: which segments it has, and what it owes.
  private readonly got: Uint8Array;
  private rcvNext = 0;
  private owed = 0;
  private latest = 0;
  private tsRecentMs = 0;

  constructor(clock: Clock, link: Bottleneck, o: Options) {
    this.clock = clock;
    this.link = link;
    this.o = o;
    const i = new Int32Array(ROW_INT32S);
    const c = new RecoveryRow(i, new Float64Array(i.buffer));
    this.c = c;
    this.random = new Random(o.seed ?? 1);
    this.got = new Uint8Array(o.totalSegments + 1);
    c.sndMss = MSS;
    c.sndUna = c.sndNxt = seqOf(ISS);
    c.sndWnd = 1 << 28;
    c.sndQueuedBytes = o.totalSegments * MSS;
    this.recovery.init(c, clock.nowUs);
    const sack = o.sack === false ? 0 : PeerOption.SACK;
    this.recovery.established(c, sack | PeerOption.TIMESTAMPS, clock.nowUs);
    this.recovery.setAlgorithm(c, o.algorithm ?? Algorithm.CUBIC);
    clock.at(clock.nowUs, (nowUs) => this.output(nowUs));
  }

  get deliveredBytes(): number {
    return (this.c.sndUna - ISS) | 0;
  }

  // The sender, as the TCP engine will drive it.

  private output(nowUs: number): void {
    const { recovery: rec, c } = this;
    const most = (this.o.gsoSegments ?? 1) * MSS;
    while (rec.nextRetransmit(c, most)) {
      this.transmit(rec.retransmitSeq, rec.retransmitEnd, nowUs);
      rec.retransmitted(c, rec.retransmitSeq, rec.retransmitEnd, nowUs);
    }
    for (;;) {
      const n = Math.min(rec.budgetBytes(c), most, this.unsentBytes());
      if (n <= 0) break;
      this.sendNew(n, nowUs);
    }
    this.arm();
  }

  private unsentBytes(): number {
    return unsentOf(this.c);
  }

  private sendNew(bytes: number, nowUs: number): void {
    const c = this.c;
    const seq = c.sndNxt;
    const end = advance(seq, bytes);
    c.sndNxt = end;
    this.recovery.sent(c, seq, end, nowUs);
    this.transmit(seq, end, nowUs);
  }

  private arm(): void {
    const dueUs = this.recovery.deadlineUs(this.c);
    if (dueUs === NEVER || dueUs === this.armedUs) return;
    this.armedUs = dueUs;
    this.clock.at(dueUs, (nowUs) => this.timer(nowUs));
  }

  private timer(nowUs: number): void {
    const { recovery: rec, c } = this;
    this.armedUs = NEVER;
    switch (rec.onTimer(c, nowUs)) {
      case TimerResult.SEND_PROBE:
        this.probes++;
        if (this.unsentBytes() > 0) {
          this.sendNew(Math.min(MSS, this.unsentBytes()), nowUs);
        } else if (rec.probeRange(c)) {
          this.transmit(rec.retransmitSeq, rec.retransmitEnd, nowUs);
          rec.retransmitted(c, rec.retransmitSeq, rec.retransmitEnd, nowUs);
        }
        break;
      case TimerResult.RTO:
        this.rtos++;
        break;
      default:
    }
    this.output(nowUs);
  }

  private ackArrives(nowUs: number, next: number, blocks: readonly number[], tsMs: number): void {
    const { ack, c } = this;
    ack.ack = advance(seqOf(ISS), next * MSS);
    ack.sackCount = blocks.length / 2;
    for (let n = 0; n < blocks.length; n++)
      ack.sackBlocks[n] = advance(seqOf(ISS), blocks[n]! * MSS);
    ack.hasTs = this.o.timestamps !== false;
    ack.tsEcrMs = tsMs;
    if (((ack.ack - c.sndUna) | 0) < 0) return;
    const result = this.recovery.onAck(c, ack, nowUs);
    if ((result & AckResult.UNDONE) !== 0) this.undos++;
    if ((result & AckResult.ENTERED_RECOVERY) !== 0) this.recoveries++;
    c.sndQueuedBytes -= (ack.ack - c.sndUna) | 0;
    c.sndUna = ack.ack;
    if (c.sndQueuedBytes === 0 && this.doneAtUs === 0) this.doneAtUs = nowUs;
    checkCounts(this.recovery, c);
    this.output(nowUs);
  }

  // The link.

  private transmit(from: Seq, to: Seq, nowUs: number): void {
    const first = ((from - ISS) | 0) / MSS;
    const last = ((to - ISS) | 0) / MSS;
    for (let segment = first; segment < last; segment++) {
      if (this.o.drop?.has(this.wire++)) continue;
      const passedUs = this.link.pass(nowUs, MSS + 60);
      if (passedUs < 0 || this.random.chance(this.o.lossRate ?? 0)) continue;
      let atUs = passedUs + (this.o.delayUs ?? 10_000);
      if (this.random.chance(this.o.reorderRate ?? 0)) atUs += this.o.reorderUs ?? 2_000;
      const tsMs = Math.floor(nowUs / 1000);
      this.clock.at(atUs, (t) => this.segmentArrives(t, segment, tsMs));
      if (!this.random.chance(this.o.duplicateRate ?? 0)) continue;
      this.clock.at(atUs + 100, (t) => this.segmentArrives(t, segment, tsMs));
    }
  }

  // The receiver.

  private segmentArrives(nowUs: number, segment: number, tsMs: number): void {
    const isOld = this.got[segment] === 1;
    const wasHole = this.latest > this.rcvNext;
    if (segment === this.rcvNext || this.owed === 0) this.tsRecentMs = tsMs;
    this.got[segment] = 1;
    this.latest = Math.max(this.latest, segment + 1);
    while (this.got[this.rcvNext] === 1) this.rcvNext++;
    const isInOrder = !isOld && !wasHole && segment < this.rcvNext;
    this.owed++;
    if (isInOrder && this.owed < 2) {
      const mark = this.rcvNext;
      this.clock.at(nowUs + 40_000, (t) => {
        if (this.rcvNext === mark && this.owed > 0) this.sendAck(t, []);
      });
      return;
    }
    this.sendAck(nowUs, this.blocksFor(segment, isOld));
  }

  private blocksFor(segment: number, isOld: boolean): number[] {
    const blocks: number[] = isOld ? [segment, segment + 1] : [];
    if (this.o.sack === false) return [];
    if (segment >= this.rcvNext) blocks.push(...this.runAround(segment));
    // Then the runs above, nearest first: a receiver repeats what it reported last.
    let at = this.rcvNext;
    while (blocks.length < 6 && at < this.latest) {
      if (this.got[at] === 1) {
        const [left, right] = this.runAround(at);
        if (blocks[0] !== left || blocks[1] !== right) blocks.push(left, right);
        at = right;
      }
      at++;
    }
    return blocks.slice(0, 6);
  }

  private runAround(segment: number): [number, number] {
    let left = segment;
    let right = segment + 1;
    while (left > 0 && this.got[left - 1] === 1) left--;
    while (this.got[right] === 1) right++;
    return [left, right];
  }

  private sendAck(nowUs: number, blocks: number[]): void {
    this.owed = 0;
    if (this.random.chance(this.o.lossRate ?? 0)) return;
    const next = this.rcvNext;
    const tsMs = this.tsRecentMs;
    this.clock.at(nowUs + (this.o.delayUs ?? 10_000), (t) =>
      this.ackArrives(t, next, blocks, tsMs),
    );
  }
}

const unsentOf = (c: RecoveryRow): number => c.sndQueuedBytes - ((c.sndNxt - c.sndUna) | 0);

function checkCounts(rec: Recovery, c: RecoveryRow): void {
  const flight = rec.queue.outstandingBytes(c);
  const { sackedBytes, lostBytes, retransBytes } = c;
  assert.equal(flight, (c.sndNxt - c.sndUna) | 0);
  assert.ok(sackedBytes >= 0 && lostBytes >= 0 && retransBytes >= 0, "no negative count");
  assert.ok(sackedBytes + lostBytes <= flight && retransBytes <= flight, "counts fit the flight");
  assert.ok(c.cwnd >= MSS, `cwnd ${c.cwnd}`);
}

interface Result {
  flow: Flow;
  mbitPerSec: number;
}

function transfer(o: Options, mbitPerSec = 100, queueBytes = 250_000): Result {
  const clock = new Clock();
  const startUs = clock.nowUs;
  const flow = new Flow(clock, new Bottleneck(mbitPerSec, queueBytes), o);
  while (flow.doneAtUs === 0 && clock.nowUs < startUs + 600e6) if (!clock.step()) break;
  assert.notEqual(
    flow.doneAtUs,
    0,
    `seed ${o.seed ?? 1}: not done after ${clock.nowUs - startUs} us`,
  );
  assert.equal(flow.recovery.queue.inUse, 0, "all records are free");
  const goodput = (o.totalSegments * MSS * 8) / (flow.doneAtUs - startUs);
  if (process.env.SIM_TRACE) {
    console.log(
      JSON.stringify({
        ...o,
        drop: 0,
        goodput,
        rtos: flow.rtos,
        probes: flow.probes,
        undos: flow.undos,
        rec: flow.recoveries,
        retrans: flow.c.totalRetrans,
        mult: flow.c.reoWndMult,
      }),
    );
  }
  return { flow, mbitPerSec: goodput };
}

/**
 * What Reno reaches with this loss rate and one ACK for two segments, RTT 20 ms (Mathis et al. 1997);
 * CUBIC is at least as fast on so short a path.
 */
const mathisMbitPerSec = (lossRate: number): number =>
  (0.87 * MSS * 8) / (20_000 * Math.sqrt(lossRate));

test("without loss the link is filled and only the end of slow start loses", () => {
  const { flow, mbitPerSec } = transfer({ totalSegments: 10_000 });
  assert.ok(mbitPerSec > 80, `${mbitPerSec}`);
  assert.equal(flow.rtos, 0);
  assert.ok(flow.c.totalRetrans < 600, `${flow.c.totalRetrans}`);
});

test("large records (TSO) fill the link as well", () => {
  const { flow, mbitPerSec } = transfer({ totalSegments: 10_000, gsoSegments: 40 });
  assert.ok(mbitPerSec > 75, `${mbitPerSec}`);
  assert.equal(flow.rtos, 0);
});

for (const gsoSegments of [1, 16]) {
  test(`1 % loss, ${gsoSegments} segments at once: no timeout, and what the formula says`, () => {
    for (let seed = 1; seed <= 3; seed++) {
      const r = transfer({ totalSegments: 3_000, lossRate: 0.01, gsoSegments, seed });
      assert.ok(r.mbitPerSec > mathisMbitPerSec(0.01), `seed ${seed}: ${r.mbitPerSec}`);
      assert.equal(r.flow.rtos, 0, `seed ${seed}`);
    }
  });
}

test("5 % loss: few timeouts", () => {
  for (let seed = 1; seed <= 3; seed++) {
    const r = transfer({ totalSegments: 3_000, lossRate: 0.05, seed });
    assert.ok(r.mbitPerSec > 0.8 * mathisMbitPerSec(0.05), `seed ${seed}: ${r.mbitPerSec}`);
    assert.ok(r.flow.rtos <= 5, `seed ${seed}: ${r.flow.rtos} timeouts`);
    assert.ok(r.flow.c.totalRetrans < 1.3 * 0.05 * 3_000, `seed ${seed}`);
  }
});

test("5 % loss with reordering and duplication is no worse than 5 % loss", () => {
  for (let seed = 1; seed <= 3; seed++) {
    const faults = { lossRate: 0.05, reorderRate: 0.05, duplicateRate: 0.05 };
    const r = transfer({ totalSegments: 3_000, ...faults, seed });
    assert.ok(r.mbitPerSec > 0.8 * mathisMbitPerSec(0.05), `seed ${seed}: ${r.mbitPerSec}`);
    assert.ok(r.flow.rtos <= 3, `seed ${seed}: ${r.flow.rtos} timeouts`);
  }
});

test("reordering alone costs little: the window adapts and reductions are undone", () => {
  for (let seed = 1; seed <= 3; seed++) {
    const r = transfer({ totalSegments: 6_000, reorderRate: 0.05, seed });
    assert.ok(r.mbitPerSec > 70, `seed ${seed}: ${r.mbitPerSec}`);
    assert.equal(r.flow.rtos, 0, `seed ${seed}`);
  }
});

test("peers without SACK: progress under loss, reordering and duplication", () => {
  for (let seed = 1; seed <= 3; seed++) {
    const faults = { lossRate: 0.03, reorderRate: 0.02, duplicateRate: 0.02 };
    const r = transfer({ totalSegments: 1_500, ...faults, sack: false, seed });
    assert.ok(r.mbitPerSec > 0.3 * mathisMbitPerSec(0.03), `seed ${seed}: ${r.mbitPerSec}`);
  }
});

test("neither SACK nor timestamps, 10 % loss: the transfer ends", () => {
  const o = { totalSegments: 500, lossRate: 0.1, sack: false, timestamps: false };
  transfer({ ...o, seed: 5 });
});

test("half of all packets lost: the transfer ends", () => {
  transfer({ totalSegments: 60, lossRate: 0.5, seed: 3 });
});

test("the last segments of a transfer are repaired by a probe, without a timeout", () => {
  const o = { totalSegments: 10, drop: new Set([7, 8, 9]) };
  const { flow } = transfer(o);
  assert.equal(flow.rtos, 0);
  assert.equal(flow.probes, 1);
});

test("two flows share a bottleneck: CUBIC does not starve Reno, nor Reno CUBIC", () => {
  const clock = new Clock();
  const link = new Bottleneck(10, 30_000);
  const o = { totalSegments: 40_000, delayUs: 5_000 };
  const cubic = new Flow(clock, link, { ...o, algorithm: Algorithm.CUBIC, seed: 1 });
  const reno = new Flow(clock, link, { ...o, algorithm: Algorithm.RENO, seed: 2 });
  const startUs = clock.nowUs;
  while (clock.nowUs < startUs + 15e6) clock.step();
  const total = cubic.deliveredBytes + reno.deliveredBytes;
  const share = cubic.deliveredBytes / total;
  assert.ok(total * 8 > 0.85 * 10 * 15e6, `${total} bytes in 15 s`);
  assert.ok(share > 0.3 && share < 0.75, `CUBIC has ${share}`);
});
