/**
 * Instructions by their names, `add r1, 2`: the syntax of uBPF and of the tables of RFC 9669. Both ways:
 * what {@link describeMnemonic} writes, {@link readMnemonic} reads.
 *
 *     add r1, 2        add32 r1, r2      sdiv r1, r2     movsx8 r1, r2     neg r1       be16 r1
 *     ldxw r1, [r2+4]  ldxsb r1, [r2]    stxdw [r10-8], r1                 stw [r10-4], 7
 *     jeq r1, 2, +3    jeq32 r1, r2, end ja end          ja32 +100000      call 1       call local f
 *     lddw r1, 0x1122334455667788        lock add [r1+8], r2               lock fetch add32 [r1], r2
 */
import { callNamed, loadMap, readWide } from "./asm-llvm.js";
import {
  imm32,
  LABEL,
  NUMBER,
  offset16,
  PLACE,
  placeOf,
  register,
  type Statement,
  statement,
} from "./asm-statement.js";
import { describeInstruction } from "./disasm.js";
import {
  Alu,
  Atomic,
  CallKind,
  Class,
  type Instruction,
  Jmp,
  LDDW,
  Mode,
  Size,
  SOURCE_REGISTER,
  WideKind,
} from "./isa.js";

const ALU = "add sub mul div or and lsh rsh mod xor mov arsh".split(" ");
const JUMPS = "jeq jgt jge jset jne jsgt jsge jlt jle jslt jsle".split(" ");
const ALU_CODES: Readonly<Record<string, number>> = {
  add: Alu.ADD,
  sub: Alu.SUB,
  mul: Alu.MUL,
  div: Alu.DIV,
  or: Alu.OR,
  and: Alu.AND,
  lsh: Alu.LSH,
  rsh: Alu.RSH,
  mod: Alu.MOD,
  xor: Alu.XOR,
  mov: Alu.MOV,
  arsh: Alu.ARSH,
};
const JUMP_CODES: Readonly<Record<string, number>> = {
  jeq: Jmp.JEQ,
  jgt: Jmp.JGT,
  jge: Jmp.JGE,
  jset: Jmp.JSET,
  jne: Jmp.JNE,
  jsgt: Jmp.JSGT,
  jsge: Jmp.JSGE,
  jlt: Jmp.JLT,
  jle: Jmp.JLE,
  jslt: Jmp.JSLT,
  jsle: Jmp.JSLE,
};
const SIZES: Readonly<Record<string, number>> = {
  b: Size.B,
  h: Size.H,
  w: Size.W,
  dw: Size.DW,
};
const ATOMICS: Readonly<Record<string, number>> = {
  add: Atomic.ADD,
  or: Atomic.OR,
  and: Atomic.AND,
  xor: Atomic.XOR,
  "fetch add": Atomic.ADD | Atomic.FETCH,
  "fetch or": Atomic.OR | Atomic.FETCH,
  "fetch and": Atomic.AND | Atomic.FETCH,
  "fetch xor": Atomic.XOR | Atomic.FETCH,
  xchg: Atomic.XCHG,
  cmpxchg: Atomic.CMPXCHG,
};

const nameOf = (table: Readonly<Record<string, number>>, code: number): string =>
  Object.entries(table).find(([, value]) => value === code)![0];

const R = "(r\\d+)";
const RIGHT = `(r\\d+|${NUMBER})`;
const AT = "\\[ (r\\d+)( [+-] (?:0x[0-9a-fA-F]+|\\d+))? \\]";
/** A space is any number of them, an underscore at least one. */
const pattern = (text: string): RegExp =>
  new RegExp(`^${text.replaceAll(" ", "\\s*").replaceAll("_", "\\s+")}$`);

/** Underscores of names are none of a pattern's. */
const NAME = LABEL.replaceAll("_", "\\x5f");
const TO = PLACE.replaceAll("_", "\\x5f");

type Groups = readonly (string | undefined)[];

