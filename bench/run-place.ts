/**
 * Unmodified programs under `millrace run`, beside the same programs on kernel sockets over a veth.
 *
 * The engine has one core alone, both programs share the other one: how it is meant to be run (docs/run.md,
 * "Waiting"). The kernel's programs have a core each.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  CLIENT_CORE,
  type Command,
  type DuelOutput,
  duel,
  SERVER_ADDRESS,
  SERVER_CORE,
  VethPair,
} from "./duel.js";
import type { Contestant, Metrics } from "./scenario.js";

const MILLRACE = fileURLToPath(new URL("../../bin/millrace", import.meta.url));
const SCRIPT = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));
const ENGINE_CORE = CLIENT_CORE;
const PROGRAM_CORE = SERVER_CORE;
export const ENGINE_ADDRESS = "10.77.0.1";

/** A server and its client; `address` is where the server is. */
export interface Programs {
  readonly server: (address: string) => Command;
  readonly client: (address: string) => Command;
  readonly ready: RegExp;
  readonly figures: (output: DuelOutput) => Metrics;
  /** The server ends by itself after the client. */
  readonly serverEnds?: boolean;
}

export class RunPlace {
  private veth: VethPair | null = null;
  private readonly folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  private readonly engine: ChildProcess;
  private readonly socket = join(this.folder, "engine.sock");

  private readonly isPlaced: boolean;

  private constructor(nodeOptions: readonly string[], isPlaced: boolean) {
    this.isPlaced = isPlaced;
    const engine = ["engine", "--keep", ...this.profile, "--socket", this.socket];
    const words = [process.execPath, ...nodeOptions, SCRIPT, ...engine];
    const [command, ...args] = isPlaced ? ["taskset", "-c", ENGINE_CORE, ...words] : words;
    this.engine = spawn(command!, args, { stdio: ["ignore", "pipe", "pipe"], detached: !isPlaced });
    process.on("exit", this.kill);
  }

  private get profile(): readonly string[] {
    return this.isPlaced ? ["--profile", "latency"] : [];
  }

  /**
   * Resolves when the engine is ready; `nodeOptions` are its Node.js's. Not placed: with default settings, wherever
   * the kernel puts it and the programs, in a session of its own, as `millrace run` starts it.
   */
  static async open(nodeOptions: readonly string[] = [], isPlaced = true): Promise<RunPlace> {
    const place = new RunPlace(nodeOptions, isPlaced);
    let said = "";
    await new Promise<void>((resolve, reject) => {
      for (const stream of [place.engine.stdout!, place.engine.stderr!]) {
        stream.on("data", (data: Buffer) => {
          said += data.toString();
          if (/ready/.test(said)) resolve();
        });
      }
      place.engine.once("exit", () => reject(new Error(`the engine ended: ${said}`)));
    });
    return place;
  }

  get enginePid(): number {
    return this.engine.pid!;
  }

  /** A program under this place's engine. */
  under(command: Command): Command {
    return [
      ...(this.isPlaced ? ["taskset", "-c", PROGRAM_CORE] : []),
      ...["env", `MILLRACE_ENGINE=${this.socket}`],
      ...[MILLRACE, "run", ...this.profile, "--", ...command],
    ];
  }

  millrace(p: Programs): Contestant {
    return async () =>
      p.figures(
        await duel({
          ...ends(p),
          server: this.under(p.server(ENGINE_ADDRESS)),
          client: this.under(p.client(ENGINE_ADDRESS)),
        }),
      );
  }

  kernel(p: Programs): Contestant {
    const commands = { server: p.server(SERVER_ADDRESS), client: p.client(SERVER_ADDRESS) };
    this.veth ??= new VethPair();
    const { veth } = this;
    return async () => p.figures(await veth.duel({ ...ends(p), ...commands }));
  }

  readonly close = async (): Promise<void> => {
    process.off("exit", this.kill);
    const ended = new Promise((resolve) => this.engine.once("exit", resolve));
    this.engine.kill("SIGTERM");
    await ended;
    this.veth?.close();
    rmSync(this.folder, { recursive: true });
  };

  private readonly kill = (): void => void this.engine.kill("SIGKILL");
}

const ends = ({ ready, serverEnds }: Programs) => ({ ready, serverEnds: serverEnds === true });
