/** How deep the stacks of functions are, alone and in chains of calls, and which slots are read. */
import type { ProgramFlow } from "./verify-flow.js";
import type { Access } from "./verify-memory.js";
import type { State } from "./verify-state.js";

/** The kernel's limit, of all functions in a chain. */
const MAX_STACK_BYTES = 512;
const IN_WORK = -1;

export class StackDepths {
  readonly ofFunctions: number[];
  private readonly flow: ProgramFlow;
  private readonly callsFrom: Set<number>[];

  constructor(flow: ProgramFlow) {
    this.flow = flow;
    this.ofFunctions = flow.functionStarts.map(() => 0);
    this.callsFrom = flow.functionStarts.map(() => new Set<number>());
  }

  noteCall(from: number, to: number): void {
    this.callsFrom[from]!.add(to);
  }

  /** Precondition: the access was checked. */
  note(state: State, { pointer, offset, lengthBytes, isWrite, isInstruction }: Access): void {
    const depth = pointer.extra;
    const { functionIndex } = state.frames[depth]!;
    const from = pointer.offset + pointer.min + offset;
    this.ofFunctions[functionIndex] = Math.max(this.ofFunctions[functionIndex]!, -from);
    if (isWrite && isInstruction) return;
    const last = pointer.offset + pointer.max + offset + Math.max(lengthBytes, 1) - 1;
    let low = 0;
    let high = 0;
    for (let slot = (-last - 1) >> 3; slot <= (-from - 1) >> 3; slot++) {
      if (slot < 32) low |= 1 << slot;
      else high |= 1 << (slot - 32);
    }
    state.noteRead(depth, 0, low, high);
  }

  /** Throws `VerifyError` for functions that call themselves, and for chains that need too much. */
  check(): void {
    this.deepest(0, new Map());
  }

  /** Bytes of stack that a function and the deepest chain of its calls take. */
  private deepest(index: number, known: Map<number, number>): number {
    const found = known.get(index);
    if (found !== undefined && found >= 0) return found;
    const start = this.flow.functionStarts[index]!;
    if (found !== undefined) this.flow.refuse(start, "the function calls itself");
    known.set(index, IN_WORK);
    let below = 0;
    for (const to of this.callsFrom[index]!) below = Math.max(below, this.deepest(to, known));
    const total = Math.ceil(this.ofFunctions[index]! / 32) * 32 + below;
    if (total > MAX_STACK_BYTES) {
      this.flow.refuse(
        start,
        `its stack and those of the calls that it makes take ${total} bytes together, and ${MAX_STACK_BYTES} are allowed`,
      );
    }
    known.set(index, total);
    return total;
  }
}
