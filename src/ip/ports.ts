/**
 * Ephemeral ports: which free port to take (RFC 6056). The start is the hash-based offset of
 * algorithm 3 plus a counter, so ports of different peers look unrelated, and the port of one peer
 * does not come back soon.
 */
import type { IpAddress } from "../base/ip-address.js";
import type { Random } from "../base/random.js";

/** Linux's default range. */
export const EPHEMERAL_LOW = 32_768;
export const EPHEMERAL_HIGH = 60_999;

export class EphemeralPorts {
  private readonly low: number;
  private readonly count: number;
  private readonly key: number;
  private readonly random: Random;
  private next = 0;

  constructor(random: Random, low = EPHEMERAL_LOW, high = EPHEMERAL_HIGH) {
    this.low = low;
    this.count = high - low + 1;
    this.key = random.int32();
    this.random = random;
  }

  /** A port for which `isFree` holds, or 0 when none does. `remote` may be unspecified. */
  choose(
    local: IpAddress,
    remote: IpAddress,
    remotePort: number,
    isFree: (port: number) => boolean,
  ): number {
    const offset = mix(this.key, local, remote, remotePort);
    // Algorithm 5's random step on top: an observer of one flow learns nothing of the counter.
    this.next = (this.next + 1 + this.random.below(8)) >>> 0;
    for (let i = 0; i < this.count; i++) {
      const port = this.low + (((offset + this.next + i) >>> 0) % this.count);
      if (isFree(port)) {
        this.next = (this.next + i) >>> 0;
        return port;
      }
    }
    return 0;
  }
}

function mix(key: number, local: IpAddress, remote: IpAddress, port: number): number {
  let h = key;
  const words = [local.w0, local.w1, local.w2, local.w3];
  words.push(remote.w0, remote.w1, remote.w2, remote.w3, port);
  for (const w of words) {
    h = Math.imul(h ^ w, 0x9e3779b1);
    h ^= h >>> 15;
    h = Math.imul(h, 0x85ebca77);
    h ^= h >>> 13;
  }
  return h >>> 0;
}
