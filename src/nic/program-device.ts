/**
 * An XDP program in front of a device: each received frame is the program's first, which passes it on,
 * drops it, sends it back, or sends it out of another interface. The frame is not copied for it: the
 * program's memory is the arena. Docs: docs/ebpf.md.
 *
 * | verdict                    | slot                                            |
 * |----------------------------|-------------------------------------------------|
 * | XDP_PASS                   | the receiver's, as the program left the frame   |
 * | XDP_TX                     | the device's, or lost when its ring is full     |
 * | XDP_REDIRECT               | the other device's, or lost                     |
 * | XDP_DROP, XDP_ABORTED, any other | back in the pool                          |
 *
 * What the program leaves is a frame like any other: nobody vouches for its checksums.
 */
import { Counters } from "../base/counters.js";
import { BurstAt } from "../ebpf/burst.js";
import type { EbpfError } from "../ebpf/ebpf-error.js";
import type { LinearMap } from "../ebpf/linear-map.js";
import { BROADCAST, EXCLUDE_INGRESS, lookupIndex } from "../ebpf/map-helpers.js";
import { MapType } from "../ebpf/map-type.js";
import { Ctx, FRAME_HEADER_BYTES } from "../ebpf/runtime.js";
import { XdpVerdict } from "../ebpf/xdp-verdict.js";
import { ArenaChecksum } from "../ring/arena-checksum.js";
import { BATCH_FRAMES, Batch } from "../ring/batch.js";
import { FrameFlags, GSO_MASK, NO_SLOT, type Pool } from "../ring/pool.js";
import { Capability, type Device } from "./device.js";
import type { FrameProgram } from "./frame-program.js";
import { completeChecksum, copyFrame, setLinkFlags } from "./frame-slots.js";
import { Middleware } from "./middleware.js";
import { RedirectPorts } from "./redirect-ports.js";

export const PROGRAM_COUNTERS = {
  xdpPass: "Frames that the program passed on (XDP_PASS, or a CPU map).",
  xdpDrop: "Frames that it dropped (XDP_DROP).",
  xdpTx: "Frames that it sent back (XDP_TX).",
  xdpRedirect: "Frames that it sent out of another interface (XDP_REDIRECT).",
  xdpAborted: "Frames lost because it gave up (XDP_ABORTED, or what is no verdict).",
  xdpErrors: "Of those, frames on which it did what a verified program does not: see lastError.",
  xdpFull: "Frames lost because the interface that they were sent to took no more.",
  xdpNowhere: "Frames lost because they were redirected to what is no interface of this pool.",
} as const;
export type ProgramCounter = keyof typeof PROGRAM_COUNTERS;

const PASS = 0;
const DROP = 1;
const TX = 2;
const REDIRECT = 3;
const ABORTED = 4;
const ERRORS = 5;
const FULL = 6;
const NOWHERE = 7;

/** What was vouched for before the program may have written. */
const VOUCHED: number = FrameFlags.CHECKSUM_VALID;

export interface ProgramDeviceOptions {
  /** `ingress_ifindex`, and what others redirect to this device by; 0: nobody does. */
  readonly index?: number;
  /** `rx_queue_index`. */
  readonly queue?: number;
}

export class ProgramDevice extends Middleware {
  /** The device's own: for whoever asks, it is that device. */
  readonly kind: string;
  readonly programCounters = new Counters<ProgramCounter>("program", PROGRAM_COUNTERS);
  readonly program: FrameProgram;
  /** Of the frame that last counted as `xdpErrors`. */
  lastError: EbpfError | null = null;
  private readonly index: number;
  private readonly queue: number;
  private readonly pool: Pool;
  private readonly ports: RedirectPorts;
  private readonly checksum: ArenaChecksum;
  private readonly back = new Batch();
  private readonly values: Float64Array;
  /** The device knows when frames came. */
  private readonly isStamped: boolean;
  /** Where records of frames are, for bursts of the program's. */
  private readonly recordsAt: number;
  /**
   * Of the batch at hand. A number that is no integer and is handed over for each frame is put into an object for each,
   * where V8 does not inline the call. Measured: 800 bytes a batch of 32 frames, in one process of three.
   */
  private nowUs = Number.NaN;

