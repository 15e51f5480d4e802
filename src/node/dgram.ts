/**
 * `millrace/dgram`: `dgram` without any private interface of Node's. A socket is one of the stack, one
 * of the kernel, or one of each; decided as for preloaded programs (docs/node.md).
 */
import kernelDgram, { type RemoteInfo, type SocketType } from "node:dgram";
import { EventEmitter, once } from "node:events";
import type { AddressInfo, LookupFunction } from "node:net";
import { EBADF, EDESTADDRREQ, ENETUNREACH, ENOTCONN } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { nextTick } from "../base/timers.js";
import type { UdpChannel } from "../socket/udp-channel.js";
import { addressOf, forBind, forDatagram, stackSide } from "./accelerator.js";
import { resolveHost, useEnvironment } from "./lookup.js";
import { Carrier, note } from "./verdict.js";

export interface SocketOptions {
  readonly type: SocketType;
  readonly reuseAddr?: boolean;
  readonly ipv6Only?: boolean;
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
  private isReferenced = true;

  constructor(options: SocketOptions) {
    super();
    this.type = options.type;
    this.options = options;
    options.signal?.addEventListener("abort", () => this.close(), { once: true });
  }

  bind(port?: number | BindOptions, address?: string | (() => void), done?: () => void): this {
    useEnvironment();
    const callback = [port, address, done].find((a) => typeof a === "function");
    if (callback !== undefined) this.once("listening", callback as () => void);
    const given = typeof port === "object" ? port : { port: Number(port ?? 0) };
    const at = (typeof address === "string" ? address : undefined) ?? given.address;
    this.bound(given.port ?? 0, at).catch((error: Error) => this.emit("error", error));
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
      kernel.on("message", (data, from) => this.emit("message", data, from));
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
    if (this.isClosed) this.closeBoth();
    else this.emit("listening");
  }

