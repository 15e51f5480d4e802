/** Every replacement policy by name, for tables and options. */
import { BeladyPolicy } from "./cache-belady.js";
import { ClockPolicy } from "./cache-clock.js";
import { FifoPolicy } from "./cache-fifo.js";
import { LfuPolicy } from "./cache-lfu.js";
import { LruPolicy } from "./cache-lru.js";
import type { CachePolicy } from "./cache-policy.js";
import { SecondMissPolicy } from "./cache-second-miss.js";
import { TinyLfuPolicy } from "./cache-tinylfu.js";

export const POLICY_NAMES = [
  "fifo",
  "lru",
  "clock",
  "lfu",
  "second-miss",
  "tinylfu",
  "belady",
] as const;
export type PolicyName = (typeof POLICY_NAMES)[number];

/** A policy for a cache of `entries`; Belady's needs the trace of each packet to come. */
export function makePolicy(
  name: PolicyName,
  entries: number,
  packets: ArrayLike<number> = [],
): CachePolicy {
  switch (name) {
    case "fifo":
      return new FifoPolicy();
    case "lru":
      return new LruPolicy();
    case "clock":
      return new ClockPolicy();
    case "lfu":
      return new LfuPolicy();
    case "second-miss":
      return new SecondMissPolicy(entries);
    case "tinylfu":
      return new TinyLfuPolicy(entries);
    case "belady":
      return new BeladyPolicy(packets);
  }
}
