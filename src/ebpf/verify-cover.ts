/**
 * Whether a state covers another: whatever is possible in the newer is possible in the older, as far as
 * anything was needed of that, so what was found of the older holds for the newer.
 *
 * Pointers into the packet may all lie further on in the newer state by the same number of bytes, or further
 * in front: after one more tag, or one less, the rest of the headers is walked once. That is so unless the
 * start of the packet is read again, which does not move with them. What lies in front must have room: the
 * lowest offset that was accessed says how much.
 */
import type { Frame, State } from "./verify-state.js";
import { Kind, markPrecise, unknown, type Value } from "./verify-value.js";

const UNKNOWN = unknown();
/** Compares one pair of states after the other. */
export class StateComparison {
  /** What of the older state was met as what in the newer one. */
  private readonly oldIds: number[] = [];
  private readonly partners: Value[] = [];
  /** Bytes that packet pointers of an id are moved by. */
  private readonly shifts: number[] = [];
  private old!: State;
  private lowestShift = 0;
  private isExact = false;
  private mayShiftStart = false;

  /** `usesMetadata`: the program compares what lies in front of the packet with its start. */
  covers(old: State, now: State, usesMetadata: boolean): boolean {
    this.isExact = false;
    this.mayShiftStart = !usesMetadata && !old.readsPacketStart;
    if (!this.compare(old, now)) return false;
    return this.lowestShift >= 0 || old.lowest + this.lowestShift >= 0;
  }

  /** Whether they are the same in everything: a loop that changes nothing. */
  isSame(old: State, now: State): boolean {
    this.isExact = true;
    this.mayShiftStart = false;
    return this.compare(old, now);
  }

  private compare(old: State, now: State): boolean {
    this.old = old;
    this.oldIds.length = 0;
    this.partners.length = 0;
    this.shifts.length = 0;
    this.lowestShift = 0;
    if (old.frames.length !== now.frames.length || old.held.length !== now.held.length)
      return false;
    // Where a lock is held there is little to walk, and nothing to save by comparing whose it is: only loops are found.
    if (old.lock !== now.lock || (old.lock !== null && !this.isExact)) return false;
    // The innermost first: that is where states differ.
    for (let depth = old.frames.length - 1; depth >= 0; depth--) {
      const frame = old.frames[depth]!;
      if (!this.coversFrame(frame, now.frames[depth]!)) return false;
    }
    return now.held.length === 0 || now.held.every((id) => this.isHeld(id, old.held));
  }

  private coversFrame(old: Frame, now: Frame): boolean {
    if (old.returnTo !== now.returnTo || old.functionIndex !== now.functionIndex) return false;
    const registers = this.isExact ? -1 : old.readRegisters;
    const low = this.isExact ? -1 : old.readLow;
    const high = this.isExact ? -1 : old.readHigh;
    for (let i = 0; i < 10; i++) {
      if ((registers & (1 << i)) === 0) continue;
      if (!this.coversValue(old.registers[i]!, now.registers[i]!)) return false;
    }
    if ((low | high) === 0) return true;
    for (let slot = 0; slot < old.stack.length; slot++) {
      if (((slot < 32 ? low : high) & (1 << (slot & 31))) === 0) continue;
      const value = old.stack[slot]!;
      if (value === null) continue; // anything may be read there
      if (!this.coversValue(value, now.slot(slot) ?? UNKNOWN)) return false;
    }
    return true;
  }

  private coversValue(old: Value, now: Value): boolean {
    if (old.kind === Kind.NOTHING) return true; // nobody read it
    if (old.kind !== now.kind) return false;
    if (old.kind === Kind.NUMBER) return this.coversNumber(old, now);
    if (old.kind === Kind.PACKET || old.kind === Kind.PACKET_META)
      return this.coversPacket(old, now);
    const isSame =
      old.offset === now.offset &&
      old.map === now.map &&
      old.extra === now.extra &&
      old.mayBeNull === now.mayBeNull &&
      old.min <= now.min &&
      old.max >= now.max;
    if (!isSame) return false;
    if (old.kind === Kind.VALUE && !old.mayBeNull) return true;
    return old.id === 0 ? now.id === 0 : this.isPartner(old.id, now, 0);
  }

  private coversNumber(old: Value, now: Value): boolean {
    if (this.isExact) return old.min === now.min && old.max === now.max;
    if (!old.isPrecise) return true;
    if (old.min > now.min || old.max < now.max) return false;
    // What is shifted back shows the bounds from before.
    if (old.shifted !== null) {
      const { shifted } = now;
      if (shifted === null || old.shifted.min > shifted.min || old.shifted.max < shifted.max)
        return false;
    }
    // What was learnt of one was learnt of all of its name.
    return old.id === 0 || this.isPartner(old.id, now, 0);
  }

  private coversPacket(old: Value, now: Value): boolean {
    const shift = now.offset - old.offset;
    if (old.min > now.min || old.max < now.max) return false;
    if (old.range > 0 && old.range + shift > now.range) return false;
    if (this.isExact && shift !== 0) return false;
    if (old.id === 0 && !this.mayShiftStart) return now.id === 0 && shift === 0;
    this.lowestShift = Math.min(this.lowestShift, shift);
    return this.isPartner(old.id, now, shift);
  }

  /** Whether everything of a name in the old state is the same thing in the new one. */
  private isPartner(oldId: number, now: Value, shift: number): boolean {
    const known = this.oldIds.indexOf(oldId);
    if (known < 0) {
      this.oldIds.push(oldId);
      this.partners.push(now);
      this.shifts.push(shift);
      return true;
    }
    const partner = this.partners[known]!;
    if (this.shifts[known] !== shift || partner.kind !== now.kind) return false;
    if (now.kind === Kind.PACKET || now.kind === Kind.PACKET_META) return partner.id === now.id;
    if (now.id !== 0) return partner.id === now.id;
    return now.isConstant && partner.isConstant && partner.min === now.min;
  }

  /** A record that is held is the partner of one: whoever gave that back read it, so it was met. */
  private isHeld(id: number, held: readonly number[]): boolean {
    return held.some((old) => this.partners[this.oldIds.indexOf(old)]?.id === id);
  }

  /** What mattered from the old state on matters for the new one too. Precondition: it is covered. */
  propagate(now: State): void {
    const { old } = this;
    for (let depth = 0; depth < old.frames.length; depth++) {
      const frame = old.frames[depth]!;
      const { readRegisters: registers, readLow: low, readHigh: high } = frame;
      const other = now.frames[depth]!;
      for (let i = 0; i < 10; i++) {
        if ((registers & (1 << i)) !== 0) mark(frame.registers[i]!, other.registers[i]!);
      }
      for (let slot = 0; slot < frame.stack.length; slot++) {
        if (((slot < 32 ? low : high) & (1 << (slot & 31))) === 0) continue;
        const [value, there] = [frame.stack[slot]!, other.slot(slot)];
        if (value !== null && there !== null) mark(value, there);
      }
      now.noteRead(depth, registers, low, high);
    }
    now.notePacketAccess(old.lowest + this.lowestShift);
    if (old.readsPacketStart) now.notePacketStart();
  }
}

function mark(old: Value, now: Value): void {
  if (old.isPrecise && now.kind === Kind.NUMBER) markPrecise(now);
}
