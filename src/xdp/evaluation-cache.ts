/** How often packets find their trace on the NIC, by size of the cache and policy: table T3. */
import { placeText } from "../ebpf/source-place.js";
import { makePolicy, type PolicyName } from "./cache-policies.js";
import type { CacheCapacity, CacheUnit } from "./cache-policy.js";
import { CacheSimulator } from "./cache-simulator.js";
import { HOST_ONLY, meanOverPackets, mergedOf, type ProgramProfile } from "./evaluation.js";
import { PathCache } from "./path-cache.js";

export interface CacheUse {
  /** Share of packets that ran on the NIC, 0 to 1, of those that a trace can run. */
  readonly hitRate: number;
  /** The most that was in at once. */
  readonly mostEntries: number;
  /** The most bits of ternary memory that conditions took at once (tcam.ts). */
  readonly mostTcamBits: number;
}

/**
 * A profile's packets and a cache. The first packet of a path always misses, also when the trace is there and only
 * the path's condition has to come, which takes no entry but its own bits.
 */
export function cacheUse(
  profile: ProgramProfile,
  unit: CacheUnit,
  policy: PolicyName,
  capacity: CacheCapacity,
): CacheUse {
  const merged = mergedOf(profile);
  const isCacheable = (n: number): boolean => merged[n] !== HOST_ONLY;
  const units = (unit === "path" ? profile.paths : merged).filter((_, n) => isCacheable(n));
  const paths = profile.paths.filter((_, n) => isCacheable(n));
  const entries = capacity.entries ?? typicalEntries(profile, unit, capacity.tcamBits ?? 0);
  const cache = new PathCache(new CacheSimulator(capacity, makePolicy(policy, entries, units)));
  let hits = 0;
  for (const [n, path] of paths.entries()) {
    if (cache.use(units[n]!, path, profile.traces[path]!.tcam.bits)) hits++;
  }
  const { mostEntries, mostTcamBits } = cache;
  return { hitRate: units.length === 0 ? 0 : hits / units.length, mostEntries, mostTcamBits };
}

/** {@link cacheUse}'s share of hits in a cache of so many entries. */
export function hitRate(
  profile: ProgramProfile,
  unit: CacheUnit,
  policy: PolicyName,
  entries: number,
): number {
  return cacheUse(profile, unit, policy, { entries }).hitRate;
}

/** How many entries a cache of so many bits has about: policies size their memory of what was there by it. */
function typicalEntries(profile: ProgramProfile, unit: CacheUnit, tcamBits: number): number {
  const units = new Set<number>();
  let bits = 0;
  for (const [path, { merged, tcam, packets }] of profile.traces.entries()) {
    if (merged === HOST_ONLY || packets === 0) continue;
    units.add(unit === "path" ? path : merged);
    bits += tcam.bits;
  }
  return Math.max(1, Math.round((tcamBits * units.size) / Math.max(1, bits)));
}

/** Why packets are the host's. */
export interface HostReason {
  readonly reason: string;
  /** `filter.c:12: text`; null when the object does not say, or no instruction is to blame. */
  readonly source: string | null;
  readonly packets: number;
}

export interface PathTable {
  readonly packets: number;
  readonly paths: number;
  readonly merged: number;
  /** How many paths cover 90, 99 and 99.9 % of the packets. */
  readonly cover: readonly [p90: number, p99: number, p999: number];
  /** Share of packets that only the host may run, and why, most packets first. */
  readonly hostOnly: number;
  readonly hostReasons: readonly HostReason[];
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
  return {
    packets: paths.length,
    paths: used.length,
    merged: new Set(cacheable.map(({ merged }) => merged)).size,
    cover: [cover(0.9), cover(0.99), cover(0.999)],
    hostOnly: 1 - onNic / Math.max(1, paths.length),
    hostReasons: hostReasons(profile),
    executed: meanOverPackets(profile, ({ trace }) => trace.executed),
    atoms: meanOverPackets(profile, ({ trace }) => trace.condition.atoms.length),
    tcamBits: meanOverPackets(profile, ({ tcam }) => tcam.bits),
    tcamBitsOfAll: cacheable.reduce((sum, { tcam }) => sum + tcam.bits, 0),
    ternary: meanOverPackets(profile, ({ tcam }) => Number(tcam.isTernary)),
  };
}

function hostReasons({ traces, paths, fullReason, sourceOf }: ProgramProfile): HostReason[] {
  const found = new Map<string, HostReason>();
  const note = (reason: string, source: string | null, packets: number): void => {
    const key = `${reason} ${source}`;
    const before = found.get(key)?.packets ?? 0;
    if (packets > 0) found.set(key, { reason, source, packets: before + packets });
  };
  for (const { trace, packets } of traces) {
    if (trace.hostOnly === null) continue;
    const line = sourceOf(trace.hostOnly.word);
    note(trace.hostOnly.reason, line === null ? null : placeText(line), packets);
  }
  const untraced = paths.reduce((sum, path) => sum + Number(path < 0), 0);
  note(fullReason ?? "its path could not be told from others", null, untraced);
  return [...found.values()].sort((a, b) => b.packets - a.packets);
}
