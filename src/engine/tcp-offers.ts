/**
 * Connections that a listener offers: they lie in its ring until a process takes one, and that one
 * says so on its control socket (MR_MSG_ACCEPTED). Processes may die in between.
 *
 * | state    | meaning                                     | leaves it by                              |
 * |----------|---------------------------------------------|-------------------------------------------|
 * | offered  | its entry is in the ring                    | a process takes it; the listener closes   |
 * | taken    | its entry was read; who has it is not known | a claim, or it is reset after a while     |
 * | claimed  | a session has it                            |                                           |
 */
import { NumberMap } from "../base/number-map.js";
import type { EngineSocket } from "./engine-socket.js";
import type { Session } from "./session.js";

interface Offer {
  readonly socket: EngineSocket;
  /** Position after its entry in the ring. */
  readonly end: number;
  /** When it was first seen taken; 0: not yet. */
  takenAtUs: number;
}

/** A process that took a connection and did not say so within this time has died doing it. */
export const CLAIM_US = 5_000_000;

export class TcpOffers {
  private readonly offers = new NumberMap<Offer>();
  /** Who has, or had, the listener: others take nothing from it. */
  private readonly takers = new WeakSet<Session>();

  /** Offered and taken ones. */
  get size(): number {
    return this.offers.size;
  }

  /** A session has the listener. */
  allow(session: Session): void {
    this.takers.add(session);
  }

  /** A connection's entry was put into the ring, which ends at `end` now. */
  add(socket: EngineSocket, end: number): void {
    socket.offers = this;
    this.offers.set(socket.id, { socket, end, takenAtUs: 0 });
  }

  /** A session says that it has taken the connection; whether it may have. */
  claim(session: Session, socket: EngineSocket): boolean {
    if (!this.takers.has(session)) return false;
    this.offers.delete(socket.id);
    socket.offers = null;
    return true;
  }

  /** Ends connections that were taken and never claimed. `head`: how far the ring was read. */
  expire(head: number, nowUs: number): void {
    for (const offer of this.offers.values()) {
      if (((head - offer.end) | 0) < 0) continue; // nobody has taken it
      if (offer.takenAtUs === 0) offer.takenAtUs = nowUs;
      else if (nowUs - offer.takenAtUs > CLAIM_US) {
        this.offers.delete(offer.socket.id);
        offer.socket.abort();
      }
    }
  }

  /** The listener is gone: what nobody has taken is reset; the others `await` their claim. */
  drop(head: number, awaitClaim: (socket: EngineSocket) => void): void {
    for (const { socket, end } of this.offers.values()) {
      if (((head - end) | 0) < 0) socket.abort();
      else awaitClaim(socket);
    }
    this.offers.clear();
  }

  /** The connection has ended by itself. */
  forget(socket: EngineSocket): void {
    this.offers.delete(socket.id);
  }
}
