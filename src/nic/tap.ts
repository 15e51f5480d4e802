/**
 * TAP: a virtual Ethernet link to the Linux kernel, with the virtio-net header, so that checksums
 * are left out and segments of up to 64 KiB pass in one frame, both ways.
 *
 * The device's `mac` is this end's, Millrace's own; the kernel's end of the link has another.
 *
 * Receive reads into posted slots: a frame that fits a small slot lands there without a copy. What
 * is longer goes on in a posted big slot, at the place where it belongs, and only its beginning is
 * moved. Posted slots belong to the device and are handed on with the frame:
 *
 * | slot            | who may move it | to                                       |
 * |-----------------|-----------------|------------------------------------------|
 * | posted          | `receive`       | the caller, with a frame; or the pool    |
 * | the kept big one| `close`         | the pool                                 |
 *
 * The last posted big slot is kept to the end: when the pool has no other, frames that need one are
 * lost into it, so that acknowledgements behind them still arrive and free slots.
 */
import { randomBytes } from "node:crypto";
import { Counters } from "../base/counters.js";
import { EAGAIN, EBADFD, EINVAL, EIO } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { NEVER } from "../base/time.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import { BIG_SLOT_BYTES, NO_SLOT, type Pool, SMALL_SLOT_BYTES } from "../ring/pool.js";
import { closeFd, silenceFd } from "../sys/fd.js";
import * as sys from "../sys/tap.js";
import { TapQueue } from "../sys/tap-queue.js";
import { Capability, DEVICE_COUNTERS, type Device, type DeviceCounter } from "./device.js";
import { setLinkFlags } from "./frame-slots.js";
import * as virtio from "./virtio-header.js";

/**
 * Where a received frame starts in its slot: the IP header is then 16-byte aligned, and there is
 * room before the frame to put a tunnel's headers when it is passed on.
 */
const RX_FRAME_OFFSET = 66;
const SMALL_ROOM_BYTES = SMALL_SLOT_BYTES - RX_FRAME_OFFSET;
const BIG_ROOM_BYTES = BIG_SLOT_BYTES - RX_FRAME_OFFSET;
/** Big slots that are posted, the kept one included: up to 8 segments of 64 KiB in one call. */
const BIG_POSTED = 9;
const ETHERNET_BYTES = 14;

export interface TapOptions {
  /** An existing TAP or one to create; `%d` becomes a free number. By default `tap%d`. */
  readonly name?: string;
  /** Six bytes, this end's address. By default a random, locally administered one. */
  readonly mac?: Uint8Array;
  /** The kernel's end's address; by default what it has. */
  readonly kernelMac?: Uint8Array;
  /** Sets the link's MTU; by default it stays what the kernel has (1,500). */
  readonly mtuBytes?: number;
  /** Brings the kernel's end up when it is down. True by default. */
  readonly bringUp?: boolean;
  /**
   * Frames pass with checksums unmade and segments unsplit. True by default. Without it every
   * frame is as on a wire, which is what packet captures want.
   */
  readonly offload?: boolean;
  /** Opens one queue of an interface that several descriptors share. False by default. */
  readonly isMultiQueue?: boolean;
}

/** Opens a TAP device. Throws `NetError`, which says what is missing, when the system refuses. */
export function openTap(pool: Pool, options: TapOptions = {}): TapDevice {
  const mac = options.mac ?? randomMac();
  if (mac.length !== 6 || (mac[0]! & 1) !== 0) {
    throw new RangeError(`mac: expected six bytes, not a group address, got ${mac}`);
  }
  const tap = sys.openTapFd({
    name: options.name ?? "tap%d",
    isMultiQueue: options.isMultiQueue ?? false,
    offload: (options.offload ?? true) ? sys.TapOffload.TCP_UDP : sys.TapOffload.NONE,
  });
  try {
    configure(tap.name, options);
    return new TapDevice(pool, tap, mac.slice(), sys.interfaceMtuBytes(tap.name));
  } catch (error) {
    closeFd(tap.fd);
    throw error;
  }
}

