/**
 * A ring pair alone, in private memory, with the test in the place of the peer: it writes descriptors
 * and indices as it likes. Used by the tests and by the fuzzer.
 */
import type { Counters } from "../base/counters.js";
import { Arena } from "../ring/arena.js";
import { Pool, PoolMemory } from "../ring/pool.js";
import { DeviceTally } from "./device-tally.js";
import { ClientQueue } from "./memif-client-queue.js";
import type { ExpressQueue } from "./memif-express.js";
import { ExpressClientQueue } from "./memif-express-client.js";
import { ExpressRing, expressBytes } from "./memif-express-ring.js";
import { ExpressServerQueue } from "./memif-express-server.js";
import type { QueuePair } from "./memif-queue.js";
import { MemifRing, ringBytes } from "./memif-ring.js";
import { ServerQueue } from "./memif-server-queue.js";
import { type MemifCounter, memifCounters } from "./memif-tally.js";

const SIZE = { smallSlots: 256, bigSlots: 8 };
const RING_SIZE = 64;
const BIG_SIZE = 4;
const REGION_BYTES = 65_536;

export interface QueueRig {
  readonly queue: QueuePair;
  readonly pool: Pool;
  readonly counters: Counters<MemifCounter>;
  /** The ring that the queue receives from. */
  readonly rx: MemifRing;
  /** What the peer has published. */
  published: number;
  /** Publishes so many frames in all to `rx`. */
  publish(n: number): void;
  /** Publishes an index in the other ring. */
  publishTx(n: number): void;
  /** Indices of `rx.words` that the peer can write: all of the rings. */
  sharedWords(): Generator<number>;
}

class Rings {
  readonly pool: Pool;
  readonly counters = memifCounters("test");
  readonly tally = new DeviceTally("test");
  readonly rx: MemifRing;
  readonly tx: MemifRing;
  readonly big: MemifRing;
  readonly regionAt: number;
  private readonly from: number;
  private readonly bytes: number;

  constructor(bigSlots = SIZE.bigSlots) {
    const stride = ringBytes(RING_SIZE);
    const size = { ...SIZE, bigSlots };
    const arena = new Arena(PoolMemory.sizeBytes(size) + 4 * stride + REGION_BYTES + 131_072);
    this.pool = new Pool(new PoolMemory(arena, size));
    this.bytes = 3 * stride;
    this.from = arena.lend(this.bytes);
    this.regionAt = arena.lend(REGION_BYTES);
    this.rx = new MemifRing(arena, this.from, RING_SIZE);
    this.tx = new MemifRing(arena, this.from + stride, RING_SIZE);
    this.big = new MemifRing(arena, this.from + 2 * stride, BIG_SIZE);
    for (const ring of [this.rx, this.tx, this.big]) ring.initialise(1);
  }

  get context() {
    const { pool, counters, tally } = this;
    return { pool, counters, tally, leavesPayload: true };
  }

  *words(): Generator<number> {
    for (let at = this.from >>> 2; at < (this.from + this.bytes) >>> 2; at++) yield at;
  }
}

/** A server's queue; its client has one region, number 1, of 64 KiB. */
export function serverRig(): QueueRig {
  const rings = new Rings();
  const regions = { at: new Int32Array(256), bytes: new Int32Array(256) };
  regions.at[1] = rings.regionAt;
  regions.bytes[1] = REGION_BYTES;
  const { rx, tx } = rings;
  const queue = new ServerQueue(rings.context, regions, {
    rx,
    tx,
    rxEventFd: -1,
    txEventFd: -1,
  });
  queue.start();
  return rigOf(
    rings,
    queue,
    (n) => rx.storeHead(n),
    (n) => tx.storeHead(n),
  );
}

/** A client's queue. */
export function clientRig(): QueueRig {
  const rings = new Rings();
  const { rx, tx } = rings;
  const queue = new ClientQueue(rings.context, {
    rx,
    tx,
    txEventFd: -1,
    rxEventFd: -1,
    postedSlots: RING_SIZE,
  });
  queue.start();
  return rigOf(
    rings,
    queue,
    (n) => rx.storeTail(n),
    (n) => tx.storeTail(n),
  );
}

function rigOf(
  rings: Rings,
  queue: QueuePair,
  storeRx: (n: number) => void,
  storeTx: (n: number) => void,
): QueueRig {
  return {
    queue,
    pool: rings.pool,
    counters: rings.counters,
    rx: rings.rx,
    published: 0,
    publish(n) {
      this.published = n & 0xffff;
      storeRx(this.published);
    },
    publishTx: storeTx,
    sharedWords: () => rings.words(),
  };
}

/** As {@link QueueRig}, of express rings. */
export interface ExpressRig {
  readonly queue: ExpressQueue;
  readonly pool: Pool;
  readonly counters: Counters<MemifCounter>;
  readonly rx: ExpressRing;
  readonly tx: ExpressRing;
  /** Where a client's region begins in the arena. */
  readonly regionAt: number;
  /** Free for the test: frames taken so far. */
  taken: number;
  sharedWords(): Generator<number>;
}

const EXPRESS_SIZE = 32;

function expressRings(size = EXPRESS_SIZE, bigSlots = SIZE.bigSlots) {
  const plain = new Rings(bigSlots);
  const { arena } = plain.pool.memory;
  const bytes = expressBytes(size);
  const from = arena.lend(2 * bytes);
  const rx = new ExpressRing(arena, from, size);
  const tx = new ExpressRing(arena, from + bytes, size);
  for (const ring of [rx, tx]) ring.initialise(1);
  function* sharedWords(): Generator<number> {
    yield* plain.words();
    for (let at = from >>> 2; at < (from + 2 * bytes) >>> 2; at++) yield at;
  }
  return { plain, rx, tx, sharedWords };
}

/** A server's express queue; its client has one region, number 1, of 64 KiB. */
export function expressServerRig(size?: number, bigSlots?: number): ExpressRig {
  const { plain, rx, tx, sharedWords } = expressRings(size, bigSlots);
  const regions = { at: new Int32Array(256), bytes: new Int32Array(256) };
  regions.at[1] = plain.regionAt;
  regions.bytes[1] = REGION_BYTES;
  const events = { rxEventFd: -1, txEventFd: -1 };
  const rings = { rx, tx, small: plain.tx, big: plain.big, ...events };
  const queue = new ExpressServerQueue(plain.context, regions, rings);
  queue.start();
  const { pool, counters, regionAt } = plain;
  return { queue, pool, counters, rx, tx, regionAt, taken: 0, sharedWords };
}

/** A client's express queue. */
export function expressClientRig(): ExpressRig {
  const { plain, rx, tx, sharedWords } = expressRings();
  const queue = new ExpressClientQueue(plain.context, {
    rx,
    tx,
    small: plain.rx,
    big: plain.big,
    txEventFd: -1,
    rxEventFd: -1,
    postedSlots: 16,
    postedBigSlots: BIG_SIZE,
  });
  queue.start();
  const { pool, counters, regionAt } = plain;
  return { queue, pool, counters, rx, tx, regionAt, taken: 0, sharedWords };
}
