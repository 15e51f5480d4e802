/** One instruction as text said it, before labels and maps have places; and how numbers are written. */
import type { Instruction } from "./isa.js";

export interface Statement {
  readonly instruction: Instruction;
  /** The label that it leads to; null: its distance is in the instruction. */
  readonly target: string | null;
  /** The map whose address it loads. */
  readonly map: string | null;
}

/** What is wrong with a statement, in words. */
export class StatementError extends Error {}

export function statement(
  fields: Partial<Instruction> & { readonly opcode: number },
  target: string | null = null,
  map: string | null = null,
): Statement {
  return {
    instruction: { dst: 0, src: 0, offset: 0, imm: 0, immHigh: 0, ...fields },
    target,
    map,
  };
}

/** As they stand in patterns. */
export const REGISTER = "[rw]\\d+";
export const NUMBER = "-?(?:0x[0-9a-fA-F]+|\\d+)";
export const LABEL = "[A-Za-z_.$][\\w.$]*";

/** Whole, of up to 64 bits. */
export function wide(text: string): bigint {
  const isNegative = text.startsWith("-");
  const value = BigInt(isNegative ? text.slice(1) : text);
  const result = isNegative ? -value : value;
  if (result < -(1n << 63n) || result >= 1n << 64n)
    throw new StatementError(`${text} has more than 64 bits`);
  return result;
}

/** A constant of 32 bits, with or without sign. */
export function imm32(text: string): number {
  const value = wide(text);
  if (value < -(1n << 31n) || value >= 1n << 32n)
    throw new StatementError(`expected a constant of 32 bits, got ${text}`);
  return Number(BigInt.asIntN(32, value));
}

/** An offset of 16 bits with its sign; spaces after the sign are left out. */
export function offset16(text: string): number {
  const value = Number(wide(text.replaceAll(/[\s+]/g, "")));
  if (value < -0x8000 || value > 0x7fff)
    throw new StatementError(`expected an offset from -32768 to 32767, got ${text}`);
  return value;
}

/** r0 to r10, or w0 to w10. */
export function register(text: string): number {
  const number = Number(text.slice(1));
  if (number > 10) throw new StatementError(`there is no register ${text}: expected 0 to 10`);
  return number;
}

/** A register of the wanted width. */
export function sized(text: string, is64: boolean): number {
  if (text.startsWith("r") !== is64) {
    throw new StatementError(`expected ${is64 ? "r" : "w"} registers throughout, got ${text}`);
  }
  return register(text);
}

/** `+3`, `-1` or a label. */
export interface Place {
  readonly distance: number;
  readonly label: string | null;
}

export const PLACE = `[+-](?:0x[0-9a-fA-F]+|\\d+)|${LABEL}`;

export function placeOf(text: string): Place {
  const isDistance = /^[+-]/.test(text);
  if (!isDistance) return { distance: 0, label: text };
  return { distance: imm32(text.replace(/^\+/, "")), label: null };
}
