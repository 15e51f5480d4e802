/**
 * Memory that the engine shares with programs: sealed memfds of its own making, mapped into the
 * arena of its pool, so that the stack copies between rings and frames without another step.
 */
import { ENOMEM } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import type { Arena } from "../ring/arena.js";
import { closeFd } from "../sys/fd.js";
import { createMemfd, mapShared, unmapShared } from "../sys/memory.js";

/**
 * This part of the address space is kept for processes that come, and the first sockets of each: a session takes
 * 1.8 MB in one piece, of which there soon is none among many small regions. 54 MB: 20 to 30 programs.
 */
const KEPT = 1 / 32;
/** Room is scarce when more than this part is taken. */
const SCARCE_FULLNESS = 0.85;

/** One mapped memfd; the descriptor stays open to be passed on. */
export interface SharedPart {
  /** Offset in the arena. */
  readonly at: number;
  readonly bytes: number;
  readonly fd: number;
}

export class SharedMemory {
  readonly bytes: Uint8Array;
  /** The whole arena as words. */
  readonly words: Int32Array;
  /** The whole arena, for little-endian fields. */
  readonly view: DataView;
  private readonly arena: Arena;
  private readonly memory: WebAssembly.Memory;
  private readonly limitBytes: number;
  private readonly keptBytes: number;
  /** Bytes that are mapped now. */
  usedBytes = 0;

  constructor(arena: Arena) {
    if (arena.memory === null) throw new TypeError("the pool's arena is no WebAssembly.Memory");
    this.arena = arena;
    this.memory = arena.memory;
    this.bytes = arena.bytes;
    const { buffer, byteOffset, byteLength } = arena.bytes;
    this.words = new Int32Array(buffer, byteOffset, byteLength >>> 2);
    this.view = new DataView(buffer, byteOffset, byteLength);
    this.limitBytes = arena.freeBytes;
    this.keptBytes = Math.floor(this.limitBytes * KEPT);
  }

  /** How much of the address space is taken, 0 to 1. */
  get fullness(): number {
    return this.usedBytes / this.limitBytes;
  }

  get freeBytes(): number {
    return this.limitBytes - this.usedBytes;
  }

  /** Whether sockets will soon be turned away. */
  get isScarce(): boolean {
    return this.fullness > SCARCE_FULLNESS;
  }

  /**
   * Makes and maps `bytes` (whole pages). `isFirst`: of a process's first things, for which some is kept. Throws
   * `NetError` ENOMEM, or what the system says.
   */
  create(name: string, bytes: number, isFirst = false): SharedPart {
    const at = this.arena.lend(bytes, isFirst ? 0 : this.keptBytes);
    if (at < 0) {
      const hint = `${bytes} bytes do not fit into the engine's ${this.limitBytes} for programs`;
      throw new NetError(ENOMEM, { syscall: "mmap", hint });
    }
    let fd = -1;
    try {
      fd = createMemfd(name, bytes);
      mapShared(this.memory, { at, lengthBytes: bytes, fd });
    } catch (error) {
      if (fd >= 0) closeFd(fd);
      this.arena.takeBack(at);
      throw error;
    }
    this.usedBytes += bytes;
    return { at, bytes, fd };
  }

  /** Unmaps it and closes its descriptor. Programs that have mapped it keep what they have. */
  destroy(part: SharedPart): void {
    unmapShared(this.memory, part.at, part.bytes);
    this.arena.takeBack(part.at);
    closeFd(part.fd);
    this.usedBytes -= part.bytes;
  }
}
