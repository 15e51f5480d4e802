/**
 * The interpreter: runs of a program, its calls and its errors; interp-loop.ts has the loop over decoded
 * instructions. Registers and everything that a program points to are in the runtime's memory; a register is
 * two int32 words, which is several times faster than BigInt.
 *
 * Memory is safe whatever the program does: an address outside of the memory is an error EFAULT, and with a
 * {@link Guard} (strict mode) so is everything that the program may not touch. A program that has not been
 * verified may take its frame's memory from others, though: verify, or use a guard.
 *
 * Instructions are counted against a budget, so loops end: ELOOP.
 *
 * Hot path.
 */
import { type DecodedProgram, STRIDE } from "./decode.js";
import { EbpfError } from "./ebpf-error.js";
import type { Guard } from "./guard.js";
import { execute, type LoopHost } from "./interp-loop.js";
import { MAX_FRAMES, type Runtime, STACK_BYTES } from "./runtime.js";
import { sourcePlace } from "./source-place.js";

/** Instructions that a run may take by default. */
const DEFAULT_BUDGET = 1 << 26;
const R10 = 20;
/** Of a call: its place, and r6 to r10. */
const FRAME_WORDS = 12;
const MAX_TAIL_CALLS = 33;

/** Finds the program that a tail call goes to; null when the entry is empty. */
export type TailTarget = (mapAt: number, index: number) => DecodedProgram | null;

export interface InterpreterOptions {
  /** Strict mode. */
  readonly guard?: Guard;
  readonly tailTarget?: TailTarget;
  readonly budget?: number;
}

export class Interpreter implements LoopHost {
  private readonly program: DecodedProgram;
  readonly runtime: Runtime;
  readonly guard: Guard | null;
  private readonly tailTarget: TailTarget | null;
  private readonly budget: number;
  /** What a call saves, FRAME_WORDS a frame. */
  private readonly frames = new Int32Array(MAX_FRAMES * FRAME_WORDS);
  private readonly framePrograms: DecodedProgram[] = [];
  depth = 0;
  left = 0;
  running: DecodedProgram;
  constructor(program: DecodedProgram, runtime: Runtime, options: InterpreterOptions = {}) {
    this.program = program;
    this.running = program;
    this.runtime = runtime;
    this.guard = options.guard ?? null;
    this.tailTarget = options.tailTarget ?? null;
    this.budget = options.budget ?? DEFAULT_BUDGET;
  }

  /** Runs the program on the runtime's context; the low word of what it returns. */
  run(): number {
    const { runtime } = this;
    const r = runtime.registers;
    this.depth = 0;
    this.left = this.budget;
    this.running = this.program;
    runtime.engine = this;
    r[2] = runtime.contextAt;
    r[3] = 0;
    r[R10] = runtime.stackAt + STACK_BYTES;
    r[R10 + 1] = 0;
    this.guard?.begin();
    execute(this, this.program.functions[0]!);
    return r[0]!;
  }

  /** Calls a function of the running program, from a helper. */
  callFunction(index: number, args: readonly number[]): number {
    const r = this.runtime.registers;
    const top = r[R10]!;
    const kept = r.slice(12, 22);
    if (++this.depth >= MAX_FRAMES)
      throw new EbpfError("ELOOP", `${this.running.name}: too many calls in a chain`);
    for (let i = 0; i < args.length; i++) {
      r[2 + 2 * i] = args[i]!;
      r[3 + 2 * i] = 0;
    }
    r[R10] = top + STACK_BYTES;
    const outer = this.base;
    this.base = this.depth;
    execute(this, this.running.functions[index]!);
    this.base = outer;
    this.depth--;
    r.set(kept, 12);
    return r[0]!;
  }
  /** Depth at which the innermost `execute` ends. */
  base = 0;

  enter(pc: number): void {
    const r = this.runtime.registers;
    if (this.depth + 1 >= MAX_FRAMES)
      throw new EbpfError("ELOOP", `${this.running.name}: too many calls in a chain`);
    const at = this.depth * FRAME_WORDS;
    this.frames[at] = pc;
    for (let i = 0; i < 9; i++) this.frames[at + 1 + i] = r[12 + i]!;
    this.framePrograms[this.depth] = this.running;
    this.depth++;
    r[R10]! += STACK_BYTES;
  }

  /** Undoes `enter`; the place of the call. */
  leave(): number {
    const r = this.runtime.registers;
    this.depth--;
    const at = this.depth * FRAME_WORDS;
    for (let i = 0; i < 9; i++) r[12 + i] = this.frames[at + 1 + i]!;
    this.running = this.framePrograms[this.depth]!;
    return this.frames[at]!;
  }

  tailCall(): DecodedProgram | null {
    const { runtime } = this;
    const r = runtime.registers;
    if (runtime.tailCalls >= MAX_TAIL_CALLS) return null;
    const target = this.tailTarget?.(r[4]!, r[6]!) ?? null;
    if (target !== null) runtime.tailCalls++;
    return target;
  }

  /** Instructions that the last run took. */
  get executed(): number {
    return this.budget - this.left;
  }

  fail(error: unknown, pc: number): never {
    const { instructions, name, program } = this.running;
    const word = instructions[pc / STRIDE]?.word ?? 0;
    const place = sourcePlace(program, word);
    if (error instanceof EbpfError && error.message.includes(": instruction ")) throw error;
    const code = error instanceof EbpfError ? error.code : "EFAULT";
    const message =
      error instanceof RangeError
        ? "an address outside of the memory"
        : error instanceof TypeError
          ? "a helper was given what is no map"
          : (error as Error).message;
    throw new EbpfError(code, `${name}: instruction ${word}: ${message}${place}`);
  }
}
