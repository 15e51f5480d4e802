/**
 * The verifier: walks every path of an XDP program and knows, at each instruction, what every register and
 * piece of stack may be (as the kernel's verifier.c). A program that it accepts reads and writes only what
 * is its own, calls helpers with what they want, and ends.
 *
 * Paths that come to where all that is needed from there on is covered by what was known there before, and
 * was found good, end early. Loops are walked round by round; a program that takes more than a million
 * steps to walk is refused, as by the kernel.
 *
 * Not as the kernel: functions that are not static are walked with the arguments of each call; of numbers,
 * one interval is known (verify-value.ts); uninitialised stack may be read, as the kernel lets root do.
 */
import { isBranch, isExit, isGoto } from "./flow-graph.js";
import type { PlacedInstruction } from "./instructions.js";
import {
  Atomic,
  CallKind,
  Class,
  INSTRUCTION_BYTES,
  LDDW,
  Mode,
  SOURCE_REGISTER,
  WideKind,
} from "./isa.js";
import type { MapDefinition } from "./map-definition.js";
import { computed } from "./verify-arithmetic-step.js";
import { Refinement } from "./verify-branch.js";
import { callHelper } from "./verify-call.js";
import { ProgramFlow } from "./verify-flow.js";
import { GPL, type VerifyInput, type VerifyResult } from "./verify-input.js";
import { adopt, learn } from "./verify-learn.js";
import { type Access, checkAccess, describeKind, loaded, stored } from "./verify-memory.js";
import { SeenStates } from "./verify-seen.js";
import { StackDepths } from "./verify-stack.js";
import { Frame, State } from "./verify-state.js";
import {
  constant,
  Kind,
  markPrecise,
  number,
  ofMap,
  plain,
  unknown,
  type Value,
  worthless,
} from "./verify-value.js";

import { isForDeviceMap } from "./xdp-section.js";

export { VerifyError } from "./verify-error.js";
export type { VerifyInput, VerifyResult } from "./verify-input.js";

/** The kernel's limits. */
const MAX_STEPS = 1_000_000;
const MAX_FRAMES = 8;

/** Throws `VerifyError`, or `EbpfError` EINVAL for what are no instructions. */
export function verify(input: VerifyInput): VerifyResult {
  return new Verifier(input).run();
}

export class Verifier {
  readonly input: VerifyInput;
  readonly isGpl: boolean;
  readonly mayEgress: boolean;
  readonly maps: ReadonlyMap<string, MapDefinition>;
  private readonly flow: ProgramFlow;
  private readonly references: ReadonlyMap<number, string>;
  private readonly seen: SeenStates;
  private readonly stacks: StackDepths;
  private readonly open: { state: State; at: number }[] = [];
  private readonly refinement = new Refinement();
  private readonly maxSteps: number;
  private steps = 0;
  private ids = 0;
  private at = 0;

  constructor(input: VerifyInput) {
    this.input = input;
    this.maxSteps = input.maxSteps ?? MAX_STEPS;
    this.isGpl = GPL.has(input.license);
    this.mayEgress = isForDeviceMap(input.section);
    this.maps = new Map(input.maps.map((map) => [map.name, map]));
    this.flow = new ProgramFlow(input.name, input.program);
    this.references = new Map(
      input.program.maps.map(({ at, map }) => [at / INSTRUCTION_BYTES, map]),
    );
    this.seen = new SeenStates(this.flow.isLoop, this.refuse);
    this.stacks = new StackDepths(this.flow);
  }

  run(): VerifyResult {
    const state = new State();
    const frame = Frame.begin(-1, 0, false);
    frame.registers[1] = plain(Kind.CONTEXT);
    frame.registers[10] = plain(Kind.STACK, 0);
    state.frames.push(frame);
    this.open.push({ state, at: 0 });
    for (let next = this.open.pop(); next !== undefined; next = this.open.pop()) {
      this.walk(next.state, next.at);
    }
    this.stacks.check();
    return { steps: this.steps, stackBytes: this.stacks.ofFunctions };
  }

  /** For what came in through registers and is new: records, unknown offsets, what may be NULL. */
  freshId(): number {
    this.ids++;
    return this.ids;
  }

  readonly refuse = (reason: string): never => this.flow.refuse(this.at, reason);

