/**
 * The pool: fixed-size slots that frames live in. Who holds a slot's number owns its bytes.
 *
 * Two sizes share one numbering: small slots for frames up to an Ethernet MTU, big ones for
 * segments of up to 64 KiB that a virtual device passes unsplit (docs/decisions/0001). A frame is
 * always contiguous.
 *
 * Two parts, after libumem's per-thread caches in front of shared depots:
 *  - the depot: a free list in arena memory, guarded by a spin lock, shared by every owner;
 *  - a `Pool` per owner (a loop, a thread): a local stack of slot numbers. `take` and `give` touch
 *    only that; the depot is visited once per {@link TRANSFER} slots.
 *
 * Frame metadata are columns indexed by slot number. They belong to the slot's holder too.
 *
 * | state of a slot | who may move it              | to                                   |
 * |-----------------|------------------------------|--------------------------------------|
 * | in the depot    | any owner, under the lock    | that owner's cache                   |
 * | in a cache      | the cache's owner            | held (`take`) or the depot           |
 * | held            | the holder                   | another holder, or a cache (`give`)  |
 * | held by several | each holder (`share`)        | held by one less (`give`)            |
 *
 * Forbidden: giving a slot that is not held (it would be handed out twice; asserted when CHECKED),
 * and keeping a view of a slot's bytes after giving it.
 */
import { assert, CHECKED } from "../base/assert.js";
import type { Arena } from "./arena.js";

/** Room for a frame of an MTU of 1,500 with every header, and a UMEM chunk's size. */
export const SMALL_SLOT_BYTES = 2_048;
/** The largest IP packet, its link header and the headroom, in whole pages. */
export const BIG_SLOT_BYTES = 69_632;
/**
 * Where a sender puts the transport header, so that IP, link and device headers fit before it:
 * TCP 60 is payload-side; before it IPv6 40 with 8 of options, two VLAN tags 8, Ethernet 14,
 * virtio-net 12, rounded up to cache lines.
 */
export const HEADROOM_BYTES = 128;

/**
 * A frame whose payload lies elsewhere still ({@link Pool.away}) has its first bytes, the headers among
 * them, in its slot, up to so far from the slot's beginning.
 */
export const HEAD_END_BYTES = 512;

/** `take()` when there is no slot. */
export const NO_SLOT = -1;

/** Slots that move between a cache and the depot at a time. */
export const TRANSFER = 32;
const CACHE_SLOTS = 2 * TRANSFER;

/**
 * Bits of the `flags` column. On receive they say what the device vouches for; on transmit what it
 * must still do. They mean what the flags of a virtio-net header mean (VIRTIO 1.2 §5.1.6.2).
 */
export const FrameFlags = {
  /** Receive: the transport checksum is known to be right. */
  CHECKSUM_VALID: 1,
  /**
   * Both ways: the transport checksum field holds the folded pseudo-header sum only. Whoever puts
   * the frame on a wire sums from `csumStart` to the end and stores at `csumStart + csumOffset`.
   * A receiver may take the frame as intact: it never left memory.
   */
  CHECKSUM_PARTIAL: 2,
  /** Both ways: a TCP segment over IPv4 to be split into `gsoBytes` of payload each. */
  GSO_TCP4: 4,
  /** The same over IPv6. */
  GSO_TCP6: 8,
  /** Both ways: a UDP payload to be split into datagrams of `gsoBytes` each (UDP_SEGMENT). */
  GSO_UDP: 16,
  /** Receive: the frame came as link-layer broadcast. */
  LINK_BROADCAST: 32,
  /** Receive: the frame came as link-layer multicast. */
  LINK_MULTICAST: 64,
  /** Receive: this host sent it (loopback of its own traffic). */
  LOOPED: 128,
  /** TCP with CWR set: only the first of the split segments carries it (VIRTIO `GSO_ECN`). */
  GSO_ECN: 256,
} as const;

/** Any of the segmentation requests. */
export const GSO_MASK: number = FrameFlags.GSO_TCP4 | FrameFlags.GSO_TCP6 | FrameFlags.GSO_UDP;

export interface PoolSize {
  readonly smallSlots: number;
  readonly bigSlots: number;
}

/** The shared part: slot bytes, metadata columns and the depot, at fixed places of an arena. */
export class PoolMemory {
  readonly arena: Arena;
  readonly bytes: Uint8Array;
  readonly smallSlots: number;
  readonly slots: number;
  readonly smallBase: number;
  readonly bigBase: number;