  private async receive(channel: UdpChannel): Promise<void> {
    for (;;) {
      try {
        const message = await channel.receive();
        if (message === null) return;
        const { data, address, port } = message;
        const family = this.type === "udp4" ? "IPv4" : "IPv6";
        this.emit("message", data, { address, port, family, size: data.length });
      } catch (error) {
        this.emit("error", error);
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
  send(data: string | Uint8Array | readonly (string | Uint8Array)[], ...rest: unknown[]): void {
    const done = typeof rest.at(-1) === "function" ? (rest.pop() as Sent) : null;
    let bytes = bytesOf(data);
    const hasRange = this.peer === null ? rest.length > 2 : rest.length > 1;
    if (hasRange) {
      const [at, n] = rest.splice(0, 2) as [number, number];
      bytes = bytes.subarray(at, at + n);
    }
    const [port, host] = rest as [number?, string?];
    this.sendTo(bytes, port, host).then(
      (n) => done?.(null, n),
      (error: Error) => {
        if (done !== null) done(error, 0);
        else this.emit("error", error);
      },
    );
  }

  private async sendTo(bytes: Uint8Array, port?: number, host?: string): Promise<number> {
    await this.bound();
    const own = this.type === "udp4" ? "127.0.0.1" : "::1";
    const to = port === undefined ? this.peer : { port, address: await this.resolve(host || own) };
    if (to === null) throw new NetError(EDESTADDRREQ, { syscall: "send" });
    if (this.stack !== null && this.goesByStack(to.address, to.port)) {
      await this.stack.send(bytes, to);
      return bytes.length;
    }
    const { kernel } = this;
    if (kernel === null) throw new NetError(ENETUNREACH, { syscall: "send", ...to });
    return new Promise((resolve, reject) => {
      kernel.send(bytes, to.port, to.address, (error, n) => {
        if (error === null) resolve(n);
        else reject(error);
      });
    });
  }

  private goesByStack(address: string, port: number): boolean {
    if (this.kernel === null) return true;
    const { socket } = this.stack!;
    const from = { address: socket.localAddress, port: socket.localPort };
    const verdict = forDatagram("udp_sender", addressOf(address)!.address, port, from);
    return verdict.by === Carrier.MILLRACE;
  }

  /** Sends there from now on when no address is given; only its datagrams are received. */
  connect(port: number, address?: string | (() => void), done?: () => void): void {
    const callback = typeof address === "function" ? address : done;
    if (callback !== undefined) this.once("connect", callback);
    const host = typeof address === "string" ? address : this.type === "udp4" ? "127.0.0.1" : "::1";
    this.connectTo(port, host).catch((error: Error) => this.emit("error", error));
  }

  private async connectTo(port: number, host: string): Promise<void> {
    await this.bound();
    const address = await this.resolve(host);
    if (this.stack !== null && this.goesByStack(address, port)) this.stack.connect(address, port);
    this.peer = { address, port };
    const isPeer: OnMessage = (data, from) => {
      if (from.port === port && from.address === address) this.emit("message", data, from);
    };
    this.kernel?.removeAllListeners("message").on("message", isPeer);
    this.emit("connect");
  }

  remoteAddress(): AddressInfo {
    if (this.peer === null) throw new NetError(ENOTCONN, { syscall: "getpeername" });
    return { ...this.peer, family: this.type === "udp4" ? "IPv4" : "IPv6" };
  }

  address(): AddressInfo {
    const address = this.kernel?.address() ?? this.stack?.address();
    if (address === undefined) throw new NetError(EBADF, { syscall: "getsockname" });
    return address;
  }

  setBroadcast(on: boolean): void {
    this.stack?.socket.set("SO_BROADCAST", on ? 1 : 0);
    this.kernel?.setBroadcast(on);
  }

  setTTL(ttl: number): number {
    this.stack?.socket.set("IP_TTL", ttl);
    return this.kernel?.setTTL(ttl) ?? ttl;
  }

  setMulticastTTL(ttl: number): number {
    this.stack?.socket.set("IP_MULTICAST_TTL", ttl);
    return this.kernel?.setMulticastTTL(ttl) ?? ttl;
  }

  setMulticastLoopback(on: boolean): boolean {
    this.stack?.socket.set("IP_MULTICAST_LOOP", on ? 1 : 0);
    this.kernel?.setMulticastLoopback(on);
    return on;
  }

  /** Joins on Millrace's interface if there is one; on the kernel's too, where it has a route. */
  addMembership(group: string, interfaceAddress?: string): void {
    const side = stackSide();
    const isStacks = this.stack !== null && side?.device != null;
    if (isStacks) {
      this.stack!.join(group, interfaceAddress === undefined ? {} : { interfaceAddress });
    }
    try {
      this.kernel?.addMembership(group, interfaceAddress);
    } catch (error) {
      if (!isStacks) throw error;
    }
  }

  dropMembership(group: string, interfaceAddress?: string): void {
    const isStacks = this.stack !== null && stackSide()?.device != null;
    if (isStacks) {
      this.stack!.leave(group, interfaceAddress === undefined ? {} : { interfaceAddress });
    }
    try {
      this.kernel?.dropMembership(group, interfaceAddress);
    } catch (error) {
      if (!isStacks) throw error;
    }
  }

  close(done?: () => void): this {
    if (done !== undefined) this.once("close", done);
    if (this.isClosed) throw new NetError(EBADF, { syscall: "close" });
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

function bytesOf(data: string | Uint8Array | readonly (string | Uint8Array)[]): Uint8Array {
  if (typeof data === "string") return Buffer.from(data);
  if (data instanceof Uint8Array) return data;
  return Buffer.concat((data as readonly (string | Uint8Array)[]).map((d) => bytesOf(d)));
}

export function createSocket(options: SocketType | SocketOptions, onMessage?: OnMessage): Socket {
  const socket = new Socket(typeof options === "string" ? { type: options } : options);
  if (onMessage !== undefined) socket.on("message", onMessage);
  return socket;
}

export default { Socket, createSocket };
