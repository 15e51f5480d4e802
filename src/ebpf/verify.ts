/**
 * The verifier: walks every path of an XDP program and knows, at each instruction, what every register and
 * piece of stack may be (as the kernel's verifier.c). A program that it accepts reads and writes only what
 * is its own, calls helpers with what they want, and ends.
 *
 * Paths that come to where all that is known is covered by what was known there before, and was found
 * good, end early. Loops are walked round by round; a program that takes more than a million steps to
 * walk is refused, as by the kernel.
 *
 * Not as the kernel: functions that are not static are walked with the arguments of each call; of numbers,
 * one interval is known (verify-value.ts); uninitialised stack may be read, as the kernel lets root do.
 */
import { EbpfError } from "./ebpf-error.js";
import { isBranch, isExit, isGoto, jumpTarget } from "./flow-graph.js";
import { type PlacedInstruction, placeInstructions } from "./instructions.js";
import {
  Alu,
  Atomic,
  CallKind,
  Class,
  INSTRUCTION_BYTES,
  Jmp,
  LDDW,
  Mode,
  SOURCE_REGISTER,
  WideKind,
} from "./isa.js";
import type { LinkedProgram } from "./link.js";
import { liveRegisters } from "./liveness.js";
import type { MapDefinition } from "./map-definition.js";
import { sourceLine, sourcePlace } from "./source-place.js";
import { refine } from "./verify-branch.js";
import { callHelper } from "./verify-call.js";
import { type Access, checkAccess, describeKind, loaded, stored } from "./verify-memory.js";
import { Frame, State, StateComparison } from "./verify-state.js";
import {
  compute32,
  compute64,
  constant,
  extend,
  Kind,
  low32,
  markPrecise,
  NOTHING,
  number,
  unknown,
  Value,
} from "./verify-value.js";

/** The kernel's limits. */
const MAX_STEPS = 1_000_000;
const MAX_FRAMES = 8;
const MAX_STACK_BYTES = 512;
const LEAST_STEPS_BETWEEN_STATES = 8;
const POINTER_OFFSET_LIMIT = 2 ** 29;

/** Why a program was refused. */
export class VerifyError extends EbpfError {
  override readonly name = "VerifyError";
  /** The instruction's word. */
  readonly word: number;
  readonly file: string | null;
  readonly line: number | null;
  readonly reason: string;

  constructor(program: string, code: LinkedProgram, word: number, reason: string) {
    super("EACCES", `${program}: instruction ${word}${sourcePlace(code, word)}: ${reason}`);
    const place = sourceLine(code, word);
    this.word = word;
    this.file = place?.file ?? null;
    this.line = place?.line ?? null;
    this.reason = reason;
  }
}

export interface VerifyInput {
  readonly name: string;
  /** Where it attaches: `xdp/devmap` programs may read one word more. */
  readonly section: string;
  readonly program: LinkedProgram;
  readonly maps: readonly MapDefinition[];
  readonly license: string;
  /** Instructions that may be walked; the kernel's limit by default. */
  readonly maxSteps?: number;
}

export interface VerifyResult {
  /** Instructions walked. */
  readonly steps: number;
  /** The deepest stack of each function, in bytes. */
  readonly stackBytes: readonly number[];
}

/** Throws {@link VerifyError}, or `EbpfError` EINVAL for what are no instructions. */
export function verify(input: VerifyInput): VerifyResult {
  return new Verifier(input).run();
}

/** Licences that the kernel counts as the GPL's. */
const GPL = new Set([
  "GPL",
  "GPL v2",
  "GPL and additional rights",
  "Dual BSD/GPL",
  "Dual MIT/GPL",
  "Dual MPL/GPL",
]);

export class Verifier {
  readonly input: VerifyInput;
  readonly isGpl: boolean;
  readonly mayEgress: boolean;
  readonly maps: ReadonlyMap<string, MapDefinition>;
  private readonly instructions: readonly PlacedInstruction[];
  /** By word: the instruction's number. */
  private readonly places: ReadonlyMap<number, number>;
  private readonly references: ReadonlyMap<number, string>;
  private readonly functionStarts: readonly number[];
  private readonly live: Int32Array;
  /** States seen at instructions that are jumped to. */
  private readonly seen = new Map<number, State[]>();
  private readonly isTarget: Uint8Array;
  private readonly open: { state: State; at: number }[] = [];
  private readonly stackDepth: number[];
  private readonly callsFrom: Set<number>[];
  private readonly maxSteps: number;
  private steps = 0;
  private sinceState = 0;
  private ids = 0;
  private at = 0;

