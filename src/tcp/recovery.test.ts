import assert from "node:assert/strict";
import { test } from "node:test";
import { NEVER } from "../base/time.js";
import { AckInfo } from "./ack-info.js";
import { BASE_MSS_BYTES, blackHoleLimitBytes, LEAST_MSS_BYTES } from "./plpmtud.js";
import { AckResult, Algorithm, PeerOption, Recovery, TimerResult } from "./recovery.js";
import { RecoveryRow } from "./recovery-row.js";
import { RecoveryState } from "./recovery-state.js";
import { advance, seqOf } from "./seq.js";
import { ROW_INT32S } from "./tcb-row.js";

const MSS = 1000;
const ISS = seqOf(0x7fff_f000);
const MS = 1000;
const RTT_MS = 100;

/** A connection whose segments are numbered from 0; times are milliseconds. */
class Bench {
  readonly rec: Recovery;
  readonly c: RecoveryRow;
  readonly ack = new AckInfo();
  nowMs = 10_000;
  private readonly options: number;

  constructor(options: number = PeerOption.SACK | PeerOption.TIMESTAMPS, settings = {}) {
    this.options = options;
    this.rec = new Recovery(1, settings);
    const i = new Int32Array(ROW_INT32S);
    const c = new RecoveryRow(i, new Float64Array(i.buffer));
    this.c = c;
    c.sndMss = MSS;
    c.sndWnd = 1 << 24;
    c.sndUna = c.sndNxt = ISS;
    this.rec.init(c, this.nowMs * MS);
    this.rec.established(c, options, this.nowMs * MS);
  }

  /** Time passes; segments `from` up to `to` are sent for the first time. */
  send(from: number, to: number): this {
    const c = this.c;
    for (let n = from; n < to; n++) {
      const seq = advance(ISS, n * MSS);
      assert.equal(c.sndNxt, seq);
      c.sndNxt = advance(seq, MSS);
      this.rec.sent(c, seq, c.sndNxt, this.nowMs * MS);
      c.sndQueuedBytes += MSS;
    }
    return this;
  }

  pass(ms: number): this {
    this.nowMs += ms;
    return this;
  }

  /** An ACK of all before segment `to`, with SACK blocks of segments, echoing `echoMs`. */
  acked(to: number, blocks: number[][] = [], echoMs = -1, flags: Partial<AckInfo> = {}): number {
    const { ack, c } = this;
    ack.ack = advance(ISS, to * MSS);
    ack.sackCount = blocks.length;
    blocks.forEach(([left, right], n) => {
      ack.sackBlocks[2 * n] = advance(ISS, left! * MSS);
      ack.sackBlocks[2 * n + 1] = advance(ISS, right! * MSS);
    });
    ack.hasTs = (this.options & PeerOption.TIMESTAMPS) !== 0 && echoMs >= 0;
    ack.tsEcrMs = echoMs;
    ack.ece = flags.ece ?? false;
    ack.hasData = flags.hasData ?? false;
    ack.windowChanged = flags.windowChanged ?? false;
    const result = this.rec.onAck(c, ack, this.nowMs * MS);
    c.sndQueuedBytes -= (ack.ack - c.sndUna) | 0;
    c.sndUna = ack.ack;
    return result;
  }

  /** Segments that may be sent again now; they are. */
  resend(): number[] {
    const sent: number[] = [];
    const { rec, c } = this;
    while (rec.nextRetransmit(c, MSS)) {
      sent.push(((rec.retransmitSeq - ISS) | 0) / MSS);
      rec.retransmitted(c, rec.retransmitSeq, rec.retransmitEnd, this.nowMs * MS);
    }
    return sent;
  }

  /** Moves to the deadline and fires the timer. */
  fire(): number {
    const dueUs = this.rec.deadlineUs(this.c);
    assert.notEqual(dueUs, NEVER, "a timer is set");
    this.nowMs = dueUs / MS;
    return this.rec.onTimer(this.c, dueUs);
  }

