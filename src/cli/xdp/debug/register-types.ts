/**
 * What each register is while a program runs: a number, or a pointer to what. It follows instructions, as a
 * number may look like any address.
 */
import { HELPERS } from "../../../ebpf/helpers.js";
import {
  Alu,
  CallKind,
  Class,
  type Instruction,
  Jmp,
  LDDW,
  Mode,
  SOURCE_REGISTER,
  WideKind,
} from "../../../ebpf/isa.js";
import { Ctx, type Runtime } from "../../../ebpf/runtime.js";

export type RegisterType =
  | "unset"
  | "number"
  | "context"
  | "stack"
  | "packet"
  | "packet end"
  | "metadata"
  | "map"
  | "map value"
  | "record"
  | "function";

const R10 = 10;
const LOADED: ReadonlyMap<number, RegisterType> = new Map([
  [Ctx.DATA, "packet"],
  [Ctx.DATA_END, "packet end"],
  [Ctx.DATA_META, "metadata"],
]);
const LOAD_SIZE = 0x18;
const EIGHT_BYTES = 0x18;

export class RegisterTypes {
  private readonly runtime: Runtime;
  types: RegisterType[] = [];
  /** What was spilled, by address. */
  private readonly slots = new Map<number, RegisterType>();
  /** r6 to r9 of the callers. */
  private readonly kept: RegisterType[][] = [];

  constructor(runtime: Runtime) {
    this.runtime = runtime;
  }

  /** A program starts, the first one or one behind a tail call. */
  begin(): void {
    this.types = new Array<RegisterType>(R10 + 1).fill("unset");
    this.types[1] = "context";
    this.types[R10] = "stack";
    this.slots.clear();
    this.kept.length = 0;
  }

  /** A function was entered: by a local call, or, with other arguments than it got, by a helper. */
  enter(isByHelper: boolean): void {
    this.kept.push(this.types.slice(6, R10));
    if (isByHelper) this.types.fill("number", 1, 6);
    this.types.fill("unset", 6, R10);
  }

  leave(): void {
    const kept = this.kept.pop() ?? [];
    for (const [n, type] of kept.entries()) this.types[6 + n] = type;
    this.types.fill("unset", 1, 6);
  }

  /** Where an access goes; asked before the instruction runs. */
  addressOf(i: Instruction): number {
    const kind = i.opcode & 7;
    const base = kind === Class.LDX ? i.src : i.dst;
    return (this.runtime.registers[2 * base]! + i.offset) | 0;
  }

  /** An instruction has run; `at`: what {@link addressOf} said before. */
  ran(i: Instruction, at: number): void {
    const { types } = this;
    switch (i.opcode & 7) {
      case Class.ALU:
        types[i.dst] = "number";
        return;
      case Class.ALU64:
        this.arithmetic(i);
        return;
      case Class.LDX:
        types[i.dst] = this.loaded(i, at);
        return;
      case Class.ST:
      case Class.STX:
        this.stored(i, at);
        return;
      case Class.JMP:
      case Class.JMP32:
        this.jumped(i);
        return;
      default:
        if (i.opcode === LDDW) types[i.dst] = wide(i.src);
    }
  }

  private arithmetic(i: Instruction): void {
    const { types } = this;
    const code = i.opcode & 0xf0;
    const source = (i.opcode & SOURCE_REGISTER) === 0 ? "number" : types[i.src]!;
    const isPlain = (type: RegisterType): boolean => type === "number" || type === "unset";
    const own = types[i.dst]!;
    if (code === Alu.MOV) types[i.dst] = i.offset === 0 ? source : "number";
    else if (code === Alu.ADD) types[i.dst] = isPlain(own) ? source : own;
    else if (code === Alu.SUB) types[i.dst] = isPlain(source) ? own : "number";
    else types[i.dst] = "number";
  }

  private loaded(i: Instruction, at: number): RegisterType {
    const base = this.types[i.src]!;
    if (base === "context") return LOADED.get(i.offset) ?? "number";
    if (base !== "stack" || (i.opcode & LOAD_SIZE) !== EIGHT_BYTES) return "number";
    return this.slots.get(at) ?? "number";
  }

  private stored(i: Instruction, at: number): void {
    const isAtomic = (i.opcode & 7) === Class.STX && (i.opcode & 0xe0) === Mode.ATOMIC;
    if (isAtomic && (i.imm & 1) !== 0) this.types[(i.imm & 0xf0) === 0xf0 ? 0 : i.src] = "number";
    if (this.types[i.dst] !== "stack") return;
    for (let near = at - 7; near < at + 8; near++) this.slots.delete(near);
    const isWhole = (i.opcode & LOAD_SIZE) === EIGHT_BYTES && (i.opcode & 7) === Class.STX;
    if (isWhole && !isAtomic) this.slots.set(at, this.types[i.src]!);
  }

  private jumped(i: Instruction): void {
    if ((i.opcode & 0xf0) !== Jmp.CALL || i.src === CallKind.LOCAL) return;
    const result = HELPERS.get(i.imm)?.result;
    this.types.fill("unset", 1, 6);
    this.types[0] = this.resultType(result);
  }

  private resultType(result: string | undefined): RegisterType {
    if (result === "record or null") return "record";
    if (result !== "value or null") return "number";
    const { registers, mapByAddress } = this.runtime;
    // A lookup in a map of maps gives a map.
    return mapByAddress.has(registers[0]!) ? "map" : "map value";
  }
}

function wide(kind: number): RegisterType {
  if (kind === WideKind.MAP_FD) return "map";
  if (kind === WideKind.MAP_FD_VALUE) return "map value";
  return kind === WideKind.CODE ? "function" : "number";
}
