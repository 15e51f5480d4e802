/**
 * The tracer: runs a program on the packet that the runtime has, really and over expressions at the same
 * time. Registers hold nodes; a node's value for this packet says where the program goes, the node itself
 * what that depends on. What comes out is the packet's result and a {@link Trace}.
 *
 * Programs must be verified: what an instruction points to is then always of one kind.
 */
import { E2BIG, EINVAL } from "../base/errno.js";
import type { SourceLine } from "../ebpf/btf-ext.js";
import type { DecodedProgram } from "../ebpf/decode.js";
import { EbpfError } from "../ebpf/ebpf-error.js";
import { isBranch, jumpTarget } from "../ebpf/flow-graph.js";
import { HELPERS, TAIL_CALL } from "../ebpf/helpers.js";
import type { PlacedInstruction } from "../ebpf/instructions.js";
import type { TailTarget } from "../ebpf/interp.js";
import { Atomic, CallKind, Class, INSTRUCTION_BYTES, Jmp, Mode } from "../ebpf/isa.js";
import { type Engine, MAX_FRAMES, type Runtime, STACK_BYTES } from "../ebpf/runtime.js";
import { sourceLine } from "../ebpf/source-place.js";
import { Arithmetic } from "./arithmetic-instructions.js";
import { Builder } from "./build.js";
import { Evaluator } from "./evaluate.js";
import { Expressions, NONE } from "./expr.js";
import { Facts } from "./facts.js";
import { RecordedTrace } from "./recorded-trace.js";
import { Recorder } from "./recorder.js";
import { fuseStores } from "./store-fusion.js";
import { TailCalls } from "./tail-calls.js";
import { type EffectOp, type GuardOp, type Trace, type TraceOp, WORD_STRIDE } from "./trace.js";
import { TraceCalls } from "./trace-calls.js";
import { TraceMemory } from "./trace-memory.js";

/** Longer paths are not traced. */
const MAX_EXECUTED = 20_000;
/** And the host gives up. */
const BUDGET = 1 << 24;
const MAX_LOOPS = 1 << 23;
const LOOP = 181;
const R10 = 10;
const SIZES = [4, 2, 1, 8] as const;

export interface TraceResult {
  readonly verdict: number;
  readonly trace: Trace;
}

/** What a local call saves. */
interface Frame {
  readonly program: DecodedProgram;
  readonly back: number;
  readonly kept: readonly number[];
}

export class Tracer implements Engine {
  readonly e = new Expressions();
  readonly build: Builder;
  readonly values: Evaluator;
  readonly recorder: Recorder;
  readonly memory: TraceMemory;
  private readonly program: DecodedProgram;
  private readonly runtime: Runtime;
  private readonly calls: TraceCalls;
  private readonly tails: TailCalls;
  private readonly arithmetic: Arithmetic;
  /** Programs that traces go through: the first one, and those behind tail calls. */
  private readonly programs: DecodedProgram[];
  private readonly ids = new Map<string, number>();
  private readonly numbers = new Map<DecodedProgram, Int32Array>();
  private registers: number[] = [];
  private running: DecodedProgram;
  private frames: Frame[] = [];
  private executed = 0;
  private words: number[] = [];
  /** Nodes that the builder has from the beginning. */
  private readonly firstNodes: number;

  constructor(program: DecodedProgram, runtime: Runtime, tailTarget: TailTarget) {
    this.program = program;
    this.programs = [program];
    this.running = program;
    this.runtime = runtime;
    this.build = new Builder(this.e);
    this.values = new Evaluator(this.e, runtime);
    this.recorder = new Recorder(this.build, this.values, new Facts(this.e));
    this.memory = new TraceMemory(runtime, this.recorder);
    this.calls = new TraceCalls(runtime, this.recorder, this.memory);
    this.tails = new TailCalls(runtime, this.recorder, tailTarget);
    this.arithmetic = new Arithmetic(this.build);
    this.firstNodes = this.e.count;
  }

