import { nodePingPong, type Protocol, sockperfPingPong } from "../contestants.js";
import { cacheProbe, memifDuel, metricsOf, VethPair } from "../duel.js";
import type { Scenario } from "../scenario.js";

const SECONDS = "2";

export const udpPingPong: Scenario = pingPong("udp");
export const tcpPingPong: Scenario = pingPong("tcp");

/** Half a round trip of 64 bytes: two processes over memif; sockperf and Node.js over a veth. */
function pingPong(protocol: Protocol): Scenario {
  return {
    name: `${protocol}-pingpong`,
    summary: `${protocol.toUpperCase()} of 64 bytes to and fro, half round trips: memif; kernel over veth`,
    metric: "p50_us",
    smallerIsBetter: true,
    alsoJudged: ["p99_us", "p99_9_us"],
    rounds: 5,
    prepare: async () => {
      const probe = await cacheProbe();
      const veth = new VethPair();
      return {
        millrace: async () => {
          const name = `memif-${protocol}-pingpong`;
          return metricsOf((await memifDuel(name, [SECONDS])).client);
        },
        baselines: {
          "sockperf-spinning": sockperfPingPong(veth, protocol, true),
          "sockperf-blocking": sockperfPingPong(veth, protocol, false),
          node: nodePingPong(veth, protocol),
        },
        probe,
        cleanUp: async () => veth.close(),
      };
    },
  };
}
