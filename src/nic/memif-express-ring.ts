/**
 * The rings of Millrace's extension, for frames between two Millrace ends: small frames lie in the ring
 * itself, and the receiver polls the very cache line that a frame begins in.
 *
 *  0                4       6        64           128
 * +----------------+-------+- - - - +------------+- - -+-------------------------
 * | cookie         | flags |        | consumed   |     | entries of 256 bytes ...
 * +----------------+-------+- - - - +------------+- - -+-------------------------
 *
 *  0          4               8          12       16   18
 * +----------+---------------+----------+--------+----+------------------------
 * | sequence | length, kind  | metadata | offset |    | the frame, if it is inline
 * +----------+---------------+----------+--------+----+------------------------
 *
 * Cookie and flags are those of a plain ring. The entry of the `n`th frame is there when its sequence is
 * `n + 1`; it is written last. Of several frames that are sent together the first one's sequence is
 * written last of all, so one ordered store shows them all. `consumed` counts the frames that the
 * receiver is done with; it tells when it finds nothing, or after many frames, so that no frame waits
 * for the store, which is a full barrier.
 *
 * Longer frames lie in slots of the client's pool: on the way to the server anywhere in region 1
 * (`offset`); on the way to the client in the next buffer that the client has posted in its plain ring
 * (`SMALL`) or in its ring of big slots (`BIG`).
 */
import type { Arena } from "../ring/arena.js";
import { storeRelease } from "../ring/ordered.js";
import { MemifRing } from "./memif-ring.js";

/** Where a frame lies: the upper byte of the second word. */
export const Kind = { INLINE: 0, REGION: 1, SMALL: 2, BIG: 3 } as const;

const ENTRY_BYTES = 256;
/** Where the frame lies in its entry. */
export const FRAME_AT = 18;
/** The longest frame that lies in the ring. */
export const INLINE_BYTES: number = ENTRY_BYTES - FRAME_AT;
const LOG2_ENTRY_WORDS = 6;
const HEADER_BYTES = 128;
const CONSUMED_AT = 64;
export const MAX_LOG2_EXPRESS = 9;

/** Bytes that an express ring takes. */
export const expressBytes = (size: number): number => HEADER_BYTES + size * ENTRY_BYTES;

export class ExpressRing extends MemifRing {
  readonly entries: number;
  private readonly consumedAt: number;

  constructor(arena: Arena, at: number, size: number) {
    super(arena, at, size);
    this.entries = (at + HEADER_BYTES) >>> 2;
    this.consumedAt = (at + CONSUMED_AT) >>> 2;
  }

  /** Hot path. Index in `words` of the `n`th frame's entry. */
  entryOf(n: number): number {
    return (this.entries + ((n & this.mask) << LOG2_ENTRY_WORDS)) | 0;
  }

  /** Hot path. The receiver's count; read it once and check it. */
  loadConsumed(): number {
    return Atomics.load(this.words, this.consumedAt);
  }

  storeConsumed(n: number): void {
    storeRelease(this.words, this.consumedAt, n);
  }
}
