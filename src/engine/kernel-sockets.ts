/** Sockets that stay with the kernel, and why: for `millrace stat`. */
import { OpenedFor } from "../ring/engine-layout.js";
import type { OpenRequest } from "./message.js";
import type { Session } from "./session.js";

export interface KernelSocket {
  readonly session: Session;
  readonly request: OpenRequest;
  readonly reason: string;
}

/** Of one session; beyond that they are not recorded. */
const MAX_EACH = 16_384;

export class KernelSockets {
  private readonly bySession = new Map<Session, Map<number, KernelSocket>>();

  *[Symbol.iterator](): Generator<KernelSocket> {
    for (const sockets of this.bySession.values()) yield* sockets.values();
  }

  get size(): number {
    let n = 0;
    for (const sockets of this.bySession.values()) n += sockets.size;
    return n;
  }

  put(session: Session, request: OpenRequest, reason: string): void {
    let sockets = this.bySession.get(session);
    if (sockets === undefined) {
      sockets = new Map();
      this.bySession.set(session, sockets);
    }
    if (sockets.size < MAX_EACH) sockets.set(request.fd, { session, request, reason });
  }

  /** A message of the program's own: it leaves a socket with the kernel, or has closed one. */
  told(session: Session, request: OpenRequest): void {
    if (request.at === OpenedFor.CLOSED) this.remove(session, request.fd);
    else this.put(session, request, request.reason);
  }

  remove(session: Session, fd: number): void {
    this.bySession.get(session)?.delete(fd);
  }

  endSession(session: Session): void {
    this.bySession.delete(session);
  }
}
