/**
 * The same C program run plainly, over the kernel's sockets on 127.0.0.1, and with the preload library,
 * over Millrace's: both must print the same. The engine is one of the test's own.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { engineAnswers } from "../support/engine-answers.js";
import { requireTools } from "../support/tools.js";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
export const LIBRARY = join(ROOT, "native/build/libmillrace.so");
const ADDRESS = "10.77.0.1";
const LIMIT_MS = 240_000;

export class Comparison {
  /** For files of the test's own, too. */
  readonly folder: string;
  private readonly engine: ChildProcess;
  /** What the programs are preloaded with, and what their environment says beside it. */
  preload = LIBRARY;
  env: NodeJS.ProcessEnv = {};

  private openFolder: string | null = null;

  private constructor(folder: string, engine: ChildProcess) {
    this.folder = folder;
    this.engine = engine;
  }

  /** Starts the engine, and is ready when it is. */
  static async begin(): Promise<Comparison> {
    requireTools("cc");
    const folder = mkdtempSync(join(tmpdir(), "millrace-run-"));
    const socket = join(folder, "engine");
    const engine = spawn(
      process.execPath,
      [join(ROOT, "bin/millrace.js"), "engine", "--keep", "--socket", socket],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    let said = "";
    engine.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    await engineAnswers(engine, socket).catch((error: Error) => {
      throw new Error(`${error.message}: ${said}`);
    });
    return new Comparison(folder, engine);
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.engine.once("exit", resolve));
    this.engine.kill("SIGTERM");
    await ended;
    rmSync(this.folder, { recursive: true });
    if (this.openFolder !== null) rmSync(this.openFolder, { recursive: true });
  }

  /**
   * A folder where other users may go, too, but not to the engine's socket: for the programs of tests that change
   * their user. The library is there from now on.
   */
  openToOthers(): string {
    this.openFolder ??= mkdtempSync(join(tmpdir(), "millrace-open-"));
    chmodSync(this.openFolder, 0o755);
    this.preload = join(this.openFolder, "libmillrace.so");
    copyFileSync(LIBRARY, this.preload);
    return this.openFolder;
  }

  /** Builds test/run/programs/NAME.c; the program's path. */
  build(name: string, ...more: string[]): string {
    const program = join(this.folder, name);
    // Wrong arguments are part of the tests.
    const options = "-std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Wno-unused-function";
    const source = join(ROOT, "test/run/programs", `${name}.c`);
    const { status, stderr } = spawnSync(
      "cc",
      [...options.split(" "), ...more, "-o", program, source, "-lpthread"],
      { encoding: "utf8" },
    );
    assert.equal(status, 0, stderr);
    return program;
  }

  private run(program: string, args: string[], env: NodeJS.ProcessEnv) {
    const { status, signal, stdout, stderr } = spawnSync(program, args, {
      encoding: "utf8",
      env: { ...process.env, ...env },
      timeout: LIMIT_MS,
      maxBuffer: 1 << 26,
    });
    return { end: signal ?? status, stdout, stderr };
  }

  /** Starts it under Millrace, with pipes. */
  start(program: string, ...args: string[]): ChildProcess {
    return spawn(program, [ADDRESS, ...args], {
      env: {
        ...process.env,
        ...this.env,
        LD_PRELOAD: this.preload,
        MILLRACE_ENGINE: this.enginePath,
      },
      stdio: ["pipe", "pipe", "inherit"],
    });
  }

  /** Of its control socket. */
  get enginePath(): string {
    return join(this.folder, "engine");
  }

  /** Until the engine answers, which had stopped. */
  async engineGoesOn(): Promise<void> {
    this.engine.kill("SIGCONT");
    await engineAnswers(this.engine, this.enginePath);
  }

  signalEngine(signal: NodeJS.Signals): void {
    this.engine.kill(signal);
  }

  /** Whether SIGSTOP has come to it. */
  get engineHasStopped(): boolean {
    return / T /.test(readFileSync(`/proc/${this.engine.pid}/stat`, "utf8"));
  }

  /** Runs it both ways with these arguments behind the address. */
  compare(program: string, ...args: string[]): void {
    const kernel = this.run(program, ["127.0.0.1", ...args], this.env);
    const ours = this.run(program, [ADDRESS, ...args], {
      ...this.env,
      LD_PRELOAD: this.preload,
      MILLRACE_ENGINE: this.enginePath,
    });
    assert.equal(kernel.end, 0, `over the kernel: ${kernel.stdout}${kernel.stderr}`);
    assert.equal(ours.stdout, kernel.stdout, ours.stderr);
    assert.equal(ours.end, 0, ours.stderr);
  }

  /** The names of the cases that NAME.c lists. */
  cases(name: string): string[] {
    const source = readFileSync(join(ROOT, "test/run/programs", `${name}.c`), "utf8");
    return [...source.matchAll(/^ {4}\{"(\w+)", \w+\},$/gm)].map((match) => match[1]!);
  }
}
