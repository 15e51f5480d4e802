/**
 * Instructions as WebAssembly: registers are locals of 64 bits, the frame's end (r10) one of 32, since it
 * is an address. What RFC 9669 defines and WebAssembly traps at (division by zero) is tested for.
 *
 * Locals: 0 to 9 are r0 to r9, or shifted by the parameters: see {@link Locals}.
 */
import { Alu, Atomic, Class, type Instruction, Jmp, Mode, SOURCE_REGISTER } from "./isa.js";
import { I64, Wasm, type WasmBytes } from "./wasm-writer.js";

/** Which local is which register. */
export interface Locals {
  readonly registers: readonly number[];
  /** The address behind the frame, of 32 bits; null where it is always {@link fixedFrame}. */
  readonly frame: number | null;
  readonly fixedFrame: number;
  /** For one word and one value, during an instruction. */
  readonly address: number;
  readonly value: number;
}

const R10 = 10;

const OPS64: ReadonlyMap<number, number> = new Map([
  [Alu.ADD, Wasm.i64_add],
  [Alu.SUB, Wasm.i64_sub],
  [Alu.MUL, Wasm.i64_mul],
  [Alu.OR, Wasm.i64_or],
  [Alu.AND, Wasm.i64_and],
  [Alu.XOR, Wasm.i64_xor],
  [Alu.LSH, Wasm.i64_shl],
  [Alu.RSH, Wasm.i64_shr_u],
  [Alu.ARSH, Wasm.i64_shr_s],
]);

const OPS32: ReadonlyMap<number, number> = new Map([
  [Alu.ADD, Wasm.i32_add],
  [Alu.SUB, Wasm.i32_sub],
  [Alu.MUL, Wasm.i32_mul],
  [Alu.OR, Wasm.i32_or],
  [Alu.AND, Wasm.i32_and],
  [Alu.XOR, Wasm.i32_xor],
  [Alu.LSH, Wasm.i32_shl],
  [Alu.RSH, Wasm.i32_shr_u],
  [Alu.ARSH, Wasm.i32_shr_s],
]);

const CONDITIONS: ReadonlyMap<number, readonly [is64: number, is32: number]> = new Map([
  [Jmp.JEQ, [Wasm.i64_eq, Wasm.i32_eq]],
  [Jmp.JNE, [Wasm.i64_ne, Wasm.i32_ne]],
  [Jmp.JGT, [Wasm.i64_gt_u, Wasm.i32_gt_u]],
  [Jmp.JGE, [Wasm.i64_ge_u, Wasm.i32_ge_u]],
  [Jmp.JLT, [Wasm.i64_lt_u, Wasm.i32_lt_u]],
  [Jmp.JLE, [Wasm.i64_le_u, Wasm.i32_le_u]],
  [Jmp.JSGT, [Wasm.i64_gt_s, Wasm.i32_gt_s]],
  [Jmp.JSGE, [Wasm.i64_ge_s, Wasm.i32_ge_s]],
  [Jmp.JSLT, [Wasm.i64_lt_s, Wasm.i32_lt_s]],
  [Jmp.JSLE, [Wasm.i64_le_s, Wasm.i32_le_s]],
]);

/** By size field / 8: u32, u16, u8, u64. */
const LOADS = [Wasm.i64_load32_u, Wasm.i64_load16_u, Wasm.i64_load8_u, Wasm.i64_load];
const SIGNED_LOADS = [Wasm.i64_load32_s, Wasm.i64_load16_s, Wasm.i64_load8_s];
const STORES = [Wasm.i64_store32, Wasm.i64_store16, Wasm.i64_store8, Wasm.i64_store];

export class WasmCode {
  private readonly out: WasmBytes;
  private readonly locals: Locals;

  constructor(out: WasmBytes, locals: Locals) {
    this.out = out;
    this.locals = locals;
  }

  /** Pushes a register, 64 bits. */
  get(register: number): void {
    const { out, locals } = this;
    if (register !== R10) out.get(locals.registers[register]!);
    else if (locals.frame === null) out.i64Const(locals.fixedFrame, 0);
    else out.get(locals.frame).byte(Wasm.i64_extend_i32_u);
  }

  /** Pushes the low half of a register. */
  getLow(register: number): void {
    const { out, locals } = this;
    if (register !== R10) out.get(locals.registers[register]!).byte(Wasm.i32_wrap_i64);
    else if (locals.frame === null) out.i32Const(locals.fixedFrame);
    else out.get(locals.frame);
  }

  set(register: number): void {
    this.out.set(this.locals.registers[register]!);
  }

