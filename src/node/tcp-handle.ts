/**
 * What Node's `net` takes for `TCP`: undecided until it is bound or connected, then the kernel's or
 * Millrace's.
 *
 * | state     | meaning                                                        | left by            |
 * |-----------|----------------------------------------------------------------|--------------------|
 * | fresh     | nothing is decided; options are remembered                     | bind, connect, open|
 * | kernel    | a kernel handle took its place in its owner, or stands behind it (`kernel-stream.ts`) | close |
 * | millrace  | a connection of the stack (`stack-stream.ts`)                  | close, reset       |
 * | listening | a listener of the kernel, of the stack, or one of each         | close              |
 *
 * It extends JSStream, so that TLS, HTTP's parser and HTTP/2 take it for a stream of native code.
 * Most of the time nobody does, and reads and writes never enter native code.
 */
import { AsyncResource } from "node:async_hooks";
import { ECANCELED, EINVAL, ENETUNREACH, ENOTCONN } from "../base/errno.js";
import { ANY4, ANY6, type IpAddress } from "../base/ip-address.js";
import type { TcpSocket } from "../socket/tcp-socket.js";
import { addressOf, forBind, forConnect, indexOfZone, stackSide } from "./accelerator.js";
import { KernelStream } from "./kernel-stream.js";
import { fillName } from "./names.js";
import {
  binding,
  kernelTcp,
  type NameOut,
  type NativeRequest,
  type NativeTcp,
  ownerKey,
  ownerOf,
} from "./natives.js";
import { StackStream } from "./stack-stream.js";
import { StreamHandle } from "./stream-handle.js";
import { TcpListener } from "./tcp-listener.js";
import { Carrier, follow, kernel, note, type Verdict } from "./verdict.js";

const { TCP: KernelTcp } = binding("tcp_wrap");

interface LocalEnd {
  readonly address: string;
  readonly port: number;
  readonly flags: number;
  readonly is6: boolean;
}

export class TcpHandle extends StreamHandle {
  readonly type: number;
  private whenConnected: NativeTcp["onconnection"] = null;
  private real: NativeTcp | null = null;
  private listener: TcpListener | null = null;
  private local: LocalEnd | null = null;
  /** Whether the connection that was asked for is one of IPv6; null: none was. */
  private asked6: boolean | null = null;
  private noDelay: boolean | null = null;
  private keepAlive: [on: boolean, delayS: number, intervalS?: number, probes?: number] | null =
    null;
  private typeOfService = -1;
  private userBuffer: Uint8Array | null = null;
  private isReferenced = true;
  private isClosed = false;

  constructor(type: number) {
    super();
    this.type = type;
  }

  /** Kernel handles count as ours: Node asks `handle instanceof TCP`. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isOurs(value) || (value !== null && typeof value === "object" && isKernels(value));
  }

  /** The handle of a connection that this one's listener has accepted. */
  acceptedBy(socket: TcpSocket): TcpHandle {
    const handle = new TcpHandle(SOCKET);
    handle.backend = new StackStream(handle, stackSide()!, socket);
    follow(this, handle);
    return handle;
  }

  /** The kernel's handle for another process, which serves from now on; null: there is none. */
  passOn(): NativeTcp | null {
    if (this.real !== null) this.listener?.leaveToKernel(PASSED);
    return this.real;
  }

  /** For Node: called for each connection. */
  get onconnection(): NativeTcp["onconnection"] {
    return this.whenConnected;
  }

  set onconnection(next: NativeTcp["onconnection"]) {
    // The cluster module takes a server over, to pass its connections to other processes.
    if (this.whenConnected !== null && next !== null && this.real !== null) {
      this.listener?.leaveToKernel(PASSED);
    }
    this.whenConnected = next;
  }

  // Deciding

  open(fd: number): number {
    note(this, "tcp open", `fd ${fd}`, kernel("the descriptor was opened elsewhere"));
    const real = this.toKernel();
    return real.open(fd);
  }

