/**
 * `millrace/net`: `net` without any private interface of Node's, for programs that import it by name.
 * Sockets are streams over a connection of the stack, or over a `net.Socket` where the kernel carries
 * it; decided as for preloaded programs (docs/node.md), which get the better `net`: this one has a
 * stream more.
 */
import { EventEmitter } from "node:events";
import kernelNet, {
  type AddressInfo,
  type ListenOptions,
  type LookupFunction,
  type TcpNetConnectOpts,
} from "node:net";
import { Duplex } from "node:stream";
import { clearTimeout, nextTick, setTimeout } from "../base/timers.js";
import type { TcpConnection } from "../socket/tcp-connection.js";
import type { TcpServer } from "../socket/tcp-server.js";
import { addressOf, forBind, forConnect, stackSide } from "./accelerator.js";
import { type Address, type Attempt, blockedBy, inTurn, tryInTurn } from "./attempts.js";
import { resolveAll, resolveHost, useEnvironment } from "./lookup.js";
import { nodeError, portOf } from "./node-error.js";
import { Carrier, note } from "./verdict.js";

export const {
  isIP,
  isIPv4,
  isIPv6,
  BlockList,
  SocketAddress,
  getDefaultAutoSelectFamily,
  setDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout,
} = kernelNet;

export interface SocketOptions {
  readonly allowHalfOpen?: boolean;
  readonly highWaterMark?: number;
  readonly signal?: AbortSignal;
}

export type ConnectOptions = SocketOptions &
  Pick<TcpNetConnectOpts, "port" | "host" | "family" | "localAddress" | "localPort"> & {
    readonly noDelay?: boolean;
    readonly keepAlive?: boolean;
    readonly lookup?: LookupFunction;
    /** Tries one address of a name after the other, as Node's option of this name. */
    readonly autoSelectFamily?: boolean;
    readonly autoSelectFamilyAttemptTimeout?: number;
    readonly blockList?: kernelNet.BlockList;
  };

type Connection = kernelNet.Socket | TcpConnection;
type Written = (error?: Error | null) => void;

const BEFORE = "Socket closed before the connection was established";

export class Socket extends Duplex {
  connecting = false;
  bytesRead = 0;
  bytesWritten = 0;
  readonly autoSelectFamilyAttemptedAddresses: string[] = [];
  private connection: Connection | null = null;
  private wantsData = false;
  /** Milliseconds without data after which "timeout" is told; 0 or undefined: never. */
  timeout: number | undefined;
  /** Runs while there is no connection to count for. */
  private idle: NodeJS.Timeout | null = null;
  /** Of what was written before there was a connection. */
  private unsent: Written | null = null;
  /** What was asked for before there was a connection. */
  private readonly later: ((connection: Connection) => void)[] = [];

