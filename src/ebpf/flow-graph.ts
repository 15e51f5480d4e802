/**
 * The control flow of one function: basic blocks, their order and who dominates whom, as compilers and
 * the verifier's messages need it. Blocks that are never reached are left out.
 */
import type { PlacedInstruction } from "./instructions.js";
import { Class, Jmp } from "./isa.js";

export interface BasicBlock {
  /** Place among {@link FlowGraph.blocks}, which are in reverse postorder: 0 is the entry. */
  readonly number: number;
  /** Instructions [first, end) of the function. */
  readonly first: number;
  readonly end: number;
  /** Where it goes on: nothing, the next one, or [when the condition holds, else]. */
  readonly next: readonly number[];
  readonly before: readonly number[];
}

export interface FlowGraph {
  readonly instructions: readonly PlacedInstruction[];
  readonly blocks: readonly BasicBlock[];
  /** Of each block, the one that immediately dominates it; of the entry itself. */
  readonly dominators: readonly number[];
  /** Every loop is entered at one block only. */
  readonly isReducible: boolean;
}

const isJump = (i: PlacedInstruction): boolean =>
  (i.opcode & 7) === Class.JMP || (i.opcode & 7) === Class.JMP32;

export function isExit(i: PlacedInstruction): boolean {
  return i.opcode === (Class.JMP | Jmp.EXIT);
}

export function isGoto(i: PlacedInstruction): boolean {
  return isJump(i) && (i.opcode & 0xf0) === Jmp.JA;
}

export function isBranch(i: PlacedInstruction): boolean {
  const code = i.opcode & 0xf0;
  return isJump(i) && code !== Jmp.JA && code !== Jmp.CALL && code !== Jmp.EXIT;
}

/** The word that a jump leads to. */
export function jumpTarget(i: PlacedInstruction): number {
  const isFar = i.opcode === (Class.JMP32 | Jmp.JA);
  return i.word + 1 + (isFar ? i.imm : i.offset);
}

/** Precondition: jumps stay inside of the function. */
export function buildFlowGraph(instructions: readonly PlacedInstruction[]): FlowGraph {
  const raw = splitBlocks(instructions);
  const order = reversePostorder(raw.map((block) => block.next));
  const numbers = new Map(order.map((index, number) => [index, number]));
  const before: number[][] = order.map(() => []);
  for (const [number, index] of order.entries()) {
    for (const next of raw[index]!.next) before[numbers.get(next)!]!.push(number);
  }
  const blocks = order.map((index, number) => ({
    number,
    first: raw[index]!.first,
    end: raw[index]!.end,
    next: raw[index]!.next.map((next) => numbers.get(next)!),
    before: before[number]!,
  }));
  const dominators = findDominators(blocks);
  return { instructions, blocks, dominators, isReducible: reducible(blocks, dominators) };
}

interface RawBlock {
  readonly first: number;
  readonly end: number;
  readonly next: readonly number[];
}

function splitBlocks(instructions: readonly PlacedInstruction[]): RawBlock[] {
  const places = new Map(instructions.map(({ word }, index) => [word, index]));
  const starts = new Set([0]);
  for (const [index, i] of instructions.entries()) {
    if (isGoto(i) || isBranch(i)) starts.add(places.get(jumpTarget(i))!);
    if (isGoto(i) || isBranch(i) || isExit(i)) starts.add(index + 1);
  }
  starts.delete(instructions.length);
  const firsts = [...starts].sort((a, b) => a - b);
  const blockOf = new Map(firsts.map((first, number) => [first, number]));
  return firsts.map((first, number) => {
    const end = firsts[number + 1] ?? instructions.length;
    const last = instructions[end - 1]!;
    const next: number[] = [];
    if (isGoto(last) || isBranch(last)) next.push(blockOf.get(places.get(jumpTarget(last))!)!);
    if (!isGoto(last) && !isExit(last) && number + 1 < firsts.length) next.push(number + 1);
    return { first, end, next };
  });
}

/** Without recursion: programs have thousands of blocks in a row. */
function reversePostorder(next: readonly (readonly number[])[]): number[] {
  const order: number[] = [];
  const seen = new Set([0]);
  const open = [{ block: 0, tried: 0 }];
  while (open.length > 0) {
    const top = open[open.length - 1]!;
    const to = next[top.block]![top.tried++];
    if (to === undefined) {
      order.push(top.block);
      open.pop();
    } else if (!seen.has(to)) {
      seen.add(to);
      open.push({ block: to, tried: 0 });
    }
  }
  return order.reverse();
}

/** Cooper, Harvey, Kennedy: "A Simple, Fast Dominance Algorithm". */
function findDominators(blocks: readonly BasicBlock[]): number[] {
  const dominators = new Array<number>(blocks.length).fill(-1);
  dominators[0] = 0;
  const common = (a: number, b: number): number => {
    let [x, y] = [a, b];
    while (x !== y) {
      if (x > y) x = dominators[x]!;
      else y = dominators[y]!;
    }
    return x;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const { number, before } of blocks.slice(1)) {
      let found = -1;
      for (const from of before) {
        if (dominators[from]! < 0) continue;
        found = found < 0 ? from : common(found, from);
      }
      if (dominators[number] !== found) {
        dominators[number] = found;
        changed = true;
      }
    }
  }
  return dominators;
}

function reducible(blocks: readonly BasicBlock[], dominators: readonly number[]): boolean {
  for (const { number, next } of blocks) {
    for (const to of next) {
      if (to > number) continue;
      let above = number;
      while (above > to) above = dominators[above]!;
      if (above !== to) return false;
    }
  }
  return true;
}
