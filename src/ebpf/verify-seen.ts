/** Where the verifier has been: paths that come to what is covered by what was found good there end early. */
import { StateComparison } from "./verify-cover.js";
import type { State } from "./verify-state.js";

/** Fewer would be kept only to be compared. */
const LEAST_STEPS_BETWEEN_STATES = 8;
/** Of one instruction: more only make the search slower. */
const MAX_STATES = 64;
/** Rounds of a loop that are compared with this one: those that change nothing do so at once. */
const MOST_EXACT = 4;

export class SeenStates {
  /** A program compares its packet's metadata with the packet's start. */
  usesMetadata = false;
  /** By instruction. */
  private readonly seen: (State[] | undefined)[];
  private readonly isLoop: Uint8Array;
  private readonly comparison = new StateComparison();
  private readonly refuse: (reason: string) => never;
  private sinceState = 0;

  constructor(isLoop: Uint8Array, refuse: (reason: string) => never) {
    this.seen = new Array<State[] | undefined>(isLoop.length);
    this.isLoop = isLoop;
    this.refuse = refuse;
  }

  /** Counts a step. */
  step(): void {
    this.sinceState++;
  }

  /** null: a state that covers this one was found good. Else the state to go on with. */
  lookBack(state: State, at: number): State | null {
    let states = this.seen[at];
    if (states === undefined) {
      states = [];
      this.seen[at] = states;
    }
    if (this.isCovered(state, states)) return null;
    if (this.isLoop[at] === 1) this.checkProgress(state, states);
    if (this.sinceState < LEAST_STEPS_BETWEEN_STATES && states.length > 0) return state;
    this.sinceState = 0;
    if (states.length >= MAX_STATES) states.shift();
    states.push(state);
    return state.goOn();
  }

  private isCovered(state: State, states: readonly State[]): boolean {
    const { comparison } = this;
    for (let n = states.length - 1; n >= 0; n--) {
      const old = states[n]!;
      if (!old.isDone || !comparison.covers(old, state, this.usesMetadata)) continue;
      comparison.propagate(state);
      return true;
    }
    return false;
  }

  private checkProgress(state: State, states: readonly State[]): void {
    let compared = 0;
    for (let n = states.length - 1; n >= 0 && compared < MOST_EXACT; n--) {
      const old = states[n]!;
      if (old.isDone) continue;
      compared++;
      if (isAbove(old, state) && this.comparison.isSame(old, state)) {
        this.refuse("a loop that changes nothing and so never ends");
      }
    }
  }
}

function isAbove(old: State, state: State): boolean {
  for (let one: State | null = state; one !== null; one = one.parent) if (one === old) return true;
  return false;
}
