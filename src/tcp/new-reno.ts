/**
 * Reno congestion control, RFC 5681 §3.1, counting bytes (RFC 3465).
 *
 * Deviation: RFC 3465 §2.3 limits slow start to two segments per ACK; as Linux does, we count all
 * that was delivered, because receivers acknowledge coalesced segments of 64 KiB.
 */
import type { RecoveryRow } from "./recovery-row.js";

// @rfc 5681 §3.1 yes
// @rfc 3465 §2.3 deviates
/** RFC 5681 (4): never below two segments. */
export const MIN_SSTHRESH_SEGMENTS = 2;
/** "Arbitrarily high" (RFC 5681 §3.1). */
export const INFINITE_SSTHRESH = 0x7fffffff;

/** Hot path. Grows cwnd by `bytes`, in whole segments. */
export function growCwnd(c: RecoveryRow, bytes: number): void {
  const mss = c.sndMss;
  const credit = c.cwndCredit + bytes;
  if (credit < mss) {
    c.cwndCredit = credit;
    return;
  }
  const segments = Math.floor(credit / mss);
  c.cwndCredit = credit - segments * mss;
  c.cwnd = Math.min(c.maxCwnd, c.cwnd + segments * mss);
}

/** Hot path. Slow start by at most up to ssthresh; returns the bytes left for congestion avoidance. */
export function slowStart(c: RecoveryRow, deliveredBytes: number): number {
  const room = c.ssthresh - c.cwnd;
  if (room <= 0) return deliveredBytes;
  const bytes = deliveredBytes < room ? deliveredBytes : room;
  growCwnd(c, bytes);
  return deliveredBytes - bytes;
}

/** Hot path. One segment per cwnd delivered (RFC 5681 (3), RFC 3465 §2.1). */
export function renoGrow(c: RecoveryRow, deliveredBytes: number): void {
  const left = slowStart(c, deliveredBytes);
  if (left > 0) growCwnd(c, (c.sndMss * left) / c.cwnd);
}

/** ssthresh after a loss: half the window, in whole segments (RFC 5681 (4)). */
export function renoSsthresh(c: RecoveryRow): number {
  return wholeSegments(c, c.cwnd / 2);
}

/** The window in whole segments, at least two. */
export function wholeSegments(c: RecoveryRow, bytes: number): number {
  const mss = c.sndMss;
  return Math.max(MIN_SSTHRESH_SEGMENTS, Math.floor(bytes / mss)) * mss;
}
