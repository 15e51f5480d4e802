/**
 * An object's programs and maps, ready to run: what tests of XDP programs use.
 *
 *     const filter = XdpInstance.open(parseObject(readFileSync("filter.o")), { program: "filter" });
 *     filter.map("blocked").set(address, new Uint8Array(8));
 *     const { verdict, packet } = filter.run(frame);
 *
 * Packets are copied in and out; {@link runAt} runs on a packet that lies in the memory.
 */
import { ArrayMap } from "./array-map.js";
import { type BurstRunner, canBurst, runOneByOne } from "./burst.js";
import { type DecodedProgram, decode } from "./decode.js";
import { badObject, EbpfError } from "./ebpf-error.js";
import { Guard } from "./guard.js";
import { checkInner } from "./inner-map.js";
import { Interpreter, type TailTarget } from "./interp.js";
import type { LinearMap } from "./linear-map.js";
import { LinearMemory } from "./linear-memory.js";
import { makeMap, mapMemoryBytes } from "./make-map.js";
import type { MapDefinition } from "./map-definition.js";
import { MapType } from "./map-type.js";
import { takeMetadata } from "./metadata-helpers.js";
import type { BpfObject, ObjectProgram } from "./object.js";
import { Ctx, HEADROOM_BYTES, type PacketMetadata, Runtime, type RuntimeHooks } from "./runtime.js";
import { VerifyError } from "./verify-error.js";
import { isConstant } from "./verify-memory.js";
import { verifyProgram } from "./verify-program.js";
import { WasmProgram } from "./wasm-program.js";

export type EngineName = "interp" | "wasm";

export interface XdpOptions extends RuntimeHooks {
  /** The program to run; needed when the object has several. */
  readonly program?: string;
  /** Interpreted by default. */
  readonly engine?: EngineName;
  /** Every access is checked while it is made: slower, for programs that are not verified. */
  readonly isStrict?: boolean;
  /** Programs are verified first unless they run in strict mode; false: they have been already. */
  readonly verifies?: boolean;
  /** Sizes of maps that the object leaves open, or other ones than it has. */
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** CPUs that per-CPU maps have values for; 1 by default. */
  readonly cpus?: number;
  /** Of hash functions and of `bpf_get_prandom_u32`. */
  readonly seed?: number;
  /** Memory to use, maps included; by default one of the size that is needed. */
  readonly memory?: LinearMemory;
  /** Instructions that one run may take. */
  readonly budget?: number;
}

/** What `struct xdp_md` says of a packet besides its bytes. */
export interface PacketContext {
  readonly ingressIfindex?: number;
  readonly rxQueueIndex?: number;
  /** What the NIC says of it (`bpf_xdp_metadata_…`); nothing by default. */
  readonly metadata?: Partial<PacketMetadata>;
}

export interface XdpResult {
  /** `XdpVerdict`, or what else the program returned. */
  readonly verdict: number;
  /** A copy of the packet as the program left it. */
  readonly packet: Uint8Array;
  /** What the program put in front of it (`bpf_xdp_adjust_meta`), usually nothing. */
  readonly metadata: Uint8Array;
  /** After XDP_REDIRECT: the map (null: none) and the key or the interface's index. */
  readonly redirect: { readonly map: string | null; readonly key: number } | null;
}

/** Runs on a packet that lies in the memory: {@link XdpInstance.runAt}. */
export interface PacketRunner {
  runAt(at: number, end: number, hardStart: number, hardEnd: number): number;
}

/** Bytes of a frame as most drivers have them: a page, the end of which is the kernel's. */
const PAGE_BYTES = 4096;
const PAGE_END_BYTES = 320;
/** The longest packet that {@link XdpInstance.run} takes. */
export const MAX_PACKET_BYTES = 256 * 1024;
const CONSTANTS_BYTES = 256 * 1024;

