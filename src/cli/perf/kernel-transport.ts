/** Messages over kernel sockets, polled through the addon: `--nic kernel`. */
import { ECONNREFUSED } from "../../base/errno.js";
import { NetError } from "../../base/errors.js";
import { ANY4, ANY6, IpAddress } from "../../base/ip-address.js";
import { pollFds } from "../../sys/fd.js";
import { KernelSocket, nameOf } from "../../sys/kernel-socket.js";
import type { Endpoint, Listener, SocketOptions, Transport } from "./transport.js";

const BACKLOG = 128;
const NAME_WORDS = 6;
const PORT_WORD = 4;

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
  private readonly last = new Int32Array(NAME_WORDS);
  /** Where replies go besides the port; null: to the sender. */
  private readonly group: Int32Array | null;

  constructor(socket: KernelSocket, group: Int32Array | null, forget: (s: KernelSocket) => void) {
    super(socket, false, forget);
    this.group = group;
  }

  override send(bytes: Uint8Array, at: number, n: number): number {
    const { socket, group } = this;
    if (group === null) return socket.sendTo(bytes, at, n, socket.from);
    group[PORT_WORD] = socket.from[PORT_WORD]!;
    return socket.sendTo(bytes, at, n, group);
  }
  override receive(bytes: Uint8Array, at: number, n: number): number {
    return this.socket.receiveFrom(bytes, at, n);
  }
  override senderChanged(): boolean {
    const { last } = this;
    const { from } = this.socket;
    let changed = false;
    for (let i = 0; i < NAME_WORDS; i++) {
      if (last[i] === from[i]) continue;
      changed = true;
      last[i] = from[i]!;
    }
    return changed;
  }
  override sender(): string {
    const [w0, w1, w2, w3, port] = this.socket.from;
    return `${new IpAddress(w0, w1, w2, w3)} ${port}`;
  }
}

/** A client of a group: replies come from anywhere. */
class KernelGroupClient extends KernelManyEndpoint {
  private readonly to: Int32Array;

  constructor(socket: KernelSocket, to: Int32Array, forget: (s: KernelSocket) => void) {
    super(socket, null, forget);
    this.to = to;
  }
  override send(bytes: Uint8Array, at: number, n: number): number {
    return this.socket.sendTo(bytes, at, n, this.to);
  }
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
    socket.bind(o.address, o.port);
    if (!o.address.isMulticast) return new KernelManyEndpoint(socket, null, this.forget);
    socket.setMulticast(o.multicast);
    socket.join(o.address, o.multicast.ifIndex);
    const group = o.replyToSender ? null : nameOf(o.address, 0, o.multicast.ifIndex);
    return new KernelManyEndpoint(socket, group, this.forget);
  }

  async udpClient(o: SocketOptions): Promise<Endpoint> {
    const socket = this.open(o, false);
    if (o.address.isMulticast) {
      socket.setMulticast(o.multicast);
      socket.bind(o.address.isV4 ? ANY4 : ANY6, o.localPort);
      socket.join(o.address, o.multicast.ifIndex);
      const to = nameOf(o.address, o.port, o.multicast.ifIndex);
      return new KernelGroupClient(socket, to, this.forget);
    }
    if (o.localPort !== 0) socket.bind(o.address.isV4 ? ANY4 : ANY6, o.localPort);
    this.connect(socket, o);
    return new KernelEndpoint(socket, false, this.forget);
  }

  async tcpServer(o: SocketOptions): Promise<Listener> {
    const socket = this.open(o, true);
    socket.bind(o.address, o.port);
    socket.listen(BACKLOG);
    return {
      accept: () => {
        const accepted = socket.accept();
        if (accepted === null) return null;
        accepted.setNoDelay(o.noDelay);
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
    if (o.localPort !== 0) socket.bind(o.address.isV4 ? ANY4 : ANY6, o.localPort);
    socket.setNoDelay(o.noDelay);
    this.connect(socket, o);
    return new KernelEndpoint(socket, true, this.forget);
  }

  close(): void {
    for (const socket of this.sockets) socket.close();
    this.sockets.length = 0;
  }

  private open(o: SocketOptions, isStream: boolean): KernelSocket {
    const socket = KernelSocket.open(o.address.isV4, isStream);
    if (o.bufferBytes > 0) socket.setBuffers(o.bufferBytes);
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
