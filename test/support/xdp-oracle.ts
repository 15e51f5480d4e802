/** A program in the kernel and in the engines, side by side. */
import assert from "node:assert/strict";
import { XdpInstance, type XdpOptions } from "../../src/ebpf/instance.js";
import { isPerCpu, MapType } from "../../src/ebpf/map-type.js";
import type { BpfObject } from "../../src/ebpf/object.js";
import { KernelObject } from "../../src/nic/kernel-object.js";
import { possibleCpus } from "../../src/sys/bpf-map.js";
import { TracedProgram, type TracingOptions } from "../../src/xdp/traced-program.js";
import { BURST_PACKETS, Bursts, openForBursts } from "./xdp-bursts.js";
import { type CacheKind, cacheOptions } from "./xdp-caches.js";
import type { MapEntry } from "./xdp-setups.js";

/** The engines, and traces with a cache that has no limit. */
export const ENGINES = ["interp", "wasm", "traces"] as const;
export type EngineKind = (typeof ENGINES)[number];

/** An instance, and what runs packets on it. */
export interface Opened {
  readonly name: string;
  readonly instance: XdpInstance;
  readonly runner: Pick<XdpInstance, "run">;
  /** null: not by traces. */
  readonly traced: TracedProgram | null;
  /** Runs packets many a call; null: one by one. */
  readonly bursts?: Bursts;
}

/** The compiled program in bursts. */
function openBursts(object: BpfObject, options: XdpOptions): Opened {
  const instance = openForBursts(object, { ...options, engine: "wasm" });
  const bursts = new Bursts(instance, instance);
  return { name: "wasm in bursts", instance, runner: instance, traced: null, bursts };
}

/** Every other kind of cache has packets in bursts. */
function openCache(kind: CacheKind, n: number, object: BpfObject, options: XdpOptions): Opened {
  const tracing = cacheOptions(kind, n);
  if (n % 2 === 0) return openTraced(kind.name, object, options, tracing);
  const instance = openForBursts(object, { ...options, engine: "wasm" });
  const traced = new TracedProgram(instance, tracing);
  const bursts = new Bursts(instance, traced);
  return { name: `${kind.name} in bursts`, instance, runner: traced, traced, bursts };
}

/** The interpreter checks every access; traces are compiled at once. */
export function openContestant(name: EngineKind, object: BpfObject, options: XdpOptions): Opened {
  if (name === "traces") return openTraced(name, object, options, { compilesAfter: 0 });
  const instance = XdpInstance.open(object, {
    ...options,
    engine: name,
    isStrict: name === "interp",
  });
  return { name, instance, runner: instance, traced: null };
}

function openTraced(
  name: string,
  object: BpfObject,
  options: XdpOptions,
  tracing: TracingOptions,
): Opened {
  const instance = XdpInstance.open(object, { ...options, engine: "wasm" });
  const traced = new TracedProgram(instance, tracing);
  return { name, instance, runner: traced, traced };
}

