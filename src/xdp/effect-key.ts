/** What a trace does, as text: equal for traces that do the same. */
import type { EffectOp } from "./trace.js";

/** `last`: verdict and ends of the packet. */
export function effectKey(effects: readonly EffectOp[], last: readonly number[]): string {
  return [...effects.map(keyOf), last.join()].join(";");
}

function keyOf(op: EffectOp): string {
  switch (op.kind) {
    case "lookup":
      return `lookup ${op.node}`;
    case "call": {
      const reads = op.reads.map(({ at, size, node }) => `${at}:${size}=${node}`);
      // The ordinal is in RESULT and FILLED, so it counts.
      return `call ${op.helper} ${op.args} ${reads} ${op.ordinal}`;
    }
    case "store":
      return `store ${op.space} ${op.map} ${op.base}+${op.offset}:${op.size}=${op.value}`;
    case "atomic":
      return `atomic ${op.map} ${op.base}+${op.offset}:${op.size} ${op.what} ${op.value}`;
    case "move":
      return `move ${op.start} ${op.end} ${op.metadata}`;
  }
}
