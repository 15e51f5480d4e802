/**
 * From instructions to text in LLVM's syntax (`r1 += 2`), which the kernel's verifier speaks, too: for
 * its log and for diagnostics. Helpers have their names as there, `call bpf_redirect_map#51`.
 *
 * What is no instruction of RFC 9669 becomes `unknown` with its bytes; nothing here throws.
 */
import { CONDITIONS } from "./asm.js";
import { HELPER_NAMES } from "./helper-names.js";
import {
  Alu,
  Atomic,
  CallKind,
  Class,
  INSTRUCTION_BYTES,
  type Instruction,
  isWide,
  Jmp,
  LDDW,
  Mode,
  readInstruction,
  Size,
  SOURCE_REGISTER,
  WideKind,
} from "./isa.js";

const ALU_SIGNS: ReadonlyMap<number, string> = new Map([
  [Alu.ADD, "+="],
  [Alu.SUB, "-="],
  [Alu.MUL, "*="],
  [Alu.DIV, "/="],
  [Alu.OR, "|="],
  [Alu.AND, "&="],
  [Alu.LSH, "<<="],
  [Alu.RSH, ">>="],
  [Alu.MOD, "%="],
  [Alu.XOR, "^="],
  [Alu.MOV, "="],
  [Alu.ARSH, "s>>="],
]);

const CONDITION_SIGNS: ReadonlyMap<number, string> = new Map(
  Object.entries(CONDITIONS).map(([sign, code]) => [code, sign]),
);

const WIDTHS: ReadonlyMap<number, number> = new Map([
  [Size.B, 8],
  [Size.H, 16],
  [Size.W, 32],
  [Size.DW, 64],
]);

const ATOMIC_NAMES: ReadonlyMap<number, readonly [name: string, sign: string]> = new Map([
  [Atomic.ADD, ["add", "+="]],
  [Atomic.OR, ["or", "|="]],
  [Atomic.AND, ["and", "&="]],
  [Atomic.XOR, ["xor", "^="]],
]);

/** What one instruction is called; null when it is none of RFC 9669. */
export type Describe = (instruction: Instruction) => string | null;

/** A program's lines, each with the number of its first word, as in the verifier's log. */
export function disassemble(code: Uint8Array, describe: Describe = describeInstruction): string[] {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const lines: string[] = [];
  const end = code.byteLength - (code.byteLength % INSTRUCTION_BYTES);
  for (let at = 0; at < end; ) {
    const { text, lengthBytes } = describeAt(view, at, end, describe);
    lines.push(`${at / INSTRUCTION_BYTES}: ${text}`);
    at += lengthBytes;
  }
  return lines;
}

function describeAt(
  view: DataView,
  at: number,
  end: number,
  describe: Describe,
): { text: string; lengthBytes: number } {
  if (view.getUint8(at) === LDDW && !hasSecondWord(view, at, end)) {
    return { text: unknown(view, at), lengthBytes: INSTRUCTION_BYTES };
  }
  const instruction = readInstruction(view, at);
  const lengthBytes = isWide(instruction) ? 2 * INSTRUCTION_BYTES : INSTRUCTION_BYTES;
  return { text: describe(instruction) ?? unknown(view, at), lengthBytes };
}

function hasSecondWord(view: DataView, at: number, end: number): boolean {
  return at + 2 * INSTRUCTION_BYTES <= end && view.getUint32(at + INSTRUCTION_BYTES, true) === 0;
}

function unknown(view: DataView, at: number): string {
  return `unknown ${view.getBigUint64(at).toString(16).padStart(16, "0")}`;
}

/** One instruction as text; null when it is none of RFC 9669. */
export function describeInstruction(i: Instruction): string | null {
  if (i.dst > 10 || (i.src > 10 && !isWide(i))) return null;
  switch (i.opcode & 7) {
    case Class.ALU:
    case Class.ALU64:
      return describeAlu(i);
    case Class.JMP:
    case Class.JMP32:
      return describeJump(i);
    case Class.LDX:
      return describeLoad(i);
    case Class.ST:
    case Class.STX:
      return describeStore(i);
    default:
      return describeImmediate(i);
  }
}

