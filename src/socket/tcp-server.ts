/**
 * A listening TCP socket as an `AsyncIterable` of connections.
 *
 * Connections wait in the socket's own accept queue until they are asked for, so a slow server
 * pushes back on its peers. Several loops may iterate over one server; each connection goes to one.
 */
import { EAGAIN, EBADF } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { type Endpoint, endpointOf, throwIfAborted } from "./endpoint.js";
import type { Host } from "./host.js";
import type { SocketUser } from "./host-news.js";
import { TcpConnection, type TcpConnectionOptions } from "./tcp-connection.js";
import type { TcpSocket } from "./tcp-socket.js";
import { Waiters } from "./waiters.js";

export class TcpServer implements AsyncIterable<TcpConnection>, SocketUser {
  /** The polled socket under the server; its options may be set. */
  readonly socket: TcpSocket;
  private readonly host: Host;
  private readonly options: TcpConnectionOptions;
  private readonly local: Endpoint;
  private readonly waiters = new Waiters<TcpConnection | null>();

  /** For `Host.listen`: takes a listening socket. */
  constructor(host: Host, socket: TcpSocket, options: TcpConnectionOptions) {
    this.host = host;
    this.socket = socket;
    this.options = options;
    this.local = endpointOf(socket.localAddress, socket.localPort);
    host.attach(socket, this);
  }

  /** The address and port that it listens on. */
  address(): Endpoint {
    return this.local;
  }

  /** The next connection; null once the server is closed. Rejects with `NetError`. */
  async accept(options: { signal?: AbortSignal } = {}): Promise<TcpConnection | null> {
    throwIfAborted(options.signal, "accept");
    if (this.socket.isClosed) return null;
    const connection = this.waiters.size === 0 ? this.take() : undefined;
    return connection ?? this.waiters.wait(options.signal, "accept");
  }

  /** Connections until the server is closed. Leaving the loop does not close it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TcpConnection, void, void> {
    for (;;) {
      const connection = await this.accept();
      if (connection === null) return;
      yield connection;
    }
  }

  /** Stops listening; connections that nobody accepted are reset, others go on. */
  close(): void {
    if (this.socket.isClosed) return;
    this.host.enter();
    this.host.detach(this.socket);
    this.socket.close();
    this.host.kick();
    this.waiters.settleAll(null);
  }

  /** The process stays alive while the server listens: the default. */
  ref(): this {
    this.host.setRef(this.socket, true);
    return this;
  }

  /** The process may end while the server listens. */
  unref(): this {
    this.host.setRef(this.socket, false);
    return this;
  }

  /** Called by the host when the socket has changed. */
  onReady(): void {
    this.waiters.settle(() => this.take());
  }

  /** Called when the host closes. */
  onHostClosed(): void {
    this.close();
  }

  private take(): TcpConnection | undefined {
    const socket = this.socket.accept();
    if (socket !== null) return new TcpConnection(this.host, socket, this.options);
    const errno = this.socket.acceptErrno;
    if (errno !== -EAGAIN && errno !== -EBADF) {
      this.waiters.failFirst(new NetError(errno, { syscall: "accept", ...this.local }));
    }
    return undefined;
  }
}
