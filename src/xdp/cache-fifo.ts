/** First in, first out: what was installed first goes first, however much it is used. */
import type { CachePolicy } from "./cache-policy.js";
import { TraceOrder } from "./trace-order.js";

export class FifoPolicy implements CachePolicy {
  readonly name = "fifo";
  private readonly order = new TraceOrder();

  /** Hot path. */
  hit(): void {}

  admits(): boolean {
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