export class XdpInstance implements BurstRunner {
  readonly object: BpfObject;
  readonly runtime: Runtime;
  readonly program: DecodedProgram;
  private readonly maps = new Map<string, LinearMap>();
  private readonly decoded = new Map<string, DecodedProgram>();
  private readonly interpreter: Interpreter;
  private readonly compiled = new Map<DecodedProgram, WasmProgram>();
  private readonly wasm: WasmProgram | null;
  /** The same, if it can run bursts. */
  private readonly bursts: WasmProgram | null;
  burstError: EbpfError | null = null;
  private readonly frameAt: number;
  private readonly verifies: boolean;
  private readonly verified = new Set<ObjectProgram>();
  /** The maps as the verifier knows them: with the values that `.rodata` has now. */
  private definitions: readonly MapDefinition[];

  private constructor(object: BpfObject, options: XdpOptions) {
    this.object = object;
    this.definitions = object.maps;
    const seed = options.seed ?? Math.floor(Math.random() * 2 ** 32);
    const cpus = options.cpus ?? 1;
    const definitions = object.maps.map((map) => withSize(map, options, cpus));
    const memory = options.memory ?? LinearMemory.create(memoryBytes(object, definitions, cpus));
    this.runtime = new Runtime(memory, options, seed);
    for (const definition of definitions) this.addMap(definition, cpus, seed);
    for (const program of object.programs) {
      if (program.problem !== null) continue;
      try {
        this.decoded.set(program.name, decode(program.name, program, this.runtime));
      } catch (error) {
        // Others of the object may be fine.
        if (program.name === options.program || object.programs.length === 1) throw error;
      }
    }
    this.verifies = options.verifies ?? options.isStrict !== true;
    this.program = this.decoded.get(this.chosen(options.program).name)!;
    this.verify(this.chosen(options.program));
    this.fillMaps(object);
    this.watchConstants();
    this.frameAt = memory.take(HEADROOM_BYTES + MAX_PACKET_BYTES + PAGE_BYTES, "a frame");
    this.interpreter = new Interpreter(this.program, this.runtime, {
      tailTarget: this.tailTarget,
      ...(options.isStrict === true ? { guard: new Guard(this.runtime) } : {}),
      ...(options.budget === undefined ? {} : { budget: options.budget }),
    });
    this.wasm = options.engine === "wasm" ? this.compile(this.program) : null;
    this.bursts = canBurst(this.program) ? this.wasm : null;
    this.setContext({});
  }

  /** Throws `EbpfError`: ENOTSUP names what the program needs and this engine does not have. */
  static open(object: BpfObject, options: XdpOptions = {}): XdpInstance {
    return new XdpInstance(object, options);
  }

  /** Bytes of memory that an instance takes, for who gives it some. */
  static neededBytes(object: BpfObject, options: XdpOptions = {}): number {
    const cpus = options.cpus ?? 1;
    const definitions = object.maps.map((map) => withSize(map, options, cpus));
    return memoryBytes(object, definitions, cpus);
  }

  /** A map by its name; RangeError when there is none. */
  map(name: string): LinearMap {
    const map = this.maps.get(name);
    if (map !== undefined) return map;
    throw new RangeError(`there is no map ${name}; there are: ${[...this.maps.keys()].join(", ")}`);
  }

  private definition(name: string): MapDefinition {
    this.map(name);
    return this.object.maps.find((one) => one.name === name)!;
  }

  /** Instructions that the last packet took in the interpreter. */
  get executed(): number {
    return this.interpreter.executed;
  }

  /** Runs the program, or what runs in its place, on a copy of a packet. */
  run(packet: Uint8Array, context: PacketContext = {}, runner: PacketRunner = this): XdpResult {
    if (packet.length > MAX_PACKET_BYTES) {
      throw new RangeError(`a packet of ${packet.length} bytes is longer than ${MAX_PACKET_BYTES}`);
    }
    const { runtime } = this;
    this.place(packet, context);
    const { dataAt, dataEnd, hardStart, hardEnd } = runtime;
    const verdict = runner.runAt(dataAt, dataEnd, hardStart, hardEnd);
    const { map, key } = runtime.redirect;
    return {
      verdict,
      packet: runtime.bytes.slice(runtime.dataAt, runtime.dataEnd),
      metadata: runtime.bytes.slice(runtime.dataMeta, runtime.dataAt),
      redirect: verdict === REDIRECT ? { map: map?.name ?? null, key } : null,
    };
  }

