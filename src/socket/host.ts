/**
 * A host: a stack, the runner that drives it, and the promise interface to both.
 *
 * Every rejection is a `NetError` with a POSIX code (docs/errors.md). Operations with a `signal`
 * reject with ECANCELED when it is aborted, and what they had begun is undone.
 */
import { EINPROGRESS, ENETDOWN, ENOBUFS } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import type { IpAddress } from "../base/ip-address.js";
import { ANY4, ANY6 } from "../base/ip-address.js";
import { clearTimeout, setTimeout } from "../base/timers.js";
import type { Device } from "../nic/device.js";
import { Readiness } from "../tcp/readiness.js";
import {
  abortError,
  addressOf,
  checkPort,
  onAbort,
  type ScopedAddress,
  scopedAddressOf,
  throwIfAborted,
} from "./endpoint.js";
import { HostNews, type SocketUser } from "./host-news.js";
import {
  applyUdpOptions,
  type ConnectOptions,
  type ListenOptions,
  type UdpOptions,
} from "./host-options.js";
import { Family } from "./linux-options.js";
import { type PingOptions, type PingSummary, ping } from "./ping.js";
import type { PolledSocket } from "./polled-socket.js";
import type { Driven, Runner } from "./runner.js";
import type { Stack } from "./stack.js";
import { TcpConnection } from "./tcp-connection.js";
import { TcpServer } from "./tcp-server.js";
import type { TcpSocket } from "./tcp-socket.js";
import { UdpChannel } from "./udp-channel.js";

const DEFAULT_BACKLOG = 511;
/** Handshake, data and end of a short connection. */
const LOOPBACK_TURNS = 16;

export class Host implements Driven {
  readonly name: string;
  readonly stack: Stack;
  readonly spinUs: number;
  /** Until then the process lives for what closed connections have sent and nobody acknowledged. */
  lingerUntilUs = 0;
  private readonly runner: Runner;
  private readonly devices: readonly Device[];
  private readonly news: HostNews;
  private readonly referenced = new Set<PolledSocket>();
  private isClosed = false;
  /** Waits for the connections to end. */
  private whenEnded: (() => void) | null = null;

  /** For `createHost`: takes the devices. */
  constructor(
    name: string,
    stack: Stack,
    runner: Runner,
    devices: readonly Device[],
    spinUs: number,
  ) {
    this.name = name;
    this.stack = stack;
    this.runner = runner;
    this.devices = devices;
    this.spinUs = spinUs;
    this.news = new HostNews(stack, runner);
    runner.add(this);
  }

  /** Listens for TCP connections. Rejects: EADDRINUSE, EADDRNOTAVAIL, EINVAL. */
  async listen(options: ListenOptions): Promise<TcpServer> {
    this.begin(options.signal, "listen");
    const port = checkPort(options.port, "listen");
    const { address, ifIndex } = this.scoped(options.address ?? "::", "listen");
    const socket = this.openTcp(address, "listen");
    // As Node's servers do: a restart must not wait for old connections.
    socket.set("SO_REUSEADDR", 1);
    if (options.reusePort === true) socket.set("SO_REUSEPORT", 1);
    if (options.ipv6Only === true) socket.set("IPV6_V6ONLY", 1);
    // Connections inherit these.
    if (options.noDelay === true) socket.set("TCP_NODELAY", 1);
    if (options.keepAlive === true) socket.set("SO_KEEPALIVE", 1);
    let result = socket.bind(address, port, ifIndex);
    if (result >= 0) result = socket.listen(options.backlog ?? DEFAULT_BACKLOG);
    if (result < 0) {
      socket.close();
      throw new NetError(result, { syscall: "listen", address: address.toString(), port });
    }
    const server = new TcpServer(this, socket, options);
    onAbort(options.signal, () => server.close());
    this.kick();
    return server;
  }

  /** Opens a TCP connection. Rejects: ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH … */
  async connect(options: ConnectOptions): Promise<TcpConnection> {
    this.begin(options.signal, "connect");
    const port = checkPort(options.port, "connect", 1);
    const to = this.scoped(options.address ?? options.host ?? "localhost", "connect");
    const socket = this.openTcp(to.address, "connect");
    try {
      this.bindForConnect(socket, options);
      if (options.noDelay === true) socket.set("TCP_NODELAY", 1);
      if (options.keepAlive === true) socket.set("SO_KEEPALIVE", 1);
      await this.establish(socket, to, port, options.signal);
    } catch (error) {
      socket.close();
      this.kick();
      throw error;
    }
    return new TcpConnection(this, socket, options);
  }

