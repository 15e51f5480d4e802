/**
 * Ends of closed sockets that are used again (docs/engine-protocol.md, "Short connections"): a
 * connection whose end was parked before costs no descriptor, no message and no system call here.
 */
import { EBADF, ECONNABORTED, ENOBUFS } from "../base/errno.js";
import { Kind, OpenedFor, SocketAt, Status } from "../ring/engine-layout.js";
import type { EngineSocket } from "./engine-socket.js";
import type { KernelSockets } from "./kernel-sockets.js";
import { isEntry, readOpen } from "./message.js";
import { type OpeningParts, openPrepared, ringSizes } from "./opening.js";
import { ParkedEnd, type PreparedBlock } from "./parked-end.js";
import type { Session } from "./session.js";
import type { SocketEnds } from "./socket-ends.js";
import type { SocketTable } from "./socket-table.js";

export interface ParkedEndsParts {
  readonly opening: OpeningParts;
  readonly ends: SocketEnds;
  readonly sockets: SocketTable;
  readonly kernelSockets: KernelSockets;
  /** Serves a socket from now on. */
  adopt(served: EngineSocket): void;
  /** The session has the socket under this number. */
  hold(session: Session, served: EngineSocket, local: number, fd: number): void;
  /** Does what the session has submitted. */
  takeSubmissions(session: Session): void;
}

export class ParkedEnds {
  private readonly parts: ParkedEndsParts;

  constructor(parts: ParkedEndsParts) {
    this.parts = parts;
  }

  /**
   * MR_OP_PARK: closes the socket and keeps its end, with a block for the next one if that `connects`;
   * null when others have the socket, too.
   */
  park(session: Session, local: number, served: EngineSocket, connects: boolean): ParkedEnd | null {
    const { holders, endFd, endInode, family } = served;
    const isAlone = holders.length === 1 && holders[0]!.session === session;
    // A port that it holds in the kernel stays with the connection until that is over.
    const isBare = served.companionFd < 0 && served.kind === Kind.TCP;
    if (!isAlone || !isBare || endFd < 0) return null;
    served.removeHolder(session, local);
    this.parts.sockets.takeEnd(served);
    served.hangUp(); // before the next block is taken: it may be this one's
    const old = session.parked.get(local);
    if (old !== undefined) this.drop(old, ECONNABORTED);
    const prepared = connects ? this.prepare(session, family) : null;
    const { ends, opening, takeSubmissions } = this.parts;
    const { memory } = opening.host;
    const parked = new ParkedEnd(
      takeSubmissions,
      memory,
      session,
      local,
      endFd,
      endInode,
      prepared,
    );
    ends.move(endFd, parked);
    return parked;
  }

  /** A block for the session's next connection; null when there is none that it has mapped. */
  private prepare(session: Session, family: number): PreparedBlock | null {
    const { sockets, opening } = this.parts;
    const { memory } = opening.host;
    const pool = session.regionPool;
    const socketId = sockets.takeId();
    const sizes = ringSizes(opening.rings, Kind.TCP, memory.fullness);
    const block = pool.takeKnown(socketId, Kind.TCP, family, sizes, session);
    if (block === null) return null;
    memory.view.setUint32(block.at + SocketAt.status, Status.CONNECTING, true);
    return { block, pool, socketId, family };
  }

  /** MR_OP_CLAIM: a connection out of a listener's ring gets a parked end. 0 or a negated error number. */
  claim(session: Session, local: number, connection: number, fd: number): number {
    const parked = session.parked.get(local);
    const served = this.parts.sockets.claim(session, connection);
    if (parked === undefined || parked.prepared !== null) {
      // The program has the connection, and nothing to hang up by.
      served?.abort();
      if (isEntry(local)) session.ring(local);
      return -EBADF;
    }
    if (served === null || served.isClosed) {
      this.drop(parked, ECONNABORTED);
      return -ECONNABORTED;
    }
    this.use(parked, served);
    this.parts.hold(session, served, local, fd);
    return 0;
  }

  /** MR_OP_OPEN: opens a socket in a parked end's block and connects. 0 or a negated error number. */
  open(session: Session, local: number, message: DataView, bytes: number): number {
    const parked = session.parked.get(local);
    const prepared = parked?.prepared ?? null;
    if (parked === undefined || prepared === null) return -EBADF;
    const { opening, kernelSockets } = this.parts;
    const request = readOpen(message, bytes);
    const isFine =
      request !== null &&
      request.kind === Kind.TCP &&
      request.at === OpenedFor.CONNECT &&
      request.family === prepared.family &&
      request.peer !== null;
    const served = isFine ? openPrepared(opening, session, request, message, prepared) : null;
    if (served === null) {
      this.drop(parked, ENOBUFS);
      return -ENOBUFS;
    }
    this.use(parked, served);
    kernelSockets.remove(session, request!.fd);
    this.parts.adopt(served);
    session.socketAt(local)?.removeHolder(session, local);
    served.addHolder({ session, local, fd: request!.fd });
    served.refresh();
    return 0;
  }

  private use(parked: ParkedEnd, served: EngineSocket): void {
    parked.take();
    this.parts.sockets.giveEnd(served, parked.endFd, parked.endInode);
  }

  private drop(parked: ParkedEnd, errno: number): void {
    this.parts.ends.close(parked.endFd);
    parked.fail(errno);
  }

  endSession(session: Session): void {
    for (const parked of [...session.parked.values()]) this.drop(parked, ECONNABORTED);
  }
}
