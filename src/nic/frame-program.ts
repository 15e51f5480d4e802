/**
 * What runs on received frames: an XDP program in one of the engines (ebpf/instance.ts), or its traces.
 * It works on the frame where it lies, so its memory is the arena that the pool is in.
 */
import type { BurstRunner } from "../ebpf/burst.js";
import type { Runtime } from "../ebpf/runtime.js";

export interface FrameProgram extends BurstRunner {
  /** Context, time, and where the packet is afterwards. */
  readonly runtime: Runtime;
  /**
   * Hot path. Runs on the frame at [at, end), which may be moved inside of [hardStart, hardEnd); the
   * verdict. Throws `EbpfError` for what a verified program does not do.
   */
  runAt(at: number, end: number, hardStart: number, hardEnd: number): number;
}
