/**
 * A queue pair of express rings (`memif-express-ring.ts`): what both ends do alike.
 *
 * Measured: half a round trip of raw frames of 106 bytes between two processes: p1 230 ns, p10 245, p50
 * 260 to 280; 285, 310 and 330 with `Atomics.load` at each look, `consumed` told for each batch and a copy
 * by bytes and words; with plain rings p10 430 (node 20.20, 2 shared cores under load, 2026-11). A plain
 * ring costs three misses of the cache one after another (index, descriptor, frame), this one costs one.
 */
import type { Counters } from "../base/counters.js";
import { BATCH_FRAMES, type Batch } from "../ring/batch.js";
import { loadAcquire } from "../ring/ordered.js";
import { NO_SLOT, type Pool } from "../ring/pool.js";
import type { DeviceTally } from "./device-tally.js";
import { setLinkFlags } from "./frame-slots.js";
import type { Lane } from "./lane.js";
import { copyInArena } from "./memif-copy.js";
import { type ExpressRing, FRAME_AT, INLINE_BYTES, Kind } from "./memif-express-ring.js";
import * as offload from "./memif-offload.js";
import {
  MIN_FRAME_BYTES,
  notify,
  type QueueContext,
  type QueuePair,
  RX_FRAME_OFFSET,
} from "./memif-queue.js";
import { Count, type MemifCounter } from "./memif-tally.js";

const { INLINE } = Kind;
const LEAST: number = MIN_FRAME_BYTES;
const FRAME_WORD = FRAME_AT >>> 2;
/** Group bit of the destination, in the word whose upper half the frame begins with. */
const GROUP_BIT = 0x1_0000;
/** Words of a cache line. */
const LINE_WORDS = 16;
/**
 * A batch ends after so many bytes, as many as a stream of Node's reads in a turn: what was copied here is
 * read again before it has left this core's cache, and the receive queue does not grow while it is read.
 * Measured: `node-net-bulk`, processor time of the receiver's turns, 590 ms a gigabyte instead of 705 (medians
 * of four interleaved rounds; node 20.20, 2 shared cores that others used, 2026-11).
 */
const BATCH_BYTES = 262_144;
/** Received frames that the sender is told of at once, in a large ring; fewer wait for an idle look. */
const MOST_UNSHOWN = 32;

/** `takeSlot` and the like when there is no slot for the frame: it stays in the ring. */
export const WAIT = -2;

/** The ends differ in frames that do not lie in the ring. */
export abstract class ExpressQueue implements QueuePair, Lane {
  abstract readonly eventFd: number;
  readonly lane: Lane = this;
  isBroken = false;
  protected readonly pool: Pool;
  protected readonly tally: DeviceTally;
  protected readonly counters: Counters<MemifCounter>;
  private readonly words: Int32Array;
  protected readonly rx: ExpressRing;
  protected readonly tx: ExpressRing;
  private readonly txEventFd: number;
  /** The pool was empty when buffers were to be posted: to be tried again. */
  protected isShort = false;
  private received = 0;
  /** What the sender was last told of `received`. */
  private shown = 0;
  private readonly showAfter: number;
  /** Frames of the last batch whose payload lies with the peer: their entries are not done with. */
  protected left = 0;
  /** Keeps the load of a line from being left out. */
  protected touched = 0;
  /** Frames ever put. */
  protected sent = 0;
  /** Of those, how many the peer was done with when last looked at. */
  protected done = 0;
  /** Length of the frame that `place` was asked for. */
  private placedBytes = 0;

  constructor(context: QueueContext, rx: ExpressRing, tx: ExpressRing, txEventFd: number) {
    this.pool = context.pool;
    this.tally = context.tally;
    this.counters = context.counters;
    this.words = rx.words;
    this.rx = rx;
    this.tx = tx;
    this.showAfter = Math.max(1, Math.min(MOST_UNSHOWN, rx.size >> 2));
    this.txEventFd = txEventFd;
  }

