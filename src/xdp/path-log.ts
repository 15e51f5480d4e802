/**
 * The path of each packet of a sequence through a program, and what each path's trace costs: what caches,
 * the NIC simulator and the tables of the evaluation work on. Packets change the maps as they would.
 */
import type { XdpInstance } from "../ebpf/instance.js";
import { HEADROOM_BYTES } from "../ebpf/runtime.js";
import type { Trace } from "./trace.js";
import { Tracer } from "./tracer.js";

/** Frames are as most drivers have them: a page, the end of which is the kernel's. */
const FRAME_BYTES = 4096 - 320;
const LONGEST_BYTES = FRAME_BYTES - HEADROOM_BYTES;

export interface PathLog {
  readonly tracer: Tracer;
  /** By number: the first trace of each path. */
  readonly traces: readonly Trace[];
  /** Of each packet: the number of its trace. */
  readonly paths: Int32Array;
  readonly lengths: Int32Array;
}

export class PathRecorder {
  readonly tracer: Tracer;
  readonly traces: Trace[] = [];
  private readonly instance: XdpInstance;
  private readonly frameAt: number;

  constructor(instance: XdpInstance) {
    const { runtime, program, tailTarget } = instance;
    this.instance = instance;
    this.tracer = new Tracer(program, runtime, tailTarget);
    this.frameAt = runtime.memory.take(FRAME_BYTES, "a frame");
  }

  /** Traces a packet: the number of its trace. Longer packets than a frame has room for are cut. */
  add(packet: Uint8Array): number {
    const { runtime } = this.instance;
    const at = this.frameAt + HEADROOM_BYTES;
    const lengthBytes = Math.min(packet.length, LONGEST_BYTES);
    runtime.bytes.set(packet.subarray(0, lengthBytes), at);
    runtime.begin(at, at + lengthBytes, this.frameAt, this.frameAt + FRAME_BYTES);
    const { trace } = this.tracer.trace();
    this.traces[trace.id] ??= trace;
    return trace.id;
  }
}
