/**
 * ACKs that answer what should not have come: challenge ACKs (RFC 5961 §3 to §5) and the ACK for a
 * segment outside the window. Both are rate-limited, so that two confused peers or a forger cannot
 * make us send (RFC 5961 §7): the former per stack and second, the latter per connection.
 */
import { Drop } from "../wire/drop.js";
import type { TcpCore } from "./core.js";
import { sendAck } from "./segment-writer.js";

const US_PER_S = 1_000_000;

/** Drops the current segment with `reason` and answers it with a challenge ACK. */
export function challenge(t: TcpCore, reason: Drop): void {
  t.drop(reason);
  if (isLimited(t)) return;
  const second = Math.floor(t.nowUs / US_PER_S);
  if (second !== t.challengeSecond) {
    // RFC 5961's fixed limit can be probed from outside (CVE-2016-5696): it varies by half.
    const half = Math.max(1, t.settings.challengeAckLimit >> 1);
    t.challengeSecond = second;
    t.challengeLeft = half + t.random.below(t.settings.challengeAckLimit);
  }
  if (t.challengeLeft <= 0) {
    t.drops.values[Drop.TCP_CHALLENGE_LIMITED]! += 1;
    return;
  }
  t.challengeLeft--;
  t.counts[t.k.challengeAcks]! += 1;
  sendAck(t);
}

/** Drops the current segment with `reason` and acknowledges what we have (RFC 9293 §3.10.7.4). */
export function dropAndAck(t: TcpCore, reason: Drop): void {
  const mayLoop = t.segment.dataBytes === 0;
  t.drop(reason);
  // Data are not answered without end by anybody: only empty segments could loop.
  if (mayLoop && isLimited(t)) return;
  sendAck(t);
}

/** At most one answer per connection and half second (tcp_invalid_ratelimit). */
function isLimited(t: TcpCore): boolean {
  const c = t.c;
  const nowMs = (t.nowMs & 0x7fffffff) | 1;
  const last = c.lastAnswerMs;
  const limitMs = t.settings.invalidRatelimitUs / 1000;
  if (last !== 0 && nowMs >= last && nowMs - last < limitMs) {
    t.counts[t.k.oowRateLimited]! += 1;
    return true;
  }
  c.lastAnswerMs = nowMs;
  return false;
}
