import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "../../test/support/property.js";
import { AckInfo } from "./ack-info.js";
import { Delivery } from "./delivery.js";
import { resetRack } from "./rack.js";
import { RecoveryRow } from "./recovery-row.js";
import { RecoveryFlags } from "./recovery-state.js";
import { resetRtt } from "./rtt.js";
import { applyAck, applySack } from "./sack.js";
import { SentQueue } from "./sent-queue.js";
import { EVER_RETRANS, LOST, NO_RECORD, RETRANS, SACKED } from "./sent-records.js";
import { advance, type Seq, seqOf } from "./seq.js";
import { ROW_INT32S } from "./tcb-row.js";

const ISS = seqOf(0x7fff_ff00); // the sequence space wraps in every test

function newRow(mss = 10): RecoveryRow {
  const i = new Int32Array(ROW_INT32S);
  const c = new RecoveryRow(i, new Float64Array(i.buffer));
  c.sndMss = mss;
  c.sndUna = c.sndNxt = ISS;
  return c;
}

function newQueue(mss = 10): { q: SentQueue; c: RecoveryRow } {
  const q = new SentQueue(2);
  const c = newRow(mss);
  q.reset(c);
  resetRtt(c);
  resetRack(c);
  c.recoveryFlags = RecoveryFlags.SACK;
  c.recoverySeq = ISS;
  return { q, c };
}

const at = (offset: number): Seq => advance(ISS, offset);

test("ranges sent in one turn share a record until 64 KiB", () => {
  const { q, c } = newQueue(1000);
  for (let n = 0; n < 70; n++) q.push(c, at(n * 1000), at(n * 1000 + 1000), 5);
  assert.equal(c.recordCount, 2);
  assert.equal(q.outstandingBytes(c), 70_000);
  q.push(c, at(70_000), at(70_500), 6);
  q.push(c, at(70_500), at(71_500), 6); // the one before was no whole segment
  assert.equal(c.recordCount, 4);
  q.clear(c);
  assert.equal(q.inUse, 0);
});

test("a SACKed middle splits a record in three, and its neighbours merge when they follow", () => {
  const { q, c } = newQueue();
  q.push(c, at(0), at(100), 1);
  const middle = q.split(c, q.find(c, at(0)), at(30));
  q.split(c, middle, at(60));
  q.markSacked(c, middle);
  assert.equal(c.recordCount, 3);
  assert.equal(c.sackedBytes, 30);
  assert.equal(q.pipeBytes(c), 70);
  q.markSacked(c, q.find(c, at(99)));
  assert.equal(c.recordCount, 2);
  q.markSacked(c, q.find(c, at(0)));
  assert.equal(c.recordCount, 1);
  assert.equal(q.pipeBytes(c), 0);
});

test("lost records wait in sequence order, whatever order they were found in", () => {
  const { q, c } = newQueue();
  for (let n = 0; n < 6; n++) q.push(c, at(n * 10), at(n * 10 + 10), n);
  for (const n of [3, 1, 5, 0, 4]) q.markLost(c, q.find(c, at(n * 10)));
  const order: number[] = [];
  for (let r = c.lostHead; r !== NO_RECORD; r = q.listNextOf(r)) {
    order.push((q.seqOf(r) - ISS) / 10);
  }
  assert.deepEqual(order, [0, 1, 3, 4, 5]);
  q.unmarkAllLost(c);
  const times: number[] = [];
  for (let r = c.timeHead; r !== NO_RECORD; r = q.listNextOf(r)) times.push(q.xmitUsOf(r));
  assert.deepEqual(times, [0, 1, 2, 3, 4, 5]);
});

/** Every byte's state, and nothing clever. */
class Model {
  una = 0;
  next = 0;
  readonly sacked = new Set<number>();
  readonly lost = new Set<number>();
  readonly again = new Set<number>();

  ack(to: number): void {
    for (let b = this.una; b < to; b++) {
      this.sacked.delete(b);
      this.lost.delete(b);
      this.again.delete(b);
    }
    this.una = Math.max(this.una, to);
  }
  sack(from: number, to: number): void {
    for (let b = Math.max(from, this.una); b < to; b++) {
      this.sacked.add(b);
      this.lost.delete(b);
      this.again.delete(b);
    }
  }
  get pipe(): number {
    return this.next - this.una - this.sacked.size - this.lost.size + this.again.size;
  }
}

function assertLists(q: SentQueue, c: RecoveryRow): void {
  let end = c.sndUna;
  let records = 0;
  let onLists = 0;
  for (let r = c.headRecord; r !== NO_RECORD; r = q.nextOf(r)) {
    assert.equal(q.seqOf(r), end, "records follow without a gap");
    end = q.endOf(r);
    assert.ok(q.bytesOf(r) > 0, "no empty record");
    if ((q.flagsOf(r) & SACKED) === 0) onLists++;
    else assert.equal(q.flagsOf(r) & (LOST | RETRANS), 0, "SACKED excludes LOST and RETRANS");
    records++;
  }
  assert.equal(end, c.sndNxt);
  assert.equal(records, c.recordCount);
  let listed = 0;
  let lastUs = -1;
  for (let r = c.timeHead; r !== NO_RECORD; r = q.listNextOf(r)) {
    assert.ok(q.xmitUsOf(r) >= lastUs, "the time list is in order");
    lastUs = q.xmitUsOf(r);
    listed++;
  }
  for (let r = c.lostHead; r !== NO_RECORD; r = q.listNextOf(r)) {
    assert.equal(q.flagsOf(r) & (LOST | RETRANS), LOST);
    listed++;
  }
  assert.equal(listed, onLists, "every record that is not SACKED is on one list");
}

