/**
 * What a running program sees besides its code: registers, stack, context and the packet in it, maps,
 * and what helpers need of the world. Interpreter and compiled code share one.
 *
 * In the memory: registers r0 to r10 of 8 bytes each, which helpers read and write; the context
 * (`struct xdp_md`); stacks for the deepest chain of calls. Pointers are addresses of the memory, their
 * upper half is 0.
 *
 * Time and randomness come from the caller. Times are two words, as a double has no 64 bits.
 */
import { Random } from "../base/random.js";
import type { LinearMap } from "./linear-map.js";
import type { LinearMemory } from "./linear-memory.js";
import { noMetadata } from "./metadata-helpers.js";

/** `struct xdp_md`: offsets of its words. */
export const Ctx = {
  DATA: 0,
  DATA_END: 4,
  DATA_META: 8,
  INGRESS_IFINDEX: 12,
  RX_QUEUE_INDEX: 16,
  EGRESS_IFINDEX: 20,
  BYTES: 24,
} as const;

export const STACK_BYTES = 512;
/** The kernel allows eight calls in a chain; callbacks of helpers come on top here. */
export const MAX_FRAMES = 16;
const REGISTERS_BYTES = 16 * 8;
/** Time (8 bytes), CPU, the frame's first and last byte (4 each): what compiled code may ask for. */
export const InputAt = { TIME: 0, CPU: 8, HARD_START: 12, HARD_END: 16, BYTES: 24 } as const;
const WORD_BYTES = 4;
const NS_PER_US = 1_000;

/** What the kernel keeps free in front of a packet, and what its frames begin with. */
export const HEADROOM_BYTES = 256;
export const FRAME_HEADER_BYTES = 40;
export const MIN_PACKET_BYTES = 14;

/** Where a program wants a packet to go, after XDP_REDIRECT. */
export interface Redirect {
  /** null: `bpf_redirect` to an interface. */
  map: LinearMap | null;
  /** The key in the map, or the interface's index. */
  key: number;
  flags: number;
}

/** What a NIC says of a packet besides its bytes; whoever runs programs keeps it up to date. */
export interface PacketMetadata {
  hasTime: boolean;
  /** When it was received, two words of a number of nanoseconds. */
  timeLow: number;
  timeHigh: number;
  hasHash: boolean;
  hash: number;
  /** `enum xdp_rss_hash_type` */
  hashType: number;
  hasTag: boolean;
  /** The VLAN tag that the NIC took out: 0x8100 or 0x88a8, and its TCI. */
  tagProtocol: number;
  tag: number;
}

export interface RuntimeHooks {
  /** What `bpf_trace_printk` wrote. */
  readonly print?: (line: string) => void;
  /** An event of `bpf_perf_event_output`; its bytes are valid during the call. Without it: -ENOENT. */
  readonly event?: (map: LinearMap, data: Uint8Array, packet: Uint8Array) => void;
  /** `bpf_fib_lookup` on the `struct bpf_fib_lookup` at an address: its result. */
  readonly fib?: (runtime: Runtime, paramsAt: number, lengthBytes: number, flags: number) => number;
}

/** Runs code on behalf of helpers: callbacks and tail calls. */
export interface Engine {
  /** Calls a function of the running program; the low word of r0. */
  callFunction(index: number, args: readonly number[]): number;
}

export class Runtime {
  readonly memory: LinearMemory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Int32Array;
  /** r0 to r10, low and high word of each. */
  readonly registers: Int32Array;
  readonly registersAt: number;
  readonly contextAt: number;
  /** Of the outermost frame; inner frames lie above, each STACK_BYTES long. */
  readonly stackAt: number;
  readonly maps: LinearMap[] = [];
  /** By the address of its header. */
  readonly mapByAddress = new Map<number, LinearMap>();
  readonly hooks: RuntimeHooks;
  readonly random: Random;
  engine: Engine | null = null;
  /** {@link InputAt}: where compiled code finds what it may ask for. */
  readonly inputsAt: number;
  /** Of these, where {@link cpu} is. */
  readonly cpuAt: number;
  /** And where the frame is. */
  readonly hardAt: number;
  /** Where bursts note how far they are. */
  readonly burstAt: number;
  /** The CPU that programs run on: {@link setCpu}. */
  cpu = 0;
  readonly metadata: PacketMetadata = noMetadata();
  /** Where the last program sent its packet. */
  readonly redirect: Redirect = { map: null, key: 0, flags: 0 };
  tailCalls = 0;

