/**
 * The memory that a memif client shows to its server, mapped into the server's arena for as long as
 * the link is up.
 *
 * The client is not trusted: memory that it could shrink, or that is smaller than it says, is refused,
 * as touching it could end this process.
 */
import { fstatSync } from "node:fs";
import { EINVAL, ENOMEM } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { type Arena, PAGE_BYTES } from "../ring/arena.js";
import { closeFd } from "../sys/fd.js";
import { fdBytes, mapShared, requireSealed, unmapShared } from "../sys/memory.js";

const MAX_REGIONS = 256;
/** Places within a region are int32 on the data path. */
const MAX_REGION_BYTES = 0x7fff_ffff;

/** What the data path looks at: 256 of each. */
export interface RegionTable {
  /** Where region `i` lies in the arena. */
  readonly at: Int32Array;
  /** How long it is; 0 when there is none. */
  readonly bytes: Int32Array;
}

export class PeerRegions implements RegionTable {
  private readonly arena: Arena;
  readonly at = new Int32Array(MAX_REGIONS);
  readonly bytes = new Int32Array(MAX_REGIONS);
  private n = 0;

  constructor(arena: Arena) {
    this.arena = arena;
  }

  /** Maps the next region; takes the descriptor. Throws `NetError` that says why it may not be. */
  add(index: number, sizeBytes: number, fd: number): void {
    try {
      this.map(index, sizeBytes, fd);
    } finally {
      closeFd(fd);
    }
  }

  private map(index: number, sizeBytes: number, fd: number): void {
    const { memory } = this.arena;
    if (memory === null) throw refused(EINVAL, "the pool's arena is no WebAssembly.Memory");
    if (index !== this.n || index >= MAX_REGIONS) throw refused(EINVAL, `region index ${index}`);
    if (!(sizeBytes > 0 && sizeBytes <= MAX_REGION_BYTES)) {
      throw refused(EINVAL, `region ${index} of ${sizeBytes} bytes`);
    }
    requireSealed(fd);
    // A fault in a hole of a file of huge pages can end the process when there is none left.
    if (fstatSync(fd).blksize > PAGE_BYTES) throw refused(EINVAL, `region ${index} has huge pages`);
    const heldBytes = fdBytes(fd);
    if (heldBytes < sizeBytes) {
      throw refused(
        EINVAL,
        `region ${index} is said to have ${sizeBytes} bytes, it has ${heldBytes}`,
      );
    }
    const lengthBytes = Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES;
    const at = this.arena.lend(lengthBytes);
    if (at < 0) {
      const room = Math.round(this.arena.freeBytes / 1_048_576);
      const hint = `region ${index} of ${sizeBytes} bytes does not fit: about ${room} MiB are left for peers' memory; make the pool with createPool({ peerBytes })`;
      throw refused(ENOMEM, hint);
    }
    try {
      mapShared(memory, { at, lengthBytes, fd });
    } catch (error) {
      this.arena.takeBack(at);
      throw error;
    }
    this.at[index] = at;
    this.bytes[index] = sizeBytes;
    this.n++;
  }

  /** Where a range of a region lies in the arena, or -1 when it is outside. For set-up. */
  placeOf(region: number, offset: number, lengthBytes: number): number {
    if (region >= this.n || offset + lengthBytes > this.bytes[region]!) return -1;
    return this.at[region]! + offset;
  }

  /** Unmaps everything. */
  close(): void {
    const memory = this.arena.memory!;
    for (let i = 0; i < this.n; i++) {
      const lengthBytes = Math.ceil(this.bytes[i]! / PAGE_BYTES) * PAGE_BYTES;
      unmapShared(memory, this.at[i]!, lengthBytes);
      this.arena.takeBack(this.at[i]!);
      this.bytes[i] = 0;
    }
    this.n = 0;
  }
}

const refused = (errno: number, hint: string): NetError =>
  new NetError(errno, { syscall: "memif", hint });