  /** Next slot of whatever list the holder keeps; `NO_SLOT` ends it. */
  readonly next: Int32Array;
  /** Offset in the arena of the frame's first byte that still counts (headers are stripped by moving it). */
  readonly at: Int32Array;
  /** Offset in the arena after the frame's last byte. */
  readonly end: Int32Array;
  /** Offset of the network header, once parsed. */
  readonly l3At: Int32Array;
  /** Offset of the transport header, once parsed. */
  readonly l4At: Int32Array;
  /** {@link FrameFlags}. */
  readonly flags: Int32Array;
  /** Payload bytes of each segment that a GSO frame is split into. */
  readonly gsoBytes: Int32Array;
  /** Offset in the arena where the transport checksum starts to cover (CHECKSUM_PARTIAL). */
  readonly csumStart: Int32Array;
  /** Bytes from `csumStart` to the checksum field. */
  readonly csumOffset: Int32Array;
  /** Index of the interface that the frame came from or goes to. */
  readonly ifIndex: Int32Array;
  /** TCP: sequence number of the first payload byte. Free for the holder otherwise. */
  readonly seq: Int32Array;
  /** TCP's send queue: next slot of the queue and end of the bytes, which a frame does not touch. */
  readonly sendNext: Int32Array;
  readonly sendEnd: Int32Array;
  /** Holders besides the first one: so many `give`s only count down. See {@link Pool.share}. */
  readonly sharers: Int32Array;
  /** See {@link Pool.away}. */
  readonly away: Int32Array;
  /** Free for the holder: flow row, queue mark. */
  readonly mark: Int32Array;
  /** Receive time in microseconds of the host's clock. */
  readonly rxTimeUs: Float64Array;

  /** Depot: [lock, small free, big free], then the free slot numbers of both classes. */
  readonly depot: Int32Array;
  /** 1 for held, 0 for free; kept only when CHECKED. */
  readonly held: Int32Array;

  /** Lays the pool out in the arena, at the same offsets for the same sizes in every owner. */
  constructor(arena: Arena, size: PoolSize, initialise = true) {
    this.arena = arena;
    this.bytes = arena.bytes;
    this.smallSlots = size.smallSlots;
    this.slots = size.smallSlots + size.bigSlots;
    this.smallBase = arena.reserve(size.smallSlots * SMALL_SLOT_BYTES);
    this.bigBase = arena.reserve(size.bigSlots * BIG_SLOT_BYTES);
    this.next = arena.int32s(this.slots);
    this.at = arena.int32s(this.slots);
    this.end = arena.int32s(this.slots);
    this.l3At = arena.int32s(this.slots);
    this.l4At = arena.int32s(this.slots);
    this.flags = arena.int32s(this.slots);
    this.gsoBytes = arena.int32s(this.slots);
    this.csumStart = arena.int32s(this.slots);
    this.csumOffset = arena.int32s(this.slots);
    this.ifIndex = arena.int32s(this.slots);
    this.seq = arena.int32s(this.slots);
    this.sendNext = arena.int32s(this.slots);
    this.sendEnd = arena.int32s(this.slots);
    this.sharers = arena.int32s(this.slots);
    this.away = arena.int32s(this.slots);
    this.mark = arena.int32s(this.slots);
    this.rxTimeUs = arena.float64s(this.slots);
    this.depot = arena.int32s(DEPOT_HEADER + this.slots);
    this.held = arena.int32s(CHECKED ? this.slots : 0);
    if (initialise) this.fillDepot();
  }

  /** Where the slots' bytes start in the arena: whole pages, and nothing but slots in them. */
  get framesAt(): number {
    return this.smallBase;
  }

  /** Bytes of all slots, in whole pages. */
  get framesBytes(): number {
    return this.bigBase - this.smallBase + (this.slots - this.smallSlots) * BIG_SLOT_BYTES;
  }

  /** Arena bytes that a pool of this size takes, for sizing the arena. */
  static sizeBytes(size: PoolSize): number {
    const slots = size.smallSlots + size.bigSlots;
    const columns = 20 * (slots * 8 + 4096);
    return size.smallSlots * SMALL_SLOT_BYTES + size.bigSlots * BIG_SLOT_BYTES + columns;
  }

  private fillDepot(): void {
    for (let slot = 0; slot < this.slots; slot++) {
      // Popped from the end: the lowest slots go out first.
      const i = slot < this.smallSlots ? this.smallSlots - 1 - slot : slot;
      this.depot[DEPOT_HEADER + i] = slot;
    }
    this.depot[DEPOT_SMALL] = this.smallSlots;
    this.depot[DEPOT_BIG] = this.slots - this.smallSlots;
  }
}

const DEPOT_LOCK = 0;
const DEPOT_SMALL = 1;
const DEPOT_BIG = 2;
const DEPOT_HEADER = 16; // the counts have a cache line of their own

