/**
 * `millrace/poll`: for programs that count nanoseconds. No events, no promises, no copies: the program
 * calls `turn` again and again, looks at what has arrived where it lies, and gives it back.
 *
 * Bursts are columns: datagram or chunk `i` is `memory` from `at[i]` to `end[i]`. They are the
 * program's until `release`, which comes before the next `receive`.
 */
import { EAGAIN, EINPROGRESS, ENOTCONN, ETIMEDOUT } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { ANY4, IpAddress } from "../base/ip-address.js";
import { monotonicUs } from "../nic/clock.js";
import type { Device } from "../nic/device.js";
import type { Pool } from "../ring/pool.js";
import { createHost } from "../socket/create-host.js";
import { addressOf, checkPort } from "../socket/endpoint.js";
import type { Host } from "../socket/host.js";
import { Family } from "../socket/linux-options.js";
import { openDevice, TO_TALK } from "../socket/open-device.js";
import { Runner } from "../socket/runner.js";
import type { Stack } from "../socket/stack.js";
import type { TcpSocket } from "../socket/tcp-socket.js";
import type { UdpSocket } from "../socket/udp-socket.js";
import { Readiness } from "../tcp/readiness.js";
import { END_OF_DATA } from "../tcp/transfer.js";

/** Most that one `receive` gives. */
const BURST = 64;
/** Turns for which the clock is read once: it takes as long as a turn without work. */
const TURNS_A_READING = 16;
const NO_SLOT = -1;

export interface PollerOptions {
  /** A device by its specification, `memif:/run/a.sock`; or one that is open, with its pool. */
  readonly nic?: string;
  readonly device?: Device;
  readonly pool?: Pool;
  readonly addresses?: readonly string[];
  readonly gateways?: readonly string[];
}

export interface PolledUdpOptions {
  /** An address of the device's; all of them if not given. */
  readonly address?: string;
  /** 0, or not given, chooses a free one. */
  readonly port?: number;
}

/** Opens the device. Throws `TypeError` and `NetError`, as `createHost` does. */
export function openPoller(options: PollerOptions): Poller {
  const { nic } = options;
  const opened = nic === undefined ? null : openDevice(nic, TO_TALK);
  const device = opened?.device ?? options.device;
  const pool = opened?.pool ?? options.pool;
  const runner = new Runner();
  const host = createHost({
    name: "poller",
    runner,
    ...(device === undefined ? {} : { device }),
    ...(pool === undefined ? {} : { pool }),
    ...(options.addresses === undefined ? {} : { addresses: options.addresses }),
    ...(options.gateways === undefined ? {} : { gateway: options.gateways }),
  });
  runner.remove(host); // the program drives it
  return new Poller(host, device ?? null);
}

export class Poller {
  /** What all places of bursts are places in. */
  readonly memory: Uint8Array;
  readonly stack: Stack;
  private readonly host: Host;
  private readonly device: Device | null;
  private nowUs = monotonicUs();
  private turns = 0;

  /** For {@link openPoller}. */
  constructor(host: Host, device: Device | null) {
    this.host = host;
    this.stack = host.stack;
    this.device = device;
    this.memory = host.stack.pool.bytes;
  }

  /** Whether the link is up: a memif is when its peer is there. */
  get isUp(): boolean {
    return this.device?.isUp ?? true;
  }

  /** Hot path. Sends what was queued, receives, fires timers; whether there was anything to do. */
  turn(): boolean {
    if ((this.turns++ & (TURNS_A_READING - 1)) === 0) this.nowUs = monotonicUs();
    return this.stack.poll(this.nowUs);
  }

  /** Hot path. Sends what was queued at once, not with the next turn: saves an answer that turn's input. */
  flush(): void {
    this.stack.flush();
  }

  /** Turns until it is so, or throws `NetError` ETIMEDOUT. */
  until(isSo: () => boolean, timeoutMs = 5_000): void {
    const endUs = monotonicUs() + timeoutMs * 1_000;
    while (!isSo()) {
      this.turn();
      if (this.nowUs > endUs) throw new NetError(ETIMEDOUT, { syscall: "poll" });
    }
  }

