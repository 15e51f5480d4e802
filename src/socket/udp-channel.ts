/**
 * A UDP socket with promises: an `AsyncIterable` of messages, and `send`.
 *
 * Messages wait in the socket's own queue until they are asked for; what does not fit is dropped
 * and counted there, as UDP does.
 */
import { EAGAIN } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { IpAddress } from "../base/ip-address.js";
import { Readiness } from "../tcp/readiness.js";
import {
  addressOf,
  checkPort,
  type Endpoint,
  endpointOf,
  scopedAddressOf,
  scopedText,
  throwIfAborted,
} from "./endpoint.js";
import type { Host } from "./host.js";
import type { SocketUser } from "./host-news.js";
import type { UdpSocket } from "./udp-socket.js";
import { Waiters } from "./waiters.js";

/** A datagram that arrived. */
export interface UdpMessage {
  readonly data: Buffer;
  /** Sender; with its zone when it is an IPv6 link-local address: `fe80::1%eth0`. */
  readonly address: string;
  readonly port: number;
  /** The address that it was sent to: ours, a group or a broadcast address. */
  readonly destination: string;
  /** Index of the interface that it came in on. */
  readonly ifIndex: number;
  /** IPv4 TTL or IPv6 hop limit. */
  readonly ttl: number;
  /** IPv4 TOS or IPv6 traffic class. */
  readonly tos: number;
}

/** A membership in a multicast group. */
export interface GroupOptions {
  /** Address of the interface to join on; chosen by the route if not given. */
  readonly interfaceAddress?: string;
  /** Only from these senders. */
  readonly sources?: readonly string[];
}

const LARGEST_DATAGRAM = 65_535;

export class UdpChannel implements AsyncIterable<UdpMessage>, SocketUser {
  /** The polled socket under the channel; its options may be set. */
  readonly socket: UdpSocket;
  private readonly host: Host;
  private readonly readers = new Waiters<UdpMessage | null>();
  private readonly writers = new Waiters<boolean>();
  private readonly scratch = new Uint8Array(LARGEST_DATAGRAM);

  /** For `Host.udp`: takes a bound socket. */
  constructor(host: Host, socket: UdpSocket) {
    this.host = host;
    this.socket = socket;
    host.attach(socket, this);
  }

  /** The local address and port. */
  address(): Endpoint {
    return endpointOf(this.socket.localAddress, this.socket.localPort);
  }

  /**
   * Sends a datagram to `to`, or to the connected peer. Resolves when the socket has taken it.
   * Rejects with `NetError`: ECONNREFUSED when a connected peer refused an earlier one.
   */
  async send(
    data: Uint8Array | string,
    to?: { address: string; port: number; signal?: AbortSignal },
  ): Promise<void> {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    throwIfAborted(to?.signal, "send");
    const scoped = to === undefined ? null : scopedAddressOf(to.address, this.host.stack, "send");
    const address = scoped?.address ?? null;
    const ifIndex = scoped?.ifIndex ?? 0;
    const port = to === undefined ? 0 : checkPort(to.port, "send", 1);
    for (;;) {
      this.host.enter();
      const result = this.socket.send(bytes, 0, bytes.length, address, port, ifIndex);
      this.host.kick();
      if (result >= 0) return;
      if (result !== -EAGAIN) throw new NetError(result, { syscall: "send", ...to });
      await this.writers.wait(to?.signal, "send");
    }
  }

  /** The next message; null once the channel is closed. */
  async receive(options: { signal?: AbortSignal } = {}): Promise<UdpMessage | null> {
    throwIfAborted(options.signal, "recv");
    if (this.socket.isClosed) return null;
    const message = this.readers.size === 0 ? this.take() : undefined;
    return message ?? this.readers.wait(options.signal, "recv");
  }

