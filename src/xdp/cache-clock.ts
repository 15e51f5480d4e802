/**
 * CLOCK: one bit a place says that it was used since the hand came by; the hand gives up the first place
 * without it. Nearly LRU, with one store a hit, which is what hardware would do.
 *
 * F. J. Corbató, A paging experiment with the Multics system, 1968.
 */
import type { CachePolicy } from "./cache-policy.js";

export class ClockPolicy implements CachePolicy {
  readonly name = "clock";
  private readonly isTaken: Uint8Array;
  private readonly wasUsed: Uint8Array;
  private hand = 0;

  constructor(places: number) {
    this.isTaken = new Uint8Array(places);
    this.wasUsed = new Uint8Array(places);
  }

  /** Hot path. */
  hit(place: number): void {
    this.wasUsed[place] = 1;
  }

  miss(): void {}

  admits(): boolean {
    return true;
  }

  /** Ends within two rounds, as the first one clears every bit. */
  victim(): number {
    const { isTaken, wasUsed } = this;
    for (;;) {
      const place = this.hand;
      this.hand = place + 1 === isTaken.length ? 0 : place + 1;
      if (isTaken[place] === 0) continue;
      if (wasUsed[place] === 0) return place;
      wasUsed[place] = 0;
    }
  }

  add(place: number): void {
    this.isTaken[place] = 1;
    this.wasUsed[place] = 0;
  }

  remove(place: number): void {
    this.isTaken[place] = 0;
  }
}
