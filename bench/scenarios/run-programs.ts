/** Unmodified programs: under `millrace run`, and on the kernel's sockets over a veth. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { figures, PERCENTILES, type Protocol } from "../contestants.js";
import { cacheProbe } from "../duel.js";
import { type Programs, RunPlace } from "../run-place.js";
import type { Scenario } from "../scenario.js";

const SECONDS = "2";
const WARM_UP = "5";
const PORT = "7890";
const SOCKPERF_READY = /using recvfrom\(\) to (block|loop|poll)|on socket/;

interface Described extends Pick<Scenario, "name" | "summary" | "metric" | "smallerIsBetter"> {
  readonly alsoJudged?: readonly string[];
  readonly programs: Programs;
  /** Baselines that are not the same programs as Millrace's; the same ones are `kernel-blocking`. */
  readonly others?: Readonly<Record<string, Programs>>;
}

function scenario({ programs, others, ...described }: Described): Scenario {
  return {
    ...described,
    rounds: 5,
    prepare: async () => {
      const probe = await cacheProbe();
      const place = await RunPlace.open();
      const baselines = { "kernel-blocking": programs, ...others };
      return {
        millrace: place.millrace(programs),
        baselines: Object.fromEntries(
          Object.entries(baselines).map(([name, p]) => [name, place.kernel(p)]),
        ),
        probe,
        cleanUp: place.close,
      };
    },
  };
}

function sockperf(protocol: Protocol, test: string, more: readonly string[], spins: boolean) {
  const both = [...(protocol === "tcp" ? ["--tcp"] : []), ...(spins ? ["--nonblocked"] : [])];
  return {
    server: (address: string) => ["sockperf", "server", "-i", address, "-p", PORT, ...both],
    client: (address: string) => [
      ...["sockperf", test, "-i", address, "-p", PORT, "-t", SECONDS],
      ...both,
      ...more,
    ],
    ready: SOCKPERF_READY,
  };
}

function pingPong(protocol: Protocol): Scenario {
  const programs = (spins: boolean): Programs => ({
    ...sockperf(protocol, "ping-pong", ["-m", "64"], spins),
    figures: ({ client }) => figures(client, PERCENTILES),
  });
  return scenario({
    name: `run-sockperf-${protocol}-pingpong`,
    summary: `sockperf ping-pong over ${protocol.toUpperCase()}, 64 bytes, half round trip`,
    metric: "p50_us",
    smallerIsBetter: true,
    alsoJudged: ["p99_us", "p99_9_us"],
    programs: programs(false),
    others: { "kernel-spinning": programs(true) },
  });
}

/** What arrives, not what is sent. */
const throughput = scenario({
  name: "run-sockperf-throughput",
  summary: "sockperf throughput over UDP, 1,472 bytes, messages that arrive",
  metric: "msgs_per_s",
  smallerIsBetter: false,
  programs: {
    ...sockperf("udp", "throughput", ["-m", "1472"], false),
    figures: ({ server, client }) => {
      const { received } = figures(server, [["received", /Total (\d+) messages received/]]);
      const { sent } = figures(client, [["sent", /Message Rate is (\d+) /]]);
      return { msgs_per_s: received! / Number(SECONDS), sent_per_s: sent! };
    },
  },
});

const iperf3 = scenario({
  name: "run-iperf3",
  summary: "iperf3 over TCP, one stream, what arrives",
  metric: "gbit_per_s",
  smallerIsBetter: false,
  programs: {
    server: () => ["iperf3", "-s", "-1", "--forceflush", "-p", PORT],
    client: (address) => ["iperf3", "-c", address, "-p", PORT, "-t", SECONDS, "-O", "1", "-J"],
    ready: /listening/,
    serverEnds: true,
    figures: ({ client }) => {
      const from = client.slice(client.indexOf("{"));
      const report = JSON.parse(from) as { end: { sum_received: { bits_per_second: number } } };
      return { gbit_per_s: report.end.sum_received.bits_per_second / 1e9 };
    },
  },
});

const redis = scenario({
  name: "run-redis",
  summary: "redis-benchmark GET, 50 clients: pipeline 1, and 16",
  metric: "requests_per_s",
  smallerIsBetter: false,
  alsoJudged: ["pipelined_requests_per_s"],
  programs: {
    server: () =>
      `redis-server --port ${PORT} --protected-mode no --appendonly no --dir /tmp --save ""`
        .split(" ")
        .map((word) => (word === '""' ? "" : word)),
    client: (address) => {
      const one = `redis-benchmark -h ${address} -p ${PORT} -t get -c 50 --csv`;
      return ["sh", "-c", `${one} -n 100000 -P 1 && echo next && ${one} -n 400000 -P 16`];
    },
    ready: /Ready to accept connections/,
    figures: ({ client }) => {
      const [first = "", second = ""] = client.split("next");
      const rate = /"GET","([\d.]+)"/;
      const { requests_per_s } = figures(first, [["requests_per_s", rate]]);
      const { pipelined_requests_per_s } = figures(second, [["pipelined_requests_per_s", rate]]);
      return {
        requests_per_s: requests_per_s!,
        pipelined_requests_per_s: pipelined_requests_per_s!,
      };
    },
  },
});

const nginx = scenario({
  name: "run-nginx",
  summary: "wrk and nginx with one worker, small file: kept alive, and a connection per request",
  metric: "requests_per_s",
  smallerIsBetter: false,
  alsoJudged: ["connections_per_s"],
  programs: {
    server: () => ["nginx", "-c", nginxFile()],
    client: (address) => {
      const url = `http://${address}:${PORT}/`;
      const each = (seconds: string) =>
        `wrk -t 1 -c 50 -d ${seconds} -H "Connection: close" ${url}`;
      const kept = `wrk -t 1 -c 50 -d ${SECONDS} ${url}`;
      // An engine is slow until V8 has compiled it: of the first round, that is a figure of its own.
      const steps = [each("1"), `${each(WARM_UP)} >&2`, kept, each(SECONDS)];
      return ["sh", "-c", steps.join(" && echo next && ")];
    },
    ready: /start worker process \d/,
    figures: ({ client }) => {
      const [cold = "", , kept = "", each = ""] = client.split("next");
      const rate = (text: string) => figures(text, [["rate", /Requests\/sec: +([\d.]+)/]]).rate!;
      return {
        requests_per_s: rate(kept),
        connections_per_s: rate(each),
        first_second_connections_per_s: rate(cold),
      };
    },
  },
});

/** A configuration that says on its error stream when it is ready; its file of 12 bytes. */
function nginxFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-nginx-"));
  writeFileSync(join(folder, "index.html"), "small file\n\n");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(" ");
  writeFileSync(
    join(folder, "nginx.conf"),
    `${process.getuid!() === 0 ? "user root;" : ""} worker_processes 1; daemon off;
pid ${folder}/pid; error_log stderr notice; events { worker_connections 512; }
http { access_log off; keepalive_requests 1000000000; ${temporary}
  server { listen ${PORT}; root ${folder}; } }\n`,
  );
  return join(folder, "nginx.conf");
}

export const RUN_SCENARIOS: readonly Scenario[] = [
  pingPong("udp"),
  pingPong("tcp"),
  throughput,
  iperf3,
  redis,
  nginx,
];
