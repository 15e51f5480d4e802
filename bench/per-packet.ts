/** Time and memory per packet of a piece of code, for the cases of `bench/cases/`. */
import { PerformanceObserver } from "node:perf_hooks";
import type { Metrics } from "./scenario.js";

/** Runs `count` packets through the code. */
export type Work = (count: number) => void;

const WARM_UP_PACKETS = 300_000;
const PIECES = 20;

/**
 * Measures `packets` packets in pieces: the median piece gives the time, the whole the allocation.
 * Time is the process's CPU time, which other programs of a shared machine disturb least.
 * The process runs with a young generation so large (child.ts) that heap growth is what was
 * allocated, unless a collection ran; those are counted.
 */
export async function perPacket(packets: number, work: Work): Promise<Metrics> {
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    collections += list.getEntries().length;
  });
  work(WARM_UP_PACKETS);
  globalThis.gc?.();
  await settle();
  observer.observe({ entryTypes: ["gc"] });
  const times = new Float64Array(PIECES);
  const piece = Math.floor(packets / PIECES);
  const heapBefore = process.memoryUsage().heapUsed;
  for (let i = 0; i < PIECES; i++) {
    const start = process.cpuUsage();
    work(piece);
    const used = process.cpuUsage(start);
    times[i] = ((used.user + used.system) * 1e3) / piece;
  }
  const heapAfter = process.memoryUsage().heapUsed;
  await settle();
  observer.disconnect();
  times.sort();
  return {
    ns_per_packet: times[PIECES >> 1]!,
    min_ns_per_packet: times[0]!,
    bytes_allocated_per_packet: round(Math.max(0, heapAfter - heapBefore) / (piece * PIECES)),
    collections,
  };
}

/** Lets the observer's entries arrive. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

/** What measuring itself allocates is no packet's cost. */
const round = (bytes: number): number => (bytes < 0.01 ? 0 : Math.round(bytes * 100) / 100);