const READERS: readonly (readonly [RegExp, (groups: Groups) => Statement])[] = [
  [pattern("exit"), () => statement({ opcode: Class.JMP | Jmp.EXIT })],
  [
    pattern(`(s?)(${ALU.join("|")})(32)?_${R} , ${RIGHT}`),
    ([sign, name, bits, dst, right]) => {
      const isSigned = sign === "s";
      const opcode = (bits === undefined ? Class.ALU64 : Class.ALU) | ALU_CODES[name!]!;
      return withRight(opcode, right!, { dst: register(dst!), offset: isSigned ? 1 : 0 });
    },
  ],
  [
    pattern(`movsx(8|16|32)(32)?_${R} , ${R}`),
    ([from, bits, dst, src]) =>
      statement({
        opcode: (bits === undefined ? Class.ALU64 : Class.ALU) | Alu.MOV | SOURCE_REGISTER,
        dst: register(dst!),
        src: register(src!),
        offset: Number(from),
      }),
  ],
  [
    pattern(`neg(32)?_${R}`),
    ([bits, dst]) =>
      statement({
        opcode: (bits === undefined ? Class.ALU64 : Class.ALU) | Alu.NEG,
        dst: register(dst!),
      }),
  ],
  [
    pattern(`(le|be|swap)(16|32|64)_${R}`),
    ([kind, bits, dst]) =>
      statement({
        opcode:
          Alu.END |
          (kind === "swap" ? Class.ALU64 : Class.ALU) |
          (kind === "be" ? SOURCE_REGISTER : 0),
        dst: register(dst!),
        imm: Number(bits),
      }),
  ],
  [
    pattern(`ldx(s?)(b|h|w|dw)_${R} , ${AT}`),
    ([sign, size, dst, base, offset]) =>
      statement({
        opcode: Class.LDX | (sign === "s" ? Mode.MEMSX : Mode.MEM) | SIZES[size!]!,
        dst: register(dst!),
        src: register(base!),
        offset: offset16(offset ?? "0"),
      }),
  ],
  [
    pattern(`stx(b|h|w|dw)_${AT} , ${R}`),
    ([size, base, offset, src]) =>
      statement({
        opcode: Class.STX | Mode.MEM | SIZES[size!]!,
        dst: register(base!),
        src: register(src!),
        offset: offset16(offset ?? "0"),
      }),
  ],
  [
    pattern(`st(b|h|w|dw)_${AT} , (${NUMBER})`),
    ([size, base, offset, imm]) =>
      statement({
        opcode: Class.ST | Mode.MEM | SIZES[size!]!,
        dst: register(base!),
        offset: offset16(offset ?? "0"),
        imm: imm32(imm!),
      }),
  ],
  [
    pattern(`lock_(fetch_)?(add|or|and|xor|xchg|cmpxchg)(32)?_${AT} , ${R}`),
    ([fetch, name, bits, base, offset, src]) => {
      const size = bits === undefined ? Size.DW : Size.W;
      const isExchange = name!.endsWith("xchg");
      return statement({
        opcode: Class.STX | Mode.ATOMIC | size,
        dst: register(base!),
        src: register(src!),
        offset: offset16(offset ?? "0"),
        imm: ATOMICS[fetch === undefined || isExchange ? name! : `fetch ${name}`]!,
      });
    },
  ],
  [
    pattern(`(${JUMPS.join("|")})(32)?_${R} , ${RIGHT} , (${TO})`),
    ([name, bits, left, right, to]) => {
      const { distance, label } = placeOf(to!);
      const opcode = (bits === undefined ? Class.JMP : Class.JMP32) | JUMP_CODES[name!]!;
      const fields = { dst: register(left!), offset: offset16(`${distance}`) };
      return withRight(opcode, right!, fields, label);
    },
  ],
  [
    pattern(`ja(32)?_(${TO})`),
    ([bits, to]) => {
      const { distance, label } = placeOf(to!);
      if (bits !== undefined)
        return statement({ opcode: Class.JMP32 | Jmp.JA, imm: distance }, label);
      return statement({ opcode: Class.JMP | Jmp.JA, offset: offset16(`${distance}`) }, label);
    },
  ],
  [
    pattern(`call_local_(${TO})`),
    ([to]) => {
      const { distance, label } = placeOf(to!);
      const fields = { opcode: Class.JMP | Jmp.CALL, src: CallKind.LOCAL, imm: distance };
      return statement(fields, label);
    },
  ],
  [
    pattern(`call_kernel_(-?\\d+)`),
    ([id]) => statement({ opcode: Class.JMP | Jmp.CALL, src: CallKind.BTF, imm: imm32(id!) }),
  ],
  [
    pattern(`call_(-?\\d+)`),
    ([id]) => statement({ opcode: Class.JMP | Jmp.CALL, imm: imm32(id!) }),
  ],
  [pattern(`call_(${NAME})`), ([name]) => callNamed(name!)],
  [pattern(`lddw_${R} , (${NUMBER})`), ([dst, value]) => readWide(dst!, value!)],
  [
    pattern(`lddw_${R} , kind_(\\d+)_(${NUMBER})_(${NUMBER})`),
    ([dst, kind, imm, high]) =>
      statement({
        opcode: LDDW,
        dst: register(dst!),
        src: Number(kind),
        imm: imm32(imm!),
        immHigh: imm32(high!),
      }),
  ],
  [
    pattern(`lddw_${R} , (${NAME})(?: \\+ (\\d+))?`),
    ([dst, map, offset]) => loadMap(dst!, map!, offset),
  ],
  [
    pattern(`ldabs(b|h|w)_(${NUMBER})`),
    ([size, imm]) => statement({ opcode: Class.LD | Mode.ABS | SIZES[size!]!, imm: imm32(imm!) }),
  ],
  [
    pattern(`ldind(b|h|w)_${R}`),
    ([size, src]) =>
      statement({ opcode: Class.LD | Mode.IND | SIZES[size!]!, src: register(src!) }),
  ],
];