  get waitMs(): number {
    return this.rec.deadlineUs(this.c) / MS - this.nowMs;
  }
  get cwnd(): number {
    return this.c.cwnd / MSS;
  }
}

/** A bench with an RTT of 100 ms; segment 0 is acknowledged. */
function warm(options?: number, settings = {}): Bench {
  const b = new Bench(options, settings);
  b.send(0, 1).pass(RTT_MS).acked(1);
  return b;
}

test("the initial window is ten segments, and one after a lost SYN (RFC 6928, RFC 5681 §3.1)", () => {
  assert.equal(new Bench().rec.budgetBytes(new Bench().c), 10 * MSS);
  const b = new Bench();
  b.rec.init(b.c, 0);
  b.c.sndNxt = advance(ISS, 1);
  b.rec.sent(b.c, ISS, b.c.sndNxt, 0);
  assert.equal(b.rec.deadlineUs(b.c), 1_000_000);
  assert.equal(b.rec.onTimer(b.c, 1_000_000), TimerResult.RTO);
  assert.ok(b.rec.nextRetransmit(b.c, 1));
  b.rec.retransmitted(b.c, ISS, b.c.sndNxt, 1_000_000);
  assert.equal(b.rec.deadlineUs(b.c), 3_000_000);
  assert.equal(b.rec.onTimer(b.c, 3_000_000), TimerResult.RTO);
  assert.ok(b.rec.nextRetransmit(b.c, 1), "the second timeout sends the SYN again, too");
  b.rec.retransmitted(b.c, ISS, b.c.sndNxt, 3_000_000);
  b.ack.ack = b.c.sndNxt;
  b.rec.onAck(b.c, b.ack, 3_100_000);
  b.c.sndUna = b.c.sndNxt;
  b.rec.established(b.c, PeerOption.SACK, 3_100_000);
  assert.equal(b.c.cwnd, MSS);
  assert.equal(b.c.rtoUs, 3_000_000); // RFC 6298 §5.7
});

test("nothing in flight, no timer; all acknowledged, no timer (RFC 6298 §5.2)", () => {
  const b = new Bench();
  assert.equal(b.rec.deadlineUs(b.c), NEVER);
  b.send(0, 1).pass(RTT_MS).acked(1);
  assert.equal(b.rec.deadlineUs(b.c), NEVER);
  assert.equal(b.rec.queue.inUse, 0);
});

test("RFC 8985 §3.4: a lost tail is found by a probe after two round trips, not by RTO", () => {
  const b = warm().send(1, 5);
  b.pass(RTT_MS).acked(2); // P0 arrived, P1 to P3 are lost
  assert.equal(b.waitMs, 200); // 2·SRTT + 2 ms, but not after the RTO of what was sent 100 ms ago
  assert.equal(b.fire(), TimerResult.SEND_PROBE);
  assert.ok(b.rec.probeRange(b.c));
  assert.equal((b.rec.retransmitSeq - ISS) | 0, 4 * MSS);
  b.rec.retransmitted(b.c, b.rec.retransmitSeq, b.rec.retransmitEnd, b.nowMs * MS);
  assert.ok(b.waitMs > 200, "RTO runs from the probe");
  b.pass(RTT_MS);
  const result = b.acked(2, [[4, 5]]);
  assert.ok((result & AckResult.ENTERED_RECOVERY) !== 0);
  assert.deepEqual(b.resend(), [2]); // packet conservation: one delivered, one out
  b.pass(RTT_MS).acked(3, [[4, 5]]);
  assert.deepEqual(b.resend(), [3]);
  b.pass(RTT_MS).acked(5);
  assert.equal(b.c.recoveryState, RecoveryState.OPEN);
});

