/**
 * One receive and one transmit queue of an interface through an AF_XDP socket: what `XdpDevice` is
 * made of. The pool's small slots are the socket's memory (UMEM), a slot is a chunk, and frames lie
 * where the kernel or the NIC put them.
 *
 * | slot           | who may move it       | to                                                |
 * |----------------|-----------------------|---------------------------------------------------|
 * | free           | `refill`              | posted: in the fill ring, the NIC or the rx ring  |
 * | posted         | `receive`             | the caller, with a frame; or posted again         |
 * | the caller's   | `transmit`            | sending: in the tx ring, the NIC, the completions |
 * | sending        | `reclaim`             | free                                              |
 * | posted, sending| `close`, after the socket | free                                          |
 *
 * Big slots are not in the UMEM: frames in them are sent as copies, in as many chunks as it takes.
 * Received frames of several chunks are joined (`xdp-frame-joiner.ts`).
 */
import type { Counters } from "../base/counters.js";
import { EAGAIN, EBUSY, ENETDOWN, ENXIO } from "../base/errno.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import { FrameFlags, NO_SLOT, type Pool, SMALL_SLOT_BYTES } from "../ring/pool.js";
import { pollFds } from "../sys/fd.js";
import {
  CHUNK_BYTES,
  DescOption,
  METADATA_CHECKSUM,
  RX_HEADROOM_BYTES,
  TX_METADATA_BYTES,
  type XskSocket,
} from "../sys/xsk.js";
import type { DeviceTally } from "./device-tally.js";
import { setLinkFlags } from "./frame-slots.js";
import { markUnfinished } from "./unfinished-checksum.js";
import { KernelStatistics, XdpCount, type XdpCounter } from "./xdp-counters.js";
import { FrameJoiner } from "./xdp-frame-joiner.js";
import type { RxMetadata } from "./xdp-rx-metadata.js";
import { ConsumerRing, ProducerRing } from "./xsk-ring.js";

const ETHERNET_BYTES = 14;
/** In the first byte of an Ethernet frame. */
const GROUP_BIT = 1;
const SLOT_SHIFT = 11;
const SLOT_MASK = SMALL_SLOT_BYTES - 1;
/** 32-bit words of an rx or tx descriptor: address (two), length, options. */
const LENGTH_WORD = 2;
const OPTIONS_WORD = 3;
/** Slots that are posted at a time, so that a lone frame costs no publication. */
const REFILL_SLOTS = 16;
/** How long to wait before asking the kernel again to send what it has not. */
const RETRY_US = 50;
const LINK_DOWN_RETRY_US = 100_000;
/** How long a NIC may take to forget the slots of a closed socket. */
const NIC_RESET_US = 50_000;
const NO_FDS = new Int32Array(0);
/** Descriptors of the longest frame, and more than the kernel takes (MAX_SKB_FRAGS is 17). */
const MAX_PIECES = 18;

/** Who has a slot, as far as this queue knows. */
const FREE = 0;
const POSTED = 1;
const SENDING = 2;

export interface XdpQueueOptions {
  readonly queue: number;
  /** Entries of each ring; a power of two. */
  readonly entries: number;
  /** Slots that are kept posted, at most `entries`. */
  readonly postedSlots: number;
  /** Frames have metadata in front: the kernel makes their checksums. */
  readonly hasMetadata: boolean;
  /** Received frames have metadata of the NIC in front: where they go. Null: they have none. */
  readonly rxMetadata: RxMetadata | null;
  /** Transmitted frames may be of several descriptors. */
  readonly isMultiBuffer: boolean;
  readonly mtuBytes: number;
  /** Received frames may carry checksums that their sender left to a device. */
  readonly expectsUnfinished: boolean;
  /** Every look into an empty ring drives the NIC. */
  readonly busyPolls: boolean;
}

export class XdpQueue {
  readonly queue: number;
  readonly fd: number;
  readonly isZeroCopy: boolean;
  /** The interface refused a frame because it is down; the owner asks and clears. */
  sawLinkDown = false;
  /** When the kernel is to be asked again to send, or 0. */
  retryAtUs = 0;
  readonly rxMetadata: RxMetadata | null;

