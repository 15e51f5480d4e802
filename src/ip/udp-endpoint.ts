/**
 * One UDP socket below the socket layer: what Linux's UDP sockets do, polled. Calls return 0 or a
 * count, or a negated error number; an ICMP error that is pending is returned once by the next call.
 * Here are its names and its sending half; the receiving half is `udp-receiver.ts`.
 */
import { fold } from "../base/checksum.js";
import * as errno from "../base/errno.js";
import { ANY4, ANY6, IpAddress } from "../base/ip-address.js";
import {
  BIG_SLOT_BYTES,
  FrameFlags,
  HEADROOM_BYTES,
  NO_SLOT,
  SMALL_SLOT_BYTES,
} from "../ring/pool.js";
import { WORD_COPY_BYTES, WordCopy } from "../ring/word-copy.js";
import * as protocols from "../wire/ip-protocol.js";
import * as ipv4 from "../wire/ipv4.js";
import * as ipv6 from "../wire/ipv6.js";
import * as wire from "../wire/udp.js";
import { type Home, homeTowards } from "./home.js";
import type { Interface, SenderWaiting } from "./interface.js";
import { Memberships } from "./memberships.js";
import { type Path, PathKind } from "./path.js";
import { DontFragment, SendOptions } from "./send-options.js";
import type { PathError } from "./transport.js";
import type { Udp } from "./udp.js";
import type { PlainSend } from "./udp-plain-send.js";
import { UdpReceiver } from "./udp-receiver.js";
import { needsZone } from "./zone.js";

/** Datagrams that one send with `gsoBytes` may become (Linux's UDP_MAX_SEGMENTS). */
export const MAX_SEGMENTS = 128;

/** Bits of {@link UdpEndpoint.readiness}; the numbers are poll(2)'s. */
export const UdpReadiness = { IN: 1, OUT: 4, ERR: 8, HUP: 16, RDHUP: 0x2000 } as const;

/** What one IPv4 packet carries. */
const MOST_DIRECT_BYTES = 65_507;
const PAYLOAD_OFFSET = HEADROOM_BYTES + wire.HEADER_BYTES;

export class UdpEndpoint extends UdpReceiver implements SenderWaiting {
  readonly family: 4 | 6;
  /** Greater than 0, unique among the open endpoints of a stack. */
  readonly id: number;
  readonly localAddress: IpAddress;
  localPort = 0;
  readonly remoteAddress: IpAddress = new IpAddress();
  remotePort = 0;
  isConnected = false;
  /** Bound to this interface (SO_BINDTODEVICE); 0: any. */
  ifIndex = 0;
  /** What its wildcard means; null: every address of the host. Set before it is bound. */
  home: Home | null = null;
  /** For whoever takes datagrams of this host directly; the stack does not touch it. */
  user: unknown = null;

  // Options
  reuseAddress = false;
  /** A socket of the kernel's beside this one holds its port there (`claims.ts`). */
  kernelHolds = false;
  reusePort = false;
  broadcast = false;
  v6only = false;
  /** 0: the default. */
  ttl = 0;
  tos = 0;
  multicastTtl = 1;
  multicastLoop = true;
  /** Interface that multicasts leave by; 0: by the route. */
  multicastIf = 0;
  recvErr = false;
  /** IPV6_RECVERR: of what went over IPv6; the other is of IPv4. */
  recvErr6 = false;
  /** `DontFragment`, the values of IP_MTU_DISCOVER. */
  pmtuDiscover: number = DontFragment.WANT;
  /** IPV6_MTU: largest IPv6 packet that goes out in one piece; 0: the path's. */
  mtu6Bytes = 0;
  /** UDP_SEGMENT: payload of each datagram that a longer send is split into; 0: not split. */
  gsoBytes = 0;
  /** SO_NO_CHECK: IPv4 datagrams go out without checksum. */
  checksumOff = false;

  readonly memberships: Memberships;
  private isClosed = false;
  private isWriteShut = false;
  private hasBoundAddress = false;
  private hasBoundPort = false;
  private readonly udp: Udp;
  private readonly sendOptions = new SendOptions();
  private lastPath: Path | null = null;
  /** The interface that was too far behind for the last send; null: none. */
  private blockedBy: Interface | null = null;
  private readonly plainSend: PlainSend;
  private readonly copyIn: WordCopy;

  /** For `Udp.open`. */
  constructor(udp: Udp, family: 4 | 6, id: number) {
    super(udp);
    this.udp = udp;
    this.plainSend = udp.plainSend;
    this.copyIn = new WordCopy(this.pool);
    this.family = family;
    this.id = id;
    this.localAddress = (family === 4 ? ANY4 : ANY6).copy();
    this.memberships = new Memberships(udp.ip, id);
  }

