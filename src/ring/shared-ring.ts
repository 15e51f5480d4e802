/**
 * Bounded single-producer single-consumer queue of int32 values between two threads, or between two
 * processes that map the same memory.
 *
 * The producer owns `tail`, the consumer `head`; both count for ever and wrap at 2^32. Each side
 * keeps a private copy of its own index, so the other side cannot move it, and publishes it with
 * `Atomics.store` once per batch (`publish`, `release`). An index read from the other side is read
 * once and checked: a difference outside [0, capacity] can only come from a broken or hostile peer;
 * the ring is then `broken` for good, reads as empty and full, and its owner closes it. The values
 * themselves are the peer's word: whoever takes them checks them.
 *
 * | word          | written by | meaning                       |
 * |---------------|------------|-------------------------------|
 * | 0             | consumer   | head: values ever released    |
 * | 16            | producer   | tail: values ever published   |
 * | 32 and on     | producer   | the values, `capacity` of them |
 *
 * Each index has a cache line of its own.
 */
import { checkRingCapacity } from "./frame-ring.js";

const HEAD = 0;
const TAIL = 16;
const VALUES = 32;

/** Int32 words that a ring of this capacity takes. */
export const sharedRingWords = (capacity: number): number => VALUES + capacity;

/** What both ends share; a base only so that the layout is written once. */
class End {
  readonly capacity: number;
  protected readonly mask: number;
  protected readonly words: Int32Array;
  /** This side's own index, not published yet perhaps. */
  protected mine: number;
  /** The other side's index when it was last read and found sane. */
  protected theirs: number;
  private isBroken = false;

  constructor(words: Int32Array, capacity: number, mine: number, theirs: number) {
    checkRingCapacity(capacity);
    if (words.length < sharedRingWords(capacity)) {
      throw new RangeError(
        `shared ring: expected ${sharedRingWords(capacity)} words, got ${words.length}`,
      );
    }
    this.capacity = capacity;
    this.mask = capacity - 1;
    this.words = words;
    this.mine = Atomics.load(words, mine);
    this.theirs = Atomics.load(words, theirs);
  }

  /** The other side published an impossible index: nothing more goes through this ring. */
  get broken(): boolean {
    return this.isBroken;
  }

  /** Reads the other side's index, once; keeps it only when `filled` values could be in the ring. */
  protected accept(index: number, filled: number): void {
    if (filled < 0 || filled > this.capacity) this.isBroken = true;
    else this.theirs = index;
  }
}

export class SharedRingProducer extends End {
  /** `words` must be zeroed memory, or a ring that an earlier producer left. */
  constructor(words: Int32Array, capacity: number) {
    super(words, capacity, TAIL, HEAD);
  }

  /** Hot path. Values that can be put; looks at the consumer's index only when it must. */
  get room(): number {
    const known = (this.capacity - ((this.mine - this.theirs) | 0)) | 0;
    return known > 0 && !this.broken ? known : this.refreshedRoom();
  }

  /** Hot path. Puts a value that {@link publish} will show; false when full. */
  put(value: number): boolean {
    if (this.room === 0) return false;
    this.words[VALUES + (this.mine & this.mask)] = value;
    this.mine = (this.mine + 1) | 0;
    return true;
  }

  /** Hot path. Shows everything put so far to the consumer; once per batch. */
  publish(): void {
    Atomics.store(this.words, TAIL, this.mine);
  }

  private refreshedRoom(): number {
    const head = Atomics.load(this.words, HEAD);
    this.accept(head, (this.mine - head) | 0);
    return this.broken ? 0 : (this.capacity - ((this.mine - this.theirs) | 0)) | 0;
  }
}

export class SharedRingConsumer extends End {
  constructor(words: Int32Array, capacity: number) {
    super(words, capacity, HEAD, TAIL);
  }

  /** Hot path. Values ready to take; looks at the producer's index only when it must. */
  get ready(): number {
    const known = (this.theirs - this.mine) | 0;
    return known > 0 && !this.broken ? known : this.refreshedReady();
  }

  /** Hot path. The `n`th ready value. Precondition: `n < ready`. */
  valueAt(n: number): number {
    return this.words[VALUES + ((this.mine + n) & this.mask)]!;
  }

  /** Hot path. Is done with the oldest `n` values, and lets the producer overwrite them. */
  release(n: number): void {
    this.mine = (this.mine + n) | 0;
    Atomics.store(this.words, HEAD, this.mine);
  }

  private refreshedReady(): number {
    const tail = Atomics.load(this.words, TAIL);
    this.accept(tail, (tail - this.mine) | 0);
    return this.broken ? 0 : (this.theirs - this.mine) | 0;
  }
}
