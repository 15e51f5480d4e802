/** Contestants that several scenarios share: sockperf, Node.js and iperf3 over a veth. */
import { casePath, metricsOf, SERVER_ADDRESS, type VethPair } from "./duel.js";
import type { Contestant, Metrics } from "./scenario.js";

export type Protocol = "udp" | "tcp";

/** Seconds that sockperf and iperf3 measure. */
const SECONDS = "2";
export const PERCENTILES: readonly (readonly [string, RegExp])[] = [
  ["p50_us", /percentile 50\.000 = +([\d.]+)/],
  ["p99_us", /percentile 99\.000 = +([\d.]+)/],
  ["p99_9_us", /percentile 99\.900 = +([\d.]+)/],
  ["p99_99_us", /percentile 99\.990 = +([\d.]+)/],
  ["max_us", /<MAX> observation = +([\d.]+)/],
  ["observations", /Total (\d+) observations/],
];

/** `spins`: both ends poll their socket, which is the best that the kernel can do. */
export function sockperfPingPong(veth: VethPair, protocol: Protocol, spins: boolean): Contestant {
  return async () => {
    const { client } = await veth.duel(
      sockperf(protocol, "ping-pong", ["-m", "64"], spins ? ["--nonblocked"] : []),
    );
    return figures(client, PERCENTILES);
  };
}

/** Messages a second as the sender counts them: more than arrive. */
export function sockperfStream(veth: VethPair, protocol: Protocol, bytes: number): Contestant {
  return async () => {
    const { client } = await veth.duel(sockperf(protocol, "throughput", ["-m", `${bytes}`], []));
    const { rate } = figures(client, [["rate", /Message Rate is (\d+) /]]);
    return { msgs_per_s: rate!, writes_per_s: rate! };
  };
}

function sockperf(protocol: Protocol, test: string, args: string[], both: string[]) {
  const common = [...both, "-i", SERVER_ADDRESS, ...(protocol === "tcp" ? ["--tcp"] : [])];
  return {
    server: ["sockperf", "server", ...common],
    client: ["sockperf", test, ...common, "-t", SECONDS, ...args],
    ready: /using recvfrom\(\) to (block|loop|poll)|on socket/,
  };
}

/** Figures in a program's words. */
export function figures(output: string, wanted: readonly (readonly [string, RegExp])[]): Metrics {
  const out: Record<string, number> = {};
  for (const [name, pattern] of wanted) {
    const found = pattern.exec(output)?.[1];
    if (found === undefined) throw new Error(`there is no ${name} in: ${output}`);
    out[name] = Number(found);
  }
  return out;
}

export function nodePingPong(veth: VethPair, protocol: Protocol): Contestant {
  const end = (role: string, ...more: string[]) => [
    process.execPath,
    casePath("node-pingpong"),
    role,
    protocol,
    SERVER_ADDRESS,
    ...more,
  ];
  return async () => {
    const { client } = await veth.duel({ server: end("server"), client: end("client", SECONDS) });
    return metricsOf(client);
  };
}

export function nodeStream(veth: VethPair, protocol: Protocol, bytes: number): Contestant {
  const end = (role: string) => [
    process.execPath,
    casePath("node-stream"),
    role,
    protocol,
    SERVER_ADDRESS,
    `${bytes}`,
    SECONDS,
  ];
  return async () => {
    const duel = { server: end("server"), client: end("client"), serverEnds: true };
    return metricsOf((await veth.duel(duel)).server);
  };
}

/** What arrives. */
export function iperf3(veth: VethPair): Contestant {
  return async () => {
    const { client } = await veth.duel({
      server: ["iperf3", "-s", "-1", "--forceflush"],
      client: ["iperf3", "-c", SERVER_ADDRESS, "-t", SECONDS, "-O", "1", "-J"],
      ready: /listening/,
      serverEnds: true,
    });
    const report = JSON.parse(client) as { end: { sum_received: { bits_per_second: number } } };
    return { gbit_per_s: report.end.sum_received.bits_per_second / 1e9 };
  };
}
