/** The whole NIC under a program's traffic, and under attack: table T7. */
import { Random } from "../base/random.js";
import { arrivalTimes } from "./arrivals.js";
import { makePolicy, type PolicyName } from "./cache-policies.js";
import type { CacheUnit } from "./cache-policy.js";
import { CacheSimulator } from "./cache-simulator.js";
import { HOST_ONLY, mergedOf, type ProgramProfile } from "./evaluation.js";
import {
  type NicMachine,
  type NicOptions,
  type NicPacket,
  type NicReport,
  simulateNic,
  type TraceCosts,
} from "./nic-simulator.js";
import { HXDP_MACHINE } from "./vliw.js";
import { scheduleTrace } from "./vliw-trace.js";

export interface NicRunOptions {
  /** What takes an entry; merged by default. */
  readonly unit?: CacheUnit;
  readonly policy: PolicyName;
  readonly entries: number;
  readonly tcamBits?: number;
  readonly packetsPerS: number;
  readonly seed?: number;
  readonly machine?: Partial<NicMachine>;
  readonly windowPackets?: number;
}

/** A profile's packets through the simulated NIC. */
export function runNic(profile: ProgramProfile, options: NicRunOptions): NicReport {
  const { entries, packetsPerS, seed = 1, tcamBits, unit = "merged" } = options;
  const merged = mergedOf(profile);
  const count = unit === "path" ? profile.traces.length : profile.mergedCount;
  const numberOf = (n: number): number => (unit === "path" ? profile.paths[n]! : merged[n]!);
  // One number more, for all that only the host runs.
  const traces = merged.map((one, n) => (one === HOST_ONLY ? count : numberOf(n)));
  const times = arrivalTimes(traces.length, packetsPerS, new Random(seed));
  const packets: NicPacket[] = Array.from(traces, (trace, n) => ({
    atNs: times[n]!,
    lengthBytes: profile.lengths[n]!,
    path: profile.paths[n]!,
    trace,
    instructions: profile.traces[profile.paths[n]!]?.trace.executed ?? 0,
    hostRoundTrips: 0,
  }));
  const capacity = tcamBits === undefined ? { entries } : { entries, tcamBits };
  const nic: NicOptions = {
    cache: new CacheSimulator(capacity, makePolicy(options.policy, entries, traces)),
    costs: costsOf(profile, unit, count),
    ...(options.machine === undefined ? {} : { machine: options.machine }),
    ...(options.windowPackets === undefined ? {} : { windowPackets: options.windowPackets }),
  };
  return simulateNic(packets, nic);
}

/** Of merged traces: the rows of the longest path, and the bits of all. The last one is the host's. */
function costsOf(profile: ProgramProfile, unit: CacheUnit, count: number): TraceCosts[] {
  const cycles = new Array<number>(count + 1).fill(0);
  const bits = new Array<number>(count + 1).fill(0);
  for (const [path, { trace, merged, tcam }] of profile.traces.entries()) {
    if (merged === HOST_ONLY) continue;
    const n = unit === "path" ? path : merged;
    const rows = scheduleTrace(trace, profile.expressions, HXDP_MACHINE).schedule.cycles;
    cycles[n] = Math.max(cycles[n]!, rows);
    bits[n]! += tcam.bits;
  }
  return cycles.map((rows, n) => ({ cycles: rows, tcamBits: bits[n]! }));
}

export interface AttackPhases {
  /** Packets before the attack, during it, and after it. */
  readonly before: number;
  readonly during: number;
  readonly after: number;
}

export interface AttackRow {
  readonly unit: CacheUnit;
  readonly policy: PolicyName;
  /** Share of packets on the host in each phase. */
  readonly missBefore: number;
  readonly missDuring: number;
  readonly missAfter: number;
  readonly hostLoad: number;
  readonly lost: number;
  readonly installed: number;
  /** Packets after the attack until the share on the NIC was within two percent of before, for good. */
  readonly recoveryPackets: number;
}

const RECOVERED = 0.02;

/** Ordinary packets, an attack among them, ordinary ones again: the profile's packets in three phases. */
export function runAttack(
  profile: ProgramProfile,
  phases: AttackPhases,
  options: NicRunOptions,
): AttackRow {
  const windowPackets = options.windowPackets ?? 500;
  const report = runNic(profile, { ...options, windowPackets });
  const { windows } = report;
  const first = Math.floor(phases.before / windowPackets);
  const last = Math.floor((phases.before + phases.during) / windowPackets);
  const mean = (list: readonly number[]): number =>
    list.reduce((sum, one) => sum + one, 0) / Math.max(1, list.length);
  // What was warm before: the second half of the first phase.
  const before = mean(windows.slice(first >> 1, first));
  const rest = windows.slice(last);
  let recovered = rest.length;
  while (recovered > 0 && rest[recovered - 1]! >= before - RECOVERED) recovered--;
  return {
    unit: options.unit ?? "merged",
    policy: options.policy,
    missBefore: 1 - before,
    missDuring: 1 - mean(windows.slice(first, last)),
    missAfter: 1 - mean(rest),
    hostLoad: report.hostLoad,
    lost: report.lostOnHost + report.lostOnNic,
    installed: report.installed,
    recoveryPackets: recovered * windowPackets,
  };
}

/** One packet of each path that a program has on some packets, at most `most`. */
export function attackPackets(
  profile: ProgramProfile,
  packets: readonly Uint8Array[],
  most: number,
): Uint8Array[] {
  const first = new Map<number, number>();
  for (const [n, path] of profile.paths.entries()) {
    if (path >= 0 && !first.has(path)) first.set(path, n);
  }
  return [...first.values()].slice(0, most).map((n) => packets[n]!);
}
