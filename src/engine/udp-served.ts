/** A UDP socket of a program. */

import { copy } from "../base/bytes.js";
import { copyInside } from "../base/copy.js";
import { EAGAIN, ENOBUFS } from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import type { UdpEndpoint } from "../ip/udp-endpoint.js";
import {
  DATAGRAM_BYTES,
  DatagramAt,
  DatagramFlag,
  Kind,
  Report,
  SocketAt,
  Status,
} from "../ring/engine-layout.js";
import type { UdpSocket } from "../socket/udp-socket.js";
import { Readiness } from "../tcp/readiness.js";
import { sendAsAsked, writeDatagramTime } from "./datagram-wishes.js";
import { EngineSocket } from "./engine-socket.js";
import type { Block, RegionPool } from "./region.js";
import { SharedAddress, writeAddress, writeBytes16 } from "./shared-address.js";
import type { SocketHost } from "./socket-host.js";

/** As the largest UDP payload over IPv6 with room to spare: what is longer makes no sense. */
const LARGEST_BYTES = 65_535;
/** Datagrams of one socket that go one way before others have their turn. */
const BATCH = 64;
const DEFAULT_TTL = 64;
/**
 * How long datagrams for a program of this engine whose ring has become full stay in their sender's: mostly
 * it is about to read, and meanwhile its sender fills its own ring and waits. After that they go the long way,
 * through the stack, and are lost when its queue is full, too. Measured:
 * sockperf throughput, 1,472 bytes, 893, 985, 1,125 and 1,080 thousand messages a second instead of 556, 478, 665 and
 * 452, where one that found no room sent all that followed the long way (2 shared cores, busy, in turn, 2026-11).
 */
const HOLD_US = 200;
/** More than one receiver. */
const SEVERAL = "several";
/** What {@link UdpServed.hand} found. */
const Handing = { DONE: 0, LONG_WAY: 1, LATER: 2 } as const;
/** Index of `lo`: where what this host sends itself comes in. */
const LO = 1;
const PKTINFO = Report.PKTINFO | Report.PKTINFO6;
const TIMESTAMPS = Report.TIMESTAMP | Report.TIMESTAMPNS | Report.TIMESTAMPING;

/** Hot path. What a datagram takes of a ring. */
const spaceOf = (payloadBytes: number): number =>
  (DATAGRAM_BYTES + payloadBytes + DATAGRAM_BYTES - 1) & -DATAGRAM_BYTES;

export class UdpServed extends EngineSocket {
  readonly socket: UdpSocket;
  private readonly peer = new SharedAddress();

  constructor(
    host: SocketHost,
    id: number,
    family: number,
    block: Block,
    pool: RegionPool,
    socket: UdpSocket,
  ) {
    super(host, id, Kind.UDP, family, block, pool);
    this.socket = socket;
    socket.owner = this;
    socket.endpoint.user = this;
  }

  /** Nothing stays in the ring for a receiver to make room. Nor of a socket that is closed: its port is to be free. */
  private mustSend = false;

  override pumpAll(): number {
    this.mustSend = true;
    // No more than the ring holds, however fast the program puts more into it.
    const most = this.block.txBytes / (BATCH * DATAGRAM_BYTES);
    let passes = 0;
    while (passes < most && !this.isClosed && this.txUsed() !== 0) {
      const before = this.txHead;
      this.pumpOut();
      passes++;
      if (this.txHead === before) break;
    }
    this.mustSend = false;
    return passes;
  }

  /** Who was handed datagrams that it has not been told of. */
  private handed: UdpServed | null = null;

