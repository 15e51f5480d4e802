/**
 * Programs in the form that the interpreter reads: five int32 an instruction, lddw included, every
 * reference resolved.
 *
 *   operation | place of dst | place of src | offset, or place of a jump's target | constant
 *
 * Places of operands are indexes of the memory's words: registers lie in the memory, and so does every
 * constant, so that there is one operation where RFC 9669 has two opcodes. An operation is the opcode of
 * the form with registers where that says everything, and a number of {@link Op} above 0xff where other
 * fields decide. Behind the last instruction stands `Op.END`.
 *
 * What is none of RFC 9669, and what would jump outside, is refused here, so engines need no checks.
 */
import { ArrayMap } from "./array-map.js";
import { POISON } from "./core.js";
import { EbpfError } from "./ebpf-error.js";
import { calledHelper, helperName, MAP_LOOKUP, TAIL_CALL } from "./helpers.js";
import { type PlacedInstruction, placeInstructions, refuse } from "./instructions.js";
import {
  Alu,
  CallKind,
  Class,
  INSTRUCTION_BYTES,
  type Instruction,
  Jmp,
  LDDW,
  Mode,
  Size,
  SOURCE_REGISTER,
  WideKind,
} from "./isa.js";
import type { LinearMap } from "./linear-map.js";
import type { LinkedProgram } from "./link.js";
import type { Runtime } from "./runtime.js";
import { sourcePlace } from "./source-place.js";

export const STRIDE = 5;

/** Operations that no opcode alone names. Engines have these numbers as literals in their switches. */
export const Op = {
  SDIV64: 0x100,
  SMOD64: 0x101,
  SDIV32: 0x102,
  SMOD32: 0x103,
  MOVSX64_8: 0x104,
  MOVSX64_16: 0x105,
  MOVSX64_32: 0x106,
  MOVSX32_8: 0x107,
  MOVSX32_16: 0x108,
  ZERO_EXTEND_16: 0x109,
  ZERO_EXTEND_32: 0x10a,
  SWAP_16: 0x10b,
  SWAP_32: 0x10c,
  SWAP_64: 0x10d,
  NOP: 0x10e,
  ATOMIC_32: 0x10f,
  ATOMIC_64: 0x110,
  LOOKUP: 0x111,
  CALL_LOCAL: 0x112,
  TAIL_CALL: 0x113,
  END: 0x114,
  POISON: 0x115,
} as const;

export interface DecodedProgram {
  readonly name: string;
  readonly code: Int32Array;
  /** Where each function begins in `code`; the entry is first. */
  readonly functions: readonly number[];
  /** In order, references resolved: maps, variables and functions are constants. */
  readonly instructions: readonly PlacedInstruction[];
  readonly program: LinkedProgram;
  /** ENOTSUP by word: helpers that are not there. Where they are never reached, they may stand. */
  readonly lacking: ReadonlyMap<number, EbpfError>;
}

/** Throws `EbpfError`: EINVAL for what is no instruction. */
export function decode(name: string, program: LinkedProgram, runtime: Runtime): DecodedProgram {
  return new Decoder(name, program, runtime).run();
}

class Decoder {
  private readonly name: string;
  private readonly program: LinkedProgram;
  private readonly runtime: Runtime;
  private readonly instructions: readonly PlacedInstruction[];
  /** By word: the instruction's number, -1 inside a lddw. */
  private readonly numbers: Int32Array;
  private readonly references: ReadonlyMap<number, string>;
  private readonly lacking = new Map<number, EbpfError>();
  /** Constants by their words, and where each is. */
  private readonly constants = new Map<string, number>();

  constructor(name: string, program: LinkedProgram, runtime: Runtime) {
    this.name = name;
    this.program = program;
    this.runtime = runtime;
    this.instructions = placeInstructions(name, program.code);
    this.numbers = new Int32Array(program.code.length / INSTRUCTION_BYTES).fill(-1);
    this.references = new Map(program.maps.map(({ at, map }) => [at / INSTRUCTION_BYTES, map]));
  }

  run(): DecodedProgram {
    for (const [number, { word }] of this.instructions.entries()) this.numbers[word] = number;
    const code = new Int32Array((this.instructions.length + 1) * STRIDE);
    const instructions = this.instructions.map((i) => (i.opcode === LDDW ? this.resolve(i) : i));
    for (const [n, i] of instructions.entries()) code.set(this.translate(i), n * STRIDE);
    code[instructions.length * STRIDE] = Op.END;
    const functions = this.program.functions.map(({ at }) =>
      this.placeOf(at / INSTRUCTION_BYTES, 0),
    );
    const { name, program, lacking } = this;
    return { name, code, functions, instructions, program, lacking };
  }

  private refuse(word: number, message: string): EbpfError {
    return refuse(this.name, word, message);
  }

  private lacks(word: number, message: string): EbpfError {
    const place = sourcePlace(this.program, word);
    return new EbpfError("ENOTSUP", `${this.name}: instruction ${word}${place}: ${message}`);
  }

  /** Place in the decoded code of the instruction at a word. */
  private placeOf(word: number, from: number): number {
    const number = this.numbers[word] ?? -1;
    if (number < 0) throw this.refuse(from, `it leads to word ${word}, where no instruction is`);
    return number * STRIDE;
  }

  /** A lddw with what it refers to as its constant; `src` still says what it was. */
  private resolve(i: PlacedInstruction): PlacedInstruction {
    switch (i.src) {
      case WideKind.IMM:
        return i;
      case WideKind.MAP_FD:
        return { ...i, imm: this.mapOf(i.word).at, immHigh: 0 };
      case WideKind.MAP_FD_VALUE:
        return { ...i, imm: this.valueOf(i.word) + i.immHigh, immHigh: 0 };
      case WideKind.CODE:
        return { ...i, imm: this.functionAt(i.word + 1 + i.imm, i.word), immHigh: 0 };
      default:
        throw this.lacks(i.word, `lddw of kind ${i.src} is not supported`);
    }
  }

