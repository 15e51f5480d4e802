/**
 * One memif ring in the arena, as the protocol lays it out, little-endian:
 *
 *  0        4       6      8        64     66      128
 * +--------+-------+------+- - - - +------+- - - -+------------------------------
 * | cookie | flags | head |        | tail |       | descriptors of 16 bytes ...
 * +--------+-------+------+- - - - +------+- - - -+------------------------------
 *
 *  0       2        4        8        12         16
 * +-------+--------+--------+--------+----------+
 * | flags | region | length | offset | metadata |   `offset` from the start of its region
 * +-------+--------+--------+--------+----------+
 *
 * `head` is the client's, `tail` the server's, in both directions: they count for ever modulo 2^16.
 * From client to server the client fills descriptors up to `head` and the server is done with those
 * before `tail`; from server to client the client posts empty buffers up to `head` and the server
 * fills those before `tail`. The consumer of frames sets the flag MASK_INT while it polls.
 *
 * Little-endian machines only, as the protocol is.
 */
import type { Arena } from "../ring/arena.js";

export const COOKIE = 0x3e31f20;
/** Ring flag: the consumer polls and needs no event. */
export const MASK_INT = 1;
/** Descriptor flag: the frame goes on in the next descriptor. */
export const NEXT = 1;

const HEADER_BYTES = 128;
export const DESCRIPTOR_BYTES = 16;
export const MIN_LOG2_SIZE = 1;
export const MAX_LOG2_SIZE = 14;

/** Bytes that a ring takes. */
export const ringBytes = (size: number): number => HEADER_BYTES + size * DESCRIPTOR_BYTES;

export class MemifRing {
  readonly size: number;
  readonly mask: number;
  /** The arena as words; descriptor `i` is at `descriptors + 4 * i`. */
  readonly words: Int32Array;
  readonly descriptors: number;
  private readonly halves: Uint16Array;
  private readonly cookieAt: number;
  private readonly flagsAt: number;
  private readonly headAt: number;
  private readonly tailAt: number;

  /** Precondition: `at` is a multiple of 4, and the ring lies in the arena. */
  constructor(arena: Arena, at: number, size: number) {
    this.size = size;
    this.mask = size - 1;
    this.words = new Int32Array(arena.buffer);
    this.halves = new Uint16Array(arena.buffer);
    this.cookieAt = at >>> 2;
    this.flagsAt = (at + 4) >>> 1;
    this.headAt = (at + 6) >>> 1;
    this.tailAt = (at + 64) >>> 1;
    this.descriptors = (at + HEADER_BYTES) >>> 2;
  }

  /** Makes it an empty ring. */
  initialise(flags: number): void {
    this.words[this.cookieAt] = COOKIE;
    this.halves[this.flagsAt] = flags;
    this.halves[this.headAt] = 0;
    this.halves[this.tailAt] = 0;
  }

  /** Nothing in it: before either end uses it. */
  zero(): void {
    this.halves[this.headAt] = 0;
    this.halves[this.tailAt] = 0;
  }

  get hasCookie(): boolean {
    return this.words[this.cookieAt] === COOKIE;
  }

  /** Hot path. The client's index; read it once and check it. */
  loadHead(): number {
    return Atomics.load(this.halves, this.headAt);
  }

  /** Hot path. The server's index. */
  loadTail(): number {
    return Atomics.load(this.halves, this.tailAt);
  }

  /** Hot path. Shows everything written before; only the low 16 bits count. */
  storeHead(head: number): void {
    Atomics.store(this.halves, this.headAt, head);
  }

  storeTail(tail: number): void {
    Atomics.store(this.halves, this.tailAt, tail);
  }

  /** Hot path. Whether the consumer wants an event; after storing an index. */
  get wantsEvent(): boolean {
    return (Atomics.load(this.halves, this.flagsAt) & MASK_INT) === 0;
  }

  /** The consumer's: asks for events, or no longer. Ordered before every later load. */
  setMask(isMasked: boolean): void {
    Atomics.store(this.halves, this.flagsAt, isMasked ? MASK_INT : 0);
  }
}
