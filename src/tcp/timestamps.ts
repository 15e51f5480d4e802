/**
 * RFC 7323 timestamps: milliseconds of the host's clock plus an offset of the address pair, so that
 * they reveal neither uptime nor other connections, and grow across connections of one pair (which
 * RFC 6191 relies on); and PAWS, the protection against old segments.
 */
import type { IpAddress } from "../base/ip-address.js";
import type { TcpCore } from "./core.js";
import type { Segment } from "./segment.js";
import { notAfter } from "./seq.js";
import { type Tcb, TcbOptions } from "./tcb.js";

/** RFC 7323 §5.5: an older TS.Recent says nothing. */
const PAWS_SECONDS = 24 * 24 * 3600;

/** Hot path. TSval of a segment sent now. */
export const tsNow = (t: TcpCore): number => (t.nowMs + t.c.tsOffset) | 0;

/** Hot path. Not of `nowMs`, which wraps around after 24 days, just when it matters. */
export const nowSeconds = (t: TcpCore): number => (t.nowUs * 1e-6) | 0;

/** Hot path. Whether PAWS (RFC 7323 §5.3, R1) turns the segment away. */
export function isOldTimestamp(t: TcpCore, s: Segment): boolean {
  const c = t.c;
  if (((s.options.tsVal - c.tsRecent) | 0) >= 0) return false;
  return ((nowSeconds(t) - c.tsRecentSeconds) | 0) <= PAWS_SECONDS;
}

/** Hot path. Keeps TSval of the segment that the last ACK leads to (RFC 7323 §4.3, R3). */
export function keepTimestamp(t: TcpCore, s: Segment): void {
  const c = t.c;
  if (!notAfter(s.seq, c.rcvAcked)) return;
  c.tsRecent = s.options.tsVal;
  c.tsRecentSeconds = nowSeconds(t);
}

/** Hot path. Whether the connection uses timestamps. */
export const usesTimestamps = (c: Tcb): boolean => (c.options & TcbOptions.TIMESTAMPS) !== 0;

/** Offset for a pair of addresses, from the secret; that of the last pair is remembered. */
export function offsetFor(t: TcpCore, local: IpAddress, remote: IpAddress): number {
  const known = t.tsOffset;
  if (!known.isKnown || !known.local.equals(local) || !known.remote.equals(remote)) {
    known.local.setFrom(local);
    known.remote.setFrom(remote);
    known.offset = hashOf(t, local, remote);
    known.isKnown = true;
  }
  return known.offset;
}

function hashOf(t: TcpCore, local: IpAddress, remote: IpAddress): number {
  const w = t.hashWords;
  w[0] = local.w0;
  w[1] = local.w1;
  w[2] = local.w2;
  w[3] = local.w3;
  w[4] = remote.w0;
  w[5] = remote.w1;
  w[6] = remote.w2;
  w[7] = remote.w3;
  w[8] = 0x7473;
  return t.hash.hash(w, 9);
}
