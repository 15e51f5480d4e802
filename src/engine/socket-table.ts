/** The sockets that an engine serves: by their number, and by the inode of the program's end. */
import { NumberMap } from "../base/number-map.js";
import type { EngineSocket } from "./engine-socket.js";
import type { Session } from "./session.js";
import type { SocketEnds } from "./socket-ends.js";

export class SocketTable {
  private readonly ends: SocketEnds;
  private readonly byId = new NumberMap<EngineSocket>();
  private readonly byEndInode = new NumberMap<EngineSocket>();
  private nextId = 1;

  constructor(ends: SocketEnds) {
    this.ends = ends;
  }

  get size(): number {
    return this.byId.size;
  }

  /** In no order. */
  values(): EngineSocket[] {
    return this.byId.values();
  }

  /** A number that no socket has had. */
  takeId(): number {
    return this.nextId++;
  }

  add(socket: EngineSocket): void {
    this.byId.set(socket.id, socket);
  }

  /** The socket is closed. */
  remove(socket: EngineSocket): void {
    this.byId.delete(socket.id);
    if (socket.endFd >= 0) this.ends.close(socket.endFd);
    socket.endFd = -1;
    if (this.byEndInode.get(socket.endInode) === socket) this.byEndInode.delete(socket.endInode);
  }

  /** Takes the engine's end of the socket's pair. The socket is closed when it cannot be watched. */
  setEnd(socket: EngineSocket, endFd: number, endInode: number): void {
    socket.endFd = endFd;
    socket.endInode = endInode;
    // The first to name an inode has it: nobody takes another's socket over.
    const known = this.byEndInode.get(endInode);
    if (known === undefined || known.isClosed) this.byEndInode.set(endInode, socket);
    try {
      this.ends.watch(endFd, socket);
    } catch (error) {
      socket.abort();
      throw error;
    }
  }

  /** The socket's end is somebody else's from now on; it stays watched. */
  takeEnd(socket: EngineSocket): void {
    socket.endFd = -1;
    if (this.byEndInode.get(socket.endInode) === socket) this.byEndInode.delete(socket.endInode);
  }

  /** The socket has an end that is watched already. */
  giveEnd(socket: EngineSocket, endFd: number, endInode: number): void {
    socket.endFd = endFd;
    socket.endInode = endInode;
    const known = this.byEndInode.get(endInode);
    if (known === undefined || known.isClosed) this.byEndInode.set(endInode, socket);
    this.ends.move(endFd, socket);
  }

  byEnd(inode: number): EngineSocket | null {
    return this.byEndInode.get(inode) ?? null;
  }

  /** The connection that a session has taken out of a listener's ring; null: it is not its. */
  claim(session: Session, id: number): EngineSocket | null {
    const socket = this.byId.get(id);
    if (socket === undefined || socket.offers === null) return null;
    return socket.offers.claim(session, socket) ? socket : null;
  }
}
