/**
 * A whole program for a VLIW processor, block by block, as hXDP's compiler makes it: no traces, every
 * block's operations in as few rows as they need, the blocks one after the other. What traces are compared
 * with.
 *
 * In a block a register that is written again is another one (renaming), stack slots at known places are
 * told apart, other memory is not: loads may pass loads, and nothing may pass a store.
 */
import { describeInstruction } from "../ebpf/disasm.js";
import { type BasicBlock, buildFlowGraph, isBranch, isExit, isGoto } from "../ebpf/flow-graph.js";
import { MAP_LOOKUP } from "../ebpf/helpers.js";
import { type PlacedInstruction, placeInstructions } from "../ebpf/instructions.js";
import { Alu, CallKind, Class, Mode, SOURCE_REGISTER } from "../ebpf/isa.js";
import type { LinkedProgram } from "../ebpf/link.js";
import {
  formatRows,
  schedule,
  type VliwKind,
  type VliwMachine,
  type VliwOperation,
  type VliwSchedule,
} from "./vliw.js";

export interface VliwBlock {
  readonly firstWord: number;
  readonly operations: readonly VliwOperation[];
  readonly schedule: VliwSchedule;
}

export interface VliwProgram {
  readonly blocks: readonly VliwBlock[];
  readonly instructions: number;
  /** Rows of all blocks. */
  readonly rows: number;
}

/** The rows of every function of a program. */
export function scheduleProgram(program: LinkedProgram, machine: VliwMachine): VliwProgram {
  const all = placeInstructions("program", program.code);
  const starts = program.functions.map(({ at }) => at / 8).sort((a, b) => a - b);
  const blocks = starts.flatMap((start, n) => {
    const end = starts[n + 1] ?? Number.POSITIVE_INFINITY;
    const own = all.filter(({ word }) => word >= start && word < end);
    const graph = buildFlowGraph(own);
    return [...graph.blocks]
      .sort((a, b) => a.first - b.first)
      .map((block) => scheduleBlock(own, block, machine));
  });
  const rows = blocks.reduce((sum, block) => sum + block.schedule.rows.length, 0);
  return { blocks, instructions: program.code.length / 8, rows };
}

/** Lines for people: each block's first word and its rows. */
export function formatProgram(program: VliwProgram, lanes: number): string[] {
  return program.blocks.flatMap(({ firstWord, operations, schedule: rows }) => [
    `${firstWord}:`,
    ...formatRows(operations, rows, lanes),
  ]);
}

function scheduleBlock(
  instructions: readonly PlacedInstruction[],
  block: BasicBlock,
  machine: VliwMachine,
): VliwBlock {
  const builder = new BlockBuilder();
  for (let n = block.first; n < block.end; n++) builder.add(instructions[n]!);
  const { operations } = builder;
  return {
    firstWord: instructions[block.first]!.word,
    operations,
    schedule: schedule(operations, machine),
  };
}

const FRAME = 10;
const CALL_ARGUMENTS = [1, 2, 3, 4, 5];

class BlockBuilder {
  readonly operations: VliwOperation[] = [];
  /** The operation that wrote each register last; undefined: it was there before the block. */
  private readonly writer: (number | undefined)[] = [];
  /** The last store that may be anywhere, and the loads since then. */
  private lastStore: number | undefined;
  private loads: number[] = [];
  /** The last store to each slot of the stack, by its offset, and the loads of it since then. */
  private readonly slots = new Map<number, { store: number; size: number }>();
  private stackLoads: number[] = [];

  add(i: PlacedInstruction): void {
    const text = describeInstruction(i) ?? "?";
    if (isExit(i)) this.end("exit", text, [0]);
    else if (isBranch(i)) this.end("guard", text, isImmediate(i) ? [i.dst] : [i.dst, i.src]);
    else if (!isGoto(i)) this.addPlain(i, text); // of a goto the row before says it, as in hXDP
  }

