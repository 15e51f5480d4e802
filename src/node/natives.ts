/**
 * The classes below Node's `net` and `dgram`, as `process.binding` gives them: the one private
 * interface that `millrace/register` needs. What is declared here is what is used.
 */

/** A request object of Node's: `oncomplete` is called when it is done. */
export interface NativeRequest {
  oncomplete?: ((...results: unknown[]) => void) | undefined;
}

/** Where `getsockname` and `getpeername` put what they found. */
export interface NameOut {
  address?: string;
  family?: string;
  port?: number;
}

/** The Node handle's own name of whoever it belongs to: `net.Socket`, `net.Server`, `dgram.Socket`. */
export interface Owner {
  _handle?: unknown;
  /** Of a server: it reads nothing from its connections, which go to other processes. */
  readonly pauseOnConnect?: boolean;
}

type Onread = (data?: ArrayBuffer) => unknown;

/** What a stream handle calls with the results in {@link streamBaseState}. */
export interface NativeStream {
  onread: Onread;
  readonly isStreamBase: boolean;
  readStart(): number;
  readStop(): number;
  getAsyncId(): number;
  useUserBuffer(buffer: Uint8Array): void;
  /** Node 20 passes a request and gets an error number, Node 26 passes null and gets either. */
  writev(
    request: NativeRequest | null,
    chunks: unknown[],
    allBuffers: boolean,
  ): number | NativeRequest;
  shutdown(request: NativeRequest): number;
}

/** The kernel's TCP socket: libuv's `uv_tcp_t`. Calls return 0 or a negated error number. */
export interface NativeTcp extends NativeStream {
  reading: boolean;
  onconnection: ((status: number, client?: NativeTcp) => void) | null;
  readonly fd: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly writeQueueSize: number;
  open(fd: number): number;
  bind(address: string, port: number, flags?: number): number;
  bind6(address: string, port: number, flags?: number): number;
  listen(backlog: number): number;
  connect(request: NativeRequest, address: string, port: number): number;
  connect6(request: NativeRequest, address: string, port: number): number;
  getsockname(out: NameOut): number;
  getpeername(out: NameOut): number;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, delayS: number, intervalS?: number, probes?: number): number;
  setTypeOfService?(tos: number): number;
  getTypeOfService?(): number;
  reset(done?: () => void): number;
  close(done?: () => void): void;
  ref(): void;
  unref(): void;
  hasRef(): boolean;
}

/** A stream handle in JavaScript that native code takes for one of its own. */
export interface NativeJsStream {
  onread: Onread;
  readStart(): number;
  readStop(): number;
  getAsyncId(): number;
  useUserBuffer(buffer: Uint8Array): void;
  writev(
    request: NativeRequest | null,
    chunks: unknown[],
    allBuffers: boolean,
  ): number | NativeRequest;
  shutdown(request: NativeRequest): number;
  /** Native code below has read this: it is handed to who listens, JavaScript or native. */
  readBuffer(bytes: Uint8Array): void;
  emitEOF(): void;
  finishWrite(request: NativeRequest, status: number): void;
  finishShutdown(request: NativeRequest, status: number): void;
}

type OnMessage = (n: number, handle: unknown, data?: Uint8Array, from?: NameOut) => void;

/** The kernel's UDP socket: libuv's `uv_udp_t`. */
export interface NativeUdp {
  onmessage: OnMessage;
  onerror?: (n: number, handle: unknown, error: unknown) => void;
  readonly fd: number;
  open(fd: number): number;
  bind(address: string, port: number, flags: number): number;
  bind6(address: string, port: number, flags: number): number;
  connect(address: string, port: number): number;
  connect6(address: string, port: number): number;
  disconnect(): number;
  send(request: NativeRequest, list: Uint8Array[], n: number, ...rest: unknown[]): number;
  send6(request: NativeRequest, list: Uint8Array[], n: number, ...rest: unknown[]): number;
  recvStart(): number;
  recvStop(): number;
  getsockname(out: NameOut): number;
  getpeername(out: NameOut): number;
  addMembership(group: string, iface?: string): number;
  dropMembership(group: string, iface?: string): number;
  addSourceSpecificMembership(source: string, group: string, iface?: string): number;
  dropSourceSpecificMembership(source: string, group: string, iface?: string): number;
  setMulticastInterface(iface: string): number;
  setMulticastTTL(ttl: number): number;
  setMulticastLoopback(on: number): number;
  setBroadcast(on: number): number;
  setTTL(ttl: number): number;
  bufferSize(bytes: number, isReceive: boolean, context: object): number | undefined;
  getSendQueueSize(): number;
  getSendQueueCount(): number;
  close(done?: () => void): void;
  ref(): void;
  unref(): void;
  hasRef(): boolean;
  getAsyncId(): number;
}

