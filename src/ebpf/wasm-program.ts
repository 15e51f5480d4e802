/**
 * The whole-program compiler: a decoded program becomes a WebAssembly module that works on the runtime's
 * memory. Each function of the program is one of the module.
 *
 * Helpers are called through imports: arguments and result go through the registers in memory, since a
 * number of 64 bits would be a BigInt on the way. Lookups in maps that are known are functions of the module
 * where that can be (wasm-map.ts).
 *
 * The entry is compiled for where it always runs, with the context and the frame as constants and nothing to
 * pass. As the target of a tail call a program is compiled again, for any frame, when it first is one.
 * Measured: a program that does nothing takes 7.0 ns a packet instead of 11.8, a filter of 14 instructions
 * 12.5 instead of 18.0 (best of three interleaved rounds on a loaded machine, node 20, 2026-11).
 *
 * Nothing counts instructions here: a program that has not been verified may run for ever.
 */
import { ranBeforeFailure, writeBurst } from "./burst.js";
import type { DecodedProgram } from "./decode.js";
import { EbpfError } from "./ebpf-error.js";
import { type BasicBlock, buildFlowGraph, type FlowGraph, isBranch, isExit } from "./flow-graph.js";
import { HELPERS, MAP_LOOKUP, TAIL_CALL } from "./helpers.js";
import type { PlacedInstruction } from "./instructions.js";
import type { TailTarget } from "./interp.js";
import { CallKind, Class, INSTRUCTION_BYTES, Jmp, LDDW, Mode, WideKind } from "./isa.js";
import type { LinearMap } from "./linear-map.js";
import { lookup } from "./map-helpers.js";
import { ModuleLookups } from "./module-lookups.js";
import { MAX_FRAMES, type Runtime, STACK_BYTES } from "./runtime.js";
import { WasmCode } from "./wasm-code.js";
import { writeFlow } from "./wasm-flow.js";
import { FRAMES, type Layout, type ModuleKind } from "./wasm-layout.js";
import { I32, NO_RESULT, Wasm, WasmBytes, WasmModule } from "./wasm-writer.js";

const MAX_TAIL_CALLS = 33;
const R0 = 0;
const R1 = 1;
const R2 = 2;
const R3 = 3;
const R10 = 10;

/** How a module calls out. */
interface Imports {
  /** (number of a helper) */
  readonly helper: number;
  /** (map, key) -> value */
  readonly lookup: number;
  /** (map, index, frame) -> whether there was a program; its result is in r0 then */
  readonly tail: number;
}

/** The bytes of a program's module: pure, so that it can be tested and looked at. */
export function compileModule(
  program: DecodedProgram,
  runtime: Runtime,
  kind: ModuleKind = "entry",
): Uint8Array<ArrayBuffer> {
  const module = new WasmModule();
  const imports: Imports = {
    helper: module.importFunction("helper", [I32], []),
    lookup: module.importFunction("lookup", [I32, I32], [I32]),
    tail: module.importFunction("tail", [I32, I32, I32], [I32]),
  };
  const starts = program.program.functions.map(({ at }) => at / INSTRUCTION_BYTES);
  const outside = kind === "burst" ? 0 : starts.length;
  const lookups = new ModuleLookups(module.importCount + starts.length + outside, runtime.cpuAt);
  const around = { program, runtime, imports, starts, lookups };
  for (let index = 0; index < starts.length; index++) {
    const end = starts[index + 1] ?? Number.POSITIVE_INFINITY;
    const own = program.instructions.filter(({ word }) => word >= starts[index]! && word < end);
    const { parameters, result, locals, layout } = index === 0 ? FRAMES[kind] : FRAMES.callee;
    const compiler = new FunctionCompiler(own, around, layout);
    module.addFunction(parameters, [result], locals, compiler.compile());
  }
  // For callers from outside, which would have to make BigInts of 64 bits.
  const first = module.importCount + starts.length;
  for (let index = 0; index < outside; index++) {
    const isEntry = index === 0 && kind === "entry";
    const code = new WasmBytes();
    for (let n = 0; n < 5 && !isEntry; n++) code.get(n).byte(Wasm.i64_extend_i32_u);
    if (!isEntry) code.get(5);
    code.call(module.importCount + index);
    if (!isEntry) code.byte(Wasm.i32_wrap_i64);
    module.addFunction([I32, I32, I32, I32, I32, I32], [I32], [], code);
    module.exportFunction(`f${index}`, first + index);
  }
  if (kind !== "callee") module.exportFunction("run", module.importCount);
  for (const { locals, code } of lookups.bodies) module.addFunction([I32], [I32], locals, code);
  const isShared = runtime.memory.memory.buffer instanceof SharedArrayBuffer;
  return module.finish(isShared, runtime.bytes.length / 65_536);
}

/** What functions of a module share. */
interface Around {
  readonly program: DecodedProgram;
  readonly runtime: Runtime;
  readonly imports: Imports;
  /** Words at which functions begin. */
  readonly starts: readonly number[];
  readonly lookups: ModuleLookups;
}

