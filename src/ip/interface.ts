/**
 * A network interface of a stack: a device, its addresses and joined groups, and the frames that
 * wait to be handed to the device.
 *
 * Sending: frames are put on a batch that goes to the device when it is full and at `flush`. What
 * the device refuses waits in a bounded queue, in order; what exceeds that is DEVICE_QUEUE_FULL.
 * Datagram sockets are told to wait long before.
 */
import type { IpAddress } from "../base/ip-address.js";
import { Capability, type Device } from "../nic/device.js";
import type { Lane } from "../nic/lane.js";
import { BATCH_FRAMES, Batch } from "../ring/batch.js";
import { NO_SLOT, type Pool } from "../ring/pool.js";
import { Drop } from "../wire/drop.js";
import * as ethernet from "../wire/ethernet.js";
import * as ipv4 from "../wire/ipv4.js";
import type { MulticastFilters } from "./multicast.js";
import { REACHABLE_TIME_US, RETRANS_TIMER_US } from "./neighbour.js";

/** Frames that wait for a device that refuses, per interface (Linux's default txqueuelen). */
export const TX_QUEUE_FRAMES = 1000;
/**
 * Frames that wait for the device at which datagram sockets are told to wait too: about what Linux's
 * default SO_SNDBUF holds of short ones. Above it are TCP, whose windows bound it, and control messages.
 */
export const CONGESTED_FRAMES = 256;
/** Down to this many, sockets may send again. */
const RELAXED_FRAMES = 128;

/** Where an address comes from. */
export const AddressOrigin = { USER: 0, LINK_LOCAL: 1, AUTOCONFIGURED: 2, KERNEL: 3 } as const;

export interface InterfaceAddress {
  readonly address: IpAddress;
  readonly prefixBits: number;
  /** IPv4 directed broadcast as a word; 0 for prefixes of 31 and 32 bits and for IPv6. */
  readonly broadcast: number;
  readonly origin: number;
  /** Still being checked for duplicates (RFC 4862 §5.4): may not be used. */
  isTentative: boolean;
  /** Valid but no longer to be chosen (RFC 4862 §5.5.4). */
  isDeprecated: boolean;
  preferredUntilUs: number;
  validUntilUs: number;
}

/** Who was told to wait for an interface. */
export interface SenderWaiting {
  /** The interface takes frames again. */
  roomAgain(): void;
}

/** What an interface needs of its stack. */
export interface InterfaceHost {
  readonly pool: Pool;
  /** The time of the turn. */
  readonly nowUs: number;
  drop(slot: number, reason: Drop): void;
  /** The interface's device has lost its link, or has one again. */
  linkChanged(iface: Interface): void;
}

export interface InterfaceParts {
  readonly index: number;
  readonly name: string;
  readonly device: Device;
  readonly mtuBytes: number;
  readonly isLoopback: boolean;
  readonly sumsInSoftware: boolean;
  readonly filters: MulticastFilters;
}