  // Names

  /** Binds to an address of ours, a group, a broadcast address or a wildcard; port 0: any free one. */
  bind(address: IpAddress, port: number, ifIndex = 0): number {
    if (this.isClosed) return -errno.EBADF;
    if (this.localPort !== 0) return -errno.EINVAL;
    if (this.family === 4 ? !address.isV4 : this.v6only && address.isV4) return -errno.EINVAL;
    const refused = this.refuseZone(address, ifIndex);
    if (refused !== 0) return refused;
    if (!this.mayBind(address)) return -errno.EADDRNOTAVAIL;
    if (ifIndex !== 0) this.ifIndex = ifIndex;
    const chosen = this.udp.claim(this, address, port);
    if (chosen <= 0) return chosen;
    this.hasBoundAddress = !address.isUnspecified;
    this.hasBoundPort = port !== 0;
    if (!address.isV4 && !address.isUnspecified) this.v6only = true; // as in Linux, for what comes
    return 0;
  }

  /** What does not fit the interface of an own address that needs one. */
  private refuseZone(address: IpAddress, ifIndex: number): number {
    if (!needsZone(address)) return 0;
    const through = ifIndex === 0 ? this.ifIndex : ifIndex;
    if (through === 0) return -errno.EINVAL;
    const iface = this.ip.interfaceAt(through);
    if (iface === null) return -errno.ENODEV;
    const isThere = address.isMulticast || this.ip.addresses.isLocal6On(iface, address);
    return isThere ? 0 : -errno.EADDRNOTAVAIL;
  }

  private mayBind(address: IpAddress): boolean {
    if (address.isUnspecified || address.isMulticast) return true;
    return this.ip.mayBind(address) || this.ip.isBroadcast(address);
  }

  /** Sets the peer: only its datagrams are received, and its refusals are heard of. */
  connect(address: IpAddress, port: number, ifIndex = 0): number {
    if (this.isClosed) return -errno.EBADF;
    const family = this.checkFamily(address);
    if (family < 0) return family;
    if (needsZone(address)) {
      if (this.interfaceTowards(address, ifIndex) === 0) return -errno.EINVAL;
      if (ifIndex !== 0 && this.ifIndex !== 0 && this.ifIndex !== ifIndex) return -errno.EINVAL;
    }
    if (this.isConnected) this.forgetPeer(); // and keeps its port
    const through = this.interfaceTowards(address, ifIndex);
    const path = this.ip.resolve(address, this.sourceConstraint(address), through);
    if (path === null) return -this.ip.resolveErrno;
    if (path.kind === PathKind.BROADCAST && !this.broadcast) return -errno.EACCES;
    const bound = this.localPort === 0 ? this.udp.claim(this, this.localAddress, 0) : 0;
    if (bound < 0) return bound;
    const claimed = this.udp.rename(this, () => {
      if (this.localAddress.isUnspecified) this.localAddress.setFrom(path.src);
      this.remoteAddress.setFrom(path.dst);
      this.remotePort = port;
      this.isConnected = true;
      if (ifIndex !== 0 && needsZone(address)) this.ifIndex = ifIndex; // for good, as in Linux
    });
    if (claimed < 0) this.forgetPeer();
    else this.lastPath = path;
    return claimed;
  }

  /** Forgets the peer; an address that only {@link connect} chose is forgotten too. */
  disconnect(): number {
    if (this.isClosed) return -errno.EBADF;
    if (!this.isConnected) return 0;
    const claimed = this.forgetPeer();
    if (!this.hasBoundPort && !this.hasBoundAddress) this.udp.release(this);
    return claimed;
  }

  /** 0, or -ENOBUFS when a shared interface's filter has no room for the port. */
  private forgetPeer(): number {
    const claimed = this.udp.rename(this, () => {
      this.isConnected = false;
      this.remoteAddress.set(0, 0, 0, 0);
      this.remotePort = 0;
      if (!this.hasBoundAddress) this.localAddress.setFrom(this.family === 4 ? ANY4 : ANY6);
    });
    this.lastPath = null;
    return claimed;
  }

  /** An IPv6 socket may talk IPv4 too unless it says otherwise. */
  private checkFamily(address: IpAddress): number {
    if (this.family === 4) return address.isV4 ? 0 : -errno.EAFNOSUPPORT;
    return address.isV4 && this.v6only ? -errno.ENETUNREACH : 0;
  }

