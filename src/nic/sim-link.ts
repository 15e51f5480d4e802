/**
 * Driver `sim`: the two ends of a virtual link, in whatever time the callers pass (virtual or real).
 *
 * Each direction has a transmitter of a given rate with a drop-tail queue before it, then a delay.
 * Frames keep their order. Loss, reordering and the like are `fault-injector.ts`'s, put around an
 * end.
 *
 * Both ends may share one pool, and slots pass; or each has its own, and a frame is copied when it
 * is received. What the link claims to be able to do (checksums, segmentation) it does as virtio
 * does: it passes such frames on as they are, flagged. Frames that it does not claim are refused.
 *
 * With neither delay nor rate a frame can be received at the very time at which it was sent.
 */
import { assert, CHECKED } from "../base/assert.js";
import type { Counters } from "../base/counters.js";
import { NEVER, US_PER_S } from "../base/time.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import { FrameFlags, NO_SLOT, type Pool } from "../ring/pool.js";
import * as ethernet from "../wire/ethernet.js";
import { Capability, type Device, type DeviceCounter } from "./device.js";
import { DeviceTally } from "./device-tally.js";
import { copyFrame, setLinkFlags } from "./frame-slots.js";

/** One direction of a link. */
export interface SimDirection {
  /** From the end of a frame's transmission to its receipt. Default 0. */
  readonly delayUs?: number;
  /** Default: no limit. */
  readonly bitsPerS?: number;
  /** Frames that may wait for the transmitter, the one in transmission included. Default 1,000. */
  readonly queueFrames?: number;
  /** Bytes that may wait. Default: no limit. */
  readonly queueBytes?: number;
}

export interface SimLinkOptions extends SimDirection {
  readonly name?: string;
  readonly mtuBytes?: number;
  /** Bits of {@link Capability}; by default everything that virtio can do. */
  readonly capabilities?: number;
  /** Settings of the direction from b to a where they differ. */
  readonly reverse?: SimDirection;
  /** Addresses of the ends; by default 02:00:00:00:00:0a and …:0b. */
  readonly macA?: Uint8Array;
  readonly macB?: Uint8Array;
}

/** What a virtual device that shares memory with its peer can do. */
export const SIM_CAPABILITIES: number =
  Capability.TX_CHECKSUM |
  Capability.TX_TSO4 |
  Capability.TX_TSO6 |
  Capability.TX_USO |
  Capability.RX_COALESCE |
  Capability.RX_TIMESTAMP;

const DEFAULT_MTU_BYTES = 1_500;
const DEFAULT_QUEUE_FRAMES = 1_000;
const FIRST_QUEUE_CAPACITY = 256;

/** Joins `poolA` and `poolB` (perhaps the same) by a link. */
export function simLink(
  poolA: Pool,
  poolB: Pool,
  options: SimLinkOptions = {},
): { a: SimDevice; b: SimDevice } {
  const name = options.name ?? "sim";
  const forward = new Flight(poolA, options);
  const backward = new Flight(poolB, { ...options, ...options.reverse });
  const end = (side: string, pool: Pool, out: Flight, back: Flight, mac?: Uint8Array): SimDevice =>
    new SimDevice(`${name}.${side}`, pool, out, back, {
      mtuBytes: options.mtuBytes ?? DEFAULT_MTU_BYTES,
      capabilities: options.capabilities ?? SIM_CAPABILITIES,
      mac: mac ?? Uint8Array.of(2, 0, 0, 0, 0, side === "a" ? 0x0a : 0x0b),
    });
  const a = end("a", poolA, forward, backward, options.macA);
  const b = end("b", poolB, backward, forward, options.macB);
  return { a, b };
}

/** Frames on their way in one direction, oldest first. They lie in the sender's pool. */
class Flight {
  readonly pool: Pool;
  private readonly delayUs: number;
  private readonly usPerByte: number;
  private readonly queueFrames: number;
  private readonly queueBytes: number;
  private slots = new Int32Array(FIRST_QUEUE_CAPACITY);
  /** When the transmitter is done with the frame. */
  private departAtUs = new Float64Array(FIRST_QUEUE_CAPACITY);
  private head = 0;
  /** First frame that the transmitter is not done with, between head and tail. */
  private waiting = 0;
  private tail = 0;
  private waitingBytes = 0;
  private freeAtUs = 0;