export class Interface {
  readonly index: number;
  readonly name: string;
  readonly device: Device;
  readonly isLoopback: boolean;
  macHigh: number;
  macLow: number;
  /** The kernel's index of the interface when it is shared (`kernel-side.ts`), or 0. */
  kernelIndex = 0;
  /** Shared: whether the kernel has the link up. */
  hasCarrier = true;
  /** Whether the device completes checksums; if not they are completed before it gets the frame. */
  readonly hasChecksum: boolean;
  /** Whether software around the device completes them, so that who makes them earlier saves work. */
  readonly sumsInSoftware: boolean;
  mtuBytes: number;
  /** MTU for IPv4, whose packets have no more than 65,535 bytes; `lo` could carry one more. */
  mtu4Bytes: number;
  /** MTU for IPv6, which a router advertisement may lower. */
  mtu6Bytes: number;
  /** IPv6: times that a router advertisement may set (RFC 4861 §6.3.2). */
  reachableTimeUs: number = REACHABLE_TIME_US;
  retransTimerUs: number = RETRANS_TIMER_US;
  /** Hop limit for IPv6, which a router advertisement may set. */
  hopLimit = 64;
  /** Whether router advertisements and redirects are obeyed here. */
  acceptsRouters = true;
  /** Whether IPv6 addresses are checked for duplicates before use. */
  detectsDuplicates = false;
  readonly addresses: InterfaceAddress[] = [];
  /** Groups that sockets and the stack itself have joined here, with their source filters. */
  readonly filters: MulticastFilters;
  private readonly host: InterfaceHost;
  private readonly batch = new Batch();
  /** A datagram of this turn has gone, or could not go, by the lane: others go in the batch. */
  hasPlaced = false;
  private waitingFirst = NO_SLOT;
  private waitingLast = NO_SLOT;
  private waitingFrames = 0;
  private readonly senders = new Set<SenderWaiting>();
  /** Whether the device had a link when the stack last looked. */
  private hadLink: boolean;

  constructor(parts: InterfaceParts, host: InterfaceHost) {
    this.index = parts.index;
    this.name = parts.name;
    this.device = parts.device;
    this.isLoopback = parts.isLoopback;
    this.macHigh = ethernet.high(parts.device.mac, 0);
    this.macLow = ethernet.low(parts.device.mac, 0);
    this.hasChecksum = (parts.device.capabilities & Capability.TX_CHECKSUM) !== 0;
    this.sumsInSoftware = parts.sumsInSoftware;
    this.mtuBytes = parts.mtuBytes;
    this.mtu4Bytes = Math.min(parts.mtuBytes, ipv4.MAX_PACKET_BYTES);
    this.mtu6Bytes = parts.mtuBytes;
    this.filters = parts.filters;
    this.host = host;
    this.hadLink = parts.device.isUp;
  }

  get mac(): Uint8Array {
    return this.device.mac;
  }

  /** Hot path of a turn. Whether frames can be sent. */
  get isUp(): boolean {
    return this.hasCarrier && this.device.isUp;
  }

  /** The link's MTU is another now; paths must be looked up again. */
  setMtu(mtuBytes: number): void {
    this.mtuBytes = mtuBytes;
    this.mtu4Bytes = Math.min(mtuBytes, ipv4.MAX_PACKET_BYTES);
    this.mtu6Bytes = mtuBytes;
  }

  /** Frames that the device has refused so far and that are kept for it. */
  get backlogFrames(): number {
    return this.waitingFrames + this.batch.n;
  }

  /** Hot path. Whether the device is so far behind that datagrams should wait in their programs. */
  get isCongested(): boolean {
    return this.waitingFrames >= CONGESTED_FRAMES;
  }

  /** `sender` hears of it when the interface is no longer congested. */
  awaitRoom(sender: SenderWaiting): void {
    this.senders.add(sender);
  }

  stopAwaiting(sender: SenderWaiting): void {
    this.senders.delete(sender);
  }

  private tellSenders(): void {
    if (this.waitingFrames > RELAXED_FRAMES) return;
    const senders = [...this.senders];
    this.senders.clear();
    for (const sender of senders) sender.roomAgain();
  }

  /** Hot path. Whether frames were queued since the last push to the device. */
  get hasQueued(): boolean {
    return this.batch.n > 0;
  }

  /** Hot path. Where a short frame may be written and sent at once: no frame is before it. */
  get lane(): Lane | null {
    if (this.batch.n > 0 || this.waitingFrames > 0 || !this.hasCarrier) return null;
    return this.device.lane ?? null;
  }

  /**
   * Hot path. Queues a whole Ethernet frame for the device; takes the slot. The time is no argument,
   * because it would be made an object for every frame.
   */
  put(slot: number): void {
    this.batch.put(slot);
    if (this.batch.n === BATCH_FRAMES) this.push(this.host.nowUs);
  }

