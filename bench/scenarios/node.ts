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
const FASTIFY_SECONDS = "3";
const IDLE_SECONDS = "5";
const BULK_BYTES = 65_536;
const SMALL_BYTES = 64;

interface Row extends Omit<Scenario, "prepare"> {
  /** Whether the speed of the machine's caches counts. */
  readonly isProbed: boolean;
  readonly millrace: Contestant;
  readonly node: (veth: VethPair) => Contestant;
}

const LATENCY = {
  metric: "p50_us",
  smallerIsBetter: true,
  alsoJudged: ["p99_us", "p99_9_us"],
  rounds: 5,
  isProbed: true,
} as const;
const THROUGHPUT = { smallerIsBetter: false, rounds: 5, isProbed: true } as const;

const ROWS: readonly Row[] = [
  echo("node-dgram-echo", "udp"),
  echo("node-net-echo", "tcp"),
  stream("node-dgram-stream", "udp", SMALL_BYTES, "msgs_per_s"),
  stream("node-net-bulk", "tcp", BULK_BYTES, "gbit_per_s"),
  {
    // Needs the packages of test/node-packages, which the tests install.
    ...THROUGHPUT,
    name: "node-fastify",
    summary:
      "fastify's hello, asked by autocannon, 32 connections: in process over memif; kernel over veth",
    metric: "requests_per_s",
    millrace: onMillrace("node-fastify", FASTIFY_SECONDS, "latency"),
    node: onKernel("node-fastify", FASTIFY_SECONDS),
  },
  {
    ...LATENCY,
    name: "node-poll",
    summary:
      "millrace/poll, UDP of 64 bytes to and fro over memif, half round trips; node:dgram on the kernel",
    millrace: async () => metricsOf((await memifDuel("node-poll", [SECONDS])).client),
    node: (veth) => nodePingPong(veth, "udp"),
  },
  {
    name: "node-idle",
    summary:
      "Node.js with sockets on which nothing happens: processor time; in process over memif; kernel",
    metric: "cpu_ms_per_s",
    smallerIsBetter: true,
    rounds: 3,
    isProbed: false,
    millrace: onMillrace("node-idle", IDLE_SECONDS, "balanced"),
    node: onKernel("node-idle", IDLE_SECONDS),
  },
];

function echo(name: string, protocol: Protocol): Row {
  return {
    ...LATENCY,
    name,
    summary: `Node.js, ${protocol.toUpperCase()} of 64 bytes to and fro, half round trips: in process over memif; kernel over veth`,
    millrace: async () =>
      metricsOf((await acceleratedDuel("node-pingpong", [protocol], [SECONDS])).client),
    node: (veth) => nodePingPong(veth, protocol),
  };
}

function stream(name: string, protocol: Protocol, bytes: number, metric: string): Row {
  return {
    ...THROUGHPUT,
    name,
    summary: `Node.js, ${protocol.toUpperCase()} one way, ${bytes} bytes a time: in process over memif; kernel over veth`,
    metric,
    millrace: async () => {
      const rest = [`${bytes}`, SECONDS];
      const ends = { serverEnds: true };
      return metricsOf((await acceleratedDuel("node-stream", [protocol], rest, ends)).server);
    },
    node: (veth) => nodeStream(veth, protocol, bytes),
  };
}

/** The client's figures, of a case without an argument for the protocol. */
function onMillrace(name: string, seconds: string, profile: string): Contestant {
  return async () => metricsOf((await acceleratedDuel(name, [], [seconds], { profile })).client);
}

/** The same over a veth. */
function onKernel(name: string, seconds: string): (veth: VethPair) => Contestant {
  const end = (role: string, ...rest: string[]) => [
    process.execPath,
    casePath(name),
    role,
    SERVER_ADDRESS,
    ...rest,
  ];
  const duel = { server: end("server"), client: end("client", seconds) };
  return (veth) => async () => metricsOf((await veth.duel(duel)).client);
}

function scenarioOf({ isProbed, millrace, node, ...row }: Row): Scenario {
  return {
    ...row,
    prepare: async () => {
      const probe = isProbed ? { probe: await cacheProbe() } : {};
      const veth = new VethPair();
      const cleanUp = async () => veth.close();
      return { millrace, baselines: { node: node(veth) }, ...probe, cleanUp };
    },
  };
}

/** There is no network in it, and so no veth. */
const nodeImport: Scenario = {
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

export const NODE_SCENARIOS: readonly Scenario[] = [...ROWS.map(scenarioOf), nodeImport];
