/** Least recently used: what has not matched a packet for the longest time goes first. */
import type { CachePolicy } from "./cache-policy.js";
import { PlaceList } from "./place-list.js";

export class LruPolicy implements CachePolicy {
  readonly name = "lru";
  private readonly order: PlaceList;

  constructor(places: number) {
    this.order = new PlaceList(places);
  }

  /** Hot path. */
  hit(place: number): void {
    this.order.toFront(place);
  }

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
