/** How often packets find their trace on the NIC, by size of the cache and policy: table T3. */
import { makePolicy, type PolicyName } from "./cache-policies.js";
import type { CacheUnit } from "./cache-policy.js";
import { CacheSimulator, Fate } from "./cache-simulator.js";
import { HOST_ONLY, meanOverPackets, mergedOf, type ProgramProfile } from "./evaluation.js";

/**
 * Share of packets that ran on the NIC, 0 to 1, of those that a trace can run. The first packet of a path
 * always misses, also when the trace is there and only the path's condition has to come.
 */
export function hitRate(
  profile: ProgramProfile,
  unit: CacheUnit,
  policy: PolicyName,
  entries: number,
): number {
  const merged = mergedOf(profile);
  const isCacheable = (n: number): boolean => merged[n] !== HOST_ONLY;
  const units = (unit === "path" ? profile.paths : merged).filter((_, n) => isCacheable(n));
  const paths = profile.paths.filter((_, n) => isCacheable(n));
  const cache = new CacheSimulator({ entries }, makePolicy(policy, entries, units));
  const known = new Set<number>();
  let hits = 0;
  for (const [n, one] of units.entries()) {
    const fate = cache.use(one);
    if (fate === Fate.HIT && known.has(paths[n]!)) hits++;
    known.add(paths[n]!);
  }
  return units.length === 0 ? 0 : hits / units.length;
}

export interface PathTable {
  readonly packets: number;
  readonly paths: number;
  readonly merged: number;
  /** How many paths cover 90, 99 and 99.9 % of the packets. */
  readonly cover: readonly [p90: number, p99: number, p999: number];
  /** Share of packets that only the host may run, and why. */
  readonly hostOnly: number;
  readonly hostReasons: readonly string[];
  /** Mean over packets. */
  readonly executed: number;
  readonly atoms: number;
  readonly tcamBits: number;
  /** Of all traces' conditions together. */
  readonly tcamBitsOfAll: number;
  /** Share of packets whose condition a ternary table can test alone. */
  readonly ternary: number;
}

export function pathTable(profile: ProgramProfile): PathTable {
  const { traces, paths } = profile;
  const used = traces.filter(({ packets }) => packets > 0);
  const counts = used.map(({ packets }) => packets).sort((a, b) => b - a);
  const cover = (share: number): number => {
    let sum = 0;
    let n = 0;
    while (n < counts.length && sum < share * paths.length) sum += counts[n++]!;
    return n;
  };
  const cacheable = used.filter(({ merged }) => merged !== HOST_ONLY);
  const onNic = cacheable.reduce((sum, { packets }) => sum + packets, 0);
  const reasons = traces.flatMap(({ trace }) => trace.hostOnly?.reason ?? []);
  return {
    packets: paths.length,
    paths: used.length,
    merged: new Set(cacheable.map(({ merged }) => merged)).size,
    cover: [cover(0.9), cover(0.99), cover(0.999)],
    hostOnly: 1 - onNic / Math.max(1, paths.length),
    hostReasons: [...new Set(reasons)],
    executed: meanOverPackets(profile, ({ trace }) => trace.executed),
    atoms: meanOverPackets(profile, ({ trace }) => trace.condition.atoms.length),
    tcamBits: meanOverPackets(profile, ({ tcam }) => tcam.bits),
    tcamBitsOfAll: cacheable.reduce((sum, { tcam }) => sum + tcam.bits, 0),
    ternary: meanOverPackets(profile, ({ tcam }) => Number(tcam.isTernary)),
  };
}
