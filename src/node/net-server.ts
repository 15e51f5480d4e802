/** The server of `millrace/net`: a listener of the stack, of the kernel, or one of each. */
import { EventEmitter } from "node:events";
import kernelNet, { type AddressInfo, type ListenOptions } from "node:net";
import { nextTick } from "../base/timers.js";
import type { TcpServer } from "../socket/tcp-server.js";
import { addressOf, forBind, stackSide } from "./accelerator.js";
import { blockedBy } from "./attempts.js";
import { resolveHost, useEnvironment } from "./lookup.js";
import { type Connection, Socket, type SocketOptions } from "./net-socket.js";
import { nodeError, portOf } from "./node-error.js";
import { Carrier, note } from "./verdict.js";

export interface ServerOptions extends SocketOptions {
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  /** Connections from there are closed at once. */
  readonly blockList?: kernelNet.BlockList;
}

export class Server extends EventEmitter {
  maxConnections = Number.POSITIVE_INFINITY;
  private readonly options: ServerOptions;
  private kernel: kernelNet.Server | null = null;
  private stack: TcpServer | null = null;
  private readonly sockets = new Set<Socket>();
  private isReferenced = true;
  /** It listens, or is about to. */
  private asked = false;

  constructor(options: ServerOptions = {}, onConnection?: (socket: Socket) => void) {
    super();
    this.options = options;
    if (onConnection !== undefined) this.on("connection", onConnection);
  }

  get listening(): boolean {
    return this.kernel !== null || this.stack !== null;
  }

  listen(options: ListenOptions, listening?: () => void): this;
  listen(port?: number, host?: string, backlog?: number, listening?: () => void): this;
  listen(port?: number, host?: string, listening?: () => void): this;
  listen(port?: number, listening?: () => void): this;
  listen(...args: unknown[]): this {
    const { options, callback } = listenArguments(args);
    if (this.asked) {
      const message = "Listen method has been called more than once without closing.";
      throw nodeError("ERR_SERVER_ALREADY_LISTEN", message);
    }
    options.port = portOf(options.port ?? 0, 0);
    this.asked = true;
    if (callback !== null) this.once("listening", callback);
    if (options.host === undefined) {
      this.listenAt("::", options).catch((error: Error) => this.fail(error));
      return this;
    }
    resolveHost(options.host, 0, undefined, (error, address) => {
      if (error !== null) this.fail(error);
      else this.listenAt(address, options).catch((e: Error) => this.fail(e));
    });
    return this;
  }

  private fail(error: Error): void {
    this.asked = false;
    nextTick(() => this.emit("error", error));
  }

  private async listenAt(address: string, options: ListenOptions): Promise<void> {
    useEnvironment();
    const verdict = forBind("tcp_server", addressOf(address)!.address, options.port ?? 0);
    note(this, "tcp listen", `${address} port ${options.port ?? 0}`, verdict);
    let port = options.port ?? 0;
    if (verdict.by !== Carrier.MILLRACE) port = await this.listenByKernel(address, options);
    if (verdict.by !== Carrier.KERNEL) await this.listenByStack(address, port, options);
    if (!this.isReferenced) this.unref();
    if (!this.asked)
      this.stop(); // closed meanwhile
    else nextTick(() => this.emit("listening"));
  }

  private listenByKernel(address: string, options: ListenOptions): Promise<number> {
    const server = kernelNet.createServer({ allowHalfOpen: true }, (c) => this.accept(c));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ ...options, host: address }, () => {
        server.off("error", reject);
        server.on("error", (error) => this.emit("error", error));
        this.kernel = server;
        resolve((server.address() as AddressInfo).port);
      });
    });
  }

  private async listenByStack(address: string, port: number, options: ListenOptions) {
    const server = await stackSide()!.host.listen({
      address,
      port,
      allowHalfOpen: true,
      ...(options.backlog === undefined ? {} : { backlog: options.backlog }),
      ...(options.ipv6Only === undefined ? {} : { ipv6Only: options.ipv6Only }),
    });
    this.stack = server;
    void (async () => {
      for await (const connection of server) nextTick(() => this.accept(connection));
    })();
  }

  private accept(connection: Connection): void {
    if (this.sockets.size >= this.maxConnections) {
      this.drop(connection);
      return;
    }
    if (blockedBy(this.options.blockList, connection.remoteAddress ?? "") !== null) {
      this.drop(connection);
      return;
    }
    if (this.options.noDelay === true) connection.setNoDelay(true);
    if (this.options.keepAlive === true) connection.setKeepAlive(true);
    const socket = Socket.over(connection, this.options);
    this.sockets.add(socket);
    socket.once("close", () => {
      this.sockets.delete(socket);
      this.closeIfDrained();
    });
    this.emit("connection", socket);
  }

  private drop(connection: Connection): void {
    const { localAddress, localPort, localFamily } = connection;
    const { remoteAddress, remotePort, remoteFamily } = connection;
    const local = { localAddress, localPort, localFamily };
    connection.destroy();
    this.emit("drop", { ...local, remoteAddress, remotePort, remoteFamily });
  }

  address(): AddressInfo | null {
    return (this.kernel?.address() as AddressInfo | undefined) ?? this.stack?.address() ?? null;
  }

  getConnections(done: (error: Error | null, count: number) => void): this {
    nextTick(done, null, this.sockets.size);
    return this;
  }

  close(done?: (error?: Error) => void): this {
    const notRunning = this.asked ? undefined : serverNotRunning();
    if (done !== undefined) this.once("close", () => done(notRunning));
    this.asked = false;
    this.stop();
    this.closeIfDrained();
    return this;
  }

  private stop(): void {
    this.kernel?.close();
    this.stack?.close();
    this.kernel = null;
    this.stack = null;
  }

  private closeIfDrained(): void {
    if (this.asked || this.listening || this.sockets.size > 0) return;
    nextTick(() => this.emit("close"));
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

const serverNotRunning = (): Error => nodeError("ERR_SERVER_NOT_RUNNING", "Server is not running.");

function listenArguments(args: unknown[]): {
  options: ListenOptions;
  callback: (() => void) | null;
} {
  const last = args.at(-1);
  const callback = typeof last === "function" ? (last as () => void) : null;
  const [first, second, third] = args;
  if (typeof first === "object" && first !== null) {
    return { options: { ...(first as ListenOptions) }, callback };
  }
  const options: ListenOptions = { port: typeof first === "function" ? 0 : (first as number) };
  if (typeof second === "string") options.host = second;
  const backlog = typeof second === "number" ? second : third;
  if (typeof backlog === "number") options.backlog = backlog;
  return { options, callback };
}