class FunctionCompiler {
  private readonly out = new WasmBytes();
  private readonly code: WasmCode;
  private readonly graph: FlowGraph;
  private readonly runtime: Runtime;
  private readonly imports: Imports;
  private readonly starts: readonly number[];
  private readonly lookups: ModuleLookups;
  private readonly layout: Layout;
  private readonly fixedFrame: number;
  private readonly program: DecodedProgram;
  /** Blocks that are open around the instruction at hand. */
  private depth = 0;
  /** Maps that registers are known to hold, in the block at hand. */
  private readonly known = new Map<number, LinearMap>();

  constructor(instructions: readonly PlacedInstruction[], around: Around, layout: Layout) {
    this.graph = buildFlowGraph(instructions);
    this.program = around.program;
    this.runtime = around.runtime;
    this.imports = around.imports;
    this.starts = around.starts;
    this.lookups = around.lookups;
    this.layout = layout;
    this.fixedFrame = around.runtime.stackAt + STACK_BYTES;
    this.code = new WasmCode(this.out, { ...layout, fixedFrame: this.fixedFrame });
  }

  compile(): WasmBytes {
    const { burst } = this.layout;
    if (burst === undefined) this.writeFlow();
    else writeBurst(this.out, this.runtime, this.program, burst, () => this.writeFlow());
    return this.out;
  }

  private writeFlow(): void {
    if (this.isEntry) {
      this.out.i64Const(this.runtime.contextAt, 0);
      this.code.set(R1);
    }
    writeFlow(this.out, this.graph, this, this.layout.state);
  }

  private get isEntry(): boolean {
    return this.layout.frame === null;
  }

  writeBody(block: BasicBlock, depth: number): void {
    this.depth = depth;
    this.known.clear();
    for (let at = block.first; at < block.end; at++) this.write(this.graph.instructions[at]!);
  }

  writeCondition(block: BasicBlock): void {
    this.code.condition(this.graph.instructions[block.end - 1]!);
  }

  private write(i: PlacedInstruction): void {
    switch (i.opcode & 7) {
      case Class.ALU:
      case Class.ALU64:
        this.code.alu(i);
        this.known.delete(i.dst);
        break;
      case Class.LDX:
        this.code.load(i);
        this.known.delete(i.dst);
        break;
      case Class.ST:
      case Class.STX:
        this.writeStore(i);
        break;
      case Class.JMP:
      case Class.JMP32:
        this.writeJump(i);
        break;
      default:
        this.writeConstant(i);
    }
  }

  private writeStore(i: PlacedInstruction): void {
    if ((i.opcode & 7) === Class.ST || (i.opcode & 0xe0) !== Mode.ATOMIC) {
      this.code.store(i);
      return;
    }
    this.code.atomic(i);
    this.known.delete(i.src);
    this.known.delete(R0);
  }

  private writeConstant(i: PlacedInstruction): void {
    this.code.constant(i);
    this.known.delete(i.dst);
    const map = i.opcode === LDDW && i.src === WideKind.MAP_FD ? i.imm : 0;
    const found = this.runtime.mapByAddress.get(map);
    if (found !== undefined) this.known.set(i.dst, found);
  }

  private writeJump(i: PlacedInstruction): void {
    if (isExit(i)) {
      const { burst } = this.layout;
      if (this.isEntry) this.code.getLow(R0);
      else this.code.get(R0);
      if (burst === undefined) this.out.byte(Wasm.return);
      else this.out.set(burst.verdict).byte(Wasm.br).unsigned(this.depth);
    } else if ((i.opcode & 0xf0) === Jmp.CALL && !isBranch(i)) {
      this.writeCall(i);
      for (let n = R0; n <= 5; n++) this.known.delete(n);
    }
  }

  private writeCall(i: PlacedInstruction): void {
    const { out, code } = this;
    if (i.src === CallKind.LOCAL) {
      for (let n = R1; n <= 5; n++) code.get(n);
      code.getLow(R10);
      out.i32Const(STACK_BYTES).byte(Wasm.i32_add);
      out.call(IMPORTS + this.starts.indexOf(i.word + 1 + i.imm));
      code.set(R0);
      return;
    }
    if (i.imm === MAP_LOOKUP) this.writeLookup();
    else if (i.imm === TAIL_CALL) this.writeTailCall();
    else this.writeHelper(i.imm);
  }

  private writeTailCall(): void {
    const { out, code } = this;
    code.getLow(R2);
    code.getLow(R3);
    code.getLow(R10);
    out.call(this.imports.tail).ops(Wasm.if, NO_RESULT);
    this.loadResult();
    if (this.isEntry) out.byte(Wasm.i32_wrap_i64);
    out.ops(Wasm.return, Wasm.end).i64Const(-1, -1);
    code.set(R0);
  }