test("RFC 8985 §7.4.2: a loss that the probe itself repaired reduces the window once", () => {
  const b = warm().send(1, 11);
  b.pass(RTT_MS).acked(10); // the last segment is lost
  const before = b.c.cwnd;
  assert.equal(b.waitMs, 200); // the RTO of the last segment comes before 2·SRTT + 200 ms
  assert.equal(b.fire(), TimerResult.SEND_PROBE);
  b.rec.probeRange(b.c);
  b.rec.retransmitted(b.c, b.rec.retransmitSeq, b.rec.retransmitEnd, b.nowMs * MS);
  b.send(11, 12).pass(RTT_MS);
  b.acked(12);
  assert.equal(b.c.cwnd, Math.floor((before * 0.7) / MSS) * MSS);
  assert.equal(b.c.recoveryState, RecoveryState.OPEN);
});

test("RFC 8985 §7.4.2: a DSACK for the probe says that nothing was lost", () => {
  const b = warm().send(1, 3);
  const before = b.c.cwnd;
  b.fire();
  b.rec.probeRange(b.c);
  b.rec.retransmitted(b.c, b.rec.retransmitSeq, b.rec.retransmitEnd, b.nowMs * MS);
  b.pass(10).acked(3);
  b.pass(RTT_MS).acked(3, [[2, 3]]);
  assert.ok(b.c.cwnd >= before);
  b.send(3, 4);
  assert.equal(
    b.rec.onTimer(b.c, b.rec.deadlineUs(b.c)),
    TimerResult.SEND_PROBE,
    "may probe again",
  );
});

test("RACK: three segments SACKed above a hole, it is lost at once (RFC 8985 §6.2 step 4)", () => {
  const b = warm();
  for (let n = 1; n < 9; n++) b.send(n, n + 1).pass(1);
  b.pass(RTT_MS - 8);
  b.pass(2).acked(1, [[2, 3]]);
  assert.deepEqual(b.resend(), []);
  b.pass(1).acked(1, [[2, 4]]);
  assert.deepEqual(b.resend(), []);
  const result = b.pass(1).acked(1, [[2, 5]]);
  assert.ok((result & AckResult.ENTERED_RECOVERY) !== 0);
  assert.deepEqual(b.resend(), [1]);
  assert.equal(b.c.ssthresh, 7 * MSS);
});

test("RACK: fewer SACKs start the reordering timer, a quarter of the least RTT", () => {
  const b = warm().send(1, 2).pass(1).send(2, 3);
  b.pass(RTT_MS).acked(1, [[2, 3]]);
  assert.equal(b.c.recoveryState, RecoveryState.DISORDER);
  // P1 left 101 ms ago; RACK.rtt is 100 ms and the window 25 ms: 24 ms remain, and 1 us.
  assert.equal(Math.round(b.waitMs * MS), 24_001);
  assert.equal(b.fire(), TimerResult.RETRANSMIT);
  assert.deepEqual(b.resend(), [1]);
  assert.equal(b.c.recoveryState, RecoveryState.RECOVERY);
});

test("RACK: a segment that arrives within the reordering window is never sent again", () => {
  const b = warm().send(1, 2).pass(1).send(2, 3);
  b.pass(RTT_MS).acked(1, [[2, 3]]);
  const cwnd = b.c.cwnd;
  b.pass(5).acked(3);
  assert.equal(b.c.recoveryState, RecoveryState.OPEN);
  assert.ok(b.c.cwnd >= cwnd);
  assert.equal(b.c.totalRetrans, 0);
});

test("RACK: on a path that reorders, three SACKs are no proof; DSACKs widen the window", () => {
  const b = warm().send(1, 2).pass(1).send(2, 6);
  b.pass(RTT_MS - 1).acked(1, [[3, 4]]);
  b.pass(1).acked(3); // 1 and 2 came late: reordering
  b.acked(6);
  b.send(6, 7).pass(1).send(7, 12);
  b.pass(RTT_MS).acked(6, [[7, 11]]);
  assert.deepEqual(b.resend(), []);
  assert.ok(Math.abs(b.waitMs - 24) < 1.1, `${b.waitMs}`);
  assert.equal(b.c.reoWndMult, 1);
  b.fire();
  assert.deepEqual(b.resend(), [6]);
  b.pass(30).acked(12);
  b.pass(RTT_MS - 30).acked(12, [[6, 7]]); // both copies came
  assert.equal(b.c.reoWndMult, 2);
});

