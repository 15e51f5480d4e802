/**
 * Random programs that the kernel's verifier takes, over the whole instruction set: arithmetic of both
 * widths, byte swaps, sign extension, loads and stores of every size on stack and packet, atomics, jumps
 * forward of both widths, near and far, short loops, and functions of their own. What they compute ends
 * up in the packet and in the result.
 *
 * r6 to r9: context, packet and two numbers; the others are numbers. The stack's upper 64 bytes are full.
 */
import { Random } from "../../src/base/random.js";
import {
  type AluName,
  Assembler,
  type AtomicName,
  CONDITIONS,
  type Condition,
  type Operand,
  type SignedWidth,
  type Width,
} from "../../src/ebpf/asm.js";
import {
  R0,
  R1,
  R2,
  R3,
  R4,
  R5,
  R6,
  R7,
  R8,
  R9,
  R10,
  type Register,
} from "../../src/ebpf/registers.js";

const NUMBERS = [R0, R1, R2, R3, R4, R5, R8, R9] as const;
const PACKET = R7;
const STACK_BYTES = 64;
const PACKET_BYTES = 64;

const ALU_NAMES = "add sub mul div or and lsh rsh mod xor mov arsh".split(" ") as AluName[];
const SHIFTS: ReadonlySet<string> = new Set(["lsh", "rsh", "arsh"]);
const DIVISIONS: ReadonlySet<string> = new Set(["div", "mod"]);
const WIDTHS = ["u8", "u16", "u32", "u64"] as const;
const LOAD_WIDTHS = [...WIDTHS, "s8", "s16", "s32"] as const;
const ATOMICS: readonly AtomicName[] = ["add", "or", "and", "xor"];
const ALL_CONDITIONS = Object.keys(CONDITIONS) as Condition[];
const EDGES = [0, 1, 2, 7, 31, 32, 63, 127, 255, 0x7fff, 0xffff, 0x7fff_ffff, -1, -2, -0x8000_0000];

const bytesOf = (width: Width | SignedWidth): number => Number(width.slice(1)) / 8;

export class RandomProgram {
  private readonly a = new Assembler();
  private readonly random: Random;
  /** Labels that are still to come. */
  private readonly open: string[] = [];
  private labels = 0;
  /** Functions that are needed: the verifier wants no others. */
  private readonly called = new Set<number>();

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  build(): Uint8Array {
    const { a } = this;
    a.mov(R6, R1);
    a.load("u32", PACKET, R6, 0);
    a.load("u32", R3, R6, 4);
    a.mov(R0, PACKET);
    a.add(R0, PACKET_BYTES);
    a.jumpIf(R0, ">", R3, "short");
    this.fillAll();
    const functions = 1 + this.random.below(2);
    this.body(24, functions);
    this.finish();
    a.label("short");
    a.mov(R0, 0);
    a.exit();
    for (const n of this.called) this.writeFunction(n);
    return a.assemble().code;
  }

  private pick<T>(from: readonly T[]): T {
    return from[this.random.below(from.length)]!;
  }

  private constant(): number {
    return this.random.chance(0.6) ? this.pick(EDGES) : this.random.int32();
  }

  private big(): bigint {
    if (this.random.chance(0.4)) return BigInt(this.constant());
    return (BigInt(this.random.int32()) << 32n) ^ BigInt(this.random.int32());
  }

  /** Numbers that the verifier cannot know, or knows. */
  private fillAll(): void {
    const { a } = this;
    for (let at = -STACK_BYTES; at < 0; at += 8) a.store("u64", R10, at, this.constant());
    for (const register of NUMBERS) this.fill(register);
  }

  private fill(register: Register): void {
    if (this.random.chance(0.6)) this.a.load("u64", register, PACKET, 8 * this.random.below(8));
    else this.a.loadConstant(register, this.big());
  }

  private body(steps: number, functions: number): void {
    for (let n = 0; n < steps; n++) {
      this.step(functions);
      if (this.open.length > 0 && this.random.chance(0.3)) this.a.label(this.open.shift()!);
    }
    for (const label of this.open.splice(0)) this.a.label(label);
  }

  private step(functions: number): void {
    const kind = this.random.below(20);
    if (kind < 8) this.arithmetic();
    else if (kind < 10) this.load();
    else if (kind < 12) this.store();
    else if (kind < 14) this.atomic();
    else if (kind < 17) this.jump();
    else if (kind < 18) this.loop();
    else if (functions > 0) this.call(functions);
  }

  private arithmetic(): void {
    const { a, random } = this;
    const dst = this.pick(NUMBERS);
    const bits = random.chance(0.5) ? 32 : 64;
    const what = random.below(10);
    if (what === 0) a.neg(dst, bits);
    else if (what === 1) a.endian(this.pick(["le", "be", "swap"]), this.pick([16, 32, 64]), dst);
    else if (what === 2) {
      const from = bits === 64 ? this.pick([8, 16, 32] as const) : this.pick([8, 16] as const);
      a.movSigned(from, dst, this.pick(NUMBERS), bits);
    } else if (what === 3) {
      const name = this.pick(["div", "mod"] as const);
      a.signed(name, dst, this.operand(name, bits), bits);
    } else {
      const name = this.pick(ALU_NAMES);
      if (bits === 64) a.alu(name, dst, this.operand(name, bits));
      else a.alu32(name, dst, this.operand(name, bits));
    }
  }

