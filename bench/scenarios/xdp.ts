/**
 * AF_XDP over a veth: latency to a spinning kernel client and between two Millrace hosts, beside
 * spinning kernel sockets in the same place; and one way, beside a C program that does the least.
 * Generic mode, which is the faster one on a veth. Needs root, for namespaces and programs.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { measure, nativeProgram } from "../child.js";
import type { Contestant, Metrics, Prepared, Scenario } from "../scenario.js";

const COUNT = 60_000;
export const BYTES = 64;
export const STREAM_MS = 2_000;
export const MODE = "generic";
const KERNEL = { near: "10.77.2.1", far: "10.77.2.2" };
/** Addresses of Millrace and of the C program, which are no kernel's. */
const OURS = { near: "10.77.2.3", far: "10.77.2.4" };
export const caseFile = (name: string): string =>
  fileURLToPath(new URL(`../cases/${name}.js`, import.meta.url));

const latency = { metric: "p50_us", smallerIsBetter: true, rounds: 5 } as const;

export const xdpUdp: Scenario = {
  ...latency,
  name: "xdp-udp",
  summary: "UDP echo over AF_XDP on a veth, half round trip as a spinning kernel client sees it",
  prepare: async () => {
    const place = await Place.make();
    return {
      millrace: place.toKernelClient(place.millraceEcho(MODE), OURS.far),
      baselines: {
        "kernel-spinning": place.toKernelClient(place.kernelEcho(), KERNEL.far),
        "bare-echo-c": place.toKernelClient(place.bareEcho(), OURS.far),
        "millrace-native": place.toKernelClient(place.millraceEcho("native"), OURS.far),
        "millrace-af-packet": place.toKernelClient(place.millraceEcho("packet"), OURS.far),
      },
      cleanUp: place.cleanUp,
    };
  },
};

export const xdpPair: Scenario = {
  ...latency,
  name: "xdp-pair",
  summary: "UDP echo between two Millrace hosts over AF_XDP on a veth, half round trip",
  prepare: async () => {
    const place = await Place.make();
    const client = [process.execPath, caseFile("xdp-udp-client"), "veth0", MODE];
    const count = [`${COUNT}`, `${BYTES}`];
    return {
      millrace: () =>
        place.round(place.millraceEcho(MODE), [...client, `${OURS.near}/24`, OURS.far, ...count]),
      baselines: { "kernel-spinning": place.toKernelClient(place.kernelEcho(), KERNEL.far) },
      cleanUp: place.cleanUp,
    };
  },
};

export const xdpStream: Scenario = stream("xdp-stream", BYTES);
export const xdpStreamLong: Scenario = stream("xdp-stream-1472", 1_472);

function stream(name: string, bytes: number): Scenario {
  return {
    name,
    summary: `datagrams of ${bytes} bytes one way over AF_XDP on a veth, the driver alone at both ends`,
    metric: "msgs_per_s",
    smallerIsBetter: false,
    rounds: 5,
    prepare: async (): Promise<Prepared> => {
      const place = await Place.make();
      const stacks = [process.execPath, caseFile("xdp-udp-stream")];
      const tail = [`${bytes}`, `${STREAM_MS}`];
      const mac = place.farMac();
      const frames = (program: string[]): Contestant => {
        const sink = [...program, "sink", "veth0", MODE, ...tail];
        return () => place.stream(sink, [...program, "send", "veth0", MODE, mac, `${bytes}`]);
      };
      return {
        millrace: frames([process.execPath, caseFile("xdp-frames")]),
        baselines: {
          "c-af-xdp": frames([place.bare]),
          "millrace-stacks": () =>
            place.stream(
              [...stacks, "sink", "veth0", MODE, `${OURS.far}/24`, ...tail],
              [...stacks, "send", "veth0", MODE, `${OURS.near}/24`, `${bytes}`, OURS.far],
            ),
        },
        cleanUp: place.cleanUp,
      };
    },
  };
}

/** Two namespaces joined by a veth; programs in `near` run on core 0, those in `far` on core 1. */
export class Place {
  readonly pingPong: string;
  readonly bare: string;
  private readonly near = `mrx-${process.pid}-a`;
  private readonly far = `mrx-${process.pid}-b`;

  private constructor(pingPong: string, bare: string) {
    this.pingPong = pingPong;
    this.bare = bare;
    for (const name of [this.near, this.far]) ip("netns", "add", name);
    const ends = ["netns", this.near, "type", "veth", "peer", "veth0", "netns", this.far];
    ip("link", "add", "veth0", ...ends);
    ip("-n", this.near, "address", "add", `${KERNEL.near}/24`, "dev", "veth0");
    ip("-n", this.far, "address", "add", `${KERNEL.far}/24`, "dev", "veth0");
    for (const name of [this.near, this.far]) ip("-n", name, "link", "set", "veth0", "up");
  }

  static async make(): Promise<Place> {
    return new Place(await nativeProgram("udp-pingpong"), await nativeProgram("xdp-frames"));
  }

  readonly cleanUp = async (): Promise<void> => {
    for (const name of [this.near, this.far]) ip("netns", "delete", name);
  };

  farMac(): string {
    const said = execFileSync("ip", ["-n", this.far, "link", "show", "veth0"], {
      encoding: "utf8",
    });
    return /ether ([0-9a-f:]+)/.exec(said)![1]!;
  }

  kernelEcho = (): string[] => [this.pingPong, "server", KERNEL.far, "7"];
  bareEcho = (): string[] => [this.bare, "echo", "veth0", MODE, OURS.far];
  millraceEcho = (mode: string): string[] => [
    process.execPath,
    caseFile("xdp-udp-echo"),
    "veth0",
    mode,
    `${OURS.far}/24`,
  ];

  toKernelClient(server: string[], address: string): Contestant {
    const client = [this.pingPong, "client", address, "7", `${COUNT}`, `${BYTES}`];
    return () => this.round(server, client);
  }

  /** The server far, the client near; the client's last line is the result. */
  async round(server: string[], client: string[]): Promise<Metrics> {
    const child = this.start(this.far, "1", server);
    try {
      await ready(child);
      return await measure("ip", this.command(this.near, "0", client));
    } finally {
      await end(child);
    }
  }

  /** The sink's last line is the result. */
  async stream(sink: string[], source: string[]): Promise<Metrics> {
    const counted = measure("ip", this.command(this.far, "1", sink));
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const child = this.start(this.near, "0", source);
    try {
      return await counted;
    } finally {
      await end(child);
    }
  }

  private start(namespace: string, core: string, program: string[]): ChildProcess {
    const stdio = ["ignore", "pipe", "inherit"] as const;
    return spawn("ip", this.command(namespace, core, program), { stdio: [...stdio] });
  }

  private command(namespace: string, core: string, program: string[]): string[] {
    return ["netns", "exec", namespace, "taskset", "-c", core, ...program];
  }
}

/** For a sink to be there before its source. */
const SETTLE_MS = 1_000;
const ip = (...args: string[]): void => void execFileSync("ip", args);

/** Resolves at the server's first word, or after a moment for servers that say nothing. */
function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.stdout!.once("data", () => setTimeout(resolve, 300));
    setTimeout(resolve, 1_500);
  });
}

async function end(child: ChildProcess): Promise<void> {
  const closed = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await closed;
}
