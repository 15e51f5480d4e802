/**
 * The engine's end of a socket pair whose socket is closed, kept for the next connection of the process
 * that has the other end (MR_OP_PARK): under the entry of the socket that it was, with a block of
 * memory if the next one is to connect.
 */
import { ECONNABORTED } from "../base/errno.js";
import { SocketAt, Status } from "../ring/engine-layout.js";
import type { Block, RegionPool } from "./region.js";
import type { Session } from "./session.js";
import type { SharedMemory } from "./shared-memory.js";

export interface PreparedBlock {
  readonly block: Block;
  readonly pool: RegionPool;
  /** The number of the socket that will have it. */
  readonly socketId: number;
  readonly family: number;
}

/** How often submissions that a thread has begun are waited for: it may have been stopped. */
const LOOKS = 10_000;
const OVER = Status.GONE | Status.EOF | Status.NO_SEND | Status.ERROR;

export class ParkedEnd {
  /** -1: closed. */
  endFd: number;
  readonly endInode: number;
  readonly prepared: PreparedBlock | null;
  private readonly takeSubmissions: (session: Session) => void;
  private readonly memory: SharedMemory;
  private readonly session: Session;
  private readonly local: number;
  private looks = 0;

  constructor(
    takeSubmissions: (session: Session) => void,
    memory: SharedMemory,
    session: Session,
    local: number,
    endFd: number,
    endInode: number,
    prepared: PreparedBlock | null,
  ) {
    this.takeSubmissions = takeSubmissions;
    this.memory = memory;
    this.session = session;
    this.local = local;
    this.endFd = endFd;
    this.endInode = endInode;
    this.prepared = prepared;
    session.parked.set(local, this);
  }

  /** A connection may have got the end, and be closed again, before we have heard of it. */
  catchUp(): boolean {
    const { session } = this;
    this.takeSubmissions(session);
    return session.isClosed || session.isCaughtUp || ++this.looks > LOOKS;
  }

  /** The other end is gone: nobody will use it. The descriptor is the caller's. */
  hangUp(): void {
    this.fail(ECONNABORTED);
  }

  /**
   * Nobody will use it. A program that has connected in the block all the same, and waits, is told so: its
   * call comes later, finds nothing, and has no answer that anybody waits for.
   */
  fail(errno: number): void {
    this.take();
    const { prepared, memory } = this;
    if (prepared === null) return;
    const { at } = prepared.block;
    const word = (offset: number): number => (at + offset) >> 2;
    Atomics.store(memory.words, word(SocketAt.error), errno);
    Atomics.store(memory.words, word(SocketAt.status), OVER);
    Atomics.add(memory.words, word(SocketAt.rxEvents), 1);
    this.session.ring(this.local);
    prepared.pool.give(prepared.block);
  }

  /** It is somebody's now. */
  take(): void {
    if (this.session.parked.get(this.local) === this) this.session.parked.delete(this.local);
  }
}
