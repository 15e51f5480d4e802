/** All tables of one program: what `millrace xdp eval` and docs/xdp-evaluation.md show. */
import { Random } from "../base/random.js";
import type { XdpInstance, XdpOptions } from "../ebpf/instance.js";
import type { BpfObject } from "../ebpf/object.js";
import type { PolicyName } from "./cache-policies.js";
import type { CacheCapacity, CacheUnit } from "./cache-policy.js";
import { type ProgramProfile, profileProgram } from "./evaluation.js";
import { cacheUse, type PathTable, pathTable } from "./evaluation-cache.js";
import {
  type AttackPhases,
  type AttackRow,
  attackPackets,
  runAttack,
  runNic,
} from "./evaluation-nic.js";
import { type MapStateRow, stateTable } from "./evaluation-state.js";
import { cyclesPerPacket, type VliwTable, vliwTable, withMachine } from "./evaluation-vliw.js";
import { cyclicAttack, mutatePacket } from "./hostile.js";
import type { NicReport } from "./nic-simulator.js";
import { HXDP_MACHINE } from "./vliw.js";

export const TABLE_NAMES = ["paths", "cache", "vliw", "nic", "state", "attack"] as const;
export type TableName = (typeof TABLE_NAMES)[number];

export interface EvaluationOptions extends XdpOptions {
  readonly setUp?: (instance: XdpInstance) => void;
  readonly tables: readonly TableName[];
  readonly sizes: readonly number[];
  /** Sizes of caches in bits of TCAM; none by default. */
  readonly tcamSizes?: readonly number[];
  readonly policies: readonly PolicyName[];
  /** Size of the cache where only one is looked at. */
  readonly entries: number;
  /** The same one's size in bits of TCAM; not limited by default. */
  readonly tcamBits?: number;
  /** Header bytes changed in each hostile packet; 0: no hostile traffic. */
  readonly hostileEdits: number;
  readonly packetsPerS: number;
  /** Rates of the control plane's writes to each map that programs only read. */
  readonly updatesPerS: readonly number[];
  readonly seed: number;
  /** What is being done, and how far; false ends it. */
  readonly progress?: (what: string, done: number, all: number) => boolean;
}

export interface HitRow {
  readonly traffic: "ordinary" | "hostile";
  readonly unit: CacheUnit;
  readonly policy: PolicyName;
  /** Capacity of the cache, one of both. */
  readonly entries?: number;
  readonly tcamBits?: number;
  readonly hitRate: number;
  /** What it held at most, at once. */
  readonly mostEntries: number;
  readonly mostTcamBits: number;
}

export interface MachineRow {
  readonly lanes: number;
  readonly lookupCycles: number;
  readonly cycles: number;
}

export interface StateRow extends MapStateRow {
  readonly updatesPerS: number;
}

export interface ProgramEvaluation {
  readonly object: string;
  readonly program: string;
  readonly paths: { readonly ordinary: PathTable; readonly hostile: PathTable | null } | null;
  readonly cache: readonly HitRow[];
  readonly vliw: VliwTable | null;
  readonly machines: readonly MachineRow[];
  readonly nic: NicReport | null;
  readonly state: readonly StateRow[];
  readonly attack: readonly AttackRow[];
}

const LANES = [1, 2, 4, 8];
const LOOKUP_CYCLES = [1, 2, 4, 8];
const ATTACK_PATHS = 128;
const STATE_PACKETS = 20_000;

/** Throws `EbpfError`, as opening an instance does. */
export function evaluateProgram(
  object: BpfObject,
  names: { readonly object: string; readonly program: string },
  packets: readonly Uint8Array[],
  options: EvaluationOptions,
): ProgramEvaluation {
  return new Evaluation(object, names.program, packets, options).run(names.object);
}

class Evaluation {
  private readonly object: BpfObject;
  private readonly program: string;
  private readonly packets: readonly Uint8Array[];
  private readonly options: EvaluationOptions;

  constructor(
    object: BpfObject,
    program: string,
    packets: readonly Uint8Array[],
    options: EvaluationOptions,
  ) {
    this.object = object;
    this.program = program;
    this.packets = packets;
    this.options = options;
  }

