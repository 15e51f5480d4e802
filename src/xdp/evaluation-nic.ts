/** The whole NIC under a program's traffic, and under attack: table T7. */
import { Random } from "../base/random.js";
import { arrivalTimes } from "./arrivals.js";
import { makePolicy, type PolicyName } from "./cache-policies.js";
import { CacheSimulator } from "./cache-simulator.js";
import { HOST_ONLY, mergedOf, type ProgramProfile } from "./evaluation.js";
import { cyclesOfMerged } from "./evaluation-vliw.js";
import {
  type NicMachine,
  type NicOptions,
  type NicPacket,
  type NicReport,
  simulateNic,
} from "./nic-simulator.js";
import { HXDP_MACHINE } from "./vliw.js";

export interface NicRunOptions {
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
  const { entries, packetsPerS, seed = 1, tcamBits } = options;
  const merged = mergedOf(profile);
  const hostTrace = profile.mergedCount; // one number for all that only the host runs
  const traces = merged.map((one) => (one === HOST_ONLY ? hostTrace : one));
  const bits = new Float64Array(profile.mergedCount);
  for (const one of profile.traces)
    if (one.merged !== HOST_ONLY) bits[one.merged]! += one.tcam.bits;
  const costs = cyclesOfMerged(profile, HXDP_MACHINE).map((cycles, n) => ({
    cycles,
    tcamBits: bits[n]!,
  }));
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
    costs: [...costs, { cycles: 0, tcamBits: 0 }],
    ...(options.machine === undefined ? {} : { machine: options.machine }),
    ...(options.windowPackets === undefined ? {} : { windowPackets: options.windowPackets }),
  };
  return simulateNic(packets, nic);
}

export interface AttackPhases {
  /** Packets before the attack, during it, and after it. */
  readonly before: number;
  readonly during: number;
  readonly after: number;
}

export interface AttackRow {
  readonly policy: PolicyName;
  /** Share of packets on the host in each phase. */
  readonly missBefore: number;
  readonly missDuring: number;
  readonly missAfter: number;
  readonly hostLoad: number;
  readonly lost: number;
  readonly installed: number;
  /** Packets after the attack until the share on the NIC was within one percent of before, for good. */
  readonly recoveryPackets: number;
}

const RECOVERED = 0.01;

/** Ordinary packets, an attack among them, ordinary ones again: the profile's packets in three phases. */
export function runAttack(
  profile: ProgramProfile,
  phases: AttackPhases,
  options: NicRunOptions,
): AttackRow {
  const windowPackets = options.windowPackets ?? 250;
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

/** One packet of each path that a program has on some packets, at most `most`, rarest last. */
export function attackPackets(
  profile: ProgramProfile,
  packets: readonly Uint8Array[],
  most: number,
): Uint8Array[] {
  const merged = mergedOf(profile);
  const first = new Map<number, number>();
  for (const [n, trace] of merged.entries()) {
    if (trace !== HOST_ONLY && !first.has(trace)) first.set(trace, n);
  }
  return [...first.values()].slice(0, most).map((n) => packets[n]!);
}