  bind(address: string, port: number, flags = 0): number {
    return this.bindTo({ address, port, flags, is6: false });
  }

  bind6(address: string, port: number, flags = 0): number {
    return this.bindTo({ address, port, flags, is6: true });
  }

  private bindTo(end: LocalEnd): number {
    const parsed = addressOf(end.address);
    if (parsed === null) return -EINVAL;
    this.local = end;
    if (this.real !== null) return bindKernel(this.real, end); // it was the kernel's before
    const verdict = forBind("tcp_server", parsed.address, end.port);
    if (this.mayConnect) {
      // Where it will connect to decides; but errors of the kernel's are told now.
      if (verdict.by === Carrier.MILLRACE) return 0;
      return bindKernel(this.kernelHandle(), end);
    }
    note(this, "tcp listen", `${end.address} port ${end.port}`, verdict);
    this.listener = new TcpListener(this, verdict.by, {
      address: parsed.address,
      ifIndex: indexOfZone(parsed.zone),
      port: end.port,
      flags: end.flags,
      is6: end.is6,
    });
    if (verdict.by === Carrier.MILLRACE) return this.listener.bind(end.port);
    return bindKernel(this.kernelHandle(), end);
  }

  /** Node makes handles of type SERVER for servers only; `net.BoundSocket` (26) may do either. */
  private get mayConnect(): boolean {
    return this.type === SOCKET;
  }

  connect(request: NativeRequest, address: string, port: number): number {
    return this.connectTo(request, address, port, false);
  }

  connect6(request: NativeRequest, address: string, port: number): number {
    return this.connectTo(request, address, port, true);
  }

  private connectTo(request: NativeRequest, text: string, port: number, is6: boolean): number {
    const parsed = addressOf(text);
    if (parsed === null) return -EINVAL;
    const verdict = this.verdictForConnect(parsed.address, port);
    note(this, "tcp connect", `${text} port ${port}`, verdict);
    if (verdict.by === Carrier.KERNEL) return this.connectByKernel(request, text, port, is6);
    this.asked6 = is6;
    if (parsed.address.isMulticast) return -ENETUNREACH; // says Linux, route or not
    const side = stackSide()!;
    side.host.enter();
    this.dropKernel();
    const stream = StackStream.connecting(this, side, {
      address: parsed.address,
      port,
      ifIndex: indexOfZone(parsed.zone),
      is6,
      request,
      local: this.local === null ? null : (addressOf(this.local.address)?.address ?? null),
      localPort: this.local?.port ?? 0,
    });
    if (typeof stream === "number") return stream;
    this.backend = stream;
    this.replayOptions();
    return 0;
  }

  private verdictForConnect(to: IpAddress, port: number): Verdict {
    const from = this.local === null ? undefined : addressOf(this.local.address)?.address;
    const end = from === undefined ? null : { address: from, port: this.local!.port };
    const verdict = forConnect(to, port, end);
    if (
      verdict.by === Carrier.KERNEL ||
      from === undefined ||
      from.isUnspecified ||
      from.isLoopback
    ) {
      return verdict;
    }
    return stackSide()!.stack.ip.mayBind(from)
      ? verdict
      : kernel("the local address is the kernel's");
  }

  private connectByKernel(
    request: NativeRequest,
    address: string,
    port: number,
    is6: boolean,
  ): number {
    const isNew = this.real === null;
    const real = this.toKernel();
    if (isNew && this.local !== null) {
      const bound = bindKernel(real, this.local);
      if (bound !== 0) return bound;
    }
    const asked = this.backend === null ? request : behind(request, this);
    return is6 ? real.connect6(asked, address, port) : real.connect(asked, address, port);
  }