  /** Hot path. */
  override pumpOut(): void {
    let used = this.txUsed();
    if (used === 0) return;
    let sent = 0;
    while (used >= DATAGRAM_BYTES && sent < BATCH) {
      const at = this.block.txAt + (this.txHead & this.txMask);
      const n = this.view.getInt32(at + DatagramAt.payloadBytes, true);
      const space = n >= 0 && n <= LARGEST_BYTES ? spaceOf(n) : -1;
      if (space < 0 || space > used) {
        if (this.handed !== null) this.tellHanded(); // what came before is not its receiver's fault
        this.fail();
        return;
      }
      const result = this.send(at, n);
      if (result === -EAGAIN || result === -ENOBUFS) {
        if (result === -ENOBUFS) this.host.retryLater(this);
        break;
      }
      if (result < 0) this.sendFailed(-result);
      this.txBytesTotal += n;
      this.txHead = (this.txHead + space) | 0;
      used = (used - space) | 0;
      sent = (sent + 1) | 0;
    }
    if (used !== 0 && used < DATAGRAM_BYTES) {
      if (this.handed !== null) this.tellHanded();
      this.fail();
      return;
    }
    if (this.handed !== null) this.tellHanded();
    this.publishHead();
    if (sent === BATCH && used > 0) this.host.retryLater(this);
    if (this.isDraining && !this.hasUnsent) this.close();
  }

  /** Hot path. Sends the datagram whose header is at `at`; what `UdpSocket.send` says. */
  private send(at: number, n: number): number {
    const { view, socket } = this;
    const { memory, scratch } = this.host;
    const start = ((this.txHead + DATAGRAM_BYTES) & this.txMask) | 0;
    let bytes: Uint8Array = memory.bytes;
    let from = this.block.txAt + start;
    const tillEnd = this.block.txBytes - start;
    if (n > tillEnd) {
      copy(scratch, 0, memory.bytes, from, tillEnd);
      copy(scratch, tillEnd, memory.bytes, this.block.txAt, n - tillEnd);
      bytes = scratch;
      from = 0;
    }
    const peer = this.peer;
    peer.read(view, at + DatagramAt.peer);
    const flags = view.getUint16(at + DatagramAt.flags, true);
    const ifIndex = view.getInt32(at + DatagramAt.ifIndex, true) | peer.scope;
    const to = peer.family === 0 ? null : peer.address;
    if (flags !== 0) {
      this.longTo = SEVERAL;
      const result = sendAsAsked(socket, { view, at, peer, flags }, bytes, from, n, ifIndex);
      this.longAt = socket.endpoint.lastSent;
      return result;
    }
    const target = ifIndex === 0 ? socket.endpoint.directTo(to, peer.port, n) : null;
    const receiver = target === null ? null : target.user;
    if (receiver instanceof UdpServed) {
      const handing = this.hand(receiver, bytes, from, n);
      if (handing === Handing.DONE) return n;
      if (handing === Handing.LATER && !this.mustSend && !this.isDraining) return -ENOBUFS;
      this.longTo = this.longTo === null || this.longTo === receiver ? receiver : SEVERAL;
    } else this.longTo = SEVERAL;
    const result = socket.send(bytes, from, n, to, peer.port, ifIndex);
    this.longAt = socket.endpoint.lastSent;
    return result;
  }

  /**
   * To whom datagrams have gone the long way that may not have arrived: the next ones to him wait for them.
   * Null: all have arrived.
   */
  private longTo: UdpServed | typeof SEVERAL | null = null;
  /**
   * The place of the last of them. Others wait for that one, and for nothing that was sent after it: there may always be
   * something on the way, as a turn takes in 64 of the 128 that one sender may send in it. Measured: sockperf throughput,
   * 1,472 bytes, 375 and 328 thousand messages a second when they waited 20 µs for an empty way and then went it,
   * too, none of a million by the short one; 601 and 697 so (rounds of 1 s in turn, processors that share no cache; 1,059
   * and 1,635 where they do, 2026-11).
   */
  private longAt = 0;

  /**
   * Hot path. Hands a datagram to a program of this engine, from ring to ring; `Handing`.
   * Measured: 1.05 µs a hop without, 0.45 with (node 20.20, 2 shared cores, 2026-11).
   */
  private hand(receiver: UdpServed, bytes: Uint8Array, from: number, n: number): number {
    const { endpoint } = this.socket;
    if (this.handed !== receiver && this.handed !== null) this.tellHanded();
    if (this.longTo !== null && endpoint.hasCome(this.longAt)) this.longTo = null;
    const mayOvertake =
      this.longTo !== null && (this.longTo === receiver || this.longTo === SEVERAL);
    if (mayOvertake && !receiver.isInBlocked && receiver.socket.endpoint.queue.n === 0) {
      return Handing.LATER; // what went the long way goes first
    }
    const handing = receiver.takeDirect(endpoint, bytes, from, n);
    if (handing === Handing.DONE) this.handed = receiver;
    return handing;
  }