  /** Runs the program on the runtime's context, which `Runtime.begin` has set. */
  trace(): TraceResult {
    const { recorder, build, runtime } = this;
    this.values.begin();
    recorder.clear();
    this.memory.clear();
    this.calls.clear();
    this.registers = new Array<number>(11).fill(NONE);
    this.registers[1] = build.number(runtime.contextAt);
    this.registers[R10] = build.number(runtime.stackAt + STACK_BYTES);
    this.running = this.program;
    this.frames = [];
    this.executed = 0;
    this.words = [];
    runtime.engine = this;
    this.run(0);
    const verdict = Number(BigInt.asIntN(32, this.values.of(this.registers[0]!)));
    return { verdict, trace: this.finish() };
  }

  /** Forgets which paths there were, and their expressions. */
  clear(): void {
    this.build.truncate(this.firstNodes);
    this.ids.clear();
    this.memory.constants.clear();
  }

  private finish(): Trace {
    const { recorder, memory, build } = this;
    const { ops, hostOnly } = recorder;
    const isBefore = (op: TraceOp): boolean =>
      op.kind === "guard" || ("isBefore" in op && op.isBefore);
    const before = lastGuardFirst(ops.filter(isBefore));
    const isHost = hostOnly !== null;
    const effects = isHost
      ? []
      : fuseStores(
          build,
          ops.filter((op): op is EffectOp => !before.has(op)),
        );
    const verdict = isHost ? build.zero : build.word(recorder.known(this.registers[0]!));
    const { start, end, metadata } = memory;
    const guards = ops.filter((op): op is GuardOp => op.kind === "guard");
    const path = guards.map(({ test, holds }) => (holds ? test : ~test)).join();
    const known = this.ids.get(path);
    const id = known ?? this.ids.size;
    if (known === undefined) this.ids.set(path, id);
    return new RecordedTrace(build, guards, {
      id,
      ops,
      before: [...before],
      effects,
      verdict,
      start,
      end,
      metadata,
      hostOnly,
      executed: this.executed,
      words: this.words,
    });
  }

  /** Number of the instruction at a word of the running program. */
  private place(word: number): number {
    let numbers = this.numbers.get(this.running);
    if (numbers === undefined) {
      numbers = new Int32Array(this.running.program.code.length / INSTRUCTION_BYTES);
      for (const [n, { word: at }] of this.running.instructions.entries()) numbers[at] = n;
      this.numbers.set(this.running, numbers);
    }
    return numbers[word]!;
  }

  /** A word as traces name it. */
  private wordOf(word: number): number {
    if (this.running === this.program) return word;
    let index = this.programs.indexOf(this.running);
    if (index < 0) index = this.programs.push(this.running) - 1;
    return index * WORD_STRIDE + word;
  }

  /** The source line of a word of a trace; null when the object does not say. */
  sourceOf(word: number): SourceLine | null {
    const program = this.programs[Math.floor(word / WORD_STRIDE)];
    if (program === undefined) return null;
    // Line 0 is what the compiler put between lines: it belongs to the one before.
    const lines = program.program.lines.filter(({ line }) => line > 0);
    return sourceLine({ lines }, word % WORD_STRIDE);
  }

  private read(register: number): number {
    const node = this.registers[register]!;
    if (node === NONE) throw this.fail("EFAULT", `r${register} was never written`);
    const known = this.recorder.known(node);
    this.registers[register] = known;
    return known;
  }

  private fail(code: "EFAULT" | "ELOOP" | "ENOTSUP", message: string): EbpfError {
    return new EbpfError(
      code,
      `${this.running.name}: instruction ${this.recorder.word}: ${message}`,
    );
  }

  /** Runs from an instruction until the function that it is in returns. */
  private run(from: number): void {
    const depth = this.frames.length;
    let at = from;
    for (;;) {
      const i = this.running.instructions[at];
      if (i === undefined) throw this.fail("EFAULT", "the program ran over its end");
      this.recorder.word = this.wordOf(i.word);
      this.step();
      const next = this.execute(i, at, depth);
      if (next < 0) return;
      at = next;
    }
  }

