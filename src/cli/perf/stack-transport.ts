/** Messages over the polled sockets of a Millrace stack, whatever its NIC. */
import { EAGAIN, EINPROGRESS } from "../../base/errno.js";
import { NetError } from "../../base/errors.js";
import { ANY4, ANY6, IpAddress } from "../../base/ip-address.js";
import type { Interface } from "../../ip/interface.js";
import { monotonicUs } from "../../nic/clock.js";
import { Family } from "../../socket/linux-options.js";
import type { Stack } from "../../socket/stack.js";
import type { TcpSocket } from "../../socket/tcp-socket.js";
import type { UdpSocket } from "../../socket/udp-socket.js";
import { pollFds } from "../../sys/fd.js";
import { Readiness } from "../../tcp/readiness.js";
import type { Endpoint, Listener, SocketOptions, Transport } from "./transport.js";

const BACKLOG = 128;
/** Frames that may wait for a device that is full: beyond, a datagram is not sent, and so not lost. */
const MOST_WAITING = 256;
const NOT_OURS = "is it an address of this host? --address gives it one";
const NO_WAY = "is it on the network of --address? beyond it, --gateway says through whom";

/** A UDP socket: connected to a peer, bound and answering senders, or of a group. */
class UdpEndpoint implements Endpoint {
  private readonly socket: UdpSocket;
  private readonly iface: Interface;
  /** Where `send` goes; null: to the sender of the last datagram. */
  private readonly to: IpAddress | null;
  /** Its port; 0: the last sender's. */
  private readonly port: number;
  private readonly ifIndex: number;
  private readonly lastFrom = new IpAddress();
  private lastPort = -1;

  constructor(
    socket: UdpSocket,
    iface: Interface,
    to: IpAddress | null,
    port: number,
    ifIndex: number,
  ) {
    this.socket = socket;
    this.iface = iface;
    this.to = to;
    this.port = port;
    this.ifIndex = ifIndex;
  }

  send(bytes: Uint8Array, at: number, n: number): number {
    const { socket } = this;
    if (this.iface.backlogFrames >= MOST_WAITING) return -EAGAIN;
    const port = this.port === 0 ? socket.fromPort : this.port;
    return socket.send(bytes, at, n, this.to ?? socket.from, port, this.ifIndex);
  }
  receive(bytes: Uint8Array, at: number, n: number): number {
    return this.socket.receive(bytes, at, n);
  }
  connectResult(): number {
    return 1;
  }
  senderChanged(): boolean {
    const { socket, lastFrom } = this;
    if (socket.fromPort === this.lastPort && socket.from.equals(lastFrom)) return false;
    lastFrom.setFrom(socket.from);
    this.lastPort = socket.fromPort;
    return true;
  }
  sender(): string {
    return `${this.socket.from} ${this.socket.fromPort}`;
  }
  close(): void {
    this.socket.close();
  }
}

class TcpEndpoint implements Endpoint {
  private readonly socket: TcpSocket;

  constructor(socket: TcpSocket) {
    this.socket = socket;
  }

  send(bytes: Uint8Array, at: number, n: number): number {
    return this.socket.send(bytes, at, n, 0);
  }
  receive(bytes: Uint8Array, at: number, n: number): number {
    return this.socket.receive(bytes, at, n);
  }
  connectResult(): number {
    const readiness = this.socket.readiness();
    if ((readiness & (Readiness.ERR | Readiness.HUP)) !== 0) {
      return -Math.abs(this.socket.takeError()) || -EAGAIN;
    }
    return (readiness & Readiness.OUT) === 0 ? 0 : 1;
  }
  senderChanged(): boolean {
    return false;
  }
  sender(): string {
    return "";
  }
  close(): void {
    this.socket.close();
  }
}

export class StackTransport implements Transport {
  readonly name: string;
  readonly stack: Stack;
  private readonly iface: Interface;
  private readonly wakeFds = new Int32Array(1);
  private readonly onClose: () => void;

  constructor(name: string, stack: Stack, iface: Interface, onClose: () => void) {
    this.name = name;
    this.stack = stack;
    this.iface = iface;
    this.onClose = onClose;
  }

  turn(): void {
    this.stack.poll(monotonicUs());
  }

