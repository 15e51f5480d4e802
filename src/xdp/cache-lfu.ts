/**
 * Least frequently used: what has matched the fewest packets since it was installed goes first, of equals
 * the one that was used longest ago. Counts are kept while a trace is there and forgotten with it.
 */
import type { CachePolicy } from "./cache-policy.js";

const EMPTY = -1;

export class LfuPolicy implements CachePolicy {
  readonly name = "lfu";
  /** Packets that matched, the one that installed it included; EMPTY: no trace is there. */
  private readonly uses: Float64Array;
  private readonly usedAt: Float64Array;
  private now = 0;

  constructor(places: number) {
    this.uses = new Float64Array(places).fill(EMPTY);
    this.usedAt = new Float64Array(places);
  }

  /** Hot path. */
  hit(place: number): void {
    this.uses[place]! += 1;
    this.usedAt[place] = ++this.now;
  }

  miss(): void {}

  admits(): boolean {
    return true;
  }

  /** A search: misses are rare, and cost the host a thousand times as much. */
  victim(): number {
    const { uses, usedAt } = this;
    let least = -1;
    for (let place = 0; place < uses.length; place++) {
      if (uses[place] === EMPTY) continue;
      const isLess =
        least < 0 ||
        uses[place]! < uses[least]! ||
        (uses[place] === uses[least] && usedAt[place]! < usedAt[least]!);
      if (isLess) least = place;
    }
    return least;
  }

  add(place: number): void {
    this.uses[place] = 1;
    this.usedAt[place] = ++this.now;
  }

  remove(place: number): void {
    this.uses[place] = EMPTY;
  }
}
