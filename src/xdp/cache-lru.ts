/** Least recently used: what has not matched a packet for the longest time goes first. */
import type { CachePolicy } from "./cache-policy.js";
import { TraceOrder } from "./trace-order.js";

export class LruPolicy implements CachePolicy {
  readonly name: string = "lru";
  private readonly order = new TraceOrder();

  /** Hot path. */
  hit(id: number): void {
    this.order.toFront(id);
  }

  admits(_id: number, _isFull: boolean): boolean {
    return true;
  }

  inserted(id: number): void {
    this.order.addFront(id);
  }

  victim(): number {
    return this.order.back;
  }

  removed(id: number): void {
    this.order.remove(id);
  }
}
