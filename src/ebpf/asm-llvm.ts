/** Instructions in LLVM's syntax, `r1 += 2`, as disasm.ts writes them. */
import { CONDITIONS, type Condition } from "./asm.js";
import {
  imm32,
  LABEL,
  NUMBER,
  offset16,
  PLACE,
  placeOf,
  REGISTER,
  register,
  type Statement,
  StatementError,
  sized,
  statement,
  wide,
} from "./asm-statement.js";
import { HELPER_NAMES } from "./helper-names.js";
import {
  Alu,
  Atomic,
  CallKind,
  Class,
  Jmp,
  LDDW,
  Mode,
  Size,
  SOURCE_REGISTER,
  WideKind,
} from "./isa.js";

const SIZES: Readonly<Record<string, number>> = {
  "8": Size.B,
  "16": Size.H,
  "32": Size.W,
  "64": Size.DW,
};
const SIGNS: Readonly<Record<string, number>> = {
  "+=": Alu.ADD,
  "-=": Alu.SUB,
  "*=": Alu.MUL,
  "/=": Alu.DIV,
  "|=": Alu.OR,
  "&=": Alu.AND,
  "<<=": Alu.LSH,
  ">>=": Alu.RSH,
  "%=": Alu.MOD,
  "^=": Alu.XOR,
  "=": Alu.MOV,
  "s>>=": Alu.ARSH,
};
const ATOMICS: Readonly<Record<string, number>> = {
  "+=": Atomic.ADD,
  "|=": Atomic.OR,
  "&=": Atomic.AND,
  "^=": Atomic.XOR,
  add: Atomic.ADD,
  or: Atomic.OR,
  and: Atomic.AND,
  xor: Atomic.XOR,
};
const WIDE_KINDS: Readonly<Record<string, number>> = {
  map_fd: WideKind.MAP_FD,
  map_value: WideKind.MAP_FD_VALUE,
  variable: WideKind.VARIABLE,
  code: WideKind.CODE,
  map_index: WideKind.MAP_INDEX,
  map_index_value: WideKind.MAP_INDEX_VALUE,
};

type Groups = readonly string[];
type Reader = (groups: Groups) => Statement;

const OFFSET = `[+-]\\s*(?:0x[0-9a-fA-F]+|\\d+)`;
const AT = `\\(\\s*(r\\d+)\\s*(${OFFSET})\\s*\\)`;
const pattern = (text: string): RegExp => new RegExp(`^${text.replaceAll(" ", "\\s*")}$`);

