/**
 * The engine's end of a socket pair whose socket is closed, kept for the next connection of the process
 * that has the other end (MR_OP_PARK): under the entry of the socket that it was, with a block of
 * memory if the next one is to connect.
 */
import type { Block, RegionPool } from "./region.js";
import type { Session } from "./session.js";

export interface PreparedBlock {
  readonly block: Block;
  readonly pool: RegionPool;
  /** The number of the socket that will have it. */
  readonly socketId: number;
  readonly family: number;
}

export class ParkedEnd {
  /** -1: closed. */
  endFd: number;
  readonly endInode: number;
  readonly prepared: PreparedBlock | null;
  private readonly session: Session;
  private readonly local: number;

  constructor(
    session: Session,
    local: number,
    endFd: number,
    endInode: number,
    prepared: PreparedBlock | null,
  ) {
    this.session = session;
    this.local = local;
    this.endFd = endFd;
    this.endInode = endInode;
    this.prepared = prepared;
    session.parked.set(local, this);
  }

  /** The other end is gone: nobody will use it. The descriptor is the caller's. */
  hangUp(): void {
    this.take();
    if (this.prepared !== null) this.prepared.pool.give(this.prepared.block);
  }

  /** It is somebody's now. */
  take(): void {
    if (this.session.parked.get(this.local) === this) this.session.parked.delete(this.local);
  }
}