function configure(name: string, options: TapOptions): void {
  if (options.kernelMac !== undefined) sys.setInterfaceMac(name, options.kernelMac);
  if (options.mtuBytes !== undefined && options.mtuBytes !== sys.interfaceMtuBytes(name)) {
    sys.setInterfaceMtuBytes(name, options.mtuBytes);
  }
  if ((options.bringUp ?? true) && !sys.interfaceIsUp(name)) sys.setInterfaceUp(name, true);
}

function randomMac(): Uint8Array {
  const mac = new Uint8Array(randomBytes(6));
  mac[0] = (mac[0]! & 0xfc) | 2; // locally administered, one receiver
  return mac;
}

/** Capabilities at each level of offload that the kernel granted. */
function capabilitiesOf(offload: number): number {
  const all = Capability.TX_BORROWS; // write(2) copies
  if (offload === sys.TapOffload.NONE) return all;
  const tcp =
    all | Capability.TX_CHECKSUM | Capability.TX_TSO4 | Capability.TX_TSO6 | Capability.RX_COALESCE;
  return offload === sys.TapOffload.TCP_UDP ? tcp | Capability.TX_USO : tcp;
}

export class TapDevice implements Device {
  readonly kind = "tap";
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtuBytes: number;
  readonly capabilities: number;
  readonly counters: Counters<DeviceCounter>;
  readonly wakeFd: number;

  private readonly pool: Pool;
  private readonly queue: TapQueue;
  private isLinkUp = true;
  private isClosed = false;
  /** The interface was deleted: nothing more comes from it. */
  private isGone = false;

  /** Posted small slots, from 0 to `nSmall`, at the queue's places of the same index. */
  private readonly smallSlots = new Int32Array(BATCH_FRAMES);
  private nSmall = 0;
  /** As above, big slots; the last one is the kept one. */
  private readonly bigSlots = new Int32Array(BIG_POSTED);
  private nBig = 0;
  /** Big slots handed out during this call. */
  private bigUsed = 0;
  /**
   * Frames to ask for: twice as many as last time, so that a lone frame, the case where latency
   * counts, is not followed by a read that finds nothing.
   */
  private burst = 1;

  private readonly rxFrames: number;
  private readonly rxBytes: number;
  private readonly rxNoSlot: number;
  private readonly rxErrors: number;
  private readonly txFrames: number;
  private readonly txBytes: number;
  private readonly txFull: number;
  private readonly txErrors: number;

  /** Takes the descriptor; use {@link openTap}. Throws `RangeError` when the pool has no big slot. */
  constructor(pool: Pool, tap: sys.OpenTap, mac: Uint8Array, mtuBytes: number) {
    this.pool = pool;
    this.name = tap.name;
    this.wakeFd = tap.fd;
    this.mac = mac;
    this.mtuBytes = mtuBytes;
    this.capabilities = capabilitiesOf(tap.offload);
    this.counters = new Counters(`tap ${tap.name}`, DEVICE_COUNTERS);
    this.rxFrames = this.counters.index("rxFrames");
    this.rxBytes = this.counters.index("rxBytes");
    this.rxNoSlot = this.counters.index("rxNoSlot");
    this.rxErrors = this.counters.index("rxErrors");
    this.txFrames = this.counters.index("txFrames");
    this.txBytes = this.counters.index("txBytes");
    this.txFull = this.counters.index("txFull");
    this.txErrors = this.counters.index("txErrors");
    this.queue = new TapQueue(tap.fd, pool.bytes, {
      frames: BATCH_FRAMES,
      bigFrames: BIG_POSTED,
      smallRoomBytes: SMALL_ROOM_BYTES,
      bigRoomBytes: BIG_ROOM_BYTES,
    });
    this.postBig();
    if (this.nBig === 0) throw new RangeError("tap: expected a pool with free big slots, got none");
  }

