/** The socket of `millrace/net`: a stream over a connection of the stack, or over a `net.Socket`. */
import kernelNet, { type AddressInfo, type LookupFunction, type TcpNetConnectOpts } from "node:net";
import { Duplex } from "node:stream";
import { clearTimeout, nextTick, setTimeout } from "../base/timers.js";
import type { TcpConnection } from "../socket/tcp-connection.js";
import { addressOf, forConnect, stackSide } from "./accelerator.js";
import { type Address, type Attempt, inTurn, tryInTurn } from "./attempts.js";
import { resolveAll, useEnvironment } from "./lookup.js";
import { nodeError, portOf } from "./node-error.js";
import { Carrier, note } from "./verdict.js";

const { isIP } = kernelNet;

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

/** Who carries a socket. */
export type Connection = kernelNet.Socket | TcpConnection;
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

/** What `connect` is given, in one form. Throws `RangeError` ERR_SOCKET_BAD_PORT. */
export function connectArguments(args: unknown[]): {
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