  /** The address that datagrams to `dst` must come from; null: any. */
  private sourceConstraint(dst: IpAddress): IpAddress | null {
    if (this.nextSource !== null) return this.nextSource;
    const local = this.localAddress;
    if (local.isUnspecified) return homeTowards(this.home, dst);
    return local.isMulticast || this.ip.isBroadcast(local) ? null : local;
  }

  /** Source of the datagram that is being sent (IP_PKTINFO), or null. */
  private nextSource: IpAddress | null = null;

  /** As {@link send}, from an address of this host's that need not be the socket's. */
  sendFrom(
    source: IpAddress,
    bytes: Uint8Array,
    at: number,
    n: number,
    dst: IpAddress | null,
    port: number,
    ifIndex = 0,
  ): number {
    this.lastPath = null;
    this.nextSource = source;
    const result = this.send(bytes, at, n, dst, port, ifIndex);
    this.nextSource = null;
    this.lastPath = null;
    return result;
  }

  /** Whether sending was shut down. */
  get isSendingOver(): boolean {
    return this.isWriteShut;
  }

  /** Whether what came in on `ifIndex` for `dst` comes in on the interface that it is bound to. */
  isBoundWhere(ifIndex: number, dst: IpAddress): boolean {
    return this.ip.isFor(this.ifIndex, ifIndex, dst);
  }

  private interfaceTowards(address: IpAddress, ifIndex: number): number {
    if (ifIndex !== 0) return ifIndex;
    if (this.ifIndex !== 0) return this.ifIndex;
    return address.isMulticast ? this.multicastIf : 0;
  }

  // Sending

  /** Hot path. Sends `n` bytes, copied; `dst` null: to the peer. Returns n or a negated error. */
  send(
    bytes: Uint8Array,
    at: number,
    n: number,
    dst: IpAddress | null,
    port: number,
    ifIndex = 0,
  ): number {
    const path = this.pathTo(dst, port, ifIndex);
    if (path === null) return this.errnoOut;
    if (path.iface.isCongested) return this.awaitRoom(path.iface);
    if (n <= WORD_COPY_BYTES && this.plainSend.may(this, path, n)) {
      const to = dst === null ? this.remotePort : port;
      return this.plainSend.send(this, path, to, this.copyIn, bytes, at, n);
    }
    const { pool } = this;
    const needed = PAYLOAD_OFFSET + n;
    if (needed > BIG_SLOT_BYTES) return this.tooLong(path, dst === null ? this.remotePort : port);
    const slot = needed <= SMALL_SLOT_BYTES ? pool.take() : pool.takeBig();
    if (slot === NO_SLOT) return -errno.ENOBUFS;
    const payloadAt = pool.base(slot) + PAYLOAD_OFFSET;
    this.copyIn.toArena(payloadAt, bytes, at, n);
    pool.at[slot] = payloadAt;
    pool.end[slot] = payloadAt + n;
    const result = this.transmit(slot, path, dst === null ? this.remotePort : port);
    return result < 0 ? result : n;
  }

  /**
   * Hot path. An empty slot to be filled in place: the payload starts at `pool.at`; the caller sets
   * `pool.end`. NO_SLOT: the pool is empty.
   */
  takeSlot(isBig = false): number {
    const slot = isBig ? this.pool.takeBig() : this.pool.take();
    if (slot === NO_SLOT) return NO_SLOT;
    const at = this.pool.base(slot) + PAYLOAD_OFFSET;
    this.pool.at[slot] = at;
    this.pool.end[slot] = at;
    return slot;
  }

  /** Hot path. Sends a slot of {@link takeSlot}'s; takes it in every case. */
  sendSlot(slot: number, dst: IpAddress | null, port: number, ifIndex = 0): number {
    const path = this.pathTo(dst, port, ifIndex);
    if (path === null || path.iface.isCongested) {
      this.pool.give(slot);
      return path === null ? this.errnoOut : this.awaitRoom(path.iface);
    }
    const n = (this.pool.end[slot]! - this.pool.at[slot]!) | 0;
    const to = dst === null ? this.remotePort : port;
    if (this.plainSend.may(this, path, n)) return this.plainSend.sendSlot(this, path, to, slot, n);
    const result = this.transmit(slot, path, to);
    return result < 0 ? result : n;
  }

  /** Path of the last {@link directTo}. */
  directPath: Path | null = null;
  private directPort = 0;
  private directVersion = 0;
  private directEndpoint: UdpEndpoint | null = null;

