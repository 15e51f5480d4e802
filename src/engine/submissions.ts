/** What programs have submitted: sockets that have something to do, and calls. Each has its turn. */
import { SUBMITS, Submit } from "../ring/engine-layout.js";
import type { Calls } from "./calls.js";
import type { EngineSocket } from "./engine-socket.js";
import type { Session } from "./session.js";

/** Submissions of one session before others have their turn, and of all before frames have theirs. */
const BURST = 64;
const MOST_A_TURN = 512;
/** Sessions that surely had their turn when not all had. */
const SERVED = MOST_A_TURN / BURST;

export interface SubmissionsParts {
  /** The engine's own list. */
  readonly sessions: readonly Session[];
  readonly calls: Calls;
  socketFor(session: Session, local: number): EngineSocket | null;
  /** A session has written to its control socket. */
  wantControl(): void;
}

export class Submissions {
  private readonly parts: SubmissionsParts;
  /** Where the next turn begins. */
  private first = 0;

  constructor(parts: SubmissionsParts) {
    this.parts = parts;
  }

  /** Hot path. Takes what there is, up to a limit; whether there was any. */
  take(): boolean {
    const { sessions } = this.parts;
    let left = MOST_A_TURN;
    let at = this.first < sessions.length ? this.first : 0;
    for (let i = sessions.length; i > 0 && left > 0; i--) {
      const session = sessions[at];
      // One that ends takes itself out of the list.
      if (session?.hasSubmission) left = (left - this.takeFrom(session)) | 0;
      at = (at + 1) | 0;
      if (at >= sessions.length) at = 0;
    }
    if (left <= 0) this.first = (this.first + SERVED) % Math.max(1, sessions.length);
    return left < MOST_A_TURN;
  }

  /** Of the last {@link takeFrom}. */
  private taken = 0;

  /** Hot path. How many it took, where some count for several. */
  private takeFrom(session: Session): number {
    const { parts } = this;
    let n = 0;
    this.taken = 0;
    while (n < BURST) {
      const value = session.takeSubmission();
      if (value < 0) break;
      this.taken = (this.taken + 1) | 0;
      if (value >= Submit.CALL) {
        n = (n + parts.calls.run(session, value - Submit.CALL)) | 0;
      } else {
        n = (n + 1) | 0;
        if (value < Submit.CONTROL) parts.socketFor(session, value)?.submitted();
        else parts.wantControl();
      }
      if (session.isClosed) return n;
    }
    return n;
  }

  /** All that a session has submitted, unless it ends by it. */
  finish(session: Session): void {
    for (let i = 0; i < SUBMITS && !session.isClosed && session.hasSubmission; ) {
      this.takeFrom(session);
      i += Math.max(1, this.taken); // none of one that is only half said
    }
  }
}