  constructor(input: VerifyInput) {
    this.input = input;
    this.maxSteps = input.maxSteps ?? MAX_STEPS;
    this.isGpl = GPL.has(input.license);
    this.mayEgress = input.section.includes("devmap");
    this.maps = new Map(input.maps.map((map) => [map.name, map]));
    this.instructions = placeInstructions(input.name, input.program.code);
    this.places = new Map(this.instructions.map(({ word }, number) => [word, number]));
    this.references = new Map(
      input.program.maps.map(({ at, map }) => [at / INSTRUCTION_BYTES, map]),
    );
    this.functionStarts = input.program.functions.map(({ at }) =>
      this.placeOf(at / INSTRUCTION_BYTES),
    );
    this.stackDepth = this.functionStarts.map(() => 0);
    this.callsFrom = this.functionStarts.map(() => new Set<number>());
    this.isTarget = new Uint8Array(this.instructions.length);
    this.checkFlow();
    this.live = liveRegisters(this.instructions, this.places);
  }

  run(): VerifyResult {
    const state = new State();
    const frame = new Frame(-1, 0, false);
    frame.registers[1] = new Value(Kind.CONTEXT);
    frame.registers[10] = new Value(Kind.STACK, { extra: 0 });
    state.frames.push(frame);
    this.open.push({ state, at: 0 });
    for (let next = this.open.pop(); next !== undefined; next = this.open.pop()) {
      this.walk(next.state, next.at);
    }
    this.deepest(0, new Map());
    return { steps: this.steps, stackBytes: this.stackDepth };
  }

  /** For what came in through registers and is new: records, unknown offsets, what may be NULL. */
  freshId(): number {
    this.ids++;
    return this.ids;
  }

  refuse = (reason: string): never => {
    throw new VerifyError(
      this.input.name,
      this.input.program,
      this.instructions[this.at]?.word ?? 0,
      reason,
    );
  };

  private placeOf(word: number): number {
    const place = this.places.get(word);
    if (place === undefined)
      return this.refuse(`it leads to word ${word}, where no instruction is`);
    return place;
  }

  // ---- what can be seen without walking

  /** Every function ends in itself, nothing jumps out of it, and all of it is reached. */
  private checkFlow(): void {
    const { instructions, functionStarts } = this;
    if (instructions.length === 0) this.refuse("the program is empty");
    const starts = [...functionStarts].sort((a, b) => a - b);
    for (const [n, start] of starts.entries()) {
      const end = starts[n + 1] ?? instructions.length;
      this.at = end - 1;
      const last = instructions[end - 1]!;
      if (!isExit(last) && !isGoto(last))
        this.refuse("the function goes on after its last instruction");
      for (this.at = start; this.at < end; this.at++) {
        const i = instructions[this.at]!;
        if (!isGoto(i) && !isBranch(i)) continue;
        const to = this.placeOf(jumpTarget(i));
        if (to < start || to >= end) this.refuse("it jumps out of its function");
        this.isTarget[to] = 1;
      }
    }
    this.checkReached(starts);
  }