  private addPlain(i: PlacedInstruction, text: string): void {
    switch (i.opcode & 7) {
      case Class.ALU:
      case Class.ALU64:
        this.addAlu(i, text);
        break;
      case Class.LDX:
        this.addLoad(i, text);
        break;
      case Class.ST:
      case Class.STX:
        this.addStore(i, text);
        break;
      case Class.JMP:
      case Class.JMP32:
        this.addCall(i, text);
        break;
      default:
        this.write(i.dst, this.push("alu", text, []));
    }
  }

  private push(
    kind: VliwKind,
    text: string,
    registers: readonly number[],
    order: Pick<VliwOperation, "after" | "notBefore"> = {},
    needs: readonly number[] = [],
  ): number {
    const writers = registers.flatMap((register) => this.writer[register] ?? []);
    this.operations.push({ kind, text, needs: [...writers, ...needs], ...order });
    return this.operations.length - 1;
  }

  private write(register: number, operation: number): void {
    this.writer[register] = operation;
  }

  /** The block's last operation: nothing of the block may start after it. */
  private end(kind: VliwKind, text: string, registers: readonly number[]): void {
    const before = this.operations.map((_, n) => n);
    this.push(kind, text, registers, { notBefore: before });
  }

  private addAlu(i: PlacedInstruction, text: string): void {
    const code = i.opcode & 0xf0;
    const reads = [
      ...(code === Alu.MOV ? [] : [i.dst]),
      ...(isImmediate(i) || code === Alu.NEG || code === Alu.END ? [] : [i.src]),
    ];
    const kind =
      code === Alu.MUL ? "multiply" : code === Alu.DIV || code === Alu.MOD ? "divide" : "alu";
    this.write(i.dst, this.push(kind, text, reads));
  }

  private addLoad(i: PlacedInstruction, text: string): void {
    const isStack = i.src === FRAME;
    const stores = isStack ? this.storesOf(i.offset, sizeOf(i)) : [];
    const needs = [...stores, ...this.unknownStore()];
    const n = this.push("load", text, isStack ? [] : [i.src], {}, needs);
    (isStack ? this.stackLoads : this.loads).push(n);
    this.write(i.dst, n);
  }

  private addStore(i: PlacedInstruction, text: string): void {
    const isAtomic = (i.opcode & 0xe0) === Mode.ATOMIC;
    const value = (i.opcode & 7) === Class.STX ? [i.src] : [];
    if (i.dst === FRAME && !isAtomic) {
      const size = sizeOf(i);
      const after = [...this.storesOf(i.offset, size), ...this.unknownStore()];
      const n = this.push("store", text, value, { after, notBefore: [...this.stackLoads] });
      this.slots.set(i.offset, { store: n, size });
      return;
    }
    const after = this.unknownStore();
    const n = this.push("store", text, [i.dst, ...value], { after, notBefore: this.loads });
    this.lastStore = n;
    this.loads = [];
    if (isAtomic) {
      this.write(i.src, n);
      this.write(0, n);
    }
  }

  /** Functions read what arguments point to, so what was stored before must be there. */
  private addCall(i: PlacedInstruction, text: string): void {
    const stores = [...this.slots.values()].map(({ store }) => store);
    const isLookup = i.src === CallKind.HELPER && i.imm === MAP_LOOKUP;
    const before = { notBefore: [...this.loads, ...this.stackLoads] };
    const n = this.push(
      isLookup ? "lookup" : "helper",
      text,
      isLookup ? [1, 2] : CALL_ARGUMENTS,
      before,
      [...stores, ...this.unknownStore()],
    );
    for (let register = 0; register <= 5; register++) this.write(register, n);
    if (isLookup) return;
    this.lastStore = n;
    this.loads = [];
  }

  private unknownStore(): number[] {
    return this.lastStore === undefined ? [] : [this.lastStore];
  }

  private storesOf(at: number, size: number): number[] {
    return [...this.slots]
      .filter(([offset, slot]) => offset < at + size && at < offset + slot.size)
      .map(([, { store }]) => store);
  }
}

const isImmediate = (i: PlacedInstruction): boolean => (i.opcode & SOURCE_REGISTER) === 0;

const SIZES = [4, 2, 1, 8] as const;
const sizeOf = (i: PlacedInstruction): number => SIZES[(i.opcode >> 3) & 3]!;
