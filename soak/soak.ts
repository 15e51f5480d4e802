/**
 * A soak: an engine whose programs are killed at random, all the time, and what it holds afterwards.
 *
 * | phase   | what happens                                                    | counted          |
 * |---------|-----------------------------------------------------------------|------------------|
 * | warm-up | all programs reach their sockets, all are killed, all settles   | at its end: before |
 * | soak    | a program is killed and started again every now and then        | progress         |
 * | rest    | all are killed, all settles                                     | after            |
 *
 * Two witnesses talk to each other through the soak and are left alone.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Random } from "../src/base/random.js";
import { pathsBeside } from "../src/engine/socket-path.js";
import { type Counts, countsOf, isAtRest, leaksBetween, straysOf } from "./counts.js";
import { Fleet } from "./fleet.js";
import { type Testimony, Witnesses } from "./witnesses.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CC = "-std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror".split(" ");
const START_MS = 30_000;
/** TIME-WAIT and FIN-WAIT-2 last 60 s each; what is sent again may take longer. */
const SETTLE_MS = 180_000;
/** How long it may take until the programs have their sockets. */
const FILL_MS = 60_000;
const LOOK_MS = 250;
const COLLECT_MS = 1_000;
const PROGRESS_MS = 10_000;
/**
 * The heap is counted without garbage. Tables of connections grow to the most that there were, and memory by
 * slots that were not used before, too: the pool has 196 MiB of them.
 */
const SLACK = { heapBytes: 16 << 20, externalBytes: 128 << 20, rssBytes: 320 << 20 } as const;
/** Collects garbage when it is asked to, so that the heap is what is in use. */
const COLLECTOR = "data:text/javascript,process.on('SIGUSR2', () => globalThis.gc());";
const STRAYS = "engine.kernelSockets";
/** Programs have somewhat more sockets than wanted: there are always some that have just been killed. */
const SURPLUS = 1.2;

export interface SoakOptions {
  readonly seconds: number;
  readonly programs: number;
  /** Of all programs together. */
  readonly sockets: number;
  readonly killsPerSecond: number;
  readonly seed: number;
  /** Connections in TIME-WAIT may be left at the end: for short runs. */
  readonly mayWait: boolean;
  readonly firstPort: number;
  readonly onProgress: (text: string) => void;
}

export interface SoakReport {
  readonly seed: number;
  readonly seconds: number;
  readonly programs: number;
  readonly kills: number;
  /** Sockets that the engine served at the same time: the most, and the mean of all looks. */
  readonly mostSockets: number;
  readonly meanSockets: number;
  /** The engine's, at the same looks. */
  readonly mostDescriptors: number;
  readonly mostSharedBytes: number;
  readonly witness: Testimony | null;
  readonly before: Counts | null;
  readonly after: Counts | null;
  /** Empty: it has survived. */
  readonly failures: readonly string[];
}

export class Soak {
  private readonly options: SoakOptions;
  private readonly folder = mkdtempSync(join(tmpdir(), "millrace-soak-"));
  private readonly socket = join(this.folder, "engine.sock");
  private readonly engine: ChildProcess;
  private engineSaid = "";
  private readonly fleet: Fleet;
  private readonly failures: string[] = [];
  private looks = 0;
  private socketsSeen = 0;
  private mostSockets = 0;
  private mostDescriptors = 0;
  private mostSharedBytes = 0;