const reg = (number: number, is64: boolean): string => `${is64 ? "r" : "w"}${number}`;
const isRegister = (i: Instruction): boolean => (i.opcode & SOURCE_REGISTER) !== 0;
const signed = (n: number): string => (n < 0 ? `- ${-n}` : `+ ${n}`);
const distance = (n: number): string => (n < 0 ? `${n}` : `+${n}`);

/** The second operand, or null when the other one's field is set, which is reserved. */
function operand(i: Instruction, is64: boolean): string | null {
  if (isRegister(i)) return i.imm === 0 ? reg(i.src, is64) : null;
  return i.src === 0 ? `${i.imm}` : null;
}

function describeAlu(i: Instruction): string | null {
  const is64 = (i.opcode & 7) === Class.ALU64;
  const code = i.opcode & 0xf0;
  const dst = reg(i.dst, is64);
  if (code === Alu.END) return describeSwap(i, is64);
  if (code === Alu.NEG) {
    const isPlain = !isRegister(i) && i.src === 0 && i.imm === 0 && i.offset === 0;
    return isPlain ? `${dst} = -${dst}` : null;
  }
  const sign = ALU_SIGNS.get(code);
  const right = operand(i, is64);
  if (sign === undefined || right === null) return null;
  if (i.offset === 0) return `${dst} ${sign} ${right}`;
  if (i.offset === 1 && (code === Alu.DIV || code === Alu.MOD)) return `${dst} s${sign} ${right}`;
  const extends32 = i.offset === 32 && is64;
  if (code === Alu.MOV && isRegister(i) && (i.offset === 8 || i.offset === 16 || extends32)) {
    return `${dst} = (s${i.offset})${right}`;
  }
  return null;
}

function describeSwap(i: Instruction, is64: boolean): string | null {
  if ((i.imm !== 16 && i.imm !== 32 && i.imm !== 64) || i.offset !== 0 || i.src !== 0) return null;
  if (is64 && isRegister(i)) return null;
  const name = is64 ? "bswap" : isRegister(i) ? "be" : "le";
  return `r${i.dst} = ${name}${i.imm} r${i.dst}`;
}

function describeJump(i: Instruction): string | null {
  const is64 = (i.opcode & 7) === Class.JMP;
  const code = i.opcode & 0xf0;
  if (code === Jmp.JA) return describeGoto(i, is64);
  if (code === Jmp.CALL) return is64 ? describeCall(i) : null;
  if (code === Jmp.EXIT) {
    const isPlain = is64 && !isRegister(i) && i.dst + i.src === 0 && i.imm === 0 && i.offset === 0;
    return isPlain ? "exit" : null;
  }
  const sign = CONDITION_SIGNS.get(code);
  const right = operand(i, is64);
  if (sign === undefined || right === null) return null;
  return `if ${reg(i.dst, is64)} ${sign} ${right} goto ${distance(i.offset)}`;
}

function describeGoto(i: Instruction, isNear: boolean): string | null {
  if (isRegister(i) || i.dst !== 0 || i.src !== 0) return null;
  if (isNear) return i.imm === 0 ? `goto ${distance(i.offset)}` : null;
  return i.offset === 0 ? `gotol ${distance(i.imm)}` : null;
}

function describeCall(i: Instruction): string | null {
  if (isRegister(i) || i.dst !== 0 || i.offset !== 0) return null;
  if (i.src === CallKind.LOCAL) return `call pc${distance(i.imm)}`;
  if (i.src === CallKind.BTF) return `call kernel-function#${i.imm}`;
  if (i.src !== CallKind.HELPER) return null;
  const name = HELPER_NAMES[i.imm];
  return name === undefined || i.imm === 0 ? `call ${i.imm}` : `call bpf_${name}#${i.imm}`;
}

