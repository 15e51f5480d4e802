/** A TCP connection of the stack, as the backend of a handle. */
import { AsyncResource } from "node:async_hooks";
import { EAGAIN, EBADF, EINPROGRESS, ENETDOWN, ENOBUFS } from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import { setImmediate } from "../base/timers.js";
import { Family, MsgFlags, Shutdown } from "../socket/linux-options.js";
import type { TcpSocket } from "../socket/tcp-socket.js";
import { Readiness } from "../tcp/readiness.js";
import { fillName } from "./names.js";
import type { NameOut, NativeRequest } from "./natives.js";
import { bufferOf, OWN_BYTES, roomAt, roomFor, roomTaken } from "./read-buffers.js";
import { isCalledBare, tell } from "./scope.js";
import type { StackSide } from "./stack-side.js";
import type { Backend, StreamHandle } from "./stream-handle.js";

/**
 * As libuv reads: 64 KiB a time. After so many, which are all that a turn brings over memif, the stack has
 * one: the peer hears of the room that there is, and goes on meanwhile.
 */
const READ_BYTES = 65_536;
const TURN_BYTES = 5 * READ_BYTES;
/** What the shortest read costs of a turn: an `onread` buffer may be of one byte. */
const LEAST_BYTES = 8_192;
/** So much that was written does not wait for the turn: the peer can work on it meanwhile. */
const FLUSH_BYTES = 65_536;
const INCOMING = Readiness.IN | Readiness.RDHUP | Readiness.HUP | Readiness.ERR;
const OUTGOING = Readiness.OUT | Readiness.HUP | Readiness.ERR;
/** libuv's settings for probes when Node gives none. */
const PROBE_INTERVAL_S = 1;
const PROBES = 10;

/** What native code reads, which copies it at once. */
const forNative = new Uint8Array(READ_BYTES);
let isNativeReading = false;

/** Where to connect to, and from. */
export interface Destination {
  readonly address: IpAddress;
  readonly port: number;
  readonly ifIndex: number;
  readonly is6: boolean;
  readonly request: NativeRequest;
  readonly local: IpAddress | null;
  readonly localPort: number;
}

interface Write {
  readonly chunks: readonly Uint8Array[];
  /** The first chunk that is not done, and how much of it is. */
  i: number;
  at: number;
  leftBytes: number;
  done: (status: number) => void;
}

const nobody = (): void => {};

export class StackStream implements Backend {
  bytesRead = 0;
  bytesWritten = 0;
  queuedBytes = 0;
  private unflushedBytes = 0;
  readonly handle: StreamHandle;
  private readonly side: StackSide;
  private readonly socket: TcpSocket;
  private readonly writes: Write[] = [];
  private connecting: NativeRequest | null = null;
  private connectScope: AsyncResource | null = null;
  private isReading = false;
  /** In which iteration of the event loop the program was given something last. */
  private gaveIn = -1;
  private ending: ((status: number) => void) | null = null;
  private isEnding = false;
  private endStatus = 0;
  private isReferenced = true;
  private wasActive = true;

  constructor(handle: StreamHandle, side: StackSide, socket: TcpSocket) {
    this.handle = handle;
    this.side = side;
    this.socket = socket;
    side.host.attach(socket, this);
  }

  /** Starts a connection; a negated error number when that fails at once. */
  static connecting(handle: StreamHandle, side: StackSide, to: Destination): StackStream | number {
    const socket = side.stack.tcpSocket(to.is6 ? Family.INET6 : Family.INET);
    if (socket === null) return -ENOBUFS;
    let result = 0;
    if (to.local !== null) {
      socket.set("SO_REUSEADDR", 1); // libuv sets it for every bind
      if (to.localPort === 0) socket.set("IP_BIND_ADDRESS_NO_PORT", 1);
      result = socket.bind(to.local, to.localPort);
    }
    if (result >= 0) result = socket.connect(to.address, to.port, to.ifIndex);
    if (result < 0 && result !== -EINPROGRESS) {
      socket.close();
      return result;
    }
    const stream = new StackStream(handle, side, socket);
    stream.connecting = to.request;
    stream.connectScope = new AsyncResource("TCPCONNECTWRAP");
    side.host.kick();
    return stream;
  }

