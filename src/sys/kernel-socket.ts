/**
 * A socket of the kernel, without an event loop and non-blocking: it holds a port or a membership for
 * a stack that shares an interface with the kernel, or carries data for what Millrace is measured
 * against. Programs use Node's own sockets.
 *
 * Calls return what the system call does, errors as negated error numbers, and never throw: a
 * conflict is an answer here, not a failure. `check` makes an error of one.
 */
import { EAGAIN, EINPROGRESS, ENOTCONN } from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import { type Addon, addon } from "./addon.js";
import { closeFd } from "./fd.js";
import { LITTLE_ENDIAN } from "./netlink-message.js";
import { AF_INET, AF_INET6 } from "./rtnetlink.js";
import { SocketName, socketAddress } from "./socket-address.js";

export const SocketType = { STREAM: 1, DATAGRAM: 2 } as const;

/** [level, option] of setsockopt(2), as asm-generic/socket.h, netinet/ and linux/ have them. */
export const KernelOption = {
  REUSE_ADDRESS: [1, 2],
  SEND_BUFFER: [1, 7],
  RECEIVE_BUFFER: [1, 8],
  REUSE_PORT: [1, 15],
  BIND_TO_INDEX: [1, 62],
  FREE_BIND4: [0, 15],
  MULTICAST_TTL4: [0, 33],
  MULTICAST_LOOP4: [0, 34],
  NO_DELAY: [6, 1],
  MULTICAST_IF6: [41, 17],
  MULTICAST_HOPS6: [41, 18],
  MULTICAST_LOOP6: [41, 19],
  V6_ONLY: [41, 26],
  FREE_BIND6: [41, 78],
} as const;

const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IP_MULTICAST_IF = 32;
/** Protocol-independent multicast options (RFC 3678 §5.1). */
const MCAST_JOIN_GROUP = 42;
const MCAST_MSFILTER = 48;
/** struct sockaddr_storage */
const STORAGE_BYTES = 128;

export class KernelSocket {
  readonly fd: number;
  readonly isV4: boolean;
  /** Sender of the last datagram that {@link receiveFrom} received. */
  readonly from: SocketName = new SocketName();
  private readonly calls: Addon = addon();
  private isClosed = false;

  private constructor(fd: number, isV4: boolean) {
    this.fd = fd;
    this.isV4 = isV4;
  }

  /** `type` is of {@link SocketType}. -EMFILE, or -EAFNOSUPPORT for a family that the kernel has not. */
  static open(isV4: boolean, type: number): KernelSocket | number {
    const fd = addon().socketOpen(isV4 ? AF_INET : AF_INET6, type, 0);
    return fd < 0 ? fd : new KernelSocket(fd, isV4);
  }

  set(option: readonly [level: number, option: number], value: number): number {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, value, LITTLE_ENDIAN);
    return this.calls.socketSetOption(this.fd, option[0], option[1], bytes);
  }

  /** `ifIndex` is the scope of link-local addresses. */
  bind(address: IpAddress, port: number, ifIndex = 0): number {
    return this.calls.socketBind(this.fd, socketAddress(address, port, ifIndex));
  }

  /** Its port. */
  get port(): number {
    const name = new SocketName();
    const n = this.calls.socketName(this.fd, name.bytes);
    return n < 0 ? n : name.port;
  }

  listen(backlog: number): number {
    return this.calls.socketListen(this.fd, backlog);
  }

  /** The next connection, or null when there is none yet. */
  accept(): KernelSocket | number | null {
    const fd = this.calls.socketAccept(this.fd);
    if (fd < 0) return fd === -EAGAIN ? null : fd;
    return new KernelSocket(fd, this.isV4);
  }

  /** Sets the peer of a UDP socket; starts a TCP connection, see {@link connectResult}. */
  connect(address: IpAddress, port: number, ifIndex = 0): number {
    const result = this.calls.socketConnect(this.fd, socketAddress(address, port, ifIndex));
    return result === -EINPROGRESS ? 0 : result;
  }

  /** 1 when connected, 0 while under way, or why it failed, negated. */
  connectResult(): number {
    const error = this.calls.socketError(this.fd);
    if (error !== 0) return error;
    return this.calls.socketPeer(this.fd) === -ENOTCONN ? 0 : 1;
  }

  /** Whatever reaches it is dropped. */
  dropAll(): number {
    return this.calls.socketDropAll(this.fd);
  }

  /** Multicast leaves by this interface. IPv4 wants a structure where IPv6 wants a number. */
  setMulticastInterface(ifIndex: number): number {
    if (!this.isV4) return this.set(KernelOption.MULTICAST_IF6, ifIndex);
    const request = new Uint8Array(12); // struct ip_mreqn
    new DataView(request.buffer).setInt32(8, ifIndex, LITTLE_ENDIAN);
    return this.calls.socketSetOption(this.fd, IPPROTO_IP, IP_MULTICAST_IF, request);
  }

  /** `ifIndex` 0: the routes decide. */
  joinGroup(group: IpAddress, ifIndex: number): number {
    const request = new Uint8Array(8 + STORAGE_BYTES);
    new DataView(request.buffer).setUint32(0, ifIndex, LITTLE_ENDIAN);
    request.set(socketAddress(group, 0, 0), 8);
    return this.calls.socketSetOption(this.fd, this.ipLevel, MCAST_JOIN_GROUP, request);
  }

  /** After {@link joinGroup}: receives from all but `sources`, or from `sources` only. */
  setGroupFilter(
    group: IpAddress,
    ifIndex: number,
    includes: boolean,
    sources: readonly IpAddress[],
  ): number {
    const request = new Uint8Array(16 + STORAGE_BYTES * (1 + sources.length));
    const view = new DataView(request.buffer);
    view.setUint32(0, ifIndex, LITTLE_ENDIAN);
    request.set(socketAddress(group, 0, 0), 8);
    view.setUint32(8 + STORAGE_BYTES, includes ? 1 : 0, LITTLE_ENDIAN);
    view.setUint32(12 + STORAGE_BYTES, sources.length, LITTLE_ENDIAN);
    for (const [i, source] of sources.entries()) {
      request.set(socketAddress(source, 0, 0), 16 + STORAGE_BYTES * (1 + i));
    }
    return this.calls.socketSetOption(this.fd, this.ipLevel, MCAST_MSFILTER, request);
  }

  /** Hot path. To the peer. */
  send(bytes: Uint8Array, at: number, n: number): number {
    return this.calls.socketSend(this.fd, bytes, at, n);
  }

  /** Hot path. */
  receive(bytes: Uint8Array, at: number, n: number): number {
    return this.calls.socketReceive(this.fd, bytes, at, n);
  }

  /** Hot path. `to` as {@link socketAddress} makes it, or the bytes of {@link from}. */
  sendTo(bytes: Uint8Array, at: number, n: number, to: Uint8Array): number {
    return this.calls.socketSendTo(this.fd, bytes, at, n, to);
  }

  /** Hot path. As {@link receive}, the sender into {@link from}. */
  receiveFrom(bytes: Uint8Array, at: number, n: number): number {
    return this.calls.socketReceiveFrom(this.fd, bytes, at, n, this.from.bytes);
  }

  /** Idempotent. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    closeFd(this.fd);
  }

  private get ipLevel(): number {
    return this.isV4 ? IPPROTO_IP : IPPROTO_IPV6;
  }
}
