import assert from "node:assert/strict";
import { test } from "node:test";
import { RecoveryRow } from "./recovery-row.js";
import { backedOffRtoUs, MAX_RTT_US, noteMinRtt, resetRtt, sampleRtt } from "./rtt.js";
import { ROW_INT32S } from "./tcb-row.js";

function newRow(): RecoveryRow {
  const i = new Int32Array(ROW_INT32S);
  const c = new RecoveryRow(i, new Float64Array(i.buffer));
  c.sndMss = 1000;
  resetRtt(c);
  return c;
}

test("§2.1: RTO is one second before the first sample", () => {
  assert.equal(backedOffRtoUs(newRow()), 1_000_000);
});

test("§2.2: the first sample R gives SRTT = R, RTTVAR = R/2, RTO = R + 4·R/2", () => {
  const c = newRow();
  sampleRtt(c, 300_000, 1000);
  assert.equal(c.srttUs, 300_000);
  assert.equal(c.rttvarUs, 150_000);
  assert.equal(c.rtoUs, 900_000);
});

test("§2.3: RTTVAR = 3/4·RTTVAR + 1/4·|SRTT − R|, then SRTT = 7/8·SRTT + 1/8·R", () => {
  const c = newRow();
  sampleRtt(c, 300_000, 1000);
  sampleRtt(c, 340_000, 1000);
  assert.equal(c.rttvarUs, 122_500); // 112,500 + 10,000
  assert.equal(c.srttUs, 305_000);
  assert.equal(c.rtoUs, 795_000);
});

test("RTTVAR's term is at least 200 ms, as in Linux", () => {
  const c = newRow();
  sampleRtt(c, 1_000, 1000);
  assert.equal(c.rtoUs, 201_000);
});

test("§5.5: each timeout doubles RTO, up to 120 s; §5.7: a sample ends the back-off", () => {
  const c = newRow();
  sampleRtt(c, 100_000, 1000); // RTO 300 ms
  const seen: number[] = [];
  for (c.backoff = 0; c.backoff < 11; c.backoff = c.backoff + 1)
    seen.push(backedOffRtoUs(c) / 1000);
  assert.deepEqual(
    seen,
    [300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 76_800, 120_000, 120_000],
  );
  sampleRtt(c, 100_000, 1000);
  assert.equal(backedOffRtoUs(c), 300_000); // 4·RTTVAR fell to 150 ms, below the floor of 200 ms
});

test("many samples a round trip move SRTT as little as one would", () => {
  const c = newRow();
  sampleRtt(c, 100_000, 1000);
  for (let n = 0; n < 16; n++) sampleRtt(c, 180_000, 32_000); // 32 segments: 16 samples expected
  // One sample a round trip gives 110 ms; sixteen of a sixteenth each give slightly less.
  assert.ok(c.srttUs > 109_000 && c.srttUs < 110_000, `${c.srttUs}`);
});

test("SRTT never falls to zero, which would mean no sample yet", () => {
  const c = newRow();
  for (let n = 0; n < 200; n++) sampleRtt(c, 0, 1000);
  assert.ok(c.srtt16 > 0);
});

test("the least RTT forgets what is older than two windows of five minutes", () => {
  const c = newRow();
  assert.equal(c.minRttUs, MAX_RTT_US);
  noteMinRtt(c, 5_000, 1e6);
  noteMinRtt(c, 9_000, 100e6);
  assert.equal(c.minRttUs, 5_000);
  noteMinRtt(c, 8_000, 302e6);
  assert.equal(c.minRttUs, 5_000); // the previous window still holds it
  noteMinRtt(c, 8_500, 603e6);
  assert.equal(c.minRttUs, 8_000);
});
