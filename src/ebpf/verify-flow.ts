/**
 * What can be seen of a program without walking it: its instructions, where they lead, and that functions
 * end in themselves and are reached as a whole.
 */
import { isBranch, isExit, isGoto, jumpTarget } from "./flow-graph.js";
import { type PlacedInstruction, placeInstructions } from "./instructions.js";
import { INSTRUCTION_BYTES } from "./isa.js";
import type { LinkedProgram } from "./link.js";
import { VerifyError } from "./verify-error.js";
import { number, type Value } from "./verify-value.js";

export class ProgramFlow {
  readonly instructions: readonly PlacedInstruction[];
  /** By instruction: the one that it jumps to; -1 where it is no jump. */
  readonly targets: Int32Array;
  /** By instruction: its constant, as the operand that it is; never in a state, so all walks share it. */
  readonly constants: readonly Value[];
  /** By instruction, whether jumps lead there. */
  readonly isTarget: Uint8Array;
  /** By instruction, whether a jump from behind leads there: where loops begin. */
  readonly isLoop: Uint8Array;
  /** By function: its first instruction. */
  readonly functionStarts: readonly number[];
  private readonly name: string;
  private readonly program: LinkedProgram;
  /** By word: the instruction's number, -1 inside of a wide one. */
  private readonly places: Int32Array;

  /** Throws {@link VerifyError}, or `EbpfError` EINVAL for what are no instructions. */
  constructor(name: string, program: LinkedProgram) {
    this.name = name;
    this.program = program;
    this.instructions = placeInstructions(name, program.code);
    const { length } = this.instructions;
    this.places = new Int32Array(program.code.length / INSTRUCTION_BYTES).fill(-1);
    for (let at = 0; at < length; at++) this.places[this.instructions[at]!.word] = at;
    this.constants = this.instructions.map(({ imm }) => number(imm, imm));
    this.targets = new Int32Array(length).fill(-1);
    this.isTarget = new Uint8Array(length);
    this.isLoop = new Uint8Array(length);
    if (length === 0) this.refuse(0, "the program is empty");
    this.functionStarts = program.functions.map(({ at }) =>
      this.placeOf(0, at / INSTRUCTION_BYTES),
    );
    const starts = [...this.functionStarts].sort((a, b) => a - b);
    for (const [n, start] of starts.entries()) this.checkJumps(start, starts[n + 1] ?? length);
    this.checkReached(starts);
  }

  /** The instruction at a word to which the one at `at` leads. */
  placeOf(at: number, word: number): number {
    const place = this.places[word] ?? -1;
    if (place < 0) this.refuse(at, `it leads to word ${word}, where no instruction is`);
    return place;
  }

  refuse(at: number, reason: string): never {
    throw new VerifyError(this.name, this.program, this.instructions[at]?.word ?? 0, reason);
  }

  /** A function ends in itself and nothing jumps out of it. */
  private checkJumps(start: number, end: number): void {
    const last = this.instructions[end - 1]!;
    if (!isExit(last) && !isGoto(last)) {
      this.refuse(end - 1, "the function goes on after its last instruction");
    }
    for (let at = start; at < end; at++) {
      const i = this.instructions[at]!;
      if (!isGoto(i) && !isBranch(i)) continue;
      const to = this.placeOf(at, jumpTarget(i));
      if (to < start || to >= end) this.refuse(at, "it jumps out of its function");
      this.targets[at] = to;
      this.isTarget[to] = 1;
      if (to <= at) this.isLoop[to] = 1;
    }
  }

  private checkReached(starts: readonly number[]): void {
    const reached = new Uint8Array(this.instructions.length);
    const open = [...starts];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (reached[at] === 1) continue;
      reached[at] = 1;
      const to = this.targets[at]!;
      if (to >= 0) open.push(to);
      const i = this.instructions[at]!;
      if (!isGoto(i) && !isExit(i)) open.push(at + 1);
    }
    const at = reached.indexOf(0);
    if (at >= 0) this.refuse(at, "it is never reached");
  }
}
