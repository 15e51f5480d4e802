/** Instructions that compute: on numbers, and on pointers as far as that may be. */
import type { PlacedInstruction } from "./instructions.js";
import { Alu, Class, SOURCE_REGISTER } from "./isa.js";
import type { Verifier } from "./verify.js";
import { compute32, compute64, extend, low32 } from "./verify-arithmetic.js";
import { describeKind } from "./verify-memory.js";
import type { State } from "./verify-state.js";
import { Kind, markPrecise, number, unknown, type Value } from "./verify-value.js";

const POINTER_OFFSET_LIMIT = 2 ** 29;
const U32 = 2 ** 32 - 1;

/** What an instruction of class ALU or ALU64 leaves in its register. */
export function computed(
  verifier: Verifier,
  state: State,
  i: PlacedInstruction,
  constant: Value,
): Value {
  const code = i.opcode & 0xf0;
  const is64 = (i.opcode & 7) === Class.ALU64;
  const isRegister = (i.opcode & SOURCE_REGISTER) !== 0;
  if (code === Alu.MOV) return moved(verifier, state, i, is64, isRegister);
  const left = verifier.read(state, i.dst);
  if (code === Alu.END || code === Alu.NEG) return changedAlone(verifier, left, i, code, is64);
  const right = isRegister ? verifier.read(state, i.src) : constant;
  if (!isRegister) checkConstant(verifier, i, code, is64);
  if (left.kind !== Kind.NUMBER || right.kind !== Kind.NUMBER) {
    return pointerArithmetic(verifier, left, right, code, is64, i);
  }
  const compute = is64 ? compute64 : compute32;
  return compute(code, i.offset === 1, left, right);
}

function checkConstant(
  verifier: Verifier,
  i: PlacedInstruction,
  code: number,
  is64: boolean,
): void {
  if ((code === Alu.DIV || code === Alu.MOD) && i.imm === 0) verifier.refuse("it divides by zero");
  const isShift = code === Alu.LSH || code === Alu.RSH || code === Alu.ARSH;
  const bits = is64 ? 64 : 32;
  if (isShift && (i.imm < 0 || i.imm >= bits))
    verifier.refuse(`it shifts ${bits} bits by ${i.imm}`);
}

function moved(
  verifier: Verifier,
  state: State,
  i: PlacedInstruction,
  is64: boolean,
  isRegister: boolean,
): Value {
  if (!isRegister) return is64 ? number(i.imm, i.imm) : number(i.imm >>> 0, i.imm >>> 0);
  const value = verifier.read(state, i.src);
  if (i.offset !== 0) {
    if (value.kind !== Kind.NUMBER)
      verifier.refuse(`r${i.src} is ${describeKind(value)}, not a number`);
    return extend(i.offset, value, is64 ? 64 : 32);
  }
  if (is64) return value.kind === Kind.NUMBER ? linked(verifier, state, i.src, value) : value;
  if (value.kind !== Kind.NUMBER) return number(0, U32); // half of a pointer
  const low = low32(value);
  return low === value ? linked(verifier, state, i.src, value) : low;
}

/** Both registers hold the same number: what is learnt of one holds for the other. */
function linked(verifier: Verifier, state: State, register: number, value: Value): Value {
  if (value.isConstant || value.id !== 0) return value;
  const named = value.named(verifier.freshId());
  state.frame.registers[register] = named;
  return named;
}

function changedAlone(
  verifier: Verifier,
  value: Value,
  i: PlacedInstruction,
  code: number,
  is64: boolean,
): Value {
  if (value.kind !== Kind.NUMBER)
    verifier.refuse(`r${i.dst} is ${describeKind(value)}, not a number`);
  if (code === Alu.NEG) {
    const zero = number(0, 0);
    return is64 ? compute64(Alu.SUB, false, zero, value) : compute32(Alu.SUB, false, zero, value);
  }
  return i.imm === 64 ? unknown(value) : number(0, 2 ** i.imm - 1, value);
}

function pointerArithmetic(
  verifier: Verifier,
  left: Value,
  right: Value,
  code: number,
  is64: boolean,
  i: PlacedInstruction,
): Value {
  const isSubtraction = code === Alu.SUB;
  const isBoth = left.kind !== Kind.NUMBER && right.kind !== Kind.NUMBER;
  // A distance; of 32 bits, also from a number, as the kernel lets root compute it.
  if (isSubtraction && (isBoth || !is64)) return is64 ? unknown() : number(0, U32);
  const pointer = left.kind === Kind.NUMBER ? right : left;
  const register = left.kind === Kind.NUMBER ? i.src : i.dst;
  const refuse = (what: string): never =>
    verifier.refuse(`r${register} is ${describeKind(pointer)}${what}`);
  if (!is64 || isBoth || (code !== Alu.ADD && !isSubtraction)) {
    return refuse(", of which no arithmetic is possible but adding and subtracting numbers");
  }
  if (pointer === right && isSubtraction) return refuse(", and is subtracted from a number");
  if (isSubtraction && pointer.kind === Kind.STACK)
    return refuse(", from which nothing is subtracted: add a negative number");
  if (pointer.mayBeNull) return refuse(": compare it with 0 first");
  const amount = pointer === left ? right : left;
  return advance(verifier, pointer, amount, isSubtraction, refuse);
}

function advance(
  verifier: Verifier,
  pointer: Value,
  amount: Value,
  isSubtraction: boolean,
  refuse: (what: string) => never,
): Value {
  markPrecise(amount);
  const { kind } = pointer;
  const isPacket = kind === Kind.PACKET || kind === Kind.PACKET_META;
  const isMovable = isPacket || kind === Kind.STACK || kind === Kind.VALUE || kind === Kind.RECORD;
  if (!isMovable) {
    if (amount.isConstant && amount.min === 0) return pointer;
    return refuse(", which cannot be moved");
  }
  if (amount.isConstant) {
    const offset = pointer.offset + (isSubtraction ? -amount.min : amount.min);
    if (Math.abs(offset) > POINTER_OFFSET_LIMIT) refuse(`, and is moved by ${offset} bytes`);
    return pointer.at(offset);
  }
  const min = isSubtraction ? -amount.max : amount.min;
  const max = isSubtraction ? -amount.min : amount.max;
  if (!Number.isFinite(min)) refuse(", and what is added to it may be any negative number");
  return pointer.moved(min, max, isPacket ? verifier.freshId() : pointer.id, amount);
}
