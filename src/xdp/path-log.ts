/**
 * Which path each packet of a sequence takes: a traced program whose cache takes everything tells by its
 * policy. Packets change the maps as they would.
 */
import type { XdpInstance } from "../ebpf/instance.js";
import type { CachePolicy } from "./cache-policy.js";
import type { Expressions } from "./expr.js";
import type { Trace } from "./trace.js";
import { TracedProgram } from "./traced-program.js";

/** Keeps everything, and remembers what was used last. */
class Witness implements CachePolicy {
  readonly name = "witness";
  last = NO_PATH;

  hit(id: number): void {
    this.last = id;
  }

  admits(): boolean {
    return true;
  }

  inserted(id: number): void {
    this.last = id;
  }

  victim(): number {
    throw new RangeError("a cache without limits has to give something up");
  }

  removed(): void {}
}

/** Of a packet that only the host may run, or whose trace was too much to keep. */
export const NO_PATH = -1;

export class PathRecorder {
  private readonly program: TracedProgram;
  private readonly witness = new Witness();

  constructor(instance: XdpInstance) {
    this.program = new TracedProgram(instance, { policy: this.witness });
  }

  /** Every trace so far, by number; also those that only the host may run. */
  get traces(): readonly Trace[] {
    return this.program.traces;
  }

  get expressions(): Expressions {
    return this.program.tracer.e;
  }

  /** Runs a packet: the number of its trace, NO_PATH when only the host may run it. */
  add(packet: Uint8Array): number {
    this.witness.last = NO_PATH;
    this.program.run(packet);
    return this.witness.last;
  }
}
