/** Half round trips as metrics, from a histogram of whole ones. */
import type { Histogram } from "../src/cli/perf/histogram.js";
import type { Metrics } from "./scenario.js";

export function halfRoundTrips(h: Histogram): Metrics {
  const us = (ns: number): number => Number((ns / 2_000).toFixed(4));
  return {
    p50_us: us(h.percentileNs(50)),
    p99_us: us(h.percentileNs(99)),
    p99_9_us: us(h.percentileNs(99.9)),
    p99_99_us: us(h.percentileNs(99.99)),
    max_us: us(h.maxNs),
    observations: h.count,
  };
}
