/**
 * A TCP connection as a Node.js stream: a `Duplex` with what `net.Socket` has beyond that, so that
 * `node:http` and others take it.
 *
 * Reading is pulled: nothing is read ahead of the stream's own buffer, so a slow reader closes the
 * window. A write is done when the send queue has taken it all. `end()` sends FIN; `destroy()`
 * closes; `resetAndDestroy()` sends RST.
 */
import { Duplex } from "node:stream";
import { EAGAIN, ECONNRESET } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { clearTimeout, setTimeout } from "../base/timers.js";
import { Readiness } from "../tcp/readiness.js";
import type { TcpInfo } from "../tcp/tcp-info.js";
import { type Endpoint, endpointOf } from "./endpoint.js";
import type { Host } from "./host.js";
import type { SocketUser } from "./host-news.js";
import { MsgFlags, type OptionName, Shutdown } from "./linux-options.js";
import type { TcpSocket } from "./tcp-socket.js";

const READ_BYTES = 65_536;

export interface TcpConnectionOptions {
  /** Whether the writable side stays open after the peer has ended its side. False by default. */
  readonly allowHalfOpen?: boolean;
  /** Bytes that the stream buffers in each direction before it pushes back. */
  readonly highWaterMark?: number;
}

interface Chunk {
  readonly chunk: Uint8Array;
}

export class TcpConnection extends Duplex implements SocketUser {
  /** The polled socket under the stream; its options may be set. Do not read from or write to it. */
  readonly socket: TcpSocket;
  /** Bytes that the stream has taken from the socket. */
  bytesRead = 0;
  /** Bytes that the socket's send queue has taken. */
  bytesWritten = 0;
  private readonly host: Host;
  private readonly remote: Endpoint;
  private readonly local: Endpoint;
  private wantsData = false;
  private chunks: Uint8Array[] = [];
  /** Bytes of the first chunk that the socket has taken. */
  private takenBytes = 0;
  private whenWritten: ((error?: Error | null) => void) | null = null;
  private isReset = false;
  private idleTimer: NodeJS.Timeout | null = null;
  private idleMs = 0;

  /** For `Host.connect` and `TcpServer`: takes a connected socket. */
  constructor(host: Host, socket: TcpSocket, options: TcpConnectionOptions = {}) {
    super({
      allowHalfOpen: options.allowHalfOpen ?? false,
      decodeStrings: true,
      ...(options.highWaterMark === undefined ? {} : { highWaterMark: options.highWaterMark }),
    });
    this.host = host;
    this.socket = socket;
    this.remote = endpointOf(socket.remoteAddress, socket.remotePort);
    this.local = endpointOf(socket.localAddress, socket.localPort);
    host.attach(socket, this);
  }

  get remoteAddress(): string {
    return this.remote.address;
  }
  get remotePort(): number {
    return this.remote.port;
  }
  get remoteFamily(): string {
    return this.remote.family;
  }
  get localAddress(): string {
    return this.local.address;
  }
  get localPort(): number {
    return this.local.port;
  }
  get localFamily(): string {
    return this.local.family;
  }
  /** False: a connection exists only once it is established. For those who ask `net.Socket`s. */
  readonly connecting = false;
  readonly pending = false;

  /** The local address and port. */
  address(): Endpoint {
    return this.local;
  }

  /** Sends small segments at once instead of collecting them (TCP_NODELAY). */
  setNoDelay(on = true): this {
    return this.setSocketOption("TCP_NODELAY", on ? 1 : 0);
  }

  /** Probes an idle peer (SO_KEEPALIVE), for the first time after `initialDelayMs`. */
  setKeepAlive(on = false, initialDelayMs = 0): this {
    if (on && initialDelayMs > 0) {
      this.setSocketOption("TCP_KEEPIDLE", Math.max(1, Math.round(initialDelayMs / 1_000)));
    }
    return this.setSocketOption("SO_KEEPALIVE", on ? 1 : 0);
  }

  private setSocketOption(name: OptionName, value: number): this {
    if (this.socket.isClosed) return this;
    const result = this.socket.set(name, value);
    if (result < 0) throw new NetError(result, { syscall: "setsockopt", hint: name });
    this.host.kick();
    return this;
  }

  /** The connection's figures (TCP_INFO); null once closed. */
  info(): TcpInfo | null {
    this.host.enter();
    return this.socket.info();
  }

  /** Emits `timeout` after this much time without data either way; 0 switches it off. */
  setTimeout(ms: number, callback?: () => void): this {
    this.idleMs = ms;
    if (this.idleTimer !== null) clearTimeout(this.idleTimer);
    this.idleTimer = null;
    if (ms > 0) {
      this.idleTimer = setTimeout(() => this.emit("timeout"), ms);
      this.idleTimer.unref();
      if (callback !== undefined) this.once("timeout", callback);
    } else if (callback !== undefined) {
      this.off("timeout", callback);
    }
    return this;
  }