  /** Constants of divisions are not 0, and shifts are below the width: the verifier wants it. */
  private operand(name: AluName, bits: 32 | 64): Operand {
    if (this.random.chance(0.5)) return this.pick(NUMBERS);
    const constant = this.constant();
    if (SHIFTS.has(name)) return (constant >>> 0) % bits;
    return DIVISIONS.has(name) && constant === 0 ? 1 : constant;
  }

  private place(width: Width | SignedWidth): readonly [base: Register, offset: number] {
    const bytes = bytesOf(width);
    // Accesses of the stack are aligned; those of packets need not be.
    if (this.random.chance(0.6))
      return [R10, -bytes * (1 + this.random.below(STACK_BYTES / bytes))];
    return [PACKET, this.random.below(PACKET_BYTES - bytes + 1)];
  }

  private load(): void {
    const width = this.pick(LOAD_WIDTHS);
    this.a.load(width, this.pick(NUMBERS), ...this.place(width));
  }

  private store(): void {
    const width = this.pick(WIDTHS);
    const value = this.random.chance(0.7) ? this.pick(NUMBERS) : this.constant();
    this.a.store(width, ...this.place(width), value);
  }

  /** On the stack: the verifier wants no atomics on packets. */
  private atomic(): void {
    const { a, random } = this;
    const width = this.pick(["u32", "u64"] as const);
    const bytes = bytesOf(width);
    const offset = -bytes * (1 + random.below(STACK_BYTES / bytes));
    const src = this.pick(NUMBERS);
    const what = random.below(6);
    if (what === 0) a.exchange(width, R10, offset, src);
    else if (what === 1) a.compareExchange(width, R10, offset, src);
    else a.atomic(this.pick(ATOMICS), width, R10, offset, src, random.chance(0.5));
  }

  private jump(): void {
    const { random } = this;
    const label = `l${this.labels++}`;
    if (random.chance(0.15)) {
      this.eitherOr(label);
      return;
    }
    this.open.push(label);
    this.branch(label);
  }

  private branch(label: string): void {
    const { a, random } = this;
    const right = random.chance(0.5) ? this.pick(NUMBERS) : this.constant();
    const condition = this.pick(ALL_CONDITIONS);
    if (random.chance(0.5)) a.jumpIf(this.pick(NUMBERS), condition, right, label);
    else a.jumpIf32(this.pick(NUMBERS), condition, right, label);
  }

  /** Jumps without a condition: whatever is behind one must be reached from elsewhere. */
  private eitherOr(label: string): void {
    const { a, random } = this;
    this.branch(`${label}else`);
    this.arithmetic();
    if (random.chance(0.5)) a.jump(`${label}end`);
    else a.jumpFar(`${label}end`);
    a.label(`${label}else`);
    this.arithmetic();
    a.label(`${label}end`);
  }

  /** A few rounds, counted on the stack below what others use. */
  private loop(): void {
    const { a } = this;
    const label = `l${this.labels++}`;
    const counter = this.pick([R8, R9]);
    const body = NUMBERS.filter((register) => register !== counter);
    a.mov(counter, 1 + this.random.below(4));
    a.label(label);
    for (let n = this.random.below(3); n >= 0; n--) {
      const name = this.pick(ALU_NAMES.filter((one) => !SHIFTS.has(one) && !DIVISIONS.has(one)));
      a.alu(name, this.pick(body), this.pick(body));
    }
    a.alu("sub", counter, 1);
    a.jumpIf(counter, "!=", 0, label);
  }

  /** Calls destroy r1 to r5. */
  private call(functions: number): void {
    const n = this.random.below(functions);
    this.called.add(n);
    this.a.callLocal(`f${n}`);
    for (const register of [R1, R2, R3, R4, R5]) this.fill(register);
  }

  /** Arguments are numbers; what it computes is its result. */
  private writeFunction(n: number): void {
    const { a, random } = this;
    const own = [R0, R1, R2, R3, R4, R5] as const;
    a.label(`f${n}`);
    a.mov(R0, this.constant());
    a.store("u64", R10, -8, R1);
    a.store("u64", R10, -16, R2);
    for (let i = random.below(8); i >= 0; i--) {
      const name = this.pick(ALU_NAMES);
      const bits = random.chance(0.5) ? 32 : 64;
      const right = SHIFTS.has(name) || DIVISIONS.has(name) ? 3 : this.pick(own);
      if (bits === 64) a.alu(name, this.pick(own), right);
      else a.alu32(name, this.pick(own), right);
    }
    a.load("u32", R3, R10, -16 + 4 * random.below(4));
    a.alu("xor", R0, R3);
    a.exit();
  }

  private finish(): void {
    const { a } = this;
    for (const [n, register] of NUMBERS.entries()) a.store("u64", PACKET, 8 * n, register);
    for (const register of NUMBERS.slice(1)) a.alu("xor", R0, register);
    for (let at = -STACK_BYTES; at < 0; at += 8) {
      a.load("u64", R1, R10, at);
      a.alu("add", R0, R1);
    }
    a.exit();
  }
}
