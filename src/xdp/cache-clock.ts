/**
 * CLOCK: one bit a trace says that it was used since the hand came by; the hand gives up the first one
 * without it. Nearly LRU, with one store a hit, which is what hardware would do. The clock's face is a
 * queue here: what the hand spares goes to its front.
 *
 * F. J. Corbató, A paging experiment with the Multics system, 1968.
 */
import type { CachePolicy } from "./cache-policy.js";
import { TraceOrder } from "./trace-order.js";

export class ClockPolicy implements CachePolicy {
  readonly name = "clock";
  private readonly order = new TraceOrder();
  private wasUsed = new Uint8Array(64);

  /** Hot path. */
  hit(id: number): void {
    this.wasUsed[id] = 1;
  }

  admits(): boolean {
    return true;
  }

  inserted(id: number): void {
    this.order.addFront(id);
    if (id >= this.wasUsed.length) {
      const larger = new Uint8Array(2 * (id + 1));
      larger.set(this.wasUsed);
      this.wasUsed = larger;
    }
    this.wasUsed[id] = 0;
  }

  /** Ends within one round, as that clears every bit. */
  victim(): number {
    const { order, wasUsed } = this;
    while (wasUsed[order.back] === 1) {
      wasUsed[order.back] = 0;
      order.toFront(order.back);
    }
    return order.back;
  }

  removed(id: number): void {
    this.order.remove(id);
  }
}
