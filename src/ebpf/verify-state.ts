/**
 * Everything that the verifier knows at a place in a program: registers and stack of each frame, which
 * records are held; and whether one such state covers another, so that what was found of it holds for
 * the other too.
 */
import { Kind, markPrecise, NOTHING, unknown, type Value } from "./verify-value.js";

export const STACK_SLOTS = 64;

/** A register's worth of stack: what was stored there whole, or that some of it was written. */
export type Slot = Value | null;

export class Frame {
  readonly registers: Value[];
  /** By slot from the top: slot n is at -8 (n + 1). Stacks are sparse. */
  readonly stack: Map<number, Slot>;
  /** Instruction to go on with after this frame; -1 in the outermost. */
  readonly returnTo: number;
  /** Number of the function. */
  readonly functionIndex: number;
  /** A callback of a helper: it returns to the helper. */
  readonly isCallback: boolean;

  constructor(returnTo: number, functionIndex: number, isCallback: boolean) {
    this.registers = new Array<Value>(11).fill(NOTHING);
    this.stack = new Map();
    this.returnTo = returnTo;
    this.functionIndex = functionIndex;
    this.isCallback = isCallback;
  }

  copy(): Frame {
    const copied = new Frame(this.returnTo, this.functionIndex, this.isCallback);
    for (let i = 0; i < 11; i++) copied.registers[i] = this.registers[i]!;
    for (const [slot, value] of this.stack) copied.stack.set(slot, value);
    return copied;
  }
}

export class State {
  readonly frames: Frame[] = [];
  /** Ids of records that must still be submitted or discarded. */
  held: readonly number[] = [];
  /** The state that this one came from, and how many that came from this one are not yet done. */
  parent: State | null = null;
  branches = 1;

  copy(): State {
    const copied = new State();
    for (const frame of this.frames) copied.frames.push(frame.copy());
    copied.held = this.held;
    return copied;
  }

  get frame(): Frame {
    return this.frames[this.frames.length - 1]!;
  }

  /** Replaces every value, in registers and stacks, for which `change` gives another. */
  replace(change: (value: Value) => Value): void {
    for (const { registers, stack } of this.frames) {
      for (let i = 0; i < 11; i++) registers[i] = change(registers[i]!);
      for (const [slot, value] of stack) {
        if (value === null) continue;
        const changed = change(value);
        if (changed !== value) stack.set(slot, changed.kind === Kind.NOTHING ? null : changed);
      }
    }
  }

  /** A path ended: whoever has no open branches left is done. */
  finish(): void {
    let state: State | null = this;
    while (state !== null) {
      state.branches--;
      if (state.branches > 0) return;
      state = state.parent;
    }
  }

  /** All paths from here are known to be good. */
  get isDone(): boolean {
    return this.branches === 0;
  }
}

/** Compares states; ids are matched to each other as they are met. */
export class StateComparison {
  private readonly ids = new Map<number, number>();
  private readonly old: State;
  private readonly now: State;
  /** Registers that are still read, of the innermost frame. */
  private readonly live: number;
  /** Numbers must have the same bounds, precise or not: a loop that changes nothing. */
  private readonly isExact: boolean;

  constructor(old: State, now: State, live: number, isExact: boolean) {
    this.old = old;
    this.now = now;
    this.live = live;
    this.isExact = isExact;
  }

  /** Whether all that is possible in `now` is possible in `old`. */
  covers(): boolean {
    const { old, now } = this;
    if (old.frames.length !== now.frames.length || old.held.length !== now.held.length)
      return false;
    for (const [index, frame] of old.frames.entries()) {
      const isInnermost = index === old.frames.length - 1;
      if (!this.coversFrame(frame, now.frames[index]!, isInnermost ? this.live : CALLER_LIVE)) {
        return false;
      }
    }
    return old.held.every((id, i) => this.sameId(id, now.held[i]!));
  }

  private coversFrame(old: Frame, now: Frame, live: number): boolean {
    if (old.returnTo !== now.returnTo || old.functionIndex !== now.functionIndex) return false;
    for (let i = 0; i < 10; i++) {
      if ((live & (1 << i)) === 0) continue;
      if (!this.coversValue(old.registers[i]!, now.registers[i]!)) return false;
    }
    for (const [slot, value] of old.stack) {
      if (value === null) continue; // anything may be read there
      const other = now.stack.get(slot) ?? null;
      if (!this.coversValue(value, other ?? UNKNOWN)) return false;
    }
    return true;
  }

  private coversValue(old: Value, now: Value): boolean {
    if (old === now) return true;
    if (old.kind === Kind.NOTHING) return true; // nobody read it
    if (old.kind !== now.kind) return false;
    if (old.kind === Kind.NUMBER) {
      if (this.isExact) return old.min === now.min && old.max === now.max;
      return !old.isPrecise || (old.min <= now.min && old.max >= now.max);
    }
    const isSame =
      old.offset === now.offset &&
      old.map === now.map &&
      old.extra === now.extra &&
      old.mayBeNull === now.mayBeNull &&
      old.min <= now.min &&
      old.max >= now.max &&
      old.range <= now.range;
    return isSame && (old.id === 0 ? now.id === 0 : this.sameId(old.id, now.id));
  }

  private sameId(old: number, now: number): boolean {
    const known = this.ids.get(old);
    if (known !== undefined) return known === now;
    this.ids.set(old, now);
    return true;
  }

  /** What mattered from the old state on matters in this one too. */
  propagate(): void {
    for (const [index, frame] of this.old.frames.entries()) {
      const now = this.now.frames[index]!;
      for (let i = 0; i < 10; i++) mark(frame.registers[i]!, now.registers[i]!);
      for (const [slot, value] of frame.stack) {
        const other = now.stack.get(slot);
        if (value !== null && other !== null && other !== undefined) mark(value, other);
      }
    }
  }
}

function mark(old: Value, now: Value): void {
  if (old.isPrecise && now.kind === Kind.NUMBER) markPrecise(now);
}

const UNKNOWN = unknown();

/** Calls keep r6 to r9. */
const CALLER_LIVE = 0b11_1100_0000;
