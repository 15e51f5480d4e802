/**
 * Black holes on the path: routers that drop large packets and say nothing. After repeated timeouts
 * of full-size segments of which nothing arrives, the MSS is reduced, first to one that nearly all
 * paths carry, then to one that all do (RFC 4821 §7.7, Linux's tcp_mtu_probing=1). After ten minutes
 * the limit is lifted again (RFC 4821 §7.5, Linux's tcp_probe_interval).
 *
 * It does not search between the two sizes: there are no probe segments.
 */
import type { RecoveryRow } from "./recovery-row.js";
import { msOf } from "./rtt.js";
import type { SentQueue } from "./sent-queue.js";

// @rfc 4821 §7.7 partly
/** Linux's tcp_base_mss. */
export const BASE_MSS_BYTES = 1024;
/** RFC 1122 §3.3.2: every host takes datagrams of 576 bytes; 64 are for headers. */
export const LEAST_MSS_BYTES = 512;
/** Timeouts in a row that make a black hole likely: about 3 s, Linux's tcp_retries1. */
const TIMEOUTS = 4;
const RETRY_MS = 600_000;

/** Call after a timeout. Reduces `c.sndMss` when a black hole is likely; returns whether it did. */
export function blackHoleOnTimeout(q: SentQueue, c: RecoveryRow, nowUs: number): boolean {
  const mss = c.sndMss;
  if (c.backoff < TIMEOUTS || mss <= LEAST_MSS_BYTES || c.sackedBytes > 0) return false;
  if (q.bytesOf(c.headRecord) < mss) return false;
  const next = mss > BASE_MSS_BYTES ? BASE_MSS_BYTES : LEAST_MSS_BYTES;
  c.blackHoleMss = next;
  c.blackHoleStampMs = msOf(nowUs);
  c.sndMss = next;
  return true;
}

/** Upper limit that a black hole sets to `c.sndMss`; 0: none was met. */
export const blackHoleLimitBytes = (c: RecoveryRow): number => c.blackHoleMss;

/**
 * On progress while there is a limit: lifts it when it is time to give the path another chance.
 * True: `c.sndMss` must be computed anew.
 */
export function liftBlackHoleLimit(c: RecoveryRow, nowUs: number): boolean {
  if (((msOf(nowUs) - c.blackHoleStampMs) | 0) < RETRY_MS) return false;
  c.blackHoleMss = 0;
  return true;
}