  private tellHanded(): void {
    const receiver = this.handed!;
    this.handed = null;
    if (receiver.isClosed) return;
    receiver.publishTail();
    receiver.tell();
  }

  /** When the ring was full, and where it ended then. */
  private fullUs = 0;
  private fullAt = 0;

  /** Hot path. Takes a datagram from another program's ring to the end of its own; not yet published. */
  private takeDirect(sender: UdpEndpoint, bytes: Uint8Array, from: number, n: number): number {
    if (this.isClosed || this.isDraining) return Handing.LONG_WAY;
    const space = spaceOf(n);
    if (this.isInBlocked || this.socket.endpoint.queue.n > 0 || this.rxRoom(space) < space) {
      return this.whenFull(space);
    }
    const { memory } = this.host;
    const start = ((this.rxTail + DATAGRAM_BYTES) & this.rxMask) | 0;
    const tillEnd = this.block.rxBytes - start;
    const to = this.block.rxAt + start;
    if (n > tillEnd) {
      copy(memory.bytes, to, bytes, from, tillEnd);
      copy(memory.bytes, this.block.rxAt, bytes, from + tillEnd, n - tillEnd);
    } else if (bytes === memory.bytes) copyInside(this.view, bytes, to, from, n);
    else copy(memory.bytes, to, bytes, from, n);
    const path = sender.directPath!;
    const now = this.host.stack.nowUs;
    const at = this.block.rxAt + (this.rxTail & this.rxMask);
    const ttl = sender.ttl === 0 ? DEFAULT_TTL : sender.ttl;
    this.writeHeader(at, n, path.src, sender.localPort, path.dst, LO, ttl, sender.tos, now);
    this.rxTail = (this.rxTail + space) | 0;
    this.rxBytesTotal += n;
    return Handing.DONE;
  }

  /** There is no room for a datagram that is handed over, or others wait for it. */
  private whenFull(space: number): number {
    if (!this.isInBlocked && this.socket.endpoint.queue.n === 0) {
      if (this.rxRoomNow() < 0) return Handing.LONG_WAY; // nonsense, which is found there
      if (!this.blockIn(space)) return Handing.LATER; // it has read just now
      this.noteFull();
    }
    return this.host.stack.nowUs - this.fullUs < HOLD_US ? Handing.LATER : Handing.LONG_WAY;
  }

  /**
   * The program has to read before more fits in. Senders wait for it anew only when it has taken half a ring
   * since the last time: who holds them up by reading nothing, or little, does so once.
   */
  private noteFull(): void {
    if (2 * ((this.rxTail - this.fullAt) >>> 0) < this.block.rxBytes) return;
    this.fullAt = this.rxTail;
    this.fullUs = this.host.stack.nowUs;
  }

  /** The program has long been told that it was sent: it hears of the error with its next call. */
  private sendFailed(errno: number): void {
    this.setError(errno);
    this.refreshStatus(0);
    this.tell();
  }

  /** Hot path. */
  override pumpIn(bits: number): void {
    if (this.isClosed) return;
    if ((bits & Readiness.OUT) !== 0 && this.hasUnsent) this.pumpOut();
    if (this.isClosed || this.isDraining) return;
    this.isInBlocked = false;
    const { socket } = this;
    let moved = 0;
    if ((bits & Readiness.ERR) !== 0) this.takePending();
    while (socket.endpoint.queue.n > 0) {
      const n = socket.readableBytes;
      const space = spaceOf(n);
      const room = this.rxRoom(space);
      if (room < 0) {
        this.fail();
        return;
      }
      if (room < space) {
        if (!this.blockIn(space)) continue;
        this.noteFull();
        break;
      }
      if (this.take(n) < 0) break;
      this.rxTail = (this.rxTail + space) | 0;
      this.rxBytesTotal += n;
      if (++moved === BATCH) {
        if (socket.endpoint.queue.n > 0) this.host.retryLater(this);
        break;
      }
    }
    if (moved > 0) this.publishTail();
    this.putWord(SocketAt.rxMore, socket.readableBytes);
    const changed = this.refreshStatus(bits);
    if (moved > 0 || changed || (bits & Readiness.ERR) !== 0) this.tell();
  }

