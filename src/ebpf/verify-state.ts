/**
 * Everything that the verifier knows at a place in a program: registers and stack of each frame, which
 * records are held; and of places where it may come by again, what was needed of that from there on.
 *
 * A checkpoint is a state that is kept for later comparison. From each checkpoint on, reads of what was not
 * written since are noted in it, and in those before it, up to where it was written: what nobody read need
 * not be compared. This is the kernel's liveness before Linux 6.18, with a bit for each register and slot.
 */
import { Kind, NOTHING, type Value } from "./verify-value.js";

/** A register's worth of stack: what was stored there whole; null: bytes that say nothing. */
export type Slot = Value | null;

const REGISTERS = 11;
const ALL_REGISTERS = (1 << REGISTERS) - 1;

export class Frame {
  readonly registers: Value[];
  /** By slot from the top: slot n is at -8 (n + 1). Ends with the last that was written whole. */
  readonly stack: Slot[];
  /** Instruction to go on with after this frame; -1 in the outermost. */
  readonly returnTo: number;
  /** Number of the function. */
  readonly functionIndex: number;
  /** A callback of a helper: it returns to the helper. */
  readonly isCallback: boolean;
  /** Written since the last checkpoint: registers, and slots 0 to 31 and 32 to 63 of the stack, as bits. */
  writtenRegisters = 0;
  writtenLow = 0;
  writtenHigh = 0;
  /** Of a checkpoint: read from there on before it was written. */
  readRegisters = 0;
  readLow = 0;
  readHigh = 0;

  constructor(
    returnTo: number,
    functionIndex: number,
    isCallback: boolean,
    registers: Value[],
    stack: Slot[],
  ) {
    this.returnTo = returnTo;
    this.functionIndex = functionIndex;
    this.isCallback = isCallback;
    this.registers = registers;
    this.stack = stack;
  }

  /** A frame that begins: nothing of it was there at a checkpoint. */
  static begin(returnTo: number, functionIndex: number, isCallback: boolean): Frame {
    const registers = new Array<Value>(REGISTERS).fill(NOTHING);
    const frame = new Frame(returnTo, functionIndex, isCallback, registers, []);
    frame.writtenRegisters = ALL_REGISTERS;
    frame.writtenLow = -1;
    frame.writtenHigh = -1;
    return frame;
  }

  copy(): Frame {
    const { returnTo, functionIndex, isCallback } = this;
    return new Frame(
      returnTo,
      functionIndex,
      isCallback,
      this.registers.slice(),
      this.stack.slice(),
    );
  }

  slot(slot: number): Slot {
    return this.stack[slot] ?? null;
  }

  /** What is stored there whole. */
  store(slot: number, value: Value): void {
    while (this.stack.length < slot) this.stack.push(null);
    this.stack[slot] = value;
    if (slot < 32) this.writtenLow |= 1 << slot;
    else this.writtenHigh |= 1 << (slot - 32);
  }

  /** Some of it was written: it says nothing any more. */
  forget(slot: number): void {
    if (slot < this.stack.length) this.stack[slot] = null;
  }

  put(register: number, value: Value): void {
    this.registers[register] = value;
    this.writtenRegisters |= 1 << register;
  }
}

export class State {
  readonly frames: Frame[] = [];
  /** Ids of records that must still be submitted or discarded. */
  held: readonly number[] = [];
  /** The spin lock that is held. */
  lock: Value | null = null;
  /** The checkpoint that this one came from, and how many that came from this one are not yet done. */
  parent: State | null = null;
  branches = 1;
  /** Of a checkpoint: the start of the packet was read from the context from there on. */
  readsPacketStart = false;
  /** Of a checkpoint: the lowest known offset of what was then accessed of packets. */
  lowest = Number.POSITIVE_INFINITY;

  /** Goes on from a checkpoint: the copy. */
  goOn(): State {
    const copied = this.copyFrames();
    copied.parent = this;
    for (const frame of copied.frames) forgetPrecision(frame);
    return copied;
  }

  /** A copy that goes another way. */
  fork(): State {
    const copied = this.copyFrames();
    for (let i = 0; i < this.frames.length; i++) {
      const from = this.frames[i]!;
      const to = copied.frames[i]!;
      to.writtenRegisters = from.writtenRegisters;
      to.writtenLow = from.writtenLow;
      to.writtenHigh = from.writtenHigh;
    }
    copied.parent = this.parent;
    if (this.parent !== null) this.parent.branches++;
    return copied;
  }

  private copyFrames(): State {
    const copied = new State();
    for (const frame of this.frames) copied.frames.push(frame.copy());
    copied.held = this.held;
    copied.lock = this.lock;
    return copied;
  }

  get frame(): Frame {
    return this.frames[this.frames.length - 1]!;
  }

  /** Replaces every value, in registers and stacks, for which `change` gives another. */
  replace(change: (value: Value) => Value): void {
    for (const { registers, stack } of this.frames) {
      for (let i = 0; i < REGISTERS; i++) {
        const changed = change(registers[i]!);
        if (changed !== registers[i]) registers[i] = changed;
      }
      for (let i = 0; i < stack.length; i++) {
        const value = stack[i]!;
        if (value === null) continue;
        const changed = change(value);
        if (changed !== value) stack[i] = changed.kind === Kind.NOTHING ? null : changed;
      }
    }
  }

  /** Notes a read in the checkpoints from which on it was not written. */
  noteRead(depth: number, registers: number, low: number, high: number): void {
    const now = this.frames[depth]!;
    let r = registers & ~now.writtenRegisters;
    let l = low & ~now.writtenLow;
    let h = high & ~now.writtenHigh;
    for (let one = this.parent; one !== null && (r | l | h) !== 0; one = one.parent) {
      const frame = one.frames[depth]!;
      // Where it is noted, it is noted in those before, too.
      r &= ~frame.readRegisters;
      l &= ~frame.readLow;
      h &= ~frame.readHigh;
      frame.readRegisters |= r;
      frame.readLow |= l;
      frame.readHigh |= h;
      r &= ~frame.writtenRegisters;
      l &= ~frame.writtenLow;
      h &= ~frame.writtenHigh;
    }
  }

  /** Notes the known offset of an access to the packet. */
  notePacketAccess(offset: number): void {
    for (let one = this.parent; one !== null && one.lowest > offset; one = one.parent) {
      one.lowest = offset;
    }
  }

  notePacketStart(): void {
    for (let one = this.parent; one !== null && !one.readsPacketStart; one = one.parent) {
      one.readsPacketStart = true;
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

/** What has mattered before need not matter from here on: numbers get a new name, so to say. */
function forgetPrecision({ registers, stack }: Frame): void {
  for (let i = 0; i < REGISTERS; i++) {
    const value = registers[i]!;
    if (value.isPrecise && value.kind === Kind.NUMBER) registers[i] = value.named(value.id);
  }
  for (let i = 0; i < stack.length; i++) {
    const value = stack[i]!;
    if (value?.isPrecise === true && value.kind === Kind.NUMBER) stack[i] = value.named(value.id);
  }
}
