/**
 * CUBIC congestion control, RFC 9438, with fast convergence and the Reno-friendly region. Windows
 * are in segments here, as in the RFC; times in seconds.
 */
import { growCwnd, slowStart, wholeSegments } from "./new-reno.js";
import type { RecoveryRow } from "./recovery-row.js";

// @rfc 9438 §4.2 yes
// @rfc 9438 §4.3 yes
// @rfc 9438 §4.6 yes
// @rfc 9438 §4.7 yes
const C = 0.4;
export const BETA_CUBIC = 0.7;
const ALPHA_CUBIC = (3 * (1 - BETA_CUBIC)) / (1 + BETA_CUBIC); // RFC 9438 §4.3: 0.53
const NO_EPOCH = -1;

export function resetCubic(c: RecoveryRow): void {
  c.cubicEpochUs = NO_EPOCH;
  c.cubicWMax = 0;
  c.cubicK = 0;
  c.cubicWEst = 0;
}

/** W_cubic(t), RFC 9438 (1), in segments. */
export function wCubic(c: RecoveryRow, seconds: number): number {
  const x = seconds - c.cubicK;
  return C * x * x * x + c.cubicWMax;
}

/** RFC 9438 §4.8: an epoch of congestion avoidance starts at the present window. */
function startEpoch(c: RecoveryRow, nowUs: number): void {
  const segments = c.cwnd / c.sndMss;
  c.cubicEpochUs = nowUs;
  c.cubicWEst = segments;
  if (segments < c.cubicWMax) {
    c.cubicK = Math.cbrt((c.cubicWMax - segments) / C); // (2)
  } else {
    c.cubicK = 0;
    c.cubicWMax = segments;
  }
}

/** Hot path. Growth on delivery, RFC 9438 §4.2 to §4.5. */
export function cubicGrow(c: RecoveryRow, deliveredBytes: number, nowUs: number): void {
  const left = slowStart(c, deliveredBytes);
  if (left <= 0) return;
  if (c.cubicEpochUs < 0) startEpoch(c, nowUs);
  const mss = c.sndMss;
  const segments = c.cwnd / mss;
  const t = (nowUs - c.cubicEpochUs) / 1e6;
  // (4): like Reno that halves less, until it has regained the window it had before.
  const alpha = c.cubicWEst * mss < c.priorCwnd ? ALPHA_CUBIC : 1;
  c.cubicWEst = c.cubicWEst + (alpha * left) / c.cwnd;
  if (wCubic(c, t) < c.cubicWEst) {
    const whole = Math.min(c.maxCwnd, Math.floor(c.cubicWEst) * mss);
    if (whole > c.cwnd) c.cwnd = whole;
    return;
  }
  const ahead = wCubic(c, t + c.srttUs / 1e6);
  const target = ahead < segments ? segments : Math.min(ahead, 1.5 * segments); // §4.2
  growCwnd(c, ((target - segments) / segments) * left);
}

/** ssthresh after a congestion event, RFC 9438 §4.6, and fast convergence, §4.7. */
export function cubicSsthresh(c: RecoveryRow): number {
  const segments = c.cwnd / c.sndMss;
  c.cubicEpochUs = NO_EPOCH;
  c.cubicWMax = segments < c.cubicWMax ? (segments * (1 + BETA_CUBIC)) / 2 : segments;
  return wholeSegments(c, c.cwnd * BETA_CUBIC);
}

/** The sender paused: the time that passed does not count (RFC 9438 §5.8). */
export function cubicPaused(c: RecoveryRow, pauseUs: number): void {
  if (c.cubicEpochUs >= 0) c.cubicEpochUs = c.cubicEpochUs + pauseUs;
}
