/**
 * The interpreter's loop: one switch over decoded instructions (decode.ts). What a call, an error or the end of a
 * program is, its host knows.
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
import type { Runtime } from "./runtime.js";
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

const HELPER_TABLE: Helper[] = [];
for (const [number, helper] of HELPERS) HELPER_TABLE[number] = helper;

/** What the loop needs of the interpreter. */
export interface LoopHost {
  readonly runtime: Runtime;
  readonly guard: Guard | null;
  /** Depth of calls at which this loop ends. */
  readonly base: number;
  readonly depth: number;
  /** Instructions that are left. */
  left: number;
  running: DecodedProgram;
  /** Saves the caller's registers, and the place of its call. */
  enter(pc: number): void;
  /** Undoes `enter`; the place of the call. */
  leave(): number;
  /** The program to go on with; null when there is none. */
  tailCall(): DecodedProgram | null;
  fail(error: unknown, pc: number): never;
}

/** Runs from a place in the decoded code until its function ends. */
export function execute(host: LoopHost, start: number): void {
  const { runtime, guard, base } = host;
  const { bytes, view } = runtime;
  const r = runtime.words;
  const r0 = runtime.registersAt >>> 2;
  let { left } = host;
  let c = host.running.code;
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
            r[d + 1]! === r[s + 1]! ? r[d]! >>> 0 > r[s]! >>> 0 : r[d + 1]! >>> 0 > r[s + 1]! >>> 0
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
            r[d + 1]! === r[s + 1]! ? r[d]! >>> 0 >= r[s]! >>> 0 : r[d + 1]! >>> 0 > r[s + 1]! >>> 0
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
            r[d + 1]! === r[s + 1]! ? r[d]! >>> 0 < r[s]! >>> 0 : r[d + 1]! >>> 0 < r[s + 1]! >>> 0
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
            r[d + 1]! === r[s + 1]! ? r[d]! >>> 0 <= r[s]! >>> 0 : r[d + 1]! >>> 0 < r[s + 1]! >>> 0
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
          host.left = left;
          HELPER_TABLE[c[pc + 4]!]!.run(runtime);
          left = host.left;
          break;
        case 0x112: // call a function
          host.enter(pc);
          pc = c[pc + 3]!;
          continue;
        case 0x113: {
          // tail call
          const target = host.tailCall();
          if (target === null) {
            r[r0] = -1;
            r[r0 + 1] = -1;
            break;
          }
          host.running = target;
          c = target.code;
          pc = target.functions[0]!;
          continue;
        }
        case 0x95: // exit
          if (host.depth === base) {
            host.left = left;
            return;
          }
          pc = host.leave();
          c = host.running.code;
          break;
        case 0x115: // poison
          throw new EbpfError(
            "ENOTSUP",
            "it needs a helper that is not there, or a member that the types here do not have (CO-RE)",
          );
        default:
          throw new EbpfError("EFAULT", "the program ran over its end");
      }
      pc += STRIDE;
    }
  } catch (error) {
    host.fail(error, pc);
  }
}
