/** The two policies that a cache needs to be one: first in, first out, and least recently used. */
import type { CachePolicy } from "./cache-policy.js";

/** The oldest leaves. */
export class FifoPolicy implements CachePolicy {
  readonly name: string = "fifo";
  private readonly order = new Set<number>();

  hit(_id: number): void {}

  admits(): boolean {
    return true;
  }

  inserted(id: number): void {
    this.order.add(id);
  }

  victim(): number {
    return this.order.values().next().value!;
  }

  removed(id: number): void {
    this.order.delete(id);
  }
}

/** The one that was not used for longest leaves. */
export class LruPolicy implements CachePolicy {
  readonly name: string = "lru";
  /** When each was used last, by number. */
  private last = new Float64Array(64);
  private readonly members = new Set<number>();
  private now = 0;

  hit(id: number): void {
    this.last[id] = ++this.now;
  }

  admits(): boolean {
    return true;
  }

  inserted(id: number): void {
    if (id >= this.last.length) {
      const larger = new Float64Array(Math.max(this.last.length * 2, id + 1));
      larger.set(this.last);
      this.last = larger;
    }
    this.members.add(id);
    this.hit(id);
  }

  victim(): number {
    let found = -1;
    for (const id of this.members) if (found < 0 || this.last[id]! < this.last[found]!) found = id;
    return found;
  }

  removed(id: number): void {
    this.members.delete(id);
  }
}
