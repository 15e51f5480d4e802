/** Scenarios that measure what one packet costs: a case of ours, and the kernel doing the same. */
import { measure, measureCase, nativeProgram } from "../child.js";
import type { Contestant, Scenario } from "../scenario.js";

export interface PacketScenario {
  /** Also the name of the case. */
  readonly name: string;
  readonly summary: string;
  /** Arguments of `kernel-cost`. */
  readonly kernel: readonly string[];
  /** A case with Node's own sockets, if there is one. */
  readonly node?: string;
}

export function packetScenario(o: PacketScenario): Scenario {
  return {
    name: o.name,
    summary: o.summary,
    metric: "ns_per_packet",
    smallerIsBetter: true,
    rounds: 5,
    prepare: async () => {
      const kernelCost = await nativeProgram("kernel-cost");
      const baselines: Record<string, Contestant> = {
        kernel: () => measure(kernelCost, o.kernel),
      };
      const { node } = o;
      if (node !== undefined) baselines.node = () => measureCase(node);
      return { millrace: () => measureCase(o.name), baselines };
    },
  };
}
