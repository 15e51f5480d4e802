/** A program ready to take packets, in one of our engines or in the kernel. */
import { NetError } from "../../base/errors.js";
import { EbpfError } from "../../ebpf/ebpf-error.js";
import { XdpInstance } from "../../ebpf/instance.js";
import { definitionOf, instanceMap, type WritableMap } from "../../ebpf/map-text.js";
import type { BpfObject } from "../../ebpf/object.js";
import { isForCpuMap, isForDeviceMap } from "../../ebpf/xdp-section.js";
import { KernelObject, type KernelRun } from "../../nic/kernel-object.js";
import type { BpfMap } from "../../sys/bpf-map.js";
import { ChosenProgram } from "../../xdp/chosen-program.js";

/** Of random numbers: the same every time, as in the debugger and on the page. */
export const SEED = 1;

export const ENGINE_NAMES = ["interp", "wasm", "trace", "kernel"] as const;
export type RunnerName = (typeof ENGINE_NAMES)[number];

export interface RunnerResult {
  readonly verdict: number;
  readonly packet: Uint8Array;
  /** Where XDP_REDIRECT goes, in words; empty when unknown or none. */
  readonly target: string;
}

export interface Runner {
  /** `timeNs` is the time that the program sees; the kernel has its own. */
  run(packet: Uint8Array, timeNs: bigint): RunnerResult;
  map(name: string): WritableMap;
  /** What of the engine ran, where it has a choice. */
  choice?(): string;
  close(): void;
}

export interface RunnerOptions {
  readonly program: string;
  readonly maxEntries: Readonly<Record<string, number>>;
  /** Arrays whose values are part of traces. */
  readonly specialises?: readonly string[];
  readonly print: (line: string) => void;
  /** Called once maps are there, and before the kernel knows constants for good. */
  readonly fill: (mapOf: (name: string) => WritableMap) => void;
}

/** Throws `EbpfError`, `NetError`. */
export function openRunner(engine: RunnerName, object: BpfObject, options: RunnerOptions): Runner {
  return engine === "kernel" ? openKernel(object, options) : openEngine(engine, object, options);
}

function openEngine(
  engine: "interp" | "wasm" | "trace",
  object: BpfObject,
  options: RunnerOptions,
): Runner {
  const host = engine === "trace" ? "wasm" : engine;
  const { program, maxEntries, print, fill, specialises = [] } = options;
  const settings = { program, maxEntries, print, seed: SEED, engine: host } as const;
  const instance = XdpInstance.open(object, settings);
  fill((name) => instanceMap(instance, name));
  const chosen = engine === "trace" ? new ChosenProgram(instance, { specialises }) : null;
  return {
    run(packet, timeNs) {
      instance.runtime.setTime(timeNs);
      const { verdict, packet: left, redirect } = (chosen ?? instance).run(packet);
      const target = redirect === null ? "" : `${redirect.map ?? "interface"} ${redirect.key}`;
      return { verdict, packet: left, target };
    },
    map: (name) => instanceMap(instance, name),
    ...(chosen === null ? {} : { choice: () => chosen.choice }),
    close() {},
  };
}

/** As many buffers as the kernel's test runs have (MAX_SKB_FRAGS of a page each, and the first), and room to grow. */
const KERNEL_OUT_BYTES = 20 * 4096;
/** A page without room in front and what the kernel keeps behind; what is more than all of the buffers take. */
const KERNEL_FIRST_BYTES = 3_520;
const KERNEL_LONGEST_BYTES = KERNEL_FIRST_BYTES + 17 * 4096;

function openKernel(object: BpfObject, options: RunnerOptions): Runner {
  const { program, maxEntries, fill } = options;
  const kernel = KernelObject.load(object, {
    program,
    maxEntries,
    fill: (mapOf, refer) =>
      fill((name) => ({
        ...kernelMap(mapOf(name)),
        refer: (key, target) => refer(name, key, target),
      })),
  });
  const out = new Uint8Array(KERNEL_OUT_BYTES);
  let packets = 0;
  const section = object.programs.find(({ name }) => name === program)?.section ?? "";
  return {
    run(packet) {
      packets++;
      const { verdict, lengthBytes, metadataBytes } = runInKernel(
        kernel,
        packet,
        out,
        section,
        packets,
      );
      return { verdict, packet: out.slice(metadataBytes, lengthBytes), target: "" };
    },
    map: (name) => kernelMap(kernel.map(name)),
    close: () => kernel.close(),
  };
}

/** Runs packet `n`, from 1. Throws `EbpfError` for what the kernel's test runs do not take. */
function runInKernel(
  kernel: KernelObject,
  packet: Uint8Array,
  out: Uint8Array,
  section: string,
  n: number,
): KernelRun {
  try {
    return kernel.run(packet, out);
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    if (error.code === "EINVAL" && (isForDeviceMap(section) || isForCpuMap(section))) {
      throw new EbpfError(
        "ENOTSUP",
        `the kernel has no test runs of programs in section ${section}: choose another --engine`,
      );
    }
    if (packet.length <= KERNEL_FIRST_BYTES) throw error;
    throw new EbpfError(
      "EINVAL",
      `packet ${n}: ${error.code}: it has ${packet.length} bytes, and the kernel's test run (BPF_PROG_TEST_RUN) ` +
        `takes at most ${KERNEL_LONGEST_BYTES} (${KERNEL_FIRST_BYTES} before Linux 5.18): choose another --engine`,
    );
  }
}

export function kernelMap(map: BpfMap): WritableMap {
  return {
    bufferBytes: map.bufferBytes,
    write: (key, value) => map.update(key, value),
    entries: () =>
      map.keys().flatMap((key) => {
        const value = new Uint8Array(map.bufferBytes);
        return map.lookup(key, value) === 0 ? [{ key, value }] : [];
      }),
  };
}

/** `--max-entries map=number`. Throws `RangeError`, and `EbpfError` EINVAL for a map that the object has not. */
export function parseSizes(
  object: BpfObject | null,
  texts: readonly string[] = [],
): Record<string, number> {
  return Object.fromEntries(
    texts.map((text) => {
      const match = /^([^=]+)=([1-9]\d{0,8})$/.exec(text);
      if (match === null) throw new RangeError(`--max-entries: expected MAP=NUMBER, got ${text}`);
      const name = match[1]!;
      if (object !== null) definitionOf(object, name);
      return [name, Number(match[2])];
    }),
  );
}
