/**
 * For processes that pass one message at a time and do little else: lets V8 inline more.
 *
 * It inlines 920 bytes of bytecode into a function and no more, which the small functions of the packet
 * path use up soon; then calls stay calls. With 3,000 there are few left. It is a setting of the process, so no library sets it for its user: `node
 * --max-inlined-bytecode-size-cumulative=3000` does (docs/memif.md).
 *
 * Measured: half a round trip of 64 bytes of TCP over memif, two stacks of one process, 900 ns without, 830
 * with; a datagram out (bench `udp-tx`) 116 and 66 to 105 (node 20.20, 2 busy cores, 2026-11). Not for bulk:
 * `tcp-stream` of small writes was slower with it in each of five rounds beside other work.
 */
import { setFlagsFromString } from "node:v8";

/** Call it before the packet path has run: functions that are compiled stay as they are. */
export function inlineMore(): void {
  setFlagsFromString("--max-inlined-bytecode-size-cumulative=3000");
}