  private step(): void {
    this.executed++;
    if (this.recorder.isRecording) this.words.push(this.recorder.word);
    if (this.executed === MAX_EXECUTED) {
      this.recorder.giveUp(`the path has more than ${MAX_EXECUTED} instructions`);
    }
    if (this.executed > BUDGET) throw this.fail("ELOOP", "the program took too many instructions");
  }

  /** The number of the next instruction; -1: the function has returned. */
  private execute(i: PlacedInstruction, at: number, depth: number): number {
    switch (i.opcode & 7) {
      case Class.ALU:
      case Class.ALU64:
        this.registers[i.dst] = this.arithmetic.run(i, (register) => this.read(register));
        return at + 1;
      case Class.LDX:
        this.load(i);
        return at + 1;
      case Class.ST:
        this.storeAt(i, this.build.number(i.imm));
        return at + 1;
      case Class.STX:
        if ((i.opcode & 0xe0) === Mode.ATOMIC) this.atomic(i);
        else this.storeAt(i, this.read(i.src));
        return at + 1;
      case Class.JMP:
      case Class.JMP32:
        return this.jump(i, at, depth);
      default: {
        const high = BigInt(i.immHigh) << 32n;
        this.registers[i.dst] = this.build.number(high | BigInt(i.imm >>> 0));
        return at + 1;
      }
    }
  }

  private addressOf(register: number, offset: number): number {
    return this.build.add(this.read(register), this.build.number(offset));
  }

  private load(i: PlacedInstruction): void {
    const size = SIZES[(i.opcode >> 3) & 3]!;
    const value = this.memory.load(this.addressOf(i.src, i.offset), size);
    const isSigned = (i.opcode & 0xe0) === Mode.MEMSX;
    this.registers[i.dst] = isSigned ? this.build.extend(8 * size, value) : value;
  }

  private storeAt(i: PlacedInstruction, value: number): void {
    const size = SIZES[(i.opcode >> 3) & 3]!;
    const mask = (1n << BigInt(8 * size)) - 1n;
    const part = this.build.and(value, this.build.number(mask));
    this.memory.store(this.addressOf(i.dst, i.offset), size, part);
  }

  private atomic(i: PlacedInstruction): void {
    const { build, recorder } = this;
    const size = SIZES[(i.opcode >> 3) & 3]! as 4 | 8;
    const cut = (node: number): number => (size === 8 ? node : build.word(node));
    const address = this.addressOf(i.dst, i.offset);
    const old = this.memory.load(address, size);
    const value = cut(this.read(i.src));
    if (i.imm === Atomic.CMPXCHG) {
      if (recorder.guard(build.eq(old, cut(this.read(0))), "value")) {
        this.memory.store(address, size, value);
      }
      this.registers[0] = old;
      return;
    }
    const result = cut(this.combined(i.imm & ~Atomic.FETCH, old, value, i.imm));
    if (i.imm === Atomic.XCHG) this.memory.store(address, size, value);
    else this.memory.atomic(address, size, i.imm, value, result);
    if ((i.imm & Atomic.FETCH) !== 0) this.registers[i.src] = old;
  }

  private combined(what: number, old: number, value: number, imm: number): number {
    const { build } = this;
    if (imm === Atomic.XCHG) return value;
    if (what === Atomic.ADD) return build.add(old, value);
    if (what === Atomic.OR) return build.or(old, value);
    return what === Atomic.AND ? build.and(old, value) : build.xor(old, value);
  }

  private jump(i: PlacedInstruction, at: number, depth: number): number {
    if (isBranch(i)) {
      const test = this.arithmetic.condition(i, (register) => this.read(register));
      const holds = this.recorder.guard(test);
      return holds ? this.place(jumpTarget(i)) : at + 1;
    }
    const code = i.opcode & 0xf0;
    if (code === Jmp.JA) return this.place(jumpTarget(i));
    if (code === Jmp.CALL) return this.call(i, at);
    return this.leave(depth);
  }

