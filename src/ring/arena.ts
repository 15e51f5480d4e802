/**
 * The one address space of a loop (design.md D3): frames, rings and tables all lie in it, so that
 * a place is a 32-bit offset everywhere and WebAssembly kernels work on frames where they are.
 *
 * It is a non-shared `WebAssembly.Memory` whose initial size is its maximum: growing would detach
 * every view. Untouched pages cost nothing. Memory that another process or thread shares is mapped
 * into it at page-aligned offsets (`sys/`), or, between threads of one process, is a
 * `SharedArrayBuffer` given by the caller.
 */

/** Offsets of reserved regions are multiples of this, so that memory can be mapped over them. */
export const PAGE_BYTES = 4096;
const WASM_PAGE_BYTES = 65_536;

export class Arena {
  /** Null when the arena lies on a buffer that the caller gave. */
  readonly memory: WebAssembly.Memory | null;
  readonly buffer: ArrayBufferLike;
  /** Every byte of the arena; a frame's `at` and `end` index it. */
  readonly bytes: Uint8Array;
  private reservedBytes = PAGE_BYTES; // offset 0 stays unused: it can mean "none"

  /** A new arena of at least `sizeBytes` (up to 4 GiB), or one over a caller's buffer. */
  constructor(sizeOrBuffer: number | SharedArrayBuffer | ArrayBuffer) {
    if (typeof sizeOrBuffer === "number") {
      const pages = Math.ceil(sizeOrBuffer / WASM_PAGE_BYTES);
      this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
      this.buffer = this.memory.buffer;
    } else {
      this.memory = null;
      this.buffer = sizeOrBuffer;
    }
    this.bytes = new Uint8Array(this.buffer);
  }

  /** Bytes not reserved yet. */
  get freeBytes(): number {
    return this.bytes.length - this.reservedBytes;
  }

  /**
   * Reserves a page-aligned region for good and returns its offset. Throws `RangeError` when the
   * arena is too small: sizes are decided when a host is built, never per packet.
   */
  reserve(sizeBytes: number): number {
    const at = this.reservedBytes;
    const end = Math.ceil((at + sizeBytes) / PAGE_BYTES) * PAGE_BYTES;
    if (end > this.bytes.length) {
      throw new RangeError(
        `arena: expected ${sizeBytes} free bytes, got ${this.freeBytes} of ${this.bytes.length}`,
      );
    }
    this.reservedBytes = end;
    return at;
  }

  /** An int32 column of `n` values in a region of its own; zeroed unless shared memory holds data. */
  int32s(n: number): Int32Array {
    return new Int32Array(this.buffer, this.reserve(n * 4), n);
  }

  /** As {@link int32s}, of doubles. */
  float64s(n: number): Float64Array {
    return new Float64Array(this.buffer, this.reserve(n * 8), n);
  }
}
