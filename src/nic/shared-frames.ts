/**
 * A pool whose slots lie in a sealed memfd, so that another process can map them: the frames that it
 * reads and writes are then the pool's own, and nothing is copied between the two.
 *
 * Only the slots' bytes are in the memfd. The metadata columns, the depot and everything else of the
 * arena stay this process's own.
 */
import { EBUSY } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import type { Pool, PoolMemory } from "../ring/pool.js";
import { closeFd } from "../sys/fd.js";
import { createMemfd, mapShared } from "../sys/memory.js";

const shared = new WeakMap<PoolMemory, number>();
const closer = new FinalizationRegistry<number>((fd) => closeFd(fd));

/**
 * The descriptor of the memfd that the pool's slots are in, which stays the pool's. Moves them there
 * at the first call; throws `NetError` EBUSY when slots are in use by then, as their bytes would be
 * lost.
 */
export function shareFrames(pool: Pool): number {
  const { memory } = pool;
  const known = shared.get(memory);
  if (known !== undefined) return known;
  const { arena, framesAt, framesBytes } = memory;
  if (arena.memory === null || pool.freeSmall + pool.freeBig < memory.slots) {
    throw new NetError(EBUSY, {
      syscall: "shareFrames",
      hint: "the pool is in use and lies in private memory; make it with createPool({ shared: true })",
    });
  }
  const fd = createMemfd("millrace-frames", framesBytes);
  try {
    mapShared(arena.memory, { at: framesAt, lengthBytes: framesBytes, fd });
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  shared.set(memory, fd);
  closer.register(memory, fd);
  return fd;
}
