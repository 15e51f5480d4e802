/**
 * The receiving half of a UDP socket: its queue of datagrams, what is known of the one that was taken
 * last, and the errors that wait for the next call.
 *
 * Received datagrams stay in their slots with all headers, so everything about one (sender, TTL,
 * interface) is read when it is taken. What the queue holds is bounded by `receiveBufferBytes`.
 */
import * as errno from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import { NO_SLOT, type Pool } from "../ring/pool.js";
import { WordCopy } from "../ring/word-copy.js";
import { Drop } from "../wire/drop.js";
import * as ipv4 from "../wire/ipv4.js";
import * as ipv6 from "../wire/ipv6.js";
import { type ErrorEntry, ErrorQueue } from "./error-queue.js";
import type { Ip } from "./ip.js";
import { SlotQueue } from "./slot-queue.js";

/** What a queued datagram counts besides its payload: it holds a slot. */
export const DATAGRAM_OVERHEAD_BYTES = 512;
/** Linux's net.core.rmem_default. */
export const DEFAULT_RECEIVE_BUFFER_BYTES = 212_992;
/** Flags of {@link UdpReceiver.receive}; the numbers are Linux's. */
export const ReceiveFlags = { PEEK: 2, TRUNC: 0x20 } as const;

/** What a socket needs of `Udp` to receive. */
export interface ReceiverHost {
  readonly ip: Ip;
  /** The readiness of the socket with this cookie may have changed. */
  changed(cookie: number): void;
}

export class UdpReceiver {
  /** Number that the socket layer knows this endpoint by, for `ReadinessSink`. */
  cookie = 0;
  /** Datagrams with a smaller TTL are dropped (RFC 5082); 0: none. */
  minTtl = 0;
  receiveBufferBytes: number = DEFAULT_RECEIVE_BUFFER_BYTES;

  // About the datagram that was received last
  readonly from: IpAddress = new IpAddress();
  fromPort = 0;
  readonly to: IpAddress = new IpAddress();
  toIfIndex = 0;
  receivedTtl = 0;
  receivedTos = 0;
  rxTimeUs = 0;
  truncated = false;

  /** Datagrams that did not fit into the queue. */
  dropped = 0;
  readonly queue: SlotQueue;
  protected readonly errors = new ErrorQueue();
  protected pendingErrno = 0;
  protected isReadShut = false;
  protected readonly ip: Ip;
  protected readonly pool: Pool;
  private queuedBytes = 0;
  private readonly host: ReceiverHost;
  private readonly copyOut: WordCopy;

  constructor(host: ReceiverHost) {
    this.host = host;
    this.ip = host.ip;
    this.pool = host.ip.pool;
    this.copyOut = new WordCopy(this.pool);
    this.queue = new SlotQueue(this.pool);
  }

  /**
   * Hot path. Copies a datagram and returns how many bytes were copied (with TRUNC: how long it is);
   * -EAGAIN when there is none, or a pending error. `from`, `to` and so on then describe it.
   */
  receive(bytes: Uint8Array, at: number, n: number, flags = 0): number {
    if (this.pendingErrno !== 0) return -this.takeError();
    const slot = this.queue.first;
    if (slot === NO_SLOT) return this.isReadShut ? 0 : -errno.EAGAIN;
    const { pool } = this;
    const payloadAt = pool.at[slot]!;
    const length = pool.end[slot]! - payloadAt;
    const copied = length < n ? length : n;
    this.copyOut.fromArena(bytes, at, payloadAt, copied);
    this.describe(slot);
    this.truncated = copied < length;
    if ((flags & ReceiveFlags.PEEK) === 0) pool.give(this.takeQueued());
    return (flags & ReceiveFlags.TRUNC) !== 0 ? length : copied;
  }

  /** Hot path. The oldest datagram's slot, now the caller's: `at..end` is the payload; or a negated error. */
  receiveSlot(): number {
    if (this.pendingErrno !== 0) return -this.takeError();
    const slot = this.queue.first;
    if (slot === NO_SLOT) return -errno.EAGAIN;
    this.describe(slot);
    this.truncated = false;
    return this.takeQueued();
  }

