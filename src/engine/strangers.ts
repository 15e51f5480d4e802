/**
 * Connections to the control socket that have not said who they are. Who says nothing for a while is
 * turned away, and so is the oldest when there are many, so that nobody keeps others out by silence.
 */
import { NEVER } from "../base/time.js";

/** How long a process may take for its first message. */
const SILENCE_US = 5_000_000;
/** Beyond that the oldest goes. */
const MOST = 64;

export class Strangers {
  /** When each is turned away, by descriptor; the oldest first. */
  private readonly untilUs = new Map<number, number>();

  /** A new one. Who has to go for it, or -1. */
  add(fd: number, nowUs: number): number {
    const oldest = this.untilUs.size >= MOST ? this.untilUs.keys().next().value! : -1;
    this.untilUs.set(fd, nowUs + SILENCE_US);
    return oldest;
  }

  has(fd: number): boolean {
    return this.untilUs.has(fd);
  }

  /** It has said who it is, or is gone. */
  remove(fd: number): void {
    this.untilUs.delete(fd);
  }

  /** When {@link silent} has somebody, or NEVER. */
  get nextUs(): number {
    return this.untilUs.values().next().value ?? NEVER;
  }

  /** Who has said nothing for too long, or -1. */
  silent(nowUs: number): number {
    for (const [fd, untilUs] of this.untilUs) return nowUs >= untilUs ? fd : -1;
    return -1;
  }
}
