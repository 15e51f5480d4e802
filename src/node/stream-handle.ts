/**
 * A stream handle for Node: what it reads and writes goes to a backend, the stack's or the kernel's.
 *
 * Who reads from it is one of two. `net.Socket`, the usual one, is called directly: `onread` with the
 * results where native code would leave them. TLS, the HTTP parser and HTTP/2 listen in native code;
 * each of them asks for `isStreamBase` first, and from then on data go through `readBuffer`.
 * Measured: 64 bytes to `onread` directly 0.5 µs, through `readBuffer` 2.5 (node 20.20, 2 shared
 * cores, 2026-11).
 */
import { AsyncResource } from "node:async_hooks";
import { ENOTCONN } from "../base/errno.js";
import { nextTick } from "../base/timers.js";
import { Http2Frames } from "./http2-frames.js";
import {
  binding,
  type NameOut,
  type NativeRequest,
  type NativeStream,
  runTicks,
  UV_EOF,
} from "./natives.js";
import { tell } from "./scope.js";

const {
  kReadBytesOrError,
  kArrayBufferOffset,
  kBytesWritten,
  kLastWriteWasAsync,
  kLastWriteErr = -1,
  streamBaseState,
} = binding("stream_wrap");
const { JSStream } = binding("js_stream");

/** Who carries the bytes. Calls return 0 or a negated error number. */
export interface Backend {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Bytes of writes that are not done. */
  readonly queuedBytes: number;
  readStart(): number;
  readStop(): number;
  /** Takes everything; true when it is done, false when it is not (`whenWritten`), else why not. */
  write(chunks: readonly Uint8Array[]): boolean | number;
  /** Whom to tell that the last `write` is done. */
  whenWritten(done: (status: number) => void): void;
  /** Ends the sending side after what was written; `done` is called later. */
  shutdown(done: (status: number) => void): number;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, delayS: number, intervalS?: number, probes?: number): number;
  setTypeOfService(tos: number): number;
  getTypeOfService(): number;
  getsockname(out: NameOut): number;
  getpeername(out: NameOut): number;
  setReferenced(on: boolean): void;
  /** Closes, or resets; what it returns tells the requests under way how they ended. */
  end(isReset: boolean): (status: number) => void;
}

/** What Node 26 takes for a write request of native code. */
interface WriteRequest extends NativeRequest {
  writeStatus: number | null;
}

let givingNatively = false;

/** Whether native code is being handed what was read. */
export const isGivingNatively = (): boolean => givingNatively;

export abstract class StreamHandle extends JSStream {
  /** For Node: whether it has asked for data. */
  reading = false;
  backend: Backend | null = null;
  /** Native code may listen. */
  isTakenNatively = false;
  /** Bytes that who reads takes at once, and may then want no more: the size of a buffer of its own. */
  readMax = Number.POSITIVE_INFINITY;
  /** TLS on top of this handle. */
  tls: NativeStream | null = null;
  private readonly frames = new Http2Frames();
  readonly scope: AsyncResource = new AsyncResource("TCPWRAP");
  private isGiving = false;
  /** Writes that native code made while it was given what was read. */
  private readonly finishing: NativeRequest[] = [];

  get isStreamBase(): boolean {
    this.isTakenNatively = true;
    return true;
  }

  get bytesRead(): number {
    return this.backend?.bytesRead ?? 0;
  }

  get bytesWritten(): number {
    return this.backend?.bytesWritten ?? 0;
  }

  get writeQueueSize(): number {
    return this.backend?.queuedBytes ?? 0;
  }

  // From JavaScript

  override readStart(): number {
    return this.backend?.readStart() ?? -ENOTCONN;
  }

  override readStop(): number {
    return this.backend?.readStop() ?? 0;
  }

  writeBuffer(request: NativeRequest | null, data: Uint8Array): number | NativeRequest {
    return this.writeAll(request, [data], data.byteLength);
  }

  writeUtf8String(request: NativeRequest | null, text: string): number | NativeRequest {
    return this.writeText(request, text, "utf8");
  }

  writeLatin1String(request: NativeRequest | null, text: string): number | NativeRequest {
    return this.writeText(request, text, "latin1");
  }

  writeAsciiString(request: NativeRequest | null, text: string): number | NativeRequest {
    return this.writeText(request, text, "latin1");
  }

  writeUcs2String(request: NativeRequest | null, text: string): number | NativeRequest {
    return this.writeText(request, text, "utf16le");
  }

  private writeText(
    request: NativeRequest | null,
    text: string,
    encoding: BufferEncoding,
  ): number | NativeRequest {
    const bytes = Buffer.from(text, encoding);
    return this.writeAll(request, [bytes], bytes.length);
  }