  listen(backlog: number): number {
    if (this.listener === null) {
      // Bound as a client, or never: the kernel's rules.
      const verdict = kernel("it was not bound as a server");
      note(this, "tcp listen", "unbound", verdict);
      return this.listenByKernel(backlog);
    }
    const { by } = this.listener;
    if (by === Carrier.KERNEL) return this.listenByKernel(backlog);
    if (this.real !== null) {
      const result = this.real.listen(backlog);
      if (result !== 0) return result;
      this.real.onconnection = (status, client) => this.onconnection?.(status, client);
      if (ownerOf(this)?.pauseOnConnect === true) return this.listener.leaveToKernel(PAUSED);
    }
    return this.listener.listen(backlog, this.real);
  }

  private listenByKernel(backlog: number): number {
    const real = this.toKernel();
    if (this.backend !== null) {
      this.backend = null; // nobody reads from a listener: it needs no stream
      real.onconnection = (status, client) => this.onconnection?.(status, client);
    }
    return real.listen(backlog);
  }

  // The kernel's handle

  private kernelHandle(): NativeTcp {
    this.real ??= kernelTcp(this.type, this);
    return this.real;
  }

  private dropKernel(): void {
    this.real?.close();
    this.real = null;
  }

  /**
   * The kernel's handle in this one's place: with its owner it is as if this one had never been.
   * Where something native holds on to this one (TLS, an HTTP parser), it stays, with the kernel's behind it.
   */
  private toKernel(): NativeTcp {
    const real = this.kernelHandle();
    this.replayOn(real);
    if (!this.isReferenced) real.unref();
    const owner = ownerOf(this);
    if (owner === null || owner._handle !== this || this.tls !== null || this.isTakenNatively) {
      this.backend ??= new KernelStream(this, real);
      return real;
    }
    Reflect.set(real, ownerKey(this)!, owner);
    if (this.onread !== undefined) real.onread = this.onread;
    if (this.onconnection !== null) real.onconnection = this.onconnection;
    real.reading = this.reading;
    if (this.userBuffer !== null) real.useUserBuffer(this.userBuffer);
    owner._handle = real;
    follow(this, real);
    return real;
  }

  private replayOn(real: NativeTcp): void {
    if (this.noDelay !== null) real.setNoDelay(this.noDelay);
    if (this.keepAlive !== null) real.setKeepAlive(...this.keepAlive);
    if (this.typeOfService >= 0) real.setTypeOfService?.(this.typeOfService);
  }

  private replayOptions(): void {
    const stream = this.backend;
    if (stream === null) return;
    if (this.noDelay !== null) stream.setNoDelay(this.noDelay);
    if (this.keepAlive !== null) stream.setKeepAlive(...this.keepAlive);
    if (this.typeOfService >= 0) stream.setTypeOfService(this.typeOfService);
    if (!this.isReferenced) stream.setReferenced(false);
  }

  // What net asks of any handle

  override useUserBuffer(buffer: Uint8Array): void {
    this.userBuffer = buffer;
    this.readMax = buffer.byteLength;
    this.isTakenNatively = true; // native code fills it
    const told = this.onread;
    const self = this;
    this.onread = function (this: unknown, ...args) {
      const next: unknown = told.apply(this, args);
      if (next instanceof Uint8Array) self.readMax = next.byteLength; // to be filled from now on
      return next;
    };
    super.useUserBuffer(buffer);
  }

  get fd(): number {
    return this.real?.fd ?? -1;
  }

  setNoDelay(on: boolean): number {
    this.noDelay = on;
    return this.backend?.setNoDelay(on) ?? this.real?.setNoDelay(on) ?? 0;
  }

  setKeepAlive(on: boolean, delayS = 0, intervalS?: number, probes?: number): number {
    this.keepAlive = [on, delayS, intervalS, probes] as typeof this.keepAlive;
    return this.backend?.setKeepAlive(on, delayS, intervalS, probes) ?? 0;
  }

  setTypeOfService(tos: number): number {
    this.typeOfService = tos;
    return this.backend?.setTypeOfService(tos) ?? 0;
  }