  /**
   * Hot path. The endpoint of this host that a datagram of `n` bytes to `dst` (null: the peer) would come
   * to, if it is one: whoever serves both may hand it over at once, from `directPath.src`, behind what waits in
   * its queue or is still {@link hasCome on the way}. Null: send it.
   */
  directTo(dst: IpAddress | null, port: number, n: number): UdpEndpoint | null {
    if (this.pendingErrno !== 0 || this.gsoBytes !== 0 || n > MOST_DIRECT_BYTES) return null;
    const path = this.pathTo(dst, port, 0);
    if (path === null || path.kind !== PathKind.LOCAL) return null;
    const to = dst === null ? this.remotePort : port;
    const { version } = this.ip.prediction;
    if (path !== this.directPath || to !== this.directPort || version !== this.directVersion) {
      this.directPath = path;
      this.directPort = to;
      this.directVersion = version;
      const lo = this.ip.lo.index;
      const { demux } = this.udp;
      this.directEndpoint = demux.find(path.dst, to, path.src, this.localPort, lo);
    }
    const e = this.directEndpoint;
    return e !== null && e.minTtl === 0 ? e : null;
  }

  /** Hot path. The place in the line of what this host has sent to itself last: for {@link hasCome}. */
  get lastSent(): number {
    return (this.ip.loopback.lastIn + this.ip.lo.backlogFrames) | 0;
  }

  /** Hot path. Whether what this host had sent to itself up to `place` has come. */
  hasCome(place: number): boolean {
    const { loopback, lo } = this.ip;
    const ahead = (place - loopback.lastOut) | 0;
    // Beyond all that is on the way: dropped, as the queues of `lo` drop what came last, or overtaken by 2^31 frames.
    return ahead <= 0 || ahead > loopback.waiting + lo.backlogFrames;
  }

  /** Nothing can be sent until the interface has sent some of what waits there. */
  private awaitRoom(iface: Interface): number {
    this.blockedBy?.stopAwaiting(this);
    this.blockedBy = iface;
    iface.awaitRoom(this);
    return -errno.EAGAIN;
  }

  /** From the interface that {@link awaitRoom} waits for. */
  roomAgain(): void {
    this.blockedBy = null;
    this.udp.changed(this.cookie);
  }

  /** Why {@link pathTo} returned null, negated. */
  private errnoOut = 0;

  /** Hot path. The path to a destination, or null and `errnoOut`. */
  private pathTo(dst: IpAddress | null, port: number, ifIndex: number): Path | null {
    if (this.pendingErrno !== 0) return this.refuse(-this.takeError());
    const path = this.lastPath;
    const isPlain = path !== null && !path.isStale && ifIndex === 0 && !this.isWriteShut;
    if (dst === null) {
      if (isPlain && this.isConnected) return path;
    } else if (isPlain && !this.isConnected && port !== 0 && path.dst.equals(dst)) return path;
    return this.findPath(dst, port, ifIndex);
  }

  private findPath(dst: IpAddress | null, port: number, ifIndex: number): Path | null {
    if (this.isClosed) return this.refuse(-errno.EBADF);
    if (this.isWriteShut) return this.refuse(-errno.EPIPE);
    if (dst === null && !this.isConnected) return this.refuse(-errno.EDESTADDRREQ);
    if (dst !== null && port === 0) return this.refuse(-errno.EINVAL);
    const to = dst ?? this.remoteAddress;
    const family = this.checkFamily(to);
    if (family < 0) return this.refuse(family);
    const through = this.interfaceTowards(to, ifIndex);
    const path = this.ip.resolve(to, this.sourceConstraint(to), through);
    if (path === null) return this.refuse(-this.ip.resolveErrno);
    if (path.kind === PathKind.BROADCAST && !this.broadcast) return this.refuse(-errno.EACCES);
    if (this.localPort === 0) {
      const port = this.udp.claim(this, this.localAddress, 0);
      if (port < 0) return this.refuse(port);
    }
    if (!this.isConnected || dst === null) this.lastPath = ifIndex === 0 ? path : null;
    return path;
  }

  private refuse(result: number): null {
    this.errnoOut = result;
    return null;
  }

  /** The options that choose a path or an address changed: forget the path, and who is sent to us. */
  optionsChanged(): void {
    this.lastPath = null;
    this.ip.prediction.forget();
  }

