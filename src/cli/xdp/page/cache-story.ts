/** What a trace cache of a size and a policy would have done over a capture: figures, and event by event. */
import { makePolicy, POLICY_NAMES, type PolicyName } from "../../../xdp/cache-policies.js";
import type { CachePolicy } from "../../../xdp/cache-policy.js";
import { CacheSimulator, Fate } from "../../../xdp/cache-simulator.js";

/** Of packets whose path only the host may run, and of those that no program sees. */
export const NOT_CACHEABLE = -1;
export const MAX_ENTRIES = 4096;
const BUCKETS = 120;
/** More are not told one by one. */
const MAX_EVENTS = 50_000;

/** A miss: the packet, its path, whether that came in, and which paths left for it. */
export type CacheEvent = readonly [
  packet: number,
  path: number,
  isIn: 0 | 1,
  ...left: readonly number[],
];

export interface CacheStory {
  readonly policy: PolicyName;
  readonly entries: number;
  readonly packets: number;
  readonly hits: number;
  readonly misses: number;
  /** Of the misses: paths that the policy did not take in. */
  readonly refused: number;
  readonly evictions: number;
  readonly hostOnly: number;
  /** Bits of TCAM at the end. */
  readonly usedBits: number;
  /** The capture in so many parts: hits, misses, evictions and packets for the host of each. */
  readonly timeline: readonly (readonly [
    hits: number,
    misses: number,
    evictions: number,
    hostOnly: number,
  ])[];
  readonly events: readonly CacheEvent[];
  readonly isCut: boolean;
  /** Hits of every policy with as many entries. */
  readonly others: readonly { readonly policy: PolicyName; readonly hits: number }[];
}

/** `paths`: of each packet; `bits`: of TCAM, by path. */
export function tellCache(
  paths: Int32Array,
  bits: ReadonlyMap<number, number>,
  policy: PolicyName,
  entries: number,
): CacheStory {
  const cacheable = paths.filter((path) => path !== NOT_CACHEABLE);
  const left: number[] = [];
  const cache = new CacheSimulator(
    { entries },
    noting(makePolicy(policy, entries, cacheable), left),
  );
  const parts = Math.max(1, Math.min(BUCKETS, paths.length));
  const timeline = Array.from({ length: parts }, (): [number, number, number, number] => [
    0, 0, 0, 0,
  ]);
  const events: CacheEvent[] = [];
  let misses = 0;
  for (const [n, path] of paths.entries()) {
    const part = timeline[Math.floor((n * parts) / paths.length)]!;
    if (path === NOT_CACHEABLE) {
      part[3] += 1;
      continue;
    }
    left.length = 0;
    const fate = cache.use(path, bits.get(path) ?? 0);
    part[fate === Fate.HIT ? 0 : 1] += 1;
    part[2] += left.length;
    if (fate === Fate.HIT) continue;
    misses++;
    if (events.length < MAX_EVENTS)
      events.push([n, path, fate === Fate.INSTALLED ? 1 : 0, ...left]);
  }
  return {
    policy,
    entries,
    packets: paths.length,
    hits: cache.hits,
    misses,
    refused: cache.refused,
    evictions: cache.evicted,
    hostOnly: paths.length - cacheable.length,
    usedBits: cache.usedBits,
    timeline,
    events,
    isCut: misses > events.length,
    others: POLICY_NAMES.map((name) => ({ policy: name, hits: hitsOf(cacheable, name, entries) })),
  };
}

function hitsOf(paths: Int32Array, policy: PolicyName, entries: number): number {
  const cache = new CacheSimulator({ entries }, makePolicy(policy, entries, paths));
  for (const path of paths) cache.use(path);
  return cache.hits;
}

/** The same policy; who leaves is noted. */
function noting(policy: CachePolicy, left: number[]): CachePolicy {
  return {
    name: policy.name,
    hit: (id) => policy.hit(id),
    admits: (id, isFull) => policy.admits(id, isFull),
    inserted: (id) => policy.inserted(id),
    victim: () => policy.victim(),
    removed(id) {
      left.push(id);
      policy.removed(id);
    },
  };
}
