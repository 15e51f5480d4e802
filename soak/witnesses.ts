/** Two programs that nobody kills, and which must never notice that others are. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { ADDRESS, underEngine } from "./fleet.js";

export interface Testimony {
  readonly rounds: number;
  readonly worstUs: number;
}

export class Witnesses {
  private readonly server: ChildProcess;
  private readonly asker: ChildProcess;
  private said = "";
  /** What went wrong with them. */
  readonly failures: string[] = [];
  private isEnding = false;

  private constructor(server: ChildProcess, asker: ChildProcess) {
    this.server = server;
    this.asker = asker;
    asker.stdout!.on("data", (data: Buffer) => {
      this.said += data.toString();
    });
    for (const child of [server, asker]) {
      child.stderr!.on("data", (data: Buffer) => this.failures.push(data.toString().trim()));
      child.once("exit", (status, signal) => {
        if (!this.isEnding) this.failures.push(`a witness ended: ${signal ?? status}`);
      });
    }
  }

  static async begin(program: string, socket: string, port: number): Promise<Witnesses> {
    const start = (role: string): ChildProcess =>
      spawn(program, [role, ADDRESS, String(port)], {
        env: underEngine(socket),
        stdio: ["ignore", "pipe", "pipe"],
      });
    const server = start("serve");
    await once(server.stdout!, "data");
    return new Witnesses(server, start("ask"));
  }

  /** What they have seen. Throws when they were disturbed. */
  async end(): Promise<Testimony> {
    if (this.failures.length > 0) throw new Error(this.failures.join("; "));
    this.isEnding = true;
    const ended = Promise.all([once(this.asker, "close"), once(this.server, "close")]);
    this.asker.kill("SIGTERM");
    await ended;
    const match = /^(\d+) (\d+)\n$/.exec(this.said);
    if (match === null)
      throw new Error(`the witness says ${JSON.stringify(this.said)}: ${this.failures.join("; ")}`);
    return { rounds: Number(match[1]), worstUs: Number(match[2]) };
  }

  kill(): void {
    this.isEnding = true;
    this.server.kill("SIGKILL");
    this.asker.kill("SIGKILL");
  }
}
