/** Unmodified Node.js programs, accelerated in process over memif; the same on the kernel over a veth. */
import { measure } from "../child.js";
import { nodePingPong, nodeStream, type Protocol } from "../contestants.js";
import {
  acceleratedDuel,
  cacheProbe,
  casePath,
  memifDuel,
  metricsOf,
  REGISTER,
  SERVER_ADDRESS,
  VethPair,
} from "../duel.js";
import type { Contestant, Scenario } from "../scenario.js";

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
          const output = await acceleratedDuel("node-stream", [protocol], rest, {
            serverEnds: true,
          });
          return metricsOf(output.server);
        },
        baselines: { node: nodeStream(veth, protocol, bytes) },
        probe,
        cleanUp: async () => veth.close(),
      };
    },
  };
}

/** The client's figures, of a case without an argument for the protocol, over a veth. */
function onKernel(veth: VethPair, name: string, seconds: string): Contestant {
  const end = (role: string, ...rest: string[]) => [
    process.execPath,
    casePath(name),
    role,
    SERVER_ADDRESS,
    ...rest,
  ];
  const duel = { server: end("server"), client: end("client", seconds) };
  return async () => metricsOf((await veth.duel(duel)).client);
}

/** The same on Millrace. */
const onMillrace =
  (name: string, seconds: string, profile: string): Contestant =>
  async () =>
    metricsOf((await acceleratedDuel(name, [], [seconds], { profile })).client);

/** Needs the packages of test/node-packages, which the tests install. */
export const nodeFastify: Scenario = {
  name: "node-fastify",
  summary:
    "fastify's hello, asked by autocannon, 32 connections: in process over memif; kernel over veth",
  metric: "requests_per_s",
  smallerIsBetter: false,
  rounds: 5,
  prepare: async () => {
    const probe = await cacheProbe();
    const veth = new VethPair();
    return {
      millrace: onMillrace("node-fastify", "3", "latency"),
      baselines: { node: onKernel(veth, "node-fastify", "3") },
      probe,
      cleanUp: async () => veth.close(),
    };
  },
};

export const nodePoll: Scenario = {
  name: "node-poll",
  summary:
    "millrace/poll, UDP of 64 bytes to and fro over memif, half round trips; node:dgram on the kernel",
  metric: "p50_us",
  smallerIsBetter: true,
  alsoJudged: ["p99_us", "p99_9_us"],
  rounds: 5,
  prepare: async () => {
    const probe = await cacheProbe();
    const veth = new VethPair();
    return {
      millrace: async () => metricsOf((await memifDuel("node-poll", [SECONDS])).client),
      baselines: { node: nodePingPong(veth, "udp") },
      probe,
      cleanUp: async () => veth.close(),
    };
  },
};

export const nodeIdle: Scenario = {
  name: "node-idle",
  summary:
    "Node.js with sockets on which nothing happens: processor time; in process over memif; kernel",
  metric: "cpu_ms_per_s",
  smallerIsBetter: true,
  rounds: 3,
  prepare: async () => {
    const veth = new VethPair();
    return {
      millrace: onMillrace("node-idle", "5", "balanced"),
      baselines: { node: onKernel(veth, "node-idle", "5") },
      cleanUp: async () => veth.close(),
    };
  },
};

export const nodeImport: Scenario = {
  name: "node-import",
  summary: "milliseconds until a Node.js program starts, with and without millrace/register",
  metric: "start_ms",
  smallerIsBetter: true,
  alsoJudged: ["cpu_ms"],
  rounds: 11,
  prepare: async () => {
    const start = (...before: string[]) =>
      measure(process.execPath, [...before, casePath("node-import")]);
    return { millrace: () => start("--import", REGISTER), baselines: { node: () => start() } };
  },
};