/** In the order in which they are tried. */
const READERS: readonly (readonly [RegExp, Reader])[] = [
  [/^exit$/, () => statement({ opcode: Class.JMP | Jmp.EXIT })],
  [pattern(`(goto|gotol)\\s+(${PLACE})`), ([word, to]) => readGoto(word!, to!)],
  [
    pattern(`if (${REGISTER}) (s?[<>]=?|[=!]=|&) (${REGISTER}|${NUMBER}) goto (${PLACE})`),
    (groups) => readBranch(groups),
  ],
  [pattern(`call pc([+-]\\d+)`), ([to]) => callOf(CallKind.LOCAL, placeOf(to!).distance)],
  [pattern(`call kernel-function#(-?\\d+)`), ([id]) => callOf(CallKind.BTF, imm32(id!))],
  [pattern(`call (?:bpf_\\w+#)?(-?\\d+)`), ([id]) => callOf(CallKind.HELPER, imm32(id!))],
  [pattern(`call (${LABEL})`), ([name]) => callNamed(name!)],
  [pattern(`(w\\d+|r\\d+) = - (w\\d+|r\\d+)`), ([dst, src]) => readNegation(dst!, src!)],
  [
    pattern(`(r\\d+) = (le|be|bswap)(16|32|64) (r\\d+)`),
    ([dst, kind, bits, src]) => readSwap(dst!, kind!, Number(bits), src!),
  ],
  [
    pattern(`(${REGISTER}) = \\( s(8|16|32) \\) (${REGISTER})`),
    ([dst, bits, src]) => readExtension(dst!, Number(bits), src!),
  ],
  [
    pattern(`r0 = \\* \\( u(8|16|32) \\*\\) skb\\[ (r\\d+|${NUMBER}) \\]`),
    ([bits, at]) => readPacket(bits!, at!),
  ],
  [
    pattern(`(r\\d+) = \\* \\( (u|s)(8|16|32|64) \\* \\) ${AT}`),
    ([dst, sign, bits, base, offset]) => readLoad(dst!, sign!, bits!, base!, offset!),
  ],
  [
    pattern(`\\* \\( u(8|16|32|64) \\* \\) ${AT} = (r\\d+|${NUMBER})`),
    ([bits, base, offset, value]) => readStore(bits!, base!, offset!, value!),
  ],
  [
    pattern(`lock \\* \\( u(32|64) \\* \\) ${AT} ([+|&^]=) (${REGISTER})`),
    ([bits, base, offset, sign, src]) => atomic(bits!, base!, offset!, src!, ATOMICS[sign!]!),
  ],
  [
    pattern(
      `(${REGISTER}) = atomic_fetch_(add|or|and|xor) \\( \\( u(32|64) \\* \\) ${AT} , (${REGISTER}) \\)`,
    ),
    ([dst, name, bits, base, offset, src]) => {
      same(dst!, src!);
      return atomic(bits!, base!, offset!, src!, ATOMICS[name!]! | Atomic.FETCH);
    },
  ],
  [
    pattern(`(${REGISTER}) = xchg(32_32|_64) \\( (r\\d+) (${OFFSET}) , (${REGISTER}) \\)`),
    ([dst, bits, base, offset, src]) => {
      same(dst!, src!);
      return atomic(bits!.slice(-2), base!, offset!, src!, Atomic.XCHG);
    },
  ],
  [
    pattern(`([rw]0) = cmpxchg(32_32|_64) \\( (r\\d+) (${OFFSET}) , ([rw]0) , (${REGISTER}) \\)`),
    ([old, bits, base, offset, again, src]) => {
      same(old!, again!);
      return atomic(bits!.slice(-2), base!, offset!, src!, Atomic.CMPXCHG);
    },
  ],
  [pattern(`(r\\d+) = (${NUMBER}) ll`), ([dst, value]) => readWide(dst!, value!)],
  [
    pattern(
      `(r\\d+) = (${Object.keys(WIDE_KINDS).join("|")})\\s+(${NUMBER})(?: \\+ (${NUMBER}))? ll`,
    ),
    ([dst, kind, imm, high]) =>
      statement({
        opcode: LDDW,
        dst: register(dst!),
        src: WIDE_KINDS[kind!]!,
        imm: imm32(imm!),
        immHigh: imm32(high ?? "0"),
      }),
  ],
  [
    pattern(`(r\\d+) = (${LABEL})(?: \\+ (\\d+))? ll`),
    ([dst, map, offset]) => loadMap(dst!, map!, offset),
  ],
  [
    pattern(`(${REGISTER}) (s?[-+*/|&%^]=|s?<<=|s?>>=|=) (${REGISTER}|${NUMBER})`),
    ([dst, sign, right]) => readArithmetic(dst!, sign!, right!),
  ],
];

/** null: it is nothing of this syntax. Throws {@link StatementError}. */
export function readLlvm(text: string): Statement | null {
  for (const [form, read] of READERS) {
    const match = form.exec(text);
    if (match !== null) return read(match.slice(1));
  }
  return null;
}

function same(one: string, other: string): void {
  if (one !== other) throw new StatementError(`expected ${one} again, got ${other}`);
}

function readGoto(word: string, to: string): Statement {
  const { distance, label } = placeOf(to);
  if (word === "gotol") return statement({ opcode: Class.JMP32 | Jmp.JA, imm: distance }, label);
  return statement({ opcode: Class.JMP | Jmp.JA, offset: offset16(`${distance}`) }, label);
}

function readBranch([left, sign, right, to]: Groups): Statement {
  const is64 = left!.startsWith("r");
  const code = CONDITIONS[sign as Condition];
  const { distance, label } = placeOf(to!);
  const opcode = (is64 ? Class.JMP : Class.JMP32) | code;
  const fields = { dst: register(left!), offset: offset16(`${distance}`) };
  if (!/^[rw]/.test(right!)) return statement({ opcode, ...fields, imm: imm32(right!) }, label);
  const src = sized(right!, is64);
  return statement({ opcode: opcode | SOURCE_REGISTER, ...fields, src }, label);
}