export interface TcpBinding {
  TCP: new (type: number) => NativeTcp;
  TCPConnectWrap: new () => NativeRequest;
  readonly constants: Readonly<Record<string, number>>;
}

export interface UdpBinding {
  UDP: new () => NativeUdp;
  readonly constants: Readonly<Record<string, number>>;
}

export interface StreamBinding {
  readonly WriteWrap: new () => NativeRequest;
  readonly ShutdownWrap: new () => NativeRequest;
  readonly kReadBytesOrError: number;
  readonly kArrayBufferOffset: number;
  readonly kBytesWritten: number;
  readonly kLastWriteWasAsync: number;
  /** Since Node 26. */
  readonly kLastWriteErr?: number;
  readonly streamBaseState: Int32Array;
}

export interface TlsBinding {
  wrap(handle: object, ...rest: unknown[]): NativeStream;
}

export interface PipeBinding {
  readonly Pipe: {
    readonly prototype: {
      writeUtf8String(request: NativeRequest | null, text: string, handle?: unknown): unknown;
    };
  };
}

export interface HttpBinding {
  readonly HTTPParser: { readonly prototype: { consume(handle: object): void } };
}

interface Bindings {
  tcp_wrap: TcpBinding;
  udp_wrap: UdpBinding;
  stream_wrap: StreamBinding;
  js_stream: { readonly JSStream: new () => NativeJsStream };
  tls_wrap: TlsBinding;
  pipe_wrap: PipeBinding;
  http_parser: HttpBinding;
}

interface PrivateProcess {
  binding<K extends keyof Bindings>(name: K): Bindings[K];
  /** Runs ticks and microtasks, as Node does after each callback. */
  _tickCallback(): void;
  _rawDebug(...parts: unknown[]): void;
  readonly moduleLoadList: readonly string[];
}

const internals = process as unknown as PrivateProcess;

/** Whether Node's permission model keeps its bindings from everybody: then there is nothing to put Millrace in. */
export let areForbidden = false;

/** Instead of bindings that nobody may have: classes that nobody uses. */
const forbidden: unknown = new Proxy({}, { get: () => class {} });

export function binding<K extends keyof Bindings>(name: K): Bindings[K] {
  try {
    return internals.binding(name);
  } catch (error) {
    if (Reflect.get(Object(error), "code") !== "ERR_ACCESS_DENIED") throw error;
    areForbidden = true;
    return forbidden as Bindings[K];
  }
}

/** As {@link binding}, for those of which Node would say that they are deprecated. */
export function quietBinding<K extends keyof Bindings>(name: K): Bindings[K] | null {
  const before = Object.getOwnPropertyDescriptor(process, "noDeprecation");
  // With --no-deprecation it is true already, and read-only.
  const mustHush = before?.writable !== false;
  if (mustHush) process.noDeprecation = true;
  try {
    return internals.binding(name);
  } catch {
    return null; // Node 24 gives some to nobody any more
  } finally {
    if (mustHush) {
      if (before === undefined) delete process.noDeprecation;
      else Object.defineProperty(process, "noDeprecation", before);
    }
  }
}

const kernelClasses = { tcp: binding("tcp_wrap").TCP, udp: binding("udp_wrap").UDP };
/** The kernel's handles behind Millrace's, with these. */
const behindOurs = new WeakMap<object, object>();

/** A handle of the kernel's for one of Millrace's, `front`, to use. */
export function kernelTcp(type: number, front: object): NativeTcp {
  const handle = new kernelClasses.tcp(type);
  behindOurs.set(handle, front);
  return handle;
}

/** As {@link kernelTcp}. */
export function kernelUdp(front: object): NativeUdp {
  const handle = new kernelClasses.udp();
  behindOurs.set(handle, front);
  return handle;
}

export const isBehindOurs = (handle: object): boolean => behindOurs.has(handle);

/** Millrace's handle before one of the kernel's, if there is one, or itself. */
export const frontOf = (handle: object): object => behindOurs.get(handle) ?? handle;

/** The key under which Node's handles keep whoever they belong to; null: to nobody yet. */
export function ownerKey(handle: object): symbol | null {
  const keys = Object.getOwnPropertySymbols(handle);
  return keys.find((key) => key.description === "owner_symbol") ?? null;
}

/** Whoever a handle belongs to, or null. */
export function ownerOf(handle: object): Owner | null {
  const key = ownerKey(handle);
  return key === null ? null : ((Reflect.get(handle, key) as Owner | undefined) ?? null);
}

/** Whether a module of Node's has been loaded: then it has taken the kernel's classes already. */
export function isLoaded(module: string): boolean {
  return internals.moduleLoadList.includes(`NativeModule ${module}`);
}

export const runTicks: () => void = () => internals._tickCallback();

/** Writes a line to standard error at once, without loading `net` as `console` may. */
export const printLine: (line: string) => void = (line) => internals._rawDebug(line);

/** libuv's number for the end of a stream. */
export const UV_EOF = -4095;