  get timeout(): number {
    return this.idleMs;
  }

  /** The process stays alive while the connection is open: the default. */
  ref(): this {
    this.host.setRef(this.socket, true);
    return this;
  }

  /** The process may end while the connection is open. */
  unref(): this {
    this.host.setRef(this.socket, false);
    return this;
  }

  /** Ends the connection with RST. */
  resetAndDestroy(): this {
    this.isReset = true;
    return this.destroy();
  }

  /** Destroys the connection once everything written is on its way. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  override _read(): void {
    this.wantsData = true;
    this.pump();
  }

  /** Moves bytes from the socket to the stream for as long as both go along. */
  private pump(): void {
    if (this.destroyed) return;
    this.host.enter();
    while (this.wantsData) {
      const n = this.socket.readableBytes;
      const data = Buffer.allocUnsafe(n === 0 ? 1 : Math.min(n, READ_BYTES));
      const got = this.socket.receive(data, 0, data.length);
      if (got === -EAGAIN) return;
      this.host.kick(); // the window may have opened
      if (got < 0) {
        this.fail(got, "read");
        return;
      }
      this.touchIdle();
      if (got === 0) {
        this.wantsData = false;
        this.push(null);
        return;
      }
      this.bytesRead += got;
      this.wantsData = this.push(got === data.length ? data : data.subarray(0, got));
    }
  }

  override _write(
    chunk: Uint8Array,
    _: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.writeAll([chunk], done);
  }

  override _writev(chunks: Chunk[], done: (error?: Error | null) => void): void {
    this.writeAll(
      chunks.map((c) => c.chunk),
      done,
    );
  }

  private writeAll(chunks: Uint8Array[], done: (error?: Error | null) => void): void {
    // An empty last chunk would leave the one before it waiting for more to come.
    this.chunks = chunks.filter((chunk) => chunk.length > 0);
    this.takenBytes = 0;
    this.whenWritten = done;
    this.drain();
  }

  /** Gives the socket as much of the pending chunks as it takes. */
  private drain(): void {
    const done = this.whenWritten;
    if (done === null) return;
    this.host.enter();
    while (this.chunks.length > 0) {
      const chunk = this.chunks[0]!;
      const n = chunk.length - this.takenBytes;
      const more = this.chunks.length > 1 ? MsgFlags.MORE : 0;
      const taken = this.socket.send(chunk, this.takenBytes, n, more);
      if (taken === -EAGAIN) break;
      if (taken < 0) {
        this.whenWritten = null;
        done(this.errorOf(taken, "write"));
        return;
      }
      this.touchIdle();
      this.bytesWritten += taken;
      this.takenBytes += taken;
      if (this.takenBytes < chunk.length) break;
      this.chunks.shift();
      this.takenBytes = 0;
    }
    this.host.kick();
    if (this.chunks.length > 0) return;
    this.whenWritten = null;
    done();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.host.enter();
    const result = this.socket.shutdown(Shutdown.WRITE);
    this.host.kick();
    // The peer may have reset the connection meanwhile: reading reports that.
    done(result < 0 && this.isReset ? this.errorOf(result, "shutdown") : null);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.idleTimer !== null) clearTimeout(this.idleTimer);
    this.idleTimer = null;
    this.host.enter();
    this.host.detach(this.socket);
    if (this.isReset) this.socket.abort();
    else this.socket.close();
    this.host.kick();
    const writing = this.whenWritten;
    this.whenWritten = null;
    writing?.(error ?? this.errorOf(-ECONNRESET, "write"));
    done(error);
  }

  /** Called by the host when the socket has changed. */
  onReady(bits: number): void {
    if (this.destroyed) return;
    // What came before an error is read before it: then reading reports it.
    if ((bits & Readiness.ERR) !== 0 && this.socket.readableBytes === 0) {
      const errno = this.socket.takeError();
      if (errno !== 0) {
        this.fail(-errno, "read");
        return;
      }
    }
    if ((bits & (Readiness.OUT | Readiness.HUP)) !== 0) this.drain();
    if ((bits & (Readiness.IN | Readiness.RDHUP | Readiness.HUP)) !== 0) this.pump();
  }

  /** Called when the host closes. */
  onHostClosed(): void {
    this.resetAndDestroy();
  }

  private fail(errno: number, syscall: string): void {
    this.destroy(this.errorOf(errno, syscall));
  }

  private errorOf(errno: number, syscall: string): NetError {
    return new NetError(errno, { syscall, address: this.remote.address, port: this.remote.port });
  }

  private touchIdle(): void {
    this.idleTimer?.refresh();
  }
}