  /** Hot path. Takes a datagram of `n` bytes to the end of the ring; below 0 when there is an error. */
  private take(n: number): number {
    const { socket } = this;
    const { memory, scratch } = this.host;
    const at = this.block.rxAt + (this.rxTail & this.rxMask);
    const start = ((this.rxTail + DATAGRAM_BYTES) & this.rxMask) | 0;
    const tillEnd = this.block.rxBytes - start;
    let got: number;
    if (n <= tillEnd) got = socket.receive(memory.bytes, this.block.rxAt + start, n, 0);
    else {
      got = socket.receive(scratch, 0, n, 0);
      if (got > 0) {
        copy(memory.bytes, this.block.rxAt + start, scratch, 0, tillEnd);
        copy(memory.bytes, this.block.rxAt, scratch, tillEnd, n - tillEnd);
      }
    }
    if (got < 0) {
      if (got !== -EAGAIN) this.setError(-got);
      return got;
    }
    const { from, fromPort, to, toIfIndex, ttl, tos, rxTimeUs } = socket;
    this.writeHeader(at, n, from, fromPort, to, toIfIndex, ttl, tos, rxTimeUs);
    return n;
  }

  /** Hot path. The header of a datagram of `n` bytes that came. */
  private writeHeader(
    at: number,
    n: number,
    from: IpAddress,
    fromPort: number,
    to: IpAddress,
    ifIndex: number,
    ttl: number,
    tos: number,
    timeUs: number,
  ): void {
    const { view } = this;
    view.setInt32(at + DatagramAt.payloadBytes, n, true);
    const flags = to.isMulticast ? DatagramFlag.MULTICAST : 0;
    view.setInt32(at + DatagramAt.flags, flags | (ttl << 16) | (tos << 24), true);
    const scope = !from.isV4 && from.isLinkLocal ? ifIndex : 0;
    writeAddress(view, at + DatagramAt.peer, this.family, from, fromPort, scope);
    // Reports may be asked for when it is here already: of an IPv4 datagram Linux then knows the destination, and of
    // the rest nothing (ipv4_pktinfo_prepare, sock_skb_set_dropcount).
    writeBytes16(view, at + DatagramAt.own, to);
    const reports = this.word(SocketAt.reports);
    const hasIndex = (reports & PKTINFO) !== 0 || !to.isV4;
    view.setInt32(at + DatagramAt.ifIndex, hasIndex ? ifIndex : 0, true);
    const counts = (reports & Report.RXQ_OVFL) !== 0;
    view.setInt32(at + DatagramAt.drops, counts ? this.socket.endpoint.dropped : 0, true);
    if ((reports & TIMESTAMPS) === 0) return;
    view.setUint16(at + DatagramAt.flags, flags | DatagramFlag.TIMED, true);
    writeDatagramTime(view, at, timeUs + this.host.realTimeUs);
  }

  private takePending(): void {
    const errno = this.socket.takeError();
    if (errno !== 0) this.setError(errno);
  }

  /** Publishes the status; whether it has changed. */
  private refreshStatus(bits: number): boolean {
    const { socket } = this;
    const readiness = bits === 0 ? socket.readiness() : bits;
    let status = socket.endpoint.isConnected ? Status.CONNECTED : 0;
    if ((readiness & Readiness.RDHUP) !== 0) status |= Status.EOF;
    if (socket.endpoint.isSendingOver) status |= Status.NO_SEND;
    if (socket.endpoint.errorEntries > 0) status |= Status.ERRQUEUE;
    if (this.hasError) status |= Status.ERROR;
    return this.setStatus(status);
  }

  override refresh(): void {
    const { socket } = this;
    if (this.isClosed) return;
    const scope = socket.endpoint.ifIndex;
    const { localAddress, localPort, remoteAddress, remotePort } = socket;
    this.putNames(localAddress, localPort, remoteAddress, remotePort, scope);
    this.takePending();
    if (this.refreshStatus(0)) this.tell();
  }

  protected override closeStack(): void {
    this.host.ready.remove(this.socket);
    this.socket.close();
  }

  protected override abortStack(): void {
    this.closeStack();
  }
}
