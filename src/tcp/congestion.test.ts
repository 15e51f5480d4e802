import assert from "node:assert/strict";
import { test } from "node:test";
import { Algorithm, grow, resetCongestion, ssthreshAfterLoss } from "./congestion.js";
import { cubicGrow, cubicSsthresh, wCubic } from "./cubic.js";
import { Delivery } from "./delivery.js";
import { hyStart, resetHyStart } from "./hystart.js";
import { INFINITE_SSTHRESH, renoGrow } from "./new-reno.js";
import { prrOnAck, startPrr } from "./prr.js";
import { RecoveryRow } from "./recovery-row.js";
import { advance, seqOf } from "./seq.js";
import { ROW_INT32S } from "./tcb-row.js";

const MSS = 1000;

function newRow(cwndSegments: number, ssthreshSegments: number): RecoveryRow {
  const i = new Int32Array(ROW_INT32S);
  const c = new RecoveryRow(i, new Float64Array(i.buffer));
  c.sndMss = MSS;
  c.maxCwnd = 1 << 30;
  c.cwnd = cwndSegments * MSS;
  c.ssthresh = ssthreshSegments * MSS;
  resetCongestion(c);
  return c;
}

const near = (actual: number, expected: number, off: number): void =>
  assert.ok(Math.abs(actual - expected) <= off, `${actual} is not within ${off} of ${expected}`);

test("slow start doubles cwnd each round trip and stops at ssthresh", () => {
  const c = newRow(10, 16);
  for (let n = 0; n < 6; n++) renoGrow(c, MSS);
  assert.equal(c.cwnd, 16 * MSS);
  renoGrow(c, MSS);
  assert.equal(c.cwnd, 16 * MSS);
});

test("Reno's congestion avoidance adds a segment per cwnd delivered", () => {
  const c = newRow(10, 5);
  for (let n = 0; n < 9; n++) renoGrow(c, MSS);
  assert.equal(c.cwnd, 10 * MSS);
  renoGrow(c, 1001);
  assert.equal(c.cwnd, 11 * MSS);
});

test("Reno halves, in whole segments, and never below two", () => {
  const c = newRow(11, 5);
  c.algorithm = Algorithm.RENO;
  assert.equal(ssthreshAfterLoss(c), 5 * MSS);
  c.cwnd = 2 * MSS;
  assert.equal(ssthreshAfterLoss(c), 2 * MSS);
});

test("RFC 9438 §4.2: after a loss at 100 segments K is 4.2 s, and W_cubic(K) is 100 again", () => {
  const c = newRow(100, 10);
  c.ssthresh = cubicSsthresh(c);
  assert.equal(c.ssthresh, 70 * MSS); // beta 0.7
  c.priorCwnd = c.cwnd;
  c.cwnd = c.ssthresh;
  cubicGrow(c, 1, 1e6);
  near(c.cubicK, 4.217, 0.001); // cbrt(100 · 0.3 / 0.4)
  near(wCubic(c, 0), 70, 1e-9);
  near(wCubic(c, c.cubicK), 100, 1e-9);
  near(wCubic(c, c.cubicK + 2), 103.2, 1e-9); // 0.4 · 2³
});

test("CUBIC's window follows its curve when a full window is delivered each round trip", () => {
  const c = newRow(100, 10);
  c.srtt16 = 100_000 * 16;
  c.ssthresh = cubicSsthresh(c);
  c.priorCwnd = c.cwnd;
  c.cwnd = c.ssthresh;
  let nowUs = 1e6;
  for (let n = 0; n < 43; n++, nowUs += 100_000) cubicGrow(c, c.cwnd, nowUs);
  near(c.cwnd / MSS, 100, 2); // t = 4.3 s, the plateau
  for (let n = 0; n < 40; n++, nowUs += 100_000) cubicGrow(c, c.cwnd, nowUs);
  near(c.cwnd / MSS, wCubic(c, 8.3), 6); // 127: the convex part
});

test("RFC 9438 §4.7: fast convergence gives up more when the window did not come back", () => {
  const c = newRow(100, 10);
  cubicSsthresh(c);
  assert.equal(c.cubicWMax, 100);
  c.cwnd = 80 * MSS;
  cubicSsthresh(c);
  near(c.cubicWMax, 68, 1e-9); // 80 · 1.7 / 2
});