  private walk(start: State, from: number): void {
    const { flow, seen } = this;
    const { isTarget } = flow;
    let state = start;
    for (let at = from; at >= 0; at = this.step(state, at)) {
      this.at = at;
      if (++this.steps > this.maxSteps) {
        this.refuse(`walking it takes more than ${this.maxSteps} steps: does a loop never end?`);
      }
      seen.step();
      if (isTarget[at] === 0) continue;
      const known = seen.lookBack(state, at);
      if (known === null) break;
      state = known;
    }
    state.finish();
  }

  /** One instruction; the next one's number, -1 at the end of the path. */
  private step(state: State, at: number): number {
    const i = this.flow.instructions[at]!;
    switch (i.opcode & 7) {
      case Class.ALU:
      case Class.ALU64:
        this.write(state, i.dst, computed(this, state, i, this.flow.constants[at]!));
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
        if (i.opcode !== LDDW) this.refuse("packet loads of classic BPF are not for XDP");
        this.write(state, i.dst, this.wide(i, at));
        return at + 1;
    }
  }

  /** A register that is read. */
  read(state: State, register: number): Value {
    const { frame } = state;
    const value = frame.registers[register]!;
    if (value.kind === Kind.NOTHING) this.refuse(`r${register} ${value.reason}, and is read`);
    const bit = 1 << register;
    if ((frame.writtenRegisters & bit) === 0) state.noteRead(state.frames.length - 1, bit, 0, 0);
    return value;
  }

  private write(state: State, register: number, value: Value): void {
    if (register === 10) this.refuse("r10 is for reading only");
    state.frame.put(register, value);
  }

  private wide(i: PlacedInstruction, at: number): Value {
    if (i.src === WideKind.IMM) return constant(i.imm, i.immHigh);
    if (i.src === WideKind.CODE) return plain(Kind.FUNCTION, this.functionAt(at, i));
    if (i.src !== WideKind.MAP_FD && i.src !== WideKind.MAP_FD_VALUE) {
      return this.refuse(`lddw of kind ${i.src} is not supported`);
    }
    const map = this.maps.get(this.references.get(i.word) ?? "");
    if (map === undefined) return this.refuse("its map is not known");
    if (i.src === WideKind.MAP_FD && i.immHigh !== 0)
      this.refuse("a map's lddw has no second constant");
    if (i.src === WideKind.MAP_FD) return ofMap(Kind.MAP, map);
    if (i.immHigh < 0 || i.immHigh >= map.valueBytes)
      this.refuse(`${map.name} has no byte ${i.immHigh}`);
    return ofMap(Kind.VALUE, map, i.immHigh);
  }

  /** Number of the function that an instruction names by its distance. */
  private functionAt(at: number, i: PlacedInstruction): number {
    const index = this.flow.functionStarts.indexOf(this.flow.placeOf(at, i.word + 1 + i.imm));
    if (index < 0) this.refuse("no function starts there");
    return index;
  }

  // ---- memory

  /** Checks what goes through a register, and notes what was touched. */
  check(state: State, access: Access): void {
    checkAccess(state, access, this.refuse, this.mayEgress);
    const { pointer, offset } = access;
    const { kind } = pointer;
    if (kind === Kind.STACK) this.stacks.note(state, access);
    else if (kind === Kind.PACKET || kind === Kind.PACKET_META)
      state.notePacketAccess(pointer.offset + offset);
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
    const value = loaded(state, access, (i.opcode & 0xe0) === Mode.MEMSX);
    if (access.pointer.kind === Kind.CONTEXT) this.notePacketPointer(state, value);
    this.write(state, i.dst, value);
  }