test("a lost retransmission is found when something sent later is delivered", () => {
  const b = warm().send(1, 11);
  b.pass(RTT_MS).acked(1, [[2, 5]]);
  assert.deepEqual(b.resend(), [1]);
  b.pass(1).acked(1, [[2, 11]]);
  b.send(11, 12); // goes out after the retransmission
  b.pass(RTT_MS).acked(1, [[2, 12]]);
  assert.deepEqual(b.resend(), [1]);
  assert.equal(b.c.recoveryState, RecoveryState.RECOVERY);
});

test("Eifel: an echo of the original's timestamp takes the reduction back", () => {
  const b = warm().send(1, 11);
  const cwnd = b.c.cwnd;
  const sentMs = b.nowMs;
  b.pass(RTT_MS).acked(1, [[2, 5]], sentMs);
  assert.deepEqual(b.resend(), [1]);
  assert.ok(b.c.ssthresh < cwnd);
  const result = b.pass(5).acked(11, [], sentMs);
  assert.ok((result & AckResult.UNDONE) !== 0);
  assert.ok(b.c.cwnd >= cwnd, `${b.c.cwnd}`);
});

test("DSACKs for all that was sent again take the reduction back", () => {
  const b = warm(PeerOption.SACK).send(1, 11);
  const cwnd = b.c.cwnd;
  b.pass(RTT_MS).acked(1, [[2, 5]]);
  assert.deepEqual(b.resend(), [1]);
  b.pass(5).acked(11);
  b.send(11, 13);
  assert.ok(b.c.cwnd < cwnd);
  b.pass(RTT_MS).acked(12, [[1, 2]]);
  assert.ok(b.c.cwnd >= cwnd);
});

test("a timeout: cwnd is one segment, all is lost, the timer doubles (RFC 6298 §5.4 to §5.6)", () => {
  const b = warm(0).send(1, 5);
  assert.equal(b.waitMs, 300);
  assert.equal(b.fire(), TimerResult.RTO);
  assert.equal(b.cwnd, 1);
  assert.equal(b.c.lostBytes, 4 * MSS);
  assert.equal(b.waitMs, 600);
  assert.deepEqual(b.resend(), [1]);
  assert.equal(b.fire(), TimerResult.RTO);
  assert.equal(b.waitMs, 1200);
  assert.deepEqual(b.resend(), [1]);
  b.pass(RTT_MS).acked(2);
  assert.equal(b.cwnd, 2);
  assert.deepEqual(b.resend(), [2, 3]);
  b.pass(RTT_MS).acked(5);
  assert.equal(b.c.recoveryState, RecoveryState.OPEN);
});

test("F-RTO: after a delay, an ACK of what was sent once shows the timeout spurious (RFC 5682)", () => {
  const b = warm(PeerOption.SACK).send(1, 7);
  const cwnd = b.c.cwnd;
  b.c.timerAtUs = (b.nowMs + 300) * MS;
  b.fire(); // the probe
  b.rec.probeRange(b.c);
  b.fire();
  assert.equal(b.c.recoveryState, RecoveryState.LOSS);
  assert.deepEqual(b.resend(), [1]);
  b.c.sndQueuedBytes += 4 * MSS; // there is more to send
  b.pass(10).acked(2);
  assert.deepEqual(b.resend(), [], "step 2b: new data first");
  b.c.sndQueuedBytes -= 4 * MSS;
  b.send(7, 9);
  const result = b.pass(1).acked(3); // step 3b: segment 2 was sent once only
  assert.ok((result & AckResult.UNDONE) !== 0);
  assert.ok(b.c.cwnd >= cwnd);
  assert.equal(b.c.lostBytes, 0);
});

