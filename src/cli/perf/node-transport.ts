/**
 * Messages over Node.js's own `dgram` and `net`, as their users use them, for comparison: `--nic
 * node`. The work is called from their events.
 */
import { createSocket, type Socket as DgramSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { EAGAIN } from "../../base/errno.js";
import { NetError } from "../../base/errors.js";
import type { Endpoint, Listener, SocketOptions, Transport } from "./transport.js";

/** Datagrams that may wait for the kernel. */
const MOST_UNSENT = 256;

class NodeUdpEndpoint implements Endpoint {
  private readonly socket: DgramSocket;
  private readonly peer: SocketOptions | null;
  private readonly queue: [data: Uint8Array, from: RemoteInfo][] = [];
  private unsent = 0;
  private from: RemoteInfo | null = null;
  private last = "";
  private readonly sent = (): void => {
    this.unsent--;
  };

  constructor(socket: DgramSocket, peer: SocketOptions | null, work: () => void) {
    this.socket = socket;
    this.peer = peer;
    socket.on("message", (data, from) => {
      this.queue.push([data, from]);
      work();
    });
    socket.on("error", () => {}); // refused: the reply does not come
  }

  send(bytes: Uint8Array, at: number, n: number): number {
    if (this.unsent >= MOST_UNSENT) return -EAGAIN;
    this.unsent++;
    const copy = bytes.slice(at, at + n); // Node keeps it until it is sent
    const { peer, from } = this;
    if (peer === null) this.socket.send(copy, from!.port, from!.address, this.sent);
    else if (peer.address.isMulticast) {
      this.socket.send(copy, peer.port, `${peer.address}`, this.sent);
    } else this.socket.send(copy, this.sent);
    return n;
  }

  receive(bytes: Uint8Array, at: number, n: number): number {
    const first = this.queue.shift();
    if (first === undefined) return -EAGAIN;
    const data = first[0].subarray(0, n);
    this.from = first[1];
    bytes.set(data, at);
    return data.length;
  }

  connectResult(): number {
    return 1;
  }
  senderChanged(): boolean {
    const sender = this.sender();
    const changed = sender !== this.last;
    this.last = sender;
    return changed;
  }
  sender(): string {
    return `${this.from?.address} ${this.from?.port}`;
  }
  close(): void {
    this.socket.close();
  }
}

class NodeTcpEndpoint implements Endpoint {
  private readonly socket: Socket;
  private readonly queue: Uint8Array[] = [];
  private result = 0;
  private isFull = false;
  private isEnded = false;

  constructor(socket: Socket, isConnected: boolean, work: () => void) {
    this.socket = socket;
    if (isConnected) this.result = 1;
    socket.on("connect", () => {
      this.result = 1;
      work();
    });
    socket.on("data", (data) => {
      this.queue.push(data);
      work();
    });
    socket.on("drain", () => {
      this.isFull = false;
      work();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.result = error.errno ?? -1;
    });
    socket.on("close", () => {
      this.isEnded = true;
      work();
    });
  }

  send(bytes: Uint8Array, at: number, n: number): number {
    if (this.isFull) return -EAGAIN;
    this.isFull = !this.socket.write(bytes.slice(at, at + n));
    return n;
  }

  receive(bytes: Uint8Array, at: number, n: number): number {
    const first = this.queue[0];
    if (first === undefined) return this.isEnded ? 0 : -EAGAIN;
    const data = first.subarray(0, n);
    bytes.set(data, at);
    if (data.length === first.length) this.queue.shift();
    else this.queue[0] = first.subarray(n);
    return data.length;
  }

  connectResult(): number {
    return this.result;
  }
  senderChanged(): boolean {
    return false;
  }
  sender(): string {
    return "";
  }
  close(): void {
    this.socket.end();
    this.socket.unref();
  }
}

export class NodeTransport implements Transport {
  readonly name = "Node.js sockets";
  readonly isReady = true;
  private work: () => void = () => {};
  private readonly doWork = (): void => this.work();

  turn(): void {}
  wait(): void {}

  onEvent(work: () => void): void {
    this.work = work;
  }

  async udpServer(o: SocketOptions): Promise<Endpoint> {
    const socket = await this.udpSocket(o, o.port, `${o.address}`);
    if (o.address.isMulticast) socket.addMembership(`${o.address}`);
    return new NodeUdpEndpoint(socket, null, this.doWork);
  }

  async udpClient(o: SocketOptions): Promise<Endpoint> {
    const socket = await this.udpSocket(o, o.localPort, undefined);
    if (o.address.isMulticast) {
      socket.setMulticastTTL(o.multicast.ttl);
      socket.setMulticastLoopback(o.multicast.loop);
      socket.addMembership(`${o.address}`);
    } else {
      socket.connect(o.port, `${o.address}`);
      await once(socket, "connect");
    }
    return new NodeUdpEndpoint(socket, o, this.doWork);
  }

  async tcpServer(o: SocketOptions): Promise<Listener> {
    const accepted: Endpoint[] = [];
    const server = createServer({ noDelay: o.noDelay }, (socket) => {
      accepted.push(new NodeTcpEndpoint(socket, true, this.doWork));
      this.work();
    });
    server.listen(o.port, `${o.address}`);
    await started(server, o);
    return { accept: () => accepted.shift() ?? null, close: () => void server.close() };
  }

  async tcpClient(o: SocketOptions): Promise<Endpoint> {
    const local = o.localPort === 0 ? {} : { localPort: o.localPort };
    const socket = connect({ port: o.port, host: `${o.address}`, noDelay: o.noDelay, ...local });
    return new NodeTcpEndpoint(socket, false, this.doWork);
  }

  close(): void {}

  private async udpSocket(o: SocketOptions, port: number, address: string | undefined) {
    const socket = createSocket({ type: o.address.isV4 ? "udp4" : "udp6", reuseAddr: true });
    if (address === undefined) socket.bind(port);
    else socket.bind(port, address);
    await started(socket, o);
    if (o.bufferBytes > 0) {
      socket.setRecvBufferSize(o.bufferBytes);
      socket.setSendBufferSize(o.bufferBytes);
    }
    return socket;
  }
}

/** Waits until a socket listens. */
async function started(emitter: NodeJS.EventEmitter, o: SocketOptions): Promise<void> {
  try {
    await once(emitter, "listening");
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).errno ?? 0;
    const where = { address: `${o.address}`, port: o.port };
    throw new NetError(errno, { syscall: "bind", ...where, hint: "see: ss -lnp", cause });
  }
}