  /** Copies a packet to where {@link run} runs it, and says so in the context. */
  place(packet: Uint8Array, context: PacketContext = {}): void {
    const { runtime, frameAt } = this;
    this.setContext(context);
    const at = frameAt + HEADROOM_BYTES;
    runtime.bytes.set(packet, at);
    const end = at + packet.length;
    runtime.begin(at, end, frameAt, Math.max(frameAt + PAGE_BYTES - PAGE_END_BYTES, end));
  }

  /**
   * Hot path. Runs the program on the packet at [at, end) of the memory, which it may move inside of
   * [hardStart, hardEnd); afterwards the packet is at `runtime.dataAt` up to `runtime.dataEnd`.
   */
  runAt(at: number, end: number, hardStart: number, hardEnd: number): number {
    this.runtime.begin(at, end, hardStart, hardEnd);
    return this.runHost();
  }

  /**
   * Hot path. Runs the program on several packets in the memory, of which records ({@link BurstAt}) at an address
   * of the memory say where they are; how many of them were run, see {@link BurstRunner}.
   *
   * Measured: a forwarder of 108 instructions takes 10.6 ns a packet instead of 20.1 (best pieces of four interleaved runs,
   * 64 frames in turn, node 20, 2026-11); the kernel's machine code for it 10.2.
   */
  runBurst(recordsAt: number, count: number): number {
    const { bursts } = this;
    if (bursts === null) return runOneByOne(this, recordsAt, count);
    const n = bursts.runBurst(recordsAt, count);
    this.burstError = bursts.burstError;
    return n;
  }

  /** Hot path. Runs the program on the packet that the runtime has. */
  runHost(): number {
    return this.wasm === null ? this.interpreter.run() : this.wasm.run();
  }

  private readonly compile = (program: DecodedProgram): WasmProgram => {
    let compiled = this.compiled.get(program);
    if (compiled === undefined) {
      compiled = new WasmProgram(program, this.runtime, this.tailTarget, this.compile);
      this.compiled.set(program, compiled);
    }
    return compiled;
  };

  private setContext(context: PacketContext): void {
    const { words, contextAt } = this.runtime;
    words[(contextAt + Ctx.INGRESS_IFINDEX) >>> 2] = context.ingressIfindex ?? 1;
    words[(contextAt + Ctx.RX_QUEUE_INDEX) >>> 2] = context.rxQueueIndex ?? 0;
    takeMetadata(this.runtime.metadata, context.metadata);
  }

  private addMap(definition: MapDefinition, cpus: number, seed: number): LinearMap {
    const index = this.runtime.maps.length;
    const { memory } = this.runtime;
    const map = makeMap(definition, { memory, cpus, seed: seed ^ index, index });
    this.runtime.addMap(map);
    this.maps.set(map.name, map);
    return map;
  }

  private chosen(name: string | undefined): ObjectProgram {
    const { programs } = this.object;
    const usable = programs.filter((program) => program.section.startsWith("xdp"));
    const wanted =
      name === undefined
        ? usable.length === 1
          ? usable[0]
          : undefined
        : programs.find((program) => program.name === name);
    if (wanted === undefined) throw new EbpfError("EINVAL", whichProgram(programs, name));
    if (wanted.problem !== null) throw wanted.problem;
    return wanted;
  }

