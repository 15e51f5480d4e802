/**
 * An eBPF object in the kernel: its maps made, its program loaded. The same object that the engine of
 * `ebpf/` runs, for comparison and for use.
 */

import { E2BIG, EINVAL, errnoName } from "../base/errno.js";
import { linkMaps } from "../ebpf/assembled-program.js";
import { EbpfError } from "../ebpf/ebpf-error.js";
import { helperName } from "../ebpf/helpers.js";
import { CallKind, Class, INSTRUCTION_BYTES, Jmp, LDDW } from "../ebpf/isa.js";
import { kernelBtf, kernelMapTypes } from "../ebpf/kernel-btf.js";
import type { MapDefinition } from "../ebpf/map-definition.js";
import { MapFlag, MapType } from "../ebpf/map-type.js";
import type { BpfObject, ObjectProgram } from "../ebpf/object.js";
import { isForCpuMap, isForDeviceMap } from "../ebpf/xdp-section.js";
import { BpfMap, type MapTypes, possibleCpus } from "../sys/bpf-map.js";
import {
  AttachType,
  loadProgram,
  ProgramFlag,
  ProgramType,
  type TestRun,
  testRun,
} from "../sys/bpf-program.js";
import { closeFd } from "../sys/fd.js";

/** Puts a program or map of the object into a map of such, by name; returns 0 or a negative error number. */
export type Refer = (map: string, key: Uint8Array, name: string) => number;

/** What is put into maps of programs once those can be loaded. */
type LaterPrograms = { readonly map: BpfMap; readonly key: Uint8Array; readonly name: string }[];

export interface KernelObjectOptions {
  readonly program: string;
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Called before constants (`.rodata`) are frozen and the program is loaded: they can be written then. */
  readonly fill?: (map: (name: string) => BpfMap, refer: Refer) => void;
}

export interface KernelRun extends TestRun {
  /** How much of the output is metadata, which is in front of the packet (bpf_xdp_adjust_meta). */
  readonly metadataBytes: number;
}

/** `struct xdp_md`; in test runs its places are counted from where metadata begins. */
const context = new Uint32Array(6);
const contextBytes = new Uint8Array(context.buffer);
const CONTEXT_START = 0;
const CONTEXT_END = 1;

export class KernelObject {
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly fd: number;
  /** Programs that maps refer to. */
  private readonly others: readonly number[];

  private constructor(maps: ReadonlyMap<string, BpfMap>, fd: number, others: readonly number[]) {
    this.maps = maps;
    this.fd = fd;
    this.others = others;
  }

  /** Throws `VerifierError`, `NetError`, or `EbpfError` for what cannot be loaded this way. */
  static load(object: BpfObject, options: KernelObjectOptions): KernelObject {
    const program = object.programs.find((one) => one.name === options.program);
    if (program === undefined)
      throw new EbpfError("EINVAL", `there is no program ${options.program}`);
    if (program.problem !== null) throw program.problem;
    refuseKernelFunctions(program);
    const maps = new Map<string, BpfMap>();
    const others: number[] = [];
    try {
      for (const map of object.maps) maps.set(map.name, createMap(map, options));
      fillMaps(object, maps);
      const later = programsAtStart(object, maps);
      options.fill?.(
        (name) => mapOf(maps, name),
        (map, key, name) => refer(maps, later, map, key, name),
      );
      freezeConstants(object, maps);
      fillPrograms(object, maps, later, others);
      return new KernelObject(maps, load(object, program, maps), others);
    } catch (error) {
      for (const fd of others) closeFd(fd);
      for (const map of maps.values()) map.close();
      throw error;
    }
  }

  map(name: string): BpfMap {
    return mapOf(this.maps, name);
  }

  /**
   * Runs the program on a packet of at least 14 bytes (BPF_PROG_TEST_RUN); `out` gets its metadata and what it
   * is then. Throws `NetError`: EINVAL for programs of a DEVMAP or CPUMAP, which have no test runs.
   */
  run(packet: Uint8Array, out: Uint8Array): KernelRun {
    context.fill(0);
    context[CONTEXT_END] = packet.length;
    const result = testRun(this.fd, packet, out, contextBytes);
    return { ...result, metadataBytes: context[CONTEXT_START]! };
  }

  close(): void {
    closeFd(this.fd);
    for (const fd of this.others) closeFd(fd);
    for (const map of this.maps.values()) map.close();
  }
}

/** Their numbers are this engine's; in the kernel they are for programs that are bound to a device. */
function refuseKernelFunctions({ name, code }: ObjectProgram): void {
  for (let at = 0; at < code.length; at += INSTRUCTION_BYTES) {
    if (code[at] === LDDW) at += INSTRUCTION_BYTES;
    else if (code[at] === CALL && code[at + 1]! >> 4 === CallKind.BTF) {
      const called = new DataView(code.buffer, code.byteOffset).getInt32(at + 4, true);
      throw new EbpfError(
        "ENOTSUP",
        `${name} calls ${helperName(called)}, a function of the kernel, which cannot be loaded into it from here`,
      );
    }
  }
}

const CALL = Class.JMP | Jmp.CALL;

