/**
 * A UDP socket, polled: the calls and errors of POSIX and Linux (udp(7)) without descriptors. The
 * protocol is `ip/udp-endpoint.ts`'s; here are numbers, readiness and options.
 *
 * Family INET6 is dual-stack unless IPV6_V6ONLY is set.
 */
import { EBADF, EINVAL, ENODEV } from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import type { ErrorEntry } from "../ip/error-queue.js";
import type { UdpEndpoint } from "../ip/udp-endpoint.js";
import { Family } from "./linux-options.js";
import { PolledSocket } from "./polled-socket.js";
import type { Stack } from "./stack.js";
import { getUdpOption, setUdpOption } from "./udp-options.js";

export class UdpSocket extends PolledSocket {
  readonly stack: Stack;
  /** `Family`. */
  readonly family: number;
  /** Number in the stack. */
  readonly id: number;
  /** The protocol's side of the socket. */
  readonly endpoint: UdpEndpoint;
  isClosed = false;

  /** For `Stack.udpSocket`. */
  constructor(stack: Stack, family: number, id: number) {
    super();
    this.stack = stack;
    this.family = family;
    this.id = id;
    this.endpoint = stack.udp.open(family === Family.INET ? 4 : 6);
    this.endpoint.cookie = id;
  }

  get localAddress(): IpAddress {
    return this.endpoint.localAddress;
  }
  /** 0 until it is bound. */
  get localPort(): number {
    return this.endpoint.localPort;
  }
  get remoteAddress(): IpAddress {
    return this.endpoint.remoteAddress;
  }
  /** 0 unless it is connected. */
  get remotePort(): number {
    return this.endpoint.remotePort;
  }

  // About the datagram that was received last; valid until the next.

  /** Sender. */
  get from(): IpAddress {
    return this.endpoint.from;
  }
  get fromPort(): number {
    return this.endpoint.fromPort;
  }
  /** The address that it was sent to. */
  get to(): IpAddress {
    return this.endpoint.to;
  }
  /** Interface that it came in on. */
  get toIfIndex(): number {
    return this.endpoint.toIfIndex;
  }
  get ttl(): number {
    return this.endpoint.receivedTtl;
  }
  get tos(): number {
    return this.endpoint.receivedTos;
  }
  get rxTimeUs(): number {
    return this.endpoint.rxTimeUs;
  }
  /** Whether it was longer than the buffer: the rest is lost. */
  get wasTruncated(): boolean {
    return this.endpoint.truncated;
  }

  /** Binds to an address of ours, a group, a broadcast address or a wildcard; port 0 chooses one. */
  bind(address: IpAddress, port: number, ifIndex = 0): number {
    if (!(port >= 0 && port <= 0xffff)) return -EINVAL;
    return this.endpoint.bind(address, port, ifIndex);
  }

  /** Sets the peer: only its datagrams are received, and its refusals are heard of. */
  connect(address: IpAddress, port: number, ifIndex = 0): number {
    return this.endpoint.connect(address, port, ifIndex);
  }

  /** Forgets the peer. */
  disconnect(): number {
    return this.endpoint.disconnect();
  }

  /** Hot path. Sends a datagram to `to`, or to the peer when it is null; returns its length. */
  send(
    bytes: Uint8Array,
    at = 0,
    n: number = bytes.length - at,
    to: IpAddress | null = null,
    port = 0,
    ifIndex = 0,
  ): number {
    if (this.isClosed) return -EBADF;
    return this.endpoint.send(bytes, at, n, to, port, ifIndex);
  }

  /** As {@link send}, from an address of the host's (IP_PKTINFO); null: as `send`. */
  sendFrom(
    source: IpAddress | null,
    bytes: Uint8Array,
    at: number,
    n: number,
    to: IpAddress | null,
    port: number,
    ifIndex = 0,
  ): number {
    if (this.isClosed) return -EBADF;
    if (source === null) return this.endpoint.send(bytes, at, n, to, port, ifIndex);
    return this.endpoint.sendFrom(source, bytes, at, n, to, port, ifIndex);
  }

