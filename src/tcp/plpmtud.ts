/**
 * Black holes on the path: routers that drop large packets and say nothing. After repeated timeouts
 * of full-size segments the MSS is reduced, first to a size that all paths carry, then by halves
 * (RFC 4821 §7.7, Linux's tcp_mtu_probing=1).
 */
import type { RecoveryRow } from "./recovery-row.js";
import type { SentQueue } from "./sent-queue.js";

/** Linux's tcp_base_mss. */
export const BASE_MSS_BYTES = 1024;
/** Linux's tcp_min_snd_mss. */
export const LEAST_MSS_BYTES = 48;
/** Timeouts in a row that make a black hole likely (tcp_retries1). */
const TIMEOUTS = 3;

/**
 * Call after a timeout. Reduces `c.sndMss` when a black hole is likely; returns whether it did. The
 * first reduction leaves the size to come back to in `c.probeHighBytes`.
 */
export function blackHoleOnTimeout(q: SentQueue, c: RecoveryRow): boolean {
  if (c.backoff < TIMEOUTS || q.bytesOf(c.headRecord) < c.sndMss) return false;
  const isFirst = c.probeHighBytes === 0;
  const limit = isFirst ? BASE_MSS_BYTES : c.sndMss >> 1;
  const mss = Math.max(LEAST_MSS_BYTES, Math.min(c.sndMss, limit));
  if (isFirst) c.probeHighBytes = c.sndMss;
  c.probeLowBytes = mss;
  if (mss === c.sndMss) return false;
  c.sndMss = mss;
  return true;
}

/** Upper limit that a black hole sets to `c.sndMss`; 0: none was met. */
export const blackHoleLimitBytes = (c: RecoveryRow): number =>
  c.probeHighBytes === 0 ? 0 : c.probeLowBytes;