  private readonly pool: Pool;
  private readonly socket: XskSocket;
  private readonly tally: DeviceTally;
  private readonly counters: Counters<XdpCounter>;
  private readonly statistics = new KernelStatistics();
  private readonly rx: ConsumerRing;
  private readonly tx: ProducerRing;
  private readonly fill: ProducerRing;
  private readonly completion: ConsumerRing;
  /** By slot: FREE, POSTED or SENDING. */
  private readonly state: Uint8Array;
  private readonly smallBase: number;
  private readonly postedWanted: number;
  private posted = 0;
  /** By the call of `receive` in work. */
  private receivedBytes = 0;
  private sending = 0;
  /** By the call of `transmit` in work. */
  private sentFrames = 0;
  private sentBytes = 0;
  /** Written to the tx ring and not yet shown to the kernel, or not yet taken by it. */
  private isUnsent = false;
  private readonly joiner: FrameJoiner;
  private readonly metadataBytes: number;
  private readonly isMultiBuffer: boolean;
  private readonly expectsUnfinished: boolean;
  private readonly busyPolls: boolean;
  private readonly pieces = new Int32Array(MAX_PIECES);

  /** Takes the socket, whose four rings are made and which is bound. */
  constructor(
    pool: Pool,
    socket: XskSocket,
    tally: DeviceTally,
    counters: Counters<XdpCounter>,
    options: XdpQueueOptions,
  ) {
    const { entries } = options;
    this.pool = pool;
    this.socket = socket;
    this.fd = socket.fd;
    this.tally = tally;
    this.counters = counters;
    this.queue = options.queue;
    this.isZeroCopy = socket.isZeroCopy;
    this.rx = new ConsumerRing(socket.mapRing("rx", entries));
    this.tx = new ProducerRing(socket.mapRing("tx", entries));
    this.fill = new ProducerRing(socket.mapRing("fill", entries));
    this.completion = new ConsumerRing(socket.mapRing("completion", entries));
    this.state = new Uint8Array(pool.smallSlots);
    this.smallBase = pool.memory.smallBase;
    this.postedWanted = options.postedSlots;
    this.joiner = new FrameJoiner(pool, tally, options.mtuBytes);
    this.metadataBytes = options.hasMetadata ? TX_METADATA_BYTES : 0;
    this.rxMetadata = options.rxMetadata;
    this.isMultiBuffer = options.isMultiBuffer;
    this.expectsUnfinished = options.expectsUnfinished;
    this.busyPolls = options.busyPolls;
    this.refill();
  }

  /** Hot path. Appends what has arrived, while the batch has room. */
  receive(nowUs: number, batch: Batch): void {
    const { rx } = this;
    const ready = rx.ready;
    if (ready === 0) {
      this.receiveNothing();
      return;
    }
    const { words } = rx;
    const firstNew = batch.n;
    this.receivedBytes = 0;
    let n = 0;
    while (n < ready && batch.n < BATCH_FRAMES) {
      const at = rx.entriesAt + ((rx.next & rx.mask) << 2);
      // The high half of the address is 0: an arena has less than 4 GiB.
      const address = words[at]!;
      const lengthBytes = words[at + LENGTH_WORD]!;
      const options = words[at + OPTIONS_WORD]!;
      rx.next = (rx.next + 1) | 0;
      n = (n + 1) | 0;
      this.take(nowUs, batch, address, lengthBytes, options);
    }
    rx.release();
    this.tally.receivedFrames((batch.n - firstNew) | 0, this.receivedBytes);
    if (this.postedWanted - this.posted >= REFILL_SLOTS) this.refill();
  }

  /** Hot path. The ring was empty. */
  private receiveNothing(): void {
    if (this.posted < this.postedWanted >> 1) this.refill();
    if (!this.busyPolls) return;
    this.counters.add(XdpCount.RX_WAKES, 1);
    this.socket.receive();
  }

  /** Hot path. One descriptor of the rx ring. */
  private take(
    nowUs: number,
    batch: Batch,
    address: number,
    lengthBytes: number,
    options: number,
  ): void {
    const slot = address >>> SLOT_SHIFT;
    const inSlot = address & SLOT_MASK;
    const isKnown = this.state[slot] === POSTED;
    if (!isKnown || lengthBytes < 0 || inSlot + lengthBytes > SMALL_SLOT_BYTES) {
      this.counters.add(XdpCount.RX_BAD_DESCS, 1);
      this.tally.rxError();
      return;
    }
    this.state[slot] = FREE;
    this.posted = (this.posted - 1) | 0;
    const at = this.smallBase + address;
    const continues = (options & DescOption.CONTINUES) !== 0;
    if (continues || this.joiner.isBusy) {
      this.joiner.append(at, lengthBytes);
      this.pool.give(slot);
      if (!continues) this.deliverJoined(nowUs, batch);
      return;
    }
    const begin = this.rxMetadata === null ? at : this.rxMetadata.read(this.pool, slot, at);
    this.deliver(nowUs, batch, slot, begin, at + lengthBytes);
  }