const callOf = (kind: number, imm: number): Statement =>
  statement({ opcode: Class.JMP | Jmp.CALL, src: kind, imm });

/** A helper by its name, or a function of the program. */
export function callNamed(name: string): Statement {
  const number = HELPER_NAMES.indexOf(name.replace(/^bpf_/, ""));
  if (number > 0) return callOf(CallKind.HELPER, number);
  return statement({ opcode: Class.JMP | Jmp.CALL, src: CallKind.LOCAL }, name);
}

function readNegation(dst: string, src: string): Statement {
  same(dst, src);
  const is64 = dst.startsWith("r");
  return statement({ opcode: (is64 ? Class.ALU64 : Class.ALU) | Alu.NEG, dst: register(dst) });
}

function readSwap(dst: string, kind: string, bits: number, src: string): Statement {
  same(dst, src);
  const opcode =
    Alu.END | (kind === "bswap" ? Class.ALU64 : Class.ALU) | (kind === "be" ? SOURCE_REGISTER : 0);
  return statement({ opcode, dst: register(dst), imm: bits });
}

function readExtension(dst: string, bits: number, src: string): Statement {
  const is64 = dst.startsWith("r");
  if (bits === 32 && !is64) throw new StatementError("(s32) is for r registers");
  const opcode = (is64 ? Class.ALU64 : Class.ALU) | Alu.MOV | SOURCE_REGISTER;
  return statement({ opcode, dst: register(dst), src: sized(src, is64), offset: bits });
}

function readPacket(bits: string, at: string): Statement {
  const size = SIZES[bits]!;
  if (at.startsWith("r")) {
    return statement({ opcode: Class.LD | Mode.IND | size, src: register(at) });
  }
  return statement({ opcode: Class.LD | Mode.ABS | size, imm: imm32(at) });
}

function readLoad(
  dst: string,
  sign: string,
  bits: string,
  base: string,
  offset: string,
): Statement {
  if (sign === "s" && bits === "64") throw new StatementError("there is no load of s64");
  const mode = sign === "s" ? Mode.MEMSX : Mode.MEM;
  return statement({
    opcode: Class.LDX | mode | SIZES[bits]!,
    dst: register(dst),
    src: register(base),
    offset: offset16(offset),
  });
}

function readStore(bits: string, base: string, offset: string, value: string): Statement {
  const fields = { dst: register(base), offset: offset16(offset) };
  const opcode = Mode.MEM | SIZES[bits]!;
  if (value.startsWith("r"))
    return statement({ opcode: opcode | Class.STX, ...fields, src: register(value) });
  return statement({ opcode: opcode | Class.ST, ...fields, imm: imm32(value) });
}

function atomic(bits: string, base: string, offset: string, src: string, imm: number): Statement {
  return statement({
    opcode: Class.STX | Mode.ATOMIC | SIZES[bits]!,
    dst: register(base),
    src: sized(src, bits === "64"),
    offset: offset16(offset),
    imm,
  });
}

export function readWide(dst: string, value: string): Statement {
  const bits = wide(value);
  return statement({
    opcode: LDDW,
    dst: register(dst),
    imm: Number(BigInt.asIntN(32, bits)),
    immHigh: Number(BigInt.asIntN(32, bits >> 32n)),
  });
}

/** A map by its name; with an offset, its value's address. */
export function loadMap(dst: string, map: string, offset: string | undefined): Statement {
  const src = offset === undefined ? WideKind.MAP_FD : WideKind.MAP_FD_VALUE;
  const fields = { opcode: LDDW, dst: register(dst), src, immHigh: imm32(offset ?? "0") };
  return statement(fields, null, map);
}

function readArithmetic(dst: string, sign: string, right: string): Statement {
  const is64 = dst.startsWith("r");
  const isSigned = sign === "s/=" || sign === "s%=";
  const code = SIGNS[isSigned ? sign.slice(1) : sign];
  if (code === undefined) throw new StatementError(`there is no operation ${sign}`);
  const opcode = (is64 ? Class.ALU64 : Class.ALU) | code;
  const fields = { dst: register(dst), offset: isSigned ? 1 : 0 };
  if (!/^[rw]/.test(right)) return statement({ opcode, ...fields, imm: imm32(right) });
  return statement({ opcode: opcode | SOURCE_REGISTER, ...fields, src: sized(right, is64) });
}