  private writeHelper(number: number): void {
    const { out, code, runtime } = this;
    const helper = HELPERS.get(number);
    if (helper === undefined) {
      out.byte(Wasm.unreachable); // poison: see core.ts
      return;
    }
    for (let n = 1; n <= helper.arguments.length; n++) {
      out.i32Const(runtime.registersAt);
      code.get(n);
      out.memory(Wasm.i64_store, n * 8);
    }
    if (helper.effect === "control") {
      out.i32Const(runtime.registersAt);
      code.get(R10);
      out.memory(Wasm.i64_store, R10 * 8);
    }
    out.i32Const(number).call(this.imports.helper);
    if (helper.result === "nothing") return;
    this.loadResult();
    code.set(R0);
  }

  private loadResult(): void {
    this.out.i32Const(this.runtime.registersAt).memory(Wasm.i64_load, 0);
  }

  private writeLookup(): void {
    const { out, code } = this;
    const map = this.known.get(R1);
    const own = map === undefined ? -1 : this.lookups.indexOf(map);
    if (own < 0) code.getLow(R1);
    code.getLow(R2);
    out.call(own < 0 ? this.imports.lookup : own).byte(Wasm.i64_extend_i32_u);
    code.set(R0);
  }
}

/** Functions that every module imports. */
const IMPORTS = 3;

type Exported = (
  r1: number,
  r2: number,
  r3: number,
  r4: number,
  r5: number,
  frame: number,
) => number;

/** A program, compiled. */
export class WasmProgram {
  private readonly name: string;
  private readonly runtime: Runtime;
  private readonly functions: readonly Exported[];
  private readonly entry: () => number;
  /** Compiled when it is first wanted. */
  private burst: ((recordsAt: number, count: number) => number) | null = null;
  /** As {@link BurstRunner} has it. */
  burstError: EbpfError | null = null;
  /** As the target of tail calls. */
  private callee: Exported | null = null;
  private readonly program: DecodedProgram;
  private readonly imports: ConstructorParameters<typeof WebAssembly.Instance>[1];

  /** Compiling is synchronous: programs are small. `findTail` gives the compiled target of a tail call. */
  constructor(
    program: DecodedProgram,
    runtime: Runtime,
    tailTarget: TailTarget,
    findTail: (program: DecodedProgram) => WasmProgram,
  ) {
    this.name = program.name;
    this.program = program;
    this.runtime = runtime;
    const tail = (mapAt: number, index: number, frame: number): number => {
      if (runtime.tailCalls >= MAX_TAIL_CALLS) return 0;
      const target = tailTarget(mapAt, index);
      if (target === null) return 0;
      runtime.tailCalls++;
      runtime.registers[0] = findTail(target).enter(frame);
      runtime.registers[1] = 0;
      return 1;
    };
    this.imports = {
      m: { m: runtime.memory.memory },
      f: {
        helper: (number: number) => HELPERS.get(number)!.run(runtime),
        lookup: (mapAt: number, keyAt: number) =>
          lookup(runtime, runtime.mapByAddress.get(mapAt)!, keyAt),
        tail,
      },
    };
    const exports = this.compile("entry");
    this.functions = program.functions.map((_, n) => exports[`f${n}`] as Exported);
    this.entry = exports.run as () => number;
  }

  /** Hot path. Runs the program on the runtime's context; the low word of what it returns. */
  run(): number {
    this.runtime.engine = this;
    try {
      return this.entry();
    } catch (error) {
      throw this.failure(error as Error);
    }
  }

  /** Hot path. As `BurstRunner.runBurst`; programs with tail calls must run one by one. */
  runBurst(recordsAt: number, count: number): number {
    this.runtime.engine = this;
    this.burstError = null;
    this.burst ??= this.compile("burst").run as (recordsAt: number, count: number) => number;
    try {
      return this.burst(recordsAt, count);
    } catch (error) {
      this.burstError = this.failure(error as Error);
      return ranBeforeFailure(this.runtime, recordsAt);
    }
  }

  private compile(kind: ModuleKind): WebAssembly.Instance["exports"] {
    const module = new WebAssembly.Module(compileModule(this.program, this.runtime, kind));
    return new WebAssembly.Instance(module, this.imports).exports;
  }

  private failure(error: Error): EbpfError {
    return error instanceof EbpfError
      ? error
      : new EbpfError("EFAULT", `${this.name}: ${error.message}`);
  }

  private enter(frame: number): number {
    this.callee ??= this.compile("callee").f0 as Exported;
    return this.callee(this.runtime.contextAt, 0, 0, 0, 0, frame);
  }

  /** Calls a function of the program, from a helper. */
  callFunction(index: number, args: readonly number[]): number {
    const { runtime } = this;
    const frame = runtime.registers[2 * R10]! + STACK_BYTES;
    if (frame > runtime.stackAt + MAX_FRAMES * STACK_BYTES) {
      throw new EbpfError("ELOOP", `${this.name}: too many calls in a chain`);
    }
    const [r1 = 0, r2 = 0, r3 = 0, r4 = 0, r5 = 0] = args;
    return this.functions[index]!(r1, r2, r3, r4, r5, frame);
  }
}
