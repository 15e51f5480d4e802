/**
 * Does in software what a device cannot: completes checksums and splits large segments on the way
 * out, and, when asked, joins TCP segments on the way in (`coalesce.ts`). So the stack above has one
 * path (design: a NIC is rings plus capabilities).
 *
 * What the device can do passes untouched. Received checksums are left to the stack, except those of
 * segments that are joined.
 */
import { Counters } from "../base/counters.js";
import { ArenaChecksum } from "../ring/arena-checksum.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import { FrameFlags, GSO_MASK, NO_SLOT, type Pool } from "../ring/pool.js";
import { Coalescer } from "./coalesce.js";
import { Capability, type Device } from "./device.js";
import { completeChecksum } from "./frame-slots.js";
import { Middleware } from "./middleware.js";
import { Segmenter } from "./segmenter.js";
import { TransmitQueue } from "./transmit-queue.js";

export const OFFLOAD_COUNTERS = {
  checksummed: "Frames whose checksum was completed in software.",
  split: "Large frames that were split in software.",
  pieces: "Frames that came of splitting.",
  refused: "Frames whose segmentation request made no sense; they are lost.",
  joined: "Received segments that were appended to another.",
} as const;
export type OffloadCounter = keyof typeof OFFLOAD_COUNTERS;

export interface OffloadOptions {
  /** Joins received TCP segments of a batch. Default false. */
  readonly coalesce?: boolean;
}

const TX_ALL: number =
  Capability.TX_CHECKSUM | Capability.TX_TSO4 | Capability.TX_TSO6 | Capability.TX_USO;

/** The device, or software around it for what it cannot do; `coalesce`: joining included. */
export function withOffloads(device: Device, pool: Pool, coalesce: boolean): Device {
  const can = device.capabilities;
  const mayJoin = coalesce && (can & Capability.RX_COALESCE) === 0;
  if ((can & TX_ALL) === TX_ALL && !mayJoin) return device;
  return new Offload(device, pool, { coalesce: mayJoin });
}

export class Offload extends Middleware {
  readonly kind = "offload";
  readonly offloads: Counters<OffloadCounter>;
  private readonly can: number;
  private readonly pool: Pool;
  private readonly checksum: ArenaChecksum;
  private readonly segmenter: Segmenter;
  private readonly queue: TransmitQueue;
  private readonly coalescer: Coalescer | null;
  /** GSO flags that the device takes itself. */
  private readonly deviceSplits: number;
  private readonly deviceChecksums: boolean;
  /** The large frame in work, owned; NO_SLOT when there is none. */
  private splitting = NO_SLOT;

  constructor(inner: Device, pool: Pool, options: OffloadOptions = {}) {
    super(inner);
    const can = inner.capabilities;
    const takes = (capability: number, flag: number): number =>
      (can & capability) === 0 ? 0 : flag;
    this.pool = pool;
    this.checksum = new ArenaChecksum(pool.memory.arena);
    this.deviceChecksums = (can & Capability.TX_CHECKSUM) !== 0;
    this.deviceSplits =
      takes(Capability.TX_TSO4, FrameFlags.GSO_TCP4) |
      takes(Capability.TX_TSO6, FrameFlags.GSO_TCP6) |
      takes(Capability.TX_USO, FrameFlags.GSO_UDP);
    this.segmenter = new Segmenter(pool, !this.deviceChecksums);
    this.queue = new TransmitQueue(inner, pool);
    this.coalescer = options.coalesce === true ? new Coalescer(pool) : null;
    this.offloads = new Counters<OffloadCounter>(`${inner.name}.offload`, OFFLOAD_COUNTERS);
    this.can = can | ADDED_CAPABILITIES | (this.coalescer === null ? 0 : Capability.RX_COALESCE);
  }

  override get capabilities(): number {
    return this.can;
  }

  override receive(nowUs: number, batch: Batch): void {
    const from = batch.n;
    this.inner.receive(nowUs, batch);
    if (this.coalescer === null || batch.n - from < 2) return;
    this.offloads.add(JOINED, this.coalescer.coalesce(batch, from));
  }