const step = fc.record({
  kind: fc.constantFrom("send", "send", "ack", "sack", "sack", "lose", "again", "undo"),
  a: fc.nat(399),
  b: fc.integer({ min: 1, max: 60 }),
});

test("the scoreboard agrees with a model that keeps every byte's state", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const { q, c } = newQueue();
      const m = new Model();
      const d = new Delivery();
      const ack = new AckInfo();
      let nowUs = 1000;
      for (const { kind, a, b } of steps) {
        nowUs += a % 3;
        const from = m.una + (a % Math.max(1, m.next - m.una));
        const to = Math.min(m.next, from + b);
        if (kind === "send") {
          q.push(c, at(m.next), at(m.next + b), nowUs);
          m.next += b;
          c.sndNxt = at(m.next);
        } else if (kind === "ack") {
          ack.ack = at(to);
          applyAck(q, c, d.clear(), ack, nowUs);
          c.sndUna = at(Math.max(to, m.una));
          const old = m.sacked.size;
          const before = m.una;
          m.ack(to);
          assert.equal(d.ackedBytes, m.una - before);
          assert.equal(d.deliveredBytes, m.una - before - (old - m.sacked.size));
        } else if (kind === "sack" && from < to) {
          ack.ack = c.sndUna;
          ack.sackCount = 1;
          ack.sackBlocks[0] = at(from);
          ack.sackBlocks[1] = at(to);
          const old = m.sacked.size;
          applySack(q, c, d.clear(), ack, nowUs);
          m.sack(from, to);
          assert.equal(d.sackedBytes, m.sacked.size - old);
          assert.equal(d.deliveredBytes, d.sackedBytes);
        } else if (kind === "lose") {
          loseOldest(q, c, m);
        } else if (kind === "again") {
          sendAgain(q, c, m, nowUs);
        } else if (kind === "undo") {
          q.unmarkAllLost(c);
          m.lost.clear();
        }
        assert.equal(c.sackedBytes, m.sacked.size);
        assert.equal(c.lostBytes, m.lost.size);
        assert.equal(c.retransBytes, m.again.size);
        assert.equal(q.pipeBytes(c), m.pipe);
        assertLists(q, c);
      }
      ack.ack = c.sndNxt;
      applyAck(q, c, d.clear(), ack, nowUs);
      assert.equal(q.inUse, 0);
      assert.equal(c.lane1Head, NO_RECORD);
      assert.equal(c.lane2Head, NO_RECORD);
    }),
    { numRuns: 300 },
  );
});

function loseOldest(q: SentQueue, c: RecoveryRow, m: Model): void {
  const r = c.timeHead;
  if (r === NO_RECORD) return;
  for (let b = (q.seqOf(r) - ISS) | 0; b < ((q.endOf(r) - ISS) | 0); b++) {
    m.lost.add(b);
    m.again.delete(b);
  }
  q.markLost(c, r);
}

function sendAgain(q: SentQueue, c: RecoveryRow, m: Model, nowUs: number): void {
  const r = c.lostHead;
  if (r === NO_RECORD) return;
  if (q.bytesOf(r) > 10) q.split(c, r, advance(q.seqOf(r), 10));
  for (let b = (q.seqOf(r) - ISS) | 0; b < ((q.endOf(r) - ISS) | 0); b++) m.again.add(b);
  q.markRetransmitted(c, r, nowUs);
  assert.equal(q.flagsOf(r) & EVER_RETRANS, EVER_RETRANS);
}

/** Searches per hostile SACK block when `segments` are outstanding. */
function stepsPerBlock(segments: number): number {
  const { q, c } = newQueue(10);
  for (let n = 0; n < segments; n++) q.push(c, at(n * 10), at(n * 10 + 10), n);
  c.sndNxt = at(segments * 10);
  const ack = new AckInfo();
  const d = new Delivery();
  ack.ack = ISS;
  ack.sackCount = 4;
  let blocks = 0;
  q.steps = 0;
  const rounds = 4_000;
  for (let n = 0; n < rounds; n++) {
    for (let b = 0; b < 4; b++) {
      // Single bytes all over the window: each splits a record and merges with nothing.
      const place = 1 + ((2 * (Math.imul(n * 4 + b + 1, 0x9e3779b1) >>> 1)) % (segments * 10 - 4));
      ack.sackBlocks[2 * b] = at(place);
      ack.sackBlocks[2 * b + 1] = at(place + 1);
      blocks++;
    }
    applySack(q, c, d.clear(), ack, segments + n);
  }
  q.clear(c);
  assert.equal(q.inUse, 0);
  return q.steps / blocks;
}

test("hostile SACK blocks cost little more on a window 16 times as large", () => {
  const small = stepsPerBlock(4_000);
  const large = stepsPerBlock(64_000);
  // Growth exponent log(large / small) / log(16): a plain list has 1.
  const exponent = Math.log(large / small) / Math.log(16);
  assert.ok(exponent < 0.5, `${small} steps, then ${large}: exponent ${exponent.toFixed(2)}`);
  assert.ok(large < 600, `${large} steps a block`);
});

test("blocks outside of what is outstanding change nothing", () => {
  const { q, c } = newQueue();
  q.push(c, at(0), at(100), 1);
  c.sndNxt = at(100);
  const ack = new AckInfo();
  const d = new Delivery();
  const bad: [number, number][] = [
    [50, 101],
    [60, 60],
    [80, 20],
    [-50, -10],
    [200, 300],
  ];
  for (const [left, right] of bad) {
    ack.ack = ISS;
    ack.sackCount = 1;
    ack.sackBlocks[0] = at(left);
    ack.sackBlocks[1] = at(right);
    applySack(q, c, d.clear(), ack, 9);
    assert.equal(c.sackedBytes, 0);
    assert.equal(c.recordCount, 1);
  }
});