  constructor(pool: Pool, o: SimDirection) {
    this.pool = pool;
    this.delayUs = o.delayUs ?? 0;
    this.usPerByte = o.bitsPerS === undefined ? 0 : (8 * US_PER_S) / o.bitsPerS;
    this.queueFrames = o.queueFrames ?? DEFAULT_QUEUE_FRAMES;
    this.queueBytes = o.queueBytes ?? Number.MAX_SAFE_INTEGER;
  }

  /** Hot path. Queues a frame, which it then owns; false when the queue is full. */
  put(nowUs: number, slot: number): boolean {
    this.passDeparted(nowUs);
    const lengthBytes = this.pool.end[slot]! - this.pool.at[slot]!;
    if (this.tail - this.waiting >= this.queueFrames) return false;
    if (this.waitingBytes + lengthBytes > this.queueBytes) return false;
    if (this.tail - this.head === this.slots.length) this.grow();
    const i = this.tail & (this.slots.length - 1);
    this.freeAtUs = Math.max(this.freeAtUs, nowUs) + lengthBytes * this.usPerByte;
    this.slots[i] = slot;
    this.departAtUs[i] = this.freeAtUs;
    this.tail++;
    this.waitingBytes += lengthBytes;
    return true;
  }

  /** Hot path. When the oldest frame arrives, or NEVER. */
  arrivalUs(): number {
    if (this.head === this.tail) return NEVER;
    const departUs = this.departAtUs[this.head & (this.slots.length - 1)]!;
    return Math.ceil(departUs + this.delayUs);
  }

  /** Hot path. Slot of the oldest frame. Precondition: there is one. */
  first(): number {
    return this.slots[this.head & (this.slots.length - 1)]!;
  }

  /** Hot path. Forgets the oldest frame, whose slot is now the caller's. */
  take(nowUs: number): void {
    this.passDeparted(nowUs);
    if (CHECKED) assert(this.head < this.waiting, "a frame that arrives has departed");
    this.head++;
  }

  close(): void {
    for (; this.head < this.tail; this.head++) this.pool.give(this.first());
    this.waiting = this.tail;
    this.waitingBytes = 0;
  }

  /** Takes the frames that the transmitter is done with out of the queue's account. */
  private passDeparted(nowUs: number): void {
    const mask = this.slots.length - 1;
    while (this.waiting < this.tail && this.departAtUs[this.waiting & mask]! <= nowUs) {
      const slot = this.slots[this.waiting & mask]!;
      this.waitingBytes -= this.pool.end[slot]! - this.pool.at[slot]!;
      this.waiting++;
    }
  }

  private grow(): void {
    const n = this.slots.length;
    const slots = new Int32Array(n * 2);
    const departAtUs = new Float64Array(n * 2);
    for (let i = this.head; i < this.tail; i++) {
      slots[i & (2 * n - 1)] = this.slots[i & (n - 1)]!;
      departAtUs[i & (2 * n - 1)] = this.departAtUs[i & (n - 1)]!;
    }
    this.slots = slots;
    this.departAtUs = departAtUs;
  }
}

interface EndOptions {
  readonly mtuBytes: number;
  readonly capabilities: number;
  readonly mac: Uint8Array;
}

/** One end of a simulated link; see {@link simLink}. */
export class SimDevice implements Device {
  readonly kind = "sim";
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  readonly capabilities: number;
  readonly wakeFd = -1;
  private readonly pool: Pool;
  private readonly out: Flight;
  private readonly back: Flight;
  private readonly tally: DeviceTally;
  /** Flags that a frame may carry into the link. */
  private readonly passes: number;
  private up = true;