  constructor(options: SoakOptions) {
    this.options = options;
    const { programs, sockets, firstPort, seed } = options;
    this.engine = spawn(
      process.execPath,
      [
        ...["--expose-gc", "--import", COLLECTOR],
        ...[join(ROOT, "bin/millrace.js"), "engine", "--keep", "--socket", this.socket],
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    this.engine.stderr!.on("data", (data: Buffer) => {
      this.engineSaid = (this.engineSaid + data.toString()).slice(-4_000);
    });
    this.engine.once("exit", () => this.failures.push(`the engine ended: ${this.engineSaid}`));
    const socketsEach = Math.ceil((SURPLUS * sockets) / programs);
    this.fleet = new Fleet({
      program: build("program", this.folder),
      socket: this.socket,
      programs,
      socketsEach,
      firstPort,
      seed,
    });
  }

  /** All phases. Rejects only when the soak itself cannot run. */
  async run(): Promise<SoakReport> {
    let before: Counts | null = null;
    let after: Counts | null = null;
    let witness: Testimony | null = null;
    const startedMs = performance.now();
    try {
      await this.untilReady();
      before = await this.warmUp();
      witness = await this.soak();
      await this.fleet.killAll();
      after = await this.settle();
      this.failures.push(...leaksBetween(before, after, SLACK));
    } catch (error) {
      this.failures.push(error instanceof Error ? error.message : String(error));
    } finally {
      await this.end();
    }
    const { seed, programs } = this.options;
    return {
      seed,
      seconds: Math.round((performance.now() - startedMs) / 1_000),
      programs,
      kills: this.fleet.kills,
      mostSockets: this.mostSockets,
      meanSockets: Math.round(this.socketsSeen / Math.max(1, this.looks)),
      mostDescriptors: this.mostDescriptors,
      mostSharedBytes: this.mostSharedBytes,
      witness,
      before,
      after,
      failures: [...this.failures, ...this.fleet.failures],
    };
  }

  private counts(): Promise<Counts> {
    return countsOf(this.engine.pid!, pathsBeside(this.socket).stat);
  }

  private async untilReady(): Promise<void> {
    const endMs = performance.now() + START_MS;
    while (!existsSync(pathsBeside(this.socket).stat)) {
      if (this.hasFailed || performance.now() > endMs) throw new Error("no engine");
      await sleep(LOOK_MS);
    }
  }

  private get hasFailed(): boolean {
    return this.failures.length > 0 || this.fleet.failures.length > 0;
  }

  private async warmUp(): Promise<Counts> {
    this.fleet.startAll();
    await this.untilFull();
    await this.fleet.killAll();
    return this.settle();
  }

  private async untilFull(): Promise<void> {
    const wanted = this.options.sockets * 0.8;
    const endMs = performance.now() + FILL_MS;
    for (;;) {
      const counts = await this.counts();
      if (counts[STRAYS]! > 0) throw new Error(await this.strays(counts));
      if (counts["engine.sockets"]! >= wanted || this.hasFailed) return;
      if (performance.now() > endMs) {
        throw new Error(`${wanted} sockets are not reached: ${counts["engine.sockets"]}`);
      }
      await sleep(LOOK_MS);
    }
  }

  private async settle(): Promise<Counts> {
    const endMs = performance.now() + SETTLE_MS;
    for (;;) {
      const counts = await this.counts();
      if (isAtRest(counts, this.options.mayWait)) return this.collected();
      if (performance.now() > endMs) {
        this.failures.push(`nothing settles within ${SETTLE_MS} ms`);
        return counts;
      }
      await sleep(LOOK_MS);
    }
  }

  /** What is held without garbage. */
  private async collected(): Promise<Counts> {
    this.engine.kill("SIGUSR2");
    await sleep(COLLECT_MS);
    return this.counts();
  }

  private async soak(): Promise<Testimony> {
    const { seconds, seed, killsPerSecond, programs, firstPort } = this.options;
    const random = new Random(seed);
    const program = build("witness", this.folder);
    const witnesses = await Witnesses.begin(program, this.socket, firstPort + programs);
    try {
      this.fleet.startAll();
      await this.untilFull();
      const endMs = performance.now() + seconds * 1_000;
      let progressMs = 0;
      while (performance.now() < endMs && !this.hasFailed && witnesses.failures.length === 0) {
        // Between half and one and a half of the mean, so that kills do not come in step.
        await sleep((500 + random.below(1_000)) / killsPerSecond);
        this.fleet.killOne(random);
        if (performance.now() < progressMs) continue;
        progressMs = performance.now() + PROGRESS_MS;
        await this.look(endMs);
      }
      // A program whose socket stays with the kernel soon hears what nobody said.
      if (this.fleet.failures.length > 0) await this.look(endMs);
      return await witnesses.end();
    } finally {
      witnesses.kill();
    }
  }

  private async look(endMs: number): Promise<void> {
    const counts = await this.counts();
    const sockets = counts["engine.sockets"]!;
    if (counts[STRAYS]! > 0) this.failures.push(await this.strays(counts));
    this.looks++;
    this.socketsSeen += sockets;
    this.mostSockets = Math.max(this.mostSockets, sockets);
    const descriptors = counts["kernel.descriptors"]! + counts["kernel.sockets"]!;
    this.mostDescriptors = Math.max(this.mostDescriptors, descriptors);
    this.mostSharedBytes = Math.max(this.mostSharedBytes, counts["engine.sharedBytes"]!);
    const left = Math.max(0, Math.round((endMs - performance.now()) / 1_000));
    const shown = ["engine.sessions", "engine.regions", "stack.tcpRows", "stack.udpEndpoints"];
    const figures = shown.map((name) => `${name.replace(/^.*\./, "")} ${counts[name]}`).join(", ");
    const rss = Math.round(counts.rssBytes! / (1 << 20));
    this.options.onProgress(
      `${left} s left: ${this.fleet.kills} kills, sockets ${sockets}, ${figures}, RSS ${rss} MiB`,
    );
  }

  /** Sockets stay with the kernel: why. */
  private async strays(counts: Counts): Promise<string> {
    const why = await straysOf(pathsBeside(this.socket).stat);
    const { [STRAYS]: strays, "kernel.descriptors": others, "kernel.sockets": sockets } = counts;
    const mb = Math.round(counts["engine.sharedBytes"]! / 1e6);
    const has = `the engine has ${others! + sockets!} descriptors and shares ${mb} MB`;
    return `${strays} sockets stay with the kernel: ${why}; ${has}`;
  }

  private async end(): Promise<void> {
    await this.fleet.killAll();
    this.engine.removeAllListeners("exit");
    if (this.engine.exitCode === null && this.engine.signalCode === null) {
      const ended = new Promise((resolve) => this.engine.once("exit", resolve));
      this.engine.kill("SIGTERM");
      await ended;
    }
    rmSync(this.folder, { recursive: true });
  }
}

/** Compiles soak/NAME.c; the program's path. */
function build(name: string, folder: string): string {
  const program = join(folder, name);
  const source = join(ROOT, "soak", `${name}.c`);
  const { status, stderr, error } = spawnSync("cc", [...CC, "-o", program, source], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`cc ${name}.c: ${error?.message ?? stderr}`);
  return program;
}
