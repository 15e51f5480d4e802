/** Helpers on the packet as arithmetic, loads and stores. */
import { EFAULT, EINVAL } from "../base/errno.js";
import { Ctx, FRAME_HEADER_BYTES, MIN_PACKET_BYTES, type Runtime } from "../ebpf/runtime.js";
import type { Builder } from "./build.js";
import { NONE } from "./expr.js";
import type { Recorder } from "./recorder.js";
import type { TraceMemory } from "./trace-memory.js";

/** Numbers of the helpers that are here (linux/bpf.h). */
const CSUM_DIFF = 28;
const ADJUST_HEAD = 44;
const ADJUST_META = 54;
const ADJUST_TAIL = 65;
const BUFFER_LENGTH = 188;
const LOAD_BYTES = 189;
const STORE_BYTES = 190;

/** More bytes than these are not copied, summed or filled in a trace. */
const MAX_BYTES = 256;
const MAX_META_BYTES = 252n;

export class PacketCalls {
  private readonly runtime: Runtime;
  private readonly recorder: Recorder;
  private readonly memory: TraceMemory;
  private readonly build: Builder;

  constructor(runtime: Runtime, recorder: Recorder, memory: TraceMemory) {
    this.runtime = runtime;
    this.recorder = recorder;
    this.memory = memory;
    this.build = recorder.build;
  }

  /** r0 afterwards; NONE: this helper, or this use of it, is not here. */
  call(number: number, args: readonly number[]): number {
    if (!this.recorder.isRecording) return NONE;
    switch (number) {
      case ADJUST_HEAD:
        return this.adjustHead(args[1]!);
      case ADJUST_TAIL:
        return this.adjustTail(args[1]!);
      case ADJUST_META:
        return this.adjustMeta(args[1]!);
      case BUFFER_LENGTH:
        return this.build.sub(this.memory.end, this.memory.start);
      case LOAD_BYTES:
        return this.copy(args, false);
      case STORE_BYTES:
        return this.copy(args, true);
      case CSUM_DIFF:
        return this.checksumDifference(args);
      default:
        return NONE;
    }
  }

  private error(errno: number): number {
    return this.build.number(-errno);
  }

  /** Tells the context where the packet is now; 0. */
  private moved(): number {
    const { start, end, metadata } = this.memory;
    this.recorder.push({ kind: "move", word: this.recorder.word, start, end, metadata });
    this.setContext(Ctx.DATA, start);
    this.setContext(Ctx.DATA_END, end);
    this.setContext(Ctx.DATA_META, metadata);
    return this.build.zero;
  }

  private setContext(field: number, offset: number): void {
    const { runtime, recorder } = this;
    const at = recorder.values.numberOf(this.build.add(this.build.packet, offset));
    runtime.words[(runtime.contextAt + field) >>> 2] = at;
  }

  private adjustHead(delta: number): number {
    const { build, memory, recorder } = this;
    if (memory.metadata !== memory.start) {
      recorder.giveUp("bpf_xdp_adjust_head moves a packet that has metadata before it");
      return NONE;
    }
    const to = build.add(memory.start, build.extend(32, recorder.known(delta)));
    // Where the frame begins is HEADROOM bytes before the packet as it came.
    const room = build.add(to, build.headroom);
    if (recorder.guard(build.lts(room, build.number(FRAME_HEADER_BYTES)), "room")) {
      return this.error(EINVAL);
    }
    const last = build.add(memory.end, build.number(-MIN_PACKET_BYTES));
    if (recorder.guard(build.lts(last, to), "room")) return this.error(EINVAL);
    memory.start = to;
    memory.metadata = to;
    return this.moved();
  }

  private adjustTail(delta: number): number {
    const { build, memory, recorder } = this;
    const by = build.extend(32, recorder.known(delta));
    const to = build.add(memory.end, by);
    const limit = build.add(build.length, build.tailroom);
    if (recorder.guard(build.lts(limit, to), "room")) return this.error(EINVAL);
    const least = build.add(memory.start, build.number(MIN_PACKET_BYTES));
    if (recorder.guard(build.lts(to, least), "room")) return this.error(EINVAL);
    if (recorder.guard(build.lts(build.zero, by), "room") && !this.clear(by)) return NONE;
    memory.end = to;
    return this.moved();
  }

  /** New bytes at the end are 0. */
  private clear(by: number): boolean {
    const { build, memory, recorder } = this;
    const count = Number(recorder.pin(by));
    if (count > MAX_BYTES) {
      recorder.giveUp(
        `bpf_xdp_adjust_tail makes the packet ${count} bytes longer, of at most ${MAX_BYTES}`,
      );
      return false;
    }
    const from = build.add(build.packet, memory.end);
    this.eachPart(count, (at, size) => {
      memory.store(build.add(from, build.number(at)), size, build.zero);
    });
    return true;
  }

