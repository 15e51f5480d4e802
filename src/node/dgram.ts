/**
 * `millrace/dgram`: `dgram` without any private interface of Node's. A socket is one of the stack, one
 * of the kernel, or one of each; decided as for preloaded programs (docs/node.md).
 */
import kernelDgram, { type RemoteInfo, type SocketType } from "node:dgram";
import { EventEmitter, once } from "node:events";
import type { AddressInfo, LookupFunction } from "node:net";
import { EADDRNOTAVAIL, EBADF, ECANCELED, EINVAL, ENETUNREACH } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { nextTick } from "../base/timers.js";
import type { GroupOptions, UdpChannel } from "../socket/udp-channel.js";
import { addressOf, forBind, forDatagram, stackSide } from "./accelerator.js";
import { bytesOf, type Data, hopsOf, rangeOf } from "./datagram-arguments.js";
import { resolveHost, useEnvironment } from "./lookup.js";
import { nodeError, portOf } from "./node-error.js";
import { Carrier, note } from "./verdict.js";

export interface SocketOptions {
  readonly type: SocketType;
  readonly reuseAddr?: boolean;
  readonly ipv6Only?: boolean;
  readonly recvBufferSize?: number;
  readonly sendBufferSize?: number;
  readonly lookup?: LookupFunction;
  readonly signal?: AbortSignal;
}

export interface BindOptions {
  readonly port?: number;
  readonly address?: string;
}

type Sent = (error: Error | null, bytes: number) => void;
type OnMessage = (data: Buffer, from: RemoteInfo) => void;

export class Socket extends EventEmitter {
  readonly type: SocketType;
  private readonly options: SocketOptions;
  private kernel: kernelDgram.Socket | null = null;
  private stack: UdpChannel | null = null;
  private binding: Promise<void> | null = null;
  private isClosed = false;
  private peer: { readonly address: string; readonly port: number } | null = null;
  /** The kernel's socket has the peer. */
  private isKernelPeer = false;
  /** An interface of the kernel's was chosen for groups. */
  private areGroupsKernels = false;
  private connecting = false;
  private isReferenced = true;

  constructor(options: SocketOptions) {
    super();
    this.type = options.type;
    this.options = options;
    const abort = (): void => {
      if (!this.isClosed) this.close();
    };
    const { signal } = options;
    if (signal?.aborted) nextTick(abort);
    else if (signal !== undefined) {
      signal.addEventListener("abort", abort, { once: true });
      // Signals may outlive many sockets.
      this.once("close", () => signal.removeEventListener("abort", abort));
    }
  }

  /**
   * Calls listeners, or a callback, outside of the promises here: what they throw is an uncaught
   * exception, as it is Node's, and nothing here ends with it.
   */
  private tell(call: () => void): void {
    nextTick(() => {
      if (!this.isClosed) call();
    });
  }

  private fail(error: unknown): void {
    this.tell(() => this.emit("error", error));
  }

  bind(port?: number | BindOptions, address?: string | (() => void), done?: () => void): this {
    useEnvironment();
    this.mustRun();
    if (this.binding !== null) {
      throw nodeError("ERR_SOCKET_ALREADY_BOUND", "Socket is already bound");
    }
    const callback = [port, address, done].find((a) => typeof a === "function");
    if (callback !== undefined) this.once("listening", callback as () => void);
    const given = typeof port === "object" ? port : { port: Number(port ?? 0) };
    const at = (typeof address === "string" ? address : undefined) ?? given.address;
    this.bound(given.port ?? 0, at).catch((error: Error) => this.fail(error));
    return this;
  }

  private bound(port = 0, address?: string): Promise<void> {
    this.binding ??= this.bindTo(address ?? (this.type === "udp4" ? "0.0.0.0" : "::"), port);
    return this.binding;
  }

