/**
 * Regions: memfds with the headers and rings of sockets, cut into blocks of one size.
 *
 * A program can map only the regions that its sockets are in, so every session has regions of its
 * own; a socket that is passed on takes its region along. Headers come first, then the rings, which
 * begin on pages. A block is used again with another generation, so that whoever still knows the
 * last one sees that it is gone.
 *
 * Programs keep what they have mapped, so regions should not come and go: one of each size that no
 * socket needs is kept while there is memory.
 */
import { ENOMEM } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { PAGE_BYTES } from "../ring/arena.js";
import {
  LAYOUT_MAGIC,
  LAYOUT_VERSION,
  RegionAt,
  SOCKET_BYTES,
  SocketAt,
} from "../ring/engine-layout.js";
import type { SharedMemory, SharedPart } from "./shared-memory.js";

/** Bytes of the two rings of a block; powers of two. */
export interface RingSizes {
  /** To the program. */
  readonly rxBytes: number;
  /** To the engine. */
  readonly txBytes: number;
}

/** Blocks of the first region of a size, and by how much more the next ones have. */
const FIRST_BLOCKS = 4;
const GROWTH = 4;
const MOST_BLOCKS = 128;
/**
 * A region takes at most this part of what is free, so that many programs find room. Measured: 64 programs that open
 * 13,000 sockets at once take 1,510 MB of 1,751 at most, with rings that shrink from 0.4 on; with 1/128, and from 0.5 on, all
 * of it.
 */
const SHARE_OF_FREE = 1 / 512;
/** Regions that no socket needs are kept while the memory is less full than this. */
const KEEP_FULLNESS = 0.5;
/**
 * And of those of a session so many bytes, beside one of each size: connections that come and go in
 * waves would map anew each time, on both sides.
 */
const KEEP_BYTES = 16 << 20;

/** A block in use. */
export interface Block {
  readonly region: Region;
  readonly index: number;
  /** Offset of the header in the arena, and in its region. */
  readonly at: number;
  readonly headerAt: number;
  /** Offsets of the rings in the arena. */
  readonly rxAt: number;
  readonly rxBytes: number;
  readonly txAt: number;
  readonly txBytes: number;
  readonly generation: number;
}

export class Region {
  readonly id: number;
  readonly part: SharedPart;
  readonly sizes: RingSizes;
  readonly blocks: number;
  readonly pool: RegionPool;
  /** Who was given its descriptor. */
  readonly known = new WeakSet<object>();
  private readonly memory: SharedMemory;
  private readonly free: number[] = [];
  private readonly generations: Uint32Array;

  constructor(
    pool: RegionPool,
    memory: SharedMemory,
    id: number,
    sizes: RingSizes,
    blocks: number,
    isFirst: boolean,
  ) {
    this.pool = pool;
    this.memory = memory;
    this.id = id;
    this.sizes = sizes;
    this.blocks = blocks;
    this.generations = new Uint32Array(blocks);
    const bytes = headersBytes(blocks) + blocks * (sizes.rxBytes + sizes.txBytes);
    this.part = memory.create("millrace-region", bytes, isFirst);
    const { view } = memory;
    view.setUint32(this.part.at + RegionAt.magic, LAYOUT_MAGIC, true);
    view.setUint32(this.part.at + RegionAt.version, LAYOUT_VERSION, true);
    view.setUint32(this.part.at + RegionAt.regionId, id, true);
    view.setUint32(this.part.at + RegionAt.bytes, bytes, true);
    for (let i = blocks - 1; i >= 0; i--) this.free.push(i);
  }

  get isFull(): boolean {
    return this.free.length === 0;
  }

  get isUnused(): boolean {
    return this.free.length === this.blocks;
  }

  /** A free block with a fresh header. Precondition: not {@link isFull}. */
  take(socketId: number, kind: number, family: number): Block {
    const index = this.free.pop()!;
    const { rxBytes, txBytes } = this.sizes;
    this.generations[index]! += 1;
    const headerAt = (1 + index) * SOCKET_BYTES;
    const ringsAt = headersBytes(this.blocks) + index * (rxBytes + txBytes);
    const at = this.part.at + headerAt;
    const block: Block = {
      region: this,
      index,
      at,
      headerAt,
      rxAt: this.part.at + ringsAt,
      rxBytes,
      txAt: this.part.at + ringsAt + rxBytes,
      txBytes,
      generation: this.generations[index]!,
    };
    const { bytes, view } = this.memory;
    bytes.fill(0, at, at + SOCKET_BYTES);
    view.setUint32(at + SocketAt.socketId, socketId, true);
    view.setUint16(at + SocketAt.kind, kind, true);
    view.setUint16(at + SocketAt.family, family, true);
    view.setUint32(at + SocketAt.rxAt, ringsAt, true);
    view.setUint32(at + SocketAt.rxBytes, rxBytes, true);
    view.setUint32(at + SocketAt.txAt, ringsAt + rxBytes, true);
    view.setUint32(at + SocketAt.txBytes, txBytes, true);
    view.setInt32(at + SocketAt.peekOff, -1, true);
    view.setUint32(at + SocketAt.generation, block.generation, true);
    return block;
  }

