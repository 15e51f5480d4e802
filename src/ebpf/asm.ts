/**
 * The assembler: a program is built by calls, in the order of its instructions.
 *
 *     const a = new Assembler();
 *     a.load("u32", R2, R1, 16);            // r2 = *(u32 *)(r1 + 16)
 *     a.jumpIf(R2, ">", 3, "pass");         // if r2 > 3 goto pass
 *     a.loadMap(R1, "sockets");
 *     a.mov(R3, 2);
 *     a.call("redirect_map");
 *     a.exit();
 *     a.label("pass");
 *     …
 *     const program = a.assemble();
 *     loadProgram({ code: linkMaps(program, { sockets: fd }), … });
 *
 * Operands are registers or 32-bit constants, which 64-bit instructions extend by their sign
 * (RFC 9669 §4.1). Maps are named and get their descriptors when the program is linked, so that one
 * assembled program can be loaded many times. What cannot be encoded is a `RangeError` that says so.
 */
import type { AssembledProgram, MapReference } from "./assembled-program.js";
import { helperNumber } from "./helper-names.js";
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
  Size,
  SOURCE_REGISTER,
  WideKind,
  writeInstruction,
} from "./isa.js";
import type { Register } from "./registers.js";

export type Operand = Register | number;

export type AluName = Lowercase<Exclude<keyof typeof Alu, "END" | "NEG">>;
/** `u` zero-extends, `s` extends by sign (loads only). */
export type Width = "u8" | "u16" | "u32" | "u64";
export type SignedWidth = "s8" | "s16" | "s32";

const SIZES = {
  u8: Size.B,
  u16: Size.H,
  u32: Size.W,
  u64: Size.DW,
  s8: Size.B,
  s16: Size.H,
  s32: Size.W,
} as const;

/** Conditions as LLVM writes them; `&` is true when a common bit is set. */
export const CONDITIONS = {
  "==": Jmp.JEQ,
  "!=": Jmp.JNE,
  ">": Jmp.JGT,
  ">=": Jmp.JGE,
  "<": Jmp.JLT,
  "<=": Jmp.JLE,
  "s>": Jmp.JSGT,
  "s>=": Jmp.JSGE,
  "s<": Jmp.JSLT,
  "s<=": Jmp.JSLE,
  "&": Jmp.JSET,
} as const;
export type Condition = keyof typeof CONDITIONS;

export type AtomicName = "add" | "or" | "and" | "xor";

/** Instructions before their places are known; `target` is a label of a jump or local call. */
interface Pending {
  readonly instruction: Instruction;
  readonly target: string | null;
}

const INT32_MIN = -0x8000_0000;
const UINT32_MAX = 0xffff_ffff;
const INT16_MIN = -0x8000;
const INT16_MAX = 0x7fff;

export class Assembler {
  private readonly pending: Pending[] = [];
  private readonly labels = new Map<string, number>();
  private readonly maps: MapReference[] = [];
  /** Words so far: a lddw is two. */
  private words = 0;
  private fresh = 0;

  /** Names the next instruction. */
  label(name: string): void {
    if (this.labels.has(name)) throw new RangeError(`the label ${name} is there twice`);
    this.labels.set(name, this.words);
  }

  /** A label name that nothing else has, for parts that are used several times. */
  freshLabel(stem: string): string {
    this.fresh++;
    return `${stem}.${this.fresh}`;
  }

  /** 64-bit arithmetic: `dst = dst op operand`. */
  alu(op: AluName, dst: Register, operand: Operand): void {
    this.arithmetic(Class.ALU64, aluCode(op), dst, operand, 0);
  }

  /** 32-bit arithmetic: the upper half of dst becomes zero. */
  alu32(op: AluName, dst: Register, operand: Operand): void {
    this.arithmetic(Class.ALU, aluCode(op), dst, operand, 0);
  }

  mov(dst: Register, operand: Operand): void {
    this.alu("mov", dst, operand);
  }

  add(dst: Register, operand: Operand): void {
    this.alu("add", dst, operand);
  }

  and(dst: Register, operand: Operand): void {
    this.alu("and", dst, operand);
  }

  or(dst: Register, operand: Operand): void {
    this.alu("or", dst, operand);
  }

  lsh(dst: Register, operand: Operand): void {
    this.alu("lsh", dst, operand);
  }

  rsh(dst: Register, operand: Operand): void {
    this.alu("rsh", dst, operand);
  }

  /** Signed division or remainder (§4.1: offset 1); from Linux 6.6 on. */
  signed(op: "div" | "mod", dst: Register, operand: Operand, bits: 32 | 64 = 64): void {
    this.arithmetic(bits === 64 ? Class.ALU64 : Class.ALU, aluCode(op), dst, operand, 1);
  }

  /** Moves the low bits of src, extended by their sign (§4.1); from Linux 6.6 on. */
  movSigned(from: 8 | 16 | 32, dst: Register, src: Register, bits: 32 | 64 = 64): void {
    if (from === 32 && bits === 32) throw new RangeError("a 32-bit move of 32 bits has no sign");
    this.arithmetic(bits === 64 ? Class.ALU64 : Class.ALU, Alu.MOV, dst, src, from);
  }

