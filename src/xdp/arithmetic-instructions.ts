/** Arithmetic instructions and conditions of branches as expressions (RFC 9669 §4.1 to §4.3). */
import { Alu, Class, type Instruction, Jmp, SOURCE_REGISTER } from "../ebpf/isa.js";
import type { Builder } from "./build.js";
import { Ex } from "./expr.js";

/** The node of a register. */
type Read = (register: number) => number;

export class Arithmetic {
  private readonly build: Builder;

  constructor(build: Builder) {
    this.build = build;
  }

  private right(i: Instruction, read: Read): number {
    return (i.opcode & SOURCE_REGISTER) !== 0 ? read(i.src) : this.build.number(i.imm);
  }

  /** What the destination is afterwards. */
  run(i: Instruction, read: Read): number {
    const { build } = this;
    const is64 = (i.opcode & 7) === Class.ALU64;
    const code = i.opcode & 0xf0;
    if (code === Alu.END) return this.swap(i, is64, read(i.dst));
    if (code === Alu.NEG) {
      const negative = build.sub(build.zero, read(i.dst));
      return is64 ? negative : build.word(negative);
    }
    if (code === Alu.MOV) return this.move(i, is64, read);
    const [a, b] = [read(i.dst), this.right(i, read)];
    if (code === Alu.DIV || code === Alu.MOD) return this.divide(i, code, is64, a, b);
    return is64 ? this.plain64(code, a, b) : this.plain32(code, a, b);
  }

  private move(i: Instruction, is64: boolean, read: Read): number {
    const { build } = this;
    let value = this.right(i, read);
    if (i.offset !== 0) value = build.extend(i.offset, value);
    return is64 ? value : build.word(value);
  }

  private swap(i: Instruction, is64: boolean, value: number): number {
    const { build } = this;
    const isLe = !is64 && (i.opcode & SOURCE_REGISTER) === 0;
    if (!isLe) return build.swap(i.imm, value);
    return build.and(value, build.number((1n << BigInt(i.imm)) - 1n));
  }

  private divide(i: Instruction, code: number, is64: boolean, a: number, b: number): number {
    const { build } = this;
    const isSigned = i.offset === 1;
    const op = code === Alu.DIV ? (isSigned ? Ex.SDIV : Ex.DIV) : isSigned ? Ex.SMOD : Ex.MOD;
    if (is64) return build.divide(op, a, b);
    const operand = (node: number): number =>
      isSigned ? build.extend(32, node) : build.word(node);
    return build.word(build.divide(op, operand(a), operand(b)));
  }

  private plain64(code: number, a: number, b: number): number {
    const { build } = this;
    switch (code) {
      case Alu.ADD:
        return build.add(a, b);
      case Alu.SUB:
        return build.sub(a, b);
      case Alu.MUL:
        return build.mul(a, b);
      case Alu.OR:
        return build.or(a, b);
      case Alu.AND:
        return build.and(a, b);
      case Alu.XOR:
        return build.xor(a, b);
      case Alu.LSH:
        return build.shl(a, b);
      case Alu.RSH:
        return build.shr(a, b);
      default:
        return build.sar(a, b);
    }
  }

  private plain32(code: number, a: number, b: number): number {
    const { build } = this;
    const bits = (): number => build.and(b, build.number(31));
    switch (code) {
      case Alu.LSH:
        return build.word(build.shl(a, bits()));
      case Alu.RSH:
        return build.shr(build.word(a), bits());
      case Alu.ARSH:
        return build.word(build.sar(build.extend(32, a), bits()));
      case Alu.AND:
      case Alu.OR:
      case Alu.XOR:
        return this.plain64(code, build.word(a), build.word(b));
      default:
        return build.word(this.plain64(code, a, b));
    }
  }

  /** A comparison, or the opposite of one, that holds when a branch is taken. */
  condition(i: Instruction, read: Read): number {
    const { build } = this;
    const is64 = (i.opcode & 7) === Class.JMP;
    const code = i.opcode & 0xf0;
    const isSigned =
      code === Jmp.JSGT || code === Jmp.JSGE || code === Jmp.JSLT || code === Jmp.JSLE;
    const operand = (node: number): number =>
      is64 ? node : isSigned ? build.extend(32, node) : build.word(node);
    const [a, b] = [operand(read(i.dst)), operand(this.right(i, read))];
    switch (code) {
      case Jmp.JEQ:
        return build.eq(a, b);
      case Jmp.JNE:
        return build.not(build.eq(a, b));
      case Jmp.JSET:
        return build.not(build.eq(build.and(a, b), build.zero));
      case Jmp.JLT:
        return build.ltu(a, b);
      case Jmp.JGT:
        return build.ltu(b, a);
      case Jmp.JGE:
        return build.not(build.ltu(a, b));
      case Jmp.JLE:
        return build.not(build.ltu(b, a));
      case Jmp.JSLT:
        return build.lts(a, b);
      case Jmp.JSGT:
        return build.lts(b, a);
      case Jmp.JSGE:
        return build.not(build.lts(a, b));
      default:
        return build.not(build.lts(b, a));
    }
  }
}
