/** Messages over kernel sockets, polled through the addon: `--nic kernel`. */
import { EACCES, EADDRINUSE, EADDRNOTAVAIL, ECONNREFUSED, ENODEV } from "../../base/errno.js";
import { NetError } from "../../base/errors.js";
import { ANY4, ANY6, type IpAddress } from "../../base/ip-address.js";
import { check, failure, type Hints } from "../../sys/check.js";
import { pollFds } from "../../sys/fd.js";
import { KernelOption, KernelSocket, SocketType } from "../../sys/kernel-socket.js";
import { SocketName, socketAddress } from "../../sys/socket-address.js";
import type {
  Endpoint,
  Listener,
  MulticastOptions,
  SocketOptions,
  Transport,
} from "./transport.js";

const BACKLOG = 128;

const BIND_HINTS: Hints = {
  [EADDRINUSE]: "another program has this port; choose another, or end that program (ss -lnp)",
  [EADDRNOTAVAIL]: "this machine has no such address; ip address shows those it has",
  [EACCES]: "ports below 1024 need CAP_NET_BIND_SERVICE",
};
const JOIN_HINTS: Hints = {
  [ENODEV]: "no route leads to the group; name the interface, or: ip route add 224.0.0.0/4 dev …",
};

class KernelEndpoint implements Endpoint {
  readonly socket: KernelSocket;
  private readonly isStream: boolean;
  private readonly forget: (socket: KernelSocket) => void;

  constructor(socket: KernelSocket, isStream: boolean, forget: (s: KernelSocket) => void) {
    this.socket = socket;
    this.isStream = isStream;
    this.forget = forget;
  }

  send(bytes: Uint8Array, at: number, n: number): number {
    return this.socket.send(bytes, at, n);
  }
  receive(bytes: Uint8Array, at: number, n: number): number {
    return this.socket.receive(bytes, at, n);
  }
  connectResult(): number {
    return this.isStream ? this.socket.connectResult() : 1;
  }
  senderChanged(): boolean {
    return false;
  }
  sender(): string {
    return "";
  }
  close(): void {
    this.forget(this.socket);
    this.socket.close();
  }
}

/** A UDP socket that hears many senders, or a group, and answers each. */
class KernelManyEndpoint extends KernelEndpoint {
  private readonly last = new SocketName();
  /** Where replies go besides the port; null: to the sender. */
  private readonly group: Uint8Array | null;

  constructor(socket: KernelSocket, group: Uint8Array | null, forget: (s: KernelSocket) => void) {
    super(socket, false, forget);
    this.group = group;
  }

  override send(bytes: Uint8Array, at: number, n: number): number {
    const { socket, group } = this;
    if (group === null) return socket.sendTo(bytes, at, n, socket.from.bytes);
    socket.from.copyPort(group);
    return socket.sendTo(bytes, at, n, group);
  }
  override receive(bytes: Uint8Array, at: number, n: number): number {
    return this.socket.receiveFrom(bytes, at, n);
  }
  override senderChanged(): boolean {
    return this.last.become(this.socket.from);
  }
  override sender(): string {
    const { address, port } = this.socket.from;
    return `${address} ${port}`;
  }
}

/** A client of a group: replies come from anywhere. */
class KernelGroupClient extends KernelManyEndpoint {
  private readonly to: Uint8Array;

  constructor(socket: KernelSocket, to: Uint8Array, forget: (s: KernelSocket) => void) {
    super(socket, null, forget);
    this.to = to;
  }
  override send(bytes: Uint8Array, at: number, n: number): number {
    return this.socket.sendTo(bytes, at, n, this.to);
  }
}

type Option = Parameters<KernelSocket["set"]>[0];

function setOption(socket: KernelSocket, option: Option, value: number): void {
  check(socket.set(option, value), "setsockopt");
}

function bind(socket: KernelSocket, address: IpAddress, port: number): void {
  setOption(socket, KernelOption.REUSE_ADDRESS, 1);
  check(socket.bind(address, port), "bind", BIND_HINTS);
}

function setMulticast(socket: KernelSocket, o: MulticastOptions): void {
  const isV4 = socket.isV4;
  setOption(socket, isV4 ? KernelOption.MULTICAST_TTL4 : KernelOption.MULTICAST_HOPS6, o.ttl);
  const loop = isV4 ? KernelOption.MULTICAST_LOOP4 : KernelOption.MULTICAST_LOOP6;
  setOption(socket, loop, o.loop ? 1 : 0);
  if (o.ifIndex === 0) return;
  check(socket.setMulticastInterface(o.ifIndex), "setsockopt IP_MULTICAST_IF");
}