  neg(dst: Register, bits: 32 | 64 = 64): void {
    const opcode = (bits === 64 ? Class.ALU64 : Class.ALU) | Alu.NEG;
    this.emit({ opcode, dst: dst.number });
  }

  /** `swap` always reverses the bytes (Linux 6.6 on); `le` and `be` convert from or to an order. */
  endian(to: "le" | "be" | "swap", bits: 16 | 32 | 64, dst: Register): void {
    const order = to === "be" ? SOURCE_REGISTER : 0;
    const opcode = (to === "swap" ? Class.ALU64 : Class.ALU) | Alu.END | order;
    this.emit({ opcode, dst: dst.number, imm: bits });
  }

  /** `dst = *(width *)(base + offset)`; signed widths from Linux 6.6 on. */
  load(width: Width | SignedWidth, dst: Register, base: Register, offset: number): void {
    const mode = width.startsWith("s") ? Mode.MEMSX : Mode.MEM;
    const opcode = Class.LDX | mode | SIZES[width];
    this.emit({ opcode, dst: dst.number, src: base.number, offset });
  }

  /** `*(width *)(base + offset) = value` */
  store(width: Width, base: Register, offset: number, value: Operand): void {
    const size = SIZES[width] | Mode.MEM;
    if (typeof value === "number") {
      this.emit({ opcode: Class.ST | size, dst: base.number, offset, imm: value });
    } else {
      this.emit({ opcode: Class.STX | size, dst: base.number, src: value.number, offset });
    }
  }

  /**
   * r0 = bytes of a socket buffer at an offset, in host order; the context must be in r6. Classic BPF's
   * way to packets (§5.5), not for XDP.
   */
  loadPacket(width: "u8" | "u16" | "u32", offset: Operand): void {
    const size = Class.LD | SIZES[width];
    if (typeof offset === "number") this.emit({ opcode: size | Mode.ABS, imm: offset });
    else this.emit({ opcode: size | Mode.IND, src: offset.number });
  }

  /** `*(base + offset) op= src`, atomically; with `fetch`, src becomes what was there. */
  atomic(
    op: AtomicName,
    width: "u32" | "u64",
    base: Register,
    offset: number,
    src: Register,
    fetch = false,
  ): void {
    const code = Atomic[op.toUpperCase() as Uppercase<AtomicName>];
    this.emitAtomic(width, base, offset, src, code | (fetch ? Atomic.FETCH : 0));
  }

  /** Swaps src and memory. */
  exchange(width: "u32" | "u64", base: Register, offset: number, src: Register): void {
    this.emitAtomic(width, base, offset, src, Atomic.XCHG);
  }

  /** Stores src where r0 was found; r0 becomes what was there. */
  compareExchange(width: "u32" | "u64", base: Register, offset: number, src: Register): void {
    this.emitAtomic(width, base, offset, src, Atomic.CMPXCHG);
  }

  /** A 64-bit constant (lddw). */
  loadConstant(dst: Register, value: bigint): void {
    if (value < -(2n ** 63n) || value >= 2n ** 64n)
      throw new RangeError(`${value} is beyond 64 bits`);
    this.emitWide(
      dst,
      WideKind.IMM,
      Number(BigInt.asIntN(32, value)),
      Number(BigInt.asIntN(32, value >> 32n)),
    );
  }

  /** The address of a map, which {@link linkMaps} fills in. */
  loadMap(dst: Register, map: string): void {
    this.maps.push({ at: this.words * INSTRUCTION_BYTES, map });
    this.emitWide(dst, WideKind.MAP_FD, 0, 0);
  }

  /** The address of a byte in the only value of an array map of one entry (Linux 5.2 on). */
  loadMapValue(dst: Register, map: string, offset: number): void {
    this.maps.push({ at: this.words * INSTRUCTION_BYTES, map });
    this.emitWide(dst, WideKind.MAP_FD_VALUE, 0, offset);
  }

  /** The address of a function of this program, for helpers that call back (Linux 5.13 on). */
  loadFunction(dst: Register, target: string): void {
    this.pending.push({
      instruction: {
        opcode: LDDW,
        dst: dst.number,
        src: WideKind.CODE,
        offset: 0,
        imm: 0,
        immHigh: 0,
      },
      target,
    });
    this.words += 2;
  }

  jump(target: string): void {
    this.emit({ opcode: Class.JMP | Jmp.JA }, target);
  }

  /** A jump over up to 2^31 instructions (Linux 6.6 on). */
  jumpFar(target: string): void {
    this.emit({ opcode: Class.JMP32 | Jmp.JA }, target);
  }

  jumpIf(left: Register, condition: Condition, right: Operand, target: string): void {
    this.branch(Class.JMP, left, condition, right, target);
  }

  /** Compares the lower halves. */
  jumpIf32(left: Register, condition: Condition, right: Operand, target: string): void {
    this.branch(Class.JMP32, left, condition, right, target);
  }

