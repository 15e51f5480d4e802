/**
 * Rate limit of ICMP errors (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)): token buckets as Linux has them,
 * one for the host (1,000 a second, bursts of 50) and one per destination (one a second, bursts of
 * 6). Destinations share 256 buckets by their last word: a collision only limits earlier.
 */
import { US_PER_S } from "../base/time.js";

const HOST_PER_SECOND = 1000;
const HOST_BURST = 50;
const PEER_PER_SECOND = 1;
const PEER_BURST = 6;
const BUCKETS = 256;

export class IcmpLimit {
  private hostTokens = HOST_BURST;
  private hostAtUs = 0;
  private readonly tokens = new Float64Array(BUCKETS).fill(PEER_BURST);
  private readonly atUs = new Float64Array(BUCKETS);

  /** Whether an error to the destination with this last address word may be sent now. */
  take(lastWord: number, nowUs: number): boolean {
    const i = (lastWord ^ (lastWord >>> 8) ^ (lastWord >>> 16) ^ (lastWord >>> 24)) & (BUCKETS - 1);
    const grown = this.tokens[i]! + ((nowUs - this.atUs[i]!) * PEER_PER_SECOND) / US_PER_S;
    const peer = Math.min(grown, PEER_BURST);
    const hostGrown = this.hostTokens + ((nowUs - this.hostAtUs) * HOST_PER_SECOND) / US_PER_S;
    const host = Math.min(hostGrown, HOST_BURST);
    this.atUs[i] = nowUs;
    this.hostAtUs = nowUs;
    const isAllowed = peer >= 1 && host >= 1;
    this.tokens[i] = isAllowed ? peer - 1 : peer;
    this.hostTokens = isAllowed ? host - 1 : host;
    return isAllowed;
  }
}
