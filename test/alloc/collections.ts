/** Counting the garbage collections that a piece of work causes in steady state. */
import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";

/** How often the work is tried. Until V8 has compiled it, which another busy core delays, it allocates. */
const GOES = 4;

/** Collections while `work` runs: the fewest of some goes, the first that is at most `enough`. */
export async function fewestCollections(work: () => void, enough: number): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY;
  for (let go = 0; go < GOES && fewest > enough; go++) {
    fewest = Math.min(fewest, await collections(work));
  }
  return fewest;
}

/** Collections of one go. */
export async function collections(work: () => void): Promise<number> {
  let n = 0;
  const observer = new PerformanceObserver((list) => {
    n += list.getEntries().length;
  });
  observer.observe({ entryTypes: ["gc"] });
  await setImmediate();
  work();
  await setImmediate();
  n += observer.takeRecords().length; // the callback alone misses the last ones
  observer.disconnect();
  return n;
}