  /** Notices that the link came up when asked, and that it went down when a frame is refused. */
  get isUp(): boolean {
    if (this.isClosed || this.isGone) return false;
    if (!this.isLinkUp) this.isLinkUp = this.asksWhetherUp();
    return this.isLinkUp;
  }

  private asksWhetherUp(): boolean {
    try {
      return sys.interfaceIsUp(sys.tapName(this.wakeFd));
    } catch (error) {
      // Moved to another network namespace, it cannot be asked about, and may well be up.
      return error instanceof NetError && error.syscall !== "ioctl TUNGETIFF";
    }
  }

  /** Hot path. */
  receive(nowUs: number, batch: Batch): void {
    if (this.isClosed || this.isGone) return;
    const asked = this.post(Math.min(BATCH_FRAMES - batch.n, this.burst));
    if (asked === 0) return;
    const n = this.queue.receive(asked, this.nBig);
    if (n < 0) {
      this.burst = 1;
      if (n !== -EAGAIN) this.receiveFailed(n);
      return;
    }
    this.burst = n === asked ? Math.min(2 * asked, BATCH_FRAMES) : n;
    this.bigUsed = 0;
    for (let i = 0; i < n; i++) this.deliver(nowUs, batch, i);
    this.removeDelivered(n);
  }

  /** Hot path. Fills up the posted slots; how many frames can be asked for, at most `wanted`. */
  private post(wanted: number): number {
    const pool = this.pool;
    while (this.nSmall < wanted) {
      const slot = pool.take();
      if (slot === NO_SLOT) break;
      this.smallSlots[this.nSmall] = slot;
      this.queue.smallAts[this.nSmall] = pool.base(slot) + RX_FRAME_OFFSET;
      this.nSmall = (this.nSmall + 1) | 0;
    }
    if (this.nBig < BIG_POSTED) this.postBig();
    if (this.nSmall === 0 && wanted > 0) this.counters.add(this.rxNoSlot, 1);
    return Math.min(this.nSmall, wanted);
  }

  private postBig(): void {
    const pool = this.pool;
    while (this.nBig < BIG_POSTED) {
      const slot = pool.takeBig();
      if (slot === NO_SLOT) return;
      this.bigSlots[this.nBig] = slot;
      this.queue.bigAts[this.nBig] = pool.base(slot) + RX_FRAME_OFFSET;
      this.nBig = (this.nBig + 1) | 0;
    }
  }

  /** Hot path. Hands read `i` on to the batch; its posted small slot becomes NO_SLOT if it went. */
  private deliver(nowUs: number, batch: Batch, i: number): void {
    const pool = this.pool;
    const lengthBytes = this.queue.rxLengths[i]!;
    const headerAt = this.queue.smallAts[i]! - virtio.HEADER_BYTES;
    const isBig = lengthBytes > SMALL_ROOM_BYTES;
    if (isBig && this.nBig === 1) {
      this.counters.add(this.rxNoSlot, 1);
      return;
    }
    const slot = isBig ? this.bigSlots[this.bigUsed]! : this.smallSlots[i]!;
    const at = pool.base(slot) + RX_FRAME_OFFSET;
    pool.at[slot] = at;
    pool.end[slot] = at + lengthBytes;
    // A frame that fills its room may have been cut.
    const isWhole = lengthBytes >= ETHERNET_BYTES && lengthBytes < BIG_ROOM_BYTES;
    const isUsable = isWhole && virtio.read(pool, slot, headerAt);
    if (isBig) this.bigUsed = (this.bigUsed + 1) | 0;
    else this.smallSlots[i] = NO_SLOT;
    if (!isUsable) {
      this.counters.add(this.rxErrors, 1);
      pool.give(slot);
      return;
    }
    setLinkFlags(pool, slot);
    pool.rxTimeUs[slot] = nowUs;
    batch.put(slot);
    this.counters.add(this.rxFrames, 1);
    this.counters.add(this.rxBytes, lengthBytes);
  }

