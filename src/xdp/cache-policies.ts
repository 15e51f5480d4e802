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

/** A policy for a cache of `places` entries; Belady's needs the trace of each packet to come. */
export function makePolicy(
  name: PolicyName,
  places: number,
  packets: ArrayLike<number> = [],
): CachePolicy {
  switch (name) {
    case "fifo":
      return new FifoPolicy(places);
    case "lru":
      return new LruPolicy(places);
    case "clock":
      return new ClockPolicy(places);
    case "lfu":
      return new LfuPolicy(places);
    case "second-miss":
      return new SecondMissPolicy(places);
    case "tinylfu":
      return new TinyLfuPolicy(places);
    case "belady":
      return new BeladyPolicy(places, packets);
  }
}