  /** Hot path. Puts the UDP header before the payload and sends; takes the slot. */
  private transmit(slot: number, path: Path, port: number): number {
    const { pool } = this;
    const { view } = this.ip;
    const at = pool.at[slot]! - wire.HEADER_BYTES;
    const lengthBytes = pool.end[slot]! - at;
    const limit = path.isV4 ? 65_515 : 65_535;
    if (lengthBytes > limit || (this.gsoBytes > 0 && !this.mayBeSplit(lengthBytes, path))) {
      pool.give(slot);
      return this.gsoBytes > 0 ? -errno.EINVAL : this.tooLong(path, port);
    }
    view.setInt32(at, (this.localPort << 16) | port);
    pool.at[slot] = at;
    if (this.checksumOff && path.isV4) {
      view.setInt32(at + 4, lengthBytes << 16);
      pool.flags[slot] = 0;
    } else {
      const pseudoSum = fold(path.pseudoSum + protocols.UDP + lengthBytes);
      view.setInt32(at + 4, (lengthBytes << 16) | pseudoSum);
      pool.flags[slot] = FrameFlags.CHECKSUM_PARTIAL;
      pool.csumStart[slot] = at;
      pool.csumOffset[slot] = wire.CHECKSUM_AT;
      if (this.gsoBytes > 0 && lengthBytes - wire.HEADER_BYTES > this.gsoBytes) {
        pool.flags[slot] = FrameFlags.CHECKSUM_PARTIAL | FrameFlags.GSO_UDP;
        pool.gsoBytes[slot] = this.gsoBytes;
      }
    }
    const o = this.sendOptions;
    o.tos = this.tos;
    o.dontFragment = this.pmtuDiscover;
    o.mtu6Bytes = this.mtu6Bytes;
    if (path.kind === PathKind.MULTICAST) this.setGroupOptions(o);
    else {
      o.ttl = this.ttl;
      o.hostOnly = false;
    }
    const result = this.ip.send(slot, path, protocols.UDP, o);
    return result === -errno.EMSGSIZE ? this.tooLong(path, port) : result;
  }

  private mayBeSplit(lengthBytes: number, path: Path): boolean {
    const payload = lengthBytes - wire.HEADER_BYTES;
    if (payload > this.gsoBytes * MAX_SEGMENTS || this.checksumOff) return false;
    const headers = (path.isV4 ? ipv4.HEADER_BYTES : ipv6.HEADER_BYTES) + wire.HEADER_BYTES;
    // As newer Linux: what is no longer than a piece goes, whatever the MTU has become.
    return Math.min(payload, this.gsoBytes) + headers <= path.mtuBytes;
  }

  private setGroupOptions(o: SendOptions): void {
    o.ttl = this.multicastTtl;
    o.hostOnly = this.multicastTtl === 0;
    o.multicastLoop = this.multicastLoop;
  }

  private tooLong(path: Path, port: number): number {
    if (path.isV4 ? this.recvErr : this.recvErr6)
      this.errors.putLocal(errno.EMSGSIZE, path.dst, port, path.mtuBytes);
    return -errno.EMSGSIZE;
  }

  // State

  /** Hot path. Bits of {@link UdpReadiness}. */
  get readiness(): number {
    let bits: number = this.blockedBy === null ? UdpReadiness.OUT : 0;
    if (this.queue.n > 0 || this.isReadShut) bits |= UdpReadiness.IN;
    if (this.pendingErrno !== 0 || this.errors.n > 0) bits |= UdpReadiness.ERR;
    if (this.pendingErrno !== 0) bits |= UdpReadiness.IN;
    if (this.isReadShut) bits |= UdpReadiness.RDHUP;
    if (this.isReadShut && this.isWriteShut) bits |= UdpReadiness.HUP;
    return bits;
  }

  /** From `Udp`: an ICMP error about a datagram of ours; Linux's udp_err. */
  pathError(error: PathError): void {
    let isHard = error.isHard;
    if (error.errno === errno.EMSGSIZE) {
      if (this.pmtuDiscover === DontFragment.NEVER && error.remote.isV4) return;
      isHard = this.pmtuDiscover !== DontFragment.NEVER;
    }
    const isKept = error.remote.isV4 ? this.recvErr : this.recvErr6;
    if (isKept) this.errors.put(error, this.pool.bytes, wire.HEADER_BYTES);
    else if (!isHard || !this.isConnected) return;
    this.pendingErrno = error.errno;
    this.udp.changed(this.cookie);
  }

  /** `how`: 0 reading, 1 writing, 2 both. Linux wants a peer for it. */
  shutdown(how: number): number {
    if (!this.isConnected) return -errno.ENOTCONN;
    if (how !== 1) this.isReadShut = true;
    if (how !== 0) this.isWriteShut = true;
    this.udp.changed(this.cookie);
    return 0;
  }

  /** Ends the endpoint: what is queued is dropped, groups are left, the port is free. */
  close(): void {
    if (this.isClosed) return;
    this.memberships.leaveAll();
    this.isClosed = true;
    this.udp.close(this);
    this.dropQueued();
    this.blockedBy?.stopAwaiting(this);
    this.blockedBy = null;
    this.copyIn.forget();
  }
}