  /** Opens and binds a UDP socket. Throws `NetError`: EADDRINUSE, EADDRNOTAVAIL. */
  udp(options: PolledUdpOptions = {}): PolledUdp {
    const address = options.address === undefined ? ANY4 : addressOf(options.address, "bind");
    const port = checkPort(options.port ?? 0, "bind");
    const socket = this.stack.udpSocket(address.isV4 ? Family.INET : Family.INET6);
    check(socket.bind(address, port), "bind", address, port, socket);
    return new PolledUdp(this, socket);
  }

  /** Connects, turning meanwhile. Throws `NetError`: ECONNREFUSED, ETIMEDOUT, ENETUNREACH. */
  connect(address: string, port: number, timeoutMs?: number): PolledTcp {
    const to = addressOf(address, "connect");
    const socket = this.stack.tcpSocket(to.isV4 ? Family.INET : Family.INET6)!;
    const begun = socket.connect(to, checkPort(port, "connect", 1));
    if (begun !== -EINPROGRESS) check(begun, "connect", to, port, socket);
    const settled = Readiness.OUT | Readiness.ERR | Readiness.HUP;
    this.until(() => (socket.readiness() & settled) !== 0, timeoutMs);
    check(-Math.abs(socket.takeError()), "connect", to, port, socket);
    return new PolledTcp(this, socket);
  }

  /** Listens; `accept` then gives connections. Throws `NetError`. */
  listen(options: { readonly address?: string; readonly port: number }): PolledListener {
    const address = options.address === undefined ? ANY4 : addressOf(options.address, "listen");
    const socket = this.stack.tcpSocket(address.isV4 ? Family.INET : Family.INET6)!;
    socket.set("SO_REUSEADDR", 1);
    check(socket.bind(address, options.port), "listen", address, options.port, socket);
    check(socket.listen(BACKLOG), "listen", address, options.port, socket);
    return new PolledListener(this, socket);
  }

  /** Closes everything, the device included. */
  close(): void {
    this.host.close();
  }
}

const BACKLOG = 511;

/** Throws what a negated error number says, and closes the socket. */
function check(
  result: number,
  syscall: string,
  address: IpAddress,
  port: number,
  socket: { close(): void },
): void {
  if (result >= 0) return;
  socket.close();
  throw new NetError(result, { syscall, address: address.toString(), port });
}

/** Slots that the program has, as columns. */
class Burst {
  /** Where each begins and ends in the poller's memory. */
  readonly at = new Int32Array(BURST);
  readonly end = new Int32Array(BURST);
  protected readonly slots = new Int32Array(BURST).fill(NO_SLOT);
  protected n = 0;
  protected readonly pool: Pool;
  private readonly memory: Uint8Array;

  constructor(poller: Poller) {
    this.pool = poller.stack.pool;
    this.memory = poller.memory;
  }

  /** A view of one, for those who want an object: it allocates. Valid until `release`. */
  view(i: number): Uint8Array {
    return this.memory.subarray(this.at[i], this.end[i]);
  }

  /** Hot path. Gives back what `receive` gave. */
  release(): void {
    for (let i = 0; i < this.n; i++) {
      const slot = this.slots[i]!;
      if (slot !== NO_SLOT) this.pool.give(slot);
    }
    this.n = 0;
  }

  protected hold(slot: number): void {
    const i = this.n++;
    this.slots[i] = slot;
    this.at[i] = this.pool.at[slot]!;
    this.end[i] = this.pool.end[slot]!;
  }
}

export class PolledUdp extends Burst {
  /** The polled socket; its options may be set. */
  readonly socket: UdpSocket;
  /** Port of each sender. */
  readonly ports = new Uint16Array(BURST);
  private readonly words = new Int32Array(BURST * 4);
  private readonly scratch = new IpAddress();
  private taken = NO_SLOT;

  constructor(poller: Poller, socket: UdpSocket) {
    super(poller);
    this.socket = socket;
  }

  get port(): number {
    return this.socket.localPort;
  }

  /** Hot path. Takes up to 64 datagrams that have arrived; how many. */
  receive(): number {
    this.release();
    const { socket } = this;
    while (this.n < BURST) {
      const slot = socket.receiveSlot();
      if (slot < 0) break;
      const { from } = socket;
      const i = this.n;
      const w = i * 4;
      this.words[w] = from.w0;
      this.words[w + 1] = from.w1;
      this.words[w + 2] = from.w2;
      this.words[w + 3] = from.w3;
      this.ports[i] = socket.fromPort;
      this.hold(slot);
    }
    return this.n;
  }