  private checkReached(starts: readonly number[]): void {
    const reached = new Uint8Array(this.instructions.length);
    const open = [...starts];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (reached[at] === 1) continue;
      reached[at] = 1;
      const i = this.instructions[at]!;
      if (isGoto(i) || isBranch(i)) open.push(this.placeOf(jumpTarget(i)));
      if (!isGoto(i) && !isExit(i)) open.push(at + 1);
    }
    this.at = reached.indexOf(0);
    if (this.at >= 0) this.refuse("it is never reached");
    this.at = 0;
  }

  /** Bytes of stack that a function and the deepest chain of its calls take. */
  private deepest(index: number, known: Map<number, number>): number {
    const found = known.get(index);
    if (found !== undefined && found >= 0) return found;
    this.at = this.functionStarts[index]!;
    if (found !== undefined) this.refuse("the function calls itself");
    known.set(index, IN_WORK);
    let below = 0;
    for (const to of this.callsFrom[index]!) below = Math.max(below, this.deepest(to, known));
    const total = Math.ceil(this.stackDepth[index]! / 32) * 32 + below;
    this.at = this.functionStarts[index]!;
    if (total > MAX_STACK_BYTES) {
      this.refuse(
        `its stack and those of the calls that it makes take ${total} bytes together, and ${MAX_STACK_BYTES} are allowed`,
      );
    }
    known.set(index, total);
    return total;
  }

  // ---- walking

  private walk(start: State, from: number): void {
    let state = start;
    let at = from;
    for (;;) {
      this.at = at;
      if (++this.steps > this.maxSteps) {
        this.refuse(`walking it takes more than ${this.maxSteps} steps: does a loop never end?`);
      }
      this.sinceState++;
      if (this.isTarget[at] === 1) {
        const known = this.lookBack(state, at);
        if (known === null) {
          state.finish();
          return;
        }
        state = known;
      }
      const next = this.step(state, at);
      if (next < 0) {
        state.finish();
        return;
      }
      at = next;
    }
  }

  /** null: a state that covers this one was found good. Else the state to go on with. */
  private lookBack(state: State, at: number): State | null {
    const states = this.seen.get(at) ?? [];
    const live = this.live[at]!;
    let exact = 0;
    for (let n = states.length - 1; n >= 0; n--) {
      const old = states[n]!;
      if (old.isDone) {
        const comparison = new StateComparison(old, state, live, false);
        if (!comparison.covers()) continue;
        comparison.propagate();
        return null;
      }
      if (exact++ >= MOST_EXACT) continue;
      if (new StateComparison(old, state, ALL, true).covers() && this.isAbove(old, state)) {
        this.refuse("a loop that changes nothing and so never ends");
      }
    }
    if (this.sinceState < LEAST_STEPS_BETWEEN_STATES && states.length > 0) return state;
    this.sinceState = 0;
    if (states.length >= MAX_STATES) states.shift();
    states.push(state);
    this.seen.set(at, states);
    const copied = state.copy();
    copied.parent = state;
    return copied;
  }

  private isAbove(old: State, state: State): boolean {
    for (let one: State | null = state; one !== null; one = one.parent)
      if (one === old) return true;
    return false;
  }

  /** One instruction; the next one's number, -1 at the end of the path. */
  private step(state: State, at: number): number {
    const i = this.instructions[at]!;
    switch (i.opcode & 7) {
      case Class.ALU:
      case Class.ALU64:
        this.stepAlu(state, i);
        return at + 1;
      case Class.LDX:
        this.stepLoad(state, i);
        return at + 1;
      case Class.ST:
      case Class.STX:
        this.stepStore(state, i);
        return at + 1;
      case Class.JMP:
      case Class.JMP32:
        return this.stepJump(state, i, at);
      default:
        this.stepConstant(state, i);
        return at + 1;
    }
  }

  /** A register that is read. */
  read(state: State, register: number): Value {
    const value = state.frame.registers[register]!;
    if (value.kind === Kind.NOTHING) this.refuse(`r${register} ${value.reason}, and is read`);
    return value;
  }

  private write(state: State, register: number, value: Value): void {
    if (register === 10) this.refuse("r10 is for reading only");
    state.frame.registers[register] = value;
  }

  // ---- arithmetic

  private stepAlu(state: State, i: PlacedInstruction): void {
    const code = i.opcode & 0xf0;
    const is64 = (i.opcode & 7) === Class.ALU64;
    const isRegister = (i.opcode & SOURCE_REGISTER) !== 0;
    if (code === Alu.MOV) {
      this.write(state, i.dst, this.moved(state, i, is64, isRegister));
      return;
    }
    const left = this.read(state, i.dst);
    if (code === Alu.END || code === Alu.NEG) {
      this.write(state, i.dst, this.changedAlone(left, i, code, is64));
      return;
    }
    const right = isRegister ? this.read(state, i.src) : number(i.imm, i.imm);
    this.checkOperand(i, code, is64, isRegister);
    if (left.kind !== Kind.NUMBER || right.kind !== Kind.NUMBER) {
      this.write(state, i.dst, this.pointerArithmetic(left, right, code, is64, i));
      return;
    }
    const compute = is64 ? compute64 : compute32;
    this.write(state, i.dst, compute(code, i.offset === 1, left, right));
  }

  private checkOperand(
    i: PlacedInstruction,
    code: number,
    is64: boolean,
    isRegister: boolean,
  ): void {
    if (isRegister) return;
    if ((code === Alu.DIV || code === Alu.MOD) && i.imm === 0) this.refuse("it divides by zero");
    const isShift = code === Alu.LSH || code === Alu.RSH || code === Alu.ARSH;
    const bits = is64 ? 64 : 32;
    if (isShift && (i.imm < 0 || i.imm >= bits)) this.refuse(`it shifts ${bits} bits by ${i.imm}`);
  }

  private moved(state: State, i: PlacedInstruction, is64: boolean, isRegister: boolean): Value {
    if (!isRegister) return is64 ? number(i.imm, i.imm) : number(i.imm >>> 0, i.imm >>> 0);
    const value = this.read(state, i.src);
    if (i.offset !== 0) {
      if (value.kind !== Kind.NUMBER)
        this.refuse(`r${i.src} is ${describeKind(value)}, not a number`);
      return extend(i.offset, value, is64 ? 64 : 32);
    }
    if (is64) return value.kind === Kind.NUMBER ? this.linked(state, i.src, value) : value;
    if (value.kind !== Kind.NUMBER) return number(0, 2 ** 32 - 1); // half of a pointer
    const low = low32(value);
    return low === value ? this.linked(state, i.src, value) : low;
  }

  /** Both registers hold the same number: what is learnt of one holds for the other. */
  private linked(state: State, register: number, value: Value): Value {
    if (value.isConstant || value.id !== 0) return value;
    const named = value.with({});
    named.origins = [value];
    named.id = this.freshId();
    named.shifted = value.shifted;
    state.frame.registers[register] = named;
    return named;
  }

  private changedAlone(value: Value, i: PlacedInstruction, code: number, is64: boolean): Value {
    if (value.kind !== Kind.NUMBER)
      this.refuse(`r${i.dst} is ${describeKind(value)}, not a number`);
    if (code === Alu.NEG) {
      const zero = number(0, 0);
      return is64 ? compute64(Alu.SUB, false, zero, value) : compute32(Alu.SUB, false, zero, value);
    }
    return i.imm === 64 ? unknown(value) : number(0, 2 ** i.imm - 1, value);
  }

  private pointerArithmetic(
    left: Value,
    right: Value,
    code: number,
    is64: boolean,
    i: PlacedInstruction,
  ): Value {
    const isSubtraction = code === Alu.SUB;
    const isBoth = left.kind !== Kind.NUMBER && right.kind !== Kind.NUMBER;
    // A distance; of 32 bits, also from a number, as the kernel lets root compute it.
    if (isSubtraction && (isBoth || !is64)) return is64 ? unknown() : number(0, 2 ** 32 - 1);
    const pointer = left.kind === Kind.NUMBER ? right : left;
    const what = `r${left.kind === Kind.NUMBER ? i.src : i.dst} is ${describeKind(pointer)}`;
    if (!is64 || isBoth || (code !== Alu.ADD && !isSubtraction)) {
      return this.refuse(
        `${what}, of which no arithmetic is possible but adding and subtracting numbers`,
      );
    }
    if (pointer === right && isSubtraction)
      return this.refuse(`${what}, and is subtracted from a number`);
    if (pointer.mayBeNull) return this.refuse(`${what}: compare it with 0 first`);
    const amount = pointer === left ? right : left;
    return this.advance(pointer, amount, isSubtraction, what);
  }

  private advance(pointer: Value, amount: Value, isSubtraction: boolean, what: string): Value {
    markPrecise(amount);
    const isMovable =
      pointer.kind === Kind.PACKET ||
      pointer.kind === Kind.PACKET_META ||
      pointer.kind === Kind.STACK ||
      pointer.kind === Kind.VALUE ||
      pointer.kind === Kind.RECORD;
    if (!isMovable) {
      if (amount.isConstant && amount.min === 0) return pointer;
      return this.refuse(`${what}, which cannot be moved`);
    }
    if (amount.isConstant) {
      const offset = pointer.offset + (isSubtraction ? -amount.min : amount.min);
      if (Math.abs(offset) > POINTER_OFFSET_LIMIT)
        this.refuse(`${what}, and is moved by ${offset} bytes`);
      return pointer.with({ offset });
    }
    const [min, max] = isSubtraction ? [-amount.max, -amount.min] : [amount.min, amount.max];
    if (!Number.isFinite(min))
      this.refuse(`${what}, and what is added to it may be any negative number`);
    const isPacket = pointer.kind === Kind.PACKET || pointer.kind === Kind.PACKET_META;
    const moved = pointer.with({
      min: pointer.min + min,
      max: pointer.max + max,
      range: 0,
      id: isPacket ? this.freshId() : pointer.id,
    });
    moved.origins = [amount];
    return moved;
  }

  private stepConstant(state: State, i: PlacedInstruction): void {
    if (i.opcode !== LDDW) this.refuse("packet loads of classic BPF are not for XDP");
    this.write(state, i.dst, this.wide(i));
  }

  private wide(i: PlacedInstruction): Value {
    if (i.src === WideKind.IMM) return constant(i.imm, i.immHigh);
    if (i.src === WideKind.CODE) {
      const extra = this.functionStarts.indexOf(this.placeOf(i.word + 1 + i.imm));
      if (extra < 0) this.refuse("no function starts there");
      return new Value(Kind.FUNCTION, { extra });
    }
    if (i.src !== WideKind.MAP_FD && i.src !== WideKind.MAP_FD_VALUE) {
      return this.refuse(`lddw of kind ${i.src} is not supported`);
    }
    const map = this.maps.get(this.references.get(i.word) ?? "");
    if (map === undefined) return this.refuse("its map is not known");
    if (i.src === WideKind.MAP_FD && i.immHigh !== 0)
      this.refuse("a map's lddw has no second constant");
    if (i.src === WideKind.MAP_FD) return new Value(Kind.MAP, { map });
    if (i.immHigh < 0 || i.immHigh >= map.valueBytes)
      this.refuse(`${map.name} has no byte ${i.immHigh}`);
    return new Value(Kind.VALUE, { map, offset: i.immHigh });
  }

  // ---- memory

  /** Checks what goes through a register, and notes how deep a stack is. */
  check(state: State, access: Access): void {
    checkAccess(state, access, this.refuse, this.mayEgress);
    const { pointer, offset } = access;
    if (pointer.kind !== Kind.STACK) return;
    const { functionIndex } = state.frames[pointer.extra]!;
    const depth = -(pointer.offset + pointer.min + offset);
    this.stackDepth[functionIndex] = Math.max(this.stackDepth[functionIndex]!, depth);
  }

  private access(state: State, register: number, i: PlacedInstruction, isWrite: boolean): Access {
    const access = {
      name: `r${register}`,
      pointer: this.read(state, register),
      offset: i.offset,
      lengthBytes: BYTES[(i.opcode >> 3) & 3]!,
      isWrite,
      isInstruction: true,
    };
    this.check(state, access);
    return access;
  }

  private stepLoad(state: State, i: PlacedInstruction): void {
    const access = this.access(state, i.src, i, false);
    this.write(state, i.dst, loaded(state, access, (i.opcode & 0xe0) === Mode.MEMSX));
  }

  private stepStore(state: State, i: PlacedInstruction): void {
    const isFromRegister = (i.opcode & 7) === Class.STX;
    const value = isFromRegister ? this.read(state, i.src) : number(i.imm, i.imm);
    if (isFromRegister && (i.opcode & 0xe0) === Mode.ATOMIC) {
      this.stepAtomic(state, i, value);
      return;
    }
    const access = this.access(state, i.dst, i, true);
    const isCut = access.lengthBytes < 8 && value.kind !== Kind.NUMBER;
    if (isCut && access.pointer.kind === Kind.STACK) {
      this.refuse(`r${i.src} is ${describeKind(value)}, and only a part of it is stored`);
    }
    stored(state, access, value);
  }

  private stepAtomic(state: State, i: PlacedInstruction, value: Value): void {
    const pointer = this.read(state, i.dst);
    const isAllowed =
      pointer.kind === Kind.STACK || pointer.kind === Kind.VALUE || pointer.kind === Kind.RECORD;
    if (!isAllowed)
      this.refuse(`r${i.dst} is ${describeKind(pointer)}, on which nothing is atomic`);
    if (value.kind !== Kind.NUMBER)
      this.refuse(`r${i.src} is ${describeKind(value)}, not a number`);
    const access = this.access(state, i.dst, i, true);
    const place = pointer.offset + pointer.min + i.offset;
    if (pointer.min !== pointer.max || place % access.lengthBytes !== 0) {
      this.refuse(
        `r${i.dst} ${i.offset < 0 ? i.offset : `+${i.offset}`} is not aligned, which atomic instructions want`,
      );
    }
    stored(state, access, null);
    if (i.imm === Atomic.CMPXCHG) {
      if (this.read(state, 0).kind !== Kind.NUMBER) this.refuse("r0 is not a number");
      this.write(state, 0, loaded(state, access, false));
    } else if ((i.imm & Atomic.FETCH) !== 0) {
      this.write(state, i.src, loaded(state, access, false));
    }
  }

  // ---- jumps

  private stepJump(state: State, i: PlacedInstruction, at: number): number {
    if (isExit(i)) return this.stepExit(state);
    if (isGoto(i)) return this.placeOf(jumpTarget(i));
    if (!isBranch(i)) return this.stepCall(state, i, at);
    const left = this.read(state, i.dst);
    const right =
      (i.opcode & SOURCE_REGISTER) !== 0 ? this.read(state, i.src) : number(i.imm, i.imm);
    const to = this.placeOf(jumpTarget(i));
    if (left.kind === Kind.NUMBER && right.kind === Kind.NUMBER) {
      return this.branchNumbers(state, i, left, right, to, at + 1);
    }
    const taken = this.fork(state);
    this.learn(taken, i, left, right, true);
    this.learn(state, i, left, right, false);
    this.open.push({ state: taken, at: to });
    return at + 1;
  }

  /** A copy that goes another way. */
  private fork(state: State): State {
    const copied = state.copy();
    copied.parent = state.parent;
    if (state.parent !== null) state.parent.branches++;
    return copied;
  }

  private branchNumbers(
    state: State,
    i: PlacedInstruction,
    left: Value,
    right: Value,
    to: number,
    next: number,
  ): number {
    const code = i.opcode & 0xf0;
    const is32 = (i.opcode & 7) === Class.JMP32;
    const taken = refine(code, is32, left, right, true);
    const other = refine(code, is32, left, right, false);
    if (!taken.isPossible || !other.isPossible) {
      markPrecise(left);
      markPrecise(right);
      return taken.isPossible ? to : next;
    }
    const forked = this.fork(state);
    this.adopt(forked, i, left, taken.left);
    this.adopt(forked, i, right, taken.right);
    this.adopt(state, i, left, other.left);
    this.adopt(state, i, right, other.right);
    this.open.push({ state: forked, at: to });
    return next;
  }

  /** Puts a narrower number where the old one is, under its name too. */
  private adopt(state: State, i: PlacedInstruction, old: Value, now: Value): void {
    if (old === now) return;
    const isSame = (value: Value): boolean =>
      value === old || (old.id !== 0 && value.id === old.id && value.kind === Kind.NUMBER);
    if (old.id !== 0) {
      state.replace((value) => (isSame(value) ? now : value));
      return;
    }
    const { registers } = state.frame;
    for (const register of [i.dst, i.src])
      if (registers[register] === old) registers[register] = now;
  }

  /** What comparing pointers says. */
  private learn(
    state: State,
    i: PlacedInstruction,
    left: Value,
    right: Value,
    isTaken: boolean,
  ): void {
    const code = i.opcode & 0xf0;
    if (left.mayBeNull && right.kind === Kind.NUMBER && right.isConstant && right.min === 0) {
      if (code === Jmp.JEQ || code === Jmp.JNE)
        this.learnNull(state, left, (code === Jmp.JEQ) === isTaken);
      return;
    }
    if ((i.opcode & 7) !== Class.JMP) return;
    const isForward = isBefore(left, right);
    if (!isForward && !isBefore(right, left)) return;
    const packet = isForward ? left : right;
    // As "packet OP end".
    const meant = isForward ? code : MIRRORED.get(code);
    const bytes = roomOf(meant, isTaken);
    if (bytes !== null) this.learnRange(state, packet, packet.offset + bytes);
  }

  private learnNull(state: State, pointer: Value, isNull: boolean): void {
    const zero = number(0, 0);
    state.replace((value) => {
      if (value.id !== pointer.id || !value.mayBeNull) return value;
      return isNull ? zero : value.with({ mayBeNull: false });
    });
    if (isNull) state.held = state.held.filter((id) => id !== pointer.id);
  }

  /** Packet pointers of the same unknown offset have so many bytes. */
  private learnRange(state: State, packet: Value, range: number): void {
    if (range <= 0 || packet.max > 0xffff || packet.min < 0) return;
    state.replace((value) => {
      if (value.kind !== packet.kind || value.id !== packet.id || value.range >= range)
        return value;
      return value.with({ range });
    });
  }

  // ---- calls

  private stepExit(state: State): number {
    const { frame } = state;
    const result = this.read(state, 0);
    if (frame.returnTo < 0) {
      if (state.held.length > 0)
        this.refuse("a record of a ring was reserved and never submitted or discarded");
      return -1;
    }
    const isOwnStack = result.kind === Kind.STACK && result.extra === state.frames.length - 1;
    if (isOwnStack) this.refuse("r0 points to the stack of the function that ends");
    state.frames.pop();
    const { registers } = state.frame;
    for (let n = 1; n <= 5; n++) registers[n] = DESTROYED;
    registers[0] = frame.isCallback ? unknown() : result;
    if (frame.isCallback && result.kind !== Kind.NUMBER) this.refuse("a callback returns a number");
    return frame.returnTo;
  }

  private stepCall(state: State, i: PlacedInstruction, at: number): number {
    if (i.src === CallKind.LOCAL) {
      const index = this.functionStarts.indexOf(this.placeOf(i.word + 1 + i.imm));
      if (index < 0) this.refuse("no function starts there");
      return this.enter(state, index, at + 1, null);
    }
    if (i.src === CallKind.BTF) this.refuse("functions of the kernel cannot be called here");
    const callback = callHelper(this, state, i.imm);
    if (callback === null) return at + 1;
    // Not at all, or some times; what it may change is forgotten before the first.
    for (const frame of state.frames) {
      for (const [slot, value] of frame.stack) {
        if (value !== null && value.kind === Kind.NUMBER) frame.stack.set(slot, null);
      }
    }
    const without = this.fork(state);
    this.destroyArguments(without);
    without.frame.registers[0] = unknown();
    this.open.push({ state: without, at: at + 1 });
    return this.enter(state, callback.index, at + 1, callback.arguments);
  }

  destroyArguments(state: State): void {
    for (let n = 1; n <= 5; n++) state.frame.registers[n] = DESTROYED;
  }

  /** Begins a function; `given` are a callback's arguments. */
  private enter(
    state: State,
    index: number,
    returnTo: number,
    given: readonly Value[] | null,
  ): number {
    if (state.frames.length >= MAX_FRAMES) this.refuse(`more than ${MAX_FRAMES} calls in a chain`);
    const caller = state.frame;
    this.callsFrom[caller.functionIndex]!.add(index);
    const frame = new Frame(returnTo, index, given !== null);
    for (let n = 1; n <= 5; n++) {
      frame.registers[n] = given === null ? caller.registers[n]! : (given[n - 1] ?? NOTHING);
    }
    frame.registers[10] = new Value(Kind.STACK, { extra: state.frames.length });
    state.frames.push(frame);
    return this.functionStarts[index]!;
  }
}

