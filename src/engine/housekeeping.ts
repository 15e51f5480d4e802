/**
 * What an engine looks at now and then, while there is any: `tx_queued` of sockets that have sent,
 * connections that were taken and not claimed, and sockets that nobody has and whose peers stand still.
 */
import { NEVER } from "../base/time.js";
import type { EngineSocket } from "./engine-socket.js";
import type { Session } from "./session.js";
import { CLAIM_US } from "./tcp-offers.js";
import type { TcpServed } from "./tcp-served.js";

const INTERVAL_US = 50_000;
/**
 * How long a connection without a program waits for its peer to take more: about as long as Linux probes a
 * closed window for one without a process before it gives up (tcp_orphan_retries, tcp_write_timer).
 */
const STANDSTILL_US = 200_000_000;

interface Draining {
  readonly socket: EngineSocket;
  position: number;
  untilUs: number;
}

export class Housekeeping {
  private readonly sessions: readonly Session[];
  private readonly queued: TcpServed[] = [];
  private unclaimed: { socket: EngineSocket; untilUs: number }[] = [];
  private draining: Draining[] = [];
  private hasOffers = false;
  /** When it is time to {@link keep}, if there is anything. */
  dueUs = 0;

  /** `sessions`: the engine's own list. */
  constructor(sessions: readonly Session[]) {
    this.sessions = sessions;
  }

  /** The socket has bytes that the peer has not acknowledged. */
  watchQueued(socket: TcpServed): void {
    socket.queuedAt = this.queued.length;
    this.queued.push(socket);
  }

  /** The socket is closed: kept until the next look, it would survive a collection of V8's young space. */
  forgetQueued(socket: TcpServed): void {
    const { queuedAt } = socket;
    if (queuedAt < 0) return;
    socket.queuedAt = -1;
    const last = this.queued.pop()!;
    if (last === socket) return;
    last.queuedAt = queuedAt;
    this.queued[queuedAt] = last;
  }

  /** The listener of a connection that somebody has taken is gone. */
  awaitClaim(socket: EngineSocket, nowUs: number): void {
    this.unclaimed.push({ socket, untilUs: nowUs + CLAIM_US });
  }

  /** A listener offers a connection. */
  offered(): void {
    this.hasOffers = true;
  }

  /** Nobody has the socket any more, and it still has something to send. */
  watchDraining(socket: EngineSocket, nowUs: number): void {
    const untilUs = nowUs + STANDSTILL_US;
    this.draining.push({ socket, position: socket.sentPosition, untilUs });
  }

  /** When {@link keep} is due, or NEVER. */
  get nextUs(): number {
    const { queued, unclaimed, draining } = this;
    const isIdle = queued.length === 0 && unclaimed.length === 0 && draining.length === 0;
    return isIdle && !this.hasOffers ? NEVER : this.dueUs;
  }

  keep(nowUs: number): void {
    this.dueUs = nowUs + INTERVAL_US;
    if (this.queued.length > 0) this.refreshQueued();
    if (this.unclaimed.length > 0) this.expireUnclaimed(nowUs);
    if (this.draining.length > 0) this.expireDraining(nowUs);
    if (this.hasOffers) this.expireOffers(nowUs);
  }

  private refreshQueued(): void {
    const { queued } = this;
    for (let i = queued.length - 1; i >= 0; i--) {
      const served = queued[i]!;
      if (!served.refreshQueued()) this.forgetQueued(served);
    }
  }

  private expireUnclaimed(nowUs: number): void {
    const { unclaimed } = this;
    this.unclaimed = unclaimed.filter((u) => u.socket.offers !== null && nowUs < u.untilUs);
    for (const { socket, untilUs } of unclaimed) {
      if (socket.offers !== null && nowUs >= untilUs) socket.abort();
    }
  }

  private expireDraining(nowUs: number): void {
    const { draining } = this;
    this.draining = [];
    for (const d of draining) {
      const { socket } = d;
      if (socket.isClosed) continue;
      if (socket.sentPosition !== d.position) {
        d.position = socket.sentPosition;
        d.untilUs = nowUs + STANDSTILL_US;
      }
      if (nowUs >= d.untilUs) socket.abort();
      else this.draining.push(d);
    }
  }

  private expireOffers(nowUs: number): void {
    this.hasOffers = false;
    for (const session of this.sessions) {
      for (const served of session.listeners) {
        served.expireOffers(nowUs);
        if (served.waitingConnections > 0) this.hasOffers = true;
      }
    }
  }
}
