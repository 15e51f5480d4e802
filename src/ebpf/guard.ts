/**
 * Strict mode: before each instruction, looks whether what it touches is the program's: its stack, its
 * context, its packet, values of its maps, records that it reserved. It knows nothing of types, so it
 * catches what a verifier should have, and shares none of its mistakes.
 */
import { Op } from "./decode.js";
import { EbpfError } from "./ebpf-error.js";
import { Class } from "./isa.js";
import { MapFlag } from "./map-type.js";
import { Ctx, MAX_FRAMES, type Runtime, STACK_BYTES } from "./runtime.js";

const SIZES = [4, 2, 1, 8];

export class Guard {
  private readonly runtime: Runtime;

  constructor(runtime: Runtime) {
    this.runtime = runtime;
  }

  /** Registers other than r1 and r10 are garbage at the start, so that reading one shows. */
  begin(): void {
    const { registers } = this.runtime;
    for (let i = 0; i < 20; i++) if (i !== 2 && i !== 3) registers[i] = 0x5a5a_5a5a;
  }

  /** Throws `EbpfError` EFAULT. */
  check(code: Int32Array, pc: number): void {
    const op = code[pc]!;
    if (op === Op.ATOMIC_32 || op === Op.ATOMIC_64) {
      this.access(code[pc + 1]!, code[pc + 3]!, op === Op.ATOMIC_64 ? 8 : 4, true);
      return;
    }
    if (op > 0xff) return;
    const lengthBytes = SIZES[(op >> 3) & 3]!;
    if ((op & 7) === Class.LDX) this.access(code[pc + 2]!, code[pc + 3]!, lengthBytes, false);
    if ((op & 7) === Class.STX) this.access(code[pc + 1]!, code[pc + 3]!, lengthBytes, true);
  }

  private access(base: number, offset: number, lengthBytes: number, isWrite: boolean): void {
    const { words } = this.runtime;
    const at = words[base]! + offset;
    if (words[base + 1] === 0 && this.allows(at, lengthBytes, isWrite)) return;
    const what = isWrite ? "a write" : "a read";
    throw new EbpfError(
      "EFAULT",
      `${what} of ${lengthBytes} bytes at address ${at}, which is not the program's`,
    );
  }

  private allows(at: number, lengthBytes: number, isWrite: boolean): boolean {
    const { runtime } = this;
    const end = at + lengthBytes;
    if (at >= runtime.dataMeta && end <= runtime.dataEnd) return true;
    if (at >= runtime.stackAt && end <= runtime.stackAt + MAX_FRAMES * STACK_BYTES) return true;
    if (at >= runtime.contextAt && end <= runtime.contextAt + Ctx.BYTES) return !isWrite;
    for (const map of runtime.maps) {
      if (!map.covers(at, lengthBytes)) continue;
      return !isWrite || (map.definition.flags & MapFlag.RDONLY_PROG) === 0;
    }
    return false;
  }
}
