/** Memory of engines as programs of this process map it: for tests. */
import { Arena } from "../ring/arena.js";
import { mapShared, unmapShared } from "../sys/memory.js";

/** Where programs of this process map what engines give them. */
let arena: Arena | null = null;
const ARENA_BYTES = 1 << 29;

/** A mapped memfd. */
export interface Mapped {
  readonly buffer: ArrayBuffer;
  readonly at: number;
  readonly bytes: number;
}

export function mapFd(fd: number, bytes: number): Mapped {
  arena ??= new Arena(ARENA_BYTES);
  const at = arena.lend(bytes);
  if (at < 0) throw new Error("the test clients' address space is full");
  mapShared(arena.memory!, { at, lengthBytes: bytes, fd });
  return { buffer: arena.memory!.buffer, at, bytes };
}

export function unmap({ at, bytes }: Mapped): void {
  unmapShared(arena!.memory!, at, bytes);
  arena!.takeBack(at);
}
