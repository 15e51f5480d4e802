/**
 * Round-trip time and the retransmission timeout, RFC 6298, with Linux's bounds.
 *
 * SRTT and RTTVAR are kept in sixteenths of a microsecond. There is a sample for nearly every ACK,
 * so the gains are divided by the samples expected per round trip (RFC 7323 appendix G).
 *
 * Deviation: RFC 6298 §2.4 rounds the RTO up to 1 s; as Linux does, RTTVAR's term is at least 200 ms
 * instead, so that RTO = SRTT + max(4·RTTVAR, 200 ms).
 */
import type { RecoveryRow } from "./recovery-row.js";

// @rfc 6298 §2.1 yes
// @rfc 6298 §2.2 yes
// @rfc 6298 §2.3 yes
// @rfc 6298 §2.4 deviates
export const INITIAL_RTO_US = 1_000_000;
export const MIN_RTO_US = 200_000;
export const MAX_RTO_US = 120_000_000;
/** Larger samples are cut to this. */
export const MAX_RTT_US = 120_000_000;
/** The least RTT is that of the last one to two windows of this length. */
export const MIN_RTT_WINDOW_MS = 300_000;
const SCALE_BITS = 4;
const MAX_EXTRA_GAIN_BITS = 6;
const MAX_BACKOFF = 16;

/** Milliseconds of `nowUs`, as an int32 that wraps. */
export const msOf = (nowUs: number): number => Math.floor(nowUs / 1000) | 0;

export function resetRtt(c: RecoveryRow): void {
  c.srtt16 = 0;
  c.rttvar16 = 0;
  c.rtoUs = INITIAL_RTO_US;
  c.backoff = 0;
  c.minRttUs = c.minRttPreviousUs = c.minRttCurrentUs = MAX_RTT_US;
  c.minRttStampMs = 0;
}

/**
 * Hot path. Takes a sample into SRTT, RTTVAR and RTO (RFC 6298 §2.2, §2.3); the back-off ends
 * (RFC 6298 §5.7 and Karn's algorithm). `flightBytes` tells how many samples a round trip has.
 */
export function sampleRtt(c: RecoveryRow, sampleUs: number, flightBytes: number): void {
  const us = sampleUs < 1 ? 1 : sampleUs > MAX_RTT_US ? MAX_RTT_US : sampleUs;
  const r = us << SCALE_BITS;
  const srtt = c.srtt16;
  c.backoff = 0;
  if (srtt === 0) {
    c.srtt16 = r;
    c.rttvar16 = r >> 1;
  } else {
    const more = extraGainBits(c, flightBytes);
    const error = r - srtt;
    const deviation = (error < 0 ? -error : error) - c.rttvar16;
    c.rttvar16 = c.rttvar16 + shiftRounded(deviation, 2 + more);
    const next = srtt + shiftRounded(error, 3 + more);
    c.srtt16 = next < 1 ? 1 : next;
  }
  setRto(c);
}

/** `value / 2^bits`, rounded to the nearest; halves go up. */
const shiftRounded = (value: number, bits: number): number => (value + (1 << (bits - 1))) >> bits;

/**
 * Base-2 logarithm, rounded down, of the samples that a round trip has: one for two segments
 * (RFC 7323 appendix G).
 */
function extraGainBits(c: RecoveryRow, flightBytes: number): number {
  const expected = (flightBytes / (c.sndMss << 1)) | 0;
  const bits = expected < 2 ? 0 : 31 - Math.clz32(expected);
  return bits > MAX_EXTRA_GAIN_BITS ? MAX_EXTRA_GAIN_BITS : bits;
}

function setRto(c: RecoveryRow): void {
  const variance = c.rttvar16 >> 2; // 4 · RTTVAR, out of sixteenths
  const rto = (c.srtt16 >> SCALE_BITS) + (variance < MIN_RTO_US ? MIN_RTO_US : variance);
  c.rtoUs = rto > MAX_RTO_US ? MAX_RTO_US : rto;
}

/** Hot path. RTO with its back-off: doubled per timeout, at most 120 s (RFC 6298 §5.5). */
export function backedOffRtoUs(c: RecoveryRow): number {
  if (c.backoff === 0) return c.rtoUs;
  const doubled = c.rtoUs * 2 ** Math.min(c.backoff, MAX_BACKOFF);
  return doubled > MAX_RTO_US ? MAX_RTO_US : doubled;
}

/** Hot path. Takes a sample into the windowed least RTT. */
export function noteMinRtt(c: RecoveryRow, sampleUs: number, nowUs: number): void {
  const nowMs = (nowUs * 0.001) | 0; // exact to a millisecond, and cheaper than a division
  const current = c.minRttCurrentUs;
  if (((nowMs - c.minRttStampMs) | 0) > MIN_RTT_WINDOW_MS || current === MAX_RTT_US) {
    c.minRttPreviousUs = current;
    c.minRttCurrentUs = sampleUs;
    c.minRttStampMs = nowMs;
  } else if (sampleUs < current) {
    c.minRttCurrentUs = sampleUs;
  } else {
    return;
  }
  c.minRttUs = Math.min(c.minRttPreviousUs, c.minRttCurrentUs);
}