  private right(i: Instruction): void {
    if ((i.opcode & SOURCE_REGISTER) !== 0) this.get(i.src);
    else this.out.i64Const(i.imm, i.imm >> 31);
  }

  private rightLow(i: Instruction): void {
    if ((i.opcode & SOURCE_REGISTER) !== 0) this.getLow(i.src);
    else this.out.i32Const(i.imm);
  }

  /** `lddw` of any constant. */
  constant(i: Instruction): void {
    this.out.i64Const(i.imm, i.immHigh);
    this.set(i.dst);
  }

  alu(i: Instruction): void {
    const code = i.opcode & 0xf0;
    const is64 = (i.opcode & 7) === Class.ALU64;
    if (code === Alu.END) this.swap(i, is64);
    else if (code === Alu.NEG) this.negate(i, is64);
    else if (code === Alu.MOV) this.move(i, is64);
    else if (code === Alu.DIV || code === Alu.MOD) this.divide(i, code, is64);
    else if (is64) this.plain64(i, code);
    else this.plain32(i, code);
    this.set(i.dst);
  }

  private plain64(i: Instruction, code: number): void {
    this.get(i.dst);
    this.right(i);
    this.out.byte(OPS64.get(code)!);
  }

  private plain32(i: Instruction, code: number): void {
    this.getLow(i.dst);
    this.rightLow(i);
    this.out.ops(OPS32.get(code)!, Wasm.i64_extend_i32_u);
  }

  private negate(i: Instruction, is64: boolean): void {
    const { out } = this;
    if (is64) {
      out.i64Const(0, 0);
      this.get(i.dst);
      out.byte(Wasm.i64_sub);
    } else {
      out.i32Const(0);
      this.getLow(i.dst);
      out.ops(Wasm.i32_sub, Wasm.i64_extend_i32_u);
    }
  }

  private move(i: Instruction, is64: boolean): void {
    const { out } = this;
    if (i.offset !== 0) {
      this.get(i.src);
      out.byte(
        i.offset === 8
          ? Wasm.i64_extend8_s
          : i.offset === 16
            ? Wasm.i64_extend16_s
            : Wasm.i64_extend32_s,
      );
      if (!is64) out.ops(Wasm.i32_wrap_i64, Wasm.i64_extend_i32_u);
    } else if (is64) {
      this.right(i);
    } else if ((i.opcode & SOURCE_REGISTER) !== 0) {
      this.getLow(i.src);
      out.byte(Wasm.i64_extend_i32_u);
    } else {
      out.i64Const(i.imm, 0);
    }
  }

  /** RFC 9669 §4.1: x / 0 = 0, x % 0 = x; and the least number / -1 is itself. */
  private divide(i: Instruction, code: number, is64: boolean): void {
    const { out } = this;
    const isSigned = i.offset === 1;
    const isDivision = code === Alu.DIV;
    // In 64 bits throughout: 32-bit operands are extended, which makes no difference to the result.
    const operand = (push: () => void, low: () => void): void => {
      if (is64) push();
      else low();
      if (!is64) out.byte(isSigned ? Wasm.i64_extend_i32_s : Wasm.i64_extend_i32_u);
    };
    const left = (): void =>
      operand(
        () => this.get(i.dst),
        () => this.getLow(i.dst),
      );
    operand(
      () => this.right(i),
      () => this.rightLow(i),
    );
    out.tee(this.locals.value).ops(Wasm.i64_eqz, Wasm.if, I64);
    if (isDivision) out.i64Const(0, 0);
    else left();
    out.byte(Wasm.else);
    if (isSigned && isDivision) {
      out.get(this.locals.value).i64Const(-1, -1).ops(Wasm.i64_eq, Wasm.if, I64);
      out.i64Const(0, 0);
      left();
      out.ops(Wasm.i64_sub, Wasm.else);
    }
    left();
    out.get(this.locals.value);
    if (isDivision) out.byte(isSigned ? Wasm.i64_div_s : Wasm.i64_div_u);
    else out.byte(isSigned ? Wasm.i64_rem_s : Wasm.i64_rem_u);
    if (isSigned && isDivision) out.byte(Wasm.end);
    out.byte(Wasm.end);
    if (!is64) out.ops(Wasm.i32_wrap_i64, Wasm.i64_extend_i32_u);
  }