/** One owner's access to the pool: the columns, and a cache of free slots of each size. */
export class Pool {
  readonly memory: PoolMemory;
  readonly bytes: Uint8Array;
  /** The same bytes, for whole words. */
  readonly view: DataView;
  readonly smallSlots: number;
  readonly bigSlots: number;
  readonly next: Int32Array;
  readonly at: Int32Array;
  readonly end: Int32Array;
  readonly l3At: Int32Array;
  readonly l4At: Int32Array;
  readonly flags: Int32Array;
  readonly gsoBytes: Int32Array;
  readonly csumStart: Int32Array;
  readonly csumOffset: Int32Array;
  readonly ifIndex: Int32Array;
  readonly seq: Int32Array;
  readonly sendNext: Int32Array;
  readonly sendEnd: Int32Array;
  readonly sharers: Int32Array;
  /**
   * How far from its place in the slot the payload of a long segment lies, in memory that its sender has
   * not got back yet; 0 for all others, and for every slot that is free. The device takes care that it is
   * in the slot ({@link land}) before it is asked for frames again. So whoever takes the payload within
   * the turn copies it once, from where it is: TCP's receive queue has `at` and `end` there. Nobody
   * writes behind `end` of such a slot, nor keeps its `at`.
   */
  readonly away: Int32Array;
  readonly mark: Int32Array;
  readonly rxTimeUs: Float64Array;
  private readonly small = new Int32Array(CACHE_SLOTS);
  private readonly big = new Int32Array(CACHE_SLOTS);
  private smallCached = 0;
  private bigCached = 0;

  constructor(memory: PoolMemory) {
    this.memory = memory;
    this.bytes = memory.bytes;
    const { buffer, byteOffset, byteLength } = memory.bytes;
    this.view = new DataView(buffer, byteOffset, byteLength);
    this.smallSlots = memory.smallSlots;
    this.bigSlots = memory.slots - memory.smallSlots;
    this.next = memory.next;
    this.at = memory.at;
    this.end = memory.end;
    this.l3At = memory.l3At;
    this.l4At = memory.l4At;
    this.flags = memory.flags;
    this.gsoBytes = memory.gsoBytes;
    this.csumStart = memory.csumStart;
    this.csumOffset = memory.csumOffset;
    this.ifIndex = memory.ifIndex;
    this.seq = memory.seq;
    this.sendNext = memory.sendNext;
    this.sendEnd = memory.sendEnd;
    this.sharers = memory.sharers;
    this.away = memory.away;
    this.mark = memory.mark;
    this.rxTimeUs = memory.rxTimeUs;
  }

  /** Hot path. A small slot, now the caller's, or NO_SLOT. Its metadata are whatever they were. */
  take(): number {
    if (this.smallCached === 0 && !this.refillSmall()) return NO_SLOT;
    this.smallCached = (this.smallCached - 1) | 0;
    const slot = this.small[this.smallCached]!;
    if (CHECKED) this.markHeld(slot);
    return slot;
  }

  /** Hot path. As {@link take}, a big slot. */
  takeBig(): number {
    if (this.bigCached === 0 && !this.refillBig()) return NO_SLOT;
    this.bigCached = (this.bigCached - 1) | 0;
    const slot = this.big[this.bigCached]!;
    if (CHECKED) this.markHeld(slot);
    return slot;
  }

  /**
   * Adds a holder: the slot is free when every one has given it. The holders agree on who uses which
   * columns and bytes (TCP's send queue and the frame that is sent from it: tcp/send-queue.ts).
   */
  share(slot: number): void {
    this.sharers[slot] = this.sharers[slot]! + 1;
  }

  /** Hot path. Returns a slot of either size to this owner's cache, unless another holds it too. */
  give(slot: number): void {
    if (this.sharers[slot]! > 0) {
      this.sharers[slot] = this.sharers[slot]! - 1;
      return;
    }
    if (CHECKED) this.markFree(slot);
    if (slot < this.smallSlots) {
      if (this.smallCached === CACHE_SLOTS) this.spillSmall(TRANSFER);
      this.small[this.smallCached] = slot;
      this.smallCached = (this.smallCached + 1) | 0;
    } else {
      if (this.bigCached === CACHE_SLOTS) this.spillBig(TRANSFER);
      this.big[this.bigCached] = slot;
      this.bigCached = (this.bigCached + 1) | 0;
    }
  }