  /** The program's memory must be the pool's arena: see attach-program.ts. */
  constructor(
    inner: Device,
    pool: Pool,
    program: FrameProgram,
    { index = 0, queue = 0 }: ProgramDeviceOptions = {},
  ) {
    super(inner);
    if (program.runtime.memory.memory.buffer !== pool.memory.arena.buffer) {
      throw new RangeError("expected a program whose memory is the pool's arena");
    }
    this.kind = inner.kind;
    this.pool = pool;
    this.program = program;
    this.index = index;
    this.queue = queue;
    this.values = this.programCounters.values;
    this.isStamped = (inner.capabilities & Capability.RX_TIMESTAMP) !== 0;
    this.recordsAt = program.runtime.memory.take(BATCH_FRAMES * BurstAt.BYTES, "records of frames");
    this.checksum = new ArenaChecksum(pool.memory.arena);
    this.ports = RedirectPorts.of(pool);
    if (index !== 0) this.ports.add(index, this);
  }

  /** Hot path. */
  override receive(nowUs: number, batch: Batch): void {
    const from = batch.n;
    this.inner.receive(nowUs, batch);
    const { n } = batch;
    if (n === from) return;
    this.nowUs = nowUs;
    this.beginBatch(nowUs);
    if (!this.isStamped) for (let i = from; i < n; i++) this.prepare(batch, i);
    let kept = from;
    for (let i = from; i < n; ) {
      for (const end = i + this.runSome(batch, i, n); i < end; i++) {
        if (!this.decide(batch, i)) continue;
        batch.slots[kept] = batch.slots[i]!;
        kept++;
      }
    }
    batch.n = kept;
    if (this.back.n > 0) this.sendBack();
    this.values[FULL]! += this.ports.send(nowUs);
  }

  private beginBatch(nowUs: number): void {
    const { runtime } = this.program;
    const context = runtime.contextAt >>> 2;
    runtime.setTimeUs(nowUs);
    runtime.words[context + Ctx.INGRESS_IFINDEX / 4] = this.index;
    runtime.words[context + Ctx.RX_QUEUE_INDEX / 4] = this.queue;
  }

  /** Hot path. Runs the program on frames from the i-th to before the n-th; on how many. */
  private runSome(batch: Batch, i: number, n: number): number {
    const { program } = this;
    if (this.isStamped) {
      program.runtime.setReceiveTimeUs(this.pool.rxTimeUs[batch.slots[i]!]!);
      this.prepare(batch, i);
    }
    const count = this.isStamped ? 1 : n - i;
    const ran = program.runBurst(this.recordsAt + i * BurstAt.BYTES, count);
    if (program.burstError !== null) {
      this.lastError = program.burstError;
      this.values[ERRORS]! += 1;
    }
    return ran;
  }

  /** Hot path. What the program has done to a frame; whether it goes on to the receiver. */
  private decide(batch: Batch, i: number): boolean {
    const { pool, values } = this;
    const { words } = this.program.runtime;
    const slot = batch.slots[i]!;
    const recordAt = this.recordsAt + i * BurstAt.BYTES;
    pool.at[slot] = words[(recordAt + BurstAt.AT) >>> 2]!;
    pool.end[slot] = words[(recordAt + BurstAt.END) >>> 2]!;
    switch (words[(recordAt + BurstAt.VERDICT) >>> 2]) {
      case XdpVerdict.PASS:
        values[PASS]! += 1;
        setLinkFlags(pool, slot);
        return true;
      case XdpVerdict.DROP:
        values[DROP]! += 1;
        pool.give(slot);
        return false;
      case XdpVerdict.TX:
        if (this.isUnsplit(slot)) return false;
        if (this.back.n === BATCH_FRAMES) this.sendBack();
        values[TX]! += 1;
        this.back.put(slot);
        return false;
      case XdpVerdict.REDIRECT:
        return this.redirect(slot);
      default:
        values[ABORTED]! += 1;
        pool.give(slot);
        return false;
    }
  }

