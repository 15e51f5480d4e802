/**
 * An XDP program for a device, as its specification has it behind everything else:
 *
 *     tap:tap0,xdp=filter.o,program=filter,engine=interp,map:blocked=blocked.json,index=7
 *
 * Only `xdp=FILE` is needed when the object has one XDP program. The program is verified, compiled and put in
 * front of the device (program-device.ts).
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { NetError } from "../base/errors.js";
import { EbpfError } from "../ebpf/ebpf-error.js";
import type { EngineName, XdpInstance } from "../ebpf/instance.js";
import { instanceMap, writeEntries } from "../ebpf/map-text.js";
import { type BpfObject, parseObject } from "../ebpf/object.js";
import type { Pool } from "../ring/pool.js";
import { interfaceIndex } from "../sys/xdp-link.js";
import { type AttachedProgram, attachProgram } from "./attach-program.js";
import type { Device } from "./device.js";
import type { FrameProgram } from "./frame-program.js";
import { RedirectPorts } from "./redirect-ports.js";

export interface ProgramSettings {
  /** The object file. */
  readonly file: string;
  readonly program?: string;
  readonly engine?: EngineName | "trace";
  /** Index that the program sees and others redirect to; by default the kernel's, where there is one. */
  readonly index?: number;
  /** Maps to be filled, and the files of their entries (docs/ebpf.md). */
  readonly maps: readonly (readonly [name: string, file: string])[];
}

const MARK = ",xdp=";
const KNOWN = "program=NAME, engine=interp|wasm|trace, index=N, map:NAME=FILE";

/** Splits a specification; the program is null when there is none. Throws `TypeError`. */
export function splitProgram(specification: string): {
  readonly device: string;
  readonly program: ProgramSettings | null;
} {
  const at = specification.indexOf(MARK);
  if (at < 0) return { device: specification, program: null };
  const [file = "", ...parts] = specification.slice(at + MARK.length).split(",");
  if (file === "") throw new TypeError("xdp: expected a file after xdp=");
  const maps: [string, string][] = [];
  let settings: Omit<ProgramSettings, "file" | "maps"> = {};
  for (const part of parts) {
    const map = /^map:([^=]+)=(.+)$/s.exec(part);
    if (map !== null) maps.push([map[1]!, map[2]!]);
    else settings = { ...settings, ...readSetting(file, part) };
  }
  return { device: specification.slice(0, at), program: { file, maps, ...settings } };
}

function readSetting(file: string, part: string): Omit<ProgramSettings, "file" | "maps"> {
  const [key = "", value = ""] = part.split(/=(.*)/s);
  if (key === "program" && value !== "") return { program: value };
  const isEngine = value === "interp" || value === "wasm" || value === "trace";
  if (key === "engine" && isEngine) return { engine: value };
  if (key === "index" && /^[1-9]\d{0,8}$/.test(value)) return { index: Number(value) };
  throw new TypeError(`xdp: expected ${KNOWN} after ${file}, got ${JSON.stringify(part)}`);
}

/** What stands behind `xdp=`, its file names absolute. */
export function absoluteFiles(program: string, folder = "."): string {
  const [file = "", ...parts] = program.split(",");
  const settings = parts.map((part) =>
    part.replace(
      /^(map:[^=]+=)(.+)$/s,
      (_, name: string, path: string) => name + resolve(folder, path),
    ),
  );
  return [resolve(folder, file), ...settings].join(",");
}

/** A specification whose program's file names are absolute, for a process in another folder. */
export function withAbsoluteFiles(specification: string): string {
  const at = specification.indexOf(MARK);
  if (at < 0) return specification;
  const end = at + MARK.length;
  return specification.slice(0, end) + absoluteFiles(specification.slice(end));
}

/** Makes traces of a program; for who may know of them. */
export type Tracing = (instance: XdpInstance) => FrameProgram;

/**
 * Puts the program in front of a device. Throws `EbpfError`, `NetError`, what reading a file throws, and
 * `TypeError` for engine=trace where there is no tracing.
 */
export function attachSettings(
  device: Device,
  pool: Pool,
  { file, maps, engine = "wasm", ...options }: ProgramSettings,
  tracing?: Tracing,
): AttachedProgram {
  const object = objectOf(file);
  const index = options.index ?? kernelIndex(device.name);
  if (engine === "trace" && tracing === undefined) {
    throw new TypeError("xdp: engine=trace is for millrace engine and millrace run");
  }
  const how =
    engine === "trace" && tracing !== undefined
      ? { engine: "wasm" as const, wrap: tracing }
      : { engine: engine as EngineName };
  const attached = attachProgram(device, pool, object, { ...options, ...how, index });
  try {
    for (const [name, path] of maps) {
      if (!object.maps.some((map) => map.name === name)) throw noMap(file, object, name);
      const map = instanceMap(attached.instance, name);
      writeEntries(object, name, readFileSync(path, "utf8"), path, map);
    }
  } catch (error) {
    attached.close();
    throw error;
  }
  return attached;
}

/** Makes a device without a program one that others redirect to, where the kernel has an index for it. */
export function addRedirectPort(device: Device, pool: Pool): void {
  const index = kernelIndex(device.name);
  if (index !== 0) RedirectPorts.of(pool).add(index, device);
}

function objectOf(file: string): BpfObject {
  try {
    return parseObject(readFileSync(file));
  } catch (error) {
    if (error instanceof EbpfError) throw new EbpfError(error.code, `${file}: ${error.message}`);
    throw error;
  }
}

function noMap(file: string, { maps }: BpfObject, name: string): EbpfError {
  const names = maps.map((map) => map.name).join(", ") || "none";
  return new EbpfError("EINVAL", `${file}: there is no map ${name}; the object has: ${names}`);
}

/** 0: the kernel has no such interface. */
function kernelIndex(name: string): number {
  try {
    return interfaceIndex(name);
  } catch (error) {
    if (error instanceof NetError) return 0;
    throw error;
  }
}