  // Reading

  readStart(): number {
    if (this.isReading) return 0;
    this.isReading = true;
    this.referenceChanged();
    this.side.host.tellAgain(this.socket);
    return 0;
  }

  readStop(): number {
    this.isReading = false;
    this.referenceChanged();
    return 0;
  }

  /** Hot path. Hands over what has arrived for as long as somebody wants it. */
  private pump(): void {
    const { socket } = this;
    for (let leftBytes = TURN_BYTES; this.isReading; ) {
      if (leftBytes <= 0) {
        this.side.host.tellAgain(socket);
        return;
      }
      const { readMax } = this.handle;
      if (readMax === 0) {
        this.readEnded(-ENOBUFS); // as libuv, before it reads
        return;
      }
      const most = readMax < READ_BYTES ? readMax : READ_BYTES;
      const available = socket.readableBytes;
      const size = available === 0 ? 1 : available < most ? available : most;
      const n = this.handle.isTakenNatively ? this.readNatively(size) : this.readAside(size);
      if (n === -EAGAIN) return;
      if (n <= 0) {
        if (n === 0 && this.gaveIn === this.iteration) this.readEndNext();
        else this.readEnded(n);
        return;
      }
      this.gaveIn = this.iteration;
      leftBytes -= n < LEAST_BYTES ? LEAST_BYTES : n;
    }
  }

  /** Hot path. Reads up to `size` bytes into memory that they may stay in, and hands it over. */
  private readAside(size: number): number {
    const own = size > OWN_BYTES;
    const into = own ? bufferOf(size) : roomFor(size);
    const at = own ? 0 : roomAt();
    const n = this.socket.receive(into, at, size);
    if (n <= 0) return n;
    if (!own) roomTaken(n);
    this.bytesRead += n;
    this.handle.give(into.buffer, at, n);
    return n;
  }

  /** Hot path. As {@link readAside} for those who copy at once. */
  private readNatively(size: number): number {
    if (isNativeReading) return this.readAside(size); // somebody who is told of data reads on
    const n = this.socket.receive(forNative, 0, size);
    if (n <= 0) return n;
    this.bytesRead += n;
    isNativeReading = true;
    try {
      this.handle.give(forNative.buffer, 0, n);
    } finally {
      isNativeReading = false;
    }
    return n;
  }

  private get iteration(): number {
    return this.side.eventLoop?.iteration ?? -2;
  }

  /** libuv does not read on after less than it had room for: the end comes an iteration of the event loop later. */
  private readEndNext(): void {
    this.side.eventLoop!.next(() => this.side.host.tellAgain(this.socket));
  }

  private readEnded(n: number): void {
    this.isReading = false;
    this.referenceChanged();
    if (n === 0) this.handle.giveEnd();
    else if (n !== -EBADF) this.tellError(n);
  }

  private tellError(n: number): void {
    if (isCalledBare()) this.side.eventLoop!.putOff(() => this.handle.giveError(n));
    else this.handle.giveError(n);
  }

  // Writing

  /** Hot path. */
  write(chunks: readonly Uint8Array[]): boolean | number {
    const { side } = this;
    side.host.enter();
    // Node counts what it has handed over, sent or not.
    for (let i = 0; i < chunks.length; i++) this.bytesWritten += chunks[i]!.byteLength;
    const w: Write | null = this.writes.length === 0 ? null : newWrite(chunks, 0, 0);
    if (w !== null) {
      this.queue(w);
      return false;
    }
    const last = lastWithBytes(chunks);
    for (let i = 0; i <= last; i++) {
      const chunk = chunks[i]!;
      const size = chunk.byteLength;
      if (size === 0) continue;
      const sent = this.socket.send(bytesOf(chunk), 0, size, i < last ? MsgFlags.MORE : 0);
      if (sent > 0) this.wrote(sent);
      if (sent === size) continue;
      if (sent < 0 && sent !== -EAGAIN) return sent;
      this.queue(newWrite(chunks, i, sent < 0 ? 0 : sent));
      side.host.kick();
      return false;
    }
    side.host.kick();
    return true;
  }