  constructor(name: string, pool: Pool, out: Flight, back: Flight, o: EndOptions) {
    this.name = name;
    this.pool = pool;
    this.out = out;
    this.back = back;
    this.mac = o.mac;
    this.mtuBytes = o.mtuBytes;
    this.capabilities = o.capabilities;
    this.tally = new DeviceTally(name);
    const can = (capability: number, flag: number): number =>
      (o.capabilities & capability) === 0 ? 0 : flag;
    this.passes =
      can(Capability.TX_CHECKSUM, FrameFlags.CHECKSUM_PARTIAL) |
      can(Capability.TX_TSO4, FrameFlags.GSO_TCP4 | FrameFlags.GSO_ECN) |
      can(Capability.TX_TSO6, FrameFlags.GSO_TCP6 | FrameFlags.GSO_ECN) |
      can(Capability.TX_USO, FrameFlags.GSO_UDP);
  }

  get counters(): Counters<DeviceCounter> {
    return this.tally.counters;
  }

  get isUp(): boolean {
    return this.up;
  }

  /** Pulls or plugs in this end's cable. What is on its way already arrives. */
  setUp(up: boolean): void {
    this.up = up;
  }

  receive(nowUs: number, batch: Batch): void {
    while (batch.n < BATCH_FRAMES && this.back.arrivalUs() <= nowUs) {
      const arrivalUs = this.back.arrivalUs();
      const slot = this.claim(this.back.first());
      if (slot === NO_SLOT) {
        this.tally.rxNoSlot();
        return;
      }
      this.back.take(nowUs);
      this.pool.rxTimeUs[slot] = arrivalUs;
      this.tally.received(this.pool.end[slot]! - this.pool.at[slot]!);
      batch.put(slot);
    }
  }

  transmit(nowUs: number, batch: Batch): number {
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      const lengthBytes = this.pool.end[slot]! - this.pool.at[slot]!;
      if (!this.up || !this.isSendable(slot, lengthBytes) || !this.out.put(nowUs, slot)) {
        this.tally.txError();
        this.pool.give(slot);
      } else {
        this.tally.sent(lengthBytes);
      }
    }
    return batch.n;
  }

  flush(): void {}

  nextDeadlineUs(): number {
    return this.back.arrivalUs();
  }

  /** Gives back what is on its way in both directions: the slots belong to pools that may end. */
  close(): void {
    this.up = false;
    this.out.close();
    this.back.close();
  }

  /** The arrived frame as one of this end's pool; NO_SLOT when it has to be copied and cannot be. */
  private claim(slot: number): number {
    const from = this.back.pool;
    const mine = from === this.pool ? slot : copyFrame(from, slot, this.pool);
    if (mine === NO_SLOT) return NO_SLOT;
    if (mine !== slot || from !== this.pool) from.give(slot);
    let flags = this.pool.flags[mine]! & RECEIVED_FLAGS;
    if ((this.capabilities & Capability.RX_CHECKSUM) !== 0) flags |= FrameFlags.CHECKSUM_VALID;
    this.pool.flags[mine] = flags;
    setLinkFlags(this.pool, mine);
    return mine;
  }

  private isSendable(slot: number, lengthBytes: number): boolean {
    const flags = this.pool.flags[slot]! & REQUEST_FLAGS;
    if ((flags & ~this.passes) !== 0 || lengthBytes < ethernet.HEADER_BYTES) return false;
    const isLarge = (flags & GSO_FLAGS) !== 0;
    return isLarge || lengthBytes <= this.mtuBytes + MAX_LINK_HEADER_BYTES;
  }
}

/** Ethernet and two VLAN tags. */
const MAX_LINK_HEADER_BYTES = ethernet.HEADER_BYTES + 8;
const GSO_FLAGS: number = FrameFlags.GSO_TCP4 | FrameFlags.GSO_TCP6 | FrameFlags.GSO_UDP;
/** Flags by which a sender asks for something. */
const REQUEST_FLAGS: number = FrameFlags.CHECKSUM_PARTIAL | GSO_FLAGS | FrameFlags.GSO_ECN;
/** Flags of a sent frame that stay on receipt. */
const RECEIVED_FLAGS: number = REQUEST_FLAGS;