  /** Entries that the object gives maps of programs and of maps. */
  private fillMaps(object: BpfObject): void {
    for (const { name, type, entries } of object.maps) {
      for (const [index, entry] of entries.entries()) {
        if (entry === null) continue;
        const isKnown =
          type === MapType.PROG_ARRAY ? this.decoded.has(entry) : this.maps.has(entry);
        if (!isKnown)
          throw badObject(`the map ${name}: its entry ${index} is ${entry}, which cannot be used`);
        if (type === MapType.PROG_ARRAY) this.setProgram(name, index, entry);
        else this.setInner(name, word(index), entry);
      }
    }
  }

  /**
   * Puts a program of this object into a map of programs, for tail calls; it is verified as the first. Returns 0 or
   * a negative error number.
   */
  setProgram(map: string, index: number, program: string): number {
    const at = [...this.decoded.keys()].indexOf(program);
    const found = this.object.programs.find((one) => one.name === program);
    if (at < 0 || found === undefined)
      throw new RangeError(`there is no usable program ${program}`);
    this.verify(found);
    return this.map(map).set(word(index), word(at + 1));
  }

  /** Throws `VerifyError`. */
  private verify(program: ObjectProgram): void {
    if (!this.verifies || this.verified.has(program)) return;
    this.judge(program, this.definitions);
    this.verified.add(program);
  }

  /** Throws `VerifyError`, or ENOTSUP that names what is not there and can be reached. */
  private judge(program: ObjectProgram, maps: readonly MapDefinition[]): void {
    try {
      verifyProgram({ ...this.object, maps }, program);
    } catch (error) {
      const { lacking } = this.decoded.get(program.name) ?? {};
      throw (error instanceof VerifyError && lacking?.get(error.word)) || error;
    }
  }

  /** The verifier goes by the values of `.rodata`: whoever writes other ones has all programs verified with them. */
  private watchConstants(): void {
    for (const [index, definition] of this.object.maps.entries()) {
      if (!isConstant(definition)) continue;
      this.map(definition.name).beforeSet = (value) => {
        const maps = [...this.definitions];
        maps[index] = { ...definition, initial: value.slice() };
        if (this.verifies) {
          for (const program of this.verified) this.judge(program, maps);
        }
        this.definitions = maps;
      };
    }
  }

  /**
   * Puts a map into a map of maps; returns 0 or a negative error number. Throws `EbpfError` EINVAL for one that is
   * not as the others: programs are verified for those.
   */
  setInner(map: string, key: Uint8Array, inner: string): number {
    checkInner(this.definition(map), this.definition(inner));
    return this.map(map).set(key, word(this.map(inner).index + 1));
  }

  /** The program that a tail call goes to. */
  readonly tailTarget: TailTarget = (mapAt, index) => {
    const map = this.runtime.mapByAddress.get(mapAt);
    if (!(map instanceof ArrayMap)) return null;
    const valueAt = map.at32(index >>> 0);
    if (valueAt === 0) return null;
    const number = this.runtime.view.getUint32(valueAt, true);
    return [...this.decoded.values()][number - 1] ?? null;
  };
}

const REDIRECT = 4;

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function withSize(map: MapDefinition, options: XdpOptions, cpus: number): MapDefinition {
  const given = options.maxEntries?.[map.name];
  if (given !== undefined) return { ...map, maxEntries: given };
  const isPerfArray = map.type === MapType.PERF_EVENT_ARRAY && map.maxEntries === 0;
  return isPerfArray ? { ...map, maxEntries: cpus } : map;
}

function memoryBytes(object: BpfObject, maps: readonly MapDefinition[], cpus: number): number {
  const forMaps = maps.reduce((sum, map) => sum + mapMemoryBytes(map, cpus), 0);
  const forCode = object.programs.reduce((sum, program) => sum + program.code.length, 0);
  return forMaps + forCode + CONSTANTS_BYTES + MAX_PACKET_BYTES;
}

function whichProgram(programs: readonly ObjectProgram[], name: string | undefined): string {
  const names = programs.map((program) => program.name).join(", ") || "none";
  const what = name === undefined ? "say which program to run" : `there is no program ${name}`;
  return `${what}; the object has: ${names}`;
}