/** Maps that programs write and processes read; the others' contents are descriptors. */
const COMPARED: ReadonlySet<number> = new Set([
  MapType.HASH,
  MapType.ARRAY,
  MapType.PERCPU_HASH,
  MapType.PERCPU_ARRAY,
  MapType.LRU_HASH,
  MapType.LRU_PERCPU_HASH,
  MapType.LPM_TRIE,
]);

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export class Oracle {
  readonly kernel: KernelObject;
  readonly engines: readonly Opened[];
  /** Packets times engines. */
  comparisons = 0;
  /** Those of them with traces. */
  tracedComparisons = 0;
  readonly verdicts = new Map<number, number>();
  private readonly object: BpfObject;
  private readonly name: string;
  private readonly out = new Uint8Array(8192);
  /** Packets for the next burst, and what the kernel made of them. */
  private waiting: { packet: Uint8Array; verdict: number; theirs: Uint8Array }[] = [];

  /** `caches`: of the contestants with traces that are more than {@link ENGINES}. */
  constructor(name: string, object: BpfObject, program: string, caches: readonly CacheKind[]) {
    this.name = `${name} ${program}`;
    this.object = object;
    this.kernel = KernelObject.load(object, { program });
    const options = { program, cpus: possibleCpus(), seed: 1 };
    this.engines = [
      ...ENGINES.map((engine) => openContestant(engine, object, options)),
      openBursts(object, options),
      ...caches.map((kind, n) => openCache(kind, n, object, options)),
    ];
  }

  fill(entries: readonly MapEntry[]): void {
    for (const { map, key, value } of entries) {
      const theirs = this.kernel.map(map);
      const all = repeat(value, theirs.bufferBytes);
      const results = [theirs.update(key, all)];
      for (const { instance } of this.engines) results.push(instance.map(map).set(key, all));
      assert.equal(new Set(results).size, 1, `${this.name}: ${map} ${text(key)}: ${results}`);
    }
  }

  /** Runs everyone on a packet and compares verdict, length and bytes. */
  compare(packet: Uint8Array): void {
    const { verdict, lengthBytes } = this.kernel.run(packet, this.out);
    const theirs = this.out.subarray(0, lengthBytes);
    this.verdicts.set(verdict, (this.verdicts.get(verdict) ?? 0) + 1);
    this.waiting.push({ packet, verdict, theirs: theirs.slice() });
    if (this.waiting.length === BURST_PACKETS) this.compareBursts();
    for (const { name: engine, runner, traced, bursts } of this.engines) {
      if (bursts !== undefined) continue;
      const { verdict: ours, packet: left, metadata } = runner.run(packet);
      if (traced !== null) this.tracedComparisons++;
      const bytes = metadata.length === 0 ? left : Buffer.concat([metadata, left]);
      this.comparisons++;
      if (ours === verdict && Buffer.compare(bytes, theirs) === 0) continue;
      assert.fail(
        `${this.name}, ${engine}, packet ${text(packet)}: ` +
          `kernel ${verdict} ${text(theirs)}, ${engine} ${ours} ${text(bytes)}`,
      );
    }
  }

  /** Metadata are not looked at: records do not say where they begin. */
  private compareBursts(): void {
    const { waiting } = this;
    this.waiting = [];
    const packets = waiting.map(({ packet }) => packet);
    for (const { name: engine, traced, bursts } of this.engines) {
      if (bursts === undefined) continue;
      for (const [n, { verdict: ours, packet: left }] of bursts.run(packets).entries()) {
        const { packet, verdict, theirs } = waiting[n]!;
        if (traced !== null) this.tracedComparisons++;
        this.comparisons++;
        const bytes = theirs.subarray(theirs.length - left.length);
        if (ours === verdict && Buffer.compare(left, bytes) === 0) continue;
        assert.fail(
          `${this.name}, ${engine}, packet ${text(packet)}: ` +
            `kernel ${verdict} ${text(theirs)}, ${engine} ${ours} ${text(left)}`,
        );
      }
    }
  }

  /** Compares the contents of all maps; those of per-CPU maps summed, as who ran where differs. */
  compareMaps(): number {
    this.compareBursts();
    let compared = 0;
    for (const { name, type } of this.object.maps) {
      if (!COMPARED.has(type)) continue;
      const theirs = this.kernelContents(name, type);
      for (const { name: engine, instance } of this.engines) {
        const ours = instance
          .map(name)
          .entries()
          .map(({ key, value }) => `${text(key)} ${summed(value, type)}`);
        assert.deepEqual(ours.sort(), theirs, `${this.name}, ${engine}: map ${name}`);
        compared += ours.length;
      }
    }
    return compared;
  }

  private kernelContents(name: string, type: number): string[] {
    const map = this.kernel.map(name);
    const value = new Uint8Array(map.bufferBytes);
    return map
      .keys()
      .map((key) => {
        assert.equal(map.lookup(key, value), 0);
        return `${text(key)} ${summed(value, type)}`;
      })
      .sort();
  }

  /** Packets that ran by a trace. Every trace has found its place in the tree. */
  get byTrace(): number {
    let sum = 0;
    for (const { traced } of this.engines) {
      if (traced === null) continue;
      assert.equal(traced.refused, 0, `${this.name}: a trace has no place in the tree`);
      sum += traced.counters.hits;
    }
    return sum;
  }

  close(): void {
    this.kernel.close();
  }
}

/** A value for each CPU, each in eight bytes or a multiple. */
function repeat(value: Uint8Array, lengthBytes: number): Uint8Array {
  const all = new Uint8Array(lengthBytes);
  const stride = lengthBytes === value.length ? lengthBytes : Math.ceil(value.length / 8) * 8;
  for (let at = 0; at < lengthBytes; at += stride) all.set(value, at);
  return all;
}

function summed(value: Uint8Array, type: number): string {
  if (!isPerCpu(type)) return text(value);
  const cpus = possibleCpus();
  const stride = value.length / cpus;
  const words = new BigUint64Array(stride / 8);
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  for (let at = 0; at < value.length; at += 8) {
    words[(at % stride) / 8]! += view.getBigUint64(at, true);
  }
  return words.join();
}