  /** Hot path. Hands the device what it takes, and flushes it. */
  flush(nowUs: number): void {
    this.hasPlaced = false;
    if (this.device.isUp !== this.hadLink) {
      this.hadLink = !this.hadLink;
      this.host.linkChanged(this);
    }
    if (this.batch.n > 0 || this.waitingFrames > 0) this.push(nowUs);
    if (!this.isLoopback) this.device.flush(nowUs); // `lo` has nothing to flush
  }

  private push(nowUs: number): void {
    if (!this.isUp) {
      this.discard(Drop.LINK_DOWN);
      return;
    }
    const batch = this.batch;
    if (this.waitingFrames > 0) {
      this.appendBatch();
      this.refill();
    } else {
      const taken = this.device.transmit(nowUs, batch);
      if (taken === batch.n) {
        batch.n = 0; // as nearly always
        return;
      }
      batch.drop(taken);
      this.prependBatch();
      return;
    }
    while (batch.n > 0) {
      const offered = batch.n;
      const taken = this.device.transmit(nowUs, batch);
      batch.drop(taken);
      if (taken < offered) break;
      this.refill();
    }
    if (batch.n > 0) this.prependBatch();
    if (this.senders.size > 0) this.tellSenders();
  }

  /** Moves the batch behind what waits. */
  private appendBatch(): void {
    const { next } = this.host.pool;
    for (let i = 0; i < this.batch.n; i++) {
      const slot = this.batch.slots[i]!;
      if (this.waitingFrames >= TX_QUEUE_FRAMES) {
        this.host.drop(slot, Drop.DEVICE_QUEUE_FULL);
        continue;
      }
      next[slot] = NO_SLOT;
      if (this.waitingLast === NO_SLOT) this.waitingFirst = slot;
      else next[this.waitingLast] = slot;
      this.waitingLast = slot;
      this.waitingFrames++;
    }
    this.batch.n = 0;
  }

  /** Puts what the device left of the batch before what waits. */
  private prependBatch(): void {
    const { next } = this.host.pool;
    for (let i = this.batch.n - 1; i >= 0; i--) {
      const slot = this.batch.slots[i]!;
      next[slot] = this.waitingFirst;
      if (this.waitingFirst === NO_SLOT) this.waitingLast = slot;
      this.waitingFirst = slot;
      this.waitingFrames++;
    }
    this.batch.n = 0;
  }

  /** Fills the batch from what waits. */
  private refill(): void {
    const { next } = this.host.pool;
    while (this.waitingFrames > 0 && this.batch.n < BATCH_FRAMES) {
      const slot = this.waitingFirst;
      this.waitingFirst = next[slot]!;
      this.waitingFrames--;
      this.batch.put(slot);
    }
    if (this.waitingFrames === 0) this.waitingLast = NO_SLOT;
  }

  /** Drops everything that waits. */
  discard(reason: Drop): void {
    for (let i = 0; i < this.batch.n; i++) this.host.drop(this.batch.slots[i]!, reason);
    this.batch.n = 0;
    while (this.waitingFirst !== NO_SLOT) {
      const slot = this.waitingFirst;
      this.waitingFirst = this.host.pool.next[slot]!;
      this.host.drop(slot, reason);
    }
    this.waitingLast = NO_SLOT;
    this.waitingFrames = 0;
    if (this.senders.size > 0) this.tellSenders();
  }

  /** First usable IPv4 address, or null. */
  primary4(): InterfaceAddress | null {
    for (const a of this.addresses) if (a.address.isV4 && !a.isTentative) return a;
    return null;
  }

  /** The link-local IPv6 address to send from, or null. */
  linkLocal6(): InterfaceAddress | null {
    for (const a of this.addresses) {
      if (!a.address.isV4 && a.address.isLinkLocal && !a.isTentative) return a;
    }
    return null;
  }
}