  /** Calls a helper of the kernel by its name or number. */
  call(helper: string | number): void {
    const imm = typeof helper === "number" ? helper : helperNumber(helper);
    if (imm === undefined) throw new RangeError(`there is no helper ${helper}`);
    this.emit({ opcode: Class.JMP | Jmp.CALL, src: CallKind.HELPER, imm });
  }

  /** Calls a function of this program. */
  callLocal(target: string): void {
    this.emit({ opcode: Class.JMP | Jmp.CALL, src: CallKind.LOCAL }, target);
  }

  /** Calls a kernel function by its number in the kernel's BTF. */
  callBtf(id: number): void {
    this.emit({ opcode: Class.JMP | Jmp.CALL, src: CallKind.BTF, imm: id });
  }

  exit(): void {
    this.emit({ opcode: Class.JMP | Jmp.EXIT });
  }

  /** An instruction as it is, for what has no call of its own. */
  raw(instruction: Instruction): void {
    this.emit(instruction);
  }

  /** As {@link raw}, leading to a label, or with a map's descriptor as its constant. */
  place(instruction: Instruction, target: string | null, map: string | null): void {
    if (map !== null) this.maps.push({ at: this.words * INSTRUCTION_BYTES, map });
    this.emit(instruction, target);
  }

  assemble(): AssembledProgram {
    const code = new Uint8Array(this.words * INSTRUCTION_BYTES);
    const view = new DataView(code.buffer);
    let at = 0;
    for (const { instruction, target } of this.pending) {
      const word = at / INSTRUCTION_BYTES;
      const placed = target === null ? instruction : this.aim(instruction, target, word);
      at += writeInstruction(view, at, placed);
    }
    const labels = new Map<string, number>();
    for (const [name, word] of this.labels) labels.set(name, word * INSTRUCTION_BYTES);
    return { code, maps: [...this.maps], labels };
  }

  /** Distances count from the instruction after the jump, in words (§4.3). */
  private aim(instruction: Instruction, target: string, word: number): Instruction {
    const place = this.labels.get(target);
    if (place === undefined) throw new RangeError(`there is no label ${target}`);
    const distance = place - word - 1;
    const isCall = instruction.opcode === (Class.JMP | Jmp.CALL);
    const isFar = instruction.opcode === (Class.JMP32 | Jmp.JA);
    if (isCall || isFar || isWide(instruction)) return { ...instruction, imm: distance };
    if (distance < INT16_MIN || distance > INT16_MAX) {
      throw new RangeError(`the label ${target} is ${distance} instructions away: use jumpFar`);
    }
    return { ...instruction, offset: distance };
  }

  private arithmetic(
    kind: number,
    code: number,
    dst: Register,
    operand: Operand,
    offset: number,
  ): void {
    if (typeof operand === "number") {
      this.emit({ opcode: kind | code, dst: dst.number, offset, imm: operand });
    } else {
      const opcode = kind | code | SOURCE_REGISTER;
      this.emit({ opcode, dst: dst.number, src: operand.number, offset });
    }
  }

  private branch(
    kind: number,
    left: Register,
    condition: Condition,
    right: Operand,
    target: string,
  ): void {
    const opcode = kind | CONDITIONS[condition];
    if (typeof right === "number") {
      this.emit({ opcode, dst: left.number, imm: right }, target);
    } else {
      this.emit({ opcode: opcode | SOURCE_REGISTER, dst: left.number, src: right.number }, target);
    }
  }

  private emitAtomic(
    width: "u32" | "u64",
    base: Register,
    offset: number,
    src: Register,
    imm: number,
  ): void {
    const opcode = Class.STX | Mode.ATOMIC | SIZES[width];
    this.emit({ opcode, dst: base.number, src: src.number, offset, imm });
  }

  private emitWide(dst: Register, kind: number, imm: number, immHigh: number): void {
    this.emit({ opcode: LDDW, dst: dst.number, src: kind, imm, immHigh });
  }

  private emit(
    fields: Partial<Instruction> & { opcode: number },
    target: string | null = null,
  ): void {
    const instruction = { dst: 0, src: 0, offset: 0, imm: 0, immHigh: 0, ...fields };
    checkRange("offset", instruction.offset, INT16_MIN, INT16_MAX);
    // Constants may be given as they are read: 0xffffffff is -1.
    checkRange("constant", instruction.imm, INT32_MIN, UINT32_MAX);
    checkRange("constant", instruction.immHigh, INT32_MIN, UINT32_MAX);
    this.pending.push({
      instruction: { ...instruction, imm: instruction.imm | 0, immHigh: instruction.immHigh | 0 },
      target,
    });
    this.words += isWide(instruction) ? 2 : 1;
  }
}

function checkRange(what: string, value: number, from: number, to: number): void {
  if (Number.isInteger(value) && value >= from && value <= to) return;
  throw new RangeError(`expected ${what} from ${from} to ${to}, got ${value}`);
}

function aluCode(op: AluName): number {
  return Alu[op.toUpperCase() as Uppercase<AluName>];
}
