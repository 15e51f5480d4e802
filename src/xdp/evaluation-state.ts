/** What keeping maps on two sides costs, by model and rate of updates: table T6. */
import { Random } from "../base/random.js";
import { arrivalTimes } from "./arrivals.js";
import { LruPolicy } from "./cache-lru.js";
import type { CacheCapacity } from "./cache-policy.js";
import { CacheSimulator } from "./cache-simulator.js";
import { AccessKind, HOST, NIC, type Side } from "./consistency.js";
import { type ModelName, modelsFor } from "./consistency-models.js";
import {
  type ConsistencyOptions,
  type ControlWork,
  type MapAccess,
  type PacketWork,
  runConsistency,
} from "./consistency-run.js";
import { HOST_ONLY, mergedOf, type ProgramProfile } from "./evaluation.js";
import { isReadOnly } from "./map-use.js";
import { PathCache } from "./path-cache.js";

export interface StateOptions extends ConsistencyOptions {
  readonly packetsPerS?: number;
  /** Writes of the control plane to each map that the program only reads, a second. */
  readonly updatesPerS?: number;
  /** Of the trace cache that decides which side a packet runs on. */
  readonly entries?: number;
  readonly tcamBits?: number;
}

export interface MapStateRow {
  readonly map: string;
  readonly model: ModelName;
  /** Reads and writes of programs, per packet. */
  readonly readsPerPacket: number;
  readonly writesPerPacket: number;
  readonly messagesPerPacket: number;
  readonly staleReads: number;
  /** Changes that took effect outside of the call that made them: must be 0, as stale reads. */
  readonly misplaced: number;
  readonly redirected: number;
  /** Mean time that a packet waited for messages, on either side. */
  readonly waitNs: number;
}

const DEFAULT_PACKETS_PER_S = 2_000_000;
const DEFAULT_ENTRIES = 16;

/** A row for each map that packets use and each model that suits it. */
export function stateTable(profile: ProgramProfile, options: StateOptions = {}): MapStateRow[] {
  return profile.maps.flatMap((use, map) => {
    if (use.name.startsWith(".rodata")) return []; // constants of the traces
    const accesses = profile.accesses.map((all) => all.filter((one) => one.map === map));
    if (!accesses.some((all) => all.length > 0)) return [];
    return modelsFor(use).map((model) => stateRow(profile, map, model, accesses, options));
  });
}

function stateRow(
  profile: ProgramProfile,
  map: number,
  model: ModelName,
  accesses: readonly (readonly MapAccess[])[],
  options: StateOptions,
): MapStateRow {
  const { packetsPerS = DEFAULT_PACKETS_PER_S, updatesPerS = 0, seed = 1 } = options;
  const random = new Random(seed);
  const times = arrivalTimes(accesses.length, packetsPerS, random);
  const sides = sidesOf(profile, accesses.length, { entries: DEFAULT_ENTRIES, ...options });
  const packets: PacketWork[] = accesses.map((all, n) => ({
    atNs: times[n]!,
    side: sides[n]!,
    accesses: all.map(({ cell, kind }) => ({ map: 0, cell, kind })),
  }));
  const use = profile.maps[map]!;
  const spanNs = times.at(-1) ?? 0;
  const control = isReadOnly(use) ? updates(accesses, updatesPerS, spanNs, random) : [];
  const report = runConsistency([model], packets, control, options);
  const own = report.maps[0]!;
  const n = Math.max(1, packets.length);
  const writes = packets.reduce(
    (sum, one) => sum + one.accesses.filter(({ kind }) => kind !== AccessKind.READ).length,
    0,
  );
  return {
    map: use.name,
    model,
    readsPerPacket: own.reads / n,
    writesPerPacket: writes / n,
    messagesPerPacket: own.messages / n,
    staleReads: own.staleReads,
    misplaced: own.misplaced,
    redirected: report.redirected,
    waitNs: (report.waitedNs + report.hostWaitedNs) / n,
  };
}

/** Writes of the control plane, to cells that packets use: the worst case. */
function updates(
  accesses: readonly (readonly MapAccess[])[],
  perS: number,
  spanNs: number,
  random: Random,
): ControlWork[] {
  const cells = [...new Set(accesses.flatMap((all) => all.map(({ cell }) => cell)))];
  const count = Math.round((perS * spanNs) / 1e9);
  return Array.from({ length: count }, (_, n) => ({
    atNs: (spanNs * (n + 0.5)) / count,
    map: 0,
    cell: cells[random.below(cells.length)]!,
    isWrite: true,
  }));
}

/** The side of each packet: the NIC when an LRU cache of merged traces has its trace. */
function sidesOf(profile: ProgramProfile, count: number, capacity: CacheCapacity): Side[] {
  const merged = mergedOf(profile);
  const cache = new PathCache(new CacheSimulator(capacity, new LruPolicy()));
  return Array.from({ length: count }, (_, n) => {
    const trace = merged[n]!;
    if (trace === HOST_ONLY) return HOST;
    const path = profile.paths[n]!;
    return cache.use(trace, path, profile.traces[path]!.tcam.bits) ? NIC : HOST;
  });
}
