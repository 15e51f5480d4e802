/** Tail calls in traces: the entry of the map of programs is a guard, its program goes on. */
import { ArrayMap } from "../ebpf/array-map.js";
import type { DecodedProgram } from "../ebpf/decode.js";
import type { TailTarget } from "../ebpf/interp.js";
import type { Runtime } from "../ebpf/runtime.js";
import { NONE } from "./expr.js";
import type { Recorder } from "./recorder.js";

const MAX_TAIL_CALLS = 33;

export class TailCalls {
  private readonly runtime: Runtime;
  private readonly recorder: Recorder;
  private readonly tailTarget: TailTarget;

  constructor(runtime: Runtime, recorder: Recorder, tailTarget: TailTarget) {
    this.runtime = runtime;
    this.recorder = recorder;
    this.tailTarget = tailTarget;
  }

  /** The program that a tail call goes to; null: it goes on. */
  target(mapNode: number, indexNode: number): DecodedProgram | null {
    const { runtime, recorder } = this;
    const { build } = recorder;
    if (runtime.tailCalls >= MAX_TAIL_CALLS) return null;
    const mapAt = Number(recorder.pin(mapNode));
    const index = Number(recorder.pin(build.word(indexNode)));
    const map = runtime.mapByAddress.get(mapAt);
    if (map instanceof ArrayMap && index < map.maxEntries) {
      // Entries that are empty are 0, and programs are counted from 1.
      const at = map.valuesAt + index * map.entryStride;
      const entry = build.mapLoad(map.index, NONE, at, 4);
      recorder.values.define(entry, BigInt(runtime.view.getUint32(at, true)));
      recorder.pin(entry);
    }
    const target = this.tailTarget(mapAt, index);
    if (target !== null) runtime.tailCalls++;
    return target;
  }
}