function mapOf(maps: ReadonlyMap<string, BpfMap>, name: string): BpfMap {
  const map = maps.get(name);
  if (map === undefined) throw new RangeError(`there is no map ${name}`);
  return map;
}

/** Constants of programs: the verifier may then know them, and leave out what they exclude. */
function freezeConstants(object: BpfObject, maps: ReadonlyMap<string, BpfMap>): void {
  for (const { name, flags, initial } of object.maps) {
    if (initial !== null && (flags & MapFlag.RDONLY_PROG) !== 0) maps.get(name)!.freeze();
  }
}

function createMap(map: MapDefinition, options: KernelObjectOptions): BpfMap {
  if (map.inner === null) return createPlain(map, options, -1);
  const template = createPlain(map.inner, options, -1);
  try {
    return createPlain(map, options, template.fd);
  } finally {
    template.close();
  }
}

function createPlain(map: MapDefinition, options: KernelObjectOptions, innerFd: number): BpfMap {
  const { type, keyBytes, valueBytes } = map;
  const given = options.maxEntries?.[map.name] ?? map.maxEntries;
  const needsNoPrealloc = type === MapType.LPM_TRIE;
  const created = BpfMap.create({
    type,
    keyBytes,
    valueBytes,
    maxEntries: given === 0 && type === MapType.PERF_EVENT_ARRAY ? possibleCpus() : given,
    innerFd,
    flags: needsNoPrealloc ? map.flags | MapFlag.NO_PREALLOC : map.flags,
    name: map.name.replaceAll(/[^A-Za-z0-9_.]/g, "_").slice(0, 15),
    ...lockOf(map),
  });
  if (map.initial !== null) {
    const value = new Uint8Array(valueBytes);
    value.set(map.initial);
    created.update(new Uint8Array(4), value);
  }
  return created;
}

const lockOf = ({ keyBytes, valueBytes, lockAt = null }: MapDefinition): { types?: MapTypes } =>
  lockAt === null ? {} : { types: kernelMapTypes(keyBytes, valueBytes, lockAt) };

/** Entries that the object gives its maps of maps. */
function fillMaps(object: BpfObject, maps: ReadonlyMap<string, BpfMap>): void {
  for (const { name, inner, entries } of object.maps) {
    if (inner === null) continue;
    for (const [index, entry] of entries.entries()) {
      const other = entry === null ? undefined : maps.get(entry);
      if (other !== undefined) maps.get(name)!.update(word(index), word(other.fd));
    }
  }
}

/** Entries that the object gives its maps of programs. */
function programsAtStart(object: BpfObject, maps: ReadonlyMap<string, BpfMap>): LaterPrograms {
  return object.maps
    .filter(({ type }) => type === MapType.PROG_ARRAY)
    .flatMap(({ name: map, entries }) =>
      entries.flatMap((name, index) =>
        name === null ? [] : [{ map: mapOf(maps, map), key: word(index), name }],
      ),
    );
}

function refer(
  maps: ReadonlyMap<string, BpfMap>,
  later: LaterPrograms,
  map: string,
  key: Uint8Array,
  name: string,
): number {
  const inner = maps.get(name);
  const outer = mapOf(maps, map);
  if (inner !== undefined && outer.type !== MapType.PROG_ARRAY) {
    return outer.update(key, word(inner.fd));
  }
  if (outer.type !== MapType.PROG_ARRAY) return -EINVAL;
  if (new DataView(key.buffer, key.byteOffset).getUint32(0, true) >= outer.maxEntries)
    return -E2BIG;
  later.push({ map: outer, key, name });
  return 0;
}

/** Throws `EbpfError` EINVAL when a map does not take one. */
function fillPrograms(
  object: BpfObject,
  maps: ReadonlyMap<string, BpfMap>,
  later: LaterPrograms,
  fds: number[],
): void {
  for (const { map, key, name } of later) {
    const program = object.programs.find((one) => one.name === name);
    if (program === undefined) continue;
    fds.push(load(object, program, maps));
    const result = map.update(key, word(fds.at(-1)!));
    if (result !== 0)
      throw new EbpfError("EINVAL", `a map takes not the program ${name}: ${errnoName(result)}`);
  }
}

const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

function load(
  object: BpfObject,
  program: ObjectProgram,
  maps: ReadonlyMap<string, BpfMap>,
): number {
  const fds = Object.fromEntries([...maps].map(([name, map]) => [name, map.fd]));
  return loadProgram({
    type: ProgramType.XDP,
    code: linkMaps({ ...program, labels: new Map() }, fds),
    name: program.name.slice(0, 15),
    license: object.license,
    about: kernelBtf(program),
    flags: program.section.startsWith("xdp.frags") ? ProgramFlag.XDP_HAS_FRAGS : 0,
    attachType: attachTypeOf(program.section),
  });
}

/** Other programs may be attached anywhere. */
function attachTypeOf(section: string): number {
  if (isForDeviceMap(section)) return AttachType.XDP_DEVMAP;
  return isForCpuMap(section) ? AttachType.XDP_CPUMAP : AttachType.NONE;
}
