/**
 * Whose new rules are read when. A text of 64 KiB takes the engine some 30 ms, in which nobody else is served: so
 * one is read at a time, and the next one not before others have had several times as long. Rules that are known, and
 * programs without any, wait for nobody.
 */
import { NEVER } from "../base/time.js";
import type { Hello } from "./message.js";

/** How much longer others have the engine than a text took. */
const OTHERS = 4;
/** Who waits; more are refused. */
const MOST = 64;

/** A process that has said HELLO with a text that is new. */
export interface Waiting {
  readonly fd: number;
  readonly hello: Hello;
  readonly text: string;
}

export class RulesTurns {
  /** By control socket, the first first. */
  private readonly waiting = new Map<number, Waiting>();
  private freeUs = 0;

  /** Whether a text may be read at once. */
  isFree(nowUs: number): boolean {
    return this.waiting.size === 0 && nowUs >= this.freeUs;
  }

  /** False: too many wait. */
  add(one: Waiting): boolean {
    if (this.waiting.size >= MOST) return false;
    this.waiting.set(one.fd, one);
    return true;
  }

  has(fd: number): boolean {
    return this.waiting.has(fd);
  }

  /** It has gone, and nobody whom it let in needs its rules. */
  remove(fd: number): void {
    this.waiting.delete(fd);
  }

  /** When {@link take} has somebody, or NEVER. */
  get nextUs(): number {
    return this.waiting.size === 0 ? NEVER : this.freeUs;
  }

  /** Whose turn it is, or null. */
  take(nowUs: number): Waiting | null {
    if (nowUs < this.nextUs) return null;
    for (const one of this.waiting.values()) {
      this.waiting.delete(one.fd);
      return one;
    }
    return null;
  }

  /** A new text was read, or refused, at `nowUs`, and took `tookUs`. */
  note(nowUs: number, tookUs: number): void {
    this.freeUs = nowUs + 1 + (1 + OTHERS) * tookUs;
  }
}
