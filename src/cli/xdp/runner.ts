/** A program ready to take packets, in one of our engines or in the kernel. */

import { XdpInstance } from "../../ebpf/instance.js";
import { type WritableMap, writable } from "../../ebpf/map-text.js";
import type { BpfObject } from "../../ebpf/object.js";
import { KernelObject } from "../../nic/kernel-object.js";
import type { BpfMap } from "../../sys/bpf-map.js";
import { ChosenProgram } from "../../xdp/chosen-program.js";

export const ENGINE_NAMES = ["interp", "wasm", "trace", "kernel"] as const;
export type RunnerName = (typeof ENGINE_NAMES)[number];

export interface RunnerResult {
  readonly verdict: number;
  readonly packet: Uint8Array;
  /** Where XDP_REDIRECT goes, in words; empty when unknown or none. */
  readonly target: string;
}

export interface Runner {
  run(packet: Uint8Array): RunnerResult;
  map(name: string): WritableMap;
  /** What of the engine ran, where it has a choice. */
  choice?(): string;
  close(): void;
}

export interface RunnerOptions {
  readonly program: string;
  readonly maxEntries: Readonly<Record<string, number>>;
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
  const { program, maxEntries, print, fill } = options;
  const instance = XdpInstance.open(object, { program, maxEntries, print, engine: host });
  fill((name) => instanceMap(instance, name));
  const chosen = engine === "trace" ? new ChosenProgram(instance) : null;
  return {
    run(packet) {
      instance.runtime.setTime(process.hrtime.bigint());
      const { verdict, packet: left, redirect } = (chosen ?? instance).run(packet);
      const target = redirect === null ? "" : `${redirect.map ?? "interface"} ${redirect.key}`;
      return { verdict, packet: left, target };
    },
    map: (name) => instanceMap(instance, name),
    ...(chosen === null ? {} : { choice: () => chosen.choice }),
    close() {},
  };
}

export const instanceMap = (instance: XdpInstance, name: string): WritableMap =>
  writable(instance.map(name));

/** The kernel takes frames of a page, less what it needs itself. */
const KERNEL_OUT_BYTES = 4096;

function openKernel(object: BpfObject, options: RunnerOptions): Runner {
  const { program, maxEntries, fill } = options;
  const kernel = KernelObject.load(object, {
    program,
    maxEntries,
    fill: (mapOf) => fill((name) => kernelMap(mapOf(name))),
  });
  const out = new Uint8Array(KERNEL_OUT_BYTES);
  return {
    run(packet) {
      const { verdict, lengthBytes } = kernel.run(packet, out);
      return { verdict, packet: out.slice(0, lengthBytes), target: "" };
    },
    map: (name) => kernelMap(kernel.map(name)),
    close: () => kernel.close(),
  };
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

/** `--max-entries map=number`. */
export function parseSizes(texts: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    texts.map((text) => {
      const match = /^([^=]+)=([1-9]\d{0,8})$/.exec(text);
      if (match === null) throw new RangeError(`--max-entries: expected MAP=NUMBER, got ${text}`);
      return [match[1]!, Number(match[2])];
    }),
  );
}