  private notePacketPointer(state: State, value: Value): void {
    if (value.kind === Kind.PACKET) state.notePacketStart();
    if (value.kind === Kind.PACKET_META) this.seen.usesMetadata = true;
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
    if (isGoto(i)) return this.flow.targets[at]!;
    if (!isBranch(i)) return this.stepCall(state, i, at);
    const left = this.read(state, i.dst);
    const isRegister = (i.opcode & SOURCE_REGISTER) !== 0;
    const right = isRegister ? this.read(state, i.src) : this.flow.constants[at]!;
    const to = this.flow.targets[at]!;
    if (left.kind === Kind.NUMBER && right.kind === Kind.NUMBER) {
      return this.branchNumbers(state, i, left, right, to, at + 1);
    }
    const taken = state.fork();
    learn(taken, i, left, right, true);
    learn(state, i, left, right, false);
    this.open.push({ state: taken, at: to });
    return at + 1;
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
    const { refinement } = this;
    const isTakenPossible = refinement.compare(code, is32, left, right, true);
    const takenLeft = refinement.left(left, right);
    const takenRight = refinement.right(left, right);
    const isOtherPossible = refinement.compare(code, is32, left, right, false);
    if (!isTakenPossible || !isOtherPossible) {
      markPrecise(left);
      markPrecise(right);
      return isTakenPossible ? to : next;
    }
    const forked = state.fork();
    adopt(forked, i, left, takenLeft);
    adopt(forked, i, right, takenRight);
    adopt(state, i, left, refinement.left(left, right));
    adopt(state, i, right, refinement.right(left, right));
    this.open.push({ state: forked, at: to });
    return next;
  }

  // ---- calls

  private stepExit(state: State): number {
    const { frame } = state;
    const isVoid =
      frame.returnTo >= 0 && !frame.isCallback && frame.registers[0]!.kind === Kind.NOTHING;
    const result = isVoid ? VOID : this.read(state, 0);
    if (frame.returnTo < 0) {
      if (state.held.length > 0)
        this.refuse("a record of a ring was reserved and never submitted or discarded");
      if (state.lock !== null)
        this.refuse(`the lock of ${state.lock.map?.name} is held and never given back`);
      return -1;
    }
    const isOwnStack = result.kind === Kind.STACK && result.extra === state.frames.length - 1;
    if (isOwnStack) this.refuse("r0 points to the stack of the function that ends");
    state.frames.pop();
    this.destroyArguments(state);
    state.frame.put(0, frame.isCallback ? unknown() : result);
    if (frame.isCallback) this.checkCallbackResult(result);
    return frame.returnTo;
  }

  private checkCallbackResult(result: Value): void {
    if (result.kind !== Kind.NUMBER) this.refuse("a callback returns a number");
    markPrecise(result);
    if (result.min < 0 || result.max > 1)
      this.refuse("a callback returns 0 (go on) or 1 (stop), and this may be another number");
  }

  private stepCall(state: State, i: PlacedInstruction, at: number): number {
    if (i.src === CallKind.LOCAL) return this.stepLocalCall(state, this.functionAt(at, i), at + 1);
    const callback = callHelper(this, state, i.imm, i.src === CallKind.BTF);
    if (callback === null) return at + 1;
    // Not at all, or some times; what it may change is forgotten before the first.
    for (const { stack } of state.frames) {
      for (let slot = 0; slot < stack.length; slot++) {
        if (stack[slot]?.kind === Kind.NUMBER) stack[slot] = null;
      }
    }
    const without = state.fork();
    this.destroyArguments(without);
    without.frame.put(0, unknown());
    this.open.push({ state: without, at: at + 1 });
    return this.enter(state, callback.index, at + 1, callback.arguments);
  }

  private stepLocalCall(state: State, index: number, returnTo: number): number {
    const { name, isGlobal } = this.input.program.functions[index]!;
    if (isGlobal === true && state.lock !== null) {
      this.refuse(
        `${name} is called while the lock of ${state.lock.map?.name} is held, and is not static: the kernel takes static functions only there`,
      );
    }
    return this.enter(state, index, returnTo, null);
  }

  destroyArguments(state: State): void {
    const { frame } = state;
    for (let n = 1; n <= 5; n++) frame.put(n, DESTROYED);
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
    this.stacks.noteCall(caller.functionIndex, index);
    const frame = Frame.begin(returnTo, index, given !== null);
    state.noteRead(state.frames.length - 1, ARGUMENTS, 0, 0);
    for (let n = 1; n <= 5; n++) {
      const value = given === null ? caller.registers[n] : given[n - 1];
      if (value !== undefined) frame.registers[n] = value;
    }
    frame.registers[10] = plain(Kind.STACK, state.frames.length);
    state.frames.push(frame);
    return this.flow.functionStarts[index]!;
  }
}

const BYTES = [4, 2, 1, 8];
/** r1 to r5. */
const ARGUMENTS = 0b11_1110;
const DESTROYED = worthless("was destroyed by a call");
const VOID = worthless("is not what the function that was called returns, which is nothing");
