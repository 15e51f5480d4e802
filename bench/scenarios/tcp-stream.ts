import { iperf3, nodeStream, sockperfStream } from "../contestants.js";
import { cacheProbe, memifDuel, metricsOf, VethPair } from "../duel.js";
import type { Contestant, Metrics, Scenario } from "../scenario.js";

const SECONDS = "2";
const BULK_BYTES = 131_072;
const SMALL_BYTES = 64;

/** Bytes over TCP as the receiver counts them: in large writes, and in writes of 64 bytes. */
export const tcpStream: Scenario = {
  name: "tcp-stream",
  summary: "TCP one way in bulk, and in writes of 64 bytes: memif; kernel over veth",
  metric: "gbit_per_s",
  smallerIsBetter: false,
  alsoJudged: ["writes_per_s"],
  rounds: 5,
  prepare: async () => {
    const probe = await cacheProbe();
    const veth = new VethPair();
    const millrace = (bytes: number): Contestant => {
      return async () => {
        const args = [`${bytes}`, SECONDS];
        return metricsOf((await memifDuel("memif-tcp-stream", args, true)).server);
      };
    };
    return {
      millrace: bulkAndSmall(millrace(BULK_BYTES), millrace(SMALL_BYTES)),
      baselines: {
        iperf3: iperf3(veth),
        sockperf: async () => {
          const { writes_per_s } = await sockperfStream(veth, "tcp", SMALL_BYTES)();
          return { writes_per_s: writes_per_s! };
        },
        node: bulkAndSmall(
          nodeStream(veth, "tcp", BULK_BYTES),
          nodeStream(veth, "tcp", SMALL_BYTES),
        ),
      },
      probe,
      cleanUp: async () => veth.close(),
    };
  },
};

function bulkAndSmall(bulk: Contestant, small: Contestant): Contestant {
  return async (): Promise<Metrics> => {
    const { gbit_per_s } = await bulk();
    const { writes_per_s } = await small();
    return { gbit_per_s: gbit_per_s!, writes_per_s: writes_per_s! };
  };
}
