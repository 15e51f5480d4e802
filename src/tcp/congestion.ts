/**
 * The choice of congestion control: one algorithm per connection, called once per ACK.
 */
import { cubicGrow, cubicPaused, cubicSsthresh, resetCubic } from "./cubic.js";
import { hyStart, isInitialSlowStart, resetHyStart } from "./hystart.js";
import { renoGrow, renoSsthresh } from "./new-reno.js";
import type { RecoveryRow } from "./recovery-row.js";
import type { Seq } from "./seq.js";

/** Congestion control algorithm of a connection (TCP_CONGESTION). */
export const Algorithm = { CUBIC: 0, RENO: 1 } as const;

export function resetCongestion(c: RecoveryRow): void {
  resetCubic(c);
  resetHyStart(c);
  c.cwndCredit = 0;
}

/** Hot path. cwnd grows by what was delivered; `rttUs` is a sample or negative. */
export function grow(
  c: RecoveryRow,
  ack: Seq,
  deliveredBytes: number,
  rttUs: number,
  nowUs: number,
): void {
  let bytes = deliveredBytes;
  if (isInitialSlowStart(c)) bytes = hyStart(c, ack, rttUs, deliveredBytes);
  switch (c.algorithm) {
    case Algorithm.RENO:
      renoGrow(c, bytes);
      break;
    default:
      cubicGrow(c, bytes, nowUs);
  }
}

/** ssthresh in answer to a congestion event. */
export function ssthreshAfterLoss(c: RecoveryRow): number {
  c.cwndCredit = 0;
  return c.algorithm === Algorithm.RENO ? renoSsthresh(c) : cubicSsthresh(c);
}

/** Nothing was sent for `pauseUs`. */
export function paused(c: RecoveryRow, pauseUs: number): void {
  if (c.algorithm === Algorithm.CUBIC) cubicPaused(c, pauseUs);
}