  /** Hot path. Writes down where a frame is. */
  private prepare(batch: Batch, i: number): void {
    const { pool } = this;
    const { words } = this.program.runtime;
    const slot = batch.slots[i]!;
    if ((pool.flags[slot]! & FrameFlags.CHECKSUM_PARTIAL) !== 0 && !this.isGso(slot)) {
      completeChecksum(pool, this.checksum, slot);
    }
    pool.flags[slot] = pool.flags[slot]! & ~VOUCHED;
    const w = (this.recordsAt + i * BurstAt.BYTES) >>> 2;
    words[w] = pool.at[slot]!;
    words[w + 1] = pool.end[slot]!;
    // The kernel keeps a header of its own in front of each frame; here all of the slot can be had.
    words[w + 2] = pool.base(slot) - FRAME_HEADER_BYTES;
    words[w + 3] = pool.limit(slot);
  }

  private isGso(slot: number): boolean {
    return (this.pool.flags[slot]! & GSO_MASK) !== 0;
  }

  /** A segment that is not split yet is for this host only; devices are opened so that none comes. */
  private isUnsplit(slot: number): boolean {
    if (!this.isGso(slot)) return false;
    this.values[FULL]! += 1;
    this.pool.give(slot);
    return true;
  }

  private sendBack(): void {
    const { back, pool, nowUs } = this;
    back.drop(this.inner.transmit(nowUs, back));
    this.values[FULL]! += back.n;
    for (let i = 0; i < back.n; i++) pool.give(back.slots[i]!);
    back.n = 0;
    this.inner.flush(nowUs);
  }

  /** Hot path. Whether the frame goes on to the receiver after all. */
  private redirect(slot: number): boolean {
    const { runtime } = this.program;
    const { map, key, flags } = runtime.redirect;
    // As Linux: it is used up. A later frame with this verdict, for which nothing was said, goes nowhere.
    runtime.redirect.map = null;
    runtime.redirect.key = 0;
    runtime.redirect.flags = 0;
    if (map?.type === MapType.CPUMAP) {
      // Another CPU would take it up the stack: here it is the same one.
      this.values[PASS]! += 1;
      setLinkFlags(this.pool, slot);
      return true;
    }
    if (this.isUnsplit(slot)) return false;
    if (map !== null && (flags & BROADCAST) !== 0) {
      this.broadcast(slot, map, flags);
      return false;
    }
    this.sendTo(slot, map === null ? key : this.interfaceIn(map, key));
    return false;
  }

  /** Hot path. The index of an interface in a map of devices; 0 when it is none. */
  private interfaceIn(map: LinearMap, key: number): number {
    if (map.type !== MapType.DEVMAP && map.type !== MapType.DEVMAP_HASH) return 0;
    const { runtime } = this.program;
    const valueAt = lookupIndex(runtime, map, key);
    return valueAt === 0 ? 0 : runtime.view.getInt32(valueAt, true);
  }

  /** Hot path. Takes the slot. */
  private sendTo(slot: number, index: number): void {
    const port = index === 0 ? null : this.ports.find(index);
    if (port === null) {
      this.values[NOWHERE]! += 1;
      this.pool.give(slot);
      return;
    }
    if (port.waiting.n === BATCH_FRAMES) this.values[FULL]! += this.ports.sendOne(this.nowUs, port);
    port.waiting.put(slot);
    this.values[REDIRECT]! += 1;
  }

  /** A copy to each interface of the map. Not often: it may allocate. */
  private broadcast(slot: number, map: LinearMap, flags: number): void {
    const { pool } = this;
    for (const { value } of map.entries()) {
      const index = new DataView(value.buffer, value.byteOffset).getInt32(0, true);
      if (index === 0 || ((flags & EXCLUDE_INGRESS) !== 0 && index === this.index)) continue;
      const copy = copyFrame(pool, slot, pool);
      if (copy === NO_SLOT) this.values[FULL]! += 1;
      else this.sendTo(copy, index);
    }
    pool.give(slot);
  }

  override close(): void {
    if (this.index !== 0) this.ports.remove(this.index);
    this.inner.close();
  }
}
