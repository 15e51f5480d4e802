/**
 * Frames between a TAP descriptor and the arena, many per call: native/addon/tap-frames.c.
 *
 * The caller fills the arrays of places, calls, and reads the lengths. Each frame has the 12 bytes
 * of its virtio-net header directly before its place.
 */
import { type Addon, addon, type TapQueueHandle } from "./addon.js";
import { failure } from "./check.js";

export interface QueueSize {
  /** Frames that one call moves at most. */
  readonly frames: number;
  /** Big places that can be posted. */
  readonly bigFrames: number;
  /** Bytes of a frame that a small place holds, and a big one. */
  readonly smallRoomBytes: number;
  readonly bigRoomBytes: number;
}

export class TapQueue {
  /** Receive: where frames may go in the arena. */
  readonly smallAts: Int32Array;
  readonly bigAts: Int32Array;
  /** Receive: the frames' lengths. */
  readonly rxLengths: Int32Array;
  /** Transmit: where the frames are and how long; a frame that was refused gets its error number. */
  readonly txAts: Int32Array;
  readonly txLengths: Int32Array;
  private readonly handle: TapQueueHandle;
  private readonly native: Addon;
  private readonly smallRoomBytes: number;
  private readonly bigRoomBytes: number;

  /** Borrows the descriptor: close the queue first. */
  constructor(fd: number, memory: Uint8Array, size: QueueSize) {
    this.smallAts = new Int32Array(size.frames);
    this.bigAts = new Int32Array(size.bigFrames);
    this.rxLengths = new Int32Array(size.frames);
    this.txAts = new Int32Array(size.frames);
    this.txLengths = new Int32Array(size.frames);
    this.smallRoomBytes = size.smallRoomBytes;
    this.bigRoomBytes = size.bigRoomBytes;
    this.native = addon();
    const { smallAts, bigAts, rxLengths, txAts, txLengths } = this;
    const handle = this.native.tapQueueOpen(
      fd,
      memory,
      smallAts,
      bigAts,
      rxLengths,
      txAts,
      txLengths,
    );
    if (typeof handle === "number") throw failure(handle, "tapQueueOpen");
    this.handle = handle;
  }

  /**
   * Hot path. Reads up to `n` frames into the first `n` small places, long ones into the first
   * `nBig` big places but the last: how many, or a negative error number, EAGAIN for none.
   */
  receive(n: number, nBig: number): number {
    return this.native.tapReceive(this.handle, n, nBig, this.smallRoomBytes, this.bigRoomBytes);
  }

  /** Hot path. Writes the first `n` frames: how many the kernel dealt with, or an error number. */
  transmit(n: number): number {
    return this.native.tapTransmit(this.handle, n);
  }

  /** Lets go of the memory. Later calls are EBADF. Idempotent. */
  close(): void {
    this.native.tapQueueClose(this.handle);
  }
}