  /** Copies what is {@link away} into the slot. `at` and `end` are in the slot afterwards. */
  land(slot: number): void {
    const away = this.away[slot]!;
    if (away === 0) return;
    this.away[slot] = 0;
    const base = this.base(slot);
    const isThere = this.at[slot]! < base || this.at[slot]! > this.limit(slot);
    if (isThere) {
      this.at[slot] = this.at[slot]! - away;
      this.end[slot] = this.end[slot]! - away;
    }
    const from = Math.max(this.at[slot]!, base + HEAD_END_BYTES);
    const end = this.end[slot]!;
    if (end > from) this.bytes.copyWithin(from, from + away, end + away);
  }

  /** Gives back a whole list linked through `next`. */
  giveList(first: number): void {
    for (let slot = first; slot !== NO_SLOT; ) {
      const following = this.next[slot]!;
      this.give(slot);
      slot = following;
    }
  }

  /** Hot path. Whether the slot is of the big size. */
  isBig(slot: number): boolean {
    return slot >= this.smallSlots;
  }

  /** Hot path. Offset of the slot's first byte in the arena. */
  base(slot: number): number {
    return slot < this.smallSlots
      ? this.memory.smallBase + slot * SMALL_SLOT_BYTES
      : this.memory.bigBase + (slot - this.smallSlots) * BIG_SLOT_BYTES;
  }

  /** Hot path. Offset after the slot's last byte. */
  limit(slot: number): number {
    return this.base(slot) + (slot < this.smallSlots ? SMALL_SLOT_BYTES : BIG_SLOT_BYTES);
  }

  /** Hot path. Payload bytes that fit into the slot behind the headroom. */
  roomBytes(slot: number): number {
    return (slot < this.smallSlots ? SMALL_SLOT_BYTES : BIG_SLOT_BYTES) - HEADROOM_BYTES;
  }

  /** Slots that nobody holds and that are in no other owner's cache; exact when this owner is alone. */
  get freeSmall(): number {
    return this.smallCached + this.memory.depot[DEPOT_SMALL]!;
  }

  get freeBig(): number {
    return this.bigCached + this.memory.depot[DEPOT_BIG]!;
  }

  /** Returns every cached slot to the depot: call it when an owner ends. */
  close(): void {
    if (this.smallCached > 0) this.spillSmall(this.smallCached);
    if (this.bigCached > 0) this.spillBig(this.bigCached);
  }

  private refillSmall(): boolean {
    const d = this.memory.depot;
    this.lock();
    const free = d[DEPOT_SMALL]!;
    const n = Math.min(TRANSFER, free);
    for (let i = 0; i < n; i++) this.small[i] = d[DEPOT_HEADER + free - n + i]!;
    d[DEPOT_SMALL] = free - n;
    this.unlock();
    this.smallCached = n;
    return n > 0;
  }

  private refillBig(): boolean {
    const d = this.memory.depot;
    this.lock();
    const free = d[DEPOT_BIG]!;
    const n = Math.min(TRANSFER, free);
    const from = DEPOT_HEADER + this.smallSlots + free - n;
    for (let i = 0; i < n; i++) this.big[i] = d[from + i]!;
    d[DEPOT_BIG] = free - n;
    this.unlock();
    this.bigCached = n;
    return n > 0;
  }

  private spillSmall(n: number): void {
    const d = this.memory.depot;
    this.lock();
    const free = d[DEPOT_SMALL]!;
    this.smallCached = (this.smallCached - n) | 0;
    for (let i = 0; i < n; i++) d[DEPOT_HEADER + free + i] = this.small[this.smallCached + i]!;
    d[DEPOT_SMALL] = free + n;
    this.unlock();
  }

  private spillBig(n: number): void {
    const d = this.memory.depot;
    this.lock();
    const free = d[DEPOT_BIG]!;
    this.bigCached = (this.bigCached - n) | 0;
    const to = DEPOT_HEADER + this.smallSlots + free;
    for (let i = 0; i < n; i++) d[to + i] = this.big[this.bigCached + i]!;
    d[DEPOT_BIG] = free + n;
    this.unlock();
  }

  /** Held for at most TRANSFER copies, so spinning is shorter than any sleep. */
  private lock(): void {
    while (Atomics.compareExchange(this.memory.depot, DEPOT_LOCK, 0, 1) !== 0);
  }

  private unlock(): void {
    Atomics.store(this.memory.depot, DEPOT_LOCK, 0);
  }

  private markHeld(slot: number): void {
    assert(this.memory.held[slot] === 0, `slot ${slot} was free when taken`);
    this.memory.held[slot] = 1;
  }

  private markFree(slot: number): void {
    assert(slot >= 0 && slot < this.memory.slots, `slot ${slot} exists`);
    assert(this.memory.held[slot] === 1, `slot ${slot} was held when given back`);
    this.memory.held[slot] = 0;
    if (CHECKED) this.bytes.fill(0xa5, this.base(slot), this.base(slot) + 256); // stale reads show
  }
}
