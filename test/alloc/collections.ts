/** Counting the garbage collections that a piece of work causes in steady state. */
import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";

/**
 * For how long the work is tried, and how often at least. Until V8 has compiled it, which other work on
 * the machine delays, it allocates.
 */
const PATIENCE_MS = 30_000;
const GOES = 4;

/** Collections while `work` runs: the fewest of some goes, the first that is at most `enough`. */
export async function fewestCollections(work: () => void, enough: number): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY;
  const endMs = Date.now() + PATIENCE_MS;
  const mayGo = (go: number): boolean => go < GOES || Date.now() < endMs;
  for (let go = 0; fewest > enough && mayGo(go); go++) {
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