  /**
   * Hot path. Copies the oldest datagram and returns how many bytes (with TRUNC: how long it is),
   * -EAGAIN, or a pending error. `from`, `to` and so on then describe it. Flags: PEEK, TRUNC.
   */
  receive(bytes: Uint8Array, at = 0, n: number = bytes.length - at, flags = 0): number {
    if (this.isClosed) return -EBADF;
    return this.endpoint.receive(bytes, at, n, flags);
  }

  /** Zero-copy: a slot to be filled from `pool.at[slot]` on; set `pool.end[slot]`. -1: pool empty. */
  takeSlot(isBig = false): number {
    return this.endpoint.takeSlot(isBig);
  }

  /** Zero-copy: sends a slot of {@link takeSlot}'s, and takes it in every case. */
  sendSlot(slot: number, to: IpAddress | null = null, port = 0): number {
    return this.endpoint.sendSlot(slot, to, port);
  }

  /** Zero-copy: the oldest datagram's slot, `pool.at` to `pool.end`, now the caller's. */
  receiveSlot(): number {
    if (this.isClosed) return -EBADF;
    return this.endpoint.receiveSlot();
  }

  /** Bytes of the next datagram (FIONREAD). */
  get readableBytes(): number {
    return this.endpoint.nextBytes;
  }

  /** The oldest entry of the error queue (IP_RECVERR); false when it is empty. */
  takeErrorEntry(into: ErrorEntry): boolean {
    return this.endpoint.takeErrorEntry(into);
  }

  /** Ends a direction (`Shutdown`). -ENOTCONN without a peer. */
  shutdown(how: number): number {
    if (this.isClosed) return -EBADF;
    if (how < 0 || how > 2) return -EINVAL;
    return this.endpoint.shutdown(how);
  }

  override close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.endpoint.close();
    this.stack.forget(this.id);
    this.forgetWatches();
  }

  override readiness(): number {
    return this.isClosed ? 0 : this.endpoint.readiness;
  }

  override takeError(): number {
    return this.endpoint.takeError();
  }

  override setOption(level: number, option: number, value: number): number {
    return this.isClosed ? -EBADF : setUdpOption(this, level, option, value);
  }

  override getOption(level: number, option: number): number {
    return this.isClosed ? -EBADF : getUdpOption(this, level, option);
  }

  /** SO_BINDTODEVICE: the interface to use only; "" for any. -ENODEV. */
  bindToDevice(name: string): number {
    const iface = name === "" ? null : this.stack.interfaceByName(name);
    if (name !== "" && iface === null) return -ENODEV;
    return this.bindToIndex(iface?.index ?? 0);
  }

  /** SO_BINDTOIFINDEX. */
  bindToIndex(ifIndex: number): number {
    if (ifIndex !== 0 && this.stack.interfaceByIndex(ifIndex) === null) return -ENODEV;
    this.endpoint.ifIndex = ifIndex;
    this.endpoint.optionsChanged();
    return 0;
  }

  // Groups; `ifIndex` 0 takes the interface of the route. Errors as in Linux.

  joinGroup(group: IpAddress, ifIndex = 0): number {
    return this.isClosed ? -EBADF : this.endpoint.memberships.join(group, ifIndex);
  }
  leaveGroup(group: IpAddress, ifIndex = 0): number {
    return this.isClosed ? -EBADF : this.endpoint.memberships.leave(group, ifIndex);
  }
  joinSource(group: IpAddress, source: IpAddress, ifIndex = 0): number {
    return this.isClosed ? -EBADF : this.endpoint.memberships.joinSource(group, source, ifIndex);
  }
  leaveSource(group: IpAddress, source: IpAddress, ifIndex = 0): number {
    return this.isClosed ? -EBADF : this.endpoint.memberships.leaveSource(group, source, ifIndex);
  }
  blockSource(group: IpAddress, source: IpAddress, ifIndex = 0): number {
    return this.isClosed ? -EBADF : this.endpoint.memberships.blockSource(group, source, ifIndex);
  }
  unblockSource(group: IpAddress, source: IpAddress, ifIndex = 0): number {
    return this.isClosed ? -EBADF : this.endpoint.memberships.unblockSource(group, source, ifIndex);
  }
}