  private bindForConnect(socket: TcpSocket, options: ConnectOptions): void {
    if (options.localAddress === undefined && options.localPort === undefined) return;
    const { localAddress, localPort } = options;
    const wildcard = socket.family === Family.INET ? ANY4 : ANY6;
    const { address, ifIndex } = this.scoped(localAddress ?? wildcard.toString(), "bind");
    const port = checkPort(localPort ?? 0, "bind");
    if (port === 0) socket.set("IP_BIND_ADDRESS_NO_PORT", 1);
    const result = socket.bind(address, port, ifIndex);
    if (result >= 0) return;
    throw new NetError(result, { syscall: "bind", address: address.toString(), port });
  }

  private async establish(
    socket: TcpSocket,
    to: ScopedAddress,
    port: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const details = { syscall: "connect", address: to.address.toString(), port };
    const result = socket.connect(to.address, port, to.ifIndex);
    if (result < 0 && result !== -EINPROGRESS) throw new NetError(result, details);
    this.kick();
    try {
      await new Promise<void>((resolve, reject) => {
        const stopListening = onAbort(signal, () => reject(abortError(signal!, "connect")));
        const settle = (error: NetError | null): void => {
          stopListening();
          if (error === null) resolve();
          else reject(error);
        };
        this.attach(socket, {
          onReady: (bits) => {
            if ((bits & (Readiness.OUT | Readiness.ERR | Readiness.HUP)) === 0) return;
            const errno = socket.takeError();
            settle(errno === 0 ? null : new NetError(errno, details));
          },
          onHostClosed: settle,
        });
      });
    } finally {
      this.detach(socket);
    }
  }

  /** Opens a UDP socket. Rejects: EADDRINUSE, EADDRNOTAVAIL, EINVAL. */
  async udp(options: UdpOptions = {}): Promise<UdpChannel> {
    this.begin(options.signal, "bind");
    const port = checkPort(options.port ?? 0, "bind");
    const { address, ifIndex } = this.scoped(options.address ?? "::", "bind");
    const socket = this.stack.udpSocket(familyOf(address));
    applyUdpOptions(socket, options);
    const result = socket.bind(address, port, ifIndex);
    if (result < 0) {
      socket.close();
      throw new NetError(result, { syscall: "bind", address: address.toString(), port });
    }
    const channel = new UdpChannel(this, socket);
    onAbort(options.signal, () => channel.close());
    this.kick();
    return channel;
  }

  /** Sends echo requests, one after the other, and reports the replies. */
  async ping(address: string, options: PingOptions = {}): Promise<PingSummary> {
    this.begin(options.signal, "ping");
    return ping(this, addressOf(address, "ping"), options);
  }

  /**
   * Polls without a pause until `isDone()`, for at most `timeoutMs`: for polled sockets of
   * {@link stack} whose users care about microseconds. Returns what `isDone` said last.
   */
  runUntil(isDone: () => boolean, timeoutMs?: number): boolean {
    return this.runner.runUntil(isDone, timeoutMs);
  }

  /**
   * Resets every connection, closes every server, channel and device. Attempts under way reject with
   * ENETDOWN, and so does whatever is asked of the host afterwards. Idempotent.
   */
  close(): void {
    if (this.isClosed) return;
    this.enter();
    const error = new NetError(ENETDOWN, { hint: `host ${this.name} was closed` });
    // destroy() of a stream does its work later, and finds the socket closed.
    for (const [socket, user] of [...this.news.users]) {
      user.onHostClosed(error);
      this.detach(socket);
    }
    this.isClosed = true;
    this.whenEnded?.();
    this.stack.close();
    this.runner.remove(this);
    for (const device of this.devices) device.close();
  }

