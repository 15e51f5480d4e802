/**
 * DPDK's testpmd with memif ports, which forwards what it is told to. It polls with a whole core, so
 * tests keep it for a short while only; it ends with the test file whatever happens.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
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
  /** More arguments for the application. */
  readonly more?: readonly string[];
}

let started = 0;

export class Testpmd {
  private readonly child: ChildProcess;
  /** Everything that it has printed. */
  output = "";
  private readonly endWithUs = (): void => {
    this.child.kill("SIGKILL");
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
    const place = [`--lcores=(0,1)@(0-${last})`, `--file-prefix=mr${process.pid}-${started++}`];
    const application = ["--total-num-mbufs=8192", `--forward-mode=${options.forward}`];
    const start = [
      "--auto-start",
      "--no-flush-rx",
      `--rxq=${queues}`,
      `--txq=${queues}`,
      ...(options.more ?? []),
    ];
    const args = [...eal, ...place, ...ports, "--", ...application, ...start];
    this.child = spawn("dpdk-testpmd", args, { stdio: ["pipe", "pipe", "pipe"] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on("data", (data: Buffer) => {
        this.output += data;
      });
    }
    process.on("exit", this.endWithUs);
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    process.off("exit", this.endWithUs);
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
  }
}
