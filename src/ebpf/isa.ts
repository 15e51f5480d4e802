/**
 * The instruction set: RFC 9669, and the tables from which assembler and disassembler are made.
 *
 *  0        7 8  11 12  15 16              31 32                                     63
 * +----------+-----+------+------------------+----------------------------------------+
 * |  opcode  | dst | src  |      offset      |                  imm                   |
 * +----------+-----+------+------------------+----------------------------------------+
 *
 * Numbers are little endian here, as on every host that Millrace runs on (RFC 9669 §3.1 has the
 * registers the other way round on big-endian hosts). `lddw` takes two such words (§5.4); the second
 * holds the upper half of the constant in its imm.
 *
 * opcode, arithmetic and jumps (§4):  code (4 bits, high) | source (1: register) | class (3 bits)
 * opcode, loads and stores (§5):      mode (3 bits, high) | size (2 bits)        | class (3 bits)
 */
export const INSTRUCTION_BYTES = 8;

/** §3.3 */
export const Class = {
  LD: 0,
  LDX: 1,
  ST: 2,
  STX: 3,
  ALU: 4,
  JMP: 5,
  JMP32: 6,
  ALU64: 7,
} as const;

/** §4: the second operand is a register; without it, imm. */
export const SOURCE_REGISTER = 0x08;

/** §4.1; `END` is the byte swap of §4.2. */
export const Alu = {
  ADD: 0x00,
  SUB: 0x10,
  MUL: 0x20,
  DIV: 0x30,
  OR: 0x40,
  AND: 0x50,
  LSH: 0x60,
  RSH: 0x70,
  NEG: 0x80,
  MOD: 0x90,
  XOR: 0xa0,
  MOV: 0xb0,
  ARSH: 0xc0,
  END: 0xd0,
} as const;

/** §4.3 */
export const Jmp = {
  JA: 0x00,
  JEQ: 0x10,
  JGT: 0x20,
  JGE: 0x30,
  JSET: 0x40,
  JNE: 0x50,
  JSGT: 0x60,
  JSGE: 0x70,
  CALL: 0x80,
  EXIT: 0x90,
  JLT: 0xa0,
  JLE: 0xb0,
  JSLT: 0xc0,
  JSLE: 0xd0,
} as const;

/** §5 */
export const Mode = {
  IMM: 0x00,
  ABS: 0x20,
  IND: 0x40,
  MEM: 0x60,
  MEMSX: 0x80,
  ATOMIC: 0xc0,
} as const;

/** §5: u32, u16, u8, u64. */
export const Size = { W: 0x00, H: 0x08, B: 0x10, DW: 0x18 } as const;

/** §5.3: the imm of an atomic instruction; FETCH returns what was there. */
export const Atomic = {
  ADD: 0x00,
  OR: 0x40,
  AND: 0x50,
  XOR: 0xa0,
  FETCH: 0x01,
  XCHG: 0xe1,
  CMPXCHG: 0xf1,
} as const;

/** §4.3.1 and §4.3.2: the src of a call. */
export const CallKind = { HELPER: 0, LOCAL: 1, BTF: 2 } as const;

/** §5.4: the src of `lddw`, what its constant stands for. */
export const WideKind = {
  IMM: 0,
  MAP_FD: 1,
  MAP_FD_VALUE: 2,
  VARIABLE: 3,
  CODE: 4,
  MAP_INDEX: 5,
  MAP_INDEX_VALUE: 6,
} as const;

/** A lddw's opcode: the only instruction of two words. */
export const LDDW = Class.LD | Mode.IMM | Size.DW;

/** One instruction; every field is as in the drawing above, imm and offset signed. */
export interface Instruction {
  readonly opcode: number;
  readonly dst: number;
  readonly src: number;
  readonly offset: number;
  readonly imm: number;
  /** Of a lddw: the second word's imm. 0 otherwise. */
  readonly immHigh: number;
}

export const isWide = (instruction: Instruction): boolean => instruction.opcode === LDDW;

/** Writes an instruction at a byte offset of `view`; the bytes that it took. */
export function writeInstruction(view: DataView, at: number, instruction: Instruction): number {
  writeWord(view, at, instruction, instruction.imm);
  if (!isWide(instruction)) return INSTRUCTION_BYTES;
  const second = { opcode: 0, dst: 0, src: 0, offset: 0 };
  writeWord(view, at + INSTRUCTION_BYTES, second, instruction.immHigh);
  return 2 * INSTRUCTION_BYTES;
}

function writeWord(
  view: DataView,
  at: number,
  i: Pick<Instruction, "opcode" | "dst" | "src" | "offset">,
  imm: number,
): void {
  view.setUint8(at, i.opcode);
  view.setUint8(at + 1, (i.src << 4) | i.dst);
  view.setInt16(at + 2, i.offset, true);
  view.setInt32(at + 4, imm, true);
}

/**
 * Reads the instruction at a byte offset. A lddw cut short, or whose second word has other fields
 * set, is a `RangeError`.
 */
export function readInstruction(view: DataView, at: number): Instruction {
  const registers = view.getUint8(at + 1);
  const opcode = view.getUint8(at);
  return {
    opcode,
    dst: registers & 15,
    src: registers >> 4,
    offset: view.getInt16(at + 2, true),
    imm: view.getInt32(at + 4, true),
    immHigh: opcode === LDDW ? readSecondWord(view, at + INSTRUCTION_BYTES) : 0,
  };
}

function readSecondWord(view: DataView, at: number): number {
  if (at + INSTRUCTION_BYTES > view.byteLength) {
    throw new RangeError(`the lddw at byte ${at - INSTRUCTION_BYTES} has no second word`);
  }
  if (view.getUint32(at, true) !== 0) {
    throw new RangeError(`the second word of the lddw at byte ${at} has more than a constant`);
  }
  return view.getInt32(at + 4, true);
}