  /** Hot path. */
  private takeQueued(): number {
    const slot = this.queue.take();
    this.queuedBytes = (this.queuedBytes - this.charge(slot)) | 0;
    return slot;
  }

  /** Hot path. What a datagram counts against the receive buffer. */
  private charge(slot: number): number {
    return (this.pool.end[slot]! - this.pool.at[slot]! + DATAGRAM_OVERHEAD_BYTES) | 0;
  }

  /** Hot path. Reads sender, destination and so on from the headers that are still in the slot. */
  private describe(slot: number): void {
    const { pool } = this;
    const { view } = this.ip;
    const l3At = pool.l3At[slot]!;
    const w0 = view.getInt32(l3At);
    if (w0 >>> 28 === 4) {
      this.from.set(0, 0, 0xffff, view.getInt32(l3At + ipv4.SRC));
      this.to.set(0, 0, 0xffff, view.getInt32(l3At + ipv4.DST));
      this.receivedTtl = view.getUint8(l3At + 8);
      this.receivedTos = (w0 >>> 16) & 0xff;
    } else {
      this.readAddress(l3At + ipv6.SRC, this.from);
      this.readAddress(l3At + ipv6.DST, this.to);
      this.receivedTtl = view.getUint8(l3At + 7);
      this.receivedTos = (w0 >>> 20) & 0xff;
    }
    this.fromPort = view.getUint16(pool.l4At[slot]!);
    this.toIfIndex = pool.ifIndex[slot]!;
    this.rxTimeUs = pool.rxTimeUs[slot]!;
  }

  /** Hot path. */
  private readAddress(at: number, into: IpAddress): void {
    const { view } = this.ip;
    const w0 = view.getInt32(at);
    into.set(w0, view.getInt32(at + 4), view.getInt32(at + 8), view.getInt32(at + 12));
  }

  /** Hot path. From `Udp`: a datagram whose `at..end` is the payload; takes the slot. */
  put(slot: number, ttl: number): void {
    const charge = this.charge(slot);
    // As Linux: what is already queued decides, so one datagram of any size always fits.
    if (this.queuedBytes > 0 && this.queuedBytes + charge > this.receiveBufferBytes) {
      this.dropped++;
      this.ip.drop(slot, Drop.SOCKET_QUEUE_FULL);
      return;
    }
    // After `shutdown` for reading they are received still, as in Linux: it wakes who waits, and no more.
    if (ttl < this.minTtl) {
      this.ip.drop(slot, Drop.IP_TTL_TOO_LOW);
      return;
    }
    this.queuedBytes = (this.queuedBytes + charge) | 0;
    this.queue.put(slot);
    this.host.changed(this.cookie);
  }

  /** Bytes of the next datagram (FIONREAD), 0 when there is none. */
  get nextBytes(): number {
    const slot = this.queue.first;
    return slot === NO_SLOT ? 0 : this.pool.end[slot]! - this.pool.at[slot]!;
  }

  /** SO_ERROR: the pending error number (positive), which is cleared; 0: none. */
  takeError(): number {
    const e = this.pendingErrno;
    this.pendingErrno = 0;
    return e;
  }

  /** Moves the oldest entry of the error queue into `into`; false when it is empty. */
  takeErrorEntry(into: ErrorEntry): boolean {
    return this.errors.take(into);
  }

  /** Entries of the error queue. */
  get errorEntries(): number {
    return this.errors.n;
  }

  /** The end of receiving: what waits is dropped. */
  protected dropQueued(): void {
    for (let slot = this.queue.take(); slot !== NO_SLOT; slot = this.queue.take()) {
      this.ip.drop(slot, Drop.SOCKET_CLOSED);
    }
    this.queuedBytes = 0;
    this.copyOut.forget();
  }
}
