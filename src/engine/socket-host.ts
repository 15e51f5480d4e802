/** What the sockets of programs need of the engine, and who has them. */
import type { PolledSocket } from "../socket/polled-socket.js";
import type { ReadySet } from "../socket/ready-set.js";
import type { Stack } from "../socket/stack.js";
import type { EngineSocket } from "./engine-socket.js";
import type { Session } from "./session.js";
import type { SharedMemory } from "./shared-memory.js";

/** A session that has the socket, and the number it knows it by. */
export interface Holder {
  readonly session: Session;
  readonly local: number;
  readonly fd: number;
}

/** What sockets need of the engine. */
export interface SocketHost {
  readonly memory: SharedMemory;
  readonly stack: Stack;
  readonly ready: ReadySet;
  /** A room of 64 KiB that is nobody's, for what wraps. */
  readonly scratch: Uint8Array;
  /** Microseconds to be added to the stack's time for CLOCK_REALTIME. */
  readonly realTimeUs: number;
  /** The socket could not be pumped for want of memory: pump it again soon. */
  retryLater(socket: EngineSocket): void;
  /** The socket has bytes that the peer has not acknowledged: `tx_queued` must be kept up. */
  watchQueued(socket: EngineSocket): void;
  /** The socket is closed: forget it. */
  forget(socket: EngineSocket): void;
  /** The listener of a connection that somebody has taken is gone: it is claimed soon, or never. */
  awaitClaim(socket: EngineSocket): void;
  /** A listener offers a connection: it may be taken and never claimed. */
  offered(): void;
  /** Nobody has the socket any more, and its peer does not take what it has sent. */
  watchDraining(socket: EngineSocket): void;
  /** A close that lingers may be over. */
  lingered(): void;
  /** Serves a connection that a listener accepted; null when there is no memory for it. */
  adopt(listener: EngineSocket, socket: PolledSocket): EngineSocket | null;
}