  /** Hot path. Closes the gaps that delivered slots left among the posted ones. */
  private removeDelivered(n: number): void {
    for (let i = n - 1; i >= 0; i--) {
      if (this.smallSlots[i] !== NO_SLOT) continue;
      this.nSmall = (this.nSmall - 1) | 0;
      this.smallSlots[i] = this.smallSlots[this.nSmall]!;
      this.queue.smallAts[i] = this.queue.smallAts[this.nSmall]!;
    }
    if (this.bigUsed === 0) return;
    this.bigSlots.copyWithin(0, this.bigUsed, this.nBig);
    this.queue.bigAts.copyWithin(0, this.bigUsed, this.nBig);
    this.nBig = (this.nBig - this.bigUsed) | 0;
  }

  private receiveFailed(result: number): void {
    this.counters.add(this.rxErrors, 1);
    if (result !== -EBADFD) return;
    // The interface was deleted. Its descriptor polls as failed for ever and would keep hosts awake.
    this.isGone = true;
    silenceFd(this.wakeFd);
  }

  /** Hot path. */
  transmit(_nowUs: number, batch: Batch): number {
    const n = this.prepare(batch);
    if (n === 0 && batch.n > 0) return this.refuseFirst(batch);
    const sent = this.isClosed || this.isGone ? this.failAll(n) : this.queue.transmit(n);
    if (sent < 0) return this.transmitFailed(batch, n);
    for (let i = 0; i < sent; i++) this.finish(batch.slots[i]!, this.queue.txLengths[i]!);
    if (sent < n) this.counters.add(this.txFull, 1);
    return sent;
  }

  /** Hot path. Writes headers, up to the first frame that cannot be sent; how many frames. */
  private prepare(batch: Batch): number {
    const pool = this.pool;
    for (let i = 0; i < batch.n; i++) {
      const slot = batch.slots[i]!;
      const at = pool.at[slot]!;
      const headerAt = at - virtio.HEADER_BYTES;
      if (headerAt < pool.base(slot) || !virtio.write(pool, slot, headerAt)) return i;
      this.queue.txAts[i] = at;
      this.queue.txLengths[i] = pool.end[slot]! - at;
    }
    return batch.n;
  }

  /** Hot path. The frame is the kernel's, or lost; its slot is free. */
  private finish(slot: number, result: number): void {
    if (result >= 0) {
      this.counters.add(this.txFrames, 1);
      this.counters.add(this.txBytes, result);
    } else {
      this.counters.add(this.txErrors, 1);
      if (result === -EIO) this.isLinkUp = false;
    }
    this.pool.give(slot);
  }

  private failAll(n: number): number {
    this.queue.txLengths.fill(-EIO, 0, n);
    return n;
  }

  /** The first frame's columns contradict each other: a bug above; it is lost and counted. */
  private refuseFirst(batch: Batch): number {
    this.finish(batch.slots[0]!, -EINVAL);
    return 1;
  }

  /** The addon refused the whole batch: a frame lies outside the arena. All are lost. */
  private transmitFailed(batch: Batch, n: number): number {
    for (let i = 0; i < n; i++) this.finish(batch.slots[i]!, -EINVAL);
    return n;
  }

  /** `transmit` has sent everything already. */
  flush(_nowUs: number): void {}

  nextDeadlineUs(): number {
    return NEVER;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (let i = 0; i < this.nSmall; i++) this.pool.give(this.smallSlots[i]!);
    for (let i = 0; i < this.nBig; i++) this.pool.give(this.bigSlots[i]!);
    this.nSmall = 0;
    this.nBig = 0;
    this.queue.close();
    closeFd(this.wakeFd);
  }
}