  private deliverJoined(nowUs: number, batch: Batch): void {
    const slot = this.joiner.finish();
    if (slot === NO_SLOT) return;
    this.counters.add(XdpCount.RX_JOINED, 1);
    this.deliver(nowUs, batch, slot, this.pool.at[slot]!, this.pool.end[slot]!);
  }

  /** Hot path. A whole frame. Takes the slot. */
  private deliver(nowUs: number, batch: Batch, slot: number, at: number, end: number): void {
    const { pool } = this;
    if (end - at < ETHERNET_BYTES) {
      this.tally.rxError();
      pool.give(slot);
      return;
    }
    pool.at[slot] = at;
    pool.end[slot] = end;
    pool.flags[slot] = 0;
    pool.gsoBytes[slot] = 0;
    pool.rxTimeUs[slot] = nowUs;
    if ((pool.bytes[at]! & GROUP_BIT) !== 0) setLinkFlags(pool, slot);
    if (this.expectsUnfinished) markUnfinished(pool, slot);
    batch.put(slot);
    this.receivedBytes = (this.receivedBytes + end - at) | 0;
  }

  /** Hot path. Posts slots up to the wanted number, and calls the kernel if it waits for them. */
  private refill(): void {
    const { fill, pool } = this;
    let wanted = this.postedWanted - this.posted;
    for (; wanted > 0; wanted--) {
      const slot = pool.take();
      if (slot === NO_SLOT) {
        this.tally.rxNoSlot();
        break;
      }
      this.state[slot] = POSTED;
      if (this.rxMetadata !== null) {
        this.rxMetadata.forget(pool, pool.base(slot) + RX_HEADROOM_BYTES);
      }
      fill.words[fill.entriesAt + ((fill.next & fill.mask) << 1)] = slot << SLOT_SHIFT;
      fill.next = (fill.next + 1) | 0;
      this.posted = (this.posted + 1) | 0;
    }
    fill.publish();
    if (!fill.needsWakeup) return;
    this.counters.add(XdpCount.RX_WAKES, 1);
    this.socket.receive();
  }

  /** Hot path. Writes descriptors for the first frames of the batch; how many frames were taken. */
  transmit(batch: Batch): number {
    if (this.sending > 0) this.reclaim();
    this.sentBytes = 0;
    this.sentFrames = 0;
    let n = 0;
    for (; n < batch.n; n++) {
      if (!this.send(batch.slots[n]!)) break;
    }
    if (n > 0) this.isUnsent = true;
    this.tally.sentFrames(this.sentFrames, this.sentBytes);
    if (n < batch.n) this.tally.txFull();
    return n;
  }

  /** Hot path. Takes the slot and returns true; or false when there is no room for its frame. */
  private send(slot: number): boolean {
    const { pool } = this;
    const at = pool.at[slot]!;
    const lengthBytes = (pool.end[slot]! - at) | 0;
    const room = (this.tx.mask + 1 - this.sending) | 0;
    const isInPlace = slot < pool.smallSlots && at - pool.base(slot) >= this.metadataBytes;
    if (!isInPlace || lengthBytes <= 0) return this.sendCopy(slot, at, lengthBytes, room);
    if (room === 0) return false;
    const options = this.writeMetadata(slot, at, at);
    this.putDescriptor(slot, at, lengthBytes, options);
    this.sentFrames = (this.sentFrames + 1) | 0;
    this.sentBytes = (this.sentBytes + lengthBytes) | 0;
    return true;
  }

  /** Hot path. Descriptor for a slot of the UMEM, which is on its way from now on. */
  private putDescriptor(slot: number, at: number, lengthBytes: number, options: number): void {
    const { tx } = this;
    const entry = tx.entriesAt + ((tx.next & tx.mask) << 2);
    tx.words[entry] = at - this.smallBase;
    tx.words[entry + LENGTH_WORD] = lengthBytes;
    tx.words[entry + OPTIONS_WORD] = options;
    tx.next = (tx.next + 1) | 0;
    this.state[slot] = SENDING;
    this.sending = (this.sending + 1) | 0;
  }

  /** Sends a frame that is not where the NIC can see it. Takes the slot unless it returns false. */
  private sendCopy(slot: number, at: number, lengthBytes: number, room: number): boolean {
    const { pool } = this;
    const perPiece = CHUNK_BYTES - this.metadataBytes;
    const n = Math.ceil(lengthBytes / perPiece);
    if (n === 0 || n > MAX_PIECES || (n > 1 && !this.isMultiBuffer)) {
      this.tally.txError();
      pool.give(slot);
      return true;
    }
    if (n > room || !this.takePieces(n)) return false;
    for (let i = 0; i < n; i++) {
      const piece = this.pieces[i]!;
      const from = at + i * perPiece;
      const to = pool.base(piece) + this.metadataBytes;
      const pieceBytes = Math.min(perPiece, lengthBytes - i * perPiece);
      pool.bytes.copyWithin(to, from, from + pieceBytes);
      const metadata = i === 0 ? this.writeMetadata(slot, at, to) : 0;
      const more = i < n - 1 ? DescOption.CONTINUES : 0;
      this.putDescriptor(piece, to, pieceBytes, metadata | more);
    }
    pool.give(slot);
    this.counters.add(XdpCount.TX_COPIED, 1);
    this.sentFrames = (this.sentFrames + 1) | 0;
    this.sentBytes = (this.sentBytes + lengthBytes) | 0;
    return true;
  }