function withRight(
  opcode: number,
  right: string,
  fields: Partial<Instruction>,
  label: string | null = null,
): Statement {
  if (!right.startsWith("r")) return statement({ ...fields, opcode, imm: imm32(right) }, label);
  return statement({ ...fields, opcode: opcode | SOURCE_REGISTER, src: register(right) }, label);
}

/** null: it is nothing of this syntax. Throws `StatementError`. */
export function readMnemonic(text: string): Statement | null {
  for (const [form, read] of READERS) {
    const match = form.exec(text);
    if (match !== null) return read(match.slice(1));
  }
  return null;
}

/** One instruction as text; null when it is none of RFC 9669. */
export function describeMnemonic(i: Instruction): string | null {
  if (describeInstruction(i) === null) return null;
  switch (i.opcode & 7) {
    case Class.ALU:
    case Class.ALU64:
      return describeAlu(i);
    case Class.JMP:
    case Class.JMP32:
      return describeJump(i);
    case Class.LDX: {
      const sign = (i.opcode & 0xe0) === Mode.MEMSX ? "s" : "";
      return `ldx${sign}${sizeName(i)} r${i.dst}, ${memory(i.src, i.offset)}`;
    }
    case Class.ST:
      return `st${sizeName(i)} ${memory(i.dst, i.offset)}, ${i.imm}`;
    case Class.STX:
      return describeStore(i);
    default:
      return describeLoad(i);
  }
}

const sizeName = (i: Instruction): string => nameOf(SIZES, i.opcode & 0x18);
const distance = (n: number): string => (n < 0 ? `${n}` : `+${n}`);
const memory = (base: number, offset: number): string =>
  offset === 0 ? `[r${base}]` : `[r${base}${distance(offset)}]`;
const right = (i: Instruction): string =>
  (i.opcode & SOURCE_REGISTER) !== 0 ? `r${i.src}` : `${i.imm}`;

function describeAlu(i: Instruction): string {
  const is64 = (i.opcode & 7) === Class.ALU64;
  const code = i.opcode & 0xf0;
  const bits = is64 ? "" : "32";
  if (code === Alu.END) {
    const kind = is64 ? "swap" : (i.opcode & SOURCE_REGISTER) !== 0 ? "be" : "le";
    return `${kind}${i.imm} r${i.dst}`;
  }
  if (code === Alu.NEG) return `neg${bits} r${i.dst}`;
  if (code === Alu.MOV && i.offset !== 0) return `movsx${i.offset}${bits} r${i.dst}, r${i.src}`;
  return `${i.offset === 1 ? "s" : ""}${nameOf(ALU_CODES, code)}${bits} r${i.dst}, ${right(i)}`;
}

function describeJump(i: Instruction): string {
  const is64 = (i.opcode & 7) === Class.JMP;
  const code = i.opcode & 0xf0;
  if (code === Jmp.EXIT) return "exit";
  if (code === Jmp.JA) return is64 ? `ja ${distance(i.offset)}` : `ja32 ${distance(i.imm)}`;
  if (code !== Jmp.CALL) {
    const name = nameOf(JUMP_CODES, code);
    return `${name}${is64 ? "" : "32"} r${i.dst}, ${right(i)}, ${distance(i.offset)}`;
  }
  if (i.src === CallKind.LOCAL) return `call local ${distance(i.imm)}`;
  return i.src === CallKind.BTF ? `call kernel ${i.imm}` : `call ${i.imm}`;
}

function describeStore(i: Instruction): string {
  const to = memory(i.dst, i.offset);
  if ((i.opcode & 0xe0) !== Mode.ATOMIC) return `stx${sizeName(i)} ${to}, r${i.src}`;
  const bits = (i.opcode & 0x18) === Size.DW ? "" : "32";
  return `lock ${nameOf(ATOMICS, i.imm)}${bits} ${to}, r${i.src}`;
}

function describeLoad(i: Instruction): string {
  if (i.opcode !== LDDW) {
    const isAbsolute = (i.opcode & 0xe0) === Mode.ABS;
    return isAbsolute ? `ldabs${sizeName(i)} ${i.imm}` : `ldind${sizeName(i)} r${i.src}`;
  }
  if (i.src !== WideKind.IMM) return `lddw r${i.dst}, kind ${i.src} ${i.imm} ${i.immHigh}`;
  return `lddw r${i.dst}, ${(BigInt(i.immHigh) << 32n) | BigInt(i.imm >>> 0)}`;
}
