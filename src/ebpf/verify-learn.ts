/** What a comparison says: of numbers, of what may be NULL, and of how much of the packet is there. */
import type { PlacedInstruction } from "./instructions.js";
import { Class, Jmp } from "./isa.js";
import type { State } from "./verify-state.js";
import { Kind, markPrecise, number, type Value } from "./verify-value.js";

/** `x OP end` for `end OP x`. */
const MIRRORED: ReadonlyMap<number, number> = new Map([
  [Jmp.JGT, Jmp.JLT],
  [Jmp.JLT, Jmp.JGT],
  [Jmp.JGE, Jmp.JLE],
  [Jmp.JLE, Jmp.JGE],
]);

/** Puts a narrower number where the old one is, under its name too. */
export function adopt(state: State, i: PlacedInstruction, old: Value, now: Value): void {
  if (old === now) return;
  if (old.id !== 0) {
    state.replace((value) =>
      value === old || (value.id === old.id && value.kind === Kind.NUMBER) ? now : value,
    );
    return;
  }
  const { registers } = state.frame;
  if (registers[i.dst] === old) registers[i.dst] = now;
  if (registers[i.src] === old) registers[i.src] = now;
}

/** What comparing pointers says. */
export function learn(
  state: State,
  i: PlacedInstruction,
  left: Value,
  right: Value,
  isTaken: boolean,
): void {
  const code = i.opcode & 0xf0;
  if (left.mayBeNull && right.kind === Kind.NUMBER && right.isConstant && right.min === 0) {
    if (code !== Jmp.JEQ && code !== Jmp.JNE) return;
    markPrecise(right);
    learnNull(state, left, (code === Jmp.JEQ) === isTaken);
    return;
  }
  if ((i.opcode & 7) !== Class.JMP) return;
  const isForward = isBefore(left, right);
  if (!isForward && !isBefore(right, left)) return;
  const packet = isForward ? left : right;
  // As "packet OP end".
  const meant = isForward ? code : MIRRORED.get(code);
  const bytes = roomOf(meant, isTaken);
  if (bytes !== null) learnRange(state, packet, packet.offset + bytes);
}

function learnNull(state: State, pointer: Value, isNull: boolean): void {
  const zero = number(0, 0);
  state.replace((value) => {
    if (value.id !== pointer.id || !value.mayBeNull) return value;
    return isNull ? zero : value.notNull();
  });
  if (isNull) state.held = state.held.filter((id) => id !== pointer.id);
}

/** Packet pointers of the same unknown offset have so many bytes. */
function learnRange(state: State, packet: Value, range: number): void {
  if (range <= 0 || packet.max > 0xffff || packet.min < 0) return;
  state.replace((value) => {
    if (value.kind !== packet.kind || value.id !== packet.id || value.range >= range) return value;
    return value.withRange(range);
  });
}

/** Whether a comparison says how much is between the two. */
function isBefore(start: Value, end: Value): boolean {
  if (start.kind === Kind.PACKET) return end.kind === Kind.PACKET_END;
  if (start.kind !== Kind.PACKET_META) return false;
  return end.kind === Kind.PACKET && end.offset === 0 && end.id === 0;
}

/** What `packet OP end` says of the bytes behind `packet` when it comes out so; null: nothing. */
function roomOf(code: number | undefined, isTaken: boolean): number | null {
  if (code === Jmp.JGT) return isTaken ? null : 0;
  if (code === Jmp.JLE) return isTaken ? 0 : null;
  if (code === Jmp.JGE) return isTaken ? null : 1;
  return code === Jmp.JLT && isTaken ? 1 : null;
}