test("without SACK, the third duplicate ACK starts recovery, partial ACKs continue it (RFC 6582)", () => {
  const b = warm(0).send(1, 11);
  b.pass(RTT_MS);
  b.acked(1);
  b.acked(1);
  assert.deepEqual(b.resend(), []);
  assert.equal(
    b.rec.budgetBytes(b.c),
    2 * MSS + (b.c.cwnd - 10 * MSS),
    "RFC 3042: limited transmit",
  );
  b.acked(1);
  assert.equal(b.c.recoveryState, RecoveryState.RECOVERY);
  assert.deepEqual(b.resend(), [1]);
  for (let n = 0; n < 4; n++) b.acked(1);
  b.pass(RTT_MS).acked(5); // partial: 5 is lost as well
  assert.deepEqual(b.resend(), [5]);
  b.pass(RTT_MS).acked(11);
  assert.equal(b.c.cwnd, b.c.ssthresh);
  assert.equal(b.c.cwnd, 7 * MSS);
});

test("without SACK, data, window updates and ECE are no duplicate ACKs", () => {
  const b = warm(0).send(1, 5);
  for (let n = 0; n < 4; n++) b.acked(1, [], -1, { hasData: true });
  for (let n = 0; n < 4; n++) b.acked(1, [], -1, { windowChanged: true });
  assert.equal(b.c.dupAcks, 0);
  assert.equal(b.c.recoveryState, RecoveryState.OPEN);
});

test("ECE reduces the window once a round trip, and asks for CWR (RFC 3168 §6.1.2)", () => {
  const b = warm(PeerOption.SACK | PeerOption.ECN).send(1, 11);
  b.pass(RTT_MS);
  assert.ok((b.acked(3, [], -1, { ece: true }) & AckResult.SEND_CWR) !== 0);
  const { ssthresh } = b.c;
  assert.equal(b.c.recoveryState, RecoveryState.CWR);
  b.send(11, 13);
  assert.equal(b.acked(5, [], -1, { ece: true }) & AckResult.SEND_CWR, 0);
  b.acked(11);
  assert.equal(b.c.ssthresh, ssthresh);
  b.pass(RTT_MS).acked(13);
  assert.equal(b.c.recoveryState, RecoveryState.OPEN);
  assert.equal(b.c.cwnd, ssthresh);
});

test("a window that the application does not fill does not grow (RFC 7661 §4.3)", () => {
  const b = new Bench();
  b.c.ssthresh = 5 * MSS; // congestion avoidance
  for (let n = 0; n < 40; n += 2)
    b.send(n, n + 2)
      .pass(RTT_MS)
      .acked(n + 2);
  assert.equal(b.cwnd, 10);
});

test("after a pause cwnd halves for each RTO, down to the initial window (RFC 5681 §4.1)", () => {
  const b = warm();
  b.c.cwnd = 80 * MSS;
  b.pass(250);
  b.rec.idleRestart(b.c, b.nowMs * MS);
  assert.equal(b.cwnd, 40); // one RTO of 300 ms since the last segment left
  b.pass(100_000);
  b.rec.idleRestart(b.c, b.nowMs * MS);
  assert.equal(b.cwnd, 10);
});

test("a smaller path MTU sends the large segments again and does not reduce the window", () => {
  const b = warm().send(1, 4);
  const { cwnd } = b.c;
  b.c.sndMss = 600;
  b.rec.onMssReduced(b.c);
  assert.equal(b.c.lostBytes, 3 * MSS);
  assert.ok(b.rec.nextRetransmit(b.c, 600));
  assert.equal((b.rec.retransmitEnd - b.rec.retransmitSeq) | 0, 600);
  assert.equal(b.c.cwnd, cwnd);
  assert.equal(b.resend().length, 5);
  b.pass(RTT_MS).acked(4);
  assert.equal(b.c.recoveryState, RecoveryState.OPEN);
});

