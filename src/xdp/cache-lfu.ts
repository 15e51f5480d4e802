/**
 * Least frequently used: what has matched the fewest packets since it was installed goes first, of equals
 * the one that was used longest ago. Counts are kept while a trace is in and forgotten with it.
 */
import type { CachePolicy } from "./cache-policy.js";
import { TraceOrder } from "./trace-order.js";

export class LfuPolicy implements CachePolicy {
  readonly name = "lfu";
  private readonly order = new TraceOrder();
  /** Packets that matched, the one that installed it included. */
  private uses = new Float64Array(64);

  /** Hot path. */
  hit(id: number): void {
    this.uses[id]! += 1;
    this.order.toFront(id);
  }

  admits(): boolean {
    return true;
  }

  inserted(id: number): void {
    this.order.addFront(id);
    if (id >= this.uses.length) {
      const larger = new Float64Array(2 * (id + 1));
      larger.set(this.uses);
      this.uses = larger;
    }
    this.uses[id] = 1;
  }

  /** A search: misses are rare, and cost the host a thousand times as much. */
  victim(): number {
    const { order, uses } = this;
    let least = order.back;
    for (let id = least; id >= 0; id = order.nextToFront(id)) {
      if (uses[id]! < uses[least]!) least = id;
    }
    return least;
  }

  removed(id: number): void {
    this.order.remove(id);
  }
}
