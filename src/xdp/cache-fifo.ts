/** First in, first out: what was installed first goes first, however much it is used. */
import type { CachePolicy } from "./cache-policy.js";
import { PlaceList } from "./place-list.js";

export class FifoPolicy implements CachePolicy {
  readonly name = "fifo";
  private readonly order: PlaceList;

  constructor(places: number) {
    this.order = new PlaceList(places);
  }

  /** Hot path. */
  hit(): void {}
  miss(): void {}

  admits(): boolean {
    return true;
  }

  victim(): number {
    return this.order.back;
  }

  add(place: number): void {
    this.order.addFront(place);
  }

  remove(place: number): void {
    this.order.remove(place);
  }
}
