/** The programs of a soak: started, killed at random, started again. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Random } from "../src/base/random.js";

const LIBRARY = fileURLToPath(new URL("../../native/build/libmillrace.so", import.meta.url));

export const ADDRESS = "10.77.0.1";

/** The environment that `millrace run` gives a program. */
export const underEngine = (socket: string): NodeJS.ProcessEnv => ({
  ...process.env,
  LD_PRELOAD: LIBRARY,
  MILLRACE_ENGINE: socket,
});

export interface FleetOptions {
  readonly program: string;
  readonly socket: string;
  readonly programs: number;
  readonly socketsEach: number;
  readonly firstPort: number;
  readonly seed: number;
}

export class Fleet {
  /** Programs that ended by themselves, and what they said. */
  readonly failures: string[] = [];
  kills = 0;
  private readonly options: FleetOptions;
  private readonly running: (ChildProcess | null)[];
  private starts = 0;

  constructor(options: FleetOptions) {
    this.options = options;
    this.running = new Array(options.programs).fill(null);
  }

  startAll(): void {
    for (let i = 0; i < this.running.length; i++) this.start(i);
  }

  private start(index: number): void {
    const { program, socket, programs, socketsEach, firstPort, seed } = this.options;
    const words = [seed + this.starts++, index, programs, socketsEach, ADDRESS, firstPort];
    const child = spawn(program, words.map(String), {
      env: underEngine(socket),
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (data: Buffer) => {
      said = (said + data.toString()).slice(-2_000);
    });
    child.on("exit", (status, signal) => {
      if (signal !== "SIGKILL")
        this.failures.push(`program ${index}: ${signal ?? status}: ${said}`);
    });
    this.running[index] = child;
  }

  /** SIGKILL for one of them, and a new one in its place. */
  killOne(random: Random): void {
    const index = random.below(this.running.length);
    this.running[index]!.kill("SIGKILL");
    this.kills++;
    this.start(index);
  }

  /** SIGKILL for all; resolves when they have ended. */
  async killAll(): Promise<void> {
    await Promise.all(
      this.running.map(async (child, index) => {
        if (child === null) return;
        this.running[index] = null;
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGKILL");
        await ended;
      }),
    );
  }
}