  /** Hot path. */
  private wrote(n: number): void {
    this.unflushedBytes += n;
    if (this.unflushedBytes < FLUSH_BYTES) return;
    this.unflushedBytes = 0;
    this.side.stack.flushEarly();
  }

  whenWritten(done: (status: number) => void): void {
    const last = this.writes.at(-1);
    if (last !== undefined) last.done = done;
    else this.later(() => done(0));
  }

  private queue(w: Write): void {
    this.writes.push(w);
    this.queuedBytes += w.leftBytes;
    this.referenceChanged();
  }

  /** Sends what waited for room. */
  private drain(): void {
    for (;;) {
      const w = this.writes[0];
      if (w === undefined) break;
      const status = this.sendMore(w);
      if (status === -EAGAIN) break;
      this.writes.shift();
      this.queuedBytes -= w.leftBytes;
      w.done(status);
      if (this.socket.isClosed) return;
    }
    this.side.host.kick();
    this.referenceChanged();
    if (this.writes.length > 0 || this.ending === null || this.isEnding) return;
    this.endSoon(Math.min(0, this.socket.shutdown(Shutdown.WRITE)));
  }

  /** 0 when all is sent. */
  private sendMore(w: Write): number {
    const last = lastWithBytes(w.chunks);
    for (; w.i <= last; w.i++, w.at = 0) {
      const chunk = w.chunks[w.i]!;
      while (w.at < chunk.byteLength) {
        const more = w.i < last ? MsgFlags.MORE : 0;
        const sent = this.socket.send(bytesOf(chunk), w.at, chunk.byteLength - w.at, more);
        if (sent < 0) return sent;
        w.at += sent;
        w.leftBytes -= sent;
        this.queuedBytes -= sent;
        this.wrote(sent);
      }
    }
    return 0;
  }

  shutdown(done: (status: number) => void): number {
    this.side.host.enter();
    if (this.writes.length === 0) {
      const result = this.socket.shutdown(Shutdown.WRITE);
      this.side.host.kick();
      if (result < 0) return result;
      this.ending = done;
      this.endSoon(0);
    }
    this.ending = done;
    this.referenceChanged();
    return 0;
  }

  /** The end is told in a turn of its own, but before whatever the peer answers to it, as libuv does. */
  private endSoon(status: number): void {
    this.isEnding = true;
    this.endStatus = status;
    this.later(() => this.tellEnd());
  }

  private later(f: () => void): void {
    const { eventLoop } = this.side;
    if (eventLoop === null) setImmediate(f);
    else eventLoop.later(f);
  }

  private tellEnd(): void {
    const done = this.ending;
    if (done === null) return;
    this.ending = null;
    this.referenceChanged();
    done(this.endStatus);
  }

  // For the host

  onReady(bits: number): void {
    if (this.connecting !== null) {
      if ((bits & (Readiness.OUT | Readiness.ERR | Readiness.HUP)) !== 0) this.connected();
      return;
    }
    if (this.isReading && (bits & INCOMING) !== 0) {
      if (this.isEnding) this.tellEnd();
      const { eventLoop } = this.side;
      if (this.handle.isTakenNatively && eventLoop !== null) {
        eventLoop.callBare(this);
        return;
      }
      this.pump();
    }
    if (this.writes.length > 0 && (bits & OUTGOING) !== 0) this.drain();
  }

  /** Native code is handed what was read as by libuv: before it hears of what was written. */
  onBareCall(): void {
    if (this.isReading) this.pump();
    if (this.writes.length > 0 && !this.handle.isClosing()) this.side.host.tellAgain(this.socket);
  }

  onHostClosed(): void {
    this.isReading = false;
    this.handle.giveError(-ENETDOWN);
  }

