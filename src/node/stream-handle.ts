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
import { binding, type NameOut, type NativeRequest, type NativeStream, UV_EOF } from "./natives.js";
import { runTicksUnlessBare, tell, throwOn } from "./scope.js";

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
  readonly scope: AsyncResource = new AsyncResource("TCPWRAP");
  private isInNative = false;
  private isGiving = false;
  /** Writes that are over, and how they ended, of which native code has not been told. */
  private readonly written: NativeRequest[] = [];
  private readonly statuses: number[] = [];

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

  /**
   * An HTTP/2 session that writes while it reads is told at once, as it knows on the kernel's sockets: with a write under
   * way it would not send the GOAWAY of a program that ends it when its first stream comes. TLS cannot be told
   * then, nor can a session that reads on because of an earlier write.
   */
  onwrite(request: NativeRequest, chunks: Uint8Array[]): number {
    if (this.isInNative) this.takeThrown();
    const result = this.backend?.write(chunks) ?? -ENOTCONN;
    if (typeof result === "number") return result;
    if (result && this.isGiving && this.tls === null) this.finishWrite(request, 0);
    // Native code is still in its call: it is told when that is over.
    else if (result && this.isInNative) this.noteWritten(request, 0);
    else if (result) nextTick(() => this.noteWritten(request, 0));
    else {
      this.backend?.whenWritten((status) => {
        this.noteWritten(request, status);
        runTicksUnlessBare();
      });
    }
    return 0;
  }

  /**
   * What a tick has thrown within native code goes on in that, and comes out of the next native function that is
   * called: not in the middle of a write, which would be lost.
   */
  private takeThrown(): void {
    try {
      this.getAsyncId();
    } catch (error) {
      throwOn(error);
    }
  }

  /** Native code hears of it when it is in no other call: on the kernel's sockets each is one of the event loop's. */
  private noteWritten(request: NativeRequest, status: number): void {
    this.written.push(request);
    this.statuses.push(status);
    if (!this.isInNative) this.tellWritten();
  }

  private tellWritten(): void {
    while (this.written.length > 0) {
      this.isInNative = true;
      try {
        this.finishWrite(this.written.shift()!, this.statuses.shift()!);
      } catch (error) {
        throwOn(error);
      } finally {
        this.isInNative = false;
      }
    }
  }

  onshutdown(request: NativeRequest): number {
    const finish = (status: number): void => {
      this.finishShutdown(request, status);
      runTicksUnlessBare();
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

  /** Null is the end. */
  private giveNatively(bytes: Uint8Array | null): void {
    const { isInNative: wasInNative, isGiving: wasGiving } = this;
    this.isInNative = true;
    this.isGiving = wasGiving || !wasInNative;
    try {
      if (bytes === null) super.emitEOF();
      else super.readBuffer(bytes);
    } catch (error) {
      throwOn(error);
    } finally {
      this.isInNative = wasInNative;
      this.isGiving = wasGiving;
      if (!wasInNative) this.tellWritten();
    }
    runTicksUnlessBare();
  }

  /** Called by native code, too. */
  abstract isClosing(): boolean;

  /** The peer has ended its side. */
  giveEnd(): void {
    if (!this.isTakenNatively) {
      this.giveStatus(this, UV_EOF);
      return;
    }
    this.giveNatively(null);
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
