import { nodeStream, sockperfStream } from "../contestants.js";
import { cacheProbe, memifDuel, metricsOf, VethPair } from "../duel.js";
import type { Contestant, Metrics, Scenario } from "../scenario.js";

const SECONDS = "2";
const SIZES = [64, 1472] as const;

/** Datagrams one way through whole stacks, as the receiver counts them; sockperf's as it sends them. */
export const udpStream: Scenario = {
  name: "udp-stream",
  summary: "datagrams of 64 and 1,472 bytes one way: memif; kernel over veth",
  metric: "msgs_per_s",
  smallerIsBetter: false,
  alsoJudged: ["msgs_per_s_1472"],
  rounds: 5,
  prepare: async () => {
    const probe = await cacheProbe();
    const veth = new VethPair();
    const millrace = (bytes: number): Contestant => {
      return async () => {
        const args = [`${bytes}`, SECONDS];
        return metricsOf((await memifDuel("memif-udp-stream", args, true)).server);
      };
    };
    return {
      millrace: bothSizes(millrace),
      baselines: {
        sockperf: bothSizes((bytes) => sockperfStream(veth, "udp", bytes)),
        node: bothSizes((bytes) => nodeStream(veth, "udp", bytes)),
      },
      probe,
      cleanUp: async () => veth.close(),
    };
  },
};

/** One round of each size, the larger one's figures under names of their own. */
function bothSizes(contestant: (bytes: number) => Contestant): Contestant {
  return async () => {
    const [small, large] = [await contestant(SIZES[0])(), await contestant(SIZES[1])()];
    const out: Record<string, number> = {};
    const take = (m: Metrics, suffix: string): void => {
      for (const name of ["msgs_per_s", "lost"]) {
        if (m[name] !== undefined) out[`${name}${suffix}`] = m[name];
      }
    };
    take(small, "");
    take(large, "_1472");
    return out;
  };
}