  private connected(): void {
    const request = this.connecting!;
    const scope = this.connectScope!;
    this.connecting = null;
    this.connectScope = null;
    const status = -Math.abs(this.socket.takeError());
    this.referenceChanged();
    // What was written meanwhile is looked at after the news.
    this.side.host.tellAgain(this.socket);
    if (request.oncomplete === undefined) return;
    tell(scope, request.oncomplete, request, status, this.handle, request, true, true);
  }

  // Options

  setNoDelay(on: boolean): number {
    return this.set("TCP_NODELAY", on ? 1 : 0);
  }

  setKeepAlive(on: boolean, delayS: number, intervalS?: number, probes?: number): number {
    if (on && delayS > 0) {
      this.set("TCP_KEEPIDLE", delayS);
      this.set("TCP_KEEPINTVL", intervalS || PROBE_INTERVAL_S);
      this.set("TCP_KEEPCNT", probes || PROBES);
    }
    return this.set("SO_KEEPALIVE", on ? 1 : 0);
  }

  setTypeOfService(tos: number): number {
    if (this.socket.family === Family.INET6) this.set("IPV6_TCLASS", tos);
    return this.set("IP_TOS", tos);
  }

  getTypeOfService(): number {
    const result = this.socket.get("IP_TOS");
    return result < 0 ? result : this.socket.optionOut;
  }

  private set(name: Parameters<TcpSocket["set"]>[0], value: number): number {
    this.side.host.enter();
    const result = this.socket.set(name, value);
    this.side.host.kick();
    return Math.min(result, 0);
  }

  getsockname(out: NameOut): number {
    const { localAddress, localPort, family } = this.socket;
    return this.fill(out, localAddress, localPort, family);
  }

  getpeername(out: NameOut): number {
    const { remoteAddress, remotePort, family } = this.socket;
    const none = this.socket.hasPeer();
    return none < 0 ? none : this.fill(out, remoteAddress, remotePort, family);
  }

  private fill(out: NameOut, address: IpAddress, port: number, family: number): number {
    const { stack } = this.side;
    const rows = stack.tcpRows;
    const ifIndex = this.socket.isClosed ? 0 : rows.ifIndex[this.socket.row]!;
    return fillName(out, address, port, family === Family.INET6, ifIndex, stack);
  }

  // The process's life

  setReferenced(on: boolean): void {
    this.isReferenced = on;
    this.referenceChanged();
  }

  /** As in libuv, only a handle that waits for something keeps the process alive. */
  private referenceChanged(): void {
    const isActive =
      this.isReferenced &&
      (this.isReading ||
        this.writes.length > 0 ||
        this.ending !== null ||
        this.connecting !== null);
    if (isActive === this.wasActive) return;
    this.wasActive = isActive;
    this.side.host.setRef(this.socket, isActive);
  }

  end(isReset: boolean): (status: number) => void {
    const { socket, side } = this;
    side.host.enter();
    side.host.detach(socket);
    this.isReading = false;
    if (isReset) socket.abort();
    else socket.close();
    side.lingers();
    side.host.kick();
    return (status) => this.tellRequests(status);
  }

  private tellRequests(status: number): void {
    const request = this.connecting;
    this.connecting = null;
    if (request?.oncomplete !== undefined) {
      tell(
        this.connectScope!,
        request.oncomplete,
        request,
        status,
        this.handle,
        request,
        false,
        false,
      );
    }
    for (const w of this.writes.splice(0)) w.done(status);
    this.queuedBytes = 0;
    const ending = this.ending;
    this.ending = null;
    ending?.(status);
  }
}

/** Bytes before the last ones wait for more; Node's HTTP ends what it writes with an empty chunk. */
function lastWithBytes(chunks: readonly Uint8Array[]): number {
  let last = chunks.length - 1;
  while (last > 0 && chunks[last]!.byteLength === 0) last--;
  return last;
}

function newWrite(chunks: readonly Uint8Array[], i: number, at: number): Write {
  let leftBytes = -at;
  for (let k = i; k < chunks.length; k++) leftBytes += chunks[k]!.byteLength;
  return { chunks, i, at, leftBytes, done: nobody };
}

/** Node gives any view of memory. */
function bytesOf(chunk: Uint8Array): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  const view = chunk as ArrayBufferView;
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
