/**
 * A program on a sequence of packets, measured: its paths, its traces, and which entries of maps its packets
 * use. The tables of docs/xdp-evaluation.md are made of it (evaluation-*.ts).
 */
import type { SourceLine } from "../ebpf/btf-ext.js";
import { type EngineName, XdpInstance, type XdpOptions } from "../ebpf/instance.js";
import type { BpfObject } from "../ebpf/object.js";
import { AccessLog } from "./access-log.js";
import { actionKey } from "./action-key.js";
import type { TcamSize } from "./condition.js";
import type { MapAccess } from "./consistency-run.js";
import type { Expressions } from "./expr.js";
import { findMapUse, type MapUse } from "./map-use.js";
import { PathRecorder } from "./path-log.js";
import { tcamSize } from "./tcam.js";
import type { Trace } from "./trace.js";

export interface TraceProfile {
  readonly trace: Trace;
  /** Paths that come to the same action (action-key.ts) are one on the NIC: its number. -1: only the host may run it. */
  readonly merged: number;
  readonly tcam: TcamSize;
  packets: number;
}

export interface ProgramProfile {
  readonly name: string;
  /** Words of the program. */
  readonly instructions: number;
  /** The number of each packet's path; -1: no trace was made of it, it is the host's. */
  readonly paths: Int32Array;
  readonly lengths: Int32Array;
  /** By path. */
  readonly traces: readonly TraceProfile[];
  /** Of merged traces. */
  readonly mergedCount: number;
  readonly expressions: Expressions;
  /** Why packets of path -1 have none. */
  readonly fullReason: string | null;
  /** The source line of a word of a trace; null when the object does not say. */
  readonly sourceOf: (word: number) => SourceLine | null;
  readonly maps: readonly MapUse[];
  /** Of the first packets. */
  readonly accesses: readonly (readonly MapAccess[])[];
}

export interface ProfileOptions extends XdpOptions {
  /** Puts entries into the maps before the first packet. */
  readonly setUp?: (instance: XdpInstance) => void;
  /** For how many packets the use of maps is noted, which takes longer. */
  readonly accessPackets?: number;
  /** Called now and then; false ends the work with the packets so far. */
  readonly progress?: (done: number, all: number) => boolean;
}

const DEFAULT_ACCESS_PACKETS = 20_000;
const PROGRESS_PACKETS = 500;
export const HOST_ONLY = -1;

/** Throws `EbpfError`, as opening an instance does. */
export function profileProgram(
  object: BpfObject,
  program: string,
  packets: readonly Uint8Array[],
  options: ProfileOptions = {},
): ProgramProfile {
  const { setUp, accessPackets = DEFAULT_ACCESS_PACKETS, progress = () => true, ...rest } = options;
  const open = (engine: EngineName): XdpInstance => {
    const instance = XdpInstance.open(object, { seed: 1, ...rest, engine, program });
    setUp?.(instance);
    return instance;
  };
  const linked = object.programs.find(({ name }) => name === program)!;
  const maps = findMapUse(object, linked);
  const recorder = new PathRecorder(open("wasm"));
  const paths: number[] = [];
  for (const [n, packet] of packets.entries()) {
    paths.push(recorder.add(packet));
    if (n % PROGRESS_PACKETS === 0 && !progress(n, packets.length)) break;
  }
  const accesses = recordAccesses(open("interp"), maps, packets.slice(0, accessPackets));
  return {
    name: program,
    instructions: linked.code.length / 8,
    paths: Int32Array.from(paths),
    lengths: Int32Array.from(paths, (_, n) => packets[n]!.length),
    ...mergeTraces(recorder.traces, recorder.expressions, paths),
    expressions: recorder.expressions,
    fullReason: recorder.fullReason,
    sourceOf: (word) => recorder.sourceOf(word),
    maps,
    accesses,
  };
}

/** Compiled programs look into maps without calling them, so these are interpreted. */
function recordAccesses(
  instance: XdpInstance,
  maps: readonly MapUse[],
  packets: readonly Uint8Array[],
): MapAccess[][] {
  const log = new AccessLog(instance, maps);
  return packets.map((packet) => {
    log.begin();
    instance.run(packet);
    return log.end();
  });
}

function mergeTraces(
  traces: readonly Trace[],
  e: Expressions,
  paths: readonly number[],
): { traces: TraceProfile[]; mergedCount: number } {
  const numbers = new Map<string, number>();
  const profiles = traces.map((trace) => {
    const key = trace.hostOnly === null ? actionKey(e, trace) : null;
    if (key !== null && !numbers.has(key)) numbers.set(key, numbers.size);
    const merged = key === null ? HOST_ONLY : numbers.get(key)!;
    return { trace, merged, tcam: tcamSize(e, trace.condition), packets: 0 };
  });
  for (const path of paths) if (path >= 0) profiles[path]!.packets++;
  return { traces: profiles, mergedCount: numbers.size };
}

/** The merged trace of each packet. */
export function mergedOf(profile: ProgramProfile): Int32Array {
  return profile.paths.map((path) => (path < 0 ? HOST_ONLY : profile.traces[path]!.merged));
}

/** A sum over packets of what each one's trace says, divided by the packets that a trace can run. */
export function meanOverPackets(
  profile: ProgramProfile,
  of: (trace: TraceProfile) => number,
): number {
  let sum = 0;
  let packets = 0;
  for (const trace of profile.traces) {
    if (trace.merged === HOST_ONLY || trace.packets === 0) continue;
    sum += trace.packets * of(trace);
    packets += trace.packets;
  }
  return packets === 0 ? 0 : sum / packets;
}
