/**
 * LRU that takes a trace only at its second miss while the first is remembered, the simplest admission
 * policy: paths that come once, as those of a scan, never displace anything. Once full, that is: as long as
 * there is room, everything comes in.
 */

import { LruPolicy } from "./cache-lru.js";
import type { CachePolicy } from "./cache-policy.js";

/** Misses that are remembered, per place. */
const REMEMBERED_PER_PLACE = 2;

export class SecondMissPolicy implements CachePolicy {
  readonly name = "second-miss";
  private readonly lru: LruPolicy;
  /** The last misses, a ring; -1: none yet. */
  private readonly missed: Int32Array;
  private next = 0;
  private wasMissed = false;

  constructor(places: number) {
    this.lru = new LruPolicy(places);
    this.missed = new Int32Array(places * REMEMBERED_PER_PLACE).fill(-1);
  }

  /** Hot path. */
  hit(place: number): void {
    this.lru.hit(place);
  }

  miss(trace: number): void {
    const at = this.missed.indexOf(trace);
    this.wasMissed = at >= 0;
    if (this.wasMissed) {
      this.missed[at] = -1;
      return;
    }
    this.missed[this.next] = trace;
    this.next = (this.next + 1) % this.missed.length;
  }

  admits(): boolean {
    return this.wasMissed;
  }

  victim(): number {
    return this.lru.victim();
  }

  add(place: number): void {
    this.lru.add(place);
  }

  remove(place: number): void {
    this.lru.remove(place);
  }
}