  /**
   * Takes a received frame that lies in a slot, or starts in one: the slot with `at` and `end` set, or
   * NO_SLOT when it was dropped and counted, or {@link WAIT}. `metadata` as in memif-offload.ts.
   */
  protected abstract takeSlot(
    entry: number,
    kind: number,
    lengthBytes: number,
    metadata: number,
  ): number;
  /**
   * Puts a frame that does not fit an entry; takes the slot. The kind, or below 0 when the frame has to
   * wait ({@link WAIT}) or cannot be sent (-1), and the slot stays the caller's.
   */
  protected abstract putSlot(entry: number, slot: number, lengthBytes: number): number;
  /** Sees to it that nothing of what was {@link left} is needed there any more. */
  protected abstract land(): void;
  /** The peer is done with frames up to `done`. */
  protected abstract onDone(done: number): void;
  /** Posts buffers, if it is this end that does. */
  protected abstract replenish(): void;
  abstract start(): void;
  abstract close(): number;

  get hasFrames(): boolean {
    return this.isThere(0);
  }

  /** Whether the `k`th frame from now on has come. */
  protected isThere(k: number): boolean {
    const n = (this.received + k) | 0;
    return loadAcquire(this.words, this.rx.entryOf(n)) === ((n + 1) | 0);
  }

  setMask(isMasked: boolean): void {
    this.rx.setMask(isMasked);
    if (!isMasked && this.left === 0) this.showConsumed(); // no idle look will
  }

  /**
   * Hot path. The look at the next entry touches the entry's second line as well, so that both are on
   * their way when a frame has come.
   * Measured: an idle look 10 ns by `Atomics.load`, 2 plain (node 20.20, 2 shared cores, 2026-11).
   */
  receive(nowUs: number, batch: Batch): void {
    if (this.left !== 0) this.land();
    const { words, received } = this;
    const entry = this.rx.entryOf(received);
    this.touched = words[entry + LINE_WORDS]!;
    if (loadAcquire(words, entry) === ((received + 1) | 0) && !this.isBroken)
      this.takeFrames(nowUs, batch);
    else this.whileIdle();
  }

  /** Hot path. What can wait until no frame does. */
  private whileIdle(): void {
    if (this.isBroken) return;
    if (this.shown !== this.received) this.showConsumed();
    if (this.isShort) this.replenish();
  }

  /** Hot path. The sender may use again what was taken. */
  private showConsumed(): void {
    this.shown = this.received;
    this.rx.storeConsumed(this.received);
  }

  /** Hot path. Precondition: the next frame is there. */
  private takeFrames(nowUs: number, batch: Batch): void {
    const { words, rx, pool } = this;
    if (this.isShort) this.replenish();
    const firstNew = batch.n;
    let n = this.received;
    let bytes = 0;
    // Frames that are dropped count, too: the peer may put such as fast as they are looked at.
    const last = (n + BATCH_FRAMES) | 0;
    while (batch.n < BATCH_FRAMES && n !== last && bytes < BATCH_BYTES) {
      const entry = rx.entryOf(n);
      if (loadAcquire(words, entry) !== ((n + 1) | 0)) break;
      const slot = this.take(entry);
      if (slot === WAIT) break;
      n = (n + 1) | 0;
      if (slot === NO_SLOT) continue;
      pool.rxTimeUs[slot] = nowUs;
      bytes = (bytes + pool.end[slot]! - pool.at[slot]!) | 0;
      batch.put(slot);
    }
    if (n === this.received) {
      this.whileIdle(); // no slot for it: the peer may wait for what was taken before
      return;
    }
    if (((this.received - this.shown) | 0) >= this.showAfter) this.showConsumed(); // of earlier batches
    this.received = n;
    if (this.left === 0 && ((n - this.shown) | 0) >= this.showAfter) this.showConsumed();
    this.tally.receivedFrames((batch.n - firstNew) | 0, bytes);
  }