const ALL = 0x7ff;
const IN_WORK = -1;
/** Of one instruction: more only make the search slower. */
const MAX_STATES = 64;
/** Rounds of a loop that are compared with this one: those that change nothing do so at once. */
const MOST_EXACT = 4;
const BYTES = [4, 2, 1, 8];
const DESTROYED = new Value(Kind.NOTHING, { reason: "was destroyed by a call" });

/** `x OP end` for `end OP x`. */
const MIRRORED: ReadonlyMap<number, number> = new Map([
  [Jmp.JGT, Jmp.JLT],
  [Jmp.JLT, Jmp.JGT],
  [Jmp.JGE, Jmp.JLE],
  [Jmp.JLE, Jmp.JGE],
]);

/** Whether a comparison says how much is between the two. */
function isBefore(start: Value, end: Value): boolean {
  if (start.kind === Kind.PACKET) return end.kind === Kind.PACKET_END;
  if (start.kind !== Kind.PACKET_META) return false;
  return end.kind === Kind.PACKET && end.offset === 0 && end.id === 0;
}

/** What `packet OP end` says of the bytes behind `packet` when it comes out so; null: nothing. */
function roomOf(code: number | undefined, isTaken: boolean): number | null {
  if (code === Jmp.JGT) return isTaken ? null : 0;
  if (code === Jmp.JLE) return isTaken ? 0 : null;
  if (code === Jmp.JGE) return isTaken ? null : 1;
  return code === Jmp.JLT && isTaken ? 1 : null;
}
