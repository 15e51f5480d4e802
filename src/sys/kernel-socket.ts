/**
 * A kernel socket without an event loop: non-blocking, polled by whoever spins on it. It is what
 * Millrace is measured against; programs use Node's own sockets.
 *
 * `send` and `receive` return a count or a negated error number, as system calls do, and allocate
 * nothing; the calls that set a socket up throw `NetError`.
 */
import {
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAGAIN,
  EINPROGRESS,
  ENODEV,
  ENOTCONN,
} from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import { type Addon, addon } from "./addon.js";
import { check, type Hints } from "./check.js";
import { closeFd } from "./fd.js";

/** Words of an address as the addon takes it. */
const NAME_WORDS = 6;
const PORT = 4;
const IF_INDEX = 5;

// asm-generic/socket.h, netinet/in.h, netinet/tcp.h
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const IPPROTO_IP = 0;
const IPPROTO_TCP = 6;
const IPPROTO_IPV6 = 41;
const TCP_NODELAY = 1;
const IP_MULTICAST_TTL = 33;
const IP_MULTICAST_LOOP = 34;
const IPV6_MULTICAST_IF = 17;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_MULTICAST_LOOP = 19;

const BIND_HINTS: Hints = {
  [EADDRINUSE]: "another program has this port; choose another, or end that program (ss -lnp)",
  [EADDRNOTAVAIL]: "this machine has no such address; ip address shows those it has",
  [EACCES]: "ports below 1024 need CAP_NET_BIND_SERVICE",
};
const JOIN_HINTS: Hints = {
  [ENODEV]: "no route leads to the group; name the interface, or: ip route add 224.0.0.0/4 dev …",
};

/** What a socket is set to besides its address. */
export interface MulticastSettings {
  /** Interface to send and to join on; 0: the routes decide. */
  readonly ifIndex: number;
  readonly ttl: number;
  /** Whether receivers on this machine hear it. */
  readonly loop: boolean;
}

export class KernelSocket {
  readonly fd: number;
  readonly isV4: boolean;
  /** Sender of the last datagram that {@link receiveFrom} received. */
  readonly from = new Int32Array(NAME_WORDS);
  private readonly calls: Addon;
  private isClosed = false;

  private constructor(fd: number, isV4: boolean) {
    this.fd = fd;
    this.isV4 = isV4;
    this.calls = addon();
  }

  /** Opens a UDP or TCP socket of the address's family. Throws `NetError`. */
  static open(isV4: boolean, isStream: boolean): KernelSocket {
    const fd = check(addon().kernelSocketOpen(isV4 ? 4 : 6, isStream ? 1 : 0), "socket");
    return new KernelSocket(fd, isV4);
  }

  bind(address: IpAddress, port: number): void {
    this.set(SOL_SOCKET, SO_REUSEADDR, 1);
    check(this.calls.kernelSocketBind(this.fd, nameOf(address, port)), "bind", BIND_HINTS);
  }

  listen(backlog: number): void {
    check(this.calls.kernelSocketListen(this.fd, backlog), "listen", BIND_HINTS);
  }

  /** The next connection, or null when there is none yet. */
  accept(): KernelSocket | null {
    const fd = this.calls.kernelSocketAccept(this.fd);
    if (fd === -EAGAIN) return null;
    return new KernelSocket(check(fd, "accept4"), this.isV4);
  }

  /** Sets the peer of a UDP socket; starts a TCP connection, see {@link connectResult}. */
  connect(address: IpAddress, port: number, ifIndex = 0): number {
    const result = this.calls.kernelSocketConnect(this.fd, nameOf(address, port, ifIndex));
    return result === -EINPROGRESS ? 0 : result;
  }

  /** 1 when connected, 0 while under way, or why it failed, negated. */
  connectResult(): number {
    const error = this.calls.kernelSocketError(this.fd);
    if (error !== 0) return error;
    return this.calls.kernelSocketPeer(this.fd) === -ENOTCONN ? 0 : 1;
  }

  /** TCP_NODELAY: segments are not kept back to be filled. */
  setNoDelay(on: boolean): void {
    this.set(IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0);
  }

  /** Asks for send and receive buffers of so many bytes; the kernel's limits apply. */
  setBuffers(bytes: number): void {
    this.set(SOL_SOCKET, SO_SNDBUF, bytes);
    this.set(SOL_SOCKET, SO_RCVBUF, bytes);
  }

  setMulticast(o: MulticastSettings): void {
    const loop = o.loop ? 1 : 0;
    if (this.isV4) {
      this.set(IPPROTO_IP, IP_MULTICAST_TTL, o.ttl);
      this.set(IPPROTO_IP, IP_MULTICAST_LOOP, loop);
      if (o.ifIndex !== 0) {
        check(this.calls.kernelSocketMulticastIf(this.fd, o.ifIndex), "setsockopt IP_MULTICAST_IF");
      }
      return;
    }
    this.set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, o.ttl);
    this.set(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, loop);
    if (o.ifIndex !== 0) this.set(IPPROTO_IPV6, IPV6_MULTICAST_IF, o.ifIndex);
  }

  join(group: IpAddress, ifIndex: number): void {
    const result = this.calls.kernelSocketJoin(this.fd, nameOf(group, 0, ifIndex));
    check(result, "setsockopt MCAST_JOIN_GROUP", JOIN_HINTS);
  }

  /** Hot path. To the peer. */
  send(bytes: Uint8Array, at: number, n: number): number {
    return this.calls.kernelSocketSend(this.fd, bytes, at, n);
  }

  /** Hot path. */
  receive(bytes: Uint8Array, at: number, n: number): number {
    return this.calls.kernelSocketReceive(this.fd, bytes, at, n);
  }

  /** Hot path. `to` is an address as {@link from} has it. */
  sendTo(bytes: Uint8Array, at: number, n: number, to: Int32Array): number {
    return this.calls.kernelSocketSendTo(this.fd, bytes, at, n, to);
  }

  /** Hot path. As {@link receive}, the sender into {@link from}. */
  receiveFrom(bytes: Uint8Array, at: number, n: number): number {
    return this.calls.kernelSocketReceiveFrom(this.fd, bytes, at, n, this.from);
  }

  /** Idempotent. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    closeFd(this.fd);
  }

  private set(level: number, option: number, value: number): void {
    check(this.calls.kernelSocketSet(this.fd, level, option, value), "setsockopt");
  }
}

/** An address as the addon takes it. */
export function nameOf(address: IpAddress, port: number, ifIndex = 0): Int32Array {
  const name = new Int32Array(NAME_WORDS);
  name[0] = address.w0;
  name[1] = address.w1;
  name[2] = address.w2;
  name[3] = address.w3;
  name[PORT] = port;
  name[IF_INDEX] = ifIndex;
  return name;
}