  /** Messages until the channel is closed. Leaving the loop does not close it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<UdpMessage, void, void> {
    for (;;) {
      const message = await this.receive();
      if (message === null) return;
      yield message;
    }
  }

  /** Sends to and receives from one peer only, and hears of its refusals. */
  connect(address: string, port: number): void {
    this.host.enter();
    const to = scopedAddressOf(address, this.host.stack, "connect");
    const result = this.socket.connect(to.address, checkPort(port, "connect", 1), to.ifIndex);
    this.check(result, "connect", address, port);
  }

  /** Undoes {@link connect}. */
  disconnect(): void {
    this.check(this.socket.disconnect(), "connect");
  }

  /** Joins a multicast group (IGMPv3, MLDv2). */
  join(group: string, options: GroupOptions = {}): void {
    const ifIndex = this.interfaceOf(options);
    const address = addressOf(group, "setsockopt");
    this.host.enter();
    if (options.sources === undefined) {
      this.check(this.socket.joinGroup(address, ifIndex), "setsockopt", group);
    } else {
      for (const source of options.sources) {
        const from = addressOf(source, "setsockopt");
        this.check(this.socket.joinSource(address, from, ifIndex), "setsockopt", group);
      }
    }
    this.host.kick();
  }

  /** Leaves a group, or takes senders off the list. */
  leave(group: string, options: GroupOptions = {}): void {
    const ifIndex = this.interfaceOf(options);
    const address = addressOf(group, "setsockopt");
    this.host.enter();
    if (options.sources === undefined) {
      this.check(this.socket.leaveGroup(address, ifIndex), "setsockopt", group);
    } else {
      for (const source of options.sources) {
        const from = addressOf(source, "setsockopt");
        this.check(this.socket.leaveSource(address, from, ifIndex), "setsockopt", group);
      }
    }
    this.host.kick();
  }

  /** Ends the channel; what was sent is still sent. */
  close(): void {
    if (this.socket.isClosed) return;
    this.host.enter();
    this.host.detach(this.socket);
    this.socket.close();
    this.host.kick();
    this.readers.settleAll(null);
    this.writers.settleAll(false);
  }

  /** The process stays alive while the channel is open: the default. */
  ref(): this {
    this.host.setRef(this.socket, true);
    return this;
  }

  /** The process may end while the channel is open. */
  unref(): this {
    this.host.setRef(this.socket, false);
    return this;
  }

  /** Called by the host when the socket has changed. */
  onReady(bits: number): void {
    if ((bits & (Readiness.IN | Readiness.ERR)) !== 0) this.readers.settle(() => this.take());
    if ((bits & (Readiness.OUT | Readiness.ERR)) !== 0) this.writers.settleAll(true);
  }

  /** Called when the host closes. */
  onHostClosed(): void {
    this.close();
  }

  private take(): UdpMessage | undefined {
    const s = this.socket;
    const n = s.receive(this.scratch, 0, LARGEST_DATAGRAM, 0);
    if (n === -EAGAIN) return undefined;
    if (n < 0) {
      const error = new NetError(n, { syscall: "recv" });
      if (this.readers.size === 0) throw error;
      this.readers.failFirst(error);
      return undefined;
    }
    return {
      data: Buffer.from(this.scratch.subarray(0, n)),
      address: scopedText(s.from, s.toIfIndex, this.host.stack),
      port: s.fromPort,
      destination: s.to.toString(),
      ifIndex: s.toIfIndex,
      ttl: s.ttl,
      tos: s.tos,
    };
  }

  private interfaceOf(options: GroupOptions): number {
    if (options.interfaceAddress === undefined) return 0;
    const address = IpAddress.parse(options.interfaceAddress);
    return this.host.stack.ip.interfaceOf(address)?.index ?? 0;
  }

  private check(result: number, syscall: string, address?: string, port?: number): void {
    if (result >= 0) return;
    throw new NetError(result, {
      syscall,
      ...(address === undefined ? {} : { address }),
      ...(port === undefined ? {} : { port }),
    });
  }
}