  /** Devices without a descriptor are polled. */
  wait(timeoutUs: number): void {
    const { stack, wakeFds } = this;
    const { device } = this.iface;
    if (device.wakeFd < 0 || stack.isBusy) return;
    const us = Math.min(timeoutUs, stack.nextDeadlineUs() - monotonicUs());
    if (us <= 0 || device.prepareSleep?.() === false) return;
    wakeFds[0] = device.wakeFd;
    pollFds(wakeFds, 1, us);
  }

  async udpServer(o: SocketOptions): Promise<Endpoint> {
    const socket = this.udpSocket(o);
    const { ifIndex } = o.multicast;
    const port = o.port;
    if (!o.address.isMulticast) {
      checked(socket.bind(o.address, port), "bind", o, NOT_OURS);
      return new UdpEndpoint(socket, this.iface, null, 0, 0);
    }
    checked(socket.bind(o.address, port), "bind", o, NOT_OURS);
    checked(socket.joinGroup(o.address, ifIndex), "join", o, "give --mc-if the interface");
    return new UdpEndpoint(socket, this.iface, o.replyToSender ? null : o.address, 0, ifIndex);
  }

  async udpClient(o: SocketOptions): Promise<Endpoint> {
    const socket = this.udpSocket(o);
    const { ifIndex } = o.multicast;
    checked(socket.bind(o.address.isV4 ? ANY4 : ANY6, o.localPort), "bind", o, NOT_OURS);
    if (o.address.isMulticast) {
      checked(socket.joinGroup(o.address, ifIndex), "join", o, "give --mc-if the interface");
    } else {
      checked(socket.connect(o.address, o.port, ifIndex), "connect", o, NO_WAY);
    }
    return new UdpEndpoint(socket, this.iface, o.address, o.port, ifIndex);
  }

  async tcpServer(o: SocketOptions): Promise<Listener> {
    const socket = this.tcpSocket(o);
    checked(socket.bind(o.address, o.port), "bind", o, NOT_OURS);
    checked(socket.listen(BACKLOG), "listen", o, NOT_OURS);
    return {
      accept: () => {
        const accepted = socket.accept();
        if (accepted === null) return null;
        accepted.set("TCP_NODELAY", o.noDelay ? 1 : 0);
        return new TcpEndpoint(accepted);
      },
      close: () => socket.close(),
    };
  }

  async tcpClient(o: SocketOptions): Promise<Endpoint> {
    const socket = this.tcpSocket(o);
    if (o.localPort !== 0) {
      checked(socket.bind(o.address.isV4 ? ANY4 : ANY6, o.localPort), "bind", o, NOT_OURS);
    }
    const result = socket.connect(o.address, o.port, o.multicast.ifIndex);
    if (result !== -EINPROGRESS) checked(result, "connect", o, NO_WAY);
    return new TcpEndpoint(socket);
  }

  get isReady(): boolean {
    return this.iface.device.isUp;
  }

  close(): void {
    this.stack.close();
    this.onClose();
  }

  private udpSocket(o: SocketOptions): UdpSocket {
    const socket = this.stack.udpSocket(o.address.isV4 ? Family.INET : Family.INET6);
    if (o.bufferBytes > 0) {
      socket.set("SO_SNDBUF", o.bufferBytes);
      socket.set("SO_RCVBUF", o.bufferBytes);
    }
    socket.endpoint.multicastTtl = o.multicast.ttl;
    socket.endpoint.multicastLoop = o.multicast.loop;
    socket.endpoint.multicastIf = o.multicast.ifIndex;
    return socket;
  }

  private tcpSocket(o: SocketOptions): TcpSocket {
    const socket = this.stack.tcpSocket(o.address.isV4 ? Family.INET : Family.INET6)!;
    if (o.bufferBytes > 0) {
      socket.set("SO_SNDBUF", o.bufferBytes);
      socket.set("SO_RCVBUF", o.bufferBytes);
    }
    socket.set("TCP_NODELAY", o.noDelay ? 1 : 0);
    return socket;
  }
}

function checked(result: number, syscall: string, o: SocketOptions, hint: string): void {
  if (result >= 0) return;
  throw new NetError(result, { syscall, address: `${o.address}`, port: o.port, hint });
}
