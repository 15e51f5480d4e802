/**
 * A simulated cache of traces that several paths may lead to: which conditions came with each trace, or stand by
 * to come back with it. Its capacity in bits is that of the conditions which are in.
 */
import type { CacheSimulator } from "./cache-simulator.js";

export class PathCache {
  mostEntries = 0;
  mostTcamBits = 0;
  private readonly cache: CacheSimulator;
  /** By trace: its paths' bits. */
  private readonly known = new Map<number, Map<number, number>>();

  constructor(cache: CacheSimulator) {
    this.cache = cache;
  }

  /** A packet of a path, whose condition has `bits`, of a trace; whether it ran on the NIC. */
  use(trace: number, path: number, bits: number): boolean {
    const { cache } = this;
    let paths = this.known.get(trace);
    if (paths === undefined) {
      paths = new Map();
      this.known.set(trace, paths);
    }
    const isKnown = paths.has(path);
    if (cache.hit(trace)) {
      if (isKnown) return true;
      if (cache.grow(trace, bits)) paths.set(path, bits);
    } else {
      paths.set(path, bits);
      let all = sum(paths.values());
      if (all > cache.tcamBits) {
        // What does not come back together comes one by one.
        paths.clear();
        if (bits <= cache.tcamBits) paths.set(path, bits);
        all = bits;
      }
      cache.install(trace, all);
    }
    this.mostEntries = Math.max(this.mostEntries, cache.count);
    this.mostTcamBits = Math.max(this.mostTcamBits, cache.usedBits);
    return false;
  }
}

const sum = (numbers: Iterable<number>): number => {
  let all = 0;
  for (const one of numbers) all += one;
  return all;
};