  override transmit(nowUs: number, batch: Batch): number {
    if (this.isIdle && this.completeInPlace(batch)) return this.inner.transmit(nowUs, batch);
    let n = 0;
    while (n < batch.n && this.finishSplit(nowUs) && this.queue.room > 0) {
      this.accept(nowUs, batch.slots[n]!);
      n++;
    }
    this.advance(nowUs);
    return n;
  }

  override flush(nowUs: number): void {
    this.advance(nowUs);
    this.inner.flush(nowUs);
  }

  override nextDeadlineUs(): number {
    return Math.min(this.inner.nextDeadlineUs(), this.queue.nextDeadlineUs());
  }

  override close(): void {
    if (this.splitting !== NO_SLOT) this.pool.give(this.splitting);
    this.splitting = NO_SLOT;
    this.queue.close();
    this.inner.close();
  }

  /** Whether every frame taken so far has gone on to the device. */
  private get isIdle(): boolean {
    return this.splitting === NO_SLOT && this.queue.room === BATCH_FRAMES;
  }

  /**
   * Hot path. Makes the checksums of a batch that needs nothing else, so that it passes as it is;
   * false at the first frame to be split. A frame that the device then refuses has its checksum.
   * Measured: a datagram out 170 ns without, 160 with (node 20.20, 2 shared cores, 2026-11).
   */
  private completeInPlace(batch: Batch): boolean {
    const { flags } = this.pool;
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      const frameFlags = flags[slot]!;
      if ((frameFlags & GSO_MASK & ~this.deviceSplits) !== 0) return false;
      this.completeIfAsked(slot, frameFlags);
    }
    return true;
  }

  /** Hot path. */
  private completeIfAsked(slot: number, flags: number): void {
    if ((flags & FrameFlags.CHECKSUM_PARTIAL) === 0 || this.deviceChecksums) return;
    completeChecksum(this.pool, this.checksum, slot);
    this.offloads.add(CHECKSUMMED, 1);
  }

  /** Sends what can be sent now; asks for another turn when some of a frame is left. */
  private advance(nowUs: number): void {
    const done = this.finishSplit(nowUs);
    this.queue.drain(nowUs);
    if (!done) this.queue.retryAt(nowUs);
  }

  /** Takes a frame: puts it into the queue, or in work. Precondition: room, nothing in work. */
  private accept(nowUs: number, slot: number): void {
    const flags = this.pool.flags[slot]!;
    if ((flags & GSO_MASK & ~this.deviceSplits) !== 0) {
      if (this.segmenter.begin(slot)) {
        this.splitting = slot;
        this.offloads.add(SPLIT, 1);
      } else {
        this.pool.give(slot);
        this.offloads.add(REFUSED, 1);
      }
      return;
    }
    this.completeIfAsked(slot, flags);
    this.queue.put(nowUs, slot);
  }

  /** Goes on with the frame in work; true when none is in work any more. */
  private finishSplit(nowUs: number): boolean {
    if (this.splitting === NO_SLOT) return true;
    while (this.segmenter.more) {
      if (this.queue.room === 0 && !this.queue.drain(nowUs)) return false;
      const piece = this.segmenter.next();
      if (piece === NO_SLOT) return false;
      this.offloads.add(PIECES, 1);
      this.queue.put(nowUs, piece);
    }
    this.pool.give(this.splitting);
    this.splitting = NO_SLOT;
    return true;
  }
}

const ADDED_CAPABILITIES: number =
  Capability.TX_CHECKSUM | Capability.TX_TSO4 | Capability.TX_TSO6 | Capability.TX_USO;

const NAMES = Object.keys(OFFLOAD_COUNTERS);
const CHECKSUMMED = NAMES.indexOf("checksummed");
const SPLIT = NAMES.indexOf("split");
const PIECES = NAMES.indexOf("pieces");
const REFUSED = NAMES.indexOf("refused");
const JOINED = NAMES.indexOf("joined");