  private swap(i: Instruction, is64: boolean): void {
    const { out } = this;
    const isLe = !is64 && (i.opcode & SOURCE_REGISTER) === 0;
    if (isLe || i.imm === 16) {
      this.get(i.dst);
      if (i.imm === 64) return;
      out.i64Const(i.imm === 32 ? -1 : 0xffff, 0).byte(Wasm.i64_and);
      if (!isLe) this.swap16();
      return;
    }
    if (i.imm === 32) {
      this.swap32(() => this.getLow(i.dst));
      return;
    }
    this.swap32(() => this.getLow(i.dst));
    out.i64Const(32, 0).byte(Wasm.i64_shl);
    this.swap32(() => {
      this.get(i.dst);
      out.i64Const(32, 0).ops(Wasm.i64_shr_u, Wasm.i32_wrap_i64);
    });
    out.byte(Wasm.i64_or);
  }

  /** Of a number of 16 bits on the stack. */
  private swap16(): void {
    const { out, locals } = this;
    out.tee(locals.value).i64Const(8, 0).byte(Wasm.i64_shr_u);
    out.get(locals.value).i64Const(0xff, 0).byte(Wasm.i64_and).i64Const(8, 0);
    out.ops(Wasm.i64_shl, Wasm.i64_or);
  }

  /** Pushes a word with its bytes reversed, as 64 bits. */
  private swap32(push: () => void): void {
    const { out, locals } = this;
    push();
    out
      .tee(locals.address)
      .i32Const(8)
      .byte(Wasm.i32_rotl)
      .i32Const(0x00ff_00ff)
      .byte(Wasm.i32_and);
    out
      .get(locals.address)
      .i32Const(8)
      .byte(Wasm.i32_rotr)
      .i32Const(0xff00_ff00 | 0);
    out.ops(Wasm.i32_and, Wasm.i32_or, Wasm.i64_extend_i32_u);
  }

  /** Pushes the address of a base and what of the offset the instruction can add itself. */
  private address(base: number, offset: number): number {
    this.getLow(base);
    if (offset >= 0) return offset;
    this.out.i32Const(offset).byte(Wasm.i32_add);
    return 0;
  }

  load(i: Instruction): void {
    const rest = this.address(i.src, i.offset);
    const size = (i.opcode >> 3) & 3;
    const isSigned = (i.opcode & 0xe0) === Mode.MEMSX;
    this.out.memory((isSigned ? SIGNED_LOADS : LOADS)[size]!, rest);
    this.set(i.dst);
  }

  store(i: Instruction): void {
    const rest = this.address(i.dst, i.offset);
    if ((i.opcode & 7) === Class.STX) this.get(i.src);
    else this.out.i64Const(i.imm, i.imm >> 31);
    this.out.memory(STORES[(i.opcode >> 3) & 3]!, rest);
  }

  /** One thread runs a program: see atomic.ts. */
  atomic(i: Instruction): void {
    const { out, locals } = this;
    const size = (i.opcode >> 3) & 3;
    const is64 = size === 3;
    this.getLow(i.dst);
    out.i32Const(i.offset).byte(Wasm.i32_add).set(locals.address);
    out.get(locals.address).memory(LOADS[size]!, 0).set(locals.value);
    if (i.imm === Atomic.CMPXCHG) {
      this.compareExchange(i, size, is64);
      return;
    }
    out.get(locals.address);
    const code = i.imm & ~Atomic.FETCH;
    if (i.imm === Atomic.XCHG) {
      this.get(i.src);
    } else {
      out.get(locals.value);
      this.get(i.src);
      out.byte(OPS64.get(code)!);
    }
    out.memory(STORES[size]!, 0);
    if ((i.imm & Atomic.FETCH) === 0) return;
    out.get(locals.value);
    this.set(i.src);
  }

  private compareExchange(i: Instruction, size: number, is64: boolean): void {
    const { out, locals } = this;
    out.get(locals.value);
    this.get(0);
    if (!is64) out.i64Const(-1, 0).byte(Wasm.i64_and);
    out.ops(Wasm.i64_eq, Wasm.if, 0x40);
    out.get(locals.address);
    this.get(i.src);
    out.memory(STORES[size]!, 0).byte(Wasm.end);
    out.get(locals.value);
    this.set(0);
  }

  /** Pushes 1 when the branch is taken. */
  condition(i: Instruction): void {
    const { out } = this;
    const is64 = (i.opcode & 7) === Class.JMP;
    const code = i.opcode & 0xf0;
    if (is64) {
      this.get(i.dst);
      this.right(i);
      if (code === Jmp.JSET) out.ops(Wasm.i64_and, Wasm.i64_eqz, Wasm.i32_eqz);
      else out.byte(CONDITIONS.get(code)![0]);
    } else {
      this.getLow(i.dst);
      this.rightLow(i);
      if (code === Jmp.JSET) out.ops(Wasm.i32_and, Wasm.i32_eqz, Wasm.i32_eqz);
      else out.byte(CONDITIONS.get(code)![1]);
    }
  }
}