  give(index: number): void {
    this.free.push(index);
  }
}

const headersBytes = (blocks: number): number =>
  Math.ceil(((1 + blocks) * SOCKET_BYTES) / PAGE_BYTES) * PAGE_BYTES;

/** Every region by its number. */
export class Regions {
  readonly memory: SharedMemory;
  private readonly byId = new Map<number, Region>();
  private nextId = 1;

  constructor(memory: SharedMemory) {
    this.memory = memory;
  }

  get(id: number): Region | undefined {
    return this.byId.get(id);
  }

  get size(): number {
    return this.byId.size;
  }

  /** `isFirst`: see `SharedMemory.create`. Throws `NetError` ENOMEM. */
  create(pool: RegionPool, sizes: RingSizes, blocks: number, isFirst: boolean): Region {
    const region = new Region(pool, this.memory, this.nextId, sizes, blocks, isFirst);
    this.byId.set(this.nextId++, region);
    return region;
  }

  /** Gives up what no socket of any session needs; whether there was any. */
  trim(): boolean {
    const pools = new Set([...this.byId.values()].map((region) => region.pool));
    let freed = false;
    for (const pool of pools) if (pool.trim()) freed = true;
    return freed;
  }

  destroy(region: Region): void {
    this.byId.delete(region.id);
    this.memory.destroy(region.part);
  }
}

/** The regions of one session, and of what outlives it. */
export class RegionPool {
  private readonly regions: Regions;
  private readonly list: Region[] = [];
  private isRetired = false;

  constructor(regions: Regions) {
    this.regions = regions;
  }

  /** A block with rings of these sizes. Throws `NetError` ENOMEM. */
  take(socketId: number, kind: number, family: number, sizes: RingSizes): Block {
    const { list } = this;
    for (let i = 0; i < list.length; i++) {
      const r = list[i]!;
      if (!r.isFull && sameSizes(r.sizes, sizes)) return r.take(socketId, kind, family);
    }
    return this.grow(sizes).take(socketId, kind, family);
  }

  /** The same in a region that is there and that the session has mapped; null: there is none. */
  takeKnown(
    socketId: number,
    kind: number,
    family: number,
    sizes: RingSizes,
    session: object,
  ): Block | null {
    const { list } = this;
    for (let i = 0; i < list.length; i++) {
      const r = list[i]!;
      if (r.isFull || !r.known.has(session) || !sameSizes(r.sizes, sizes)) continue;
      return r.take(socketId, kind, family);
    }
    return null;
  }

  private grow(sizes: RingSizes): Region {
    const fits = this.list.filter((r) => sameSizes(r.sizes, sizes));
    const most = fits.reduce((n, r) => Math.max(n, r.blocks), 0);
    const wanted = most === 0 ? FIRST_BLOCKS : Math.min(most * GROWTH, MOST_BLOCKS);
    const { freeBytes } = this.regions.memory;
    const share = Math.floor((freeBytes * SHARE_OF_FREE) / (sizes.rxBytes + sizes.txBytes));
    const blocks = Math.max(FIRST_BLOCKS, Math.min(wanted, share));
    const region = this.create(sizes, blocks, most === 0);
    this.list.push(region);
    return region;
  }

  /** What is free may lie in pieces: smaller regions, then, and what is only kept goes. */
  private create(sizes: RingSizes, blocks: number, isFirst: boolean): Region {
    for (let n = blocks; ; n >>= 1) {
      try {
        return this.regions.create(this, sizes, n, isFirst);
      } catch (error) {
        if (!(error instanceof NetError) || error.errno !== -ENOMEM) throw error;
        if (n === 1 && !this.regions.trim()) throw error;
        if (n === 1) n = 2;
      }
    }
  }

  /** The socket of the block is gone. */
  give(block: Block): void {
    const { region } = block;
    region.give(block.index);
    if (!region.isUnused) return;
    const isSpare = (r: Region): boolean =>
      r !== region && r.isUnused && sameSizes(r.sizes, region.sizes);
    const isScarce = this.regions.memory.fullness > KEEP_FULLNESS;
    const isEnough = this.unusedBytes > KEEP_BYTES && this.list.some(isSpare);
    if (this.isRetired || isScarce || isEnough) this.destroy(region);
  }

  private get unusedBytes(): number {
    let bytes = 0;
    for (const region of this.list) if (region.isUnused) bytes += region.part.bytes;
    return bytes;
  }

  /** Gives up what no socket needs; whether there was any. */
  trim(): boolean {
    const unused = this.list.filter((region) => region.isUnused);
    for (const region of unused) this.destroy(region);
    return unused.length > 0;
  }

  /** The session is over; what its sockets still need stays until they are gone. */
  retire(): void {
    this.isRetired = true;
    this.trim();
  }

  private destroy(region: Region): void {
    this.list.splice(this.list.indexOf(region), 1);
    this.regions.destroy(region);
  }
}

const sameSizes = (a: RingSizes, b: RingSizes): boolean =>
  a.rxBytes === b.rxBytes && a.txBytes === b.txBytes;
