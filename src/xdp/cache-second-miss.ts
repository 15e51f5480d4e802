/**
 * LRU that takes a trace only at its second miss while the first is remembered, the simplest admission
 * policy: paths that come once, as those of a scan, never displace anything. Once full, that is: as long as
 * there is room, everything comes in.
 */
import { LruPolicy } from "./cache-lru.js";

/** Misses that are remembered, per entry. */
const REMEMBERED_PER_ENTRY = 2;

export class SecondMissPolicy extends LruPolicy {
  override readonly name: string = "second-miss";
  /** The last misses, a ring; -1: none yet. */
  private readonly missed: Int32Array;
  private next = 0;

  constructor(entries: number) {
    super();
    this.missed = new Int32Array(entries * REMEMBERED_PER_ENTRY).fill(-1);
  }

  override admits(id: number, isFull: boolean): boolean {
    const at = this.missed.indexOf(id);
    if (at >= 0) {
      this.missed[at] = -1;
      return true;
    }
    this.missed[this.next] = id;
    this.next = (this.next + 1) % this.missed.length;
    return !isFull;
  }
}
