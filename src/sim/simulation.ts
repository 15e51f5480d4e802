/**
 * Virtual time: whole stacks, joined by simulated links, run as fast as the machine can while the
 * clock says what it is told. The same seeds give the same run, to the byte.
 *
 * Nothing here waits. Time moves only when no stack has anything left to do, and then straight to
 * the next deadline of any of them (a timer, or a frame that arrives over a link with delay).
 */
import { assert } from "../base/assert.js";
import { NEVER } from "../base/time.js";

/** What can be simulated: `Stack` is. */
export interface Simulated {
  /** One pass at `nowUs`; returns when the next one is due at the latest, or NEVER. */
  turn(nowUs: number): number;
  /** Whether the last turn moved a frame or fired a timer: then another one follows at once. */
  readonly isBusy: boolean;
}

/** Turns at one instant after which the simulated stacks are held to chase each other for ever. */
const MAX_TURNS_AT_ONCE = 1_000_000;

export class Simulation {
  /** Virtual time in microseconds. */
  nowUs: number;
  private readonly stacks: Simulated[] = [];
  /** Whether the last {@link settle} found anything to do. */
  private moved = false;

  constructor(startUs = 1_000_000) {
    this.nowUs = startUs;
  }

  add(...stacks: Simulated[]): void {
    this.stacks.push(...stacks);
  }

  /** Runs everything that is due now, and returns the time of the next thing that is. */
  settle(): number {
    this.moved = false;
    for (let turns = 0; turns < MAX_TURNS_AT_ONCE; turns++) {
      let nextUs = NEVER;
      let busy = false;
      for (const stack of this.stacks) {
        nextUs = Math.min(nextUs, stack.turn(this.nowUs));
        busy = stack.isBusy || busy;
      }
      this.moved = this.moved || busy;
      if (!busy && nextUs > this.nowUs) return nextUs;
    }
    assert(false, `the simulation comes to rest at ${this.nowUs} us`);
  }

  /**
   * Lets time pass up to `untilUs`, or until `done` is true after something happened. Returns
   * whether `done` was what ended it. `done` may be the program: what it calls of the stacks is
   * done before time moves on.
   */
  runUntil(untilUs: number, done: () => boolean = never): boolean {
    for (;;) {
      this.settle();
      if (done()) return true;
      const nextUs = this.settle();
      if (this.moved) continue;
      if (nextUs > untilUs) {
        this.nowUs = Math.max(this.nowUs, untilUs);
        return false;
      }
      this.nowUs = nextUs;
    }
  }

  /** Lets `us` microseconds pass. */
  run(us: number): void {
    this.runUntil(this.nowUs + us);
  }
}

const never = (): boolean => false;