  /** Small slots for the pieces of a frame: all or none. */
  private takePieces(n: number): boolean {
    for (let i = 0; i < n; i++) {
      const piece = this.pool.take();
      this.pieces[i] = piece;
      if (piece !== NO_SLOT) continue;
      for (let k = 0; k < i; k++) this.pool.give(this.pieces[k]!);
      return false;
    }
    return true;
  }

  /**
   * Hot path. Asks for the checksum of the frame at `at`, which is sent from `to`; the options that
   * say so (struct xsk_tx_metadata: flags, checksum's start and offset in the frame).
   */
  private writeMetadata(slot: number, at: number, to: number): number {
    const { pool } = this;
    if (this.metadataBytes === 0) return 0;
    if ((pool.flags[slot]! & FrameFlags.CHECKSUM_PARTIAL) === 0) return 0;
    const { view } = pool;
    const meta = to - TX_METADATA_BYTES;
    view.setUint32(meta, METADATA_CHECKSUM, true);
    view.setUint32(meta + 4, 0, true);
    view.setUint16(meta + 8, pool.csumStart[slot]! - at, true);
    view.setUint16(meta + 10, pool.csumOffset[slot]!, true);
    return DescOption.METADATA;
  }

  /** Hot path. Has the kernel send what was transmitted, and takes back what it has sent. */
  flush(nowUs: number): void {
    if (this.isUnsent && (this.retryAtUs === 0 || nowUs >= this.retryAtUs)) this.kick(nowUs);
    else if (this.sending > 0) this.reclaim();
  }

  /**
   * Calls the kernel until it has taken everything, or takes nothing: 32 descriptors a call in copy
   * mode; with zero copy one call wakes the driver, which goes on by itself.
   */
  private kick(nowUs: number): void {
    const { tx } = this;
    tx.publish();
    this.isUnsent = false;
    this.retryAtUs = 0;
    let waiting = tx.waiting;
    while (waiting > 0 && tx.needsWakeup) {
      this.counters.add(XdpCount.TX_KICKS, 1);
      const result = this.socket.send();
      if (this.isZeroCopy && result >= 0) break;
      const left = tx.waiting;
      if (result < 0 && result !== -EAGAIN) this.sendFailed(result);
      if (left === waiting) {
        this.isUnsent = true;
        this.retryAtUs = nowUs + (this.sawLinkDown ? LINK_DOWN_RETRY_US : RETRY_US);
        break;
      }
      waiting = left;
    }
    this.reclaim();
  }

  private sendFailed(result: number): void {
    if (result === -EBUSY) this.tally.txError();
    else if (result === -ENETDOWN || result === -ENXIO) this.sawLinkDown = true;
  }

  /** Hot path. Gives the pool back the slots whose frames the kernel has sent. */
  private reclaim(): void {
    const { completion, pool } = this;
    const n = completion.ready;
    if (n === 0) return;
    for (let i = 0; i < n; i++) {
      const at = completion.entriesAt + ((completion.next & completion.mask) << 1);
      const slot = completion.words[at]! >>> SLOT_SHIFT;
      completion.next = (completion.next + 1) | 0;
      if (this.state[slot] !== SENDING) continue;
      this.state[slot] = FREE;
      this.sending = (this.sending - 1) | 0;
      pool.give(slot);
    }
    completion.release();
  }

  /** Brings the kernel's counts into the counters. */
  readStatistics(): void {
    this.statistics.read(this.socket, this.counters, this.tally);
  }

  /** Closes the socket, and then gives back every slot that the kernel had. */
  close(): void {
    this.readStatistics();
    this.socket.close();
    // With zero copy the NIC writes to posted slots until its queue has been set up anew.
    if (this.isZeroCopy) pollFds(NO_FDS, 0, NIC_RESET_US);
    for (let slot = 0; slot < this.state.length; slot++) {
      if (this.state[slot] === FREE) continue;
      this.state[slot] = FREE;
      this.pool.give(slot);
    }
    this.joiner.close();
    this.posted = 0;
    this.sending = 0;
  }
}