  /** `chunks` are buffers, or each a chunk followed by its encoding. */
  override writev(
    request: NativeRequest | null,
    chunks: unknown[],
    allBuffers: boolean,
  ): number | NativeRequest {
    const list: Uint8Array[] = [];
    let n = 0;
    for (let i = 0; i < chunks.length; i += allBuffers ? 1 : 2) {
      const chunk = chunks[i];
      const bytes =
        typeof chunk === "string"
          ? Buffer.from(chunk, encodingOf(chunks[i + 1]))
          : (chunk as Uint8Array);
      list.push(bytes);
      n += bytes.byteLength;
    }
    return this.writeAll(request, list, n);
  }

  private writeAll(
    given: NativeRequest | null,
    chunks: readonly Uint8Array[],
    n: number,
  ): number | NativeRequest {
    const result = this.backend?.write(chunks) ?? -ENOTCONN;
    streamBaseState[kBytesWritten] = n;
    streamBaseState[kLastWriteWasAsync] = result === false ? 1 : 0;
    if (typeof result === "number") return result;
    if (result) return 0;
    const request = given ?? newRequest();
    this.backend?.whenWritten(doneOf(request));
    if (kLastWriteErr >= 0) streamBaseState[kLastWriteErr] = 0;
    return given === null ? request : 0;
  }

  override shutdown(request: NativeRequest): number {
    return this.backend?.shutdown(doneOf(request)) ?? -ENOTCONN;
  }

  // From native code

  onreadstart(): number {
    this.isTakenNatively = true;
    return this.readStart();
  }

  onreadstop(): number {
    return this.readStop();
  }

  onwrite(request: NativeRequest, chunks: Uint8Array[]): number {
    const result = this.backend?.write(chunks) ?? -ENOTCONN;
    if (typeof result === "number") return result;
    // Native code is still in its call: it is told when that is over.
    if (result && this.isGiving) this.finishing.push(request);
    else if (result) nextTick(() => this.finishWrite(request, 0));
    else {
      this.backend?.whenWritten((status) => {
        this.finishWrite(request, status);
        runTicks();
      });
    }
    return 0;
  }

  onshutdown(request: NativeRequest): number {
    const finish = (status: number): void => {
      this.finishShutdown(request, status);
      runTicks();
    };
    return this.backend?.shutdown(finish) ?? -ENOTCONN;
  }

  // To whoever reads

  /** Hot path. Hands over bytes that nobody will write to again. */
  give(buffer: ArrayBuffer, at: number, n: number): void {
    if (this.isTakenNatively) {
      this.giveNatively(new Uint8Array(buffer, at, n));
      return;
    }
    streamBaseState[kReadBytesOrError] = n;
    streamBaseState[kArrayBufferOffset] = at;
    tell(this.scope, this.onread, this, buffer);
  }

  /** Cut where ticks run between frames of HTTP/2. */
  private giveNatively(bytes: Uint8Array): void {
    const n = bytes.length;
    let at = 0;
    try {
      while (at < n && !this.isClosing()) {
        const end = this.tls === null ? at + this.frames.cut(bytes, at, n - at) : n;
        const piece = bytes.subarray(at, end);
        at = end;
        this.givePiece(piece);
        runTicks();
      }
    } finally {
      // An exception of the user's: the stream goes on all the same.
      if (at < n && !this.isClosing()) this.givePiece(bytes.subarray(at));
    }
  }

  /**
   * HTTP/2 answers settings while it reads, and is told that this was written before any tick runs: on the
   * kernel's sockets it knows at once. With a write under way it would not send the GOAWAY of a session
   * that is destroyed when its first stream comes.
   */
  private givePiece(bytes: Uint8Array): void {
    const wasGiving = this.isGiving;
    const before = givingNatively;
    this.isGiving = true;
    givingNatively = true;
    try {
      super.readBuffer(bytes);
    } finally {
      this.isGiving = wasGiving;
      givingNatively = before;
      if (!wasGiving)
        while (this.finishing.length > 0) this.finishWrite(this.finishing.shift()!, 0);
    }
  }

  /** Called by native code, too. */
  abstract isClosing(): boolean;

  /** The peer has ended its side. */
  giveEnd(): void {
    if (!this.isTakenNatively) {
      this.giveStatus(this, UV_EOF);
      return;
    }
    super.emitEOF();
    runTicks();
  }

  /** Reading has failed, with a negated error number. Native listeners pass that on to this. */
  giveError(status: number): void {
    this.giveStatus(this.tls ?? this, status);
  }

  private giveStatus(to: Pick<NativeStream, "onread">, status: number): void {
    streamBaseState[kReadBytesOrError] = status;
    tell(this.scope, to.onread, to);
  }
}

function encodingOf(name: unknown): BufferEncoding {
  return name === "buffer" || name === undefined ? "utf8" : (name as BufferEncoding);
}

function newRequest(): WriteRequest {
  return { writeStatus: null };
}

/** Tells a request made by JavaScript, in the context that it was made in. */
function doneOf(request: NativeRequest): (status: number) => void {
  const scope = new AsyncResource("WRITEWRAP");
  return (status) => {
    if (request.oncomplete !== undefined) tell(scope, request.oncomplete, request, status);
  };
}