  constructor(memory: LinearMemory, hooks: RuntimeHooks = {}, seed = 1) {
    this.memory = memory;
    this.bytes = memory.bytes;
    this.view = memory.view;
    this.words = memory.words;
    this.hooks = hooks;
    this.random = new Random(seed);
    this.registersAt = memory.take(REGISTERS_BYTES, "the registers");
    this.registers = new Int32Array(memory.memory.buffer, this.registersAt, REGISTERS_BYTES / 4);
    this.contextAt = memory.take(Ctx.BYTES, "the context");
    this.stackAt = memory.take(STACK_BYTES * MAX_FRAMES, "the stack");
    this.inputsAt = memory.take(InputAt.BYTES, "inputs");
    this.cpuAt = this.inputsAt + InputAt.CPU;
    this.hardAt = this.inputsAt + InputAt.HARD_START;
    this.burstAt = memory.take(WORD_BYTES, "how far a burst is");
    this.words.fill(0, this.inputsAt >>> 2, (this.inputsAt + InputAt.BYTES) >>> 2);
  }

  addMap(map: LinearMap): void {
    map.cpu = this.cpu;
    this.maps.push(map);
    this.mapByAddress.set(map.at, map);
  }

  /** Which CPU's values per-CPU maps show. */
  setCpu(cpu: number): void {
    this.cpu = cpu;
    this.words[this.cpuAt >>> 2] = cpu;
    for (const map of this.maps) if (map.cpus > 1) map.cpu = cpu;
  }

  /** Sets the time that helpers tell. */
  setTime(nanoseconds: bigint): void {
    this.words[this.inputsAt >>> 2] = Number(BigInt.asIntN(32, nanoseconds));
    this.words[(this.inputsAt >>> 2) + 1] = Number(BigInt.asIntN(32, nanoseconds >> 32n));
  }

  /** Monotonic time, two words of a number of nanoseconds. */
  get nowLow(): number {
    return this.words[this.inputsAt >>> 2]!;
  }

  get nowHigh(): number {
    return this.words[(this.inputsAt >>> 2) + 1]!;
  }

  /** First and last byte that the packet may ever take. */
  get hardStart(): number {
    return this.words[this.hardAt >>> 2]!;
  }

  get hardEnd(): number {
    return this.words[(this.hardAt >>> 2) + 1]!;
  }

  /** Hot path. As {@link setTime}, in microseconds, which a double holds. */
  setTimeUs(nowUs: number): void {
    const high = Math.floor(nowUs / 2 ** 32);
    const low = (nowUs - high * 2 ** 32) * NS_PER_US;
    const carry = Math.floor(low / 2 ** 32);
    this.words[this.inputsAt >>> 2] = (low - carry * 2 ** 32) | 0;
    this.words[(this.inputsAt >>> 2) + 1] = (high * NS_PER_US + carry) | 0;
  }

  /** Hot path. When the packet was received, for `bpf_xdp_metadata_rx_timestamp`. */
  setReceiveTimeUs(us: number): void {
    const high = Math.floor(us / 2 ** 32);
    const low = (us - high * 2 ** 32) * NS_PER_US;
    const carry = Math.floor(low / 2 ** 32);
    this.metadata.hasTime = true;
    this.metadata.timeLow = (low - carry * 2 ** 32) | 0;
    this.metadata.timeHigh = (high * NS_PER_US + carry) | 0;
  }

  /** Hot path. Puts a packet into the context. */
  begin(at: number, end: number, hardStart: number, hardEnd: number): void {
    const w = this.words;
    const c = this.contextAt >>> 2;
    w[c] = at;
    w[c + 1] = end;
    w[c + 2] = at;
    const h = this.hardAt >>> 2;
    w[h] = hardStart;
    w[h + 1] = hardEnd;
    this.tailCalls = 0;
  }

  get dataAt(): number {
    return this.words[this.contextAt >>> 2]!;
  }

  get dataEnd(): number {
    return this.words[(this.contextAt >>> 2) + 1]!;
  }

  get dataMeta(): number {
    return this.words[(this.contextAt >>> 2) + 2]!;
  }
}
