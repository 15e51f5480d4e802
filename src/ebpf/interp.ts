/**
 * The interpreter: one loop over decoded instructions. Registers and everything that a program points to
 * are in the runtime's memory; a register is two int32 words, which is several times faster than BigInt.
 *
 * Memory is safe whatever the program does: an address outside of the memory is an error EFAULT, and with a
 * {@link Guard} (strict mode) so is everything that the program may not touch. A program that has not been
 * verified may take its frame's memory from others, though: verify, or use a guard.
 *
 * Instructions are counted against a budget, so loops end: ELOOP.
 *
 * Hot path.
 */
import { atomic32, atomic64 } from "./atomic.js";
import { type DecodedProgram, STRIDE } from "./decode.js";
import { EbpfError } from "./ebpf-error.js";
import type { Guard } from "./guard.js";
import type { Helper } from "./helper.js";
import { HELPERS } from "./helpers.js";
import { lookup } from "./map-helpers.js";
import { MAX_FRAMES, type Runtime, STACK_BYTES } from "./runtime.js";
import { sourcePlace } from "./source-place.js";
import {
  divide,
  divideSigned,
  multiply,
  remainder,
  remainderSigned,
  shiftLeft,
  shiftRight,
  shiftRightSigned,
  swap32,
} from "./words64.js";

/** Instructions that a run may take by default. */
const DEFAULT_BUDGET = 1 << 26;
const R10 = 20;
/** Of a call: its place, and r6 to r10. */
const FRAME_WORDS = 12;
const MAX_TAIL_CALLS = 33;

const HELPER_TABLE: Helper[] = [];
for (const [number, helper] of HELPERS) HELPER_TABLE[number] = helper;

/** Finds the program that a tail call goes to; null when the entry is empty. */
export type TailTarget = (mapAt: number, index: number) => DecodedProgram | null;

export interface InterpreterOptions {
  /** Strict mode. */
  readonly guard?: Guard;
  readonly tailTarget?: TailTarget;
  readonly budget?: number;
}