  constructor(options: SocketOptions = {}) {
    const { allowHalfOpen = false, highWaterMark, signal } = options;
    super({
      allowHalfOpen,
      emitClose: false,
      ...(highWaterMark === undefined ? {} : { highWaterMark }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** For a server: a socket over a connection that has come. */
  static over(connection: Connection, options: SocketOptions): Socket {
    const socket = new Socket(options);
    socket.carry(connection);
    return socket;
  }

  connect(options: ConnectOptions, connected?: () => void): this;
  connect(port: number, connected?: () => void): this;
  connect(port: number, host: string, connected?: () => void): this;
  connect(...args: unknown[]): this {
    const { options, callback } = connectArguments(args);
    if (callback !== null) this.once("connect", callback);
    this.connecting = true;
    const host = options.host ?? "localhost";
    const { family = 0, localAddress, localPort, lookup } = options;
    if (localPort !== undefined) portOf(localPort, 0);
    if (localAddress !== undefined && isIP(localAddress) === 0) {
      throw nodeError("ERR_INVALID_IP_ADDRESS", `Invalid IP address: ${localAddress}`, TypeError);
    }
    const selects = options.autoSelectFamily ?? kernelNet.getDefaultAutoSelectFamily();
    const all = selects && family === 0 && localAddress === undefined;
    resolveAll(host, all ? { family, all } : { family }, lookup, (error, addresses) => {
      if (error !== null) this.emit("lookup", error, undefined, undefined, host);
      for (const { address, family: of } of addresses) {
        if (this.destroyed) return;
        if (host !== address) this.emit("lookup", null, address, of, host);
      }
      if (this.destroyed) return;
      if (error !== null) this.destroy(error);
      else this.connectToFirst(all ? inTurn(addresses) : addresses.slice(0, 1), options);
    });
    return this;
  }

  private connectToFirst(addresses: readonly Address[], options: ConnectOptions): void {
    const { port, blockList, autoSelectFamilyAttemptTimeout } = options;
    const attempts = tryInTurn<Connection>({
      addresses,
      port,
      blockList,
      timeoutMs:
        autoSelectFamilyAttemptTimeout ?? kernelNet.getDefaultAutoSelectFamilyAttemptTimeout(),
      open: (address, ended) => this.open(address, options, ended),
      tell: (event, { address, family }, error) => {
        if (event === "connectionAttempt") {
          this.autoSelectFamilyAttemptedAddresses.push(`${address}:${port}`);
        }
        this.emit(event, address, port, family, ...(error === undefined ? [] : [error]));
      },
      ended: (error, connection) => {
        if (connection === null) this.destroy(error ?? undefined);
        else this.connected(connection, options);
      },
    });
    this.once("close", () => attempts.cancel());
  }

  /** One attempt, by whoever carries it. */
  private open(
    address: string,
    options: ConnectOptions,
    ended: (error: Error | null, connection: Connection | null) => void,
  ): Attempt {
    const { port, localAddress, localPort } = options;
    const verdict = forConnect(addressOf(address)!.address, port, null);
    note(this, "tcp connect", `${address} port ${port}`, verdict);
    const to = {
      port,
      allowHalfOpen: true,
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(localPort === undefined ? {} : { localPort }),
    };
    if (verdict.by !== Carrier.KERNEL) {
      const giveUp = new AbortController();
      stackSide()!
        .host.connect({ address, ...to, signal: giveUp.signal })
        .then(
          // Outside of the promise: what listeners throw is an uncaught exception, as it is Node's.
          (connection) => nextTick(ended, null, connection),
          (error: Error) => {
            if (!giveUp.signal.aborted) nextTick(ended, error, null);
          },
        );
      return { cancel: () => giveUp.abort() };
    }
    const kernel = kernelNet.connect({ host: address, ...to });
    const failed = (error: Error): void => ended(error, null);
    kernel.once("error", failed);
    kernel.once("connect", () => {
      kernel.off("error", failed);
      ended(null, kernel);
    });
    return { cancel: () => kernel.destroy() };
  }

  private connected(connection: Connection, options: ConnectOptions): void {
    if (this.destroyed) {
      connection.destroy();
      return;
    }
    if (options.noDelay === true) connection.setNoDelay(true);
    if (options.keepAlive === true) connection.setKeepAlive(true);
    this.connecting = false;
    this.carry(connection);
    this.emit("connect");
    this.emit("ready");
  }

  private carry(connection: Connection): void {
    this.connection = connection;
    connection.on("data", (data: Buffer) => {
      this.bytesRead += data.length;
      if (!this.push(data)) connection.pause();
    });
    let isEnded = false;
    connection.on("end", () => {
      isEnded = true;
      this.push(null);
    });
    connection.on("error", (error: Error) => void this.destroy(error));
    connection.on("close", () => {
      if (!isEnded) this.destroy(); // else when everything has been read and written
    });
    connection.on("timeout", () => this.emit("timeout"));
    if (!this.wantsData) connection.pause();
    this.stopIdle();
    this.unsent = null;
    for (const call of this.later.splice(0)) call(connection);
  }

  /** Now, or when there is a connection. */
  private use(call: (connection: Connection) => void): this {
    if (this.connection !== null) call(this.connection);
    else this.later.push(call);
    return this;
  }

  override _read(): void {
    this.wantsData = true;
    this.connection?.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: Written): void {
    if (this.connection === null) this.unsent = done;
    this.use((connection) => {
      this.bytesWritten += chunk.length;
      connection.write(chunk, done);
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.use((connection) => connection.end(() => done()));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.connecting = false;
    this.stopIdle();
    const { connection, unsent } = this;
    this.unsent = null;
    const closed = (): void => {
      unsent?.(nodeError("ERR_SOCKET_CLOSED_BEFORE_CONNECTION", BEFORE));
      done(error);
      nextTick(() => this.emit("close", error !== null));
    };
    if (connection === null || connection.closed) closed();
    else {
      connection.once("close", closed);
      connection.destroy();
    }
  }

  get pending(): boolean {
    return this.connection === null;
  }
  get readyState(): kernelNet.SocketReadyState {
    if (this.connecting) return "opening";
    if (this.readable) return this.writable ? "open" : "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }
  /** Bytes that wait to be written. */
  get bufferSize(): number | undefined {
    return this.connection === null && !this.connecting ? undefined : this.writableLength;
  }
  get localFamily(): string | undefined {
    const { localAddress } = this;
    return localAddress === undefined ? undefined : `IPv${isIP(localAddress)}`;
  }
  get remoteAddress(): string | undefined {
    return this.connection?.remoteAddress;
  }
  get remotePort(): number | undefined {
    return this.connection?.remotePort;
  }
  get remoteFamily(): string | undefined {
    return this.connection?.remoteFamily;
  }
  get localAddress(): string | undefined {
    return this.connection?.localAddress;
  }
  get localPort(): number | undefined {
    return this.connection?.localPort;
  }

  address(): AddressInfo | object {
    return this.connection?.address() ?? {};
  }
  setNoDelay(on = true): this {
    return this.use((c) => void c.setNoDelay(on));
  }
  setKeepAlive(on = false, initialDelayMs = 0): this {
    return this.use((c) => void c.setKeepAlive(on, initialDelayMs));
  }
  setTimeout(ms: number, callback?: () => void): this {
    if (typeof ms !== "number" || !(ms >= 0)) {
      const message = `The "msecs" argument must be a number from 0 on. Received ${String(ms)}`;
      throw nodeError("ERR_OUT_OF_RANGE", message, RangeError);
    }
    this.timeout = ms;
    this.stopIdle();
    if (callback !== undefined) {
      if (ms === 0) this.off("timeout", callback);
      else this.once("timeout", callback);
    }
    if (this.connection === null && ms > 0 && !this.destroyed) {
      this.idle = setTimeout(() => this.emit("timeout"), ms).unref();
    }
    return this.use((c) => void c.setTimeout(ms));
  }
  private stopIdle(): void {
    if (this.idle !== null) clearTimeout(this.idle);
    this.idle = null;
  }
  ref(): this {
    return this.use((c) => void c.ref());
  }
  unref(): this {
    return this.use((c) => void c.unref());
  }
  resetAndDestroy(): this {
    if (this.pending && !this.connecting) {
      return this.destroy(nodeError("ERR_SOCKET_CLOSED", "Socket is closed"));
    }
    this.connection?.resetAndDestroy();
    return this.destroy();
  }
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }
}

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

function connectArguments(args: unknown[]): {
  options: ConnectOptions;
  callback: (() => void) | null;
} {
  useEnvironment();
  const last = args.at(-1);
  const callback = typeof last === "function" ? (last as () => void) : null;
  const [first, second] = args;
  if (typeof first === "object" && first !== null) {
    const options = first as ConnectOptions;
    return { options: { ...options, port: portOf(options.port, 0) }, callback };
  }
  const host = typeof second === "string" ? { host: second } : {};
  return { options: { port: portOf(first, 0), ...host }, callback };
}

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

export function createServer(onConnection?: (socket: Socket) => void): Server;
export function createServer(
  options: ServerOptions,
  onConnection?: (socket: Socket) => void,
): Server;
export function createServer(...args: unknown[]): Server {
  const [first, second] = args;
  return typeof first === "function"
    ? new Server({}, first as (socket: Socket) => void)
    : new Server((first ?? {}) as ServerOptions, second as ((socket: Socket) => void) | undefined);
}

export function connect(options: ConnectOptions, connected?: () => void): Socket;
export function connect(port: number, host?: string, connected?: () => void): Socket;
export function connect(port: number, connected?: () => void): Socket;
export function connect(...args: unknown[]): Socket {
  const { options, callback } = connectArguments(args);
  return new Socket(options).connect(options, callback ?? undefined);
}
export const createConnection = connect;

export default {
  Socket,
  Server,
  createServer,
  connect,
  createConnection,
  isIP,
  isIPv4,
  isIPv6,
  BlockList,
  SocketAddress,
  getDefaultAutoSelectFamily,
  setDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout,
};
