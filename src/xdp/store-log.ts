/**
 * What a trace stored in the packet or in the values of one map, for the loads that come after: the newest
 * store of each byte, or the initial state. Addresses are a base (a node) and a constant; whether two
 * bases are the same place is asked of whoever keeps the guards.
 */
import type { Builder } from "./build.js";
import { assemble, type ByteOf } from "./bytes.js";

/** How two bases lie: a number is the distance (other - one) that makes them the same; null: apart. */
export type Aliasing = (
  one: number,
  oneOffset: number,
  oneSize: number,
  other: number,
  otherOffset: number,
  otherSize: number,
) => number | null;

interface Stored {
  readonly base: number;
  readonly offset: number;
  readonly size: number;
  readonly value: number;
}

export class StoreLog {
  private readonly build: Builder;
  private readonly alias: Aliasing;
  private readonly stores: Stored[] = [];

  constructor(build: Builder, alias: Aliasing) {
    this.build = build;
    this.alias = alias;
  }

  get isEmpty(): boolean {
    return this.stores.length === 0;
  }

  store(base: number, offset: number, size: number, value: number): void {
    this.stores.push({ base, offset, size, value });
  }

  /** The number at an address; `initial` gives what is there before all stores. */
  load(
    base: number,
    offset: number,
    size: number,
    initial: (offset: number, size: number) => number,
  ): number {
    const near = this.near(base, offset, size);
    if (near.length === 0) return initial(offset, size);
    const bytes: ByteOf[] = [];
    for (let n = 0; n < size; n++) {
      const at = offset + n;
      const found = near.find((one) => at >= one.offset && at < one.offset + one.size);
      if (found === undefined) bytes.push({ node: initial(at, 1), index: 0 });
      else bytes.push({ node: found.value, index: at - found.offset });
    }
    return assemble(this.build, bytes);
  }

  /** Stores that overlap, newest first, as if they had the same base. */
  private near(base: number, offset: number, size: number): Stored[] {
    const found: Stored[] = [];
    for (let n = this.stores.length - 1; n >= 0; n--) {
      const one = this.stores[n]!;
      const distance =
        one.base === base ? 0 : this.alias(one.base, one.offset, one.size, base, offset, size);
      if (distance === null) continue;
      const from = one.offset - distance;
      if (from < offset + size && from + one.size > offset)
        found.push({ ...one, base, offset: from });
    }
    return found;
  }
}