  private leave(depth: number): number {
    const frame = this.frames.length > depth ? this.frames.pop() : undefined;
    if (frame === undefined) return -1;
    this.running = frame.program;
    for (const [n, node] of frame.kept.entries()) this.registers[6 + n] = node;
    return frame.back;
  }

  private enter(back: number): void {
    if (this.frames.length + 1 >= MAX_FRAMES) throw this.fail("ELOOP", "too many calls in a chain");
    this.frames.push({ program: this.running, back, kept: this.registers.slice(6, 11) });
    this.registers[R10] = this.addressOf(R10, STACK_BYTES);
  }

  private call(i: PlacedInstruction, at: number): number {
    if (i.src === CallKind.LOCAL) {
      this.enter(at + 1);
      return this.place(i.word + 1 + i.imm);
    }
    if (i.imm === TAIL_CALL) return this.tailCall(at);
    const helper = HELPERS.get(i.imm);
    if (helper === undefined) {
      throw this.fail(
        "ENOTSUP",
        "it needs a helper that is not there, or a member that the types do not have (CO-RE)",
      );
    }
    const args = helper.arguments.map((what, n) =>
      what === "ignored" ? this.registers[n + 1]! : this.read(n + 1),
    );
    this.registers[0] = i.imm === LOOP ? this.loop(args) : this.calls.call(i.imm, args);
    this.registers.fill(NONE, 1, 6);
    return at + 1;
  }

  private tailCall(at: number): number {
    const target = this.tails.target(this.read(2), this.read(3));
    if (target === null) {
      this.registers[0] = this.build.number(-1);
      this.registers.fill(NONE, 1, 6);
      return at + 1;
    }
    this.running = target;
    return 0;
  }

  /** bpf_loop(times, function, context, flags), round after round. */
  private loop(args: readonly number[]): number {
    const { recorder, build } = this;
    const [times, callback, context, flags] = args as [number, number, number, number];
    if (recorder.pin(flags) !== 0n) return build.number(-EINVAL);
    const count = Number(recorder.pin(build.word(times)));
    if (count > MAX_LOOPS) return build.number(-E2BIG);
    const index = Number(recorder.pin(callback));
    for (let round = 0; round < count; round++) {
      const result = this.callBack(index, [build.number(round), context]);
      // The host looks at the low half of what the callback returned.
      if (!recorder.guard(build.eq(build.word(result), build.zero))) return build.number(round + 1);
    }
    return build.number(count);
  }

  /** Runs a function of the program from a helper; its r0. */
  private callBack(index: number, args: readonly number[]): number {
    const kept = this.registers.slice(6, 11);
    const program = this.running;
    const start = this.place(program.program.functions[index]!.at / INSTRUCTION_BYTES);
    if (this.frames.length + 1 >= MAX_FRAMES) throw this.fail("ELOOP", "too many calls in a chain");
    this.frames.push({ program, back: 0, kept });
    this.registers.fill(NONE, 1, 6);
    for (const [n, node] of args.entries()) this.registers[1 + n] = node;
    this.registers[R10] = this.addressOf(R10, STACK_BYTES);
    this.run(start);
    this.frames.pop();
    for (const [n, node] of kept.entries()) this.registers[6 + n] = node;
    return this.registers[0]!;
  }

  /** For helpers that are really made: calls a function of the program. */
  callFunction(index: number, args: readonly number[]): number {
    const result = this.callBack(
      index,
      args.map((value) => this.build.number(value)),
    );
    return Number(BigInt.asIntN(32, this.values.of(result)));
  }
}

/** Operations of the first phase: those after the last guard have time until the second. */
function lastGuardFirst(ops: readonly TraceOp[]): ReadonlySet<TraceOp> {
  const last = ops.findLastIndex((op) => op.kind === "guard");
  return new Set(ops.slice(0, last + 1));
}