  private async bindTo(host: string, port: number): Promise<void> {
    useEnvironment();
    const address = await this.resolve(host);
    const verdict = forBind("udp_receiver", addressOf(address)!.address, port);
    note(this, "udp bind", `${address} port ${port}`, verdict);
    const { reuseAddr = false, ipv6Only = false } = this.options;
    if (verdict.by !== Carrier.MILLRACE) {
      const kernel = kernelDgram.createSocket({ type: this.type, reuseAddr, ipv6Only });
      kernel.bind(port, address);
      await once(kernel, "listening");
      kernel.on("message", (data, from) => {
        if (this.peer === null || this.isKernelPeer || isSame(this.peer, from)) {
          this.emit("message", data, from);
        }
      });
      kernel.on("error", (error) => this.emit("error", error));
      this.kernel = kernel;
    }
    if (verdict.by !== Carrier.KERNEL) {
      this.stack = await stackSide()!.host.udp({
        address,
        port: this.kernel?.address().port ?? port,
        reuseAddress: reuseAddr,
        ...(this.type === "udp6" ? { ipv6Only } : {}),
      });
      void this.receive(this.stack);
    }
    if (!this.isReferenced) this.unref();
    const { recvBufferSize, sendBufferSize } = this.options;
    if (recvBufferSize !== undefined) this.setRecvBufferSize(recvBufferSize);
    if (sendBufferSize !== undefined) this.setSendBufferSize(sendBufferSize);
    if (this.isClosed) this.closeBoth();
    else this.tell(() => this.emit("listening"));
  }

  private async receive(channel: UdpChannel): Promise<void> {
    for (;;) {
      try {
        const message = await channel.receive();
        if (message === null) return;
        const { data, address, port } = message;
        const family = this.type === "udp4" ? "IPv4" : "IPv6";
        const from = { address, family, port, size: data.length };
        this.tell(() => this.emit("message", data, from));
      } catch (error) {
        this.fail(error);
      }
    }
  }

  private resolve(host: string): Promise<string> {
    const family = this.type === "udp4" ? 4 : 6;
    return new Promise((resolve, reject) => {
      resolveHost(host, family, this.options.lookup, (error, address) => {
        if (error === null) resolve(address);
        else reject(error);
      });
    });
  }

  /** `send(data, port, address, done)`, with offset and length after the data, or to the peer. */
  send(data: Data | readonly Data[], ...rest: unknown[]): void {
    this.mustRun();
    const done = typeof rest.at(-1) === "function" ? (rest.pop() as Sent) : null;
    let bytes = bytesOf(data);
    const hasRange = this.peer === null ? rest.length > 2 : rest.length > 1;
    if (hasRange) {
      const [at, n] = rest.splice(0, 2) as [number, number];
      bytes = rangeOf(bytes, at, n);
    }
    const [to, host] = rest as [unknown, string?];
    const port = this.peer === null ? portOf(to, 1) : undefined;
    this.sendTo(bytes, port, host).then(
      (n) => {
        if (done !== null) nextTick(done, null, n);
      },
      (error: Error) => {
        if (done !== null) nextTick(done, error);
        else this.fail(error);
      },
    );
  }

  private async sendTo(bytes: Uint8Array, port?: number, host?: string): Promise<number> {
    await this.bound();
    const own = this.type === "udp4" ? "127.0.0.1" : "::1";
    const to = port === undefined ? this.peer : { port, address: await this.resolve(host || own) };
    if (to === null) throw notConnected();
    if (this.isClosed) throw new NetError(ECANCELED, { syscall: "send" });
    if (this.stack !== null && this.goesByStack(to.address, to.port)) {
      await this.stack.send(bytes, to);
      return bytes.length;
    }
    const { kernel } = this;
    if (kernel === null) throw new NetError(ENETUNREACH, { syscall: "send", ...to });
    return new Promise((resolve, reject) => {
      const sent: Sent = (error, n) => {
        if (error === null) resolve(n);
        else reject(error);
      };
      if (this.isKernelPeer) kernel.send(bytes, sent);
      else kernel.send(bytes, to.port, to.address, sent);
    });
  }

  private goesByStack(address: string, port: number): boolean {
    if (this.kernel === null) return true;
    if (this.areGroupsKernels && addressOf(address)?.address.isMulticast === true) return false;
    const { socket } = this.stack!;
    const from = { address: socket.localAddress, port: socket.localPort };
    const verdict = forDatagram("udp_sender", addressOf(address)!.address, port, from);
    return verdict.by === Carrier.MILLRACE;
  }