  private translate(i: PlacedInstruction): number[] {
    const dst = this.register(i.dst);
    switch (i.opcode & 7) {
      case Class.ALU:
      case Class.ALU64:
        return [aluOperation(i), dst, this.source(i), i.offset, i.imm];
      case Class.JMP:
      case Class.JMP32:
        return this.translateJump(i, dst);
      case Class.LDX:
        return [i.opcode, dst, this.register(i.src), i.offset, i.imm];
      case Class.ST:
        return [i.opcode | Class.STX, dst, this.constant(i.imm, i.imm >> 31), i.offset, i.imm];
      case Class.STX:
        return [storeOperation(i), dst, this.register(i.src), i.offset, i.imm];
      default:
        if (i.opcode !== LDDW) {
          throw this.lacks(i.word, "packet loads of classic BPF are not for XDP");
        }
        return [MOV64, dst, this.constant(i.imm, i.immHigh), 0, i.imm];
    }
  }

  private register(number: number): number {
    return (this.runtime.registersAt >>> 2) + 2 * number;
  }

  /** Place of the second operand. */
  private source(i: Instruction): number {
    if ((i.opcode & SOURCE_REGISTER) !== 0) return this.register(i.src);
    return this.constant(i.imm, i.imm >> 31);
  }

  private constant(low: number, high: number): number {
    const key = `${low} ${high}`;
    const known = this.constants.get(key);
    if (known !== undefined) return known;
    const place = this.runtime.memory.take(8, `a constant of ${this.name}`) >>> 2;
    this.runtime.words[place] = low;
    this.runtime.words[place + 1] = high;
    this.constants.set(key, place);
    return place;
  }

  private translateJump(i: PlacedInstruction, dst: number): number[] {
    const code = i.opcode & 0xf0;
    const place = (distance: number): number => this.placeOf(i.word + 1 + distance, i.word);
    if (code === Jmp.EXIT) return [i.opcode, 0, 0, 0, 0];
    if (code === Jmp.JA) {
      return [Class.JMP | Jmp.JA, 0, 0, place((i.opcode & 7) === Class.JMP ? i.offset : i.imm), 0];
    }
    if (code !== Jmp.CALL) {
      return [i.opcode | SOURCE_REGISTER, dst, this.source(i), place(i.offset), i.imm];
    }
    if (i.src === CallKind.LOCAL) return [Op.CALL_LOCAL, 0, 0, place(i.imm), 0];
    if (i.imm === POISON) return [Op.POISON, 0, 0, 0, 0]; // where it is never reached, it may stand
    const isKernelFunction = i.src === CallKind.BTF;
    if (calledHelper(i.imm, isKernelFunction) === undefined) {
      const name = isKernelFunction ? `function ${i.imm} of the kernel` : helperName(i.imm);
      this.lacking.set(i.word, this.lacks(i.word, `${name} is not supported`));
      return [Op.POISON, 0, 0, 0, 0];
    }
    if (i.imm === TAIL_CALL) return [Op.TAIL_CALL, 0, 0, 0, 0];
    return [i.imm === MAP_LOOKUP ? Op.LOOKUP : i.opcode, 0, 0, 0, i.imm];
  }

  private mapOf(word: number): LinearMap {
    const name = this.references.get(word);
    const map = this.runtime.maps.find((known) => known.name === name);
    if (map === undefined) throw this.refuse(word, `there is no map ${name ?? "for this lddw"}`);
    return map;
  }

  private valueOf(word: number): number {
    const map = this.mapOf(word);
    if (!(map instanceof ArrayMap)) throw this.refuse(word, `${map.name} is no map of variables`);
    return map.valuesAt;
  }

  /** What a callback's address is: the number of its function. */
  private functionAt(word: number, from: number): number {
    const index = this.program.functions.findIndex((f) => f.at === word * INSTRUCTION_BYTES);
    if (index < 0) throw this.refuse(from, `no function starts at word ${word}`);
    return index;
  }
}

/** `dst = src` of 64 bits. */
const MOV64 = Class.ALU64 | Alu.MOV | SOURCE_REGISTER;

function storeOperation(i: Instruction): number {
  if ((i.opcode & 0xe0) !== Mode.ATOMIC) return i.opcode;
  return (i.opcode & 0x18) === Size.DW ? Op.ATOMIC_64 : Op.ATOMIC_32;
}

function aluOperation(i: Instruction): number {
  const is64 = (i.opcode & 7) === Class.ALU64;
  const code = i.opcode & 0xf0;
  if (code === Alu.END) return swapOperation(i, is64);
  if (i.offset === 0) return i.opcode | SOURCE_REGISTER;
  if (code === Alu.DIV) return is64 ? Op.SDIV64 : Op.SDIV32;
  if (code === Alu.MOD) return is64 ? Op.SMOD64 : Op.SMOD32;
  const step = i.offset === 8 ? 0 : i.offset === 16 ? 1 : 2;
  return (is64 ? Op.MOVSX64_8 : Op.MOVSX32_8) + step;
}

/** `le` on a little-endian machine only cuts; `be` and `swap` are the same. */
function swapOperation(i: Instruction, is64: boolean): number {
  const isLe = !is64 && (i.opcode & SOURCE_REGISTER) === 0;
  if (i.imm === 64) return isLe ? Op.NOP : Op.SWAP_64;
  if (i.imm === 32) return isLe ? Op.ZERO_EXTEND_32 : Op.SWAP_32;
  return isLe ? Op.ZERO_EXTEND_16 : Op.SWAP_16;
}