  run(object: string): ProgramEvaluation {
    const { options, packets } = this;
    const has = (table: TableName): boolean => options.tables.includes(table);
    const ordinary = this.profile("ordinary packets", packets, has("state") ? STATE_PACKETS : 0);
    const wantsHostile =
      options.hostileEdits > 0 && (has("paths") || has("cache") || has("attack"));
    const random = new Random(options.seed);
    const mutated = wantsHostile
      ? packets.map((packet) => mutatePacket(packet, options.hostileEdits, random))
      : [];
    const hostile = wantsHostile ? this.profile("hostile packets", mutated, 0) : null;
    const linked = this.object.programs.find(({ name }) => name === this.program)!;
    return {
      object,
      program: this.program,
      paths: has("paths")
        ? { ordinary: pathTable(ordinary), hostile: hostile && pathTable(hostile) }
        : null,
      cache: has("cache")
        ? [...this.hits("ordinary", ordinary), ...this.hits("hostile", hostile)]
        : [],
      vliw: has("vliw") ? vliwTable(ordinary, linked, HXDP_MACHINE) : null,
      machines: has("vliw") ? machineRows(ordinary) : [],
      nic: has("nic") ? this.nic(ordinary) : null,
      state: has("state") ? this.state(ordinary) : [],
      attack: has("attack") && hostile !== null ? this.attack(hostile, mutated) : [],
    };
  }

  private profile(
    what: string,
    packets: readonly Uint8Array[],
    accessPackets: number,
  ): ProgramProfile {
    const { progress, setUp, maxEntries, cpus, seed } = this.options;
    return profileProgram(this.object, this.program, packets, {
      accessPackets,
      seed,
      ...(setUp === undefined ? {} : { setUp }),
      ...(maxEntries === undefined ? {} : { maxEntries }),
      ...(cpus === undefined ? {} : { cpus }),
      print: () => {},
      progress: (done, all) => progress?.(`${this.program}, ${what}`, done, all) ?? true,
    });
  }

  private hits(traffic: "ordinary" | "hostile", profile: ProgramProfile | null): HitRow[] {
    if (profile === null) return [];
    const { sizes, policies, tcamSizes = [] } = this.options;
    const capacities: CacheCapacity[] = [
      ...sizes.map((entries) => ({ entries })),
      ...tcamSizes.map((tcamBits) => ({ tcamBits })),
    ];
    return (["path", "merged"] as const).flatMap((unit) =>
      policies.flatMap((policy) =>
        capacities.map((capacity) => ({
          traffic,
          unit,
          policy,
          ...capacity,
          ...cacheUse(profile, unit, policy, capacity),
        })),
      ),
    );
  }

  /** Where only one size is looked at. */
  private get oneCache(): {
    entries: number;
    tcamBits?: number;
    packetsPerS: number;
    seed: number;
  } {
    const { entries, tcamBits, packetsPerS, seed } = this.options;
    return { entries, packetsPerS, seed, ...(tcamBits === undefined ? {} : { tcamBits }) };
  }

  private nic(profile: ProgramProfile): NicReport {
    return runNic(profile, { policy: "lru", ...this.oneCache });
  }

  private state(profile: ProgramProfile): StateRow[] {
    const { updatesPerS } = this.options;
    return updatesPerS.flatMap((rate, n) =>
      stateTable(profile, { ...this.oneCache, updatesPerS: rate })
        // Maps that nobody but the program writes are the same at every rate.
        .filter(({ model }) => n === 0 || model === "epochs" || model === "replicated")
        .map((row) => ({ updatesPerS: rate, ...row })),
    );
  }

  /** Ordinary packets; then as many of an attacker between them; then ordinary ones again. */
  private attack(hostile: ProgramProfile, mutated: readonly Uint8Array[]): AttackRow[] {
    const { packets, options } = this;
    const third = Math.floor(packets.length / 3);
    const paths = attackPackets(hostile, mutated, ATTACK_PATHS);
    const attackers = cyclicAttack(paths, third);
    const during = packets.slice(third, 2 * third).flatMap((one, n) => [one, attackers[n]!]);
    const all = [...packets.slice(0, third), ...during, ...packets.slice(2 * third)];
    const profile = this.profile("attack", all, 0);
    const phases: AttackPhases = {
      before: third,
      during: during.length,
      after: packets.length - 2 * third,
    };
    return (["path", "merged"] as const).flatMap((unit) =>
      options.policies
        .filter((policy) => policy !== "belady")
        .map((policy) => runAttack(profile, phases, { unit, policy, ...this.oneCache })),
    );
  }
}

function machineRows(profile: ProgramProfile): MachineRow[] {
  const row = (lanes: number, lookupCycles: number): MachineRow => ({
    lanes,
    lookupCycles,
    cycles: cyclesPerPacket(profile, withMachine({ lanes, lookup: lookupCycles })),
  });
  return [...LANES.map((lanes) => row(lanes, 4)), ...LOOKUP_CYCLES.map((cycles) => row(4, cycles))];
}