  private adjustMeta(delta: number): number {
    const { build, memory, recorder } = this;
    const to = build.add(memory.metadata, build.extend(32, recorder.known(delta)));
    const room = build.add(to, build.headroom);
    if (recorder.guard(build.lts(room, build.number(FRAME_HEADER_BYTES)), "room")) {
      return this.error(EINVAL);
    }
    const bytes = BigInt.asIntN(64, recorder.pin(build.sub(memory.start, to)));
    if (bytes < 0n) return this.error(EINVAL);
    if (bytes % 4n !== 0n || bytes > MAX_META_BYTES) {
      recorder.giveUp(`bpf_xdp_adjust_meta is asked for ${bytes} bytes, which the kernel refuses`);
      return NONE;
    }
    memory.metadata = to;
    return this.moved();
  }

  /** xdp_load_bytes(ctx, offset, buffer, length), xdp_store_bytes */
  private copy(args: readonly number[], isStore: boolean): number {
    const { build, memory, recorder } = this;
    const offset = build.word(recorder.known(args[1]!));
    const count = Number(recorder.pin(build.word(recorder.known(args[3]!))));
    if (recorder.guard(build.ltu(build.number(0xffff), offset)) || count > 0xffff) {
      return this.error(EFAULT);
    }
    if (count > MAX_BYTES) return NONE;
    const length = build.sub(memory.end, memory.start);
    if (recorder.guard(build.lts(length, build.add(offset, build.number(count))))) {
      return this.error(EINVAL);
    }
    const packet = build.add(build.add(build.packet, memory.start), offset);
    const [from, to] = isStore ? [args[2]!, packet] : [packet, args[2]!];
    this.eachPart(count, (at, size) => {
      const part = memory.load(build.add(from, build.number(at)), size);
      memory.store(build.add(to, build.number(at)), size, part);
    });
    return build.zero;
  }

  private eachPart(count: number, visit: (at: number, size: number) => void): void {
    for (let at = 0; at < count; ) {
      const rest = count - at;
      const size = rest >= 8 ? 8 : rest >= 4 ? 4 : rest >= 2 ? 2 : 1;
      visit(at, size);
      at += size;
    }
  }

  /** csum_diff(from, fromBytes, to, toBytes, seed), as `other-helpers.ts` has it. */
  private checksumDifference(args: readonly number[]): number {
    const { build, recorder } = this;
    const sizes = [args[1]!, args[3]!].map((node) =>
      Number(BigInt.asIntN(32, recorder.pin(recorder.known(node)))),
    ) as [number, number];
    const [fromBytes, toBytes] = sizes;
    if (((fromBytes | toBytes) & 3) !== 0) return this.error(EINVAL);
    if (fromBytes < 0 || toBytes < 0 || fromBytes > MAX_BYTES || toBytes > MAX_BYTES) return NONE;
    const seed = build.word(recorder.known(args[4]!));
    const opposite = (sum: number): number => build.xor(sum, build.number(0xffff_ffffn));
    if (fromBytes !== 0 && toBytes !== 0) {
      const added = this.partialSum(args[2]!, toBytes, seed);
      const taken = opposite(this.partialSum(args[0]!, fromBytes, build.zero));
      return this.fold16(this.fold32(build.add(added, taken)));
    }
    if (toBytes !== 0) return this.fold16(this.partialSum(args[2]!, toBytes, seed));
    if (fromBytes === 0) return this.fold16(seed);
    return this.fold16(opposite(this.partialSum(args[0]!, fromBytes, opposite(seed))));
  }

  private partialSum(address: number, lengthBytes: number, seed: number): number {
    const { build, memory } = this;
    let sum = seed;
    for (let at = 0; at < lengthBytes; at += 4) {
      sum = build.add(sum, memory.load(build.add(address, build.number(at)), 4));
    }
    return this.fold32(sum);
  }

  /** Carries added at the end, twice: sums of fewer than 2^31 words need no more. */
  private fold32(sum: number): number {
    return this.fold(this.fold(sum, 32n), 32n);
  }

  private fold16(sum: number): number {
    return this.fold(this.fold(sum, 16n), 16n);
  }

  private fold(sum: number, bits: bigint): number {
    const { build } = this;
    const low = build.and(sum, build.number((1n << bits) - 1n));
    return build.add(low, build.shr(sum, build.number(bits)));
  }
}
