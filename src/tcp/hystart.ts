/**
 * HyStart++: leaves slow start when the RTT rises, RFC 9406, before packets are lost.
 *
 * Deviation: the limit L on growth per ACK (RFC 9406 §4.3) is not used; see new-reno.ts.
 */
import { INFINITE_SSTHRESH } from "./new-reno.js";
import type { RecoveryRow } from "./recovery-row.js";
import { MAX_RTT_US } from "./rtt.js";
import { before, type Seq } from "./seq.js";

// @rfc 9406 §4.2 yes
// @rfc 9406 §4.3 deviates
const MIN_RTT_THRESH_US = 4_000;
const MAX_RTT_THRESH_US = 16_000;
const MIN_RTT_DIVISOR = 8;
const N_RTT_SAMPLE = 8;
const CSS_GROWTH_DIVISOR = 4;
const CSS_ROUNDS = 5;
const NOT_IN_CSS = -1;

export function resetHyStart(c: RecoveryRow): void {
  c.roundEndSeq = c.sndNxt;
  c.roundMinRttUs = c.lastRoundMinRttUs = c.cssBaselineMinRttUs = MAX_RTT_US;
  c.roundSamples = 0;
  c.cssRounds = NOT_IN_CSS;
}

/**
 * Hot path. Slow start below an infinite ssthresh only. Takes an RTT sample (or a negative number);
 * returns the bytes of `deliveredBytes` that count for growth.
 */
export function hyStart(c: RecoveryRow, ack: Seq, rttUs: number, deliveredBytes: number): number {
  if (!before(ack, c.roundEndSeq)) nextRound(c);
  if (rttUs >= 0) {
    if (rttUs < c.roundMinRttUs) c.roundMinRttUs = rttUs;
    c.roundSamples = c.roundSamples + 1;
    if (c.roundSamples >= N_RTT_SAMPLE) judge(c);
  }
  return c.cssRounds === NOT_IN_CSS ? deliveredBytes : deliveredBytes / CSS_GROWTH_DIVISOR;
}

function nextRound(c: RecoveryRow): void {
  c.lastRoundMinRttUs = c.roundMinRttUs;
  c.roundMinRttUs = MAX_RTT_US;
  c.roundSamples = 0;
  c.roundEndSeq = c.sndNxt;
  if (c.cssRounds === NOT_IN_CSS) return;
  c.cssRounds = c.cssRounds + 1;
  if (c.cssRounds >= CSS_ROUNDS) c.ssthresh = c.cwnd;
}

function judge(c: RecoveryRow): void {
  const last = c.lastRoundMinRttUs;
  const current = c.roundMinRttUs;
  if (c.cssRounds !== NOT_IN_CSS) {
    if (current < c.cssBaselineMinRttUs) c.cssRounds = NOT_IN_CSS; // it was spurious
    return;
  }
  if (last === MAX_RTT_US) return;
  const eighth = last / MIN_RTT_DIVISOR;
  const threshold = Math.max(MIN_RTT_THRESH_US, Math.min(eighth, MAX_RTT_THRESH_US));
  if (current < last + threshold) return;
  c.cssBaselineMinRttUs = current;
  c.cssRounds = 0;
}

/** Whether the connection is in its first slow start, where HyStart++ applies (RFC 9406 §4.3). */
export const isInitialSlowStart = (c: RecoveryRow): boolean => c.ssthresh === INFINITE_SSTHRESH;