  /** Sends there from now on when no address is given; only its datagrams are received. */
  connect(port: number, address?: string | (() => void), done?: () => void): void {
    portOf(port, 1);
    this.mustRun();
    if (this.connecting || this.peer !== null) {
      throw nodeError("ERR_SOCKET_DGRAM_IS_CONNECTED", "Already connected");
    }
    const callback = typeof address === "function" ? address : done;
    if (callback !== undefined) this.once("connect", callback);
    this.connecting = true;
    const host = typeof address === "string" ? address : this.type === "udp4" ? "127.0.0.1" : "::1";
    this.connectTo(port, host).catch((error: Error) => {
      this.connecting = false;
      this.fail(error);
    });
  }

  private async connectTo(port: number, host: string): Promise<void> {
    await this.bound();
    const address = await this.resolve(host);
    if (this.stack !== null && this.goesByStack(address, port)) this.stack.connect(address, port);
    else if (this.kernel !== null) {
      this.kernel.connect(port, address);
      await once(this.kernel, "connect");
      this.isKernelPeer = true;
    }
    this.connecting = false;
    this.peer = { address, port };
    this.tell(() => this.emit("connect"));
  }

  /** Forgets the peer. Throws ERR_SOCKET_DGRAM_NOT_CONNECTED. */
  disconnect(): void {
    if (this.peer === null) throw notConnected();
    this.peer = null;
    if (this.isKernelPeer) this.kernel?.disconnect();
    else this.stack?.disconnect();
    this.isKernelPeer = false;
  }

  remoteAddress(): AddressInfo {
    if (this.peer === null) throw notConnected();
    const { address, port } = this.peer;
    return { address, family: this.type === "udp4" ? "IPv4" : "IPv6", port };
  }

  private mustRun(): void {
    if (this.isClosed) throw nodeError("ERR_SOCKET_DGRAM_NOT_RUNNING", "Not running");
  }

  /** Options need a bound socket, as Node's do. */
  private mustBeBound(syscall: string): void {
    this.mustRun();
    if (this.kernel === null && this.stack === null) throw new NetError(EBADF, { syscall });
  }

  address(): AddressInfo {
    this.mustRun();
    const address = this.kernel?.address() ?? this.stack?.address();
    if (address === undefined) throw new NetError(EBADF, { syscall: "getsockname" });
    return address;
  }

  setBroadcast(on: boolean): void {
    this.mustBeBound("setBroadcast");
    this.stack?.socket.set("SO_BROADCAST", on ? 1 : 0);
    this.kernel?.setBroadcast(on);
  }

  setTTL(ttl: number): number {
    this.mustBeBound("setTTL");
    hopsOf(ttl, 1, "setTTL");
    this.stack?.socket.set("IP_TTL", ttl);
    return this.kernel?.setTTL(ttl) ?? ttl;
  }

  setMulticastTTL(ttl: number): number {
    this.mustBeBound("setMulticastTTL");
    hopsOf(ttl, 0, "setMulticastTTL");
    this.stack?.socket.set("IP_MULTICAST_TTL", ttl);
    return this.kernel?.setMulticastTTL(ttl) ?? ttl;
  }

  setMulticastLoopback(on: boolean): boolean {
    this.mustBeBound("setMulticastLoopback");
    this.stack?.socket.set("IP_MULTICAST_LOOP", on ? 1 : 0);
    this.kernel?.setMulticastLoopback(on);
    return on;
  }

  /** The interface that groups' datagrams go out of, by an address of it. Throws `NetError`. */
  setMulticastInterface(interfaceAddress: string): void {
    const syscall = "setMulticastInterface";
    this.mustBeBound(syscall);
    const parsed = addressOf(interfaceAddress);
    if (parsed === null) throw new NetError(EINVAL, { syscall });
    const iface = this.stack === null ? null : stackSide()!.stack.ip.interfaceOf(parsed.address);
    this.areGroupsKernels = iface === null;
    if (iface !== null) {
      const { endpoint } = this.stack!.socket;
      endpoint.multicastIf = iface.index;
      endpoint.optionsChanged();
    } else if (this.kernel === null) throw new NetError(EADDRNOTAVAIL, { syscall });
    else this.kernel.setMulticastInterface(interfaceAddress);
  }

