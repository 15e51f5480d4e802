/**
 * DPDK's testpmd with memif ports, which forwards what it is told to. It polls with a whole core, so
 * tests keep it for a short while only; it ends with the test file whatever happens. Benchmarks pin it
 * and ask it for rates.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { availableParallelism } from "node:os";

export interface MemifPortOfDpdk {
  readonly path: string;
  readonly role: "client" | "server";
  readonly options?: string;
}

export interface TestpmdOptions {
  readonly ports: readonly MemifPortOfDpdk[];
  /** testpmd's `--forward-mode`. */
  readonly forward: string;
  readonly queues?: number;
  /** The core that it forwards on; any by default. */
  readonly core?: number;
  /** Takes commands, for {@link Testpmd.receiveRate}. */
  readonly takesCommands?: boolean;
  /** More arguments for the application. */
  readonly more?: readonly string[];
}

let started = 0;

export class Testpmd {
  private readonly child: ChildProcess;
  /** Everything that it has printed. */
  output = "";
  private readonly prefix: string;
  private readonly endWithUs = (): void => {
    this.child.kill("SIGKILL");
    this.removeFiles();
  };

  constructor(options: TestpmdOptions) {
    const last = availableParallelism() - 1;
    const ports = options.ports.map(({ path, role, options: more }, i) => {
      const [socket, isAbstract] = path.startsWith("@") ? [path.slice(1), "yes"] : [path, "no"];
      const extra = more === undefined ? "" : `,${more}`;
      return `--vdev=net_memif${i},role=${role},socket=${socket},socket-abstract=${isAbstract}${extra}`;
    });
    const queues = `${options.queues ?? 1}`;
    const eal = ["--no-huge", "-m", "192", "--single-file-segments", "--no-pci", "--no-telemetry"];
    this.prefix = `mr${process.pid}-${started++}`;
    const { core } = options;
    const cores = core === undefined ? `(0,1)@(0-${last})` : `0@(0-${last}),1@${core}`;
    const place = [`--lcores=${cores}`, `--file-prefix=${this.prefix}`];
    const application = ["--total-num-mbufs=8192", `--forward-mode=${options.forward}`];
    const start = [
      ...(options.takesCommands === true ? ["-i"] : []),
      "--auto-start",
      "--no-flush-rx",
      `--rxq=${queues}`,
      `--txq=${queues}`,
      ...(options.more ?? []),
    ];
    const args = [...eal, ...place, ...ports, "--", ...application, ...start];
    // By lines: what it says into a pipe would otherwise come when much of it is there.
    const command = ["-oL", "dpdk-testpmd", ...args];
    this.child = spawn("stdbuf", command, { stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdin!.on("error", () => {}); // it has ended: the output shows why
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on("data", (data: Buffer) => {
        this.output += data;
      });
    }
    process.on("exit", this.endWithUs);
  }

  /** Resolves once it forwards: its servers listen from then on. Throws when it has ended. */
  async untilForwarding(): Promise<void> {
    while (!this.output.includes("packet forwarding - ports")) await this.hearMore();
  }

  /**
   * Frames a second that its first port has received since the last call, by its own clock; 0 the first
   * time. Throws when it has ended. Needs `takesCommands`.
   */
  async receiveRate(): Promise<number> {
    const known = this.rates().length;
    this.child.stdin!.write("show port stats 0\n");
    while (this.rates().length === known) await this.hearMore();
    return Number(this.rates()[known]![1]);
  }

  private async hearMore(): Promise<void> {
    if (this.hasEnded) throw new Error(`testpmd has ended: ${this.output}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }

  private rates(): RegExpExecArray[] {
    return [...this.output.matchAll(/Rx-pps: +(\d+) /g)];
  }

  private get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    process.off("exit", this.endWithUs);
    if (this.hasEnded) return;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
    this.removeFiles();
  }

  /** What it keeps while it runs, and leaves behind when it is killed. */
  private removeFiles(): void {
    rmSync(`/run/dpdk/${this.prefix}`, { recursive: true, force: true });
  }
}
