/**
 * Raw frames over memif to and from DPDK's testpmd, the driver alone; and from testpmd to testpmd.
 * Each end has a core. What arrives is counted: `txonly` drops what the ring does not take.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { type MemifPortOfDpdk, Testpmd } from "../../test/support/testpmd.js";
import { cacheProbe, casePath, metricsOf } from "../duel.js";
import type { Contestant, Metrics, Scenario } from "../scenario.js";

const SIZES = [64, 1472] as const;
const MEASURED_MS = 2_000;
const WARM_UP_MS = 500;
const LONGEST_MS = 60_000;
const SENDER_CORE = 0;
const RECEIVER_CORE = 1;

type Role = MemifPortOfDpdk["role"];

/** `frames_per_s` is the worse direction of the default role, client; the other figures say which. */
export const memifRaw: Scenario = {
  name: "memif-raw",
  summary: "raw frames of 64 and 1,472 bytes over memif to and from DPDK's testpmd",
  metric: "frames_per_s",
  smallerIsBetter: false,
  alsoJudged: ["frames_per_s_1472"],
  rounds: 5,
  prepare: async () => ({
    probe: await cacheProbe(),
    millrace: bothSizes((bytes) => bothWays(bytes, "client")),
    baselines: {
      testpmd: bothSizes((bytes) => betweenTestpmds(bytes)),
      "testpmd-zero-copy": bothSizes((bytes) => betweenTestpmds(bytes, "zero-copy=yes")),
      "millrace-server": bothSizes((bytes) => bothWays(bytes, "server")),
    },
  }),
};

/** One round of each size, the larger one's figures under names of their own. */
function bothSizes(round: (bytes: number) => Promise<Metrics>): Contestant {
  return async () => {
    const out: Record<string, number> = {};
    for (const bytes of SIZES) {
      const suffix = bytes === SIZES[0] ? "" : `_${bytes}`;
      for (const [name, value] of Object.entries(await round(bytes))) out[name + suffix] = value;
    }
    return out;
  };
}

let rounds = 0;
const newPath = (): string => `@millrace-raw-${process.pid}-${rounds++}`;
const otherRole = (role: Role): Role => (role === "client" ? "server" : "client");
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function bothWays(bytes: number, role: Role): Promise<Metrics> {
  const to_testpmd = await toTestpmd(bytes, role);
  const from_testpmd = await fromTestpmd(bytes, role);
  return { frames_per_s: Math.min(to_testpmd, from_testpmd), to_testpmd, from_testpmd };
}

/** The client sends; `options` are its port's. */
async function betweenTestpmds(bytes: number, options = ""): Promise<Metrics> {
  const path = newPath();
  const sink = rxOnly(path, "server");
  await sink.untilForwarding(); // a client of DPDK's does not look for its server twice
  const sender = txOnly(path, "client", bytes, options);
  try {
    return { frames_per_s: await rateOf(sink, sender) };
  } finally {
    await sender.kill();
    await sink.kill();
  }
}

async function toTestpmd(bytes: number, role: Role): Promise<number> {
  const path = newPath();
  const sender = new MillraceEnd(["send", role, path, `${bytes}`], SENDER_CORE);
  await sender.ready;
  const sink = rxOnly(path, otherRole(role));
  try {
    return await rateOf(sink, sender);
  } finally {
    await sender.kill();
    await sink.kill();
  }
}

async function fromTestpmd(bytes: number, role: Role): Promise<number> {
  const path = newPath();
  const sink = new MillraceEnd(["sink", role, path, `${MEASURED_MS}`], RECEIVER_CORE);
  await sink.ready;
  const sender = txOnly(path, otherRole(role), bytes);
  const tooLong = setTimeout(() => void sink.kill(), LONGEST_MS);
  try {
    await sink.closed;
    return metricsOf(sink.output).frames_per_s!;
  } finally {
    clearTimeout(tooLong);
    await sink.kill();
    await sender.kill();
  }
}

const rxOnly = (path: string, role: Role): Testpmd =>
  new Testpmd({
    ports: [{ path, role }],
    forward: "rxonly",
    core: RECEIVER_CORE,
    takesCommands: true,
  });

function txOnly(path: string, role: Role, bytes: number, options = ""): Testpmd {
  const port = options === "" ? { path, role } : { path, role, options };
  const more = [`--txpkts=${bytes}`];
  return new Testpmd({
    ports: [port],
    forward: "txonly",
    core: SENDER_CORE,
    takesCommands: true,
    more,
  });
}

/** Once frames arrive: a warm-up, then the rate. */
async function rateOf(sink: Testpmd, sender: { readonly output: string }): Promise<number> {
  const endMs = performance.now() + LONGEST_MS;
  while ((await sink.receiveRate()) === 0) {
    if (performance.now() > endMs) throw new Error(`nothing arrives; the sender: ${sender.output}`);
    await pause(100);
  }
  await pause(WARM_UP_MS);
  await sink.receiveRate();
  await pause(MEASURED_MS);
  return sink.receiveRate();
}

/** `cases/memif-frames.ts` in a process of its own. */
class MillraceEnd {
  output = "";
  /** It has said something: it listens. Or it has ended. */
  readonly ready: Promise<unknown>;
  readonly closed: Promise<unknown>;
  private readonly child: ChildProcess;

  constructor(args: readonly string[], core: number) {
    const command = [casePath("memif-frames"), ...args];
    this.child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "pipe"] });
    this.closed = new Promise((resolve) => this.child.once("close", resolve));
    this.ready = Promise.race([
      this.closed,
      new Promise((resolve) => this.child.stdout!.once("data", resolve)),
    ]);
    process.on("exit", this.endWithUs);
    // Its main thread only: V8's compiler threads would get no time beside one that spins.
    this.child.stdout!.once("data", () => {
      execFileSync("taskset", ["-p", "-c", `${core}`, `${this.child.pid}`], { stdio: "ignore" });
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on("data", (text: Buffer) => {
        this.output += text.toString();
      });
    }
  }

  async kill(): Promise<void> {
    process.off("exit", this.endWithUs);
    this.child.kill("SIGKILL");
    await this.closed;
  }

  private readonly endWithUs = (): void => void this.child.kill("SIGKILL");
}