  getTypeOfService(): number {
    return this.backend?.getTypeOfService() ?? Math.max(0, this.typeOfService);
  }

  getsockname(out: NameOut): number {
    if (this.backend !== null) return this.backend.getsockname(out);
    if (this.real !== null) return this.real.getsockname(out);
    if (this.listener !== null) return this.listener.getsockname(out);
    if (this.local === null) return this.unboundName(out);
    const parsed = addressOf(this.local.address);
    return parsed === null
      ? -EINVAL
      : fillName(out, parsed.address, this.local.port, this.local.is6, 0);
  }

  /** After a connection that failed at once the kernel has a socket without an address. */
  private unboundName(out: NameOut): number {
    if (this.asked6 === null) return -EINVAL;
    return fillName(out, this.asked6 ? ANY6 : ANY4, 0, this.asked6, 0);
  }

  getpeername(out: NameOut): number {
    return this.backend?.getpeername(out) ?? -ENOTCONN;
  }

  setBlocking(): number {
    return 0;
  }

  ref(): void {
    this.setReferenced(true);
  }

  unref(): void {
    this.setReferenced(false);
  }

  hasRef(): boolean {
    return this.isReferenced && !this.isClosed;
  }

  /** What Node calls it in lists of what keeps the process alive. */
  get resourceName(): string {
    return this.listener === null ? "TCPSocketWrap" : "TCPServerWrap";
  }

  /** Whether such lists have the kernel's handle behind it. */
  get hasActiveKernel(): boolean {
    return this.real !== null;
  }

  private setReferenced(on: boolean): void {
    this.isReferenced = on;
    this.backend?.setReferenced(on);
    this.listener?.setReferenced(on);
    if (on) this.real?.ref();
    else this.real?.unref();
  }

  reset(done?: () => void): number {
    if (this.isClosed) return -EINVAL;
    this.isClosed = true;
    if (this.backend instanceof KernelStream) return this.real!.reset(done);
    const ended = this.backend?.end(true) ?? noRequests;
    this.closeRest(ended, done);
    return 0;
  }

  close(done?: () => void): void {
    if (this.isClosed) return;
    this.isClosed = true;
    const ended = this.backend?.end(false) ?? noRequests;
    this.listener?.close();
    this.closeRest(ended, done);
  }

  /** Requests under way are told in the event loop's closing phase, then whoever closed. */
  private closeRest(tellRequests: (status: number) => void, done: (() => void) | undefined): void {
    const closing = this.real ?? kernelTcp(this.listener === null ? SOCKET : SERVER, this);
    const scope = new AsyncResource("TCPWRAP");
    closing.close(() => {
      tellRequests(-ECANCELED);
      if (done !== undefined) scope.runInAsyncScope(done);
    });
  }

  override isClosing(): boolean {
    return this.isClosed;
  }
}

const SOCKET = 0;
const SERVER = 1;
const PASSED = "its connections are passed to other processes";
/** Node's documentation has no other use for it. */
const PAUSED = "pauseOnConnect: its connections are for other processes";
const noRequests = (): void => {};

const isOurs = (value: unknown): boolean =>
  value !== null &&
  typeof value === "object" &&
  Object.prototype.isPrototypeOf.call(TcpHandle.prototype, value);
const isKernels = (value: object): boolean =>
  Object.prototype.isPrototypeOf.call(KernelTcp.prototype, value);

function bindKernel(real: NativeTcp, { address, port, flags, is6 }: LocalEnd): number {
  return is6 ? real.bind6(address, port, flags) : real.bind(address, port, flags);
}

const { TCPConnectWrap } = binding("tcp_wrap");

/** A request for the kernel's handle that answers in this handle's name. */
function behind(request: NativeRequest, handle: TcpHandle): NativeRequest {
  const own = new TCPConnectWrap();
  own.oncomplete = (status, _real, _own, readable, writable) =>
    request.oncomplete?.(status, handle, request, readable, writable);
  return own;
}