test("four timeouts of a full segment make a black hole: the MSS falls (RFC 4821 §7.7)", () => {
  const b = warm(0);
  b.c.sndMss = 1448;
  b.c.sndNxt = advance(b.c.sndNxt, 1448);
  b.rec.sent(b.c, b.c.sndUna, b.c.sndNxt, b.nowMs * MS);
  const timeout = (): void => {
    b.fire();
    b.rec.nextRetransmit(b.c, 1448);
    b.rec.retransmitted(b.c, b.rec.retransmitSeq, b.rec.retransmitEnd, b.nowMs * MS);
  };
  for (let n = 0; n < 3; n++) timeout();
  assert.equal(b.c.sndMss, 1448);
  timeout();
  assert.equal(b.c.sndMss, BASE_MSS_BYTES);
  assert.equal(blackHoleLimitBytes(b.c), BASE_MSS_BYTES);
  timeout();
  assert.equal(b.c.sndMss, LEAST_MSS_BYTES);
  timeout();
  assert.equal(b.c.sndMss, LEAST_MSS_BYTES);
});

test("ten minutes after a black hole the limit is lifted", () => {
  const b = warm();
  b.c.blackHoleMss = LEAST_MSS_BYTES;
  b.c.blackHoleStampMs = b.nowMs;
  assert.equal(b.send(1, 2).pass(RTT_MS).acked(2) & AckResult.MSS_LIFTED, 0);
  assert.equal(blackHoleLimitBytes(b.c), LEAST_MSS_BYTES);
  b.pass(600_000).send(2, 3).pass(RTT_MS);
  assert.ok((b.acked(3) & AckResult.MSS_LIFTED) !== 0);
  assert.equal(blackHoleLimitBytes(b.c), 0);
});

test("a peer that takes its SACKs back is sent everything again (RFC 2018 §8)", () => {
  const b = warm().send(1, 6);
  b.pass(RTT_MS).acked(1, [[2, 6]]);
  assert.deepEqual(b.resend(), [1]);
  b.pass(RTT_MS).acked(2); // and not 6: it forgot
  while (b.fire() !== TimerResult.RTO);
  assert.equal(b.c.sackedBytes, 0);
  assert.equal(b.c.lostBytes, 4 * MSS);
});

test("Reno may be chosen for a connection", () => {
  const b = new Bench();
  b.rec.setAlgorithm(b.c, Algorithm.RENO);
  b.send(0, 10)
    .pass(RTT_MS)
    .acked(0, [[1, 4]]);
  assert.equal(b.c.ssthresh, 5 * MSS);
});

test("a closed connection leaves no record behind", () => {
  const b = warm().send(1, 8);
  b.pass(RTT_MS).acked(1, [
    [3, 4],
    [5, 6],
  ]);
  assert.ok(b.rec.queue.inUse > 0);
  b.rec.release(b.c);
  assert.equal(b.rec.queue.inUse, 0);
  assert.equal(b.rec.deadlineUs(b.c), NEVER);
});

test("a connection takes a loss row with its first loss, and gives it back when it is released", () => {
  const b = warm();
  const { c } = b;
  b.send(1, 11).pass(RTT_MS).acked(11);
  assert.equal(c.loss.rows, 0, "what init and established write is what row 0 holds");
  b.send(11, 21).pass(RTT_MS);
  b.acked(11, [[12, 21]]);
  assert.deepEqual(b.resend(), [11]);
  assert.equal(c.loss.rows, 1);
  assert.equal(c.totalRetrans, 1);
  c.releaseLoss();
  assert.equal(c.loss.rows, 0);
  assert.equal(c.totalRetrans, 0);
  assert.equal(c.reorderSegments, 3);
});
