/**
 * The memory that programs see: a range of one `WebAssembly.Memory`, in which frames may live too, given
 * out from its start and never given back (maps and stacks live as long as their instance).
 *
 * An address is a byte offset in the whole memory; 0 is never given out and stands for NULL. The memory
 * is not larger than 2 GiB, so that an address is never negative as an int32.
 */
import { EbpfError } from "./ebpf-error.js";

const PAGE_BYTES = 65_536;
export const MAX_MEMORY_BYTES = 2 ** 31 - PAGE_BYTES;
const FIRST_BYTES = 64;

export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Int32Array;
  private next: number;
  private readonly end: number;

  /** The range [at, end) of `memory` must be zero and stays with this object. */
  constructor(memory: WebAssembly.Memory, at: number, end: number) {
    const { buffer } = memory;
    if (at < 0 || end > buffer.byteLength || end > MAX_MEMORY_BYTES || at > end) {
      throw new RangeError(
        `expected a range of the memory (${buffer.byteLength} bytes), got ${at} to ${end}`,
      );
    }
    this.memory = memory;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Int32Array(buffer);
    this.next = Math.max(at, FIRST_BYTES);
    this.end = end;
  }

  /** A memory of its own. Pages cost nothing until they are used. */
  static create(lengthBytes: number): LinearMemory {
    const pages = Math.ceil((lengthBytes + FIRST_BYTES) / PAGE_BYTES);
    if (pages * PAGE_BYTES > MAX_MEMORY_BYTES) {
      throw new EbpfError("ENOMEM", `${lengthBytes} bytes are more than a memory can have (2 GiB)`);
    }
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    return new LinearMemory(memory, 0, pages * PAGE_BYTES);
  }

  /** Zeroed bytes at an address that is a multiple of 8. Throws `EbpfError` ENOMEM. */
  take(lengthBytes: number, what: string): number {
    const at = (this.next + 7) & ~7;
    if (at + lengthBytes > this.end) {
      throw new EbpfError(
        "ENOMEM",
        `${what} needs ${lengthBytes} bytes, and ${Math.max(0, this.end - at)} of the memory are left`,
      );
    }
    this.next = at + lengthBytes;
    return at;
  }
}

/** Rounds up to a multiple of 8. */
export const align8 = (n: number): number => Math.ceil(n / 8) * 8;
