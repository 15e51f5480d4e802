/**
 * A TCP connection of the kernel, as the backend of a handle that something native holds on to: TLS
 * wraps a handle before anybody knows where it will connect to. All others get the kernel's handle
 * itself.
 */
import { EAGAIN } from "../base/errno.js";
import { binding, type NameOut, type NativeRequest, type NativeTcp, UV_EOF } from "./natives.js";
import type { Backend, StreamHandle } from "./stream-handle.js";

const {
  WriteWrap,
  ShutdownWrap,
  kReadBytesOrError,
  kArrayBufferOffset,
  kLastWriteWasAsync,
  streamBaseState,
} = binding("stream_wrap");
/** Since Node 26 writes make their own requests. */
const MAKES_REQUESTS = binding("stream_wrap").kLastWriteErr !== undefined;

export class KernelStream implements Backend {
  private readonly real: NativeTcp;
  private lastWrite: NativeRequest | null = null;

  constructor(handle: StreamHandle, real: NativeTcp) {
    this.real = real;
    real.onread = (data) => {
      const n = streamBaseState[kReadBytesOrError]!;
      if (n > 0) handle.give(data!, streamBaseState[kArrayBufferOffset]!, n);
      else if (n === UV_EOF) handle.giveEnd();
      else if (n < 0 && n !== -EAGAIN) handle.giveError(n);
    };
  }

  get bytesRead(): number {
    return this.real.bytesRead;
  }
  get bytesWritten(): number {
    return this.real.bytesWritten;
  }
  get queuedBytes(): number {
    return this.real.writeQueueSize;
  }

  readStart(): number {
    return this.real.readStart();
  }
  readStop(): number {
    return this.real.readStop();
  }

  write(chunks: readonly Uint8Array[]): boolean | number {
    const given = MAKES_REQUESTS ? null : new WriteWrap();
    const result = this.real.writev(given, [...chunks], true);
    if (typeof result === "number" && result !== 0) return result;
    if (streamBaseState[kLastWriteWasAsync] === 0) return true;
    this.lastWrite = typeof result === "number" ? given : result;
    return false;
  }

  whenWritten(done: (status: number) => void): void {
    const request = this.lastWrite!;
    request.oncomplete = (status) => done(status as number);
  }

  shutdown(done: (status: number) => void): number {
    const request = new ShutdownWrap();
    request.oncomplete = (status) => done(status as number);
    return this.real.shutdown(request);
  }

  setNoDelay(on: boolean): number {
    return this.real.setNoDelay(on);
  }
  setKeepAlive(on: boolean, delayS: number, intervalS?: number, probes?: number): number {
    return this.real.setKeepAlive(on, delayS, intervalS, probes);
  }
  setTypeOfService(tos: number): number {
    return this.real.setTypeOfService?.(tos) ?? 0;
  }
  getTypeOfService(): number {
    return this.real.getTypeOfService?.() ?? 0;
  }
  getsockname(out: NameOut): number {
    return this.real.getsockname(out);
  }
  getpeername(out: NameOut): number {
    return this.real.getpeername(out);
  }

  /** The handle passes these on itself. */
  setReferenced(): void {}

  /** The handle closes the kernel's, which tells the requests. */
  end(): (status: number) => void {
    return () => {};
  }
}
