/** Which path each packet of a sequence takes, through a traced program that keeps everything. */
import type { SourceLine } from "../ebpf/btf-ext.js";
import type { XdpInstance } from "../ebpf/instance.js";
import type { Expressions } from "./expr.js";
import type { Trace } from "./trace.js";
import { TracedProgram } from "./traced-program.js";

/** Of a packet whose trace could not be kept. */
export const NO_PATH = -1;

export class PathRecorder {
  private readonly program: TracedProgram;

  constructor(instance: XdpInstance) {
    this.program = new TracedProgram(instance);
  }

  /** Every trace so far, by number; also those that only the host may run. */
  get traces(): readonly Trace[] {
    return this.program.traces;
  }

  /** Why later paths have no trace; null: they would. */
  get fullReason(): string | null {
    return this.program.fullReason;
  }

  /** The source line of a word of a trace; null when the object does not say. */
  sourceOf(word: number): SourceLine | null {
    return this.program.tracer.sourceOf(word);
  }

  get expressions(): Expressions {
    return this.program.tracer.e;
  }

  /** Runs a packet: the number of its trace, NO_PATH when there is none. Packets change the maps as ever. */
  add(packet: Uint8Array): number {
    this.program.run(packet);
    const id = this.program.lastTrace;
    return id < this.traces.length ? id : NO_PATH;
  }
}