test("RFC 9438 §4.3: on a short path CUBIC grows at least as Reno of the same fairness does", () => {
  const c = newRow(10, 5);
  c.srtt16 = 1_000 * 16;
  c.ssthresh = cubicSsthresh(c); // 7 segments
  c.priorCwnd = c.cwnd;
  c.cwnd = c.ssthresh;
  let nowUs = 1e6;
  for (let n = 0; n < 100; n++, nowUs += 1_000) cubicGrow(c, c.cwnd, nowUs);
  // alpha 9/17 per round trip up to 10 segments (6 round trips), 1 after: about 7 + 3 + 94.
  near(c.cwnd / MSS, 104, 3);
});

test("RFC 9406: a risen RTT makes slow start conservative, and five rounds end it", () => {
  const c = newRow(10, 10);
  c.ssthresh = INFINITE_SSTHRESH;
  c.sndNxt = seqOf(0);
  resetHyStart(c);
  let ack = seqOf(0);
  const round = (rttUs: number): number => {
    ack = c.roundEndSeq;
    c.sndNxt = advance(ack, 10_000);
    let bytes = 0;
    for (let n = 0; n < 8; n++) bytes = hyStart(c, ack, rttUs, MSS);
    return bytes;
  };
  assert.equal(round(20_000), MSS);
  // All ACKs of a round but its first leave roundEndSeq alone.
  assert.equal(round(20_000), MSS);
  assert.equal(round(23_999), MSS); // below 20 ms + 4 ms
  assert.equal(round(28_000), MSS / 4); // 23,999 + 4,000 is reached
  for (let n = 0; n < 4; n++) round(30_000);
  assert.equal(c.ssthresh, INFINITE_SSTHRESH);
  round(30_000);
  assert.equal(c.ssthresh, c.cwnd);
});

test("RFC 9406 §4.2: when the RTT falls again, standard slow start resumes", () => {
  const c = newRow(10, 10);
  c.ssthresh = INFINITE_SSTHRESH;
  resetHyStart(c);
  c.lastRoundMinRttUs = 20_000;
  c.roundEndSeq = seqOf(100_000);
  const ack = seqOf(1);
  for (let n = 0; n < 8; n++) hyStart(c, ack, 30_000, MSS);
  assert.equal(hyStart(c, ack, 30_000, MSS), MSS / 4);
  assert.equal(hyStart(c, ack, 25_000, MSS), MSS);
});

/** One ACK during PRR that delivers a segment; returns what may be sent, and sends it. */
function prrStep(c: RecoveryRow, d: Delivery, pipe: number, isSafe: boolean): number {
  d.clear();
  d.deliveredBytes = MSS;
  prrOnAck(c, d, pipe, isSafe);
  const allowed = c.cwnd - pipe;
  const sent = Math.ceil(allowed / MSS) * MSS;
  c.prrOutBytes = c.prrOutBytes + sent;
  return sent / MSS;
}

test("RFC 9937: with one loss of 20 segments, PRR sends for 7 of 10 ACKs and ends at ssthresh", () => {
  const c = newRow(20, 14);
  startPrr(c, 20 * MSS);
  const d = new Delivery();
  let pipe = 18 * MSS; // three delivered, one of them by the ACK at hand, one lost... 20 − 1 − 1
  let sent = 0;
  for (let n = 0; n < 18; n++) {
    const now = prrStep(c, d, pipe, false);
    sent += now;
    pipe += now * MSS - MSS;
  }
  near(sent, 13, 1); // 18 · 14/20
  near(pipe / MSS, 13, 1);
});

test("RFC 9937: below ssthresh a safe ACK lets one segment more out than was delivered", () => {
  const c = newRow(20, 10);
  startPrr(c, 20 * MSS);
  const d = new Delivery();
  assert.equal(prrStep(c, d, 4 * MSS, false), 1); // packet conservation
  assert.equal(prrStep(c, d, 4 * MSS, true), 2); // slow start
});

test("RFC 9937 §6.2: the fast retransmission goes even when much is in flight", () => {
  const c = newRow(20, 10);
  startPrr(c, 100 * MSS);
  assert.equal(prrStep(c, new Delivery(), 95 * MSS, false), 1);
});

test("the algorithm is the connection's: Reno and CUBIC reduce differently", () => {
  const c = newRow(100, 10);
  c.algorithm = Algorithm.CUBIC;
  assert.equal(ssthreshAfterLoss(c), 70 * MSS);
  c.algorithm = Algorithm.RENO;
  assert.equal(ssthreshAfterLoss(c), 50 * MSS);
  grow(c, seqOf(0), 100 * MSS, -1, 1e6);
  assert.equal(c.cwnd, 101 * MSS);
});
