/**
 * A kernel's ring mapped into this process, outside the arena: rings come and go with their sockets,
 * and what the arena has reserved it keeps.
 */
import { type Addon, addon, type MappingHandle } from "./addon.js";
import { check, failure, type Hints } from "./check.js";

const HINTS: Hints = {};

export class Mapping {
  /** Without bytes once the mapping is closed. */
  readonly buffer: ArrayBuffer;
  private readonly handle: MappingHandle;
  private readonly native: Addon;

  /** Maps `lengthBytes` of what is behind the descriptor, from `fdAt` on. */
  constructor(fd: number, fdAt: number, lengthBytes: number, hints: Hints = HINTS) {
    this.native = addon();
    const handle = this.native.mappingOpen(fd, fdAt, lengthBytes);
    if (typeof handle === "number") throw failure(handle, "mmap", hints);
    const buffer = this.native.mappingBuffer(handle);
    if (typeof buffer === "number") {
      this.native.mappingClose(handle);
      throw failure(buffer, "napi_create_external_arraybuffer", hints);
    }
    this.handle = handle;
    this.buffer = buffer;
  }

  /** Unmaps; views of the buffer are empty from now on. Idempotent. */
  close(): void {
    check(this.native.mappingClose(this.handle), "munmap");
  }
}