  /** Address of a sender as text. */
  address(i: number): string {
    return this.fromOf(i).toString();
  }

  private fromOf(i: number): IpAddress {
    const w = i * 4;
    const { words } = this;
    this.scratch.set(words[w]!, words[w + 1]!, words[w + 2]!, words[w + 3]!);
    return this.scratch;
  }

  /** Hot path. Sends datagram `i`, as it lies there now, back to its sender, and releases it. */
  reply(i: number, bytes: number = this.end[i]! - this.at[i]!): number {
    const slot = this.slots[i]!;
    this.slots[i] = NO_SLOT;
    this.pool.end[slot] = this.pool.at[slot]! + bytes;
    return this.socket.sendSlot(slot, this.fromOf(i), this.ports[i]!);
  }

  /** Hot path. Where in memory the next datagram may be written, up to 1472 bytes; -1: no memory. */
  take(): number {
    if (this.taken === NO_SLOT) this.taken = this.socket.takeSlot();
    return this.taken < 0 ? NO_SLOT : this.pool.at[this.taken]!;
  }

  /**
   * Hot path. Sends `bytes` of what was written where {@link take} said, to the peer or to `to`; the
   * length, or a negated error number.
   */
  send(bytes: number, to: IpAddress | null = null, port = 0): number {
    const slot = this.taken;
    if (slot < 0) return -ENOTCONN;
    this.taken = NO_SLOT;
    this.pool.end[slot] = this.pool.at[slot]! + bytes;
    return this.socket.sendSlot(slot, to, port);
  }

  /** Sets the peer. Throws `NetError`. */
  connect(address: string, port: number): this {
    const to = addressOf(address, "connect");
    const result = this.socket.connect(to, checkPort(port, "connect", 1));
    if (result < 0) throw new NetError(result, { syscall: "connect", address, port });
    return this;
  }

  /** Joins a group, of certain senders if any are named. Throws `NetError`. */
  join(group: string, ...sources: string[]): this {
    const to = addressOf(group, "setsockopt");
    const results =
      sources.length === 0
        ? [this.socket.joinGroup(to)]
        : sources.map((s) => this.socket.joinSource(to, addressOf(s, "setsockopt")));
    const failed = results.find((r) => r < 0);
    if (failed !== undefined) {
      throw new NetError(failed, { syscall: "setsockopt", address: group });
    }
    return this;
  }

  close(): void {
    this.release();
    if (this.taken >= 0) this.pool.give(this.taken);
    this.taken = NO_SLOT;
    this.socket.close();
  }
}

export class PolledTcp extends Burst {
  /** The polled socket; its options may be set. */
  readonly socket: TcpSocket;
  /** The peer has ended its side, and everything was received. */
  isEnded = false;
  /** Why receiving ended: a positive error number, or 0. */
  errno = 0;

  constructor(poller: Poller, socket: TcpSocket) {
    super(poller);
    this.socket = socket;
    socket.set("TCP_NODELAY", 1);
  }

  /** Hot path. Takes up to 64 chunks of the stream that have arrived, in order; how many. */
  receive(): number {
    this.release();
    while (this.n < BURST) {
      const slot = this.socket.receiveSlot();
      if (slot < 0) {
        this.receivedNone(slot);
        break;
      }
      this.hold(slot);
    }
    return this.n;
  }

  private receivedNone(result: number): void {
    if (result === END_OF_DATA) this.isEnded = true;
    else if (result !== -EAGAIN) this.errno = -result;
  }

  /** Hot path. Queues bytes; how many were taken, or a negated error number (-EAGAIN: none now). */
  send(bytes: Uint8Array, at = 0, n: number = bytes.length - at): number {
    return this.socket.send(bytes, at, n);
  }

  close(): void {
    this.release();
    this.socket.close();
  }
}

export class PolledListener {
  readonly socket: TcpSocket;
  private readonly poller: Poller;

  constructor(poller: Poller, socket: TcpSocket) {
    this.poller = poller;
    this.socket = socket;
  }

  get port(): number {
    return this.socket.localPort;
  }

  /** Hot path. The next connection, or null. */
  accept(): PolledTcp | null {
    const socket = this.socket.accept();
    return socket === null ? null : new PolledTcp(this.poller, socket);
  }

  close(): void {
    this.socket.close();
  }
}