  addMembership(group: string, interfaceAddress?: string): void {
    this.inGroup(
      (stack, at) => stack.join(group, at),
      (kernel) => kernel.addMembership(group, interfaceAddress),
      interfaceAddress,
    );
  }

  dropMembership(group: string, interfaceAddress?: string): void {
    this.inGroup(
      (stack, at) => stack.leave(group, at),
      (kernel) => kernel.dropMembership(group, interfaceAddress),
      interfaceAddress,
    );
  }

  addSourceSpecificMembership(source: string, group: string, interfaceAddress?: string): void {
    this.inGroup(
      (stack, at) => stack.join(group, { ...at, sources: [source] }),
      (kernel) => kernel.addSourceSpecificMembership(source, group, interfaceAddress),
      interfaceAddress,
    );
  }

  dropSourceSpecificMembership(source: string, group: string, interfaceAddress?: string): void {
    this.inGroup(
      (stack, at) => stack.leave(group, { ...at, sources: [source] }),
      (kernel) => kernel.dropSourceSpecificMembership(source, group, interfaceAddress),
      interfaceAddress,
    );
  }

  /** On Millrace's interface if there is one; on the kernel's too, where it has a route. */
  private inGroup(
    byStack: (stack: UdpChannel, at: GroupOptions) => void,
    byKernel: (kernel: kernelDgram.Socket) => void,
    interfaceAddress: string | undefined,
  ): void {
    this.mustRun();
    const isStacks = this.stack !== null && stackSide()?.device != null;
    if (isStacks) byStack(this.stack!, interfaceAddress === undefined ? {} : { interfaceAddress });
    try {
      if (this.kernel !== null) byKernel(this.kernel);
    } catch (error) {
      if (!isStacks) throw error;
    }
  }

  getRecvBufferSize(): number {
    this.mustBeBound("getsockopt");
    return this.kernel?.getRecvBufferSize() ?? this.option("SO_RCVBUF");
  }

  getSendBufferSize(): number {
    this.mustBeBound("getsockopt");
    return this.kernel?.getSendBufferSize() ?? this.option("SO_SNDBUF");
  }

  setRecvBufferSize(bytes: number): void {
    this.mustBeBound("setsockopt");
    this.stack?.socket.set("SO_RCVBUF", bytes);
    this.kernel?.setRecvBufferSize(bytes);
  }

  setSendBufferSize(bytes: number): void {
    this.mustBeBound("setsockopt");
    this.stack?.socket.set("SO_SNDBUF", bytes);
    this.kernel?.setSendBufferSize(bytes);
  }

  private option(name: "SO_RCVBUF" | "SO_SNDBUF"): number {
    const { socket } = this.stack!;
    socket.get(name);
    return socket.optionOut;
  }

  close(done?: () => void): this {
    this.mustRun();
    if (done !== undefined) this.once("close", done);
    this.isClosed = true;
    this.closeBoth();
    nextTick(() => this.emit("close"));
    return this;
  }

  private closeBoth(): void {
    this.kernel?.close();
    this.stack?.close();
    this.kernel = null;
    this.stack = null;
  }

  ref(): this {
    this.isReferenced = true;
    this.kernel?.ref();
    this.stack?.ref();
    return this;
  }

  unref(): this {
    this.isReferenced = false;
    this.kernel?.unref();
    this.stack?.unref();
    return this;
  }
}

const notConnected = (): Error => nodeError("ERR_SOCKET_DGRAM_NOT_CONNECTED", "Not connected");

const isSame = (peer: { address: string; port: number }, from: RemoteInfo): boolean =>
  peer.port === from.port && peer.address === from.address;

export function createSocket(options: SocketType | SocketOptions, onMessage?: OnMessage): Socket {
  const socket = new Socket(typeof options === "string" ? { type: options } : options);
  if (onMessage !== undefined) socket.on("message", onMessage);
  return socket;
}

export default { Socket, createSocket };