export class Interpreter {
  private readonly program: DecodedProgram;
  private readonly runtime: Runtime;
  private readonly guard: Guard | null;
  private readonly tailTarget: TailTarget | null;
  private readonly budget: number;
  /** What a call saves, FRAME_WORDS a frame. */
  private readonly frames = new Int32Array(MAX_FRAMES * FRAME_WORDS);
  private readonly framePrograms: DecodedProgram[] = [];
  private depth = 0;
  private left = 0;
  private running: DecodedProgram;
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
    this.execute(this.program.functions[0]!);
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
    this.execute(this.running.functions[index]!);
    this.base = outer;
    this.depth--;
    r.set(kept, 12);
    return r[0]!;
  }
  /** Depth at which the innermost `execute` ends. */
  private base = 0;

  private enter(pc: number): void {
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
  private leave(): number {
    const r = this.runtime.registers;
    this.depth--;
    const at = this.depth * FRAME_WORDS;
    for (let i = 0; i < 9; i++) r[12 + i] = this.frames[at + 1 + i]!;
    this.running = this.framePrograms[this.depth]!;
    return this.frames[at]!;
  }

  private tailCall(): DecodedProgram | null {
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

  private fail(error: unknown, pc: number): never {
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

  private execute(start: number): void {
    const { runtime, guard, base } = this;
    const { bytes, view } = runtime;
    const r = runtime.words;
    const r0 = runtime.registersAt >>> 2;
    let { left } = this;
    let c = this.running.code;
    let pc = start;
    try {
      for (;;) {
        if (guard !== null) guard.check(c, pc);
        if (--left < 0) throw new EbpfError("ELOOP", "the program took too many instructions");
        const d = c[pc + 1]!;
        switch (c[pc]!) {
          case 0x0f: {
            // add64
            const s = c[pc + 2]!;
            const low = (r[d]! + r[s]!) | 0;
            r[d + 1] = r[d + 1]! + r[s + 1]! + (low >>> 0 < r[s]! >>> 0 ? 1 : 0);
            r[d] = low;
            break;
          }
          case 0x1f: {
            // sub64
            const s = c[pc + 2]!;
            const k = r[s]!;
            const left = r[d]!;
            r[d + 1] = r[d + 1]! - r[s + 1]! - (left >>> 0 < k >>> 0 ? 1 : 0);
            r[d] = left - k;
            break;
          }
          case 0x2f: {
            // mul64
            const s = c[pc + 2]!;
            multiply(r, d, r[s]!, r[s + 1]!);
            break;
          }
          case 0x3f: {
            // div64
            const s = c[pc + 2]!;
            divide(r, d, r[s]!, r[s + 1]!);
            break;
          }
          case 0x9f: {
            // mod64
            const s = c[pc + 2]!;
            remainder(r, d, r[s]!, r[s + 1]!);
            break;
          }
          case 0x100: {
            // sdiv64
            const s = c[pc + 2]!;
            divideSigned(r, d, r[s]!, r[s + 1]!);
            break;
          }
          case 0x101: {
            // smod64
            const s = c[pc + 2]!;
            remainderSigned(r, d, r[s]!, r[s + 1]!);
            break;
          }
          case 0x4f: {
            // or64
            const s = c[pc + 2]!;
            r[d]! |= r[s]!;
            r[d + 1]! |= r[s + 1]!;
            break;
          }
          case 0x5f: {
            // and64
            const s = c[pc + 2]!;
            r[d]! &= r[s]!;
            r[d + 1]! &= r[s + 1]!;
            break;
          }
          case 0xaf: {
            // xor64
            const s = c[pc + 2]!;
            r[d]! ^= r[s]!;
            r[d + 1]! ^= r[s + 1]!;
            break;
          }
          case 0xbf: {
            // mov64
            const s = c[pc + 2]!;
            r[d] = r[s]!;
            r[d + 1] = r[s + 1]!;
            break;
          }
          case 0x6f: {
            // lsh64
            const bits = r[c[pc + 2]!]! & 63;
            if (bits !== 0) shiftLeft(r, d, bits);
            break;
          }
          case 0x7f: {
            // rsh64
            const bits = r[c[pc + 2]!]! & 63;
            if (bits !== 0) shiftRight(r, d, bits);
            break;
          }
          case 0xcf: {
            // arsh64
            const bits = r[c[pc + 2]!]! & 63;
            if (bits !== 0) shiftRightSigned(r, d, bits);
            break;
          }
          case 0x8f: {
            // neg64
            const low = -r[d]! | 0;
            r[d + 1] = ~r[d + 1]! + (low === 0 ? 1 : 0);
            r[d] = low;
            break;
          }
          case 0x0c: // add32
            r[d] = r[d]! + r[c[pc + 2]!]!;
            r[d + 1] = 0;
            break;
          case 0x1c: // sub32
            r[d] = r[d]! - r[c[pc + 2]!]!;
            r[d + 1] = 0;
            break;
          case 0x2c: // mul32
            r[d] = Math.imul(r[d]!, r[c[pc + 2]!]!);
            r[d + 1] = 0;
            break;
          case 0x4c: // or32
            r[d] = r[d]! | r[c[pc + 2]!]!;
            r[d + 1] = 0;
            break;
          case 0x5c: // and32
            r[d] = r[d]! & r[c[pc + 2]!]!;
            r[d + 1] = 0;
            break;
          case 0xac: // xor32
            r[d] = r[d]! ^ r[c[pc + 2]!]!;
            r[d + 1] = 0;
            break;
          case 0xbc: // mov32
            r[d] = r[c[pc + 2]!]!;
            r[d + 1] = 0;
            break;
          case 0x6c: // lsh32
            r[d] = r[d]! << r[c[pc + 2]!]!;
            r[d + 1] = 0;
            break;
          case 0x7c: // rsh32
            r[d] = r[d]! >>> r[c[pc + 2]!]!;
            r[d + 1] = 0;
            break;
          case 0xcc: // arsh32
            r[d] = r[d]! >> r[c[pc + 2]!]!;
            r[d + 1] = 0;
            break;
          case 0x8c: // neg32
            r[d] = -r[d]!;
            r[d + 1] = 0;
            break;
          case 0x3c: {
            // div32
            const k = r[c[pc + 2]!]!;
            r[d] = k === 0 ? 0 : (r[d]! >>> 0) / (k >>> 0);
            r[d + 1] = 0;
            break;
          }
          case 0x9c: {
            // mod32
            const k = r[c[pc + 2]!]!;
            r[d] = k === 0 ? r[d]! : (r[d]! >>> 0) % (k >>> 0);
            r[d + 1] = 0;
            break;
          }
          case 0x102: {
            // sdiv32
            const k = r[c[pc + 2]!]!;
            r[d] = k === 0 ? 0 : r[d]! / k;
            r[d + 1] = 0;
            break;
          }
          case 0x103: {
            // smod32
            const k = r[c[pc + 2]!]!;
            r[d] = k === 0 ? r[d]! : r[d]! % k;
            r[d + 1] = 0;
            break;
          }
          case 0x104: {
            // movsx64 of 8
            const k = (r[c[pc + 2]!]! << 24) >> 24;
            r[d] = k;
            r[d + 1] = k >> 31;
            break;
          }
          case 0x105: {
            // movsx64 of 16
            const k = (r[c[pc + 2]!]! << 16) >> 16;
            r[d] = k;
            r[d + 1] = k >> 31;
            break;
          }
          case 0x106: {
            // movsx64 of 32
            const k = r[c[pc + 2]!]!;
            r[d] = k;
            r[d + 1] = k >> 31;
            break;
          }
          case 0x107: // movsx32 of 8
            r[d] = (r[c[pc + 2]!]! << 24) >> 24;
            r[d + 1] = 0;
            break;
          case 0x108: // movsx32 of 16
            r[d] = (r[c[pc + 2]!]! << 16) >> 16;
            r[d + 1] = 0;
            break;
          case 0x109: // le16
            r[d]! &= 0xffff;
            r[d + 1] = 0;
            break;
          case 0x10a: // le32
            r[d + 1] = 0;
            break;
          case 0x10e: // le64
            break;
          case 0x10b: // be16, bswap16
            r[d] = ((r[d]! & 0xff) << 8) | ((r[d]! >>> 8) & 0xff);
            r[d + 1] = 0;
            break;
          case 0x10c: // be32, bswap32
            r[d] = swap32(r[d]!);
            r[d + 1] = 0;
            break;
          case 0x10d: {
            // be64, bswap64
            const k = swap32(r[d]!);
            r[d] = swap32(r[d + 1]!);
            r[d + 1] = k;
            break;
          }
          case 0x71: {
            // ldx u8
            const at = r[c[pc + 2]!]! + c[pc + 3]!;
            if (at >>> 0 >= bytes.length) throw new RangeError();
            r[d] = bytes[at]!;
            r[d + 1] = 0;
            break;
          }
          case 0x69: // ldx u16
            r[d] = view.getUint16(r[c[pc + 2]!]! + c[pc + 3]!, true);
            r[d + 1] = 0;
            break;
          case 0x61: // ldx u32
            r[d] = view.getInt32(r[c[pc + 2]!]! + c[pc + 3]!, true);
            r[d + 1] = 0;
            break;
          case 0x79: {
            // ldx u64
            const at = r[c[pc + 2]!]! + c[pc + 3]!;
            r[d] = view.getInt32(at, true);
            r[d + 1] = view.getInt32(at + 4, true);
            break;
          }
          case 0x91: {
            // ldx s8
            const k = view.getInt8(r[c[pc + 2]!]! + c[pc + 3]!);
            r[d] = k;
            r[d + 1] = k >> 31;
            break;
          }
          case 0x89: {
            // ldx s16
            const k = view.getInt16(r[c[pc + 2]!]! + c[pc + 3]!, true);
            r[d] = k;
            r[d + 1] = k >> 31;
            break;
          }
          case 0x81: {
            // ldx s32
            const k = view.getInt32(r[c[pc + 2]!]! + c[pc + 3]!, true);
            r[d] = k;
            r[d + 1] = k >> 31;
            break;
          }
          case 0x73: // stx u8
            view.setInt8(r[d]! + c[pc + 3]!, r[c[pc + 2]!]!);
            break;
          case 0x6b: // stx u16
            view.setInt16(r[d]! + c[pc + 3]!, r[c[pc + 2]!]!, true);
            break;
          case 0x63: // stx u32
            view.setInt32(r[d]! + c[pc + 3]!, r[c[pc + 2]!]!, true);
            break;
          case 0x7b: {
            // stx u64
            const at = r[d]! + c[pc + 3]!;
            const s = c[pc + 2]!;
            view.setInt32(at + 4, r[s + 1]!, true);
            view.setInt32(at, r[s]!, true);
            break;
          }
          case 0x10f: // atomic u32
            atomic32(view, r[d]! + c[pc + 3]!, r, c[pc + 2]!, c[pc + 4]!, r0);
            break;
          case 0x110: // atomic u64
            atomic64(view, r[d]! + c[pc + 3]!, r, c[pc + 2]!, c[pc + 4]!, r0);
            break;
          case 0x1d: {
            // jeq64
            const s = c[pc + 2]!;
            if (r[d]! === r[s]! && r[d + 1]! === r[s + 1]!) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          }
          case 0x1e: // jeq32
            if (r[d]! === r[c[pc + 2]!]!) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          case 0x5d: {
            // jne64
            const s = c[pc + 2]!;
            if (r[d]! !== r[s]! || r[d + 1]! !== r[s + 1]!) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          }
          case 0x5e: // jne32
            if (r[d]! !== r[c[pc + 2]!]!) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          case 0x2d: {
            // jgt64
            const s = c[pc + 2]!;
            if (
              r[d + 1]! === r[s + 1]!
                ? r[d]! >>> 0 > r[s]! >>> 0
                : r[d + 1]! >>> 0 > r[s + 1]! >>> 0
            ) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          }
          case 0x2e: // jgt32
            if (r[d]! >>> 0 > r[c[pc + 2]!]! >>> 0) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          case 0x3d: {
            // jge64
            const s = c[pc + 2]!;
            if (
              r[d + 1]! === r[s + 1]!
                ? r[d]! >>> 0 >= r[s]! >>> 0
                : r[d + 1]! >>> 0 > r[s + 1]! >>> 0
            ) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          }
          case 0x3e: // jge32
            if (r[d]! >>> 0 >= r[c[pc + 2]!]! >>> 0) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          case 0xad: {
            // jlt64
            const s = c[pc + 2]!;
            if (
              r[d + 1]! === r[s + 1]!
                ? r[d]! >>> 0 < r[s]! >>> 0
                : r[d + 1]! >>> 0 < r[s + 1]! >>> 0
            ) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          }
          case 0xae: // jlt32
            if (r[d]! >>> 0 < r[c[pc + 2]!]! >>> 0) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          case 0xbd: {
            // jle64
            const s = c[pc + 2]!;
            if (
              r[d + 1]! === r[s + 1]!
                ? r[d]! >>> 0 <= r[s]! >>> 0
                : r[d + 1]! >>> 0 < r[s + 1]! >>> 0
            ) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          }
          case 0xbe: // jle32
            if (r[d]! >>> 0 <= r[c[pc + 2]!]! >>> 0) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          case 0x4d: {
            // jset64
            const s = c[pc + 2]!;
            if ((r[d]! & r[s]!) !== 0 || (r[d + 1]! & r[s + 1]!) !== 0) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          }
          case 0x4e: // jset32
            if ((r[d]! & r[c[pc + 2]!]!) !== 0) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          case 0x6d: {
            // jsgt64
            const s = c[pc + 2]!;
            if (r[d + 1]! === r[s + 1]! ? r[d]! >>> 0 > r[s]! >>> 0 : r[d + 1]! > r[s + 1]!) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          }
          case 0x6e: // jsgt32
            if (r[d]! > r[c[pc + 2]!]!) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          case 0x7d: {
            // jsge64
            const s = c[pc + 2]!;
            if (r[d + 1]! === r[s + 1]! ? r[d]! >>> 0 >= r[s]! >>> 0 : r[d + 1]! > r[s + 1]!) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          }
          case 0x7e: // jsge32
            if (r[d]! >= r[c[pc + 2]!]!) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          case 0xcd: {
            // jslt64
            const s = c[pc + 2]!;
            if (r[d + 1]! === r[s + 1]! ? r[d]! >>> 0 < r[s]! >>> 0 : r[d + 1]! < r[s + 1]!) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          }
          case 0xce: // jslt32
            if (r[d]! < r[c[pc + 2]!]!) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          case 0xdd: {
            // jsle64
            const s = c[pc + 2]!;
            if (r[d + 1]! === r[s + 1]! ? r[d]! >>> 0 <= r[s]! >>> 0 : r[d + 1]! < r[s + 1]!) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          }
          case 0xde: // jsle32
            if (r[d]! <= r[c[pc + 2]!]!) {
              pc = c[pc + 3]!;
              continue;
            }
            break;
          case 0x05: // ja
            pc = c[pc + 3]!;
            continue;
          case 0x111: {
            // call map_lookup_elem
            const map = runtime.mapByAddress.get(r[r0 + 2]!);
            if (map === undefined) throw new EbpfError("EFAULT", "r1 is no map");
            r[r0] = lookup(runtime, map, r[r0 + 4]!);
            r[r0 + 1] = 0;
            break;
          }
          case 0x85: // call a helper
            this.left = left;
            HELPER_TABLE[c[pc + 4]!]!.run(runtime);
            left = this.left;
            break;
          case 0x112: // call a function
            this.enter(pc);
            pc = c[pc + 3]!;
            continue;
          case 0x113: {
            // tail call
            const target = this.tailCall();
            if (target === null) {
              r[r0] = -1;
              r[r0 + 1] = -1;
              break;
            }
            this.running = target;
            c = target.code;
            pc = target.functions[0]!;
            continue;
          }
          case 0x95: // exit
            if (this.depth === base) {
              this.left = left;
              return;
            }
            pc = this.leave();
            c = this.running.code;
            break;
          case 0x115: // poison
            throw new EbpfError(
              "ENOTSUP",
              "it needs a member that the types here do not have (CO-RE)",
            );
          default:
            throw new EbpfError("EFAULT", "the program ran over its end");
        }
        pc += STRIDE;
      }
    } catch (error) {
      this.fail(error, pc);
    }
  }
}