  /**
   * Closes servers and channels, waits until every connection has been closed by both sides, at most
   * `timeoutMs`, and then closes the host. Close connections before, or wait for the peers to.
   */
  async end(timeoutMs = 5_000): Promise<void> {
    if (this.isClosed) return;
    for (const user of [...this.news.users.values()]) {
      if (user instanceof TcpServer || user instanceof UdpChannel) user.close();
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.whenEnded = () => {
        clearTimeout(timer);
        resolve();
      };
      this.kick();
    });
    this.close();
  }

  /** Closes every socket as its user would; connections go on until both sides have closed them. */
  releaseSockets(): void {
    for (const socket of [...this.news.users.keys()]) {
      this.detach(socket);
      socket.close();
    }
  }

  /** Runs a turn soon: call it after using polled sockets of {@link stack}. */
  kick(): void {
    if (!this.isClosed) this.runner.kick();
  }

  /** Sets the stack's time to now: call it before using polled sockets of {@link stack}. */
  enter(): void {
    this.stack.nowUs = Math.max(this.stack.nowUs, this.runner.clock());
  }

  // For the runner.

  /** Tells the devices that nobody will poll them for a while; false when one has frames after all. */
  prepareSleep(): boolean {
    let isIdle = true;
    for (const device of this.devices) if (device.prepareSleep?.() === false) isIdle = false;
    return isIdle;
  }

  get wakeFds(): readonly number[] {
    const kernelFd = this.stack.ip.kernel?.wakeFd ?? -1;
    return [...this.devices.map((d) => d.wakeFd), kernelFd].filter((fd) => fd >= 0);
  }

  get keepsAlive(): boolean {
    if (this.referenced.size > 0) return true;
    return this.stack.nowUs < this.lingerUntilUs && this.stack.hasUndelivered;
  }

  poll(nowUs: number): boolean {
    const worked = this.stack.poll(nowUs);
    if (this.runner.tellsAsIo) this.finishLoopback(nowUs);
    return worked;
  }

  /**
   * Hot path. What goes on between sockets of this host is over before anybody is told of it, as in a
   * kernel: a server has a connection as soon as its client has.
   */
  private finishLoopback(nowUs: number): void {
    const { loopback } = this.stack.ip;
    for (let i = 0; i < LOOPBACK_TURNS && loopback.waiting > 0; i++) this.stack.poll(nowUs);
  }

  nextDeadlineUs(): number {
    return this.stack.nextDeadlineUs();
  }

  tell(): boolean {
    if (this.whenEnded !== null && !this.stack.hasOpenConnections) {
      this.whenEnded();
      this.whenEnded = null;
    }
    return this.news.tell();
  }

  // For the users of sockets.

  /** `user` is told of every change of the socket. */
  attach(socket: PolledSocket, user: SocketUser): void {
    this.news.add(socket, user);
    this.referenced.add(socket);
    this.runner.kick();
  }

  /** The socket's user is told again of what is ready now, with the next round of news. */
  tellAgain(socket: PolledSocket): void {
    this.news.repeat(socket);
  }

  /** Nobody waits for the socket any more. */
  detach(socket: PolledSocket): void {
    this.news.remove(socket);
    this.referenced.delete(socket);
  }

  /** Everyone who has a socket here. */
  allUsers(): SocketUser[] {
    return [...this.news.users.values()];
  }

  setRef(socket: PolledSocket, isReferenced: boolean): void {
    if (!this.news.users.has(socket)) return;
    if (isReferenced) this.referenced.add(socket);
    else this.referenced.delete(socket);
    this.runner.kick();
  }

  private begin(signal: AbortSignal | undefined, syscall: string): void {
    throwIfAborted(signal, syscall);
    if (this.isClosed) throw new NetError(ENETDOWN, { syscall, hint: "the host is closed" });
    this.enter();
  }

  private scoped(text: string, syscall: string): ScopedAddress {
    return scopedAddressOf(text, this.stack, syscall);
  }

  private openTcp(address: IpAddress, syscall: string): TcpSocket {
    const socket = this.stack.tcpSocket(familyOf(address));
    if (socket !== null) return socket;
    throw new NetError(ENOBUFS, { syscall, hint: "raise maxConnections of the host" });
  }
}

const familyOf = (address: IpAddress): number => (address.isV4 ? Family.INET : Family.INET6);
