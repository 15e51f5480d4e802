/**
 * What a helper function is here: its number, what it wants and gives (for the verifier and for whoever
 * asks what a program does), and the function itself, which takes its arguments from the runtime's
 * registers r1 to r5 and leaves its result in r0.
 */
import type { Runtime } from "./runtime.js";

/** What an argument must be. */
export type Argument =
  | "anything"
  /** Whatever it is, written or not. */
  | "ignored"
  | "context"
  /** A map's pointer. */
  | "map"
  /** Memory of the map's key or value size, the map being the last one among the arguments. */
  | "key"
  | "value"
  /** Memory to read or write whose length is the next argument; `0` allows no bytes, and NULL then. */
  | "memory"
  | "memory or null"
  | "memory to fill"
  /** Memory of 20 or 40 bytes. */
  | "ipv4 header"
  | "ipv6 header"
  | "tcp header"
  /** Memory of so many bytes, which the helper writes. */
  | "u16 to fill"
  | "u32 to fill"
  | "u64 to fill"
  | "size"
  | "size or 0"
  /** A number that is known. */
  | "constant"
  /** What `ringbuf_reserve` gave. */
  | "record"
  | "function"
  | "stack or null"
  /** Text that ends with a zero byte, in variables that are only read. */
  | "text"
  | "lock";

export type Result = "number" | "nothing" | "value or null" | "record or null";

/** What a helper does to the world, which decides what a tracing compiler may do with it. */
export type Effect =
  /** Depends on its arguments and the memory they point to alone. */
  | "pure"
  | "reads maps"
  | "writes maps"
  /** Moves the packet: pointers to it are worthless afterwards. */
  | "moves packet"
  /** Changes bytes of the packet where it lies. */
  | "writes packet"
  /** Depends on time, chance or place. */
  | "input"
  /** Speaks to the outside. */
  | "output"
  | "control";

export interface Helper {
  readonly number: number;
  readonly name: string;
  readonly arguments: readonly Argument[];
  readonly result: Result;
  readonly effect: Effect;
  /** For programs under the GPL only, as in the kernel. */
  readonly isGpl?: boolean;
  /** A function of the kernel (kfunc), called by its name: the number is only ours. */
  readonly isKernelFunction?: boolean;
  run(runtime: Runtime): void;
}

/** Sets r0 to a number of 32 bits, extended by its sign. */
export function setResult(runtime: Runtime, value: number): void {
  runtime.registers[0] = value;
  runtime.registers[1] = value >> 31;
}

/** Sets r0 to an address, or two words. */
export function setResult64(runtime: Runtime, low: number, high: number): void {
  runtime.registers[0] = low;
  runtime.registers[1] = high;
}

/** Low word of argument 1 to 5. */
export const argument = (runtime: Runtime, n: number): number => runtime.registers[2 * n]!;