function join(socket: KernelSocket, group: IpAddress, ifIndex: number): void {
  check(socket.joinGroup(group, ifIndex), "setsockopt MCAST_JOIN_GROUP", JOIN_HINTS);
}

export class KernelTransport implements Transport {
  readonly name = "kernel sockets";
  readonly isReady = true;
  private readonly sockets: KernelSocket[] = [];
  private fds: Int32Array = new Int32Array();

  turn(): void {}

  wait(timeoutUs: number): void {
    pollFds(this.fds, this.fds.length, timeoutUs);
  }

  async udpServer(o: SocketOptions): Promise<Endpoint> {
    const socket = this.open(o, false);
    bind(socket, o.address, o.port);
    if (!o.address.isMulticast) return new KernelManyEndpoint(socket, null, this.forget);
    setMulticast(socket, o.multicast);
    join(socket, o.address, o.multicast.ifIndex);
    const group = o.replyToSender ? null : socketAddress(o.address, 0, o.multicast.ifIndex);
    return new KernelManyEndpoint(socket, group, this.forget);
  }

  async udpClient(o: SocketOptions): Promise<Endpoint> {
    const socket = this.open(o, false);
    if (o.address.isMulticast) {
      setMulticast(socket, o.multicast);
      bind(socket, o.address.isV4 ? ANY4 : ANY6, o.localPort);
      join(socket, o.address, o.multicast.ifIndex);
      const to = socketAddress(o.address, o.port, o.multicast.ifIndex);
      return new KernelGroupClient(socket, to, this.forget);
    }
    if (o.localPort !== 0) bind(socket, o.address.isV4 ? ANY4 : ANY6, o.localPort);
    this.connect(socket, o);
    return new KernelEndpoint(socket, false, this.forget);
  }

  async tcpServer(o: SocketOptions): Promise<Listener> {
    const socket = this.open(o, true);
    bind(socket, o.address, o.port);
    check(socket.listen(BACKLOG), "listen", BIND_HINTS);
    return {
      accept: () => {
        const accepted = socket.accept();
        if (accepted === null) return null;
        if (typeof accepted === "number") throw failure(accepted, "accept4");
        setOption(accepted, KernelOption.NO_DELAY, o.noDelay ? 1 : 0);
        this.remember(accepted);
        return new KernelEndpoint(accepted, true, this.forget);
      },
      close: () => {
        this.forget(socket);
        socket.close();
      },
    };
  }

  async tcpClient(o: SocketOptions): Promise<Endpoint> {
    const socket = this.open(o, true);
    if (o.localPort !== 0) bind(socket, o.address.isV4 ? ANY4 : ANY6, o.localPort);
    setOption(socket, KernelOption.NO_DELAY, o.noDelay ? 1 : 0);
    this.connect(socket, o);
    return new KernelEndpoint(socket, true, this.forget);
  }

  close(): void {
    for (const socket of this.sockets) socket.close();
    this.sockets.length = 0;
  }

  private open(o: SocketOptions, isStream: boolean): KernelSocket {
    const type = isStream ? SocketType.STREAM : SocketType.DATAGRAM;
    const socket = KernelSocket.open(o.address.isV4, type);
    if (typeof socket === "number") throw failure(socket, "socket");
    if (o.bufferBytes > 0) {
      setOption(socket, KernelOption.SEND_BUFFER, o.bufferBytes);
      setOption(socket, KernelOption.RECEIVE_BUFFER, o.bufferBytes);
    }
    this.remember(socket);
    return socket;
  }

  private connect(socket: KernelSocket, o: SocketOptions): void {
    const result = socket.connect(o.address, o.port, o.multicast.ifIndex);
    if (result >= 0 || result === -ECONNREFUSED) return;
    const where = { address: `${o.address}`, port: o.port };
    const hint = "ip route get says how this machine would reach it";
    throw new NetError(result, { syscall: "connect", ...where, hint });
  }

  private remember(socket: KernelSocket): void {
    this.sockets.push(socket);
    this.fds = Int32Array.from(this.sockets, (s) => s.fd);
  }

  private readonly forget = (socket: KernelSocket): void => {
    const i = this.sockets.indexOf(socket);
    if (i >= 0) this.sockets.splice(i, 1);
    this.fds = Int32Array.from(this.sockets, (s) => s.fd);
  };
}