  /** Hot path. The frame of an entry in a slot, NO_SLOT when it was dropped, or {@link WAIT}. */
  private take(entry: number): number {
    const { words } = this;
    const info = words[entry + 1]!;
    const metadata = words[entry + 2]!;
    const lengthBytes = info & 0xffffff;
    const kind = info >>> 24;
    if (kind === INLINE) return this.takeInline(entry, lengthBytes, metadata);
    const slot = this.takeSlot(entry, kind, lengthBytes, metadata);
    return slot < 0 ? slot : this.describe(slot, metadata);
  }

  /** Hot path. What is known of a frame in its slot; NO_SLOT when that makes no sense. */
  private describe(slot: number, metadata: number): number {
    const { pool } = this;
    if (!offload.read(pool, slot, metadata)) return this.refuse(slot, Count.BAD_OFFLOAD);
    setLinkFlags(pool, slot);
    return slot;
  }

  /** Hot path. Copies a frame out of its entry, by whole words: the slot has room around it. */
  private takeInline(entry: number, lengthBytes: number, metadata: number): number {
    if (lengthBytes < LEAST || lengthBytes > INLINE_BYTES) return this.refuse(-1, Count.BAD_LENGTH);
    const { words, pool } = this;
    const slot = pool.take();
    if (slot < 0) return this.wait();
    const at = (pool.base(slot) + RX_FRAME_OFFSET) | 0;
    pool.at[slot] = at;
    pool.end[slot] = at + lengthBytes;
    let to = at >>> 2;
    let from = (entry + FRAME_WORD) | 0;
    const end = (from + ((lengthBytes + 5) >>> 2)) | 0;
    for (; from < end; from = (from + 4) | 0, to = (to + 4) | 0) {
      words[to] = words[from]!;
      words[to + 1] = words[from + 1]!;
      words[to + 2] = words[from + 2]!;
      words[to + 3] = words[from + 3]!;
    }
    const isGroup = (words[at >>> 2]! & GROUP_BIT) !== 0;
    if (isGroup || !offload.readUnmade(pool, slot, at, lengthBytes, metadata)) {
      return this.describe(slot, metadata);
    }
    return slot;
  }

  protected wait(): number {
    this.tally.rxNoSlot();
    return WAIT;
  }

  /** Drops a frame for a reason, and gives its slot back if it has one. */
  protected refuse(slot: number, reason: number): number {
    this.counters.add(reason, 1);
    this.tally.rxError();
    if (slot !== NO_SLOT) this.pool.give(slot);
    return NO_SLOT;
  }

  /** Hot path. */
  transmit(batch: Batch, from: number, to: number): number {
    if (this.isBroken) return 0;
    const { tx, pool, words } = this;
    const room = this.roomFor((to - from) | 0);
    const first = this.sent;
    let n = first;
    let bytes = 0;
    let i = from;
    for (; i < to && ((n - first) | 0) < room; i++) {
      const slot = batch.slots[i]!;
      const lengthBytes = (pool.end[slot]! - pool.at[slot]!) | 0;
      const entry = tx.entryOf(n);
      const metadata = offload.write(pool, slot);
      const kind = metadata === offload.UNSAYABLE ? -1 : this.put(entry, slot, lengthBytes, n);
      if (kind < 0) {
        if (kind === WAIT) break;
        this.tally.txError();
        pool.give(slot);
        continue;
      }
      words[entry + 1] = lengthBytes | (kind << 24);
      words[entry + 2] = metadata;
      n = (n + 1) | 0;
      if (n !== ((first + 1) | 0)) words[entry] = n;
      bytes = (bytes + lengthBytes) | 0;
    }
    if (n !== first) this.publish(first, n, bytes);
    return (i - from) | 0;
  }

