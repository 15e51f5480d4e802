/** Unmodified Node.js programs, accelerated in process over memif; the same on the kernel over a veth. */
import { nodePingPong, nodeStream, type Protocol } from "../contestants.js";
import { acceleratedDuel, cacheProbe, metricsOf, VethPair } from "../duel.js";
import type { Scenario } from "../scenario.js";

const SECONDS = "2";
const BULK_BYTES = 65_536;
const SMALL_BYTES = 64;

export const nodeDgramEcho: Scenario = echo("node-dgram-echo", "udp");
export const nodeNetEcho: Scenario = echo("node-net-echo", "tcp");
export const nodeDgramStream: Scenario = stream(
  "node-dgram-stream",
  "udp",
  SMALL_BYTES,
  "msgs_per_s",
);
export const nodeNetBulk: Scenario = stream("node-net-bulk", "tcp", BULK_BYTES, "gbit_per_s");

function echo(name: string, protocol: Protocol): Scenario {
  return {
    name,
    summary: `Node.js, ${protocol.toUpperCase()} of 64 bytes to and fro, half round trips: in process over memif; kernel over veth`,
    metric: "p50_us",
    smallerIsBetter: true,
    alsoJudged: ["p99_us", "p99_9_us"],
    rounds: 5,
    prepare: async () => {
      const probe = await cacheProbe();
      const veth = new VethPair();
      return {
        millrace: async () => {
          const args = [protocol];
          return metricsOf((await acceleratedDuel("node-pingpong", args, [SECONDS])).client);
        },
        baselines: { node: nodePingPong(veth, protocol) },
        probe,
        cleanUp: async () => veth.close(),
      };
    },
  };
}

function stream(name: string, protocol: Protocol, bytes: number, metric: string): Scenario {
  return {
    name,
    summary: `Node.js, ${protocol.toUpperCase()} one way, ${bytes} bytes a time: in process over memif; kernel over veth`,
    metric,
    smallerIsBetter: false,
    rounds: 5,
    prepare: async () => {
      const probe = await cacheProbe();
      const veth = new VethPair();
      return {
        millrace: async () => {
          const rest = [`${bytes}`, SECONDS];
          const output = await acceleratedDuel("node-stream", [protocol], rest, true);
          return metricsOf(output.server);
        },
        baselines: { node: nodeStream(veth, protocol, bytes) },
        probe,
        cleanUp: async () => veth.close(),
      };
    },
  };
}