const place = (sign: string, width: number, base: number, offset: number): string =>
  `*(${sign}${width} *)(r${base} ${signed(offset)})`;

function describeLoad(i: Instruction): string | null {
  const width = WIDTHS.get(i.opcode & 0x18)!;
  const mode = i.opcode & 0xe0;
  if (i.imm !== 0 || (mode !== Mode.MEM && mode !== Mode.MEMSX)) return null;
  if (mode === Mode.MEMSX && width === 64) return null;
  return `r${i.dst} = ${place(mode === Mode.MEM ? "u" : "s", width, i.src, i.offset)}`;
}

function describeStore(i: Instruction): string | null {
  const width = WIDTHS.get(i.opcode & 0x18)!;
  const mode = i.opcode & 0xe0;
  const isFromRegister = (i.opcode & 7) === Class.STX;
  if (mode === Mode.ATOMIC && isFromRegister) return describeAtomic(i, width);
  if (mode !== Mode.MEM || (isFromRegister ? i.imm : i.src) !== 0) return null;
  const to = place("u", width, i.dst, i.offset);
  return isFromRegister ? `${to} = r${i.src}` : `${to} = ${i.imm}`;
}

function describeAtomic(i: Instruction, width: number): string | null {
  if (width < 32) return null;
  const is64 = width === 64;
  const src = reg(i.src, is64);
  const at = `r${i.dst} ${signed(i.offset)}`;
  const suffix = is64 ? "_64" : "32_32";
  if (i.imm === Atomic.XCHG) return `${src} = xchg${suffix}(${at}, ${src})`;
  if (i.imm === Atomic.CMPXCHG) {
    const old = reg(0, is64);
    return `${old} = cmpxchg${suffix}(${at}, ${old}, ${src})`;
  }
  const known = ATOMIC_NAMES.get(i.imm & ~Atomic.FETCH);
  if (known === undefined) return null;
  const [name, sign] = known;
  if ((i.imm & Atomic.FETCH) === 0) return `lock *(u${width} *)(${at}) ${sign} ${src}`;
  return `${src} = atomic_fetch_${name}((u${width} *)(${at}), ${src})`;
}

/** Constants of 64 bits, and the packet access of classic BPF (RFC 9669 §5.5, deprecated). */
function describeImmediate(i: Instruction): string | null {
  if (i.opcode === LDDW) return describeWide(i);
  const mode = i.opcode & 0xe0;
  const width = WIDTHS.get(i.opcode & 0x18)!;
  if (width === 64 || i.dst !== 0 || i.offset !== 0) return null;
  if (mode === Mode.ABS) return i.src === 0 ? `r0 = *(u${width} *)skb[${i.imm}]` : null;
  return mode === Mode.IND && i.imm === 0 ? `r0 = *(u${width} *)skb[r${i.src}]` : null;
}

const WIDE_NAMES: ReadonlyMap<number, string> = new Map([
  [WideKind.MAP_FD, "map_fd"],
  [WideKind.MAP_FD_VALUE, "map_value"],
  [WideKind.VARIABLE, "variable"],
  [WideKind.CODE, "code"],
  [WideKind.MAP_INDEX, "map_index"],
  [WideKind.MAP_INDEX_VALUE, "map_index_value"],
]);

function describeWide(i: Instruction): string | null {
  if (i.offset !== 0) return null;
  if (i.src === WideKind.IMM) {
    const value = (BigInt(i.immHigh) << 32n) | BigInt(i.imm >>> 0);
    return `r${i.dst} = ${value} ll`;
  }
  const name = WIDE_NAMES.get(i.src);
  if (name === undefined) return null;
  const rest = i.immHigh === 0 ? "" : ` + ${i.immHigh}`;
  return `r${i.dst} = ${name} ${i.imm}${rest} ll`;
}
