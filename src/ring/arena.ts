/**
 * The one address space of a loop (docs/architecture.md, principle 2): frames, rings and tables all lie in it, so that
 * a place is a 32-bit offset everywhere and WebAssembly kernels work on frames where they are.
 *
 * It is a non-shared `WebAssembly.Memory` whose initial size is its maximum: growing would detach
 * every view. Untouched pages cost nothing. Memory that another process or thread shares is mapped
 * into it at page-aligned offsets (`sys/`), or, between threads of one process, is a
 * `SharedArrayBuffer` given by the caller.
 */
import { ENOMEM } from "../base/errno.js";
import { NetError } from "../base/errors.js";

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
  /** Regions lent out, from the top down; they and what is reserved never overlap. */
  private readonly lent: { readonly at: number; readonly end: number }[] = [];

  /** A new arena of at least `sizeBytes` (up to 4 GiB), or one over a caller's buffer. */
  constructor(sizeOrBuffer: number | SharedArrayBuffer | ArrayBuffer) {
    if (typeof sizeOrBuffer === "number") {
      const pages = Math.ceil(sizeOrBuffer / WASM_PAGE_BYTES);
      this.memory = reserve(pages);
      this.buffer = this.memory.buffer;
    } else {
      this.memory = null;
      this.buffer = sizeOrBuffer;
    }
    this.bytes = new Uint8Array(this.buffer);
  }

  /** Bytes not reserved yet. */
  get freeBytes(): number {
    return this.topOfFree - this.reservedBytes;
  }

  private get topOfFree(): number {
    return this.lent.at(-1)?.at ?? this.bytes.length;
  }

  /**
   * Reserves a page-aligned region for good and returns its offset. Throws `RangeError` when the
   * arena is too small: sizes are decided when a host is built, never per packet.
   */
  reserve(sizeBytes: number): number {
    const at = this.reservedBytes;
    const end = Math.ceil((at + sizeBytes) / PAGE_BYTES) * PAGE_BYTES;
    if (end > this.topOfFree) {
      throw new RangeError(
        `arena: expected ${sizeBytes} free bytes, got ${this.freeBytes} of ${this.bytes.length}`,
      );
    }
    this.reservedBytes = end;
    return at;
  }

  /**
   * Lends a page-aligned region for a time, for memory that is mapped and unmapped while the host
   * runs, and returns its offset, or -1 when there is no such room. Its contents are whatever they
   * were. The lowest `keptBytes` of what may be lent are left alone: they stay in one piece for others.
   */
  lend(sizeBytes: number, keptBytes = 0): number {
    const needed = Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES;
    let end = this.bytes.length;
    let i = 0;
    for (; i < this.lent.length && end - this.lent[i]!.end < needed; i++) end = this.lent[i]!.at;
    const floor = i < this.lent.length ? this.lent[i]!.end : this.reservedBytes;
    if (end - floor < needed || needed <= 0) return -1;
    // Those further down lie lower still.
    if (end - needed < this.reservedBytes + keptBytes) return -1;
    this.lent.splice(i, 0, { at: end - needed, end });
    return end - needed;
  }

  /** Takes back a lent region. The caller has unmapped what was mapped over it. */
  takeBack(at: number): void {
    const i = this.lent.findIndex((region) => region.at === at);
    if (i < 0) throw new RangeError(`arena: nothing is lent at ${at}`);
    this.lent.splice(i, 1);
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

/** Throws `NetError` ENOMEM. */
function reserve(pages: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new NetError(ENOMEM, {
      syscall: "mmap",
      hint: `${Math.round((pages * WASM_PAGE_BYTES) / 2 ** 20)} MiB of address space for buffers, and what Node.js takes, could not be reserved; see ulimit -v`,
    });
  }
}