  /** Hot path. Where the frame went: into the entry, or a {@link Kind} of `putSlot`. */
  private put(entry: number, slot: number, lengthBytes: number, n: number): number {
    if (lengthBytes > INLINE_BYTES) {
      this.sent = n;
      return this.putSlot(entry, slot, lengthBytes);
    }
    const { pool, words } = this;
    const at = pool.at[slot]!;
    if ((at & 3) === 2) copyToEntry(words, entry, at, lengthBytes);
    else copyInArena(pool.bytes, words, (entry << 2) + FRAME_AT, at, lengthBytes);
    pool.give(slot);
    return Kind.INLINE;
  }

  /** Hot path. As {@link Lane.place}: in the next entry. */
  place(lengthBytes: number): number {
    if (lengthBytes > INLINE_BYTES || this.isBroken || this.roomFor(1) <= 0) return -1;
    this.placedBytes = lengthBytes;
    return ((this.tx.entryOf(this.sent) << 2) + FRAME_AT) | 0;
  }

  /** Hot path. */
  sendPlaced(csumStart: number, csumOffset: number): void {
    const { words, placedBytes } = this;
    const first = this.sent;
    const entry = this.tx.entryOf(first);
    words[entry + 1] = placedBytes | (Kind.INLINE << 24);
    words[entry + 2] = offload.unmade(csumStart, csumOffset);
    this.publish(first, (first + 1) | 0, placedBytes);
  }

  /** Hot path. Shows frames from `first` up to `n`. */
  private publish(first: number, n: number, bytes: number): void {
    this.sent = n;
    Atomics.store(this.words, this.tx.entryOf(first), (first + 1) | 0);
    this.tally.sentFrames((n - first) | 0, bytes);
    notify(this.tx, this.txEventFd, this.counters);
  }

  /** Hot path. Entries that are free; looks at the peer's count only when it must. */
  private roomFor(wanted: number): number {
    const { size } = this.tx;
    const known = (size - ((this.sent - this.done) | 0)) | 0;
    if (known >= wanted && known > size >> 1) return known;
    const done = this.tx.loadConsumed();
    const out = (this.sent - done) | 0;
    if (out < 0 || out > ((this.sent - this.done) | 0)) {
      this.breakLink();
      return 0;
    }
    if (done !== this.done) {
      this.onDone(done);
      this.done = done;
    }
    return (size - out) | 0;
  }

  protected breakLink(): void {
    if (!this.isBroken) this.counters.add(Count.BAD_INDEX, 1);
    this.isBroken = true;
  }

  /** Tells the peer for the last time what was taken. */
  protected lastShow(): void {
    this.land();
    if (!this.isBroken) this.showConsumed();
  }

  /** Looks once more at what the peer is done with, before the end. */
  protected lastLook(): number {
    if (!this.isBroken) this.roomFor(this.tx.size);
    return (this.sent - this.done) | 0;
  }
}

/**
 * Hot path. Copies a frame at `at`, which is 2 more than a multiple of 4 as in the entry, by words, and
 * nothing but the frame: what lies around it in the slot is not the peer's to see.
 * Measured: 106 bytes 14 ns, by `copyInArena` 22 (node 20.20, 2 shared cores, 2026-11).
 */
function copyToEntry(words: Int32Array, entry: number, at: number, lengthBytes: number): void {
  let s = at >>> 2;
  let d = (entry + (FRAME_AT >>> 2)) | 0;
  const end = (s + ((lengthBytes + 2) >>> 2)) | 0;
  words[d] = words[s]! & ~0xffff;
  s = (s + 1) | 0;
  d = (d + 1) | 0;
  const lastFour = (end - 3) | 0;
  for (; s < lastFour; s = (s + 4) | 0, d = (d + 4) | 0) {
    words[d] = words[s]!;
    words[d + 1] = words[s + 1]!;
    words[d + 2] = words[s + 2]!;
    words[d + 3] = words[s + 3]!;
  }
  for (; s < end; s = (s + 1) | 0, d = (d + 1) | 0) words[d] = words[s]!;
  const restBits = ((lengthBytes + 2) & 3) << 3;
  if (restBits !== 0) words[d] = words[s]! & ((1 << restBits) - 1);
}
